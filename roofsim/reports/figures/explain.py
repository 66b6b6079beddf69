"""Why a figure is what it is: over length with its regimes and its polynomial, and what moves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from roofsim.engine.regime import LENGTH
from roofsim.foundation import units
from roofsim.foundation.parameters import PARAMETERS
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.setup import Setup
from roofsim.reports.explain import SMALL, meanings_of, units_of
from roofsim.reports.figures.about import case
from roofsim.reports.figures.scales import AROUND, over_lengths, widened
from roofsim.reports.figures.style import CAPTION, colours, heading, ink, look, quantities, subplots, width_of
from roofsim.reports.table import Column
from roofsim.reports.theme import Theme
from roofsim.specs.workload import Workload
from roofsim.studies.explain import Explanation, Regime
from roofsim.studies.over_length import Curve

BOUNDS: Mapping[str, int] = {"launch": 1, "memory": 0, "compute": 2, "network": 3}
"""The colour of what bounds a pass."""

PULLS = 9
"""Symbols whose pull is shown."""


def explain(e: Explanation, c: Curve, s: Setup, w: Workload, *, theme: Theme = "light") -> Figure:
    """The metric over length with its interval, before what bounds the prefill there; beside it what moves it here.

    The polynomial that holds around the length is dashed.
    """
    row = METRICS[e.metric]
    with look(theme):
        figure, (left, right) = subplots(1, 2, figsize=(9.4, 4.1), width_ratios=(1.9, 1))
        _curve(left, e, c)
        _pulls(right, e)
        figure.legend(loc="outside lower center", ncols=6)
        form = _form(e)
        now = units.show(e.value, row.unit) if row.unit else units.significant(e.value)
        title = f"Why the {row.words} is {now} at {e.length:,} tokens"
        heading(figure, title, *case(s, w, "prompt"), *([f"around there: {form}"] if form else []))
        return figure


def _form(e: Explanation) -> str:
    """The polynomial with its coefficients as quantities."""
    shown = METRICS[e.form_of]
    powers = ("", " · N", *(f" · N^{k}" for k in range(2, len(e.coefficients))))
    terms = [
        f"{units.show(x, shown.unit) if shown.unit else units.significant(x)}{power}"
        for x, power in zip(e.coefficients, powers, strict=False) if x
    ]  # fmt: skip
    return f"{shown.words} = {' + '.join(terms)}".replace("+ -", "− ") if terms else ""


def _curve(axes: Axes, e: Explanation, c: Curve) -> None:
    row = METRICS[e.metric]
    over_lengths(axes, c.lengths)
    low, high = zip(*c.intervals, strict=True)
    xs, below = widened(c.lengths, low)
    bottom, top = min(low), max(high)
    bottom, top = (bottom / MARGIN, top * MARGIN * MARGIN) if top > bottom else (bottom / 2, top * 2)
    quantities(axes, "y", row.unit, bottom, top, log=True)
    for i, regime in enumerate(e.regimes):
        _regime(axes, regime, begins=i == 0)
    axes.fill_between(xs, below, widened(c.lengths, high)[1], color=ink(0.5), alpha=0.3, lw=0, label="95 % interval")
    axes.plot(*widened(c.lengths, c.values), color=ink(), lw=1.8, label=row.words)
    if e.coefficients and e.form_of == e.metric:
        along = np.geomspace(*axes.get_xlim(), POINTS)
        axes.plot(along, sum(x * along**k for k, x in enumerate(e.coefficients)), color=ink(0.55), lw=1,
                  ls=(0, (5, 2)), label="the polynomial")  # fmt: skip
    axes.set_title("before what bounds the prefill")
    axes.plot([e.length], [e.value], marker="o", ms=5, color=ink(), mfc=ink(0), mew=1.4, ls="none", label="here",
              zorder=5)  # fmt: skip
    limits = e.limits
    if limits.prompt_bound == "context window" and axes.get_xlim()[0] < limits.max_prompt < axes.get_xlim()[1]:
        axes.axvline(limits.max_prompt, color=ink(0.6), lw=0.9, ls=(0, (1.2, 1.6)), label="context window ends")


MARGIN, POINTS = 1.25, 200
"""By what factor the axis goes beyond the curve; places at which the polynomial is drawn."""


def _regime(axes: Axes, r: Regime, *, begins: bool) -> None:
    """The ground of a regime, from the shortest prompt on if it `begins`, and above it what bounds a prefill there."""
    first, last = axes.get_xlim()
    low, high = first if begins else max(r.first / AROUND**0.5, first), min(r.last * AROUND**0.5, last)
    if low >= high:
        return
    colour = colours()[BOUNDS[str(r.bound)]]
    axes.axvspan(low, high, color=colour, alpha=0.13, lw=0, zorder=0)
    said = f"{r.bound}{', masked' if r.masked else ''}"
    room = WIDTH * np.log(high / low) / np.log(last / first)
    for text in (said, str(r.bound)):
        if width_of(text, CAPTION - 1) < 72 * room:
            axes.annotate(text, ((low * high) ** 0.5, 1), xycoords=("data", "axes fraction"), xytext=(0, -3),
                          textcoords="offset points", ha="center", va="top", fontsize=CAPTION - 1,
                          color=ink(0.75))  # fmt: skip
            return


WIDTH = 5.0
"""Inches of the inside of the left panel, about."""


def _pulls(axes: Axes, e: Explanation) -> None:
    """Bars of the elasticities, with what each number is."""
    pulls = [(name, pull) for name, pull in e.elasticities.items() if abs(pull) >= SMALL][:PULLS]
    values: dict[str, Any] = {**e.symbols, LENGTH: float(e.length)}
    for place, (_, pull) in enumerate(pulls):
        axes.barh(place, pull, height=0.66, color=colours()[1 if pull > 0 else 5])
        axes.annotate(f"{pull:+.2f}", (max(pull, 0), place), xytext=(3, 0), textcoords="offset points", va="center",
                      fontsize=7)  # fmt: skip
    axes.axvline(0, color=ink(), lw=0.8)
    unit = units_of()
    names = [f"{_word(name)} = {Column('', unit[name]).text(values[name])}" for name, _ in pulls]
    axes.set_yticks(range(len(pulls)), names, fontsize=7.5)
    axes.set_ylim(max(len(pulls), 1) - 0.4, -0.6)
    ends = [pull for _, pull in pulls] or [0.0]
    axes.set_xlim(min(0, *ends, 0) * 1.1 - 0.02, max(0, *ends, 0) * 1.3 + 0.05)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_title("% more for 1 % more of it, here")


def _word(symbol: str) -> str:
    """What a symbol is called: the name of a parameter, or the first words of what it means."""
    name = next((name for name, p in PARAMETERS.items() if p.symbol == symbol), meanings_of()[symbol].partition(",")[0])
    return f"{name.replace('_', ' ')}, {symbol}"
