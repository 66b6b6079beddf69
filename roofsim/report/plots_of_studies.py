"""Figures of studies: what moves a figure, a figure over two numbers, fronts."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from roofsim.explore.fronts import Front
from roofsim.explore.pareto import SENSES
from roofsim.explore.sensitivity import Axis, HeatMap, Sensitivities
from roofsim.foundation import units
from roofsim.prediction.words import interval_label
from roofsim.report.plots import COLOURS, STYLE, save, subplots

BARS = 16
"""Numbers that a tornado shows."""


def tornado(r: Sensitivities, device: str, runtime: str) -> Figure:
    """The figure at half and at twice each number, the widest bars on top, with the interval of the prediction."""
    drawn = [row for row in r.rows if row.less > 0 and row.more > 0 and row.more != row.less]
    rows = sorted(drawn, key=lambda row: -abs(np.log(row.more / row.less)))[:BARS]
    with rc_context(STYLE):
        figure, axes = subplots(figsize=(6.6, 0.27 * len(rows) + 1.5))
        for place, row in enumerate(rows):
            for end, factor, colour, label in (
                (row.less, row.values[0] / row.value, COLOURS[5], "half the number"),
                (row.more, row.values[1] / row.value, COLOURS[1], "twice the number"),
            ):
                axes.barh(
                    place, end - r.value, left=r.value, color=colour, height=0.72, label=label if not place else ""
                )
                if factor not in (0.5, 1, 2):
                    axes.annotate(f"x{units.significant(factor)}", (end, place), fontsize=6, va="center",
                                  ha="left" if end > r.value else "right", xytext=(2 if end > r.value else -2, 0),
                                  textcoords="offset points")  # fmt: skip
        if r.interval:
            axes.axvspan(*r.interval, color="0.5", alpha=0.16, lw=0, zorder=0, label=interval_label(r.calibration))
        axes.axvline(r.value, color="0.2", lw=0.9)
        axes.set_yticks(range(len(rows)), [f"{row.number}  {row.elasticity:+.2f}" for row in rows], fontsize=7)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_axisbelow(True)
        _figure_axis(axes, "x", r.unit, [r.value, *(end for row in rows for end in (row.less, row.more))])
        axes.set_xlabel(f"{r.words} (beside each number: its elasticity)")
        axes.set_title(
            f"{r.model} on {device}\n{runtime}, {r.workload['prompt']:,} tokens: "
            f"{units.show(r.value, r.unit) if r.unit else units.significant(r.value)}",
            fontsize=9,
        )  # fmt: skip
        axes.legend(fontsize=7, loc="lower right")
        return figure


def heat(r: HeatMap, device: str, runtime: str) -> Figure:
    """A figure over two numbers, with lines of equal values and a mark where both are now."""
    down, across = r.axes
    values = np.array(r.values)
    with rc_context(STYLE):
        figure, axes = subplots(figsize=(5.6, 4.2))
        logs = np.log10(values)
        mesh = axes.pcolormesh(across.values, down.values, logs, shading="gouraud", cmap="cividis", rasterized=True)
        lines = axes.contour(
            across.values, down.values, logs, levels=7, colors="white", linewidths=0.8, negative_linestyles="solid"
        )
        axes.clabel(lines, fmt=lambda level: _text(10.0**level, r.unit), fontsize=6.5)
        axes.grid(visible=False)
        for axis, spread in ((axes.xaxis, across), (axes.yaxis, down)):
            _number_axis(axes, axis.axis_name, spread)
        inside = all(min(axis.values) <= axis.now <= max(axis.values) for axis in r.axes)
        if inside:
            axes.plot(
                across.now,
                down.now,
                marker="o",
                ms=7,
                mfc="none",
                mec=COLOURS[1],
                mew=1.8,
                ls="none",
                label="now",
                clip_on=False,
                zorder=5,
            )
            axes.legend(fontsize=7, loc="upper left", frameon=True)
        bar = figure.colorbar(mesh, ax=axes, format=FuncFormatter(lambda level, _: _text(10.0**level, r.unit)))
        bar.set_label(r.words)
        bar.ax.tick_params(labelsize=7)
        axes.set_title(f"{r.model} on {device}\n{runtime}", fontsize=9)
        return figure


def _text(value: float, unit: str) -> str:
    if unit:
        return units.show(value, unit, 2)
    return units.significant(value, 2) if 0.01 <= abs(value) < LARGE else f"{value:.2g}"


LARGE = 1e6
"""Numbers without a unit from which on a power of ten is shorter."""


def _number_axis(axes: Axes, name: str, spread: Axis) -> None:
    """A logarithmic axis of a number: counts by powers of two, others by what the number is now and twice that ..."""
    low, high = min(spread.values), max(spread.values)
    whole = all(value % 1 == 0 for value in spread.values)
    first = 1.0 if whole else spread.now
    ends = (int(np.ceil(np.log2(low / first) - EDGE)), int(np.floor(np.log2(high / first) + EDGE)))
    step = max(-(-(ends[1] - ends[0]) // MOST_TICKS), 1)
    axis = getattr(axes, f"{name}axis")
    getattr(axes, f"set_{name}scale")("log", base=2)
    axis.set_major_locator(FixedLocator([first * 2.0**k for k in range(ends[0], ends[1] + 1, step)]))
    axis.set_major_formatter(FuncFormatter(lambda v, _: _number(v, spread.unit)))
    axis.set_minor_locator(NullLocator())
    getattr(axes, f"set_{name}lim")(low, high)
    getattr(axes, f"set_{name}label")(spread.number)


EDGE = 1e-9
"""By how much an end of an axis may be missed by rounding."""
MOST_TICKS = 7


def _number(value: float, unit: str) -> str:
    if unit:
        return units.show(value, unit)
    if value >= 1024 and value % 1024 == 0:
        return f"{value / 1024:g}k"
    return f"{value:,.0f}" if value % 1 == 0 else units.significant(value)


def _figure_axis(axes: Axes, name: str, unit: str, values: list[float]) -> None:
    """An axis of a figure: logarithmic where values differ by more than a factor of ten."""
    axis = getattr(axes, f"{name}axis")
    if values and min(values) > 0 and max(values) / min(values) > 10:
        getattr(axes, f"set_{name}scale")("log")
    axis.set_major_formatter(FuncFormatter(lambda v, _: _text(v, unit)))
    axis.set_minor_formatter(NullFormatter())


NAMED = 12
"""Points of a front up to which each is named by what was chosen for it."""


def front(found: Front) -> Figure:
    """The points of a front over its first two objectives before some of the others; a third is the colour."""
    names = [*found.objectives]
    units_of = found.found.units()
    rows = list(found.found.rows())
    x, y = ([row[name] for row in rows] for name in names[:2])
    with rc_context(STYLE):
        figure, axes = subplots(figsize=(5.8, 4.0))
        axes.plot(*found.cloud[:2], ls="none", marker=".", ms=3, color="0.75", label="other points", zorder=1)
        if len(names) == 2:
            order = sorted(range(len(x)), key=lambda i: x[i] * SENSES[found.objectives[names[0]]])
            axes.step([x[i] for i in order], [y[i] for i in order], where="post", color=COLOURS[0], lw=1, zorder=2)
            axes.plot(x, y, ls="none", marker="o", ms=5, color=COLOURS[0], label="front", zorder=3)
        else:
            colour = [row[names[2]] for row in rows]
            points = axes.scatter(
                x, y, c=colour, cmap="viridis", s=26, edgecolor="black", lw=0.4, label="front", zorder=3
            )
            unit = units_of[names[2]]
            bar = figure.colorbar(points, ax=axes, format=FuncFormatter(lambda v, _: _text(v, unit)))
            bar.set_label(_label(found, names[2]))
        for name, values, which in ((names[0], x, "x"), (names[1], y, "y")):
            _figure_axis(axes, which, units_of[name], [float(v) for v in (*values, *found.cloud[names.index(name)])])
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
            str(row[n]) if isinstance(row[n], str) else f"{n.split('.')[-1]} {_number(row[n], unit[n])}" for n in varied
        ]
        axes.annotate(", ".join(words), (across, up), fontsize=5.5, xytext=(4, 3), textcoords="offset points")


__all__ = ["front", "heat", "save", "tornado"]
