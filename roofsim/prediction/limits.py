"""What fits a device: the longest prompt, the largest batch, the tokens of a paged cache."""

from __future__ import annotations

from collections.abc import Callable

from roofsim.foundation.schema import variant
from roofsim.prediction.compiled import Compiled, compiled
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.results import Limits
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import prefill
from roofsim.specs.workload import MAX_COUNT, Workload

HELD = ("memory.held", "memory.grown")
"""Figures that must fit."""


def fits(s: Setup, w: Workload) -> bool:
    """Whether the model has positions for it, and prefill and generation fit the device."""
    return _fits(s, compiled(s, w, HELD, ("batch", "prompt")), w, w.batch, w.prompt)


def _fits(s: Setup, f: Compiled, w: Workload, batch: int, prompt: int, room: float = 1.0) -> bool:
    if s.architecture.positions and prompt + w.generate - 1 > s.architecture.positions:
        return False
    limit = room * float(s.device.capacity) * (s.runtime.memory.reserve or 1)
    return all(size <= limit for size in f.at(batch, prompt))


def limits_of(s: Setup, w: Workload, room: float = 1.0) -> Limits:
    """The longest prompt at this batch and the largest batch at this prompt, in so many times the device's memory."""
    f = compiled(s, w, HELD, ("batch", "prompt"))
    return Limits(
        largest(lambda n: _fits(s, f, w, w.batch, n, room)),
        largest(lambda n: _fits(s, f, w, n, w.prompt, room)),
    )


def longest_prompt(s: Setup, w: Workload) -> int:
    """The longest prompt at this batch."""
    f = compiled(s, w, HELD, ("batch", "prompt"))
    return largest(lambda n: _fits(s, f, w, w.batch, n))


def largest(holds: Callable[[int], bool], ceiling: int = MAX_COUNT) -> int:
    """The largest whole number up to `ceiling` for which `holds`, if it holds below some number and not above."""
    if not holds(1):
        return 0
    low, high = 1, 2
    while high <= ceiling and holds(high):
        low, high = high, high * 2
    high = min(high, ceiling + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def cache_capacity(s: Setup, w: Workload) -> float | None:
    """Tokens of KV cache that fit what the runtime takes at its start, in whole blocks; None if it takes nothing."""
    policy = s.runtime.memory
    precision = prefill(s, w).precision
    each = s.architecture.state_bytes(2, precision) - s.architecture.state_bytes(1, precision)
    if policy.reserve is None or not each:
        return None
    full = variant(w, prompt=policy.chunk or w.prompt)
    held = Evaluation(s, full).held
    free = float(policy.reserve * s.device.capacity - (held.reserved - held.state))
    return max(free // float(each * policy.block) * policy.block, 0.0)
