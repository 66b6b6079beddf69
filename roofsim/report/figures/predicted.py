"""What was predicted over what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from roofsim.report.figures.points import BANDS, ROOM, Point, by_panel, key, logarithmic, looks_of, panels_of
from roofsim.report.figures.style import look
from roofsim.report.theme import Theme
from roofsim.report.validation import UNITS


def predicted(
    points: Sequence[Point], which: str = "", bars: str = "95 % interval", *, theme: Theme = "light"
) -> Figure:
    """Predictions with their intervals over what was measured, one panel per metric and stack."""
    groups = by_panel(points)
    with look(theme):
        marks = looks_of([point.phase for point in points])
        figure, panels = panels_of(len(groups), 3.2, f"predicted{which}")
        for axes, (panel, mine) in zip(panels, groups.items(), strict=True):
            ends = _ends([x for p in mine for x in (p.measured, p.predicted)])
            for size, grey in BANDS:
                below, above = ([x * (1 + sign * size) for x in ends] for sign in (-1, 1))
                axes.fill_between(ends, below, above, color=grey, lw=0, zorder=0)
            axes.plot(ends, ends, color="0.4", lw=0.8)
            for label, mark in marks.items():
                shown = [p for p in mine if p.phase == label]
                x, y, low, high = (
                    np.array([getattr(p, name) for p in shown]) for name in ("measured", "predicted", "low", "high")
                )
                axes.errorbar(x, y, [y - low, high - y], ms=2.5, elinewidth=0.4, **mark)
            for scale, limit in ((axes.set_xscale, axes.set_xlim), (axes.set_yscale, axes.set_ylim)):
                scale("log")
                limit(*ends)
            for axis in (axes.xaxis, axes.yaxis):
                logarithmic(axis, ends, UNITS.get(mine[0].metric, "").replace("count", ""))
            axes.tick_params(labelsize=7)
            axes.set_title(panel, fontsize=8)
            axes.set_xlabel("measured")
        key(figure, marks, Line2D([], [], color="0.3", marker="|", ms=8, ls="none", label=bars))
    return figure


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Where the axes of a panel end: a little beyond the values, on both axes."""
    return min(values) / ROOM, max(values) * ROOM
