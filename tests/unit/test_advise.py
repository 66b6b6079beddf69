"""Advice: what meets budgets, what binds elsewhere and by how much."""

from __future__ import annotations

import re
from functools import cache

import pytest

from roofsim import compare, library
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.spaces.advise import BUDGETS, STACKS, Advice, Candidate, advise, weighed
from roofsim.spaces.compare import Row
from roofsim.specs.device import Device

MODELS = ("Qwen2.5-0.5B", "mamba2-780m", "Llama-3.1-8B")
FORMATS = ["bf16", "q4_k_m"]


@cache
def rows() -> list[tuple[Row, Device, int]]:
    advice = advise(
        *MODELS, device="orin", runtime="llama.cpp", weights=FORMATS, prompt=4096, budgets={"ttft": 1}, hour=0.1
    )
    return [(each.row, library.device("orin"), each.parameters) for each in advice.candidates]


def found(rank: str = "headroom", **budgets: float) -> Advice:
    return weighed(rows(), budgets, rank, {})


def by_name(advice: Advice) -> dict[tuple[str, str], Candidate]:
    return {(each.row.chosen["model"], each.row.chosen["weights"]): each for each in advice.candidates}


def test_candidates_are_the_rows_of_a_comparison() -> None:
    compared = compare(*MODELS, device="orin", runtime="llama.cpp", weights=FORMATS, prompt=4096).rows
    assert {each.row.chosen["model"] for each in found(ttft=1).candidates} == set(MODELS)
    for row in compared:
        own = by_name(found(ttft=1))[row.chosen["model"], row.chosen["weights"]].row
        assert own.figures["ttft"] == pytest.approx(row.figures["ttft"])


def test_what_meets_every_budget_is_feasible_and_nothing_else() -> None:
    advice = found(ttft=2.2, tpot=0.02)
    for each in advice.candidates:
        f = each.row.figures
        assert each.feasible == (f["ttft"] <= 2.2 and f["tpot"] <= 0.02 and f["fits"])
    assert advice.feasible
    assert advice.others


def test_a_miss_is_as_many_times_the_budget_as_it_is() -> None:
    advice = found(ttft=2.2, tpot=0.02)
    for each in advice.others:
        for miss in each.misses:
            if miss.budget == "fits":
                continue
            value = each.row.figures[miss.budget]
            assert miss.value == value
            assert miss.factor == pytest.approx(value / miss.limit)
            assert miss.factor > 1
        factors = [miss.factor for miss in each.misses]
        assert factors == sorted(factors, reverse=True)
    worst = [each.misses[0].factor for each in advice.others]
    assert worst == sorted(worst)


def test_a_model_too_large_for_the_device_does_not_fit_by_so_much() -> None:
    large = by_name(found(tpot=10))["Llama-3.1-8B", "bf16"]
    (miss,) = large.misses
    assert miss.budget == "fits"
    capacity = float(library.device("orin").capacity)
    assert miss.factor == pytest.approx(large.row.figures["memory_peak"] / capacity)


def test_headroom_is_the_factor_by_which_the_tightest_budget_could_be_smaller() -> None:
    for each in found(ttft=10, tpot=0.1, max_memory=6 * 2**30).feasible:
        f = each.row.figures
        rooms = {"ttft": 10 / f["ttft"], "tpot": 0.1 / f["tpot"], "max_memory": 6 * 2**30 / f["memory_peak"]}
        assert each.headroom == pytest.approx(min(rooms.values()))
        assert rooms[each.tightest] == pytest.approx(each.headroom)
        budgets = {"ttft": 10, "tpot": 0.1, "max_memory": 6 * 2**30}
        again = found(**(budgets | {each.tightest: budgets[each.tightest] / each.headroom * 0.999}))
        assert not by_name(again)[each.row.chosen["model"], each.row.chosen["weights"]].feasible


def test_it_is_certain_only_if_the_ends_of_the_intervals_meet_the_budgets_too() -> None:
    one = by_name(found(ttft=100))["Qwen2.5-0.5B", "bf16"].row
    value, high = one.figures["ttft"], one.intervals["ttft"][1]
    assert high > value
    for limit, certain in ((value * 1.0001, False), (high * 1.0001, True)):
        each = by_name(found(ttft=limit))["Qwen2.5-0.5B", "bf16"]
        assert (each.feasible, each.certain) == (True, certain)


def test_least_budgets_are_met_from_below() -> None:
    row = by_name(found(ttft=100))["Qwen2.5-0.5B", "bf16"].row
    speed, low = row.figures["tokens_per_second"], row.intervals["tokens_per_second"][0]
    for limit, feasible, certain in ((low * 0.999, True, True), (speed * 0.999, True, False)):
        each = by_name(found(min_tps=limit))["Qwen2.5-0.5B", "bf16"]
        assert (each.feasible, each.certain) == (feasible, certain)
        assert each.headroom == pytest.approx(speed / limit)
    (miss,) = by_name(found(min_tps=speed * 2))["Qwen2.5-0.5B", "bf16"].misses
    assert (miss.value, miss.factor) == (speed, pytest.approx(2))
    held = row.figures["max_prompt"] + 128
    assert by_name(found(context=held))["Qwen2.5-0.5B", "bf16"].feasible
    assert not by_name(found(context=held + 1))["Qwen2.5-0.5B", "bf16"].feasible


def test_energy_and_prices_are_of_tokens_and_of_the_device() -> None:
    row = by_name(found(ttft=100))["Qwen2.5-0.5B", "bf16"].row
    joules = row.figures["energy"] / 128
    assert by_name(found(energy=joules * 1.001))["Qwen2.5-0.5B", "bf16"].feasible
    assert not by_name(found(energy=joules * 0.999))["Qwen2.5-0.5B", "bf16"].feasible
    dollars = row.figures["total_time"] / 3600 * 0.1 / 128 * 1e6
    assert by_name(found(token_price=dollars * 1.001))["Qwen2.5-0.5B", "bf16"].feasible
    assert not by_name(found(token_price=dollars * 0.999))["Qwen2.5-0.5B", "bf16"].feasible
    price = library.device("orin").price.value
    assert by_name(found(price=price))["Qwen2.5-0.5B", "bf16"].feasible
    assert by_name(found(price=price - 1))["Qwen2.5-0.5B", "bf16"].misses[0].value == price


def test_what_is_not_known_meets_no_budget() -> None:
    unpriced = next(name for name in library.names("hardware") if library.device(name).price is None)
    stack = "llama.cpp-cpu" if library.device(unpriced).kind == "cpu" else "ideal"
    (each,) = advise("Qwen2.5-0.5B", device=unpriced, runtime=stack, budgets={"price": 1e9}).candidates
    assert (each.misses[0].budget, each.misses[0].value) == ("price", None)
    assert each.to_dict()["misses"][0]["factor"] is None


def test_feasible_candidates_are_ranked() -> None:
    budgets = {"ttft": 100.0, "tpot": 1.0}
    rooms = [each.headroom for each in found(**budgets).feasible]
    assert rooms == sorted(rooms, reverse=True)
    sizes = [each.parameters for each in found("parameters", **budgets).feasible]
    assert sizes == sorted(sizes, reverse=True)
    joules = [each.row.figures["energy"] for each in found("energy", **budgets).feasible]
    assert joules == sorted(joules)
    speeds = [each.row.figures["tokens_per_second"] for each in found("tokens_per_second", **budgets).feasible]
    assert speeds == sorted(speeds, reverse=True)


def test_what_cannot_be_run_says_why() -> None:
    advice = advise("mamba2-780m", device="orin", runtime="llama.cpp-b2824", budgets={"ttft": 1})
    (each,) = advice.refused
    assert not each.feasible
    assert "does not run" in (each.row.reason or "")


def test_usual_runtimes_are_those_written_for_each_device() -> None:
    advice = advise("Qwen2.5-0.5B", device=["orin", "apple-m2-ultra"], budgets={"ttft": 10})
    pairs = {(each.row.chosen["device"], each.row.chosen["runtime"]) for each in advice.candidates}
    stacks = {device: {r for d, r in pairs if d == device} for device, _ in pairs}
    assert stacks["jetson-orin-nano-8gb@maxn"] == {"llama.cpp", "transformers-5-static", "vllm"}
    assert stacks["apple-m2-ultra"] == {"llama.cpp-metal"}
    formats = {each.row.chosen["weights"] for each in advice.candidates if each.row.chosen["runtime"] == "vllm"}
    assert formats == {"bf16", "fp8", "int4-g128"}
    assert all(library.runtime(name).id == name for name in STACKS)


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"budgets": {}}, InputError, "there is no budget; give at least one of ttft, tpot"),
        ({"budgets": {"tttf": 1}}, UnknownName, "budgets: no 'tttf'; nearest: ttft"),
        ({"budgets": {"ttft": 0}}, InputError, "ttft: 0 is no budget"),
        ({"budgets": {"ttft": 1}, "rank": "tppt"}, UnknownName, "--rank: no 'tppt'"),
    ],
)
def test_advice_on_nothing_is_refused(asked: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        advise("Qwen2.5-0.5B", device="orin", **asked)


def test_every_budget_has_words() -> None:
    assert all(each.words for each in BUDGETS.values())
