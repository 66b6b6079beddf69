"""The figure of a sweep: its figures over its longest axis of numbers, a line for each of the other values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MultipleLocator, NullLocator

from roofsim.explore.evaluate import COLUMNS, WORDS
from roofsim.explore.frame import LOGICAL
from roofsim.explore.sweep import Swept
from roofsim.foundation import units
from roofsim.foundation.errors import InputError
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.places import COUNTS
from roofsim.report.figures.style import colours, look, subplots, tokens
from roofsim.report.theme import Theme

LINES, PANELS, MARKED = 24, 4, 24
"""The most lines and panels that can be told apart; points of a line up to which each has a mark."""

TICKS = 6
"""The most labels of an axis of bytes, which stand at powers of two."""

WORDED = {row.figure: row.words for row in METRICS.values()}
"""Figures in words."""

DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


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
    lines: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in found.rows():
        if not row["refused"]:
            lines.setdefault(tuple(row[name] for name in others), []).append(row)
    if len(lines) > LINES:
        raise InputError(
            f"--plot: {len(lines)} lines cannot be told apart; at most {LINES}: give fewer values beside {along.name}"
        )
    if not lines:
        raise InputError("--plot: there is no point to draw")
    unit = found.units()
    with look(theme):
        across = min(len(names), 2)
        down = -(-len(names) // across)
        figure, grid = subplots(
            down, across, figsize=(3.7 * across if across > 1 else 5.2, 2.6 * down + 0.9), squeeze=False, sharex=True
        )
        for axes, name in zip(grid.flat, names, strict=False):
            _panel(axes, lines, along.name, name, others, unit)
        for axes in list(grid.flat)[len(names) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel(_said(along.name) + (" (tokens)" if along.name in ("prompt", "generate") else ""))
        handles, labels = grid.flat[0].get_legend_handles_labels()
        if others:
            figure.legend(
                handles, labels, loc="outside lower center", ncols=min(len(labels), 3), fontsize=7, handlelength=4
            )
        same = [a for a in space.axes if a is not along and len(a) == 1]
        first = next(iter(lines.values()))[0]
        figure.suptitle(", ".join(_value(a.name, first[a.name], unit[a.name]) for a in same), fontsize=8.5, wrap=True)
        return figure


def _panel(
    axes: Axes, lines: dict[tuple[Any, ...], list[dict[str, Any]]], along: str, name: str, others: Sequence[str],
    unit: dict[str, str],
) -> None:  # fmt: skip
    groups = list(dict.fromkeys(key[:1] for key in lines))
    inner: dict[Any, int] = {}
    for key, rows in lines.items():
        colour = colours()[groups.index(key[:1]) % len(colours())]
        # a group keeps its colour, what else differs is the dash
        dash = DASHES[inner.setdefault(key[1:], len(inner)) % len(DASHES)]
        label = ", ".join(_value(n, v, unit[n]) for n, v in zip(others, key, strict=True))
        marker = "o" if len(rows) <= MARKED else None
        axes.plot(
            [row[along] for row in rows], [row[name] for row in rows], color=colour, ls=dash, lw=1.4, marker=marker,
            ms=2.5, label=label,
        )  # fmt: skip
    xs = [row[along] for rows in lines.values() for row in rows]
    ys = [row[name] for rows in lines.values() for row in rows if row[name] is not None]
    if max(xs) > 4 * min(xs):
        axes.set_xscale("log", base=2)
    if ys and min(ys) > 0 and max(ys) > 8 * min(ys):
        axes.set_yscale("log")
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda v, _: tokens(v) if along in COUNTS else units.show(v, unit[along]))
    )
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda v, _: units.show(v, unit[name]) if unit[name] else units.significant(v))
    )
    if len(set(xs)) <= 8:
        axes.xaxis.set_major_locator(FixedLocator(sorted(set(xs))))
        axes.xaxis.set_minor_locator(NullLocator())
    if unit[name] == "B" and axes.get_yscale() == "linear":
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(MultipleLocator(2 ** math.ceil(math.log2((high - low) / TICKS))))
    axes.set_title(WORDED.get(COLUMNS.get(name, ""), _said(name)), fontsize=8.5, loc="left")


def _said(name: str) -> str:
    return name.removeprefix("device.").replace("_", " ").replace(".", " ")


def _value(name: str, value: Any, unit: str) -> str:
    """A value with what it is of, as a label says it."""
    if isinstance(value, str):
        return value
    shown = tokens(value) if name in COUNTS else units.show(float(value), unit) if unit else units.significant(value)
    return f"{_said(name)} {shown}"
