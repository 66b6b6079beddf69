"""What moves a figure: a bar for each number."""

from __future__ import annotations

from math import log
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from roofsim.foundation import units
from roofsim.prediction.spoken import words
from roofsim.reports.figures.captions import asked, on, rests_on
from roofsim.reports.figures.numbers import number
from roofsim.reports.figures.style import colours, heading, ink, look, quantities, subplots
from roofsim.reports.theme import Theme
from roofsim.spaces.sensitivity import Sensitivities, Sensitivity, Turn

BARS = 16
"""Numbers that a tornado shows."""

LINE = 0.27
"""Inches of a bar and its room."""

LOGARITHMIC = 8
"""From this factor between the ends on the axis is logarithmic."""

MARGIN = 0.04
"""What is left free beyond the bars, of the length of the axis."""


def tornado(r: Sensitivities, device: str, runtime: str, *, theme: Theme = "light") -> Figure:
    """The figure at half and at twice each number, the widest bars on top, with the interval of the prediction.

    Beside each number stand what it is now and the elasticity; a rhomb marks where the regime changes within the bar.
    """
    drawn = [row for row in r.rows if row.less > 0 and row.more > 0 and row.more != row.less]
    widest = sorted(drawn, key=lambda row: -_reach(row))[:BARS]
    rows = [row for i, row in enumerate(widest) if i < LEAST or _reach(row) > SEEN]
    with look(theme):
        figure, axes = subplots(figsize=(7.4, LINE * max(len(rows), 2) + 2.0))
        ends = [r.value, *(end for row in rows for end in (row.less, row.more)), *(r.interval or ())]
        for place, row in enumerate(rows):
            _bar(axes, place, row, r.value)
        if r.interval:
            axes.axvspan(*r.interval, color=ink(0.14), lw=0, zorder=0)
        axes.axvline(r.value, color=ink(), lw=0.9)
        axes.set_yticks(range(len(rows)), [_named(row) for row in rows], fontsize=7.5)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        _scale(axes, r.unit, min(ends), max(ends))
        axes.set_xlabel(r.words)
        axes.annotate("elasticity", (1, 1), xycoords="axes fraction", xytext=(6, 3), textcoords="offset points",
                      fontsize=7.5, color=ink(0.72), annotation_clip=False)  # fmt: skip
        _key(figure, r, rows)
        now = units.show(r.value, r.unit) if r.unit else units.significant(r.value)
        heading(figure, f"What moves the {r.words}: {now}", on(device, runtime, r.model), asked(r.workload))
        return figure


LEAST, SEEN = 3, 0.004
"""So many are always shown; others only if the figure changes by this share from half to twice the number."""


def _reach(row: Sensitivity) -> float:
    return abs(log(row.more / row.less))


def _bar(axes: Axes, place: int, row: Sensitivity, value: float) -> None:
    """The figure from half the number to twice it, and what of that lies beyond a change of regime."""
    for end, factor, turn, colour in (
        (row.less, row.values[0] / row.value, row.below, colours()[5]),
        (row.more, row.values[1] / row.value, row.above, colours()[1]),
    ):
        axes.barh(place, end - value, left=value, color=colour, height=0.7)
        if abs(factor - 0.5) > NEAR and abs(factor - 2) > NEAR and end != value:
            right = end > value
            axes.annotate(f"×{units.significant(factor)}", (end, place), fontsize=6.5, va="center",
                          ha="left" if right else "right", xytext=(2 if right else -2, 0),
                          textcoords="offset points")  # fmt: skip
        if turn and factor != 1 and _within(turn, factor):
            at = value * (end / value) ** (log(turn.factor) / log(factor))
            axes.plot([at], [place], marker="D", ms=3.5, color=ink(0.05), mec=ink(), mew=0.7, zorder=4)
    axes.annotate(f"{row.elasticity:+.2f}", (1, place), xycoords=("axes fraction", "data"), xytext=(6, 0),
                  textcoords="offset points", va="center", fontsize=7.5, annotation_clip=False)  # fmt: skip


def _within(turn: Turn, factor: float) -> bool:
    """Whether a change of regime lies within what is drawn, from now to so many times the number."""
    return min(factor, 1) <= turn.factor <= max(factor, 1)


NEAR = 1e-6
"""By how much a factor may miss by rounding."""


def _named(row: Sensitivity) -> str:
    return f"{words(row.number)} = {number(row.value, row.unit)}"


def _scale(axes: Axes, unit: str, low: float, high: float) -> None:
    logarithmic = low > 0 and high > LOGARITHMIC * low
    if logarithmic:
        beyond = (high / low) ** MARGIN
        quantities(axes, "x", unit, low / beyond, high * beyond, log=True)
    else:
        beyond = MARGIN * (high - low) or MARGIN * high
        quantities(axes, "x", unit, max(low - beyond, 0), high + beyond, log=False)


def _key(figure: Figure, r: Sensitivities, rows: list[Sensitivity]) -> None:
    handles: list[Any] = [
        Patch(color=colours()[5], label="half the number"), Patch(color=colours()[1], label="twice the number")
    ]  # fmt: skip
    if r.interval:
        handles.append(Patch(color=ink(0.14), label=rests_on([r.calibration])))
    ends = ((row, turn, end) for row in rows for turn, end in zip((row.below, row.above), row.values, strict=True))
    if any(turn and end != row.value and _within(turn, end / row.value) for row, turn, end in ends):
        mark: Any = {"marker": "D", "ms": 3.5, "color": ink(0.05), "mec": ink(), "mew": 0.7, "ls": "none"}
        handles += figure.axes[0].plot([], [], label="another regime begins", **mark)
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
