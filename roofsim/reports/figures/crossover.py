"""A crossover: a metric of models over the length of the prompt, and where one overtakes another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from roofsim.foundation.values import dataclass
from roofsim.prediction.metrics import METRICS
from roofsim.reports.figures.captions import asked, on, rests_on
from roofsim.reports.figures.labels import Label, among, at_ends, settle, spread
from roofsim.reports.figures.panels import across, outer, panels, width
from roofsim.reports.figures.style import (
    Key,
    Look,
    heading,
    ink,
    lengths,
    look,
    looks,
    quantities,
)
from roofsim.reports.theme import Theme
from roofsim.studies.crossover import Comparison, Crossing, Pair

SHORTEST_SHOWN = 256
"""Shorter prompts are left out of a figure where nothing happens in them: every curve is flat there."""

BEYOND = 2.0
"""How far a figure goes on beyond what is last in it."""


@dataclass(frozen=True, slots=True)
class _Curve:
    """A model in a panel, out of the pair that reaches furthest; `masked` is where a mask is first built for it."""

    lengths: Any
    values: Any
    low: Any
    high: Any
    end: int
    window: int | None
    masked: int | None

    def at(self, length: float) -> float:
        """Its value at a length."""
        return float(np.exp(np.interp(np.log(length), np.log(self.lengths), np.log(self.values))))


def crossover(
    comparisons: Sequence[Comparison], device: str, runtime: str, titles: Sequence[str] = (), *, theme: Theme = "light"
) -> Figure:
    """All models over length, a panel for each comparison: bands, crossings, ends of memory, masks.

    `device` and `runtime` are their names in full, empty where they differ; panels are called by `titles`, or by their
    runtimes. All panels share their axes. Raises InputError for more than can be read.
    """
    called = dict(zip(titles or [each.runtime for each in comparisons], comparisons, strict=True))
    curves = [_curves(each.pairs) for each in comparisons]
    names = list(dict.fromkeys(name for each in curves for name in each))
    row = METRICS[comparisons[0].pairs[0].metric]
    first, last = _span(comparisons, curves)
    with look(theme):
        styles = looks(names)
        below = Key.of(_key(called, curves, styles, (first, last)), width(len(called)))
        figure, shown = panels(len(called), 2.9 + 0.12 * max(len(names) - 6, 0), below.height)
        heading(figure, f"{row.words.capitalize()} against prompt length", *_about(comparisons, device, runtime))
        _axes(shown, curves, row.words, row.unit, (first, last))
        side = across(len(called))
        ends = []
        for i, (axes, title, found) in enumerate(zip(shown, called, curves, strict=True)):
            if len(called) > 1:
                axes.set_title(title)
            for name, curve in found.items():
                _draw(axes, curve, styles[name], (first, last), few=len(found) <= FEW)
            last_in_row = i % side == side - 1 or axes is shown[-1]
            ends.append(_named(axes, found, styles, last) if last_in_row else [])
        outer(shown)
        below.draw(figure)
        settle(figure)
        for axes, each, found, texts in zip(shown, comparisons, curves, ends, strict=True):
            spread(axes, texts)
            _crossings(axes, each, found, (first, last), numbered=_numbered(comparisons))
        return figure


def _about(comparisons: Sequence[Comparison], device: str, runtime: str) -> tuple[str, str]:
    """Where it runs, and what is asked for, but for what differs between panels or does not matter to the metric."""
    row, works = METRICS[comparisons[0].pairs[0].metric], [each.workload for each in comparisons]
    differ = [name for name in works[0] if len({str(each[name]) for each in works}) > 1]
    after = row.decoding or row.name in ("energy", "total")
    words = asked(works[0], *differ, *(() if after else ("generate",)))
    same = len({each.runtime for each in comparisons}) == 1
    return on(device, runtime if same else ""), f"{words}; bands: {rests_on(each.calibration for each in comparisons)}"


RING: Any = {"marker": "o", "ms": 7, "mew": 1.3, "mfc": "none"}
"""What a crossing is marked with."""

FEW = 4
"""Curves up to which bands are told apart where they overlap."""


def _curves(pairs: Sequence[Pair]) -> dict[str, _Curve]:
    """Every model of some pairs."""
    found: dict[str, _Curve] = {}
    for pair in pairs:
        for side, name in (("a", pair.a), ("b", pair.b)):
            if name in found and found[name].lengths[-1] >= pair.lengths[-1]:
                continue
            low, high = np.transpose(pair.bands[side])
            found[name] = _Curve(
                np.array(pair.lengths, dtype=float), np.array(pair.values[side]), low, high, pair.max_prompt[side],
                pair.context_window.get(side), pair.mask_from.get(side),
            )  # fmt: skip
    return found


def _span(comparisons: Sequence[Comparison], curves: Sequence[Mapping[str, _Curve]]) -> tuple[float, float]:
    """The lengths that are drawn: all crossings and ends of memory are among them."""
    turns = [crossing.length for each in comparisons for pair in each.pairs for crossing in pair.crossings]
    every = [curve for each in curves for curve in each.values()]
    shortest, longest = min(curve.lengths[0] for curve in every), max(curve.lengths[-1] for curve in every)
    first = max(min([SHORTEST_SHOWN, *(n / BEYOND for n in turns)]), shortest)
    last = min(max([4 * first, *(BEYOND * n for n in (*turns, *(curve.end for curve in every)))]), longest)
    return (first, last) if first < last else (shortest, longest)


def _axes(
    shown: Sequence[Axes], curves: Sequence[Mapping[str, _Curve]], words: str, unit: str, span: tuple[float, float]
) -> None:  # fmt: skip
    """Both axes of all panels, on which everything that is drawn lies."""
    within = [
        (curve, (curve.lengths >= span[0]) & (curve.lengths <= span[1])) for each in curves for curve in each.values()
    ]
    low = min(float(curve.low[kept].min()) for curve, kept in within)
    high = max(float(curve.high[kept].max()) for curve, kept in within)
    for axes in shown:
        lengths(axes, *span)
        quantities(axes, "y", unit, low / ROOM, high * ROOM, log=True)
        axes.set_ylabel(words)


ROOM = 1.15
"""What the axes go on beyond what is drawn."""


def _draw(axes: Axes, curve: _Curve, style: Look, span: tuple[float, float], *, few: bool) -> None:
    """A curve with its band, thin and dotted where memory has ended."""
    kept = (curve.lengths >= span[0]) & (curve.lengths <= span[1])
    n, values = curve.lengths[kept], curve.values[kept]
    axes.fill_between(n, curve.low[kept], curve.high[kept], color=style.colour, alpha=0.14 if few else 0.07, lw=0)
    inside = n <= curve.end
    axes.plot(n[inside], values[inside], color=style.colour, ls=style.dashes, lw=1.7)
    after = np.flatnonzero(inside)[-1:] if inside.any() else np.array([0])
    axes.plot(n[after[0] :], values[after[0] :], color=style.colour, lw=1, ls=(0, (1, 2)))
    if inside.any() and curve.end < span[1]:
        axes.plot(n[after], values[after], marker="x", color=style.colour, ms=6, mew=1.7, ls="none", zorder=4)
    if curve.window and span[0] < curve.window < span[1]:
        axes.plot(curve.window, curve.at(curve.window), marker="|", color=style.colour, ms=11, mew=1.5, ls="none")
    if curve.masked and span[0] < curve.masked < span[1]:
        axes.plot(curve.masked, curve.at(curve.masked), marker="^", color=style.colour, ms=6, ls="none", zorder=4)


def _named(axes: Axes, found: Mapping[str, _Curve], styles: Mapping[str, Look], last: float) -> list[Any]:
    """The name of each curve at its end."""
    return at_ends(axes, [Label(last, curve.at(last), name, styles[name].colour) for name, curve in found.items()])


def _numbered(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], str]:
    """A number for each pair, where there are several."""
    pairs = list(dict.fromkeys((pair.a, pair.b) for each in comparisons for pair in each.pairs))
    return {pair: str(i) if len(pairs) > 1 else "" for i, pair in enumerate(pairs, 1)}


def _crossings(
    axes: Axes, each: Comparison, found: Mapping[str, _Curve], span: tuple[float, float],
    numbered: Mapping[tuple[str, str], str],
) -> None:  # fmt: skip
    """A ring at every crossing, with the lengths at which the order is not certain, and its length or its number."""
    names, single = [], len(numbered) == 1
    for pair in each.pairs:
        for crossing in pair.crossings:
            low, high = (min(max(n, span[0]), span[1]) for n in crossing.interval)
            height = np.sqrt(found[pair.a].at(crossing.length) * found[pair.b].at(crossing.length))
            if single:
                axes.axvspan(low, high, color=ink(0.75), alpha=0.16, lw=0, zorder=0.5)
            else:
                axes.plot([low, high], [height] * 2, color=ink(0.75), lw=4, alpha=0.25, solid_capstyle="butt")
            axes.plot(crossing.length, height, color=ink(), ls="none", zorder=5, **RING)
            text = numbered[pair.a, pair.b] or f"{crossing.length:,}"
            names.append(Label(crossing.length, height, text, ink()))
    lines = np.concatenate([np.transpose([_fine(c, span), [c.at(n) for n in _fine(c, span)]]) for c in found.values()])
    among(axes, names, lines, 8.5)


def _fine(curve: _Curve, span: tuple[float, float]) -> Any:
    return np.geomspace(span[0], min(span[1], curve.lengths[-1]), 120)


def _key(
    called: Mapping[str, Comparison], curves: Sequence[Mapping[str, _Curve]], styles: Mapping[str, Look],
    span: tuple[float, float],
) -> list[tuple[Any, str]]:  # fmt: skip
    """What marks mean, and in words what they mark."""
    grey: Any = {"color": ink(0.75), "ls": "none"}
    entries: list[tuple[Any, str]] = []
    comparisons = [*called.values()]
    numbers = _numbered(comparisons)
    for pair, number in numbers.items():
        turns = any(p.crossings for each in comparisons for p in each.pairs)
        mark: Any = {"marker": f"${number}$", "ms": 6, "mew": 0.3} if number else RING if turns else {}
        entries.append((Line2D([], [], color=ink(), ls="none", **mark), _said(pair, called)))
    every = [curve for each in curves for curve in each.values()]
    drawn = [crossing for each in comparisons for pair in each.pairs for crossing in pair.crossings]
    if drawn:
        entries.append(
            (Patch(color=ink(0.75), alpha=0.25, lw=0), "95 % interval of the crossing: there the order is not certain")
        )
    if any(span[0] <= curve.end < span[1] for curve in every):
        entries.append((Line2D([], [], marker="x", ms=6, mew=1.7, **grey), "end of memory; dotted: beyond it"))
    if any(curve.window and span[0] < curve.window < span[1] for curve in every):
        entries.append((Line2D([], [], marker="|", ms=10, mew=1.5, **grey), "context window of the model"))
    entries += [(Line2D([], [], marker="^", ms=6, **grey), text) for text in _masks(comparisons, curves, span)]
    return entries


def _said(pair: tuple[str, str], called: Mapping[str, Comparison]) -> str:
    """Who is ahead, and from where the other is, in each panel."""
    found = {title: p for title, each in called.items() for p in each.pairs if (p.a, p.b) == pair}
    if all(len(p.crossings) == 1 for p in found.values()) and len({_ahead(p) for p in found.values()}) == 1:
        turns = [p.crossings[0] for p in found.values()]
        at = [_length(c) + (f" ({title})" if len(called) > 1 else "") for c, title in zip(turns, found, strict=True)]
        return f"{turns[0].faster_before} → {turns[0].faster_after} from {', '.join(at)}"
    parts = []
    for title, p in found.items():
        first = _ahead(p)
        said = first + "".join(f" → {c.faster_after} from {_length(c)}" for c in p.crossings)
        said = said if p.crossings else f"{first} ahead of {p.b if first == p.a else p.a} throughout"
        parts.append(f"{title}: {said}" if len(called) > 1 else said)
    return "; ".join(parts)


def _length(c: Crossing) -> str:
    return f"{c.length:,}{'' if c.within_memory else ' (beyond memory)'}"


def _ahead(pair: Pair) -> str:
    """Which model is ahead at first."""
    if pair.crossings:
        return pair.crossings[0].faster_before
    better = pair.values["a"][0] < pair.values["b"][0]
    return pair.a if better != METRICS[pair.metric].higher else pair.b


def _masks(
    comparisons: Sequence[Comparison], curves: Sequence[Mapping[str, _Curve]], span: tuple[float, float]
) -> list[str]:
    """Where curves jump, and why."""
    found: dict[tuple[str, int], dict[str, None]] = {}
    for each, mine in zip(comparisons, curves, strict=True):
        for name, curve in mine.items():
            if curve.masked and span[0] < curve.masked < span[1]:
                found.setdefault((each.runtime, curve.masked), {})[name] = None
    return [
        f"from {start:,} tokens on {runtime} builds an N × N mask for {' and '.join(names)}, "
        "and attention leaves the flash kernel"
        for (runtime, start), names in found.items()
    ]
