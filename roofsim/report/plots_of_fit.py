"""Figures of a calibration: predicted against measured, residuals over length, parameters with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from roofsim import units
from roofsim.calibrate.run import Line, Result
from roofsim.parameters import PARAMETERS
from roofsim.report.plots import COLOURS, STYLE, save
from roofsim.report.validation import UNITS


def save_all(r: Result, folder: str) -> None:
    """Write the three figures as PNG."""
    for name, draw in (("predicted", predicted), ("residuals", residuals), ("parameters", parameters)):
        save(draw(r), str(Path(folder) / f"{name}.png"))


def _logarithmic(axis: Any, unit: str = "") -> None:
    """Ticks at 1, 2 and 5 of each decade, written as quantities."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda v, _: units.show(v, unit) if unit else units.significant(v)))
    axis.set_minor_formatter(NullFormatter())


def _by_metric(lines: Sequence[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        if not line.case.flags:
            found.setdefault(line.case.metric, []).append(line)
    return found


def predicted(r: Result) -> Figure:
    """Held-out predictions with their intervals over what was measured, one panel per metric."""
    groups = _by_metric(r.lines)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(1, len(groups), figsize=(3.4 * len(groups), 3.4), squeeze=False)
        for axes, (metric, lines) in zip(panels[0], groups.items(), strict=True):
            for i, phase in enumerate(sorted({line.case.group for line in lines})):
                mine = [line for line in lines if line.case.group == phase]
                x = np.array([line.case.measured for line in mine])
                y = np.array([line.held_out for line in mine])
                low, high = (np.array([getattr(line, end) for line in mine]) for end in ("low", "high"))
                label = phase.split(" ", 1)[1]
                axes.errorbar(
                    x, y, [y - low, high - y], fmt="o", ms=2.5, lw=0.4, color=COLOURS[i % len(COLOURS)], label=label
                )
            ends = [min(line.case.measured for line in lines), max(line.case.measured for line in lines)]
            axes.plot(ends, ends, color="0.4", lw=0.8)
            axes.set_xscale("log")
            axes.set_yscale("log")
            for axis in (axes.xaxis, axes.yaxis):
                _logarithmic(axis, UNITS.get(metric, "").replace("count", ""))
            axes.tick_params(labelsize=7)
            axes.set_title(metric)
            axes.set_xlabel("measured")
            axes.legend(fontsize=6)
        panels[0][0].set_ylabel("predicted, held out")
        figure.tight_layout()
    return figure


def residuals(r: Result) -> Figure:
    """Relative errors on held-out rows over length."""
    groups = _by_metric([line for line in r.lines if line.case.tokens]) or _by_metric(r.lines)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(1, len(groups), figsize=(3.4 * len(groups), 3.0), squeeze=False)
        for axes, (metric, lines) in zip(panels[0], groups.items(), strict=True):
            for i, model in enumerate(sorted({line.case.model or line.case.run.op for line in lines})):
                mine = [line for line in lines if (line.case.model or line.case.run.op) == model]
                x = [max(line.case.tokens, 1) for line in mine]
                axes.plot(
                    x, [100 * line.error for line in mine], "o", ms=3, color=COLOURS[i % len(COLOURS)], label=model
                )
            axes.axhline(0, color="0.4", lw=0.8)
            axes.set_xscale("log", base=2)
            axes.set_title(metric)
            axes.set_xlabel("tokens")
            axes.legend(fontsize=5)
        panels[0][0].set_ylabel("error, held out (%)")
        figure.tight_layout()
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
        _logarithmic(axes.xaxis)
        axes.set_xlabel("estimate over prior")
        axes.invert_yaxis()
        figure.tight_layout()
    return figure
