"""The members of a search by what they were searched for, and its front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from roofsim.prediction.metrics import WORDED
from roofsim.reports.figures.captions import asked, on
from roofsim.reports.figures.labels import settle
from roofsim.reports.figures.style import Key, colours, heading, ink, look, quantities, ramp, subplots
from roofsim.reports.theme import Theme
from roofsim.spaces.evaluate import COLUMNS
from roofsim.spaces.frame import unit_of_figure
from roofsim.spaces.search import Member, SearchResult

WIDTH = 7.2
"""Inches."""

MARKED = 100
"""Points of a line up to which each has a mark."""

ROOM = 0.05
"""What axes go on beyond what is drawn, of it."""


def search(r: SearchResult, device: str, runtime: str, *, theme: Theme = "light") -> Figure:
    """The members of a search by their first two objectives, the third as colour; their front is a line.

    A star and a dotted line stand for the model compared with.
    """
    up, along, *more = r.objectives
    kept = [r.members[i] for i in r.kept]
    others = [m for i, m in enumerate(r.members) if i not in set(r.kept) and m.column(up) is not None]
    best = lower_left(r)
    with look(theme):
        below = Key.of(_key(r, len(kept), len(others), len(best)), WIDTH)
        figure, axes = subplots(figsize=(WIDTH, 4.0 + below.height))
        searched = f"{len(r.members):,} of {r.total:,} members of the family"
        heading(
            figure, f"{_name(up).capitalize()} against {_name(along)}",
            on(device, runtime, r.family), f"{asked(r.workload)}; {searched}",
        )  # fmt: skip
        _points(axes, others, along, up, color=ink(0.25), s=7)
        shade = [float(m.column(more[0])) for m in kept] if more else []
        if shade and min(shade) < max(shade):
            norm = LogNorm() if min(shade) > 0 and max(shade) > 4 * min(shade) else None
            drawn = _points(axes, kept, along, up, c=shade, cmap=ramp(), norm=norm, s=11)
            _bar(figure, axes, drawn, more[0], min(shade), max(shade), log=norm is not None)
        else:
            _points(axes, kept, along, up, color=colours()[0], s=11)
        axes.plot(
            [m.column(along) for m in best], [m.column(up) for m in best], color=colours()[1], lw=1.3, ms=3.5,
            marker="o" if len(best) <= MARKED else None, mfc="none", drawstyle="steps-post",
        )  # fmt: skip
        shown = [*kept, *others]
        if r.against:
            x, y = r.against.column(along), r.against.column(up)
            if y is not None:
                axes.plot(x, y, marker="*", ms=11, color=colours()[1], mec=ink(0), ls="none")
                shown.append(r.against)
            axes.axvline(x, color=colours()[1], lw=0.9, ls=(0, (1, 1.5)))
        _axis(axes, "x", along, [m.column(along) for m in (*shown, *([r.against] if r.against else []))])
        _axis(axes, "y", up, [m.column(up) for m in shown])
        below.draw(figure)
        settle(figure)
        return figure


def _points(axes: Axes, members: Sequence[Member], along: str, up: str, **how: Any) -> Any:
    return axes.scatter([m.column(along) for m in members], [m.column(up) for m in members], lw=0, **how)


def _axis(axes: Axes, which: Any, name: str, values: Sequence[Any]) -> None:
    """An axis of an objective, on which all members lie."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low > 0 and high > 2 * low:
        beyond = (high / low) ** ROOM
        quantities(axes, which, _unit(name), low / beyond, high * beyond, log=True)
    else:
        beyond = ROOM * (high - low) or 0.1 * abs(high) or 1.0
        quantities(axes, which, _unit(name), low - beyond, high + beyond, log=False)
    words = "loss (nats per token)" if name == "loss" else _name(name)
    (axes.set_xlabel if which == "x" else axes.set_ylabel)(words)


def _bar(figure: Figure, axes: Axes, drawn: Any, name: str, low: float, high: float, *, log: bool) -> None:
    """What colours mean."""
    bar = figure.colorbar(drawn, ax=axes, pad=0.02)
    quantities(bar.ax, "y", _unit(name), low, high, log=log)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_label(_name(name))


def _key(r: SearchResult, kept: int, others: int, best: int) -> list[tuple[Any, str]]:
    dot: Any = {"marker": "o", "ls": "none", "mew": 0}
    up, along, *_ = r.objectives
    entries: list[tuple[Any, str]] = [(Line2D([], [], color=colours()[0], ms=4, **dot), f"members ({kept:,})")]
    if others:
        grey = Line2D([], [], color=ink(0.25), ms=3.5, **dot)
        entries.append((grey, f"beyond memory or conditions ({others:,})"))
    line = Line2D([], [], color=colours()[1], lw=1.3)
    entries.append((line, f"front of {_name(up)} and {_name(along)} ({best:,})"))
    if r.against:
        star = Line2D([], [], color=colours()[1], lw=0.9, ls=(0, (1, 1.5)))
        if r.against.column(up) is not None:
            star = Line2D([], [], color=colours()[1], marker="*", ms=10, mec=ink(0), lw=0.9, ls=(0, (1, 1.5)))
        entries.append((star, r.against.name))
    return entries


def lower_left(r: SearchResult) -> list[Member]:
    """The members that no other beats in both of the first two objectives, in order of the second."""
    up, along = r.objectives[:2]
    found: list[Member] = []
    for m in sorted((r.members[i] for i in r.front), key=lambda m: (m.column(along), m.column(up))):
        if not found or m.column(up) < found[-1].column(up):
            found.append(m)
    return found


def _name(name: str) -> str:
    return WORDED.get(COLUMNS.get(name, ""), name.replace("_", " "))


def _unit(name: str) -> str:
    return unit_of_figure(name) if name in COLUMNS else ""
