"""Candidates beside their budgets: how far within or beyond each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from roofsim.foundation.errors import InputError
from roofsim.reports.advise import common, limits_in_words, varied
from roofsim.reports.figures.style import MARKERS, Look, colours, heading, ink, look, subplots
from roofsim.reports.theme import Theme
from roofsim.spaces.advise import BUDGETS, FITS, Advice, Candidate

MOST, NEAREST = 24, 8
"""Candidates that are drawn, and of those that miss budgets at most so many where more meet them."""

LINE = 0.24
"""Inches of a candidate."""

SHARE_OF_MEMORY = "memory of the device"
"""What the budget that every device sets by itself is called."""


def advise(a: Advice, *, theme: Theme = "light") -> Figure:
    """A line for each candidate, the best first: each budget as a mark at its value over the limit, with its interval.

    Left of the line all is met; a budget that is a lower limit is the limit over the value.
    """
    meeting = a.feasible[: MOST - min(NEAREST, len(a.others))]
    drawn = [*meeting, *a.others[: MOST - len(meeting)]]
    if not drawn:
        raise InputError("--plot: no candidate can be run")
    with look(theme):
        figure, axes = subplots(figsize=(7.6, LINE * len(drawn) + 1.9))
        axes.set_xscale("log")
        marks = _looks(a, drawn)
        for place, each in enumerate(drawn):
            _candidate(axes, place, each, a, marks)
        low, high = axes.get_xlim()
        low, high = min(low, 1 / LEAST), max(high, LEAST)
        axes.set_xlim(low, high)
        axes.axvspan(1, high, color=colours()[1], alpha=0.09, lw=0, zorder=0)
        axes.axvline(1, color=ink(), lw=1)
        if 0 < len(meeting) < len(drawn):
            axes.axhline(len(meeting) - 0.5, color=ink(0.5), lw=0.7, ls=(0, (4, 2)))
        axes.set_yticks(range(len(drawn)), [_named(each, a) for each in drawn], fontsize=7.5)
        axes.set_ylim(len(drawn) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1,) if high / low > WIDE else (1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}×" if x != 1 else "limit"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("of the budget: left of the line it is met")
        handles = [
            axes.plot([], [], ls="none", marker=m.marker, ms=5, color=m.colour, label=_said(name))[0]
            for name, m in marks.items()
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        more = len(a.candidates) - len(drawn)
        heading(
            figure, f"{len(a.feasible):,} of {len(a.candidates):,} candidates meet the budgets", limits_in_words(a),
            ", ".join([*common(a), *([f"{more:,} more are not drawn"] if more else []), "bars: 95 % intervals"]),
        )  # fmt: skip
        return figure


LEAST, WIDE = 1.5, 100
"""An axis has at least this factor on both sides of the limit; from that on decades alone are named."""


def _looks(a: Advice, drawn: list[Candidate]) -> Mapping[str, Look]:
    names = [*a.budgets, *([FITS] if any(m.budget == FITS for each in drawn for m in each.misses) else [])]
    palette = colours()
    return {n: Look(palette[i % len(palette)], "-", MARKERS[i % len(MARKERS)]) for i, n in enumerate(names)}


def _said(name: str) -> str:
    return SHARE_OF_MEMORY if name == FITS else BUDGETS[name].words


def _candidate(axes: Axes, place: int, each: Candidate, a: Advice, marks: Mapping[str, Look]) -> None:
    """The marks of one candidate, those of several budgets beside each other."""
    found = _values(each, a)
    xs = [x for x, _ in found.values()]
    if xs:
        axes.plot([min(xs), max(xs)], [place, place], color=ink(0.2), lw=0.8, zorder=1)
    for name, (x, ends) in found.items():
        axes.plot(ends, [place, place], color=marks[name].colour, lw=1.4, alpha=0.55, zorder=2)
        axes.plot([x], [place], marker=marks[name].marker, ms=5, color=marks[name].colour, ls="none",
                  mec=ink(0), mew=0.4, zorder=3)  # fmt: skip


def _values(each: Candidate, a: Advice) -> dict[str, tuple[float, tuple[float, float]]]:
    """How much of each budget it takes, and both ends of the interval of that, where it is known."""
    found: dict[str, tuple[float, tuple[float, float]]] = {}
    for name, limit in a.budgets.items():
        budget, value = BUDGETS[name], each.values.get(name)
        if value is None or value != value or not value:
            continue
        known: Any = each.row.intervals.get(budget.interval) or (value * budget.per,) * 2
        ends = [end / budget.per for end in known]
        shares = [limit / v if budget.least else v / limit for v in (value, *ends) if v]
        found[name] = shares[0], (min(shares[1:]), max(shares[1:]))
    for miss in each.misses:
        if miss.budget == FITS and miss.value:
            share = miss.value / miss.limit
            found[FITS] = share, (share, share)
    return found


def _named(each: Candidate, a: Advice) -> str:
    chosen = each.row.chosen
    return ", ".join(
        f"{name} {chosen[name]:,}" if isinstance(chosen[name], int) else str(chosen[name]) for name in varied(a)
    )
