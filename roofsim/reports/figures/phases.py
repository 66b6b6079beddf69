"""What a device answers over the length of prompts, by how prefill and decode are laid out."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from roofsim.prediction.setup import Setup
from roofsim.reports.figures.about import case
from roofsim.reports.figures.style import Look, heading, ink, lengths, look, looks, quantities, subplots
from roofsim.reports.theme import Theme
from roofsim.serving.phases import LAYOUTS, MEANT, Phases

WIDER = 1.15
"""By what factor axes go on beyond values."""


def phases(r: Phases, s: Setup, *, theme: Theme = "light") -> Figure:
    """Goodput of each layout in tokens of prompts, with its 95 % band, and what pools apart hand over."""
    with look(theme):
        figure, (left, right) = subplots(1, 2, figsize=(7.4, 3.7))
        prompts = [row.prompt for row in r.rows]
        ends = (prompts[0] / WIDER, prompts[-1] * WIDER)
        found = looks(LAYOUTS)
        _goodputs(left, r, prompts, found)
        moved = [row.moved for row in r.rows]
        right.plot(prompts, moved, marker="o", ms=4, color=ink(0.75), lw=1.4)
        quantities(right, "y", "B", min(moved) / 2, max(moved) * 2, log=True)
        right.set_title("moved for a request between pools apart")
        for axes in (left, right):
            lengths(axes, *ends, at=prompts)
        promised = ", ".join(map(str, r.slo))
        about = case(s, r.workload, "batch", "prompt")
        heading(figure, "How prefill and decode share devices", *about, f"promised: {promised}")
        figure.legend(handles=left.get_legend_handles_labels()[0], loc="outside lower center", ncols=1)
        return figure


def _goodputs(axes: Axes, r: Phases, prompts: list[int], found: Mapping[str, Look]) -> None:
    for name in LAYOUTS:
        one = found[name]
        values = [row.prompt * getattr(row, name) for row in r.rows]
        low, high = ([row.prompt * row.intervals[name][end] for row in r.rows] for end in (0, 1))
        axes.fill_between(prompts, low, high, color=one.colour, alpha=0.12, lw=0)
        axes.plot(prompts, values, marker=one.marker, ms=4, color=one.colour, label=f"{name}: {MEANT[name]}")
    if not any(getattr(row, name) for row in r.rows for name in LAYOUTS):
        axes.set_ylim(0, 1)
        axes.set_yticks([0])
        axes.text(0.5, 0.5, "none keeps what is promised", transform=axes.transAxes, ha="center", color=ink(0.75))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set_title("tokens of prompts a second and device")
