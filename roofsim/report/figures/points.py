"""What was measured, beside what was predicted, as figures show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from roofsim.fitting.run import Result
from roofsim.foundation import units
from roofsim.report.figures.style import looks, subplots
from roofsim.studies.validate import Validation


@dataclass(frozen=True, slots=True)
class Point:
    """A measured figure beside its prediction, with the interval of that if it has one.

    `panel` is what shares axes with it, `phase` and `model` are how it is told apart there.
    """

    panel: str
    metric: str
    phase: str
    model: str
    tokens: int
    measured: float
    predicted: float
    low: float
    high: float


def points_of_fit(r: Result) -> list[Point]:
    """Predictions of rows that were held out; a panel per metric."""
    return [
        Point(
            x.case.metric, x.case.metric, x.case.group.split(" ", 1)[1], x.case.model or x.case.run.op, x.case.tokens,
            x.case.measured, x.held_out, x.low, x.high,
        )
        for x in r.lines if not x.case.flags
    ]  # fmt: skip


def points_of_validation(v: Validation) -> list[Point]:
    """Predictions of rows that are scored; a panel per metric of each device and stack."""
    several = len({(row.device, row.runtime) for row in v.rows}) > 1
    return [
        Point(
            f"{r.device}\n{r.runtime}, {r.metric}" if several else r.metric, r.metric, r.phase, r.model or r.phase,
            r.prompt, r.measured, r.predicted, *(r.interval or (r.predicted, r.predicted)),
        )
        for r in v.rows if not r.flags
    ]  # fmt: skip


HELD_OUT = ", held out"
"""What a calibration's figures say of their predictions."""
BANDS = ((0.25, "0.93"), (0.10, "0.85"))
"""Relative errors up to which the ground is shaded, the widest first, and its greys."""
ACROSS = 3
"""Panels side by side."""


def logarithmic(axis: Any, ends: Sequence[float], unit: str = "") -> None:
    """Ticks written as quantities: at 1, 2 and 5 of each decade, at 1 alone where there are many decades."""
    span = max(ends) / min(ends)
    axis.set_major_locator(
        LogLocator(subs=(1,) if span > 100 else (1, 2, 5), numticks=5) if span > 2 * ROOM else MaxNLocator(3)
    )
    axis.set_major_formatter(FuncFormatter(lambda v, _: units.show(v, unit) if unit else count(v)))
    axis.set_minor_formatter(NullFormatter())


ROOM = 1.3
"""By how much axes go on beyond the values on both sides."""


def count(value: float) -> str:
    """A number without a unit."""
    return units.short_count(value) if value >= 10_000 else units.significant(value)


def panels_of(count: int, height: float, label: str) -> tuple[Figure, list[Any]]:
    """A figure with so many panels in rows, and room for a legend below them."""
    rows = -(-count // ACROSS)
    size = (3.4 * min(count, ACROSS), height * rows)
    figure, panels = subplots(rows, min(count, ACROSS), figsize=size, squeeze=False)
    flat = list(panels.flat)
    for axes in flat[count:]:
        axes.set_visible(False)
    for row in panels:
        row[0].set_ylabel(label)
    return figure, flat[:count]


def looks_of(labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A colour and a marker for each label, the same in every panel."""
    found = looks(sorted(set(labels)))
    return {label: {"color": each.colour, "marker": each.marker, "ls": "none"} for label, each in found.items()}


def key(figure: Figure, looks: dict[str, dict[str, Any]], *more: Line2D) -> None:
    """One legend for all panels, below them, with what else is drawn and the shaded bands last."""
    handles: list[Any] = [Line2D([], [], ms=4, label=label, **look) for label, look in looks.items()]
    handles += more
    handles += [Patch(color=grey, label=f"\u00b1{size:.0%}") for size, grey in reversed(BANDS)]

    figure.legend(handles=handles, loc="outside lower center", ncols=min(5, len(handles)), fontsize=7, frameon=False)


def by_panel(points: Sequence[Point]) -> Mapping[str, list[Point]]:
    """Points by what shares axes."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.panel, []).append(point)
    return found
