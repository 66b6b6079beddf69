"""Passes of several devices by hand: what stages and groups make of the figures of one pass, in time and in joules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roofsim import library
from roofsim.engine.energy import idle_power, waiting_power
from roofsim.engine.passes import Devices, Later, Stack, operators, run_pass, together
from roofsim.engine.roofline import machine
from roofsim.foundation.schema import variant
from roofsim.model.split import Split
from roofsim.model.step import Pass
from roofsim.ops.base import Role
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.steps import decode, half, halves, held_sequences, in_flight, pieces, sequences
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
