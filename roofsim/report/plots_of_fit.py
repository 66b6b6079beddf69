"""Figures of a calibration: predicted against measured, residuals over length, parameters with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from roofsim.calibrate.run import Line, Result
from roofsim.foundation import units
from roofsim.foundation.parameters import PARAMETERS
from roofsim.report.plots import COLOURS, STYLE, save
from roofsim.report.validation import UNITS


def save_all(r: Result, folder: str) -> None:
    """Write the three figures as PNG."""
    for name, draw in (("predicted", predicted), ("residuals", residuals), ("parameters", parameters)):
        save(draw(r), str(Path(folder) / f"{name}.png"))


ACROSS = 3
"""Panels side by side."""
MARKERS = "osD^v"


def _logarithmic(axis: Any, ends: Sequence[float], unit: str = "") -> None:
    """Ticks written as quantities: at 1, 2 and 5 of each decade, at 1 alone where there are many decades."""
    wide = max(ends) > 100 * min(ends)
    axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5), numticks=5))
    axis.set_major_formatter(FuncFormatter(lambda v, _: units.show(v, unit) if unit else units.significant(v)))
    axis.set_minor_formatter(NullFormatter())


def _panels(count: int, height: float) -> tuple[Figure, list[Any]]:
    """A figure with so many panels in rows, and room for a legend below them."""
    rows = -(-count // ACROSS)
    size = (3.4 * min(count, ACROSS), height * rows)
    figure, panels = plt.subplots(rows, min(count, ACROSS), figsize=size, squeeze=False)
    flat = list(panels.flat)
    for axes in flat[count:]:
        axes.set_visible(False)
    for row in panels:
        row[0].set_ylabel("predicted, held out")
    return figure, flat[:count]


def _looks(labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A colour and a marker for each label, the same in every panel."""
    return {
        label: {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i // len(COLOURS) % len(MARKERS)], "ls": "none"}
        for i, label in enumerate(sorted(set(labels)))
    }


def _legend(figure: Figure, looks: dict[str, dict[str, Any]]) -> None:
    """One legend for all panels, below them."""
    handles = [Line2D([], [], ms=4, label=label, **look) for label, look in looks.items()]
    rows = -(-len(handles) // 5)
    figure.tight_layout(rect=(0, 0.18 * rows / figure.get_figheight(), 1, 1))
    figure.legend(handles=handles, loc="lower center", ncols=min(5, len(handles)), fontsize=7, frameon=False)


def _by_metric(lines: Sequence[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        if not line.case.flags:
            found.setdefault(line.case.metric, []).append(line)
    return found


def predicted(r: Result) -> Figure:
    """Held-out predictions with their intervals over what was measured, one panel per metric."""
    groups = _by_metric(r.lines)
    looks = _looks([_phase(line) for lines in groups.values() for line in lines])
    with plt.rc_context(STYLE):
        figure, panels = _panels(len(groups), 3.2)
        for axes, (metric, lines) in zip(panels, groups.items(), strict=True):
            for label, look in looks.items():
                mine = [line for line in lines if _phase(line) == label]
                x = np.array([line.case.measured for line in mine])
                y = np.array([line.held_out for line in mine])
                low, high = (np.array([getattr(line, end) for line in mine]) for end in ("low", "high"))
                axes.errorbar(x, y, [y - low, high - y], ms=2.5, elinewidth=0.4, **look)
            ends = [min(line.case.measured for line in lines), max(line.case.measured for line in lines)]
            axes.plot(ends, ends, color="0.4", lw=0.8)
            axes.set_xscale("log")
            axes.set_yscale("log")
            for axis in (axes.xaxis, axes.yaxis):
                _logarithmic(axis, ends, UNITS.get(metric, "").replace("count", ""))
            axes.tick_params(labelsize=7)
            axes.set_title(metric)
            axes.set_xlabel("measured")
        _legend(figure, looks)
    return figure


def _phase(line: Line) -> str:
    """The phase of a whole pass, or the operator."""
    return line.case.group.split(" ", 1)[1]


def _model(line: Line) -> str:
    """The model of a whole pass, or the operator."""
    return line.case.model or line.case.run.op


def residuals(r: Result) -> Figure:
    """Relative errors on held-out rows over length."""
    groups = _by_metric([line for line in r.lines if line.case.tokens]) or _by_metric(r.lines)
    looks = _looks([_model(line) for lines in groups.values() for line in lines])
    with plt.rc_context(STYLE):
        figure, panels = _panels(len(groups), 2.8)
        for axes, (metric, lines) in zip(panels, groups.items(), strict=True):
            for label, look in looks.items():
                mine = [line for line in lines if _model(line) == label]
                x = [max(line.case.tokens, 1) for line in mine]
                axes.plot(x, [100 * line.error for line in mine], ms=3, **look)
            axes.axhline(0, color="0.4", lw=0.8)
            axes.set_xscale("log", base=2)
            axes.set_title(metric)
            axes.set_xlabel("tokens")
            axes.set_ylabel("error, held out (%)")
        _legend(figure, looks)
    return figure


def parameters(r: Result) -> Figure:
    """Estimates with their 95 % intervals, as multiples of their priors."""
    shown = [(name, e) for name, e in r.calibration.parameters.items() if e.determined]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.5, 0.28 * max(len(shown), 3) + 1))
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
