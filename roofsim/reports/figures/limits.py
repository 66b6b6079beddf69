"""Memory over the length of the prompt, against what there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MultipleLocator

from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass
from roofsim.prediction.setup import Setup
from roofsim.reports.figures.about import devices_of
from roofsim.reports.figures.captions import rests_on, shared
from roofsim.reports.figures.labels import SIZE, Label, at_ends, outlined, readable, settle, spread
from roofsim.reports.figures.panels import panels, width
from roofsim.reports.figures.scales import AROUND
from roofsim.reports.figures.style import Key, colours, heading, ink, look, quantities, tokens
from roofsim.reports.theme import Theme
from roofsim.studies.limits import PARTS, LimitsResult

THIN = 0.006
"""Of the height of the axes: parts that are nowhere thicker cannot be seen, and are named below instead."""

FAR = 3.0
"""Memory so many times above what is used would leave no room to see that; it is named instead."""

ROOM = 1.1
"""What the axes go on beyond what is drawn."""


TICKS = 6
"""Lengths that are named."""


@dataclass(frozen=True, slots=True)
class Held:
    """The memory of a model at many lengths, and what it is called in a panel."""

    result: LimitsResult
    setup: Setup
    title: str = ""


def limits(cases: Sequence[Held], *, theme: Theme = "light") -> Figure:
    """Peak memory of a prefill by part over prompt length, a panel for each case.

    With what the process reserves, what there is, what the system keeps of it, and the longest prompt that fits.
    """
    with look(theme):
        hues = {part: colours()[i] for i, part in enumerate(PARTS)}
        below = Key.of(_key(cases), width(len(cases)))
        figure, shown = panels(len(cases), 3.4, below.height, together=False)
        results = [each.result for each in cases]
        head = shared(
            [each.model for each in results], devices_of(each.setup for each in cases),
            [each.setup.runtime.name for each in cases], [each.workload for each in results],
            "prompt", "generate",
        )  # fmt: skip
        basis = rests_on(each.calibration for each in results)
        heading(figure, "Peak memory of a prefill against prompt length", head[0], f"{head[1]}; intervals: {basis}")
        ends = []
        for axes, case in zip(shown, cases, strict=True):
            if len(cases) > 1:
                axes.set_title(case.title)
            ends.append(_draw(axes, case, hues))
        below.draw(figure)
        settle(figure)
        for axes, texts in zip(shown, ends, strict=True):
            spread(axes, texts)
        return figure


def _draw(axes: Axes, case: Held, hues: Mapping[str, str]) -> list[Any]:
    """One panel; the names of its parts, to be parted."""
    r, room, whole = case.result, case.result.room.bytes, _whole(case)
    lengths = np.array([float(each.prompt) for each in r.at])
    alone = lengths[0] if len(lengths) == 1 else None
    if alone:  # a length alone is drawn around itself
        lengths = alone * np.array([1 / AROUND, AROUND])
    reserved = np.broadcast_to(_reserved(r), lengths.shape)
    top = _top(case)
    quantities(axes, "y", "B", 0, top, log=False)
    bottom = np.zeros(len(lengths))
    names = []
    for part, values in _visible(case).items():
        values = np.broadcast_to(values, lengths.shape)
        axes.fill_between(lengths, bottom, bottom + values, color=hues[part], alpha=0.8, lw=0)
        middle = bottom + values / 2
        if values[-1] > THIN * top:
            names.append(Label(0, float(middle[-1]), part, hues[part]))
        else:  # it gives way to another part
            thickest = int(values.argmax())
            text = axes.annotate(
                part, (float(lengths[thickest]), float(middle[thickest])), xytext=(-5, 0), textcoords="offset points",
                fontsize=SIZE, color=readable(hues[part]), ha="right", va="center",
            )  # fmt: skip
            outlined(text)
        bottom = bottom + values
    axes.plot(lengths, reserved, color=ink(), lw=1.1, ls=(0, (4, 2)))
    size = show(room, "B")
    if room < top:
        axes.axhline(room, color=ink(), lw=1.1)
        axes.axhspan(room, min(whole, top), facecolor=ink(0.12), edgecolor=ink(0.35), hatch="///", lw=0, zorder=0.5)
        names.append(Label(0, room, f"{size} to use", ink()))
    else:
        axes.annotate(
            f"{size} to use, far above", (0, 1), xycoords="axes fraction", xytext=(4, -3), textcoords="offset points",
            fontsize=7.5, va="top", color=ink(0.85),
        )  # fmt: skip
    last = float(lengths[-1])
    if _ends_inside(r):
        low, high = r.intervals["max_prompt"]
        axes.axvspan(max(low, lengths[0]), min(high, last), color=ink(0.75), alpha=0.2, lw=0)
        axes.axvline(r.limits.max_prompt, color=ink(), lw=1, ls=(0, (1, 1.5)))
    axes.set_xlim(lengths[0], max(last, lengths[0] + 1))
    step = 2.0 ** np.ceil(np.log2(max(last - lengths[0], 8) / TICKS))
    axes.xaxis.set_major_locator(FixedLocator([alone]) if alone else MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(tokens))
    axes.set_xlabel("prompt length (tokens)")
    axes.set_ylabel("peak memory")
    return at_ends(axes, names)


def _whole(case: Held) -> float:
    return float(case.setup.device.memory.capacity.value)


def _ends_inside(r: LimitsResult) -> bool:
    """Whether the longest prompt is among those that are drawn."""
    return r.at[0].prompt <= r.limits.max_prompt <= r.at[-1].prompt


def _wide(r: LimitsResult) -> bool:
    """Whether its interval can be seen."""
    low, high = r.intervals["max_prompt"]
    return high - low > THIN * (r.at[-1].prompt - r.at[0].prompt)


def _reserved(r: LimitsResult) -> Any:
    return np.array([float(each.memory.reserved) for each in r.at])


def _top(case: Held) -> float:
    """The end of the axis: above all that is drawn, and above what there is unless that is far away."""
    used = float(_reserved(case.result).max())
    return ROOM * (used if case.result.room.bytes > FAR * used else max(used, _whole(case)))


def _visible(case: Held) -> dict[str, Any]:
    """The parts that can be seen."""
    parts = {part: np.array([float(getattr(each.memory, part)) for each in case.result.at]) for part in PARTS}
    return {part: values for part, values in parts.items() if values.max() > THIN * _top(case)}


def _key(cases: Sequence[Held]) -> list[tuple[Any, str]]:
    """What lines and hatches mean, in numbers where there is one case."""
    results = [each.result for each in cases]
    one = results[0] if len(results) == 1 else None
    entries: list[tuple[Any, str]] = [
        (Line2D([], [], color=ink(), lw=1.1, ls=(0, (4, 2))), "reserved by the process"),
    ]  # fmt: skip
    if any(_whole(each) > each.result.room.bytes and each.result.room.bytes < _top(each) for each in cases):
        size = f" of {show(_whole(cases[0]), 'B')}" if one else ""
        patch = Patch(facecolor=ink(0.12), edgecolor=ink(0.35), hatch="///", lw=0)
        entries.append((patch, f"the system's share, or held back{size}"))
    ending = [each for each in results if _ends_inside(each)]
    if ending:
        low, high = (ending[0].intervals["max_prompt"][i] for i in (0, 1))
        between = f" ({low:,.0f} to {high:,.0f})" if low < high else ""
        said = f": {ending[0].limits.max_prompt:,}{between}" if one else ""
        by = " or ".join(sorted({each.limits.prompt_bound for each in ending}))
        line = Line2D([], [], color=ink(), lw=1, ls=(0, (1, 1.5)))
        entries.append((line, f"longest prompt{said}, {by} ends it"))
        if any(_wide(each) for each in ending):
            basis = rests_on(each.calibration for each in results)
            entries.append((Patch(color=ink(0.75), alpha=0.3, lw=0), basis))
    small = {part for each in cases for part in PARTS if part not in _visible(each)}
    sizes = {part: max(float(getattr(m.memory, part)) for each in results for m in each.at) for part in PARTS}
    said = ", ".join(f"{part} {show(sizes[part], 'B')}" for part in PARTS if part in small and sizes[part])
    if said and one:
        entries.append((Line2D([], [], ls="none"), f"too small to see: {said}"))
    return entries
