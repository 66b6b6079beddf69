"""A front over two figures."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from roofsim.explore.fronts import Front
from roofsim.explore.pareto import SENSES
from roofsim.report.figures.numbers import figure_axis, number, text
from roofsim.report.figures.style import colours, look, subplots
from roofsim.report.theme import Theme

NAMED = 12
"""Points of a front up to which each is named by what was chosen for it."""


def pareto(found: Front, *, theme: Theme = "light") -> Figure:
    """The points of a front over its first two objectives before some of the others; a third is the colour."""
    names = [*found.objectives]
    units_of = found.found.units()
    rows = list(found.found.rows())
    x, y = ([row[name] for row in rows] for name in names[:2])
    with look(theme):
        figure, axes = subplots(figsize=(5.8, 4.0))
        axes.plot(*found.cloud[:2], ls="none", marker=".", ms=3, color="0.75", label="other points", zorder=1)
        if len(names) == 2:
            order = sorted(range(len(x)), key=lambda i: x[i] * SENSES[found.objectives[names[0]]])
            axes.step([x[i] for i in order], [y[i] for i in order], where="post", color=colours()[0], lw=1, zorder=2)
            axes.plot(x, y, ls="none", marker="o", ms=5, color=colours()[0], label="front", zorder=3)
        else:
            colour = [row[names[2]] for row in rows]
            points = axes.scatter(
                x, y, c=colour, cmap="viridis", s=26, edgecolor="black", lw=0.4, label="front", zorder=3
            )
            unit = units_of[names[2]]
            bar = figure.colorbar(points, ax=axes, format=FuncFormatter(lambda v, _: text(v, unit)))
            bar.set_label(_label(found, names[2]))
        for name, values, which in ((names[0], x, "x"), (names[1], y, "y")):
            figure_axis(axes, which, units_of[name], [float(v) for v in (*values, *found.cloud[names.index(name)])])
            getattr(axes, f"set_{which}label")(_label(found, name))
        _named(axes, found, rows, x, y)
        searched = f"; {found.search}" if found.search else ""
        same = [str(axis.values[0]) for axis in found.found.study.space.choices if len(axis) == 1]
        axes.set_title(f"{', '.join(same)}\n{len(rows):,} of {found.feasible:,} points{searched}".strip(), fontsize=9)
        axes.legend(fontsize=7, loc="best")
        return figure


def _label(found: Front, name: str) -> str:
    return f"{name} ({'less' if found.objectives[name] == 'min' else 'more'} is better)"


def _named(axes: Axes, found: Front, rows: list[dict[str, Any]], x: list[float], y: list[float]) -> None:
    """Names of the points, by the values that differ between them, where they are few."""
    if len(rows) > NAMED:
        return
    varied = [each.name for each in found.found.study.space.axes if len({row[each.name] for row in rows}) > 1]
    unit = found.found.units()
    for row, across, up in zip(rows, x, y, strict=True):
        words = [
            str(row[n]) if isinstance(row[n], str) else f"{n.split('.')[-1]} {number(row[n], unit[n])}" for n in varied
        ]
        axes.annotate(", ".join(words), (across, up), fontsize=5.5, xytext=(4, 3), textcoords="offset points")
