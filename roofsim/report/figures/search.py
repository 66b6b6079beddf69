"""Figures of studies over many points."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator, NullFormatter

from roofsim.explore.search import SearchResult
from roofsim.foundation import units
from roofsim.report.figures.style import colours, look, subplots
from roofsim.report.theme import Theme

UNITS = {"ttft": "s", "tpot": "s", "total_time": "s", "memory_peak": "B", "energy": "J"}
NAMES = {
    "loss": "loss (nats per token)", "ttft": "time to first token", "tpot": "time per output token",
    "total_time": "time of the request", "memory_peak": "peak memory", "energy": "energy of the request",
    "tokens_per_second": "end-to-end tokens per second",
}  # fmt: skip


MARKED = 100
"""Points of a line up to which each has a mark."""

ROOM = 0.25
"""What is left free below the points for the legend, of the height of the others."""


def search(r: SearchResult, device: str, runtime: str, *, theme: Theme = "light") -> Figure:
    """The members of a search by their first two objectives, the third as colour; what is on the front is outlined.

    Lines stand for what the conditions allow and for the model compared with.
    """
    with look(theme):
        figure, axes = subplots(figsize=(6.2, 4.0))
        up, along, *more = r.objectives
        kept = [r.members[i] for i in r.kept]
        others = [m for i, m in enumerate(r.members) if i not in set(r.kept) and m.column(up) is not None]
        axes.scatter(
            [m.column(along) for m in others], [m.column(up) for m in others], s=7, color="0.8", lw=0,
            label=f"beyond memory or conditions ({len(others):,})" if others else None,
        )  # fmt: skip
        shade: Any = [m.column(more[0]) for m in kept] if more else colours()[0]
        drawn = axes.scatter(
            [m.column(along) for m in kept], [m.column(up) for m in kept], c=shade, s=10, lw=0, cmap="viridis",
            label=f"members ({len(kept):,})",
        )  # fmt: skip
        best = lower_left(r)
        both = f"front of {_name(up, short=True)} and {_name(along, short=True)} ({len(best):,})"
        axes.plot(
            [m.column(along) for m in best], [m.column(up) for m in best], color=colours()[1], lw=1.2, ms=3.5,
            marker="o" if len(best) <= MARKED else None,
            mfc="none",
            drawstyle="steps-post", label=both,
        )  # fmt: skip
        if r.against:
            x, y = r.against.column(along), r.against.column(up)
            if y is not None:
                axes.plot(x, y, marker="*", ms=11, color=colours()[1], mec="white", ls="none", label=r.against.name)
            axes.axvline(x, color=colours()[1], lw=0.8, ls=":")
        if more and kept:
            bar = figure.colorbar(drawn, ax=axes, pad=0.02)
            bar.set_label(_name(more[0]))
            if UNITS.get(more[0]) == "B":
                low, high = bar.ax.get_ylim()
                bar.ax.yaxis.set_major_locator(MultipleLocator(2 ** round(math.log2((high - low) / 6))))
            _ticks(bar.ax.yaxis, more[0])
        low, high = axes.get_ylim()
        axes.set_ylim(low - ROOM * (high - low), high)
        axes.set_xscale("log")
        axes.set_xlabel(_name(along))
        axes.set_ylabel(_name(up))
        _ticks(axes.xaxis, along)
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda v, _: _few(v, along, axes)))
        axes.tick_params(axis="x", which="both", labelsize=8)
        axes.set_title(f"{r.family} on {device}\n{runtime}", fontsize=9)
        # the corner that is empty by what a front is
        axes.legend(fontsize=7, loc="lower left", frameon=True, framealpha=0.9, edgecolor="none")
        return figure


def lower_left(r: SearchResult) -> list[Any]:
    """The members that no other beats in both of the first two objectives, in order of the second."""
    up, along = r.objectives[:2]
    found: list[Any] = []
    for m in sorted((r.members[i] for i in r.front), key=lambda m: (m.column(along), m.column(up))):
        if not found or m.column(up) < found[-1].column(up):
            found.append(m)
    return found


def _few(value: float, name: str, axes: Any) -> str:
    """Labels of minor ticks where an axis spans less than two decades: 2 and 5."""
    low, high = axes.get_xlim()
    lead = f"{value:e}"[0]
    wanted = "2357" if high < 8 * low else "25"
    return units.show(value, UNITS.get(name, ""), 2) if high < 100 * low and lead in wanted else ""


def _name(name: str, *, short: bool = False) -> str:
    said = NAMES.get(name, name.replace("_", " "))
    return said.partition(" (")[0] if short else said


def _ticks(axis: Any, name: str) -> None:
    unit = UNITS.get(name, "")
    axis.set_major_formatter(FuncFormatter(lambda v, _: units.show(v, unit) if unit else units.significant(v)))
    axis.set_minor_formatter(NullFormatter())
