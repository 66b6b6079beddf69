"""Where the time goes, over how much of a model lies on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from roofsim.foundation.units import show
from roofsim.prediction.intervals import Interval, intervals
from roofsim.prediction.offload_report import Parts
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup, tier
from roofsim.reports.figures.about import case
from roofsim.reports.figures.style import Key, colours, heading, ink, look, quantities, subplots
from roofsim.reports.theme import Theme
from roofsim.specs.workload import Workload
from roofsim.studies.tiers import Division, Divisions

PARTS: tuple[tuple[str, Callable[[Parts], float]], ...] = (
    ("device", lambda p: p.device_time), ("host", lambda p: p.processor_time), ("link", lambda p: p.link_wait),
    ("disk", lambda p: p.disk_time),
)  # fmt: skip
ROOM = 1.08
"""What the axes go on beyond what is drawn."""

NEAR = 0.1
"""So near an end of the axis, as a share of it, a number written at a point would cross it."""


def tiers(found: Divisions, s: Setup, w: Workload, *, theme: Theme = "light") -> Figure:
    """Seconds of a step and of the prefill by where they go, over what lies on the device; shaded where it is full."""
    with look(theme):
        figure, panels = subplots(1, 2, figsize=(9.2, 4.2))
        hues = dict(zip([name for name, _ in PARTS], colours(), strict=False))
        within = intervals(s, settled(s, w))
        for axes, title, of, ends in (
            (panels[0], "decode: a step", lambda d: d.decode, within["tpot"]),
            (panels[1], "prefill", lambda d: d.prefill, within["ttft"]),
        ):
            _draw(axes, found, of, hues, ends)
            axes.set_title(title)
            axes.set_xlabel(f"{found.what}, on the device")
        panels[0].set_ylabel("time")
        heading(figure, "Where the time goes, by what lies on the device", *case(s, w, mark="bar"))
        Key.of(_key(found, s, hues), 9.2).draw(figure)
        return figure


def _draw(axes: Axes, found: Divisions, of: Callable[[Division], Parts], hues: dict[str, str], ends: Interval) -> None:
    """One pass: its parts on top of each other, a step for each division."""
    n = np.array([each.layers for each in found.at], dtype=float)
    edges = np.append(n - 0.5, n[-1] + 0.5)
    bottom = np.zeros(len(n))
    for name, value in PARTS:
        height = np.array([value(of(each)) for each in found.at])
        axes.stairs(bottom + height, edges, baseline=bottom, fill=True, color=hues[name], alpha=0.85, lw=0)
        bottom = bottom + height
    top = max(float(bottom.max()), ends[1] if found.chosen is not None else 0) * ROOM
    quantities(axes, "y", "s", 0, top, log=False)
    axes.set_xlim(edges[0], edges[-1])
    full = [each.layers for each in found.at if not each.fits]
    if full:
        axes.axvspan(
            min(full) - 0.5, edges[-1], facecolor=ink(0.12), edgecolor=ink(0.45), hatch="///", lw=0, alpha=0.55
        )
    if found.chosen is not None:
        place = int(np.flatnonzero(n == found.chosen)[0])
        along = (found.chosen - edges[0]) / (edges[-1] - edges[0])
        axes.plot([found.chosen] * 2, ends, color=ink(), lw=1.3, zorder=4)
        axes.plot(found.chosen, bottom[place], color=ink(), **RING)
        axes.annotate(
            show(float(bottom[place]), "s"), (found.chosen, ends[1]), xytext=(0, 4), textcoords="offset points",
            ha="left" if along < NEAR else "right" if along > 1 - NEAR else "center", va="bottom", fontsize=8.5,
            color=ink(),
        )  # fmt: skip


RING: Any = {"marker": "o", "ms": 7, "mew": 1.3, "mfc": "none", "ls": "none", "zorder": 5}


def _key(found: Divisions, s: Setup, hues: dict[str, str]) -> Sequence[tuple[Any, str]]:
    """Whose time it is, and what marks mean."""
    names = {
        "device": s.device.name,
        "host": f"its host, {tier(s).name}",
        "link": "waiting for the link between them",
        "disk": "waiting for its disk",
    }
    entries: list[tuple[Any, str]] = [
        (Patch(color=hues[name], alpha=0.85, lw=0), names[name])
        for name, value in PARTS
        if any(value(parts) for each in found.at for parts in (each.prefill, each.decode))
    ]
    if any(not each.fits for each in found.at):
        grey: Any = {"facecolor": ink(0.12), "edgecolor": ink(0.45), "lw": 0}
        entries.append((Patch(hatch="///", **grey), "does not fit"))
    if found.chosen is not None:
        entries.append((Line2D([], [], **{**RING, "color": ink()}), "as predicted, with its 95 % interval"))
    return entries
