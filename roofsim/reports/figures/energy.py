"""What the energy of a token is spent on, over prompt length."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from roofsim.prediction.setup import Setup
from roofsim.prediction.words import interval_label
from roofsim.reports.figures.about import case
from roofsim.reports.figures.areas import name_areas, stacked
from roofsim.reports.figures.scales import over_lengths, widened
from roofsim.reports.figures.style import colours, heading, ink, look, quantities, subplots
from roofsim.reports.theme import Theme
from roofsim.specs.workload import Workload
from roofsim.studies.energies import PARTS, Energies

PLACES: Mapping[str, int] = {"idle": 6, "waiting": 4, "active": 5, "work": 0, "traffic": 1}
"""The colour of each part."""

WIDTH = 2.9
"""Inches of the inside of a panel, about."""

SEEN = 0.005
"""Parts of less of the whole are not seen, and not named."""

TITLES = {"prefill": "prefill: for each token of the prompt", "decode": "decode: for each token that is made"}


def energy(e: Energies, s: Setup, w: Workload, *, theme: Theme = "light") -> Figure:
    """A panel for each pass: joules of a token by what draws them, with the interval of their sum."""
    with look(theme):
        figure, panels = subplots(1, len(e.passes), figsize=(7.4, 3.5))
        palette = {part: colours()[place] for part, place in PLACES.items()}
        named: set[str] = set()
        seen: dict[str, float] = {}
        for axes, (name, found) in zip(panels, e.passes.items(), strict=True):
            parts = {part: [at.parts[part] for at in found] for part in PARTS}
            for part, values in parts.items():
                shares = [x / at.energy for x, at in zip(values, found, strict=True)]
                seen[part] = max(seen.get(part, 0.0), *shares)
            stacked(axes, e.lengths, parts, palette)
            low, high = zip(*(at.interval for at in found), strict=True)
            for ends in (low, high):
                axes.plot(*widened(e.lengths, ends), color=ink(0.55), lw=0.9, ls=(0, (4, 2)))
            axes.plot(*widened(e.lengths, [at.energy for at in found]), color=ink(), lw=1.4)
            over_lengths(axes, e.lengths)
            quantities(axes, "y", "J", 0, 1.05 * max(high), log=False)
            axes.set_title(TITLES[name])
            named |= name_areas(axes, e.lengths, parts, palette, PARTS, WIDTH)
        rest = [part for part in PARTS if seen[part] > SEEN and part not in named]
        handles = [Patch(color=palette[part], label=PARTS[part]) for part in rest]
        lines = panels[0].plot(
            [], [], color=ink(0.55), lw=0.9, ls=(0, (4, 2)), label=f"{interval_label(e.calibration)}, of the sum"
        )
        figure.legend(handles=[*handles, *lines], loc="outside lower center", ncols=6)
        heading(figure, "Energy of a token, and what it is spent on", *case(s, w, "prompt", "generate", mark=""))
        return figure
