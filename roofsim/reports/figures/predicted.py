"""What was predicted over what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from roofsim.reports.figures.labels import settle
from roofsim.reports.figures.points import BANDS, MARKERS, Compared, by_panel, drawn, grouped, marker
from roofsim.reports.figures.style import colours, ink, look, looks, quantities
from roofsim.reports.theme import Theme
from roofsim.reports.validation import UNITS

ROOM = 1.3
"""By how much axes go on beyond the values on both sides."""


def predicted(compared: Compared, *, theme: Theme = "light") -> Figure:
    """Predictions with their intervals over what was measured, a square panel per metric and stack on equal axes."""
    groups = by_panel(compared.points)
    with look(theme):
        phases = sorted({point.phase for point in compared.points}, key=lambda phase: (phase not in MARKERS, phase))
        shapes = {phase: marker(phase, i // len(colours())) for i, phase in enumerate(phases)}
        styles = looks(phases)
        entries = [
            (Line2D([], [], color=each.colour, marker=shapes[phase], ms=5, mew=0, ls="none"), phase)
            for phase, each in styles.items()
        ]  # fmt: skip
        entries.append((Line2D([], [], color=ink(0.6), marker="|", ms=9, mew=0.9, ls="none"), compared.bars))
        figure, panels = drawn(compared, "Predicted against measured", entries, [*groups], 3.2)
        for axes, mine in zip(panels, groups.values(), strict=True):
            ends = _ends([x for p in mine for x in (p.measured, p.predicted)])
            line = np.array(ends)
            for size, dark in BANDS:
                axes.fill_between(line, line * (1 - size), line * (1 + size), color=ink(dark), lw=0, zorder=0)
            axes.plot(ends, ends, color=ink(0.6), lw=0.9)
            for (phase, left), alike in grouped(mine, lambda p: (p.phase, bool(p.left_out))).items():
                x, y, low, high = np.transpose([(p.measured, p.predicted, p.low, p.high) for p in alike])
                if left:
                    axes.plot(x, y, marker="x", ms=4, mew=0.9, color=ink(0.6), ls="none")
                    continue
                axes.errorbar(
                    x, y, np.maximum([y - low, high - y], 0), marker=shapes[phase], ms=3.6, mew=0, elinewidth=0.6,
                    color=styles[phase].colour, alpha=0.85, ls="none",
                )  # fmt: skip
            unit = UNITS.get(mine[0].metric, "").replace("count", "")
            quantities(axes, "x", unit, *ends, log=True, most=4)
            quantities(axes, "y", unit, *ends, log=True, most=4)
            axes.set_yticks(axes.get_xticks())
            axes.set_box_aspect(1)
            axes.set_xlabel("measured")
            axes.set_ylabel("predicted")
        settle(figure)
        return figure


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Where both axes of a panel end: a little beyond the values."""
    return min(values) / ROOM, max(values) * ROOM
