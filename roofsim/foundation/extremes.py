"""The largest of several numbers that chance draws, and the places that draws fall on."""

from __future__ import annotations

import math
from functools import cache

REACH, STEPS = 9.0, 900
"""Simpson's rule: from so far below to so far above the mean, in so many steps; 2 · 10⁻¹⁹ of a normal lies beyond."""


@cache
def largest(of: int) -> tuple[float, float]:
    """The expectations of the largest of so many standard normals, and of its square."""
    wide = 2 * REACH / STEPS
    first = second = 0.0
    for step in range(STEPS + 1):
        x = step * wide - REACH
        weight = wide / 3 * (1 if step in (0, STEPS) else 4 if step % 2 else 2)
        below = math.erfc(-x / math.sqrt(2)) / 2
        density = of * below ** (of - 1) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        first += weight * density * x
        second += weight * density * x * x
    return first, second


@cache
def places(bins: int, experts: int, groups: int, limit: int, top_k: int) -> float:
    """Bins with at least one of `top_k` experts that a token chooses, if `bins` share the experts evenly.

    The experts of a token are drawn without return from `limit` of their `groups`, each group as likely as another.
    Bins hold whole groups or parts of one; where the numbers do not allow it, experts are taken to lie anywhere.
    """
    if groups % bins and bins % groups:
        groups = limit = 1
    open_to = experts * limit / groups
    if bins >= groups:
        return bins * limit / groups * (1 - _missed(experts / bins, open_to, top_k))
    held = groups // bins
    ways = math.comb(groups, limit)
    return bins * sum(
        math.comb(held, each) * math.comb(groups - held, limit - each) / ways
        * (1 - _missed(each * experts / groups, open_to, top_k))
        for each in range(1, min(held, limit) + 1)
    )  # fmt: skip


def _missed(some: float, of: float, draws: int) -> float:
    """The probability that so many draws without return all miss `some` of a number."""
    return math.prod(max(of - some - each, 0) / (of - each) for each in range(draws))
