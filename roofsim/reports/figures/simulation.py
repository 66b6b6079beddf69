"""How requests fared that were served event by event: the spread of their times, and how many there were over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter

from roofsim.foundation.units import show
from roofsim.prediction.setup import Setup
from roofsim.reports.figures.about import case
from roofsim.reports.figures.style import heading, ink, look, looks, subplots
from roofsim.reports.theme import Theme
from roofsim.serving.outcome import Simulated
from roofsim.serving.simulation import Simulation

SAID = {"ttft": "to the first token", "itl": "between tokens", "e2e": "to the last token"}
"""Times that are drawn, in words."""
POINTS = 400
"""Of a curve: as many as a figure of this width shows."""


def simulation(found: Simulation, s: Setup, *, theme: Theme = "light") -> Figure:
    """The share of requests (and of tokens) that took no longer, and requests in the engine over time.

    Of those below the second line none has a first token yet: they wait, or their prompts go through.
    """
    with look(theme):
        figure, (left, right) = subplots(1, 2, figsize=(7.4, 3.7))
        _shares(left, found.result)
        _inside(right, found.result)
        lengths = () if found.load.trace is None else ("prompt", "generate")
        spread = f"lengths within {found.load.spread:.0%}" if found.load.spread else ""
        said = "more come than can be answered" if found.result.overloaded else ""
        captions = case(s, found.workload, "batch", *lengths, mark="")
        heading(figure, f"Requests {found.load.said}", *captions, ", ".join(filter(None, (spread, said))))
        handles = [*left.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
        figure.legend(handles=handles, loc="outside lower center", ncols=5)
        return figure


def _shares(axes: Axes, r: Simulated) -> None:
    times: dict[str, Sequence[float]] = {
        "ttft": [each.ttft for each in r.requests], "itl": r.gaps, "e2e": [each.e2e for each in r.requests],
    }  # fmt: skip
    found = looks([name for name in times if len(times[name])])
    share = np.linspace(0, 1, POINTS)
    for name, of in found.items():
        axes.plot(np.quantile(times[name], share), share, color=of.colour, ls=of.dashes, label=SAID[name])
    for level in (0.5, 0.95, 0.99):
        axes.axhline(level, color=ink(0.25), lw=0.7, zorder=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: show(x, "s", 1)))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylim(0, 1)
    axes.set_xlabel("time")
    axes.set_ylabel("took no longer")
    axes.set_title("times; lines at 50, 95 and 99 %")


def _inside(axes: Axes, r: Simulated) -> None:
    arrived, first, last = np.sort(np.array([(d.arrived, d.first, d.last) for d in r.requests]), axis=0).T
    at = np.linspace(0, r.duration, POINTS)

    def until(times: np.ndarray) -> np.ndarray:
        return np.searchsorted(times, at, side="right")

    axes.plot(at, until(arrived) - until(last), color=ink(0.75), lw=1.2, label="in the engine")
    axes.fill_between(at, until(arrived) - until(first), color=ink(0.35), lw=0, label="without a first token")
    axes.set_xlim(0, r.duration)
    axes.set_ylim(0, None)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("seconds")
    axes.set_ylabel("requests")
    axes.set_title("requests over time")
