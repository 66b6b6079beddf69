"""The figure of a crossover: a metric of models over length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator

from roofsim.prediction.metrics import METRICS
from roofsim.prediction.words import interval_label
from roofsim.report.figures.style import colours, look, subplots, ticks, tokens
from roofsim.report.theme import Theme
from roofsim.studies.crossover import Comparison, Pair


def _lengths(axes: Axes, low: float, high: float) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    axes.set_xlabel("prompt length (tokens)")
    axes.xaxis.set_major_formatter(FuncFormatter(tokens))


def crossover(comparisons: Sequence[Comparison], device: str, runtime: str, *, theme: Theme = "light") -> Figure:
    """One panel per pair (and runtime): the metric over length, crossings marked, curves dashed where memory ends."""
    with look(theme):
        several = len(comparisons) > 1
        panels = [
            (pair, c.runtime if several else "", interval_label(c.calibration))
            for group in zip(*(c.pairs for c in comparisons), strict=True)
            for pair, c in zip(group, comparisons, strict=True)
        ]
        pairs = [pair for pair, *_ in panels]
        across = min(len(pairs), 2)
        down = -(-len(pairs) // across)
        figure, grid = subplots(
            down, across, figsize=(3.6 * across if across > 1 else 4.8, 2.7 * down + 0.4), squeeze=False
        )
        for axes, (pair, title, label) in zip(grid.flat, panels, strict=False):
            _pair(axes, pair, label)
            axes.set_title(title, fontsize=8, pad=8 + 7 * min(max(len(pair.crossings), 1), 3))
        for axes in list(grid.flat)[len(pairs) :]:
            axes.set_visible(False)
        what = METRICS[pairs[0].metric].words
        figure.suptitle(f"{what.capitalize()} on {device}\n{runtime}", fontsize=9.5)
        _marks(figure, pairs)
        return figure


def _marks(figure: Figure, pairs: Sequence[Pair]) -> None:
    """What the marks of all panels mean, below them."""
    grey: Any = {"color": "0.3", "mew": 1.5}
    drawn: list[Any] = [Line2D([], [], marker="x", ms=5, ls=(0, (1, 2)), label="out of memory", **grey)]
    if any(window for pair in pairs for window in pair.context_window.values()):
        drawn.append(Line2D([], [], marker="|", ms=9, ls="none", label="context window", **grey))
    if any(pair.crossings for pair in pairs):
        drawn.append(Patch(color=colours()[4], alpha=0.35, lw=0, label="95 % interval of the crossing"))
    figure.legend(handles=drawn, loc="outside lower center", ncols=len(drawn), fontsize=7)


def _pair(axes: Axes, pair: Pair, band: str) -> None:
    lengths = pair.lengths
    last = max(min(max(pair.max_prompt.values()), lengths[-1]), lengths[0] * 4)
    shown = [i for i, n in enumerate(lengths) if SHORTEST_SHOWN <= n <= last * 2]
    if len(shown) < 2:
        shown = list(range(len(lengths)))
    low, high = lengths[shown[0]], lengths[shown[-1]]
    for side, name, colour in (("a", pair.a, colours()[0]), ("b", pair.b, colours()[1])):
        end, values = pair.max_prompt[side], pair.values[side]
        inside = [i for i in shown if lengths[i] <= end]
        low_end, high_end = zip(*(pair.bands[side][i] for i in shown), strict=True)
        axes.fill_between([lengths[i] for i in shown], low_end, high_end, color=colour, alpha=0.12, lw=0)
        outside = [i for i in shown if lengths[i] >= (lengths[inside[-1]] if inside else 0)]
        axes.plot([lengths[i] for i in inside], [values[i] for i in inside], color=colour, lw=1.6, label=name)
        axes.plot([lengths[i] for i in outside], [values[i] for i in outside], color=colour, lw=1, ls=(0, (1, 2)))
        if inside and end < high:
            axes.plot(lengths[inside[-1]], values[inside[-1]], marker="x", color=colour, ms=6, mew=1.6)
    axes.fill_between([], [], [], color="0.5", alpha=0.25, lw=0, label=band)
    drawn = [c for c in pair.crossings if low <= c.length <= high]
    for first, last in dict.fromkeys(c.interval for c in drawn):
        axes.axvspan(max(first, low), min(last, high), color=colours()[4], alpha=0.22, lw=0, zorder=0)
    for side, colour in (("a", colours()[0]), ("b", colours()[1])):
        window = pair.context_window[side]
        if window and low < window < high:
            height = float(np.interp(window, lengths, pair.values[side]))
            axes.plot(window, height, marker="|", color=colour, ms=10, mew=1.6, ls="none")
    for number, crossing in enumerate(drawn):
        axes.axvline(crossing.length, color="0.35", lw=0.8, ls="--")
        axes.annotate(f"{crossing.length:,}", (crossing.length, 1.0), xycoords=("data", "axes fraction"),
                      fontsize=6.5, xytext=(0, 2 + 7 * (number % 3)), textcoords="offset points", color="0.25",
                      ha="center", annotation_clip=False)  # fmt: skip
    _lengths(axes, low, high)
    row = METRICS[pair.metric]
    name, unit = row.words, row.unit
    axes.set_yscale("log", base=2 if unit == "B" else 10)
    axes.set_ylabel(name)
    ticks(axes.yaxis, unit)
    bottom, top = axes.get_ylim()
    if unit != "B" and top / bottom < 30:
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.legend(fontsize=7, loc="best", frameon=True, framealpha=0.9, edgecolor="none")


SHORTEST_SHOWN = 256
"""Shorter prompts are left out of a figure: every curve is flat there."""
