"""Loading against computing again: the time to the first token over the length, from each memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from roofsim.foundation.units import show
from roofsim.reports.figures.captions import called, on, rests_on
from roofsim.reports.figures.labels import Label, among, at_ends, settle, spread
from roofsim.reports.figures.panels import across, outer, panels, width
from roofsim.reports.figures.style import Key, Look, heading, ink, lengths, look, looks, quantities
from roofsim.reports.theme import Theme
from roofsim.studies.reload import COMPUTED, TIERS, Reload

SHORTEST = 64
"""Shorter ones are left out: there every curve is flat."""
ROOM = 1.15
"""What the axes go on beyond what is drawn."""
RING: Any = {"marker": "o", "ms": 7, "mew": 1.3, "mfc": "none"}


def reload(cases: Sequence[tuple[str, Reload]], *, theme: Theme = "light") -> Figure:
    """Seconds to the first token over the length, computed and loaded from each memory, a panel for each case."""
    found = [each for _, each in cases]
    names = list(dict.fromkeys(name for each in found for name in each.values))
    with look(theme):
        styles = looks(names)
        below = Key.of(_key(found), width(len(cases)))
        figure, shown = panels(len(cases), 2.9, below.height)
        same = {name: len({getattr(each, name) for each in found}) == 1 for name in ("model", "device", "runtime")}
        head = on(
            *(called(name, getattr(found[0], name)) if same[name] else "" for name in ("device", "runtime", "model"))
        )
        sure = f"; intervals: {rests_on(each.calibration for each in found)}" if _key(found) else ""
        heading(
            figure, "Time to the first token: loading against computing again", head,
            f"batch {found[0].workload.batch}{sure}",
        )  # fmt: skip
        low, high = _heights(found)
        for axes in shown:
            lengths(
                axes, max(min(each.lengths[0] for each in found), SHORTEST), max(each.lengths[-1] for each in found)
            )
            quantities(axes, "y", "s", low / ROOM, high * ROOM, log=True)
            axes.set_ylabel("time to first token")
        ends = []
        side = across(len(cases))
        for i, (axes, (title, each)) in enumerate(zip(shown, cases, strict=True)):
            if len(cases) > 1:
                axes.set_title(title)
            _draw(axes, each, styles)
            last = i % side == side - 1 or axes is shown[-1]
            ends.append(_named(axes, each, styles) if last else [])
        outer(shown)
        below.draw(figure)
        settle(figure)
        for axes, each, texts in zip(shown, found, ends, strict=True):
            spread(axes, texts)
            _turns(axes, each)
        return figure


def _heights(found: Sequence[Reload]) -> tuple[float, float]:
    every = np.concatenate([_shown(each)[1][name] for each in found for name in each.values])
    return float(every.min()), float(every.max())


def _shown(r: Reload) -> tuple[Any, Mapping[str, Any]]:
    """The lengths that are drawn, and the values there."""
    n = np.array(r.lengths, dtype=float)
    kept = n >= min(SHORTEST, n[-1] / 2)
    return n[kept], {name: np.array(values)[kept] for name, values in r.values.items()}


def _draw(axes: Axes, r: Reload, styles: Mapping[str, Look]) -> None:
    n, values = _shown(r)
    for name, curve in values.items():
        style = styles[name]
        axes.plot(n, curve, color=style.colour, ls=style.dashes, lw=2.2 if name == COMPUTED else 1.6)


def _named(axes: Axes, r: Reload, styles: Mapping[str, Look]) -> list[Any]:
    """What each curve is, at its end."""
    rates = {each.tier: each.rate for each in r.turns}
    names = [
        Label(r.lengths[-1], values[-1], f"{name}, {show(rates[name], 'B/s')}" if name in TIERS else name,
              styles[name].colour)
        for name, values in r.values.items()
    ]  # fmt: skip
    return at_ends(axes, names)


def _turns(axes: Axes, r: Reload) -> None:
    """A ring where loading becomes the faster, with its length, and the lengths at which the order is not certain."""
    n, values = _shown(r)
    names = {}
    for each in r.turns:
        if each.length is None or each.interval is None or each.length <= n[0]:
            continue
        height = float(np.exp(np.interp(np.log(each.length), np.log(n), np.log(values[COMPUTED]))))
        low, high = (min(max(end, n[0]), n[-1]) for end in each.interval)
        axes.plot([low, high], [height] * 2, color=ink(0.75), lw=4, alpha=0.25, solid_capstyle="butt")
        axes.plot(each.length, height, color=ink(), ls="none", zorder=5, **RING)
        names[each.length] = Label(each.length, height, f"{each.length:,}", ink())
    among(axes, list(names.values()), np.concatenate([np.transpose([n, curve]) for curve in values.values()]), 8.5)


def _key(found: Sequence[Reload]) -> list[tuple[Any, str]]:
    """What marks mean."""
    if not any(each.length and each.length > each_of.lengths[0] for each_of in found for each in each_of.turns):
        return []
    return [
        (Line2D([], [], color=ink(), ls="none", **RING), "from here on loading is faster"),
        (Patch(color=ink(0.75), alpha=0.25, lw=0), "95 % interval: there the order is not certain"),
    ]
