"""Meters beside the clock: memory, kernels and energy."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from roofsim.foundation.values import dataclass
from roofsim.measure.stack import Stack

T = TypeVar("T")

MOST_KERNELS = 30
"""How many kernels of a pass are kept by name."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes at the peak of a pass; None where nothing counts them."""

    peak: int | None
    reserved: int | None


def with_memory(stack: Stack, held: int, work: Callable[[], T]) -> tuple[T, Memory]:
    """Do some work and watch the peak of its memory.

    On a GPU what PyTorch's allocator hands out and reserves. On a processor, under Linux, by how much the process
    grows at most above what it was before, with `held`, the bytes of the weights, on top.
    """
    if stack.on == "cuda":
        stack.release()
        stack.torch.cuda.reset_peak_memory_stats()
        result = work()
        return result, Memory(stack.torch.cuda.max_memory_allocated(), stack.torch.cuda.max_memory_reserved())
    before = _resident("VmRSS") if _forget_peak() else None
    result = work()
    after = _resident("VmHWM")
    return result, Memory(None if before is None or after is None else held + max(after - before, 0), None)


def _forget_peak() -> bool:
    """Let the kernel begin anew to look for the process's peak (proc(5), clear_refs)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident(field: str) -> int | None:
    try:
        found = re.search(rf"^{field}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


@dataclass(frozen=True, slots=True)
class Profile:
    """What the device ran in one pass: summed durations, how many, and the longest by name, copies included."""

    device_time: float
    kernels: int
    longest: tuple[tuple[str, float, int], ...]


def profiled(stack: Stack, work: Callable[[], object]) -> Profile | None:
    """The kernels of one pass, by PyTorch's profiler; None on a processor, which has no queue of them."""
    if stack.on != "cuda":
        return None
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        work()
        stack.sync()
    names: dict[str, tuple[float, int]] = {}
    for event in seen.events():
        if event.device_type == stack.torch.autograd.DeviceType.CUDA and not getattr(
            event, "is_user_annotation", False
        ):
            seconds, count = names.get(event.name, (0.0, 0))
            names[event.name] = (seconds + event.time_range.elapsed_us() * 1e-6, count + 1)
    if not names:
        return None
    longest = sorted(((name, *each) for name, each in names.items()), key=lambda each: -each[1])
    return Profile(sum(t for t, _ in names.values()), sum(n for _, n in names.values()), tuple(longest[:MOST_KERNELS]))


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of one pass, and the mean power while passes ran one after another."""

    per_pass: float
    power: float


class Counter:
    """The energy counter of a GPU (NVML); `read` is None where there is none."""

    def __init__(self, stack: Stack) -> None:
        self.read: Callable[[], float] | None = None
        if stack.on == "cuda":
            try:
                import pynvml

                pynvml.nvmlInit()
                handle = _handle(pynvml, stack.torch)
                pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            except Exception:  # no library, no driver or no counter: there is no energy to be had
                return
            self.read = lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) * 1e-3


def _handle(nvml: Any, torch: Any) -> Any:
    """The GPU that PyTorch calls the current one: NVML does not know CUDA_VISIBLE_DEVICES."""
    index = torch.cuda.current_device()
    try:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(index).uuid}")
    except Exception:  # no uuid, or of a form that this NVML does not take
        return nvml.nvmlDeviceGetHandleByIndex(index)


def energy_of(
    stack: Stack, counter: Counter, work: Callable[[], object], seconds: float, most: int | None = None
) -> Energy | None:
    """Run passes for `seconds`, at most `most` of them, and share the energy among them.

    The counter moves in steps of some 100 ms, so that only whole steps are counted: from the first pass after
    which it has moved to the last one.
    """
    if counter.read is None or seconds <= 0:
        return None
    moved: list[tuple[float, float, int]] = []  # when, energy so far, passes so far
    start, last, done = perf_counter(), counter.read(), 0
    while perf_counter() - start < seconds and (most is None or done < most):
        work()
        stack.sync()
        done += 1
        now, energy = perf_counter(), counter.read()
        if energy != last:
            moved.append((now, energy, done))
            last = energy
    if len(moved) < 2:
        return None
    (t0, e0, n0), (t1, e1, n1) = moved[0], moved[-1]
    return Energy((e1 - e0) / (n1 - n0), (e1 - e0) / (t1 - t0))
