"""What was measured beside what was predicted, as figures show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from roofsim.fitting.run import Result
from roofsim.foundation.values import dataclass
from roofsim.prediction.words import interval_label
from roofsim.reports.figures.captions import where
from roofsim.reports.figures.panels import grid
from roofsim.reports.figures.style import heading, ink
from roofsim.reports.validation import SAID
from roofsim.studies.validate import Validation

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Point:
    """A measured figure beside its prediction, with the interval of that if it has one.

    `panel` is what shares axes with it, `phase` and `model` are how it is told apart there. `left_out` says why it is
    not scored, empty where it is.
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
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """Points, and what is said of all of them: where they are from, what their bars are, how many more there are."""

    points: Sequence[Point]
    source: str
    bars: str
    unseen: int = 0


def of_fit(r: Result) -> Compared:
    """Predictions of rows that were held out; a panel per metric."""
    c = r.calibration
    points = [
        Point(
            said(x.case.metric), x.case.metric, x.case.group.split(" ", 1)[1], x.case.model or x.case.run.op,
            x.case.tokens, x.case.measured, x.held_out, x.low, x.high, ", ".join(x.case.flags),
        )
        for x in r.lines
    ]  # fmt: skip
    source = f"{where(c)}, {c.dataset.file}; each configuration is predicted by a fit without it"
    return Compared(points, source, "95 % interval", sum(r.skipped.values()))


def of_validation(v: Validation) -> Compared:
    """Predictions of rows of a file; a panel per metric of each device and stack."""
    several = len({(row.device, row.runtime) for row in v.rows}) > 1
    points = [
        Point(
            f"{said(r.metric).capitalize()}, {r.device}\n{r.runtime}" if several else said(r.metric), r.metric, r.phase,
            r.model or r.phase, r.prompt, r.measured, r.predicted, *r.interval, ", ".join(r.flags),
        )
        for r in v.rows
    ]  # fmt: skip
    one = v.rows[0] if v.rows and not several else None
    begins = f"{where(one)}, " if one else ""
    source = f"{begins}{v.file}; {f'calibration {v.calibration}' if v.calibration else 'without a calibration'}"
    unseen = v.figures - len(v.rows)
    return Compared(points, source, "95 % interval" if v.calibration else interval_label(None), unseen=unseen)


def said(metric: str) -> str:
    """A metric in words."""
    return SAID.get(metric, metric.replace("_", " "))


BANDS = ((0.25, 0.07), (0.10, 0.14))
"""Relative errors up to which the ground is shaded, the widest first, and how dark."""

MARKERS = {"prefill": "o", "decode": "^", "request": "v"}
"""What tells passes apart, and whole requests."""

OF_OPERATORS = "sDPX"
"""The same of single operators; the first, where what they are is not told apart."""


def marker(phase: str, again: int = 0) -> str:
    """The marker of a pass or of an operator, another where its colour comes `again`."""
    return MARKERS.get(phase, OF_OPERATORS[again % len(OF_OPERATORS)])


def by_panel(points: Sequence[Point]) -> Mapping[str, list[Point]]:
    """Points by what shares axes."""
    return grouped(points, lambda point: point.panel)


def grouped(points: Sequence[Point], key: Callable[[Point], K]) -> Mapping[K, list[Point]]:
    """Points by something, in the order in which it comes."""
    found: dict[K, list[Point]] = {}
    for point in points:
        found.setdefault(key(point), []).append(point)
    return found


def drawn(
    compared: Compared, title: str, entries: Sequence[tuple[Any, str]], panels: Sequence[str], height: float
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each name, and below them what all marks mean: `entries`, bands, what is left out."""
    every: list[tuple[Any, str]] = [*entries]
    every += [(Patch(color=ink(2 * dark)), f"within {size:.0%}") for size, dark in reversed(BANDS)]
    reasons = Counter(point.left_out for point in compared.points if point.left_out)
    if reasons:
        words = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in reasons.items())
        cross = Line2D([], [], marker="x", ms=4.5, mew=1, color=ink(0.6), ls="none")
        every.append((cross, f"rows left out of scores: {words}"))
    if compared.unseen:
        every.append((Line2D([], [], ls="none"), f"not drawn: {compared.unseen:,} figures that are not predicted"))
    figure, axes, key = grid(len(panels), height, every)
    heading(figure, title, compared.source)
    for each, name in zip(axes, panels, strict=True):
        each.set_title(name if "\n" in name else name.capitalize())
    key.draw(figure)
    return figure, axes
