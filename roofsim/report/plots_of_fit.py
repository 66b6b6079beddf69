"""Figures of predicted against measured, of residuals over length, and of fitted parameters with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from roofsim.fitting.run import Result
from roofsim.foundation import units
from roofsim.foundation.parameters import PARAMETERS
from roofsim.prediction.words import interval_label
from roofsim.report.plots import COLOURS, STYLE, save, subplots
from roofsim.report.validation import UNITS
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


def save_all(r: Result, folder: str) -> None:
    """Write the three figures of a calibration as PNG."""
    points = points_of_fit(r)
    figures = {"predicted": predicted(points, HELD_OUT), "residuals": residuals(points, HELD_OUT)}
    for name, figure in {**figures, "parameters": parameters(r)}.items():
        save(figure, str(Path(folder) / f"{name}.png"))


def save_validation(v: Validation, folder: str) -> list[str]:
    """Write both figures of a validation as PNG and, for print, as PDF; the names of the PNGs."""
    points = points_of_validation(v)
    bars = "95 % interval" if v.calibration else interval_label(None)
    names = []
    for name in ("predicted", "residuals"):
        for ending in ("pdf", "png"):
            figure = predicted(points, bars=bars) if name == "predicted" else residuals(points)
            save(figure, str(Path(folder) / f"{name}.{ending}"))
        names.append(f"{name}.png")
    return names


HELD_OUT = ", held out"
"""What a calibration's figures say of their predictions."""
BANDS = ((0.25, "0.93"), (0.10, "0.85"))
"""Relative errors up to which the ground is shaded, the widest first, and its greys."""
ACROSS = 3
"""Panels side by side."""
MARKERS = "osD^v"


def _logarithmic(axis: Any, ends: Sequence[float], unit: str = "") -> None:
    """Ticks written as quantities: at 1, 2 and 5 of each decade, at 1 alone where there are many decades."""
    span = max(ends) / min(ends)
    axis.set_major_locator(
        LogLocator(subs=(1,) if span > 100 else (1, 2, 5), numticks=5) if span > 2 * ROOM else MaxNLocator(3)
    )
    axis.set_major_formatter(FuncFormatter(lambda v, _: units.show(v, unit) if unit else _count(v)))
    axis.set_minor_formatter(NullFormatter())


ROOM = 1.3
"""By how much axes go on beyond the values on both sides."""


def _count(value: float) -> str:
    return units.short_count(value) if value >= 10_000 else units.significant(value)


def _panels(count: int, height: float, label: str) -> tuple[Figure, list[Any]]:
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


def _looks(labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A colour and a marker for each label, the same in every panel."""
    return {
        label: {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i // len(COLOURS) % len(MARKERS)], "ls": "none"}
        for i, label in enumerate(sorted(set(labels)))
    }


def _legend(figure: Figure, looks: dict[str, dict[str, Any]], *more: Line2D) -> None:
    """One legend for all panels, below them, with what else is drawn and the shaded bands last."""
    handles: list[Any] = [Line2D([], [], ms=4, label=label, **look) for label, look in looks.items()]
    handles += more
    handles += [Patch(color=grey, label=f"\u00b1{size:.0%}") for size, grey in reversed(BANDS)]
    rows = -(-len(handles) // 5)
    figure.tight_layout(rect=(0, 0.18 * rows / figure.get_figheight(), 1, 1))
    figure.legend(handles=handles, loc="lower center", ncols=min(5, len(handles)), fontsize=7, frameon=False)


def _by_panel(points: Sequence[Point]) -> Mapping[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.panel, []).append(point)
    return found


def predicted(points: Sequence[Point], which: str = "", bars: str = "95 % interval") -> Figure:
    """Predictions with their intervals over what was measured, one panel per metric and stack."""
    groups = _by_panel(points)
    looks = _looks([point.phase for point in points])
    with rc_context(STYLE):
        figure, panels = _panels(len(groups), 3.2, f"predicted{which}")
        for axes, (panel, mine) in zip(panels, groups.items(), strict=True):
            ends = _ends([x for p in mine for x in (p.measured, p.predicted)])
            for size, grey in BANDS:
                below, above = ([x * (1 + sign * size) for x in ends] for sign in (-1, 1))
                axes.fill_between(ends, below, above, color=grey, lw=0, zorder=0)
            axes.plot(ends, ends, color="0.4", lw=0.8)
            for label, look in looks.items():
                shown = [p for p in mine if p.phase == label]
                x, y, low, high = (
                    np.array([getattr(p, name) for p in shown]) for name in ("measured", "predicted", "low", "high")
                )
                axes.errorbar(x, y, [y - low, high - y], ms=2.5, elinewidth=0.4, **look)
            for scale, limit in ((axes.set_xscale, axes.set_xlim), (axes.set_yscale, axes.set_ylim)):
                scale("log")
                limit(*ends)
            for axis in (axes.xaxis, axes.yaxis):
                _logarithmic(axis, ends, UNITS.get(mine[0].metric, "").replace("count", ""))
            axes.tick_params(labelsize=7)
            axes.set_title(panel, fontsize=8)
            axes.set_xlabel("measured")
        _legend(figure, looks, Line2D([], [], color="0.3", marker="|", ms=8, ls="none", label=bars))
    return figure


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Where the axes of a panel end: a little beyond the values, on both axes."""
    return min(values) / ROOM, max(values) * ROOM


def residuals(points: Sequence[Point], which: str = "") -> Figure:
    """Relative errors over length; those of decode are open markers."""
    groups = _by_panel([point for point in points if point.tokens] or points)
    looks = _looks([point.model for mine in groups.values() for point in mine])
    with rc_context(STYLE):
        figure, panels = _panels(len(groups), 2.8, f"error{which} (%)")
        for axes, (panel, mine) in zip(panels, groups.items(), strict=True):
            errors = [100 * (p.predicted / p.measured - 1) for p in mine]
            for size, grey in BANDS:
                axes.axhspan(-100 * size, 100 * size, color=grey, lw=0, zorder=0)
            axes.axhline(0, color="0.4", lw=0.8)
            for label, look in looks.items():
                for fill in ("none", "full"):
                    shown = [
                        (max(p.tokens, 1), e)
                        for p, e in zip(mine, errors, strict=True)
                        if p.model == label and (p.phase == "decode") == (fill == "none")
                    ]
                    axes.plot([x for x, _ in shown], [y for _, y in shown], ms=3, fillstyle=fill, **look)
            axes.set_xscale("log", base=2)
            if max(errors) > LINEAR:
                axes.set_yscale("symlog", linthresh=LINEAR)
                axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: units.significant(v)))
            axes.tick_params(labelsize=7)
            axes.set_title(panel, fontsize=8)
            axes.set_xlabel("tokens")
        _legend(figure, looks, *_fills({point.phase for mine in groups.values() for point in mine}))
    return figure


def _fills(phases: set[str]) -> list[Line2D]:
    """What open and full markers mean, where there are both."""
    if "decode" not in phases or len(phases) == 1:
        return []
    shown = (("decode", "none"), ("others" if phases - {"decode", "prefill"} else "prefill", "full"))
    return [Line2D([], [], color="0.4", marker="o", ms=4, ls="none", fillstyle=f, label=name) for name, f in shown]  # type: ignore[arg-type]


LINEAR = 100
"""Errors in % up to which their axis is linear; predictions many times too slow would hide all others."""


def parameters(r: Result) -> Figure:
    """Estimates with their 95 % intervals, as multiples of their priors."""
    shown = [(name, e) for name, e in r.calibration.parameters.items() if e.determined]
    with rc_context(STYLE):
        figure, axes = subplots(figsize=(5.5, 0.28 * max(len(shown), 3) + 1))
        for i, (name, e) in enumerate(shown):
            prior = e.prior or PARAMETERS[name].prior
            axes.plot([e.low / prior, e.high / prior], [i, i], color=COLOURS[0], lw=1.5)
            axes.plot(e.value / prior, i, "o", ms=4, color=COLOURS[0])
        axes.axvline(1, color="0.4", lw=0.8)
        axes.set_yticks(range(len(shown)), [name for name, _ in shown])
        axes.set_xscale("log")
        _logarithmic(axes.xaxis, axes.get_xlim())
        axes.set_xlabel("estimate over prior")
        axes.invert_yaxis()
        figure.tight_layout()
    return figure
