"""The figure of a comparison: both times of every combination, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from roofsim.explore.compare import FIGURES, Comparison, Row
from roofsim.foundation.errors import InputError
from roofsim.prediction.words import interval_label
from roofsim.report.figures.style import colours, look, subplots, ticks
from roofsim.report.several import shared, varying
from roofsim.report.theme import Theme

SHOWN = ("ttft", "tpot")
MOST = 200
"""Rows that a figure has room for."""

OFF = 0.7
"""The part of the room between two lines that marks of one line take."""


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
        height = 0.9 + max(0.2, 0.11 * len(groups)) * len(lines) + 0.17 * len(groups)
        figure, panels = subplots(1, len(SHOWN), figsize=(8, max(height, 2.2)), sharey=True,
                                      layout="constrained")  # fmt: skip
        for axes, name in zip(panels, SHOWN, strict=True):
            _panel(axes, c, name, lines, groups, rows, first, rest)
        _legend(figure, groups, rows)
        panels[0].set_yticks(range(len(lines)), lines, fontsize=7)
        panels[0].set_ylim(len(lines) - 0.5, -0.5)
        figure.suptitle(shared(c), fontsize=9)
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
    axes: Axes, c: Comparison, name: str, lines: Sequence[str], groups: Sequence[str], rows: Sequence[Row],
    first: str, rest: Sequence[str],
) -> None:  # fmt: skip
    """One figure of all rows; what does not fit is hollow."""
    for row in rows:
        group = groups.index(_group(c, row, rest))
        place = lines.index(_word(c, row, first)) + OFF * ((group + 0.5) / len(groups) - 0.5)
        value, (low, high) = row.figures[name], row.intervals[name]
        colour = colours()[group % len(colours())]
        axes.plot([low, high], [place, place], color=colour, lw=1.2, alpha=0.6)
        axes.plot([value], [place], marker="o", ms=3.5, mew=1, color=colour, mfc=colour if row.fits else "white")
    figure = FIGURES[name]
    axes.set_xscale("log")
    axes.set_xlabel(figure.words)
    ticks(axes.xaxis, figure.unit)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(axis="y", visible=False)


def _legend(figure: Figure, groups: Sequence[str], rows: Sequence[Row]) -> None:
    """What colours, hollow marks and bars are, below the panels."""
    marks: list[Any] = []
    axes = figure.axes[0]
    if len(groups) > 1:
        for i, group in enumerate(groups):
            marks += axes.plot([], [], "o", ms=3.5, color=colours()[i % len(colours())], label=group)
    if not all(row.fits for row in rows):
        marks += axes.plot([], [], "o", ms=3.5, color="0.4", mfc="white", label="does not fit: times as if it did")
    bases = sorted({interval_label(row.calibration) for row in rows})
    marks += axes.plot([], [], color="0.4", lw=1.2, alpha=0.6, label=" or ".join(bases))
    figure.legend(handles=marks, fontsize=7, loc="outside lower center", ncols=2)
