"""The largest of several numbers that chance draws."""

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
