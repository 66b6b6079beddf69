"""Axes of lengths and of quantities."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, MultipleLocator, NullLocator

from roofsim.report.figures.style import ticks, tokens

TICKS = 6
"""Lengths that an axis names at most."""


def length_axis(axes: Axes, lengths: Sequence[int], label: str = "prompt (tokens)") -> None:
    """A logarithmic axis of the lengths; of a single one around it."""
    low, high = (lengths[0], lengths[-1]) if len(lengths) > 1 else (lengths[0] / 2**0.5, lengths[0] * 2**0.5)
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    first, last = -int(-log2(low) // 1), int(log2(high))
    step = max(-(-(last - first) // (TICKS - 1)), 1)
    # counted from the far end: what a power of two is near to there is what people ask for
    named = [2.0**k for k in range(last, first - 1, -step)] if len(lengths) > 1 else [lengths[0]]
    axes.xaxis.set_major_locator(FixedLocator(named))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(tokens))
    axes.set_xlabel(label)


def widened(lengths: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The same, or for a single length from one end of the axis to the other."""
    if len(lengths) > 1:
        return list(map(float, lengths)), list(values)
    return [lengths[0] / 2**0.5, lengths[0] * 2**0.5], [values[0]] * 2


def quantities(axis: Any, unit: str, end: float, most: int = TICKS) -> None:
    """A linear axis of quantities from nought to `end`; bytes stand at multiples of powers of two."""
    if unit == "B" and end > 0:
        axis.set_major_locator(MultipleLocator(2.0 ** ceil(log2(end / most))))
    else:
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    ticks(axis, unit)


def decades(axis: Any, unit: str, low: float, high: float) -> None:
    """A logarithmic axis of quantities: at 1, 2 and 5 where there are few decades."""
    span = high / low
    axis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if span < FEW else (1,)))
    ticks(axis, unit)


FEW = 50
"""Spans below which more than decades are named."""
