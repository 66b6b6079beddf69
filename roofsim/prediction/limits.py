"""What fits a device: the longest prompt, the largest batch, the tokens of a paged cache."""

from __future__ import annotations

from collections.abc import Callable

from roofsim.foundation.schema import variant
from roofsim.foundation.units import MAX_COUNT
from roofsim.prediction.compiled import Compiled, compiled
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.results import Limits, Reason
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import most_tokens, prefill
from roofsim.specs.workload import Workload

HELD = ("memory.held", "memory.grown", "fits_behind")
"""Figures that must fit the device, and whether what lies behind it fits there."""


def fits(s: Setup, w: Workload) -> bool:
    """Whether the model has positions for it, and prefill and generation fit the device."""
    return bool(compiled(s, w, ("fits",), ("batch", "prompt")).at(w.batch, w.prompt)[0])


def _holds(s: Setup, held: Compiled, batch: int, prompt: int, room: float = 1.0) -> bool:
    """Whether a request fits, in so many times the memory of the device, and in that of the host what lies there."""
    limit = room * float(s.device.share(s.runtime.memory.reserve or 1))
    *sizes, fits_behind = held.at(batch, prompt)
    return bool(fits_behind) and all(size <= limit for size in sizes)


def _last_prompt(positions: int, w: Workload) -> int:
    """The longest prompt that leaves positions for what is generated; 0 stands for any number of them."""
    return max(positions - w.generate + 1, 0) if positions else MAX_COUNT


def limits_of(s: Setup, w: Workload, room: float = 1.0) -> Limits:
    """The longest prompt at this batch and the largest batch at this prompt, in so many times the device's memory.

    Prompts end with the context window. What is beyond it can still be run, unless a table of positions ends there.
    """
    held = compiled(s, w, HELD, ("batch", "prompt"))
    in_memory = largest(lambda n: _holds(s, held, w.batch, n, room))
    window = _last_prompt(s.architecture.window, w)
    has_positions = w.prompt <= _last_prompt(s.architecture.positions, w)
    batch = largest(lambda n: _holds(s, held, n, w.prompt, room)) if has_positions else 0
    return Limits(
        max_prompt=min(in_memory, window),
        max_batch=batch,
        prompt_bound=_reason(min(in_memory, window), window <= in_memory),
        batch_bound=_reason(batch, not has_positions),
        memory_prompt=in_memory,
    )


def _reason(most: int, by_window: bool) -> Reason:
    return "nothing" if most >= MAX_COUNT else "context window" if by_window else "memory"


def longest_prompt(s: Setup, w: Workload) -> int:
    """The longest prompt at this batch that can be run, within the context window or not."""
    held = compiled(s, w, HELD, ("batch", "prompt"))
    return min(largest(lambda n: _holds(s, held, w.batch, n)), _last_prompt(s.architecture.positions, w))


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
    each = s.stage.state_bytes(2, precision) - s.stage.state_bytes(1, precision)
    if policy.reserve is None or not each:
        return None
    return max(cache_room(s, w) // float(each * policy.block) * policy.block, 0.0) * s.split.dp


def cache_room(s: Setup, w: Workload, tokens: int | None = None) -> float:
    """Bytes for caches and states beside weights and a step of the most `tokens`, in what a runtime takes of a device.

    One that takes nothing beforehand has the whole device. Where the step lies beside what is taken, that is so much
    of what the driver leaves.
    """
    full, policy = variant(w, prompt=tokens or most_tokens(s) or w.prompt), s.runtime.memory
    held, share = Evaluation(s, full).held, policy.reserve or 1
    if policy.beside:
        context = policy.context.value if policy.context else 0
        return float(s.device.share(share) - share * context - held.weights)
    return float(s.device.share(share) - (held.reserved - held.state))
