"""A front over two figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from roofsim.foundation.pareto import SENSES
from roofsim.prediction.intervals import Interval
from roofsim.prediction.metrics import WORDED
from roofsim.reports.figures.about import said, study
from roofsim.reports.figures.labels import Label, among, settle
from roofsim.reports.figures.style import MARKERS, colours, heading, ink, look, looks, quantities, subplots
from roofsim.reports.theme import Theme
from roofsim.spaces.evaluate import COLUMNS
from roofsim.spaces.fronts import Front, intervals_of

NAMED = 14
"""Points of a front up to which each is named by what was chosen for it."""

WHISKERED = 40
"""Points of a front up to which each has its intervals."""

SHARES = np.linspace(0, 1, 9)
"""Where on an interval names look for it."""

GROUPS = 7
"""Choices of a kind that are told apart by colour."""

LOGARITHMIC, MARGIN = 8, 0.06
"""From this factor on an axis is logarithmic; what is left free beyond the points, of the length of an axis."""


def pareto(found: Front, *, theme: Theme = "light") -> Figure:
    """The points of a front over its first two objectives before some of the others, led by a line of what can be had.

    Models, or what else is chosen by name, differ in colour; a third objective is the colour instead.
    """
    names = [*found.objectives]
    rows = list(found.found.rows())
    units = found.found.units()
    points = {name: [float(row[name]) for row in rows] for name in names}
    ends = [[each.get(name) for each in (intervals_of(found) if len(rows) <= WHISKERED else [])] for name in names[:2]]
    with look(theme):
        figure, axes = subplots(figsize=(6.8, 4.6))
        for which, name, cloud in zip(("x", "y"), names, found.cloud, strict=False):
            beyond = [end for each in ends[names.index(name)] for end in each or ()]
            _scale(axes, which, units[name], [*points[name], *map(float, cloud), *beyond] or [1.0])
            getattr(axes, f"set_{which}label")(_label(found, name))
        axes.plot(*found.cloud[:2], ls="none", marker=".", ms=3, color=ink(0.3), label="other points", zorder=1)
        x, y = (points[name] for name in names[:2])
        order = sorted(range(len(x)), key=lambda i: x[i] * SENSES[found.objectives[names[0]]])
        if len(names) == 2:
            axes.step([x[i] for i in order], [y[i] for i in order], where="post", color=ink(0.55), lw=1, zorder=2)
        groups = _groups(found, rows)
        if len(names) > 2 and rows:
            _third(figure, axes, found, names[2], points, units[names[2]], groups)
        else:
            _grouped(axes, x, y, groups)
        whiskers = _whiskered(axes, x, y, ends)
        figure.legend(loc="outside lower center", ncols=5)
        searched = f"; {found.search}" if found.search else ""
        title = f"Front: {len(rows):,} of {found.feasible:,} points, none better in all"
        heading(figure, title, study(found.found) + searched, _chosen(found, rows))
        settle(figure)
        if rows:
            _name(axes, found, rows, groups, x, y, whiskers)
        return figure


def _whiskered(
    axes: Axes, x: Sequence[float], y: Sequence[float], ends: Sequence[Sequence[Interval | None]]
) -> Sequence[tuple[float, float]]:
    """The intervals of both objectives as lines through the points; places on them, which names keep clear of."""
    lines = [((low, other), (high, other)) for each, other in zip(ends[0], y, strict=False) if each
             for low, high in (each,)]  # fmt: skip
    lines += [((other, low), (other, high)) for each, other in zip(ends[1], x, strict=False) if each
              for low, high in (each,)]  # fmt: skip
    for i, (start, end) in enumerate(lines):
        axes.plot(*zip(start, end, strict=True), color=ink(0.4), lw=0.7, zorder=2,
                  label="" if i else "95 % interval")  # fmt: skip
    return [(a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])) for a, b in lines for share in SHARES]


def _chosen(found: Front, rows: Sequence[Mapping[str, Any]]) -> str:
    """What all points of the front share though the study varies it."""
    varied = [axis.name for axis in found.found.study.space.axes if len(axis) > 1]
    units = found.found.units()
    same = [said(name, rows[0][name], units.get(name, "")) for name in varied if len({row[name] for row in rows}) == 1]
    return f"all of the front: {', '.join(same)}" if same else ""


def _scale(axes: Axes, which: Any, unit: str, values: Sequence[float]) -> None:
    low, high = min(values), max(values)
    if low > 0 and high > LOGARITHMIC * low:
        beyond = (high / low) ** MARGIN
        quantities(axes, which, unit, low / beyond, high * beyond, log=True)
    else:
        beyond = MARGIN * (high - low) or MARGIN * abs(high) or 1.0
        quantities(axes, which, unit, low - beyond, high + beyond, log=False)


def _label(found: Front, name: str) -> str:
    words = WORDED.get(COLUMNS.get(name, ""), name.replace("_", " "))
    return f"{words} ({'less' if found.objectives[name] == 'min' else 'more'} is better)"


def _groups(found: Front, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first choice by name in which points differ, of each; nothing where they do not or are too many to tell."""
    for axis in found.found.study.space.choices:
        values = [str(row[axis.name]) for row in rows]
        if 1 < len(set(values)) <= GROUPS:
            return values
    return [""] * len(rows)


def _grouped(axes: Axes, x: Sequence[float], y: Sequence[float], groups: Sequence[str]) -> None:
    for group, each in looks(sorted(set(groups))).items():
        inside = [i for i, name in enumerate(groups) if name == group]
        axes.plot([x[i] for i in inside], [y[i] for i in inside], ls="none", marker=each.marker, ms=6,
                  color=each.colour, mec=ink(0), mew=0.5, label=group or "front", zorder=3)  # fmt: skip


def _third(
    figure: Figure, axes: Axes, found: Front, name: str, points: Mapping[str, Sequence[float]], unit: str,
    groups: Sequence[str],
) -> None:  # fmt: skip
    """Points of which the colour is a third objective, and the marker what they differ in by name."""
    x, y = (points[each] for each in [*points][:2])
    norm = Normalize(min(points[name]), max(points[name]))
    for marker, group in zip(MARKERS * len(groups), sorted(set(groups)), strict=False):
        inside = [i for i, each in enumerate(groups) if each == group]
        drawn = axes.scatter(
            [x[i] for i in inside], [y[i] for i in inside], c=[points[name][i] for i in inside], cmap="viridis",
            norm=norm, s=32, edgecolor=ink(0.9), lw=0.5, marker=marker, label=group or "front", zorder=3,
        )  # fmt: skip
    bar = figure.colorbar(drawn, ax=axes, pad=0.02)
    low, high = bar.ax.get_ylim()
    quantities(bar.ax, "y", unit, low, high, log=False)
    bar.ax.tick_params(labelsize=7)
    bar.set_label(_label(found, name))


def _name(
    axes: Axes, found: Front, rows: Sequence[Mapping[str, Any]], groups: Sequence[str], x: Sequence[float],
    y: Sequence[float], whiskers: Sequence[tuple[float, float]],
) -> None:  # fmt: skip
    """Names of the points, by the values that differ between them, where they are few; else of both ends."""
    units = found.found.units()
    varied = [each.name for each in found.found.study.space.axes if len({row[each.name] for row in rows}) > 1]
    told = [name for name in varied if [str(row[name]) for row in rows] != list(groups)] or varied
    palette = {group: each.colour for group, each in looks(sorted(set(groups))).items()}
    places = range(len(rows)) if len(rows) <= NAMED else [min(range(len(x)), key=lambda i: x[i]),
                                                          max(range(len(x)), key=lambda i: x[i])]  # fmt: skip
    labels = [
        Label(x[i], y[i], ", ".join(said(name, rows[i][name], units.get(name, "")) for name in told),
              palette[groups[i]] if len(found.objectives) == 2 else colours()[6])
        for i in places
    ]  # fmt: skip
    among(axes, labels, np.vstack([np.column_stack([x, y]), *([whiskers] if whiskers else [])]), size=6.8, must=False)
