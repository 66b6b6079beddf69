"""What moves a figure: a bar for each number."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from roofsim.explore.sensitivity import Sensitivities
from roofsim.foundation import units
from roofsim.prediction.words import interval_label
from roofsim.report.figures.numbers import figure_axis
from roofsim.report.figures.style import colours, look, subplots
from roofsim.report.theme import Theme

BARS = 16
"""Numbers that a tornado shows."""


def tornado(r: Sensitivities, device: str, runtime: str, *, theme: Theme = "light") -> Figure:
    """The figure at half and at twice each number, the widest bars on top, with the interval of the prediction."""
    drawn = [row for row in r.rows if row.less > 0 and row.more > 0 and row.more != row.less]
    rows = sorted(drawn, key=lambda row: -abs(np.log(row.more / row.less)))[:BARS]
    with look(theme):
        figure, axes = subplots(figsize=(6.6, 0.27 * len(rows) + 1.5))
        for place, row in enumerate(rows):
            for end, factor, colour, label in (
                (row.less, row.values[0] / row.value, colours()[5], "half the number"),
                (row.more, row.values[1] / row.value, colours()[1], "twice the number"),
            ):
                axes.barh(
                    place, end - r.value, left=r.value, color=colour, height=0.72, label=label if not place else ""
                )
                if factor not in (0.5, 1, 2):
                    axes.annotate(f"x{units.significant(factor)}", (end, place), fontsize=6, va="center",
                                  ha="left" if end > r.value else "right", xytext=(2 if end > r.value else -2, 0),
                                  textcoords="offset points")  # fmt: skip
        if r.interval:
            axes.axvspan(*r.interval, color="0.5", alpha=0.16, lw=0, zorder=0, label=interval_label(r.calibration))
        axes.axvline(r.value, color="0.2", lw=0.9)
        axes.set_yticks(range(len(rows)), [f"{row.number}  {row.elasticity:+.2f}" for row in rows], fontsize=7)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_axisbelow(True)
        figure_axis(axes, "x", r.unit, [r.value, *(end for row in rows for end in (row.less, row.more))])
        axes.set_xlabel(f"{r.words} (beside each number: its elasticity)")
        axes.set_title(
            f"{r.model} on {device}\n{runtime}, {r.workload['prompt']:,} tokens: "
            f"{units.show(r.value, r.unit) if r.unit else units.significant(r.value)}",
            fontsize=9,
        )  # fmt: skip
        axes.legend(fontsize=7, loc="lower right")
        return figure
