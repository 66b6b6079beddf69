"""Parts of a whole over length: areas on top of each other, named where they are wide enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from roofsim.report.figures.style import CAPTION, ink, tokens, width_of

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


def stacked(
    axes: Axes, lengths: Sequence[int], parts: Mapping[str, Sequence[float]], colours: Mapping[str, str],
    hatched: Mapping[str, Sequence[float]] | None = None, hatch: str = "//////",
) -> None:  # fmt: skip
    """Areas on top of each other in the order of `parts`; of each its lower part in `hatched` is hatched."""
    base = np.zeros(len(widened(lengths, [0.0] * len(lengths))[0]))
    for name, values in parts.items():
        xs, ys = widened(lengths, values)
        axes.fill_between(xs, base, base + ys, color=colours[name], lw=0, label=name)
        some = (hatched or {}).get(name)
        if some is not None and any(some):
            below = np.array(widened(lengths, some)[1])
            axes.fill_between(
                xs, base, base + below, facecolor="none", edgecolor=over(colours[name]), hatch=hatch, lw=0, alpha=0.45
            )
        base = base + ys
    axes.set_axisbelow(False)
    axes.grid(alpha=0.25, color=ink(0.0))


LEAST = 0.085
"""Share of the height of the axes that the name of an area needs."""


def name_areas(
    axes: Axes, lengths: Sequence[int], parts: Mapping[str, Sequence[float]], colours: Mapping[str, str],
    words: Mapping[str, str], width: float, size: float = CAPTION - 0.5,
) -> set[str]:  # fmt: skip
    """Write the names of areas into them where they are high enough; which were. `width` is that of the axes, inches.

    Linear axes of height are taken.
    """
    top, (first, last) = axes.get_ylim()[1], axes.get_xlim()
    bottom = np.zeros(len(lengths))
    named = set()
    for name, values in parts.items():
        heights = np.array(values) / top
        place = int(np.argmax(heights))
        wide = width_of(words[name], size) / (72 * width)
        if heights[place] > LEAST:
            x = log2(lengths[place] / first) / log2(last / first)
            x = min(max(x, 0.02 + wide / 2), 0.98 - wide / 2)
            at = first * (last / first) ** x
            middle = np.interp(log2(at), np.log2(lengths), bottom + np.array(values) / 2)
            room = np.interp(log2(at), np.log2(lengths), heights)
            if room > LEAST and wide < 1:
                ground = {"facecolor": colours[name], "lw": 0, "pad": 1.2}
                axes.text(at, middle, words[name], ha="center", va="center", fontsize=size, color=over(colours[name]),
                          bbox=ground)  # fmt: skip
                named.add(name)
        bottom = bottom + np.array(values)
    return named


def over(colour: Any) -> str:
    """What can be read on a colour: black or white."""
    red, green, blue = to_rgb(colour)
    return "#111111" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#FFFFFF"
