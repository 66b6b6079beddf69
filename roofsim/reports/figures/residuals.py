"""Errors of predictions over length."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from roofsim.reports.figures.labels import settle
from roofsim.reports.figures.points import BANDS, MARKERS, Compared, by_panel, drawn, grouped, marker
from roofsim.reports.figures.style import DASHES, Look, ink, lengths, look, looks
from roofsim.reports.theme import Theme

LINEAR = 100
"""Errors in % up to which their axis is linear; predictions many times too slow would hide all others."""

ROOM = 1.3
"""By how much the axis of lengths goes on beyond them on both sides."""


def residuals(compared: Compared, *, theme: Theme = "light") -> Figure:
    """Relative errors over length: a colour for each model, a marker for each pass, crosses for what is not scored."""
    groups = by_panel([point for point in compared.points if point.tokens] or compared.points)
    with look(theme):
        points = [point for mine in groups.values() for point in mine]
        styles = looks(sorted({point.model for point in points}))
        grey: Any = {"color": ink(0.6), "mew": 0, "ls": "none", "ms": 5}
        shapes = {marker(p.phase): p.phase if p.phase in MARKERS else "single operators" for p in points}
        entries: list[tuple[Any, str]] = [
            (Line2D([], [], marker=shape, **grey), shapes[shape])
            for shape in (*MARKERS.values(), marker("")) if shape in shapes
        ]  # fmt: skip
        for model, each in styles.items():
            entries.append(
                (Line2D([], [], color=each.colour, marker="o", fillstyle=_fill(each), ms=5, ls="none"), model)
            )
        figure, panels = drawn(compared, "Errors of predictions over length", entries, [*groups], 2.7)
        for axes, mine in zip(panels, groups.values(), strict=True):
            for size, dark in BANDS:
                axes.axhspan(-100 * size, 100 * size, color=ink(dark), lw=0, zorder=0)
            axes.axhline(0, color=ink(0.6), lw=0.9)
            for (model, phase, left), alike in grouped(mine, lambda p: (p.model, p.phase, bool(p.left_out))).items():
                x, y = np.transpose([(max(p.tokens, 1), 100 * (p.predicted / p.measured - 1)) for p in alike])
                if left:
                    axes.plot(x, y, marker="x", ms=4, mew=0.9, color=ink(0.6), ls="none")
                    continue
                each = styles[model]
                axes.plot(
                    x, y, marker=marker(phase), ms=4.5, mew=0.8, fillstyle=_fill(each), color=each.colour, alpha=0.85,
                    ls="none",
                )  # fmt: skip
            tokens = [max(p.tokens, 1) for p in mine]
            lengths(axes, min(tokens) / ROOM, max(max(tokens), 2 * min(tokens)) * ROOM, "tokens")
            if max(abs(p.predicted / p.measured - 1) for p in mine) * 100 > LINEAR:
                axes.set_yscale("symlog", linthresh=LINEAR)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:+,.0f} %" if v else "0 %"))
            axes.set_ylabel("error")
        settle(figure)
        return figure


FILLS: tuple[Literal["full", "none", "top", "left"], ...] = ("full", "none", "top", "left")


def _fill(style: Look) -> Literal["full", "none", "top", "left"]:
    """What fills the marks of models that share a colour, in the place of dashes."""
    return FILLS[DASHES.index(style.dashes)]
