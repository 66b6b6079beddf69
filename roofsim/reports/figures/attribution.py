"""From one runtime to another: which choice of the software costs what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from roofsim.foundation import units
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.results import Prediction
from roofsim.prediction.setup import Setup
from roofsim.reports.figures.captions import asked, on, rests_on
from roofsim.reports.figures.style import colours, heading, ink, look, quantities, subplots, tick
from roofsim.reports.theme import Theme
from roofsim.specs.runtime import Runtime
from roofsim.studies.compare import CALIBRATION, COMPARED, OTHER, Contribution, RuntimeComparison

WORDS: Mapping[str, tuple[str, str]] = {
    "logits": ("positions scored", "logits"), "mask": ("attention mask", "attention.mask"),
    "cache copies": ("copies of the cache", "cache"), "repeated heads": ("repeated heads", "attention.kv_heads"),
    "plans": ("plans of attention", "attention.plans"), "fusion": ("kernels and fusion", "lowering"),
    "launch": ("launches", "host.mode"), "reserve": ("memory and chunks", "memory.chunk"),
    OTHER: ("other choices", ""), CALIBRATION: ("calibration or priors", ""),
}  # fmt: skip
"""What each step is called, and the field of a runtime that says most about it."""

LINE = 0.3
"""Inches of a bar and its room."""


def attribution(c: RuntimeComparison, setups: Sequence[Setup], *, theme: Theme = "light") -> Figure:
    """A row of panels for each runtime beside the first, one for each metric: bars lead from one figure to the other.

    Each choice is made after those above it, so that bars add up; what is saved and what is added differ in colour.
    """
    first, *others = c.sides
    metrics = [name for name in COMPARED if _value(first.prediction, name) == _value(first.prediction, name)]
    with look(theme):
        tall = [LINE * (len(side.contributions) + 2) + 0.75 for side in others]
        figure, grid = subplots(
            len(others), len(metrics), figsize=(2.55 * len(metrics) + 1.5, sum(tall) + 1.2), squeeze=False,
            height_ratios=tall,
        )  # fmt: skip
        for row, side, other in zip(grid, others, setups[1:], strict=True):
            for axes, metric in zip(row, metrics, strict=True):
                _waterfall(axes, metric, first.prediction, side.prediction, side.contributions)
            labels = [_named(each.step, setups[0].runtime, other.runtime) for each in side.contributions]
            row[0].set_yticks(
                range(len(labels) + 2), [first.prediction.runtime, *labels, side.prediction.runtime], fontsize=7.5
            )
            for axes in row[1:]:
                axes.set_yticks(range(len(labels) + 2), [""] * (len(labels) + 2))
        bases = rests_on(side.prediction.calibration for side in c.sides)
        handles: list[Any] = [
            Patch(color=ink(0.45), label="as predicted"), Patch(color=colours()[2], label="saves"),
            Patch(color=colours()[1], label="adds"),
            *grid[0][0].plot([], [], color=ink(), lw=1.2, label=bases),
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
        w = first.prediction.workload
        what = f"{on(setups[0].device_name, model=first.prediction.model)}: {asked(w, 'logits')}"
        heading(figure, "What each choice of the software costs", what, "each choice is made after those above it")
        return figure


def _value(p: Prediction, metric: str) -> float:
    row = METRICS[metric]
    return float(p.memory.peak if metric == "memory" else getattr(p.request, row.figure))


def _waterfall(axes: Axes, metric: str, start: Prediction, end: Prediction, parts: Sequence[Contribution]) -> None:
    """The bars of one metric, from the figure of one runtime down to that of another."""
    unit = METRICS[metric].unit
    values = [_value(start, metric), *(getattr(part, metric) for part in parts), _value(end, metric)]
    spans = list(_spans(values))
    widest = max(max(each) for each in spans)
    for place, (value, (low, high)) in enumerate(zip(values, spans, strict=True)):
        total = place in (0, len(values) - 1)
        colour = ink(0.45) if total else colours()[2 if value < 0 else 1]
        axes.barh(place, high - low, left=low, height=0.62, color=colour, zorder=2)
        if place:
            before = values[0] if place == 1 else _end(spans[place - 1], values[place - 1])
            axes.plot([before, before], [place - 1, place], color=ink(0.5), lw=0.7, zorder=1)
        if abs(value) > SLIGHT * widest or total:
            said = tick(value, unit) if total else f"{'+' if value > 0 else '−'}{units.show(abs(value), unit)}"
            axes.annotate(said, (high, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
        else:
            axes.plot([low], [place], marker="|", ms=8, color=ink(0.4), zorder=2)
    for place, p in ((0, start), (len(values) - 1, end)):
        low, high = (p.intervals or {})[METRICS[metric].interval]
        axes.plot([low, min(high, ROOM * widest)], [place + 0.38] * 2, color=ink(), lw=1.2, clip_on=False)
    axes.set_ylim(len(values) - 0.45, -0.55)
    quantities(axes, "x", unit, 0, ROOM * widest, log=False, most=3)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_title(METRICS[metric].words)


ROOM = 1.45
"""Width of a panel, of its longest bar: the values stand beside the bars."""

SLIGHT = 5e-4
"""Bars of less of the longest are lines."""


def _spans(values: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Where each bar begins and ends: the first and the last from nought, others from where the one before ended."""
    at = 0.0
    for place, value in enumerate(values):
        before = 0.0 if place in (0, len(values) - 1) else at
        at = before + value
        yield min(before, at), max(before, at)


def _end(span: tuple[float, float], value: float) -> float:
    return span[1] if value > 0 else span[0]


def _named(step: str, start: Runtime, end: Runtime) -> str:
    """A step with what its main field was and is."""
    words, path = WORDS[step]
    values = [_field(runtime, path) for runtime in (start, end)] if path else []
    changed = f"\n{values[0]} → {values[1]}" if values and values[0] != values[1] else ""
    return words + changed


def _field(runtime: Runtime, path: str) -> str:
    found: Any = runtime
    for name in path.split("."):
        found = getattr(found, name)
    said = {True: "yes", False: "no", None: "none"}.get(found, found) if not isinstance(found, str) else found
    return str(said).replace("_", " ")
