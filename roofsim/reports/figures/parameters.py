"""Fitted parameters with their intervals."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from roofsim.fitting.run import Result
from roofsim.foundation import units
from roofsim.foundation.parameters import PARAMETERS
from roofsim.reports.figures.captions import where
from roofsim.reports.figures.labels import SIZE, settle
from roofsim.reports.figures.style import Key, colours, heading, ink, look, quantities, subplots
from roofsim.reports.theme import Theme
from roofsim.specs.calibration import Estimate

ROOM = 1.15
"""By how much the axis goes on beyond the intervals."""


def parameters(r: Result, *, theme: Theme = "light") -> Figure:
    """Estimates with their 95 % intervals as multiples of their priors, and in numbers beside them."""
    c = r.calibration
    found = [(name, e) for name, e in c.parameters.items() if e.determined]
    silent = [name.replace("_", " ") for name, e in c.parameters.items() if not e.determined]
    with look(theme):
        line: Any = Line2D([], [], color=colours()[0], marker="o", ms=4.5, lw=1.8)
        entries = [(line, "estimate and its 95 % interval"), (Line2D([], [], color=ink(0.6), lw=1), "prior")]
        if silent:
            entries.append((Line2D([], [], ls="none"), f"not determined by these rows: {', '.join(silent)}"))
        below = Key.of(entries, WIDTH)
        figure, axes = subplots(figsize=(WIDTH, 0.26 * max(len(found), 3) + 1.3 + below.height))
        heading(
            figure, "Fitted parameters", where(c),
            f"{c.dataset.used:,} rows of {c.dataset.file}",
        )  # fmt: skip
        ends = [1.0]
        for i, (name, e) in enumerate(found):
            prior = _prior(name, e)
            ends += [e.low / prior, e.high / prior]
            axes.plot(ends[-2:], [i, i], color=colours()[0], lw=1.8, solid_capstyle="butt")
            axes.plot(e.value / prior, i, "o", ms=4.5, color=colours()[0])
            axes.annotate(
                _told(name, e), (1, i), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
                fontsize=SIZE, va="center", annotation_clip=False, color=ink(0.85),
            )  # fmt: skip
        axes.axvline(1, color=ink(0.6), lw=1)
        positive = [each for each in ends if each > 0]
        quantities(axes, "x", "", min(positive) / ROOM, max(positive) * ROOM, log=True)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}x"))
        axes.set_yticks(range(len(found)), [name.replace("_", " ") for name, _ in found])
        axes.set_ylim(max(len(found), 1) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("estimate over prior")
        below.draw(figure)
        settle(figure)
        return figure


WIDTH = 7.2
"""Inches."""


def _prior(name: str, e: Estimate) -> float:
    return e.prior or PARAMETERS[name].prior


def _told(name: str, e: Estimate) -> str:
    """The estimate itself, its interval, and its prior."""
    unit = PARAMETERS[name].unit
    value, low, high, prior = (_shown(x, unit) for x in (e.value, e.low, e.high, _prior(name, e)))
    return f"{value} ({low} to {high}); prior {prior}"


def _shown(value: float, unit: str) -> str:
    return units.show(value, unit) if unit in units.UNITS and unit else units.significant(value)
