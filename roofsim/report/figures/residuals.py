"""Errors over length."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from roofsim.foundation import units
from roofsim.report.figures.points import BANDS, Point, by_panel, key, looks_of, panels_of
from roofsim.report.figures.style import look
from roofsim.report.theme import Theme


def residuals(points: Sequence[Point], which: str = "", *, theme: Theme = "light") -> Figure:
    """Relative errors over length; those of decode are open markers."""
    groups = by_panel([point for point in points if point.tokens] or points)
    with look(theme):
        marks = looks_of([point.model for mine in groups.values() for point in mine])
        figure, panels = panels_of(len(groups), 2.8, f"error{which} (%)")
        for axes, (panel, mine) in zip(panels, groups.items(), strict=True):
            errors = [100 * (p.predicted / p.measured - 1) for p in mine]
            for size, grey in BANDS:
                axes.axhspan(-100 * size, 100 * size, color=grey, lw=0, zorder=0)
            axes.axhline(0, color="0.4", lw=0.8)
            for label, mark in marks.items():
                for fill in ("none", "full"):
                    shown = [
                        (max(p.tokens, 1), e)
                        for p, e in zip(mine, errors, strict=True)
                        if p.model == label and (p.phase == "decode") == (fill == "none")
                    ]
                    axes.plot([x for x, _ in shown], [y for _, y in shown], ms=3, fillstyle=fill, **mark)
            axes.set_xscale("log", base=2)
            if max(errors) > LINEAR:
                axes.set_yscale("symlog", linthresh=LINEAR)
                axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: units.significant(v)))
            axes.tick_params(labelsize=7)
            axes.set_title(panel, fontsize=8)
            axes.set_xlabel("tokens")
        key(figure, marks, *_fills({point.phase for mine in groups.values() for point in mine}))
    return figure


def _fills(phases: set[str]) -> list[Line2D]:
    """What open and full markers mean, where there are both."""
    if "decode" not in phases or len(phases) == 1:
        return []
    shown = (("decode", "none"), ("others" if phases - {"decode", "prefill"} else "prefill", "full"))
    return [Line2D([], [], color="0.4", marker="o", ms=4, ls="none", fillstyle=f, label=name) for name, f in shown]  # type: ignore[arg-type]


LINEAR = 100
"""Errors in % up to which their axis is linear; predictions many times too slow would hide all others."""
