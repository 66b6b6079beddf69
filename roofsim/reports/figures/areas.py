"""Parts of a whole over length: areas on top of each other, named where they are wide enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from roofsim.reports.figures.scales import widened
from roofsim.reports.figures.style import CAPTION, ink, width_of


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


LEAST = 0.075
"""Share of the height of the axes that the name of an area needs, all along it."""

SIZE = CAPTION - 0.5
"""Size of the letters."""

PLACES = 97
"""Places along an axis at which a name is tried, and at which an area is looked at."""


def name_areas(
    axes: Axes, lengths: Sequence[int], parts: Mapping[str, Sequence[float]], colours: Mapping[str, str],
    words: Mapping[str, str], width: float,
) -> set[str]:  # fmt: skip
    """Write the names of areas into them where there is most room for them; which were. `width` is that of the axes in
    inches. The height of the axes is linear.
    """
    top, (first, last) = axes.get_ylim()[1], axes.get_xlim()
    along = np.linspace(0, 1, PLACES)
    at = np.log2(first) + along * log2(last / first)
    bottom = np.zeros(PLACES)
    named = set()
    for name, values in parts.items():
        xs, ys = widened(lengths, values)
        upper = bottom + np.interp(at, np.log2(xs), ys)
        half = width_of(words[name], SIZE) / (72 * width) / 2 + EDGE
        rooms = [(_room(along, bottom, upper, x, half), x) for x in along if half <= x <= 1 - half]
        height, x = max(rooms, default=(0.0, 0.0), key=lambda each: (round(each[0] / top, 2), -abs(each[1] - 0.5)))
        if height / top > LEAST:
            inside = abs(along - x) <= half
            middle = (bottom[inside].max() + upper[inside].min()) / 2
            axes.text(first * (last / first) ** x, middle, words[name], ha="center", va="center", fontsize=SIZE,
                      color=over(colours[name]), bbox={"facecolor": colours[name], "lw": 0, "pad": 1.2})  # fmt: skip
            named.add(name)
        bottom = upper
    return named


EDGE = 0.015
"""What is left free beside a name, of the width of the axes."""


def _room(along: Any, bottom: Any, upper: Any, x: float, half: float) -> float:
    """The height of an area that holds all along a name at x."""
    inside = abs(along - x) <= half
    return float(upper[inside].min() - bottom[inside].max())


def over(colour: Any) -> str:
    """What can be read on a colour: black or white."""
    red, green, blue = to_rgb(colour)
    return "#111111" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#FFFFFF"
