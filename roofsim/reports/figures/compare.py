"""A comparison: both times of every combination, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from roofsim.foundation.errors import InputError
from roofsim.reports.figures.captions import rests_on
from roofsim.reports.figures.labels import settle
from roofsim.reports.figures.style import Key, Look, heading, ink, look, looks, quantities, subplots
from roofsim.reports.several import shared, varying
from roofsim.reports.theme import Theme
from roofsim.spaces.cases import NAMES
from roofsim.spaces.compare import FIGURES, Comparison, Row

SHOWN = ("ttft", "tpot")
MOST = 200
"""Rows that a figure has room for."""

OFF = 0.7
"""The part of the room between two lines that marks of one line take."""

WIDTH = 8.0
"""Inches."""

ROOM = 1.15
"""What axes go on beyond intervals."""


def compare(c: Comparison, *, theme: Theme = "light") -> Figure:
    """A panel for each time: a line for each value of the first choice that varies, a colour for all the others."""
    rows = [row for row in c.rows if not row.refused]
    if not 0 < len(rows) <= MOST:
        raise InputError(f"--plot: a figure shows 1 to {MOST} combinations that can be run, not {len(rows)}")
    c = replace(c, rows=tuple(rows))
    first, *rest = varying(c)
    lines = list(dict.fromkeys(_word(c, row, first) for row in rows))
    orders = [list(dict.fromkeys(row.chosen[name] for row in rows)) for name in rest]
    places = {_group(c, row, rest): [o.index(row.chosen[n]) for o, n in zip(orders, rest, strict=True)] for row in rows}
    groups = sorted(places, key=lambda group: places[group])
    with look(theme):
        styles = looks(groups)
        below = Key.of(_key(styles, rows), WIDTH)
        height = 1.5 + max(0.24, 0.12 * len(groups)) * len(lines) + below.height
        figure, panels = subplots(1, len(SHOWN), figsize=(WIDTH, max(height, 2.4)), sharey=True)
        heading(figure, "Times of a request", shared(c).replace("\nwith", " with"))
        for axes, name in zip(panels, SHOWN, strict=True):
            _panel(axes, c, name, lines, styles, first, rest)
        panels[0].set_yticks(range(len(lines)), lines)
        panels[0].set_ylim(len(lines) - 0.5, -0.5)
        if first not in NAMES:
            panels[0].set_ylabel(first.rpartition(".")[2])
        below.draw(figure)
        settle(figure)
        return figure


def _word(c: Comparison, row: Row, name: str) -> str:
    value = row.chosen[name]
    return f"{value:,}" if isinstance(value, int) else c.labels.asked.get(value, str(value))


def _group(c: Comparison, row: Row, names: Sequence[str]) -> str:
    """What sets a row apart beside the first choice."""
    words = {name.rpartition(".")[2]: _word(c, row, name) for name in names}
    return ", ".join(word if name in ("device", "runtime", "weights") else f"{name} {word}"
                     for name, word in words.items())  # fmt: skip


def _panel(
    axes: Axes, c: Comparison, name: str, lines: Sequence[str], styles: Mapping[str, Look], first: str,
    rest: Sequence[str],
) -> None:  # fmt: skip
    """One figure of all rows; what does not fit is hollow."""
    groups = [*styles]
    for row in c.rows:
        group = _group(c, row, rest)
        place = lines.index(_word(c, row, first)) + OFF * ((groups.index(group) + 0.5) / len(groups) - 0.5)
        value, (low, high), style = row.figures[name], row.intervals[name], styles[group]
        axes.plot([low, high], [place, place], color=style.colour, lw=1.4, alpha=0.6, solid_capstyle="butt")
        axes.plot(
            [value], [place], marker=style.marker, ms=4.2, mew=1, color=style.colour,
            mfc=style.colour if row.fits else ink(0),
        )  # fmt: skip
    figure = FIGURES[name]
    ends = [end for row in c.rows for end in row.intervals[name]]
    quantities(axes, "x", figure.unit, min(ends) / ROOM, max(ends) * ROOM, log=True)
    axes.set_xlabel(figure.words)
    axes.grid(axis="y", visible=False)
    axes.set_yticks([place + 0.5 for place in range(len(lines) - 1)], minor=True)
    axes.tick_params(axis="y", which="minor", length=0)
    axes.grid(axis="y", which="minor")


def _key(styles: Mapping[str, Look], rows: Sequence[Row]) -> list[tuple[Any, str]]:
    """What colours, hollow marks and bars are."""
    entries: list[tuple[Any, str]] = []
    if len(styles) > 1:
        for group, style in styles.items():
            entries.append((Line2D([], [], color=style.colour, marker=style.marker, ms=4.5, ls="none"), group))
    if not all(row.fits for row in rows):
        hollow = Line2D([], [], marker="o", ms=4.5, color=ink(0.6), mfc=ink(0), ls="none")
        entries.append((hollow, "does not fit: times as if it did"))
    entries.append((Line2D([], [], color=ink(0.6), lw=1.4, alpha=0.6), rests_on(row.calibration for row in rows)))
    return entries
