"""What users of a serving engine see over its load, and what they and a device get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from roofsim.foundation.errors import InputError
from roofsim.foundation.units import show
from roofsim.model.split import Split
from roofsim.prediction.loop import ENDLESS
from roofsim.prediction.setup import Setup
from roofsim.reports.figures.about import case
from roofsim.reports.figures.captions import on, rests_on
from roofsim.reports.figures.labels import Label, among, settle
from roofsim.reports.figures.style import heading, ink, look, looks, quantities, subplots
from roofsim.reports.theme import Theme
from roofsim.serving.choices import Choice, named
from roofsim.serving.front import OBJECTIVES, Front, Point, evenly
from roofsim.serving.served import Served
from roofsim.serving.server import Server
from roofsim.serving.slo import Promise
from roofsim.serving.steady import closed, open_loop
from roofsim.specs.workload import Workload

PANELS = (("itl", "time between two tokens"), ("ttft", "time to the first token"))
USERS, RATES = 28, 20
"""Loads that a line is drawn through."""
FULL = 0.97
"""Up to which share of what a full engine answers rates are drawn."""
MARGIN = 1.15
"""By what factor an axis goes on beyond the values."""


def over_load(
    choices: Sequence[tuple[Choice, Server]], kind: str, slo: Sequence[Promise] = (), rounds: float | None = None, *,
    theme: Theme = "light",
) -> Figure:  # fmt: skip
    """Both times over users or requests a second, with the band of their means, the 95th percentile, and promises."""
    server = choices[0][1]
    with look(theme):
        figure, grid = subplots(1, 2, figsize=(7.6, 3.8))
        found = looks([named(choice) for choice, _ in choices])
        lines = {named(choice): _loads(each, kind, rounds) for choice, each in choices}
        alone = len(lines) == 1 and server.drafts is not None
        without = _loads(replace(server, drafts=None), kind, rounds) if alone else []
        for axes, (time, words) in zip(grid, PANELS, strict=True):
            values: list[float] = [p.seconds for p in slo if p.time == time]
            for name, rows in lines.items():
                values += _line(axes, rows, time, kind, found[name], name, single=len(lines) == 1)
            if without:
                x, means = [_load(row, kind) for row in without], [getattr(row, time)["mean"] for row in without]
                axes.plot(x, means, color=ink(0.6), ls=(0, (5, 1.6)), lw=1.2, label="mean without drafts", zorder=2)
                values += means
            _promised(axes, time, slo)
            axes.set_title(words)
            quantities(axes, "y", "s", min(values) / MARGIN, max(values) * MARGIN, log=True)
            _along(axes, kind, [_load(row, kind) for rows in (*lines.values(), without) for row in rows])
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        said = f", {rounds:g} requests of each" if rounds else ""
        who = "requests that come at a rate" if kind == "rate" else f"users who ask again at once{said}"
        kinds = {each.s.device.id: each.s.calibration_name for _, each in choices}
        mark = "" if len(kinds) > 1 else "band" if len(lines) == 1 else "bands"
        about = case(server.s, server.w, *_same(choices), mark=mark)
        if len(kinds) > 1:
            about = (on(f"{len(kinds)} kinds of device", server.s.runtime.name, server.s.model_name),
                     f"{about[1]}, bands: {rests_on(kinds.values())}")  # fmt: skip
        drafts = [server.drafts.said(server.s, server.w)[0]] if server.drafts else []
        heading(figure, f"What {who} see", *about, *drafts)
        return figure


def _same(choices: Sequence[tuple[Choice, Server]]) -> list[str]:
    """What a caption leaves out: what choices differ in, and what serving has no say in."""
    differ = ["weight_format", "dtype"] if len(choices) > 1 else []
    return ["batch", "logits", *differ]


def _loads(server: Server, kind: str, rounds: float | None) -> list[Served]:
    """Loads from next to none to a little beyond what fits, or to nearly all that is answered."""
    if kind == "rate":
        most = FULL * server.capacity
        return list(_answered(server, [most * (i + 1) / RATES for i in range(RATES)]))
    most = MARGIN * server.most
    counts = sorted({max(round(most ** (i / (USERS - 1))), 1) for i in range(USERS)})
    return [closed(server, n, rounds or ENDLESS) for n in counts]


def _answered(server: Server, rates: Sequence[float]) -> Iterator[Served]:
    """Rates in their order, up to the first at which waiting has no end; raises InputError if that is the first."""
    for i, rate in enumerate(rates):
        try:
            yield open_loop(server, rate)
        except InputError:
            if not i:
                raise
            return


def _load(row: Served, kind: str) -> float:
    return row.rate if kind == "rate" else row.concurrency


def _line(
    axes: Axes, rows: Sequence[Served], time: str, kind: str, one: Any, name: str, *, single: bool
) -> list[float]:
    """A line of means with its band, and the 95th percentile if it is the only one; the values that it spans."""
    x = [_load(row, kind) for row in rows]
    means = [getattr(row, time)["mean"] for row in rows]
    axes.plot(x, means, color=one.colour, ls=one.dashes, lw=1.6, label=name or "mean", zorder=3)
    low, high = zip(*(row.intervals[time] for row in rows), strict=True)
    if not single:
        top = 9 * max(means)
        axes.fill_between(x, low, [min(end, top) for end in high], color=one.colour, alpha=0.1, lw=0, zorder=1)
        return [*means, *low, *(end for end in high if end < 2 * max(means))]
    tail = [getattr(row, time)["p95"] for row in rows]
    top = 9 * max(*means, *tail)  # where times have no end
    ends = [min(end, top) for end in high]
    axes.fill_between(x, low, ends, color=one.colour, alpha=0.18, lw=0, zorder=1, label="95 % interval of the mean")
    axes.plot(x, tail, color=one.colour, ls=":", lw=1.3, label="95th percentile", zorder=2)
    return [*means, *tail, *low, *(end for end in high if end < 2 * max(means))]


def _promised(axes: Axes, time: str, slo: Sequence[Promise]) -> None:
    """A line at each promise of a time."""
    for p in slo:
        if p.time == time:
            axes.axhline(p.seconds, color=ink(0.75), ls=(0, (5, 2)), lw=1.1, zorder=2)
            words = show(p.seconds, "s") if p.figure == "mean" else f"{p.figure} {show(p.seconds, 's')}"
            axes.annotate(
                words, (0, p.seconds), xycoords=("axes fraction", "data"), xytext=(4, -3), textcoords="offset points",
                fontsize=7.5, color=ink(0.75), va="top",
            )  # fmt: skip


def _along(axes: Axes, kind: str, loads: Sequence[float]) -> None:
    if kind == "rate":
        axes.set_xlim(0, max(loads))
        axes.set_xlabel("requests a second")
        return
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(loads), max(loads))
    top = int(np.log2(max(loads)))
    axes.xaxis.set_major_locator(FixedLocator([2.0**k for k in range(0, top + 1, max(round(top / 6), 1))]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("users")


def front(f: Front, s: Setup, w: Workload, *, theme: Theme = "light") -> Figure:
    """The first two objectives against each other: a line for each choice, and the front of all."""
    x, y = axes_of(f)
    with look(theme):
        figure, axes = subplots(figsize=(6.8, 4.6))
        found = looks([named(line[0].choice) for line in f.lines])
        every = [p for line in f.lines for p in line if getattr(p, y) == getattr(p, y)]
        for line in f.lines:
            one = found[named(line[0].choice)]
            axes.plot([getattr(p, x) for p in line], [getattr(p, y) for p in line], color=one.colour, ls=one.dashes,
                      lw=1.3, label=named(line[0].choice) or "users", zorder=2)  # fmt: skip
        if f.objectives == (x, y):
            axes.step([getattr(p, x) for p in f.points], [getattr(p, y) for p in f.points], where="pre", lw=2.4,
                      color=ink(0.8), alpha=0.35, label="front", zorder=1)  # fmt: skip
        marked = _spread([p for p in f.points if p.intervals] or f.points)
        for which, name in (("x", x), ("y", y)):
            values = [getattr(p, name) for p in (*every, *f.points)]
            values += [end for p in marked for end in p.intervals.get(name, ())]
            unit = OBJECTIVES[name].unit
            quantities(axes, which, unit, min(values) / MARGIN, max(values) * MARGIN, log=True)  # type: ignore[arg-type]
            axes.set(**{f"{which}label": OBJECTIVES[name].words})
        for promise in f.slo:
            words = f"{promise.time.upper()} {show(promise.seconds, 's')}"
            style = {"color": ink(0.75), "ls": (0, (5, 2)), "lw": 1.1, "label": words}
            if (promise.time, x) in (("itl", "user"), (x, x)):
                axes.axvline(1 / promise.seconds if x == "user" else promise.seconds, **style)
            elif promise.time == y:
                axes.axhline(promise.seconds, **style)
        for i, p in enumerate(marked):
            ends = {name: p.intervals.get(name, (getattr(p, name),) * 2) for name in (x, y)}
            style = {"color": ink(0.6), "lw": 0.8, "zorder": 3}
            axes.plot(ends[x], [getattr(p, y)] * 2, **style)
            axes.plot([getattr(p, x)] * 2, ends[y], **style, label="" if i else "95 % interval, of each alone")
        figure.legend(loc="outside lower center", ncols=4)
        kept = f", {f.kept:,} of them within {', '.join(map(str, f.slo))}" if f.slo else ""
        differ = ["weight_format", "dtype"] if len(f.lines) > 1 else []
        said = case(s if len({line[0].devices for line in f.lines}) == 1 else replace(s, split=Split()), w,
                    "batch", "logits", *differ, mark="")  # fmt: skip
        if len(f.paid) > 1:
            said = on(f"{len(f.paid)} kinds of device", s.runtime.name, s.model_name), said[1]
        also = [OBJECTIVES[name].words for name in f.objectives if name not in (x, y)]
        contained = "; tokens of answers carry their prompts" if {x, y} & OF_TOKENS else ""
        judged = f"; marked: best in {' and '.join(also)} too" if also else ""
        heading(figure, f"{OBJECTIVES[y].words[0].upper()}{OBJECTIVES[y].words[1:]} against {OBJECTIVES[x].words}",
                *said, f"{f.looked_at:,} choices{kept}; numbers are users of a replica{judged}{contained}")  # fmt: skip
        settle(figure)
        labels = [Label(getattr(p, x), getattr(p, y), f"{p.concurrency:,}", ink(0.9)) for p in marked]
        drawn = np.array([[getattr(p, x), getattr(p, y)] for p in every])
        among(axes, labels, drawn, size=6.8, must=False)
        for p in marked:
            axes.plot([getattr(p, x)], [getattr(p, y)], marker="o", ms=3.5, color=ink(0.8), ls="none", zorder=4)
        return figure


def axes_of(f: Front) -> tuple[str, str]:
    """The objectives that a figure is drawn over: the first two, one that is alone against the speed of a user."""
    first, *others = f.objectives
    if others:
        return first, others[0]
    return ("user", first) if first != "user" else (first, "device")


OF_TOKENS = {"usd_per_million", "energy_per_token"}
"""What is said of output tokens and contains their prompts."""
NAMED = 9
"""Points of a front whose users are said."""


def _spread(points: Sequence[Point]) -> list[Point]:
    """Some points, spread over the front."""
    return [points[i] for i in evenly(len(points), NAMED)]
