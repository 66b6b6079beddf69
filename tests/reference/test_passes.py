"""A whole pass, added up launch by launch from its kernels; what its figures and its table of operators say."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from counting.queue import Piece, simulated

from roofsim import library
from roofsim.engine import passes
from roofsim.engine.energy import Activity, Joules, activity, energy
from roofsim.engine.passes import (
    BOUNDS,
    Later,
    OperatorRow,
    PassFigures,
    Stack,
    ahead_work,
    operators,
    pass_bound,
    run_pass,
    serving_work,
    starting_time,
    weighted,
    weighted_operators,
    with_operators,
)
from roofsim.engine.roofline import Machine, deciding_parameter, launch_time, light_time, terms
from roofsim.foundation.parameters import priors
from roofsim.foundation.schema import checked, variant
from roofsim.lowering.step import lower
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass, Precision
from roofsim.prediction.results import columns
from roofsim.specs.files import build
from roofsim.specs.runtime import HostPolicy, Runtime

M = Machine(matrix_rate=4e6, vector_rate=3e5, bandwidth=2e5, cache=100, units=4, parameters=priors())
HOST = {"mode": "eager", "work": 2, "launch": {"value": "30 us", "source": "made up"}}
FAST = Machine(matrix_rate=4e14, vector_rate=3e13, bandwidth=2e12, cache=100, units=4, parameters=priors())
"""So fast that the device waits for the host."""
WORDS = ("matrix", "vector", "weights", "activations", "state", "network")


def network() -> Architecture:
    attention = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 3}
    ssm = {"kind": "mamba2", "heads": 4, "head_dim": 3, "d_state": 5}
    values = {
        "name": "toy", "family": "toy", "d_model": 10, "vocab": 7, "tied_embeddings": True,
        "layers": {"one": [attention, {"kind": "gated_mlp", "width": 6}], "two": [ssm]},
        "layout": [{"repeat": 3, "of": ["one"]}, {"repeat": 1, "of": ["two"]}], "sources": {"here": "made up"},
    }  # fmt: skip
    return build(Architecture, values, "toy.yaml")


def stack(name: str, m: Machine = M, **policy: Any) -> Stack:
    runtime: Runtime = variant(library.runtime(name), host=checked(HostPolicy, HOST | policy))
    return Stack(network(), runtime, library.device("h100-sxm"), m)


PREFILL = Pass(2, 5, 3, Precision())
DECODE = Pass(2, 1, 7, Precision(), phase="decode")
every_stack = pytest.mark.parametrize("name", ["ideal", "vllm", "transformers-5-eager"])
every_pass = pytest.mark.parametrize("p", [PREFILL, DECODE], ids=["prefill", "decode"])


@every_stack
@every_pass
@pytest.mark.parametrize("mode", ["eager", "inline"])
@pytest.mark.parametrize("m", [M, FAST], ids=["slow", "fast"])
def test_a_pass_is_the_sum_of_its_launches_behind_a_queue(name: str, p: Pass, mode: str, m: Machine) -> None:
    s = stack(name, m, mode=mode)
    pieces: list[Piece] = []
    moved = dict.fromkeys(WORDS, 0.0)
    kernels = model_matrix = model_traffic = 0.0
    by_bound = {"compute": 0.0, "memory": 0.0, "launch": 0.0}
    done = Activity()
    for row in lower(s.architecture, s.runtime, p):
        for _ in range(row.row.count):
            host = device = 0.0
            for operator, lowered in row:
                for kernel in lowered.kernels:
                    host += kernel.count * launch_time(kernel, s.runtime, m, p.phase)
                    device += kernel.count * terms(kernel, m).time
                    by_bound[terms(kernel, m).bound] += kernel.count * terms(kernel, m).time
                    done += activity(kernel, terms(kernel, m), m) * kernel.count
                    kernels += 0 if kernel.joined else kernel.count
                    for word in WORDS:
                        moved[word] += kernel.count * getattr(kernel.cost, word)
                model_matrix += operator.cost.matrix / m.matrix_rate
                model_traffic += (operator.cost.weights + operator.cost.state) / m.bandwidth
                if row.row.count == 1:  # equal layers come as wholes
                    pieces.append((host, device, 1))
                    host = device = 0.0
            pieces.append((host, device, 1))
    plans = 1 if name == "transformers-5-eager" and p.phase == "decode" else 0  # one shape of attention
    start = 30e-6 + plans * priors()["attention_plan"]
    device = sum(piece[1] for piece in pieces)
    host = start + sum(piece[0] for piece in pieces)
    wall = host + device if mode == "inline" else simulated(pieces, start)
    found = run_pass(s, p)
    expected = PassFigures(
        wall, device, host, kernels, moved["matrix"], moved["vector"],
        moved["weights"] + moved["activations"] + moved["state"], energy(s.device, m, wall, done),
        model_matrix, model_traffic, moved["network"],
    )  # fmt: skip
    assert columns(found) == pytest.approx(columns(expected))
    assert (found.compute_time, found.memory_time) == pytest.approx((by_bound["compute"], by_bound["memory"]))
    assert found.idle_time == pytest.approx(wall - device)
    assert found.mfu == pytest.approx(model_matrix / wall)
    assert found.mbu == pytest.approx(model_traffic / wall)


@every_stack
@every_pass
def test_a_pass_with_its_operators_has_its_own_figures_and_theirs(name: str, p: Pass) -> None:
    s = stack(name)
    found, rows = with_operators(s, p)
    assert columns(found) == columns(run_pass(s, p))
    table = {(each.layer, each.operator): each for each in operators(s, p, basis=lambda _: "prior")}
    assert {(each.layer, each.operator): each.count * each.time for each in rows} == pytest.approx(
        {key: each.time for key, each in table.items()}
    )


@every_stack
@every_pass
def test_the_energy_of_a_pass_is_the_sum_of_what_draws_it(name: str, p: Pass) -> None:
    found = run_pass(stack(name), p)
    parts = [getattr(found, f"{each.name}_energy") for each in fields(Joules)]
    assert sum(parts) == pytest.approx(found.energy)


def test_what_is_not_asked_of_a_pass_is_not_computed_and_what_is_is_computed_once(monkeypatch: Any) -> None:
    asked = []
    monkeypatch.setattr(passes, "energy", lambda *_: asked.append("energy") or 5)
    monkeypatch.setattr(passes, "matrix_time", lambda *_: asked.append("matrix_time") or 7)
    found = run_pass(stack("ideal"), PREFILL)
    assert all((found.time, found.kernels, found.bytes))
    assert not asked
    assert (found.energy, found.energy, weighted([(2, found)]).energy, found.model_matrix_time) == (5, 5, 10, 7)
    assert asked == ["energy", "matrix_time"]
    with pytest.raises(AttributeError, match="joules"):
        found.joules  # noqa: B018


def test_a_pass_that_is_lowered_already_is_not_lowered_again() -> None:
    s = stack("ideal")
    first, *rest = lower(s.architecture, s.runtime, PREFILL)
    parts = [run_pass(s, PREFILL, rows) for rows in ([first], rest)]
    assert sum(each.bytes for each in parts) == pytest.approx(run_pass(s, PREFILL).bytes)


def test_the_models_own_work_of_passes_of_which_some_score_is_that_of_those_and_of_the_others() -> None:
    none, some, every = (run_pass(stack("ideal"), replace(PREFILL, scored=share)) for share in (0, 1 / 4, 1))
    for name in ("model_matrix_time", "model_traffic_time"):
        without, mixed, whole = (getattr(each, name) for each in (none, some, every))
        assert mixed == pytest.approx(3 / 4 * without + 1 / 4 * whole)
        assert without < whole


def test_a_pass_starts_after_its_launch_and_its_plans() -> None:
    runtime = stack("ideal").runtime
    assert starting_time(runtime, M, 3) == pytest.approx(30e-6 + 3 * priors()["attention_plan"])
    assert starting_time(stack("ideal", launch=None).runtime, M, 0) == 0
    assert starting_time(runtime, M, 0, 3) == pytest.approx(30e-6 + 3 * priors()["dispatch"])


def test_a_serving_engine_works_for_each_step_and_its_new_requests_while_the_device_waits() -> None:
    policy = {"step_work": 10, "sequence_work": 3, "request_work": 50}
    served, alone = stack("vllm", mode="graph", **policy), stack("vllm", mode="graph")
    assert serving_work(served.runtime, PREFILL) == 10 + 2 * 50
    assert serving_work(served.runtime, replace(PREFILL, begins=0)) == 10
    assert serving_work(served.runtime, DECODE) == 10
    assert serving_work(alone.runtime, DECODE) == 0
    longer = run_pass(served, DECODE).time - run_pass(alone, DECODE).time
    assert longer == pytest.approx(10 * priors()["dispatch"])


def test_a_serving_engine_prepares_a_decode_step_and_its_sequences_while_the_device_is_at_the_one_before() -> None:
    policy = {"step_work": 10, "ahead_work": 20, "sequence_work": 30}
    served, alone = stack("vllm", mode="graph", **policy), stack("vllm", mode="graph", **policy | {"ahead_work": None})
    assert ahead_work(served.runtime, DECODE) == 20 + 2 * 30
    assert ahead_work(served.runtime, PREFILL) is None
    assert ahead_work(alone.runtime, DECODE) is None
    dispatch, replayed = priors()["dispatch"], priors()["replay_time"]
    first = 30e-6 + 10 * dispatch
    for m, slower in ((M, "device_time"), (FAST, "host_time")):
        found, plain = (run_pass(replace(each, machine=m), DECODE) for each in (served, alone))
        assert found.host_time == pytest.approx(plain.host_time + 80 * dispatch)
        assert found.device_time == plain.device_time
        left = getattr(found, slower) - first * (slower == "host_time")
        assert found.time == pytest.approx(first + left + replayed)
        assert run_pass(replace(served, machine=m), PREFILL) == run_pass(replace(alone, machine=m), PREFILL)


def test_the_device_waits_between_the_kernels_of_a_graph() -> None:
    gap = {"value": "7 us", "source": "made up"}
    with_gaps, without = (run_pass(stack("ideal", mode="graph", gap=each), DECODE) for each in (gap, None))
    assert with_gaps.time - without.time == pytest.approx(7e-6 * with_gaps.kernels)
    assert with_gaps.device_time == without.device_time


def test_a_graph_begins_some_time_after_what_was_before() -> None:
    later = replace(M, parameters=priors() | {"replay_time": 1.0})
    for policy, begun in ({"mode": "graph"}, 1), ({"mode": "graph", "prefill": "eager"}, 1), ({"mode": "eager"}, 0):
        each = [run_pass(stack("ideal", m, **policy), DECODE).time for m in (M, later)]
        assert each[1] - each[0] == pytest.approx(begun * (1 - priors()["replay_time"]))
    eager = [run_pass(stack("ideal", m, mode="graph", prefill="eager"), PREFILL).time for m in (M, later)]
    assert eager[0] == eager[1]


@every_stack
@every_pass
@pytest.mark.parametrize("by_vectors", [frozenset(), frozenset({None})])
def test_a_row_of_the_table_is_the_sum_of_an_operators_kernels_in_all_its_layers(
    name: str, p: Pass, by_vectors: frozenset[str | None]
) -> None:
    m = replace(M, matrix_rate=4e5, by_vectors=by_vectors)
    s = stack(name, m)
    expected = {}
    for row in lower(s.architecture, s.runtime, p):
        for operator, lowered in row:
            n = row.row.count
            total = dict.fromkeys((*WORDS, "time", "light", "kernels", "host", "fixed"), 0.0)
            reasons: dict[tuple[str, str], float] = {}
            for kernel in lowered.kernels:
                for _ in range(n):
                    t = terms(kernel, m)
                    for word in WORDS:
                        total[word] += kernel.count * getattr(kernel.cost, word)
                    total["time"] += kernel.count * t.time
                    total["light"] += kernel.count * light_time(kernel.cost, m)
                    total["kernels"] += 0 if kernel.joined else kernel.count
                    total["host"] += kernel.count * launch_time(kernel, s.runtime, m, p.phase)
                    total["fixed"] += kernel.count * t.time if t.bound == "launch" else 0
                    reason = t.bound, deciding_parameter(kernel, t.bound, m)
                    reasons[reason] = reasons.get(reason, 0) + kernel.count * t.time
            if lowered.kernels:
                longest = max(reasons, key=lambda each: reasons[each])
                expected[row.row.layer, operator.name] = (operator.kind, n, total, longest)
    found = {(each.layer, each.operator): each for each in operators(s, p, basis=lambda parameter: parameter)}  # type: ignore[arg-type, return-value]
    assert set(found) == set(expected)
    for key, (kind, n, total, (bound, parameter)) in expected.items():
        each = found[key]
        got = {
            "matrix": each.matrix_flops, "vector": each.vector_flops, "weights": each.bytes_weights,
            "activations": each.bytes_activations, "state": each.bytes_state, "network": each.bytes_network,
            "time": each.time, "light": each.light_time, "kernels": each.kernels, "host": each.host_time,
            "fixed": each.launch_bound_time,
        }  # fmt: skip
        assert got == pytest.approx(total), key
        assert (each.kind, each.count, each.bound, each.basis) == (kind, n, bound, parameter), key


ROW = OperatorRow("one", "a", "gemm", 3, 1, 2, 3, 4, 5, 6, 10, 7, 8, 9, 0, "compute", "prior")
FIGURES = PassFigures(*range(1, 12))


def test_passes_that_come_several_times_add_up() -> None:
    twice = PassFigures(*(10 * value for value in range(1, 12)))
    found = weighted([(2, FIGURES), (3, twice)])
    assert columns(found) == columns(PassFigures(*(32 * value for value in range(1, 12))))
    assert found.mfu == FIGURES.mfu


def test_operators_of_several_passes_add_up_and_are_bound_as_where_they_take_longest() -> None:
    short = replace(ROW, time=10, bound="memory", basis="set", kernels=10)
    (found,) = weighted_operators([(4, [ROW]), (2, [short])])
    assert (found.kernels, found.time, found.matrix_flops) == (4 * 1 + 2 * 10, 4 * 7 + 2 * 10, 6 * 2)
    assert (found.count, found.bound, found.basis) == (3, "compute", "prior")
    (other,) = weighted_operators([(4, [ROW]), (3, [short])])
    assert (other.bound, other.basis) == ("memory", "set")


def test_an_operator_that_some_passes_do_not_launch_counts_in_the_others() -> None:
    gate, down = replace(ROW, operator="b", time=20), replace(ROW, operator="c", time=30)
    there = replace(ROW, layer="two", operator="b", time=40)
    found = list(weighted_operators([(2, [ROW, gate, down]), (1, [ROW, down, there])]))
    assert [(each.layer, each.operator, each.time) for each in found] == [
        ("one", "a", 3 * 7), ("one", "b", 2 * 20), ("one", "c", 3 * 30), ("two", "b", 40),
    ]  # fmt: skip
    assert [each.kernels for each in found] == [3, 2, 3, 1]


def test_a_pass_is_bound_by_its_host_or_by_what_bounds_most_of_its_device_time() -> None:
    def bound(**other: float) -> str:
        busy = {"device_time": 13, "host_time": 13, "compute_time": 5, "memory_time": 6, "network_time": 0}
        return pass_bound(Later(lambda name: (busy | other)[name]))

    assert bound() == "memory"
    assert bound(host_time=14) == "launch"
    assert bound(compute_time=6, memory_time=5) == "compute"
    assert bound(compute_time=6, memory_time=6) == "compute"
    assert bound(compute_time=3, memory_time=4) == "launch"
    assert bound(device_time=20, network_time=7) == "network"
    assert bound(device_time=20, network_time=5.5) == "memory"
    assert bound(device_time=20, network_time=7, compute_time=7, memory_time=5) == "network"
    assert bound(device_time=30, network_time=9) == "launch"
    assert bound(device_time=20, host_time=21, network_time=7) == "launch"
    assert BOUNDS == ("compute", "memory", "launch", "network")
