"""Passes of several devices by hand: what stages and groups make of the figures of one pass, in time and in joules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roofsim import library
from roofsim.engine.energy import idle_power, waiting_power
from roofsim.engine.passes import Devices, Later, PassRun, Stack, _in_turns, _overlapped, operators, run_pass, together
from roofsim.engine.roofline import machine
from roofsim.engine.schedule import Stretch
from roofsim.foundation.schema import variant
from roofsim.model.split import Split
from roofsim.model.step import Pass, Routing
from roofsim.ops.base import Role
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.steps import decode, half, halves, held_sequences, in_flight, pieces, prefill, sequences
from roofsim.specs.workload import Workload, workload

H100 = library.device("h100-sxm")
M = machine(H100, None, "bf16")
STACK = Stack(library.architecture("llama-3.1-8b"), library.runtime("ideal"), H100, M)
IDLE, HELD = float(idle_power(H100)), float(waiting_power(H100, M))


def one_pass(time: float) -> Later:
    """A pass with figures that tell each other apart."""
    known = {"time": time, "device_time": 0.9 * time, "kernels": 100 * time, "network": 7e9 * time,
             "energy": 500 * time, "idle_energy": IDLE * time, "waiting_energy": (HELD - IDLE) * time,
             "active_energy": 3 * time, "model_matrix_time": time / 2}  # fmt: skip
    return Later(known.__getitem__)


def test_devices_beside_each_other_each_do_the_same_and_draw_together() -> None:
    all_of_them = together(Devices([(2, one_pass(0.5))], 1, 8, 1, 1.0, STACK))
    assert (all_of_them.time, all_of_them.device_time, all_of_them.kernels) == pytest.approx((1, 0.9, 100))
    assert all_of_them.network == pytest.approx(7e9)
    assert all_of_them.energy == pytest.approx(8 * 500)
    assert all_of_them.active_energy == pytest.approx(8 * 3)
    assert all_of_them.idle_energy == pytest.approx(8 * IDLE)
    assert all_of_them.mfu == pytest.approx(0.5)


def test_stages_share_a_pass_and_wait_for_each_other() -> None:
    # four stages, two parts in flight of one second each: 2 / 4 + 3 / 4 seconds, of which each works for 2 / 4
    staged = together(Devices([(1, one_pass(1.0))], 4, 2, 2, 1.25, STACK))
    assert staged.time == 1.25
    assert (staged.device_time, staged.kernels) == pytest.approx((2 * 0.9 / 4, 2 * 100 / 4))
    waiting = 4 * 1.25 - 2 * 1.0
    assert staged.energy == pytest.approx(2 * (2 * 500 + HELD * waiting))
    assert staged.idle_energy == pytest.approx(2 * IDLE * (2 + waiting))
    assert staged.waiting_energy == pytest.approx(2 * (HELD - IDLE) * (2 + waiting))
    assert staged.active_energy == pytest.approx(2 * 2 * 3)
    assert staged.mfu == pytest.approx(2 * 0.5 / 4 / 1.25)


def on(runtime: str = "vllm", **ranks: int) -> tuple[Setup, Workload]:
    return setup("llama-3.1-8b", "h100-sxm", runtime, split=Split(**ranks)), workload(
        prompt=300, batch=10, dtype="bf16"
    )


def test_a_batch_is_shared_by_groups_and_cut_for_stages() -> None:
    assert (held_sequences(*on()), in_flight(*on()), sequences(*on())) == (10, 1, 10)
    assert (held_sequences(*on(dp=4)), sequences(*on(dp=4))) == (3, 3)
    assert (held_sequences(*on(pp=4)), in_flight(*on(pp=4)), sequences(*on(pp=4))) == (10, 4, 3)
    assert (held_sequences(*on(dp=4, pp=4)), in_flight(*on(dp=4, pp=4)), sequences(*on(dp=4, pp=4))) == (3, 3, 1)
    assert (in_flight(*on("llama.cpp", pp=4)), sequences(*on("llama.cpp", pp=4))) == (1, 10)


def test_a_prompt_goes_through_stages_part_by_part_and_a_step_of_all_takes_that_of_a_part() -> None:
    s, w = on(pp=4)
    e = Evaluation(s, w)
    ((often, piece),) = pieces(s, w)
    assert (often, piece.batch, piece.new) == (1, 3, 300)
    through = float(run_pass(e.stack, piece).time)
    assert e.prefill.time == pytest.approx((4 + 4 - 1) / 4 * through)
    step = run_pass(e.stack, decode(s, w))
    assert e.decode.time == pytest.approx(float(step.time))
    assert e.decode.kernels == pytest.approx(4 * step.kernels / 4)
    assert e.tokens_per_second == pytest.approx(10 * w.generate / e.total_time)


def test_pieces_of_a_prompt_follow_each_other_through_stages() -> None:
    s, _ = on("llama.cpp", pp=2)
    w = workload(prompt=1536, batch=1, dtype="bf16")
    e = Evaluation(s, w)
    found = pieces(s, w)
    times = [(often, float(run_pass(e.stack, p).time)) for often, p in found]
    assert sum(often for often, _ in times) == pytest.approx(3)  # of 512 tokens
    assert e.prefill.time == pytest.approx((sum(n * t for n, t in times) + times[-1][1]) / 2)


def test_halves_are_two_passes_of_half_the_sequences_but_of_a_single_token() -> None:
    s, w = on(tp=2)
    assert (halves(s, decode(s, w)), half(s, decode(s, w)).batch) == (1, 10)
    turns = replace(s, runtime=variant(s.runtime, parallel=variant(s.runtime.parallel, overlaps="halves")))
    assert (halves(turns, decode(turns, w)), half(turns, decode(turns, w)).batch) == (2, 5)
    one = Pass(1, 1, 300, phase="decode")
    assert (halves(turns, one), half(turns, one).batch) == (1, 1)
    prompt = Pass(1, 300, 0)
    assert (halves(turns, prompt), half(turns, prompt).batch) == (2, 0.5)
    alone = replace(turns, split=Split())
    assert halves(alone, prompt) == 1


def test_a_pass_knows_how_tokens_get_to_experts_on_other_devices() -> None:
    w = workload(prompt=300, batch=16, dtype="bf16")

    def found(runtime: str, **ranks: int) -> list[Routing]:
        s = setup("deepseek-v2-lite", "h100-sxm", runtime, split=Split(**ranks))
        return [prefill(s, w).routing, decode(s, w).routing]

    assert found("vllm", dp=2, ep=2) == found("sglang", dp=2, ep=2) == [Routing(1.28, True, True)] * 2
    assert found("vllm", tp=2, ep=2) == [Routing(1.28, False, True)] * 2
    assert found("vllm", dp=2) == [Routing()] * 2
    assert found("ideal", cp=2, ep=2) == [Routing(0, True), Routing(0, False)]
    assert found("ideal", cp=2, dp=2, ep=4) == [Routing(0, True)] * 2


def test_tokens_are_quantised_before_they_go_to_experts_but_by_kernels_for_steps() -> None:
    """Of 4,096 prompts 2,048 are a device's; tokens of 2,048 elements, read in two bytes and written in one."""
    for tokens, phases in (("sent", ["prefill"]), ("gathered", ["prefill", "decode"])):
        s = setup("deepseek-v2-lite", "h100-sxm", "vllm", split=Split(dp=2, ep=2))
        policy = variant(s.runtime.parallel, tokens=tokens)
        s = replace(s, runtime=variant(s.runtime, parallel=policy))
        for phase, weights in (("prefill", "fp8"), ("decode", "fp8"), ("prefill", "bf16")):
            w = workload(prompt=1, batch=4096, dtype="bf16", weight_format=weights)
            p = (prefill if phase == "prefill" else decode)(s, w)
            rows = {r.operator: r for r in operators(Evaluation(s, w).stack, p, lambda _: "prior") if r.layer == "moe"}
            sends = rows["dispatch"]
            quantised = phase in phases and weights == "fp8"
            assert sends.kernels == sends.count * (1 + quantised)
            moved = sends.count * 2048 * 2048 * (2 + 1) * quantised
            assert sends.bytes_activations == pytest.approx(2 * sends.bytes_network + moved)


def test_halves_take_turns_window_by_window() -> None:
    """Exchanges of 2 and 7 s; 3 s before them, 4 between, 1 behind, of which computing bounds 2, 4 and 1; a quarter of
    the units exchange: (4 + 3/3) s beside 7 and 2, (4 + 4/3) s beside 2 and 7."""
    assert _in_turns([2, 7], [(3, 2), (4, 4), (1, 1)], 1 / 4) == pytest.approx((7 + 5 + 16 / 3 + 7) / 2)
    assert _in_turns([2, 7], [(3, 2), (4, 4), (1, 1)], 0) == (7 + 4 + 4 + 7) / 2
    assert _in_turns([6], [(3, 0), (1, 0)], 1 / 2) == 6


def test_exchanges_of_prompts_keep_units_of_the_device() -> None:
    s, w = on(tp=2)
    stack = Evaluation(s, w).stack
    assert PassRun(stack, prefill(s, w), None).taken == 20 / 132
    assert PassRun(stack, decode(s, w), None).taken == 0
    none = replace(stack, runtime=variant(s.runtime, parallel=variant(s.runtime.parallel, units=None)))
    assert PassRun(none, prefill(s, w), None).taken == 0


def test_a_layer_that_exchanges_takes_turns_and_another_is_as_it_is() -> None:
    s, w = on(tp=2)
    run = PassRun(Evaluation(s, w).stack, prefill(s, w), None)
    rows = {row.row.layer: operators for row, operators in zip(run.rows, run.terms, strict=True)}
    (name,) = (row.row.layer for row in run.rows if row.row.count > 1)
    layer = [(bool(k.exchange), k.count * t.time, k.count * t.bound_times["compute"]) for o in rows[name] for k, t in o]
    joins = [i for i, (exchanges, _, _) in enumerate(layer) if exchanges]
    first, second = (layer[i][1] for i in joins)
    outer, inner = [*layer[: joins[0]], *layer[joins[1] + 1 :]], layer[joins[0] + 1 : joins[1]]
    windows = [sum(time for _, time, _ in part) + sum(bound for _, _, bound in part) / 3 for part in (outer, inner)]
    pieces = [Stretch(1, 5, 1), Stretch(2, 5, 1)]
    (found,) = _overlapped(pieces, rows[name], halves=True, taken=1 / 4)
    assert (found.host, found.count) == (3, 1)
    assert found.device == pytest.approx(sum(max(x, y) for x in windows for y in (first, second)) / 2)
    (found,) = _overlapped(pieces, rows[name], halves=False, taken=1 / 4)
    assert found.device == pytest.approx(max(sum(time for _, time, _ in (*outer, *inner)), first + second))
    none = [[(k, t) for k, t in each if not k.exchange] for each in rows[name]]
    assert _overlapped(pieces, none, halves=True, taken=1 / 4) == pieces


def test_what_devices_do_together_is_one_launch_of_its_bytes() -> None:
    s, w = on(tp=4)
    e = Evaluation(s, w)
    p = decode(s, w)
    join = {row.operator: row for row in operators(e.stack, p, lambda _: "prior")}["join_1"]
    assert join.kernels == 32
    assert join.bytes_network == pytest.approx(32 * 2 * 16 * 4096 * 2 * 3 / 4)  # ten tokens fill a graph of sixteen
    assert join.bytes_activations == pytest.approx(2 * join.bytes_network)
    assert join.matrix_flops == join.bytes_weights == 0
    roles = {o.name: o.role for row in s.rank.rows(p) for o in row.operators}
    assert roles["join_1"] is Role.COLLECTIVE
