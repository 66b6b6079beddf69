"""What holds for every shipped device, model and runtime together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofsim import library
from roofsim.engine.passes import PassFigures, run_pass
from roofsim.engine.roofline import Machine, gap_time, graphs
from roofsim.foundation.cost import Cost
from roofsim.foundation.schema import variant
from roofsim.lowering.fused import FEW_LOOKED_UP
from roofsim.lowering.masked import ALIGNED
from roofsim.lowering.step import common_tiles, drops_cache
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass
from roofsim.ops.recurrence import delta_rule
from roofsim.ops.scan import ssd_scan
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.steps import decode, prefill
from roofsim.specs.device import Device
from roofsim.specs.workload import Workload, workload

DEVICES = list(library.all_devices())
ANY_MODEL, ANY_DEVICE, ANY_RUNTIME = "mamba-130m", "rtx-4090", "ideal"
PROMPTS = np.array([1.0, 7, 300, 5000, 131_072])
ROUNDING = 1 + 1e-9


def at_least(figure: object, other: object) -> bool:
    return bool(np.all(np.asarray(figure) * ROUNDING >= other))


def own_work(model: Architecture, p: Pass) -> Cost:
    return sum((row.count * each.cost for row in model.rows(p) for each in row.operators), start=Cost())


def passes(s: Setup, w: Workload, **numbers: Any) -> Iterator[tuple[Pass, PassFigures]]:
    """Both passes of a request, on a machine with other numbers where some are given."""
    stack = s.stack(w.dtype)
    stack = replace(stack, machine=replace(stack.machine, **numbers))
    for p in (prefill(s, w), decode(s, w)):
        yield p, run_pass(stack, p)


def column(values: Sequence[float]) -> np.ndarray:
    return np.array(values, float)[:, None]


@cache
def side_by_side(dtype: str) -> tuple[list[str], Machine]:
    """All devices for which `dtype` is the best, and a machine with a row for each of them."""
    setups = [setup(ANY_MODEL, device, ANY_RUNTIME) for device in DEVICES if device.default_dtype == dtype]
    machines = [s.machine(dtype) for s in setups]
    names = [each.name for each in fields(Machine) if each.name not in ("peaks", "by_vectors")]
    numbers = {name: [getattr(m, name) for m in machines] for name in names}
    parameters = {name: column([m[name] for m in machines]) for name in numbers.pop("parameters")[0]}
    rows = {name: column(values) for name, values in numbers.items()}
    return [s.device.id for s in setups], Machine(**rows, parameters=parameters)


def evenly(s: Setup) -> Setup:
    """The same where each expert is chosen as often as any other, as the count of a model's own work has it."""
    return replace(s, runtime=variant(s.runtime, parallel=variant(s.runtime.parallel, expert_spread=None)))


@pytest.mark.parametrize("dtype", sorted({device.default_dtype for device in DEVICES}))
def test_no_prediction_is_below_what_the_silicon_allows(stack: tuple[str, str], dtype: str) -> None:
    """Weights and state cannot come faster than memory, nor matrix work than the peak, on any device."""
    devices, m = side_by_side(dtype)
    s = evenly(setup(stack[0], ANY_DEVICE, stack[1]))
    numbers = {each.name: getattr(m, each.name) for each in fields(Machine)}
    for p, predicted in passes(s, workload(prompt=PROMPTS, dtype=dtype), **numbers):
        cost = own_work(s.architecture, p)
        least = np.maximum(cost.matrix / m.matrix_rate, (cost.weights + cost.state) / m.bandwidth)
        slow = np.all(predicted.time * ROUNDING >= least, axis=1)
        assert [device for device, ok in zip(devices, slow, strict=True) if not ok] == [], p.phase
        assert at_least(1, predicted.mfu), p.phase
        assert at_least(1, predicted.mbu), p.phase


BY_TOKEN: dict[str, tuple[Any, ...]] = {"ggml_cpu": (ssd_scan, delta_rule), "ggml_cuda": (delta_rule,)}
"""What lowerings do token after token, with less work than chunks would be."""


def test_a_runtime_moves_at_least_the_weights_and_the_state_and_does_all_the_work(stack: tuple[str, str]) -> None:
    s = evenly(setup(stack[0], "rtx-4090", stack[1]))
    by_token = BY_TOKEN.get(s.runtime.lowering, ())
    for p, predicted in passes(s, workload(prompt=PROMPTS)):
        cost = own_work(s.architecture, p)
        assert at_least(predicted.bytes, cost.weights + cost.state), p.phase
        # a stack may do matrix work on the vector unit, in fp32; token after token there is less of it than in chunks
        if not any(o.function in by_token for row in s.architecture.rows(p) for o in row.operators):
            assert at_least(predicted.matrix_flops + predicted.vector_flops, cost.matrix), p.phase


def test_time_is_between_the_longer_and_the_sum_of_host_and_device(stack: tuple[str, str]) -> None:
    s = setup(stack[0], "orin", stack[1])
    for each, p in passes(s, workload(prompt=PROMPTS, batch=3)):
        assert at_least(p.time, p.host_time)
        assert at_least(p.time, p.device_time)
        # in which neither does anything
        gaps = (
            p.kernels * gap_time(s.runtime, each.phase)
            + graphs(s.runtime, each.phase) * s.machine("bf16")["replay_time"]
        )
        assert at_least(p.host_time + p.device_time + gaps, p.time)


@pytest.mark.parametrize("size", ["batch", "prompt"])
def test_a_larger_request_takes_no_less_time_traffic_or_memory(stack: tuple[str, str], size: str) -> None:
    s = setup(stack[0], "rtx-4090", stack[1])
    if size == "prompt":
        s = replace(s, architecture=unchunked(s.architecture))
    if size == "prompt" and s.architecture.family == "xlstm" and s.runtime.lowering == "eager":
        pytest.skip("the library's code takes the tokens after the last whole chunk one by one: 64 are faster than 63")
    chunks = any(part.kind in ("mamba2", "parallel") for layer in s.architecture.layers.values() for part in layer)
    if size == "prompt" and chunks and s.runtime.lowering == "ggml_cuda":
        pytest.skip("up to 128 tokens are scanned one by one, more in chunks: 129 are faster")
    if size == "prompt" and s.runtime.attention.each_head and any(shares(s.architecture)):
        pytest.skip("where many heads share a key, 8,192 keys are read once for all of them, fewer for each")
    if size == "prompt" and s.architecture.attends and s.runtime.lowering == "ggml_cpu":
        pytest.skip("up to 63 queries are scored one by one, more in tiles: 64 may be faster")
    growing = np.unique(np.geomspace(1, 200_000, 200).round())
    if s.runtime.lowering == "serving":
        # up to 16 rows of the table are looked up one after the other, 17 at once
        growing = growing[(growing == 1) | (growing > FEW_LOOKED_UP)]
    if size == "prompt" and s.runtime.attention.mask != "never":
        # a mask whose rows are no multiple of 8 is copied first, so that only lengths alike are compared
        growing = np.unique(ALIGNED * np.ceil(growing / ALIGNED))
    w = workload(**{size: growing})
    predicted = {p.phase: each for p, each in passes(s, w)}
    figures = {"peak": Evaluation(s, w).memory.peak} | {
        f"{phase} {name}": getattr(each, name)
        for phase, each in predicted.items()
        for name in ("time", "device_time", "host_time", "kernels", "matrix_flops", "vector_flops", "bytes", "energy")
    }
    spread = {name: np.broadcast_to(figure, growing.shape) for name, figure in figures.items()}
    if size == "batch" and common_tiles(s.runtime, s.device) is not None:
        del spread[
            "decode kernels"
        ]  # where blocks fill the device, keys are not split, and no kernel sums up the parts
    if size == "prompt" and s.runtime.attention.copies_queries and s.architecture.declared_window():
        # from the window on there is a mask, under which heads are merged without a copy
        del spread["prefill kernels"], spread["prefill host_time"]
    falls = {name: growing[1:][each[1:] * ROUNDING < each[:-1]].tolist() for name, each in spread.items()}
    assert {name: lengths for name, lengths in falls.items() if lengths} == {}


def shares(model: Architecture) -> Iterator[bool]:
    """Whether more than four query heads share a key, for every part that attends."""
    for layer in model.layers.values():
        for part in layer:
            if part.kind == "attention":
                yield part.heads > 4 * part.kv_heads


def unchunked(model: Architecture) -> Architecture:
    """With windows for chunks of attention: a token that begins a chunk sees only itself, so more can take less."""
    layers = {
        name: tuple(
            variant(part, chunk=None, window=part.chunk) if part.kind == "attention" and part.chunk else part
            for part in layer
        )
        for name, layer in model.layers.items()
    }
    return variant(model, layers=layers)


numbers = st.sampled_from(["matrix_rate", "vector_rate", "bandwidth", "cache"])


@settings(max_examples=60)
@given(data=st.data(), device=st.sampled_from(DEVICES), number=numbers, factor=st.floats(1, 16))
def test_a_faster_device_is_never_slower(
    stacks: Sequence[tuple[str, str]], data: st.DataObject, device: Device, number: str, factor: float
) -> None:
    model, runtime = data.draw(st.sampled_from(stacks))
    s = setup(model, device, runtime)
    w = workload(prompt=PROMPTS, dtype=device.default_dtype)
    m: Machine = s.machine(w.dtype)
    faster = {number: factor * getattr(m, number)}
    for (_, slow), (_, fast) in zip(passes(s, w), passes(s, w, **faster), strict=True):
        assert at_least(slow.time, fast.time)


def test_the_state_that_is_held_is_what_the_model_says(stack: tuple[str, str]) -> None:
    s = setup(stack[0], "rtx-4090", stack[1])
    for prompt in (1, 1000, 30_000):
        w = workload(prompt=prompt, batch=3)
        held = 3 * s.architecture.state_bytes(prompt + s.runtime.spare, prefill(s, w).precision)
        dropped = drops_cache(s.architecture, s.runtime)
        assert Evaluation(s, w).memory.state == pytest.approx(0 if dropped else held)
