"""What holds for a step of several groups of sequences, on models of every kind and with several runtimes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofsim.engine.passes import run_pass
from roofsim.foundation.cost import Cost
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.model.architecture import Architecture
from roofsim.model.split import Split
from roofsim.model.step import Pass, together
from roofsim.ops import gemm
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.steps import decode, prefill
from roofsim.serving.step import StepTime
from roofsim.specs.workload import workload

MODELS = ("Llama-3.1-8B", "mamba2-2.7b", "Falcon-H1-1.5B", "deepseek-v3", "mixtral-8x7b", "qwen3-next-80b-a3b")
"""Attention, a state-space model, both side by side, latents and experts, experts alone, the delta rule."""
STACKS = [(model, "vllm") for model in MODELS] + [
    ("Llama-3.1-8B", "llama.cpp"), ("mamba2-2.7b", "ideal"), ("Llama-3.1-8B", "transformers-5-eager"),
]  # fmt: skip
sizes = st.tuples(st.integers(1, 200), st.integers(1, 9000), st.integers(1, 4), st.integers(2, 3000))
stacks = pytest.mark.parametrize(("model", "runtime"), STACKS, ids=lambda name: name)


@cache
def step(model: str, runtime: str) -> StepTime:
    return StepTime(setup(model, "h100-sxm", runtime), workload(dtype="bf16", logits="last"))


def work(model: Architecture, p: Pass) -> Cost:
    return sum((row.count * each.cost for row in model.rows(p) for each in row.operators), start=Cost())


def products(model: Architecture, p: Pass) -> float:
    """Bytes of the weights of all linear layers that a pass reads."""
    ops = ((row.count, each) for row in model.rows(p) for each in row.operators if each.function is gemm.linear)
    return float(sum(n * each.cost.weights for n, each in ops))


@stacks
@settings(max_examples=3, deadline=None)
@given(size=sizes)
def test_work_adds_up_and_weights_are_read_once(model: str, runtime: str, size: tuple[int, int, int, int]) -> None:
    decodes, held, pieces, new = size
    t = step(model, runtime)
    single, prompts = t.decoding(decodes, held), t.piece(pieces, new, 512)
    if prompts.scored is not None:
        single = replace(single, scored=1)
    mixed = together([single, prompts])
    a, b, both = (work(t.s.architecture, p) for p in (single, prompts, mixed))
    assert float(both.matrix) == pytest.approx(float((a + b).matrix), rel=1e-12)
    assert float(both.vector) == pytest.approx(float((a + b).vector), rel=1e-12)
    assert float(both.state) == pytest.approx(float((a + b).state), rel=1e-12)
    assert float(both.weights) < float((a + b).weights)
    if not t.s.architecture.attends or prompts.latents == single.latents:
        assert products(t.s.architecture, mixed) == products(t.s.architecture, prompts)


@stacks
@settings(max_examples=3, deadline=None)
@given(size=sizes)
def test_a_mixed_step_keeps_the_device_less_than_both_and_no_less_than_either(
    model: str, runtime: str, size: tuple[int, int, int, int]
) -> None:
    decodes, held, pieces, new = size
    t = step(model, runtime)
    single, prompts = t.decoding(decodes, held), t.piece(pieces, new, 512)
    apart = [float(t.run([each]).device_time) for each in (single, prompts)]
    assert max(apart) * (1 - 1e-9) <= t.run([single, prompts]).device_time <= sum(apart) * (1 + 1e-9)


@stacks
@settings(max_examples=3, deadline=None)
@given(size=sizes)
def test_neither_order_nor_splitting_matters_and_one_group_is_the_plain_pass(
    model: str, runtime: str, size: tuple[int, int, int, int]
) -> None:
    decodes, held, pieces, new = size
    t = step(model, runtime)
    groups = [(2 * decodes, 1, held), (pieces, new, 512), (pieces, 7, 0)]
    split = [groups[2], (decodes, 1, held), groups[1], (decodes, 1, held)]
    assert t(groups) == t(split) == t(groups[::-1])
    stack = t.s.stack("bf16")
    for group, plain in (
        (groups[0], replace(decode(t.s, t.w), batch=2 * decodes, context=held)),
        (groups[2], replace(prefill(t.s, t.w), batch=pieces, new=7)),
    ):
        assert t([group]) == run_pass(stack, plain).time


@stacks
@settings(max_examples=3, deadline=None)
@given(size=sizes)
def test_the_compiled_step_is_the_exact_one(model: str, runtime: str, size: tuple[int, int, int, int]) -> None:
    decodes, held, pieces, new = size
    t = step(model, runtime)
    cases = [
        (decodes, held, pieces, new, 0), (decodes, held, pieces, new, 4096), (decodes, held, 0, 0, 0),
        (0, 0, pieces, new, 0), (decodes, held + 0.25, 1, 256 - decodes if decodes < 256 else 1, 100),
    ]  # fmt: skip
    times, joules = t.of(*map(np.array, zip(*cases, strict=True)))
    for case, time, energy in zip(cases, times, joules, strict=True):
        n, length, k, m, before = case
        groups = ([(n, 1, length)] if n else []) + ([(k, m, before)] if k else [])
        exact = t.run(groups)
        assert t.of(*case) == pytest.approx((float(exact.time), float(exact.energy)), rel=1e-9)
        assert (time, energy) == pytest.approx(t.of(*case), rel=1e-9)


def test_a_step_of_nothing_takes_no_time() -> None:
    t = step("mamba2-2.7b", "ideal")
    assert t.of(0) == (0, 0)
    times, joules = t.of(np.array([0.0, 1]), 100)
    assert (times[0], joules[0]) == (0, 0)
    assert times[1] > 0 < joules[1]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([], "at least one"),
        ([(1, 2)], "is no group"),
        ([(1, "x", 2)], "is no group"),
        ([(0, 1, 2)], "above 0"),
        ([(1, 0, 2)], "above 0"),
        ([(1, 1, -2)], "not below"),
        ([(1, 1, float("inf"))], "not below"),
        ([(1, 1, float("nan"))], "not below"),
    ],
)
def test_groups_that_are_none_are_refused(groups: list[tuple[float, float, float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        step("mamba2-2.7b", "ideal")(groups)


@pytest.mark.parametrize("wrong", [([-1.0], 2), ([np.nan], 2), ([1.0, 2], [1.0, 2, 3]), (["x"], 2)])
def test_arrays_that_are_none_are_refused(wrong: tuple[object, object]) -> None:
    with pytest.raises(InputError, match="step: "):
        step("mamba2-2.7b", "ideal").of(*wrong)


def test_a_setup_stays_as_it_is() -> None:
    s: Setup = setup("mamba2-2.7b", "h100-sxm", "vllm")
    assert StepTime(s, workload()).s is s


def test_several_devices_take_a_step_together_and_the_joules_are_of_all() -> None:
    for split in (Split(tp=4), Split(tp=2, dp=2)):
        t = StepTime(setup("Llama-3.1-8B", "h100-sxm", "vllm", split=split), workload(dtype="bf16", logits="last"))
        mixed = t.run([(8, 1, 1000), (1, 512, 0)])
        assert t.of(8, 1000, 1, 512, 0) == pytest.approx((float(mixed.time), 4 * float(mixed.energy)))
        assert 0 < float(mixed.network) < float(mixed.bytes)


def test_halves_of_a_step_that_overlap_are_two_passes_of_half_its_sequences() -> None:
    s = setup("Llama-3.1-8B", "h100-sxm", "vllm", split=Split(tp=4))
    policy = variant(s.runtime.parallel, overlaps="halves")
    t = StepTime(replace(s, runtime=variant(s.runtime, parallel=policy)), workload(dtype="bf16", logits="last"))
    half = run_pass(t.s.stack("bf16"), together([t.decoding(4, 1000), t.piece(1, 512)]))
    assert t([(8, 1, 1000), (2, 512, 0)]) == pytest.approx(2 * float(half.time))
    assert t.of(8, 1000, 2, 512, 0)[0] == pytest.approx(2 * float(half.time))
