"""Fitted parameters with their intervals."""

from __future__ import annotations

from matplotlib.figure import Figure

from roofsim.fitting.run import Result
from roofsim.foundation.parameters import PARAMETERS
from roofsim.report.figures.points import logarithmic
from roofsim.report.figures.style import colours, look, subplots
from roofsim.report.theme import Theme


def parameters(r: Result, *, theme: Theme = "light") -> Figure:
    """Estimates with their 95 % intervals, as multiples of their priors."""
    shown = [(name, e) for name, e in r.calibration.parameters.items() if e.determined]
    with look(theme):
        figure, axes = subplots(figsize=(5.5, 0.28 * max(len(shown), 3) + 1))
        for i, (name, e) in enumerate(shown):
            prior = e.prior or PARAMETERS[name].prior
            axes.plot([e.low / prior, e.high / prior], [i, i], color=colours()[0], lw=1.5)
            axes.plot(e.value / prior, i, "o", ms=4, color=colours()[0])
        axes.axvline(1, color="0.4", lw=0.8)
        axes.set_yticks(range(len(shown)), [name for name, _ in shown])
        axes.set_xscale("log")
        logarithmic(axes.xaxis, axes.get_xlim())
        axes.set_xlabel("estimate over prior")
        axes.invert_yaxis()
    return figure
