"""Fronts of studies: exact where all points are computed, told as a search where not."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import product

import pytest

from roofsim import pareto, predict, sweep
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.spaces import fronts
from roofsim.spaces.fronts import BETTER_HIGH, intervals_of, senses_of

AXES = {
    "model": ["Qwen2.5-0.5B", "mamba2-780m"],
    "device": "orin",
    "prompt": "1k..8k*2",
    "batch": "1..32*2",
    "device.memory.bandwidth": "0.5x..2x*2",
}
NAMES = ("ttft", "tokens_per_second", "memory_peak")
SENSES = {"ttft": "min", "tokens_per_second": "max", "memory_peak": "min"}


def dominated(p: dict, q: dict) -> bool:
    """Whether q is as good as p in everything and better in something."""
    signs = {name: 1 if sense == "min" else -1 for name, sense in SENSES.items()}
    better = [signs[name] * (p[name] - q[name]) for name in NAMES]
    return all(x >= 0 for x in better) and any(x > 0 for x in better)


def by_definition(where: str | None = None) -> list[dict]:
    rows = [row for row in sweep(AXES, figures=[*NAMES, "fits"], where=where).rows() if row["fits"]]
    best = [p for p in rows if not any(dominated(p, q) for q in rows)]
    return [{name: row[name] for name in (*AXES, *NAMES)} for row in sorted(best, key=lambda row: row["ttft"])]


def points(found: fronts.Front) -> list[dict]:
    return [{name: row[name] for name in (*AXES, *found.objectives)} for row in found.found.rows()]


@pytest.mark.parametrize("where", [None, "tpot < 90ms"])
def test_the_front_of_a_grid_is_that_of_all_its_points(where: str | None) -> None:
    found = pareto(AXES, "ttft,tokens_per_second,memory_peak", where=where)
    assert points(found) == by_definition(where)
    assert found.objectives == SENSES
    assert found.search == ""
    assert found.points == 2 * 4 * 6 * 3
    assert len(found) < found.feasible < found.points


def test_a_front_of_many_parts_is_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pareto(AXES, "ttft,tokens_per_second,memory_peak")
    monkeypatch.setattr("roofsim.spaces.space.SMALLEST_PART", 7)
    monkeypatch.setattr("roofsim.spaces.space.CASES", 1)
    monkeypatch.setattr("roofsim.spaces.space.PARTS", 20)
    apart = pareto(AXES, "ttft,tokens_per_second,memory_peak")
    assert apart.found.study.space.parts > 10
    assert points(apart) == points(whole)
    assert (apart.feasible, apart.points) == (whole.feasible, whole.points)


def test_points_that_do_not_fit_are_on_a_front_only_if_asked_for() -> None:
    axes = {"model": "Llama-3.1-8B", "device": "rtx-4090", "batch": "1,64,256"}
    assert [row["batch"] for row in pareto(axes, "tokens_per_second").found.rows()] == [1]
    assert [row["batch"] for row in pareto(axes, "tokens_per_second", unfit=True).found.rows()] == [256]


def test_derived_columns_are_objectives() -> None:
    found = pareto(AXES, "tpot,bandwidth", derive={"bandwidth": "device.memory.bandwidth"}, where="batch == 1")
    rows = list(found.found.rows())
    assert {row["bandwidth"] for row in rows} == {51e9, 102e9, 204e9}
    assert [row["tpot"] for row in rows] == sorted(row["tpot"] for row in rows)


def test_an_empty_front_says_why() -> None:
    found = pareto({"model": "Qwen2.5-0.5B", "device": "orin", "runtime": "mamba-ssm"}, "ttft,tpot")
    assert len(found) == 0
    assert "does not run" in found.refused[0]


def test_what_is_better_of_a_figure_is_known_unless_said() -> None:
    assert senses_of("ttft,tokens_per_second,throughput") == {
        "ttft": "min", "tokens_per_second": "max", "throughput": "max",
    }  # fmt: skip
    assert senses_of("ttft:max, memory_peak:min") == {"ttft": "max", "memory_peak": "min"}
    assert senses_of({"ttft": ""}) == {"ttft": "min"}
    assert {"fits", "throughput", "tokens_per_second"} == BETTER_HIGH


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        ("ttft:least", "--objectives ttft:least: write them like ttft:min"),
        ("ttft,ttft:max", "--objectives ttft: is given twice"),
        ("ttft,", "--objectives :min: write them like"),
        ("ttfd", "--objectives: no 'ttfd'; nearest: ttft"),
        ("bound_prefill", "--objectives: no 'bound_prefill'"),
    ],
)
def test_objectives_that_cannot_be_are_refused(objectives: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        pareto(AXES, objectives)


def test_a_space_too_large_to_enumerate_asks_for_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "ENUMERATED", 100)
    with pytest.raises(InputError, match=r"144 points are more than are all computed .*--budget N searches"):
        pareto(AXES, "ttft,tokens_per_second")


LARGE = {**AXES, "batch": "1..64+1", "prompt": "1k..16k*1.1"}
needs_pymoo = pytest.mark.skipif(find_spec("pymoo") is None, reason="needs the extra `search`")


@needs_pymoo
def test_a_search_keeps_its_budget_and_says_that_it_is_one() -> None:
    found = pareto(LARGE, "ttft,tokens_per_second", budget=400, seed=3)
    size = 2 * 64 * 30 * 3
    assert 200 < found.points <= 400
    assert found.search == f"NSGA-II (pymoo), {found.points} of {size:,} points, seed 3"
    assert found.to_dict()["exact"] is False


@needs_pymoo
def test_a_search_is_the_same_with_the_same_seed() -> None:
    one, same, other = (pareto(LARGE, "ttft,tokens_per_second", budget=200, seed=seed) for seed in (5, 5, 6))
    assert points(one) == points(same)
    assert points(one) != points(other)


@needs_pymoo
def test_a_search_finds_what_is_on_the_front() -> None:
    where = "tpot < 90ms"
    exact = points(pareto(LARGE, "ttft,tokens_per_second", where=where))
    found = points(pareto(LARGE, "ttft,tokens_per_second", where=where, budget=2000, seed=1))
    best = {(row["ttft"], row["tokens_per_second"]) for row in exact}
    hit = sum((row["ttft"], row["tokens_per_second"]) in best for row in found)
    # 2000 of 11,520 points see more than half of a front that chance would see a sixth of
    assert hit > len(best) / 2
    ends = [max(rows, key=lambda row: row["tokens_per_second"])["tokens_per_second"] for rows in (exact, found)]
    assert ends[1] == pytest.approx(ends[0], rel=0.02)


@pytest.mark.parametrize(("budget", "said"), [(10, "takes at least 40 points"), (144, "all 144 points cost no more")])
@needs_pymoo
def test_a_budget_that_is_no_search_is_refused(budget: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        pareto(AXES, "ttft,tokens_per_second", budget=budget)


@needs_pymoo
def test_points_that_are_listed_are_not_searched() -> None:
    rows = [{"prompt": a, "batch": b} for a, b in product((1024, 2048), (1, 2, 4))]
    only = {"model": "Qwen2.5-0.5B", "device": "orin"}
    with pytest.raises(InputError, match="--budget: points that are listed or drawn are all computed"):
        pareto(only, "ttft,tokens_per_second", points=rows, budget=50)


def test_a_path_that_leads_nowhere_is_told_before_any_work() -> None:
    with pytest.raises(UnknownName):
        pareto({**AXES, "device.memory.bandwith": "1x,2x"}, "ttft")


def test_points_of_a_front_have_the_intervals_of_predictions_where_they_have_any():
    bandwidth = {"device.memory.bandwidth": "1x,2x"}
    asked = {"objectives": "tpot,tokens_per_second,kernels", "derive": {"kernels": "decode_kernels * 1"}}
    found = pareto("mamba-130m", device=["orin", "rtx-4090"], batch=[1, 4], set=bandwidth, **asked)
    rows, known = list(found.found.rows()), intervals_of(found)
    assert len(rows) == len(known) > 1
    for row, each in zip(rows, known, strict=True):
        own = {"device.memory.bandwidth": f"{row['device.memory.bandwidth']!r}B/s"}
        p = predict("mamba-130m", row["device"], batch=row["batch"], set=own)
        assert each == {
            "tpot": pytest.approx(p.intervals["tpot"]),
            "tokens_per_second": pytest.approx(p.intervals["tokens_per_second"]),
        }
