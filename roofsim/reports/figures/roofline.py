"""Operators on the roofline of a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from roofsim.engine.passes import OperatorRow
from roofsim.engine.roofline import Machine
from roofsim.foundation import units
from roofsim.foundation.values import dataclass
from roofsim.prediction.intervals import Interval
from roofsim.prediction.results import Prediction
from roofsim.prediction.setup import Setup
from roofsim.reports.figures.about import devices_of
from roofsim.reports.figures.breakdown import kind_colours
from roofsim.reports.figures.captions import rests_on, shared
from roofsim.reports.figures.labels import Label, among, at_ends, settle, spread
from roofsim.reports.figures.panels import outer, panels, width
from roofsim.reports.figures.style import Key, heading, ink, look, quantities
from roofsim.reports.theme import Theme

MARKERS = {"prefill": "o", "decode": "^"}

ROOM = 2.0
"""By what factor axes go on beyond what is drawn."""

SHARES = (0.01, 0.1, 0.3)
"""Shares of the device time that the key of sizes shows."""

LIGHTEST, LIGHTEST_OF_MANY, FEW = 0.002, 0.02, 4
"""Operators with less of the device time are drawn without a name: in up to so `FEW` panels, and in small ones."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A prediction with the intervals of the times of its operators, pass by pass, and what it is called in a panel."""

    result: Prediction
    setup: Setup
    within: Mapping[str, Sequence[Interval]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class _Point:
    """An operator in a pass: FLOP for each byte, FLOP/s with their interval, its share of the device time."""

    name: str
    kind: str
    phase: str
    intensity: float
    rate: float
    low: float
    high: float
    share: float


def roofline(cases: Sequence[Placed], *, theme: Theme = "light") -> Figure:
    """Each operator at its arithmetic intensity and the rate it reaches with its interval, under the device's roofs.

    Its area is its share of the device time of its pass; a panel for each case, all on the same axes.
    """
    points = [_points(each) for each in cases]
    machines = [each.setup.machine(each.result.workload.dtype) for each in cases]
    every = [point for each in points for point in each]
    kinds = {point.kind for point in every}
    with look(theme):
        hues = {kind: colour for kind, colour in kind_colours().items() if kind in kinds}
        below = Key.of(_key(cases, hues), width(len(cases)))
        figure, shown = panels(len(cases), 3.7, below.height)
        results = [each.result for each in cases]
        heading(figure, "Operators on the roofline", *shared(
            [each.model for each in results], devices_of(each.setup for each in cases),
            [each.setup.runtime.name for each in cases], [each.workload for each in results],
        ))  # fmt: skip
        span = _span(every, machines)
        for axes, case, mine, machine in zip(shown, cases, points, machines, strict=True):
            if len(cases) > 1:
                axes.set_title(case.title)
            _roofs(axes, span, _tops(case, machine), machine)
            for kind, phase in dict.fromkeys((p.kind, p.phase) for p in mine):
                alike = [p for p in mine if (p.kind, p.phase) == (kind, phase)]
                x = [p.intensity for p in alike]
                axes.vlines(x, [p.low for p in alike], [p.high for p in alike], color=hues[kind], lw=0.9, alpha=0.7,
                            zorder=2.5)  # fmt: skip
                axes.scatter(
                    x, [p.rate for p in alike], s=[_area(p.share) for p in alike], marker=MARKERS[phase],
                    color=hues[kind], alpha=0.75, lw=0, zorder=3,
                )  # fmt: skip
        outer(shown)
        said = [_say(axes, _tops(case, m)) for axes, case, m in zip(shown, cases, machines, strict=True)]
        below.draw(figure)
        settle(figure)
        for axes, mine, machine, roofs in zip(shown, points, machines, said, strict=True):
            spread(axes, roofs)
            _slopes(axes, mine, machine)
            _names(axes, mine, hues, LIGHTEST if len(cases) <= FEW else LIGHTEST_OF_MANY)
        return figure


def _points(case: Placed) -> list[_Point]:
    """The operators that do work on data, the longest first."""
    found = []
    for phase in MARKERS:
        p = getattr(case.result, phase)
        for o, (quick, slow) in zip(p.operators, case.within[phase], strict=True):
            work, moved = _work(o), _moved(o)
            if work and moved and o.time:
                now, low, high = (float(work / time) for time in (o.time, slow, quick))
                share = float(o.time / p.device_time)
                found.append(_Point(o.operator, o.kind, phase, float(work / moved), now, low, high, share))
    return sorted(found, key=lambda point: -point.share)


def _work(o: OperatorRow) -> Any:
    return o.matrix_flops + o.vector_flops


def _moved(o: OperatorRow) -> Any:
    return o.bytes_weights + o.bytes_activations + o.bytes_state


def _area(share: float) -> float:
    return 9 + 330 * share


def _tops(case: Placed, m: Machine) -> list[tuple[str, float]]:
    """The peaks of the units that compute products, by dtype, and that of the vector unit."""
    w = case.result.workload
    others = [(unit, float(m.rate(unit))) for unit in case.setup.precision(w).units]
    return [*((f"{name} matrix peak", rate) for name, rate in [(w.dtype, float(m.matrix_rate)), *others]),
            ("fp32 vector peak", float(m.vector_rate))]  # fmt: skip


def _span(points: Sequence[_Point], machines: Sequence[Machine]) -> tuple[float, float, float, float]:
    """The ends of both axes: all operators with their intervals, ridges and roofs lie within."""
    ridges = [float(m.matrix_rate / m.bandwidth) for m in machines]
    top = max(max(float(m.matrix_rate), *(float(each) for each in m.peaks.values())) for m in machines)
    left = min([ridge / 100 for ridge in ridges] + [p.intensity for p in points]) / ROOM
    right = max([ridge * 10 for ridge in ridges] + [p.intensity for p in points]) * ROOM
    bottom = min(p.low for p in points) / ROOM
    return left, right, bottom, max(top, *(p.high for p in points)) * ROOM


def _roofs(axes: Axes, span: tuple[float, float, float, float], tops: Sequence[tuple[str, float]], m: Machine) -> None:
    left, right, bottom, top = span
    quantities(axes, "x", "", left, right, log=True)
    quantities(axes, "y", "FLOP/s", bottom, top, log=True)
    axes.set_xlabel("arithmetic intensity (FLOP/B)")
    axes.set_ylabel("rate reached")
    bandwidth, fastest = float(m.bandwidth), float(m.bandwidth * m["cache_speed"])
    highest = max(rate for _, rate in tops)
    x = np.geomspace(left, right, 300)
    for _, rate in tops:
        axes.plot(x, np.minimum(rate, bandwidth * x), color=ink(0.85), lw=1.2)
        axes.plot(rate / bandwidth, rate, marker="|", ms=7, color=ink(0.85))
    axes.plot(x, np.minimum(highest, fastest * x), color=ink(0.55), lw=1, ls=(0, (4, 2)))


def _say(axes: Axes, tops: Sequence[tuple[str, float]]) -> list[Any]:
    """The peaks, right of the axes."""
    rates = dict((rate, name) for name, rate in reversed(tops))
    ends = [Label(0, rate, f"{name}\n{units.show(rate, 'FLOP/s')}", ink(0.8)) for rate, name in rates.items()]
    return at_ends(axes, ends, 7.0)


def _slopes(axes: Axes, points: Sequence[_Point], m: Machine) -> None:
    """What memory and cache give, along their roofs, where the fewest operators are."""
    bandwidth, left = float(m.bandwidth), axes.get_xlim()[0]
    start, end = max(left, axes.get_ylim()[0] / bandwidth), float(m.matrix_rate) / bandwidth
    places = sorted([start, end, *(p.intensity for p in points if start < p.intensity < end)])
    at = max(range(1, len(places)), key=lambda i: places[i] / places[i - 1]) - 1
    x = places[at] * 1.15
    one, other = axes.transData.transform([(x, bandwidth * x), (2 * x, 2 * bandwidth * x)])
    angle = float(np.degrees(np.arctan2(other[1] - one[1], other[0] - one[0])))
    for speed, words, over in ((bandwidth, "memory", False), (bandwidth * float(m["cache_speed"]), "cache", True)):
        axes.annotate(
            f"{words}, {units.show(speed, 'B/s')}", (x, speed * x), fontsize=7, rotation=angle, color=ink(0.8),
            rotation_mode="anchor", ha="left", va="bottom" if over else "top", xytext=(0, 2 if over else -2),
            textcoords="offset points",
        )  # fmt: skip


def _names(axes: Axes, points: Sequence[_Point], hues: Mapping[str, str], lightest: float) -> None:
    """The names of operators from a share of the time on, those at the same place in one, the longest first."""
    places: dict[tuple[str, int, int], list[_Point]] = {}
    for p in points:
        place = p.phase, round(20 * np.log10(p.intensity)), round(20 * np.log10(p.rate))
        places.setdefault(place, []).append(p)
    named = [each for each in places.values() if sum(p.share for p in each) >= lightest]
    named.sort(key=lambda each: -sum(p.share for p in each))
    labels = []
    for each in named:
        names = list(dict.fromkeys(p.name for p in each))
        more = f" + {len(names) - TOGETHER}" if len(names) > TOGETHER else ""
        at, size = each[0], _area(max(p.share for p in each)) ** 0.5 / 2
        text = ", ".join(names[:TOGETHER]) + more
        labels.append(Label(at.intensity, at.rate, text, hues[at.kind], size + 1))
    bars = [(p.intensity, rate) for p in points for rate in np.geomspace(p.low, p.high, 8)]
    roofs = [np.column_stack(line.get_data()) for line in axes.lines if len(np.atleast_1d(line.get_xdata())) > 2]
    among(axes, labels, np.vstack([*roofs, bars]), 6.5, must=False)


TOGETHER = 3
"""Names of operators at one place."""


def _key(cases: Sequence[Placed], hues: Mapping[str, str]) -> list[tuple[Any, str]]:
    """Kinds by colour, passes by marker, shares of the time by size, and what is not on the axes."""
    dot: Any = {"ls": "none", "marker": "o", "mew": 0}
    entries: list[tuple[Any, str]] = [
        (Line2D([], [], color=hue, ms=6, **dot), kind) for kind, hue in hues.items()
    ]  # fmt: skip
    grey: Any = {"color": ink(0.6), "ls": "none", "mew": 0}
    entries += [(Line2D([], [], marker=marker, ms=6, **grey), phase) for phase, marker in MARKERS.items()]
    sizes = tuple(Line2D([], [], marker="o", ms=_area(share) ** 0.5, **grey) for share in SHARES)
    entries += [(mark, f"{share:.0%} of device time") for mark, share in zip(sizes, SHARES, strict=True)]
    bar = Line2D([], [], color=ink(0.6), marker="|", ms=9, mew=0.9, ls="none")
    entries.append((bar, rests_on(each.result.calibration for each in cases)))
    idle: dict[str, None] = {}
    for each in cases:
        for phase in MARKERS:
            idle |= dict.fromkeys(o.operator for o in getattr(each.result, phase).operators if not _work(o) and o.time)
    if idle:
        entries.append((Line2D([], [], ls="none"), f"without FLOP, so not on the axes: {', '.join(idle)}"))
    return entries
