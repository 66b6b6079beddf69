"""What trials of one prompt cost, and how a budget is split between them."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from roofsim.foundation import units
from roofsim.prediction.setup import Setup
from roofsim.reports.figures.about import case
from roofsim.reports.figures.style import heading, ink, look, looks, quantities, subplots, tokens
from roofsim.reports.theme import Theme
from roofsim.spaces.sampling import SAID, SamplingResult, Trials
from roofsim.specs.workload import Workload

PANELS = (("time", "time of all trials", "s"), ("energy", "energy", "J"), ("eflops", "equivalent work", "FLOP"))
"""What is drawn of trials over their number: the field, what it is called, its unit."""

MARGIN = 1.25
"""By what factor an axis goes on beyond the values."""


def sampling(r: SamplingResult, s: Setup, w: Workload, *, theme: Theme = "light") -> Figure:
    """Without a budget what so many trials cost, a line for each number of tokens; with one how it can be split.

    Hollow marks do not fit. Equivalent work counts each byte as so many FLOP as the device could do meanwhile.
    """
    with look(theme):
        about = (*case(s, w, "batch", "generate", mark=""), SAID[r.shared])
        if r.budget is None:
            figure = _costs(r)
            heading(figure, "What trials of one prompt cost", *about)
            return figure
        figure = _split(r)
        amount = units.show(r.budget, r.unit)
        heading(figure, f"How {amount} can be split into trials and tokens", *about)
        return figure


def _costs(r: SamplingResult) -> Figure:
    panels = [each for each in PANELS if all(_value(row, each[0]) == _value(row, each[0]) for row in r.rows)]
    figure, grid = subplots(1, len(panels), figsize=(3.3 * len(panels), 3.5), squeeze=False)
    lengths = sorted({row.tokens for row in r.rows})
    found = looks([_tokens(n) for n in lengths])
    for axes, (field, words, unit) in zip(grid[0], panels, strict=True):
        for n in lengths:
            rows = [row for row in r.rows if row.tokens == n]
            xs, ys = [row.trials for row in rows], [_value(row, field) for row in rows]
            one = found[_tokens(n)]
            axes.plot(xs, ys, color=one.colour, ls=one.dashes, lw=1.5, label=_tokens(n))
            for row, y in zip(rows, ys, strict=True):
                axes.plot([row.trials], [y], marker=one.marker, ms=4, color=one.colour, ls="none",
                          mfc=one.colour if row.fits else ink(0))  # fmt: skip
        values = [_value(row, field) for row in r.rows]
        _trials(axes, r)
        quantities(axes, "y", unit, min(values) / MARGIN, max(values) * MARGIN, log=True)
        axes.set_title(words)
    handles, _ = grid[0][0].get_legend_handles_labels()
    if not all(row.fits for row in r.rows):
        handles += grid[0][0].plot([], [], marker="o", ms=4, color=ink(0.6), mfc=ink(0), ls="none",
                                   label="does not fit")  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def _split(r: SamplingResult) -> Figure:
    """Tokens of each trial that the budget allows, and what the splits are judged by."""
    covered = any(row.coverage is not None for row in r.rows)
    figure, (left, right) = subplots(1, 2, figsize=(7.4, 3.6))
    rows = [row for row in r.rows if row.tokens]
    bounds = looks(sorted({row.bound for row in rows}))
    judged = [(row.coverage or 0.0) if covered else float(row.trials * row.tokens) for row in rows]
    for axes, values in ((left, [float(row.tokens) for row in rows]), (right, judged)):
        axes.plot([row.trials for row in rows], values, color=ink(0.45), lw=1.2, zorder=1)
        for row, value in zip(rows, values, strict=True):
            axes.plot([row.trials], [value], marker="o", ms=5, color=bounds[row.bound].colour, ls="none", zorder=2)
        _trials(axes, r)
        if r.best is not None and r.rows[r.best] in rows:
            at = rows.index(r.rows[r.best])
            axes.plot([rows[at].trials], [values[at]], marker="o", ms=11, mfc="none", mec=ink(), mew=1.3, ls="none")
    left.set_yscale("log", base=2)
    _powers(left, [row.tokens for row in rows])
    left.set_title("tokens of each trial")
    right.set_title("chance that one at least is right" if covered else "tokens of all trials")
    if covered:
        right.set_ylim(0, 1)
        right.yaxis.set_major_formatter(PercentFormatter(1))
    else:
        right.set_yscale("log", base=2)
        _powers(right, [round(value) for value in judged])
    handles: list[Any] = [
        left.plot([], [], marker="o", ms=5, ls="none", color=each.colour, label=f"ended by the {name}")[0]
        for name, each in bounds.items()
    ]  # fmt: skip
    handles += left.plot([], [], marker="o", ms=11, mfc="none", mec=ink(), mew=1.3, ls="none", label="best")
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def _value(row: Trials, field: str) -> float:
    return float(getattr(row, field))


def _tokens(n: int) -> str:
    return f"{tokens(n)} tokens each"


def _trials(axes: Axes, r: SamplingResult) -> None:
    """A logarithmic axis of numbers of trials."""
    numbers = sorted({row.trials for row in r.rows})
    axes.set_xscale("log", base=2)
    axes.set_xlim(numbers[0] / MARGIN, numbers[-1] * MARGIN)
    axes.xaxis.set_major_locator(FixedLocator(numbers[:: -(-len(numbers) // MOST)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("trials")


MOST = 8
"""Labels of an axis at most."""


def _powers(axes: Axes, values: list[int]) -> None:
    """Powers of two around whole numbers."""
    low, high = min(values), max(values)
    first, last = max(low.bit_length() - 1, 0), high.bit_length()
    step = max(-(-(last - first) // MOST), 1)
    axes.set_ylim(2.0**first / MARGIN, 2.0**last * MARGIN)
    axes.yaxis.set_major_locator(FixedLocator([2.0**k for k in range(first, last + 1, step)]))
    axes.yaxis.set_major_formatter(FuncFormatter(tokens))
    axes.yaxis.set_minor_locator(NullLocator())
