"""A sweep: its figures over its longest axis of numbers, a line for each of the other values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.prediction.metrics import WORDED
from roofsim.prediction.places import COUNTS
from roofsim.prediction.spoken import words
from roofsim.reports.figures.about import said, study
from roofsim.reports.figures.labels import SIZE, Label, at_ends, settle, spread
from roofsim.reports.figures.style import (
    DASHES,
    Dashes,
    Key,
    colours,
    heading,
    ink,
    lengths,
    look,
    quantities,
    subplots,
    width_of,
)
from roofsim.reports.theme import Theme
from roofsim.spaces.evaluate import COLUMNS, WORDS
from roofsim.spaces.frame import LOGICAL
from roofsim.spaces.sweep import Swept

LINES, PANELS, MARKED, NAMED = 24, 4, 24, 8
"""The most lines and panels that can be told apart; points of a line with marks, and lines named at their ends."""


ROOM, EDGE = 1.08, 1.05
"""What axes go on beyond figures and beyond what they are over, which leaves the marks whole."""

SHORT = 100.0
"""Points up to which a label stands beside its line."""

TOKENS = ("prompt", "generate")
"""Axes of tokens."""


@dataclass(frozen=True, slots=True)
class _Line:
    """Points of a study that share all but one axis."""

    label: str
    colour: str
    dashes: Dashes
    rows: Sequence[Mapping[str, Any]]


def sweep(found: Swept, *, theme: Theme = "light") -> Figure:
    """Up to four figures, a panel each; raises InputError where there is no axis to draw over, or too many lines."""
    space = found.study.space
    along = max((a for a in space.numbers if len(a) > 1), key=len, default=None)
    if along is None:
        raise InputError("--plot: needs an axis of numbers with several values, such as --prompt 1k..64k*2")
    names = [name for name in found.study.columns if name not in (*LOGICAL, *WORDS)][:PANELS]
    if not names:
        raise InputError("--plot: needs a figure with numbers, such as --figures ttft")
    others = [a.name for a in space.axes if a is not along and len(a) > 1]
    rows: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in found.rows():
        if not row["refused"]:
            rows.setdefault(tuple(row[name] for name in others), []).append(row)
    if len(rows) > LINES:
        raise InputError(
            f"--plot: {len(rows)} lines cannot be told apart; at most {LINES}: give fewer values beside {along.name}"
        )
    if not rows:
        raise InputError("--plot: there is no point to draw")
    unit = found.units()
    with look(theme):
        drawn = _lines(rows, others, unit)
        beside = 1 < len(drawn) <= NAMED and max(width_of(each.label, SIZE) for each in drawn) < SHORT
        across = min(len(names), 2)
        down = -(-len(names) // across)
        width = 4.2 * across if across > 1 else 6.4
        below = Key.of(_key(drawn, beside=beside), width)
        figure, grid = subplots(
            down, across, figsize=(width, 0.6 + 2.5 * down + below.height), squeeze=False, sharex=True
        )
        over = words(along.name)
        title = _listed([_worded(name) for name in names])
        heading(figure, f"{title[0].upper()}{title[1:]} against {over}", study(found))
        ends: list[tuple[Axes, list[Any]]] = []
        panels: list[Axes] = list(grid.flat)
        for i, (axes, name) in enumerate(zip(panels, names, strict=False)):
            _panel(axes, drawn, along.name, name, unit)
            axes.set_title(_worded(name).capitalize() if len(names) > 1 else "")
            low = i + across >= len(names)
            axes.xaxis.set_tick_params(labelbottom=low)
            axes.set_xlabel((over + " (tokens)" if along.name in TOKENS else over) if low else "")
            if beside and (i % across == across - 1 or i == len(names) - 1):
                ends.append((axes, at_ends(axes, _names(drawn, name))))
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        below.draw(figure)
        settle(figure)
        for axes, texts in ends:
            spread(axes, texts)
        return figure


def _lines(
    rows: Mapping[tuple[Any, ...], Sequence[Mapping[str, Any]]], others: Sequence[str], unit: Mapping[str, str]
) -> list[_Line]:
    """The first of the other axes keeps its colours, what else differs is the dash; lines alone by colour."""
    groups = list(dict.fromkeys(key[:1] for key in rows))
    inner: dict[Any, int] = {}
    found = []
    for key, mine in rows.items():
        dash = inner.setdefault(key[1:], len(inner)) + groups.index(key[:1]) // len(colours())
        label = ", ".join(said(n, v, unit[n]) for n, v in zip(others, key, strict=True))
        colour = colours()[groups.index(key[:1]) % len(colours())]
        found.append(_Line(label, colour, DASHES[dash % len(DASHES)], mine))
    return found


def _key(drawn: Sequence[_Line], *, beside: bool) -> list[tuple[Any, str]]:
    """Lines that are not named at their ends, and what open marks are."""
    entries: list[tuple[Any, str]] = []
    if len(drawn) > 1 and not beside:
        entries += [(Line2D([], [], color=each.colour, ls=each.dashes, lw=1.6), each.label) for each in drawn]
    if any(row.get("fits") is False for each in drawn for row in each.rows):
        hollow = Line2D([], [], marker="o", ms=4.5, mfc=ink(0), mec=ink(0.6), ls="none")
        entries.append((hollow, "does not fit: as if it did"))
    return entries


def _panel(axes: Axes, drawn: Sequence[_Line], along: str, name: str, unit: Mapping[str, str]) -> None:
    """One figure of all lines."""
    for each in drawn:
        x = np.array([row[along] for row in each.rows], dtype=float)
        y = np.array([np.nan if row[name] is None else row[name] for row in each.rows], dtype=float)
        axes.plot(x, y, color=each.colour, ls=each.dashes, lw=1.6)
        if len(x) <= MARKED:
            unfit = np.array([row.get("fits") is False for row in each.rows])
            axes.plot(x[~unfit], y[~unfit], color=each.colour, marker="o", ms=3.5, mew=0.8, ls="none")
            axes.plot(x[unfit], y[unfit], color=each.colour, marker="o", ms=3.5, mew=0.8, mfc=ink(0), ls="none")
    xs = [float(row[along]) for each in drawn for row in each.rows]
    ys = [float(row[name]) for each in drawn for row in each.rows if row[name] is not None]
    low, high = min(xs) / EDGE, max(xs) * EDGE
    if along in COUNTS and low > 0:
        lengths(axes, low, high, "", sorted(set(xs)))
    elif low < high:
        quantities(axes, "x", unit[along], low, high, log=high > 4 * low > 0)
    if ys:
        low, high = min(ys), max(ys)
        if high > 8 * low > 0:
            quantities(axes, "y", unit[name], low / ROOM**2, high * ROOM**2, log=True)
        else:
            quantities(axes, "y", unit[name], min(0.0, low * ROOM), high * ROOM or 1.0, log=False)


def _names(drawn: Sequence[_Line], name: str) -> list[Label]:
    """What each line is called, where it ends."""
    found = []
    for each in drawn:
        values = [row[name] for row in each.rows if row[name] is not None]
        if values:
            found.append(Label(0, float(values[-1]), each.label, each.colour))
    return found


def _worded(name: str) -> str:
    return WORDED.get(COLUMNS.get(name, ""), words(name))


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
