"""A figure over two numbers."""

from __future__ import annotations

from math import ceil, floor, log2, log10
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.prediction.metrics import WORDED
from roofsim.prediction.spoken import words
from roofsim.reports.figures.about import study
from roofsim.reports.figures.areas import over
from roofsim.reports.figures.captions import asked, on
from roofsim.reports.figures.numbers import number, number_axis, text
from roofsim.reports.figures.style import colours, heading, ink, look, subplots, tick, width_of
from roofsim.reports.theme import Theme
from roofsim.spaces.evaluate import COLUMNS, WORDS
from roofsim.spaces.frame import LOGICAL
from roofsim.spaces.sensitivity import Axis, HeatMap
from roofsim.spaces.sweep import Swept

WRITTEN = 80
"""Points up to which each is a cell with its value written in it; more are a smooth ground with lines."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A figure over two axes: a row for each value of the first, nan where there is none, and where it does not fit."""

    axes: tuple[Axis, Axis]
    values: Any
    unfit: Any
    words: str
    unit: str


def heat(r: HeatMap, device: str, runtime: str, *, theme: Theme = "light") -> Figure:
    """A figure over two numbers, with lines of equal values and a mark where both are now."""
    values = np.array(r.values)
    grid = Grid(r.axes, values, np.zeros(values.shape, dtype=bool), r.words, r.unit)
    with look(theme):
        varied = [axis.number for axis in r.axes]
        return _drawn(grid, on(device, runtime, r.model), asked(r.workload, *varied))


def heat_of_sweep(found: Swept, figure: str | None = None, *, theme: Theme = "light") -> Figure:
    """A figure of a study over its two axes of numbers; raises InputError where it has not just two.

    What cannot be run is empty, what does not fit the memory is hatched, if the study has the column `fits`.
    """
    space = found.study.space
    spread = [axis for axis in space.axes if len(axis) > 1]
    if len(spread) != 2 or not all(axis.numeric for axis in spread):
        varied = ", ".join(axis.name for axis in spread) or "nothing"
        raise InputError(f"--draw heat: is over two axes of numbers, and this study varies {varied}")
    known = [name for name in found.study.columns if name not in (*LOGICAL, *WORDS)]
    name = figure or next(iter(known), None)
    if name not in known:
        raise InputError(f"--draw heat: no figure '{name}' in this study; there are {', '.join(known) or 'none'}")
    # what is longer lies along
    down, across = sorted(spread, key=lambda axis: (axis.name == "prompt", len(axis)))
    rows, units = list(found.rows()), found.units()
    places = [sorted({float(row[axis.name]) for row in rows}) for axis in (down, across)]
    values, unfit = np.full(list(map(len, places)), np.nan), np.zeros(list(map(len, places)), dtype=bool)
    for row in rows:
        at = tuple(places[i].index(float(row[axis.name])) for i, axis in enumerate((down, across)))
        if not row["refused"] and row[name] is not None:
            values[at], unfit[at] = row[name], "fits" in row and not row["fits"]
    if np.isnan(values).all():
        raise InputError("--draw heat: there is no point to draw")
    axes = [Axis(axis.name, units[axis.name], tuple(each), each[0]) for axis, each in
            zip((down, across), places, strict=True)]  # fmt: skip
    words = WORDED.get(COLUMNS.get(name, ""), name.replace("_", " "))
    with look(theme):
        return _drawn(Grid((axes[0], axes[1]), values, unfit, words, units[name]), study(found), now=False)


def _drawn(g: Grid, *captions: str, now: bool = True) -> Figure:
    down, across = g.axes
    cells = g.values.size <= WRITTEN or bool(np.isnan(g.values).any())
    figure, axes = subplots(figsize=(6.4, 4.4))
    shown = g.values[np.isfinite(g.values) & (g.values > 0)]
    low, high = shown.min() / EDGE, max(shown.max() * EDGE, shown.min() * LEAST)
    norm = LogNorm(low, high)
    mesh = _cells(axes, g, norm) if cells else _ground(axes, g, norm)
    axes.grid(visible=False)
    if g.unfit.any():
        axes.plot([], [], marker="s", ms=8, ls="none", mfc="none", mec=ink(0.7), label="hatched: does not fit")
    if now and all(min(axis.values) <= axis.now <= max(axis.values) for axis in g.axes):
        axes.plot(across.now, down.now, marker="o", ms=7, mfc="none", mec=colours()[1], mew=1.8, ls="none",
                  label="now", clip_on=False, zorder=5)  # fmt: skip
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center")
    bar = figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.ax.yaxis.set_major_locator(FixedLocator(_levels(low, high, g.unit)))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _said(value, g.unit)))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(labelsize=7)
    bar.set_label(g.words)
    title = f"{g.words[:1].upper()}{g.words[1:]} over {words(across.number)} and {words(down.number)}"
    heading(figure, title, *captions)
    return figure


EDGE = 1.001
"""By what factor colours go on beyond the values."""

LEAST = 1.5
"""The factor between the ends of the colours at least: what hardly differs looks so."""


def _said(value: float, unit: str) -> str:
    return tick(value, unit) if unit else text(value, "")


def _ground(axes: Axes, g: Grid, norm: LogNorm) -> Any:
    """A smooth ground with lines of equal values."""
    down, across = g.axes
    mesh = axes.pcolormesh(across.values, down.values, g.values, shading="gouraud", cmap="cividis", norm=norm,
                           rasterized=True)  # fmt: skip
    levels = _levels(float(g.values.min()), float(g.values.max()), g.unit)
    if levels:
        lines = axes.contour(across.values, down.values, g.values, levels=levels, colors="white", linewidths=0.8)
        axes.clabel(lines, fmt=lambda level: _said(level, g.unit), fontsize=6.5)
    for axis, spread in ((axes.xaxis, across), (axes.yaxis, down)):
        number_axis(axes, axis.axis_name, spread)
    if g.unfit.any():
        axes.contourf(across.values, down.values, g.unfit, levels=[0.5, 1.5], colors="none", hatches=["////"])
    return mesh


LINES = 8
"""Lines of equal values at most, or a few more."""


def _levels(low: float, high: float, unit: str) -> list[float]:
    """Round values between two, equally many in each decade: powers of two for bytes, else of 1, 2 and 5."""
    if unit == "B":
        doublings = range(ceil(log2(low)), floor(log2(high)) + 1)
        return [2.0**k for k in doublings[:: max(len(doublings) // LINES, 1)]]
    decades = range(floor(log10(low)), floor(log10(high)) + 1)
    found: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(x / 10 for x in range(10, 100, 5))):
        found = [x * 10.0**k for k in decades for x in steps if low < x * 10.0**k < high]
        if len(found) >= LINES // 2:
            break
    return found[:: max(len(found) // LINES, 1)]


def _cells(axes: Axes, g: Grid, norm: LogNorm) -> Any:
    """A cell for each point, all of a size, with its value."""
    down, across = g.axes
    mesh = axes.pcolormesh(np.ma.masked_invalid(g.values), cmap="cividis", norm=norm, edgecolors=ink(0), lw=0.8)
    for i, j in np.ndindex(g.values.shape):
        value = g.values[i, j]
        if np.isfinite(value):
            colour = mesh.cmap(norm(value)) if value > 0 else mesh.cmap(0.0)
            if g.unfit[i, j]:
                axes.fill_between([j, j + 1], i, i + 1, facecolor="none", hatch="////", edgecolor=over(colour), lw=0,
                                  alpha=0.5)  # fmt: skip
            if g.values.size <= WRITTEN:
                axes.text(j + 0.5, i + 0.5, _said(value, g.unit), ha="center", va="center", fontsize=6.5,
                          color=over(colour), bbox={"facecolor": colour, "lw": 0, "pad": 0.8})  # fmt: skip
        elif g.values.size <= WRITTEN:
            axes.text(j + 0.5, i + 0.5, "–", ha="center", va="center", color=ink(0.5))
    _places(axes, "x", across)
    _places(axes, "y", down)
    return mesh


MOST, WIDTH, TICK = 12, 4.6, 8.0
"""Cells upwards up to which each is named; inches of all that lie along, about, and points of their names."""


def _places(axes: Axes, name: str, spread: Axis) -> None:
    """Names of cells, of some where they are many."""
    axis = getattr(axes, f"{name}axis")
    said = [number(value, spread.unit) for value in spread.values]
    most = MOST if name == "y" else max(int(WIDTH * 72 / (max(width_of(each, TICK) for each in said) + TICK)), 1)
    every = -(-len(said) // most)
    labels = {i + 0.5: said[i] for i in range(0, len(said), every)}
    axis.set_major_locator(FixedLocator(list(labels)))
    axis.set_major_formatter(FuncFormatter(lambda at, _: labels.get(at, "")))
    axis.set_minor_locator(NullLocator())
    getattr(axes, f"set_{name}label")(words(spread.number))
