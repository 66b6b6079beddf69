"""Axes of numbers and of figures, as studies have them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from roofsim.foundation import units
from roofsim.prediction.spoken import words
from roofsim.spaces.sensitivity import Axis


def text(value: float, unit: str) -> str:
    """A figure with two digits."""
    if unit:
        return units.show(value, unit, 2)
    return units.significant(value, 2) if 0.01 <= abs(value) < LARGE else f"{value:.2g}"


LARGE = 1e6
"""Numbers without a unit from which on a power of ten is shorter."""


def number_axis(axes: Axes, name: str, spread: Axis) -> None:
    """A logarithmic axis of a number: counts by powers of two, others by what the number is now and twice that ..."""
    low, high = min(spread.values), max(spread.values)
    whole = all(value % 1 == 0 for value in spread.values)
    first = 1.0 if whole else spread.now
    ends = (int(np.ceil(np.log2(low / first) - EDGE)), int(np.floor(np.log2(high / first) + EDGE)))
    step = max(-(-(ends[1] - ends[0]) // MOST_TICKS), 1)
    axis = getattr(axes, f"{name}axis")
    getattr(axes, f"set_{name}scale")("log", base=2)
    axis.set_major_locator(FixedLocator([first * 2.0**k for k in range(ends[0], ends[1] + 1, step)]))
    axis.set_major_formatter(FuncFormatter(lambda v, _: number(v, spread.unit)))
    axis.set_minor_locator(NullLocator())
    getattr(axes, f"set_{name}lim")(low, high)
    getattr(axes, f"set_{name}label")(words(spread.number))


EDGE = 1e-9
"""By how much an end of an axis may be missed by rounding."""
MOST_TICKS = 7


def number(value: float, unit: str) -> str:
    """A number that is varied."""
    if unit:
        return units.show(value, unit)
    if value >= 1024 and value % 1024 == 0:
        return f"{value / 1024:g}k"
    return f"{value:,.0f}" if value % 1 == 0 else units.significant(value)
