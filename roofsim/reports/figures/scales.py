"""Axes of figures that are over lengths, of which there may be a single one."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from roofsim.reports.figures.style import lengths as length_axis

AROUND = 2**0.5
"""How far an axis goes beyond a single length on both sides."""


def over_lengths(axes: Axes, lengths: Sequence[int]) -> None:
    """A logarithmic axis of the lengths; of a single one around it."""
    low, high = (lengths[0], lengths[-1]) if len(lengths) > 1 else (lengths[0] / AROUND, lengths[0] * AROUND)
    length_axis(axes, low, high, "prompt (tokens)")
    if len(lengths) == 1:
        axes.xaxis.set_major_locator(FixedLocator([lengths[0]]))


def widened(lengths: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The same, or for a single length from one end of the axis to the other."""
    if len(lengths) > 1:
        return list(map(float, lengths)), list(values)
    return [lengths[0] / AROUND, lengths[0] * AROUND], [values[0]] * 2
