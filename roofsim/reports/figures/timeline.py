"""What is held over the operators of a prefill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from roofsim.engine.memory import BUILDING, Held
from roofsim.foundation import units
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.evaluation import figure as value_of
from roofsim.prediction.fitted import reach, unsure
from roofsim.prediction.intervals import FIGURES, Interval, scatter, with_slopes, within
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import last_piece
from roofsim.prediction.words import MISFIT, beyond, room
from roofsim.reports.figures.about import case
from roofsim.reports.figures.style import colours, heading, ink, look, quantities, subplots
from roofsim.reports.theme import Theme
from roofsim.specs.workload import Workload

PLACES: Mapping[str, int] = {"state": 2, "activations": 0, "logits": 3, "masks": 4}
"""The parts of what is held beside the weights, from the bottom up, and their colours."""

WORDS: Mapping[str, str] = {"state": "cache and states"}

WIDE, NARROWEST, WIDEST = 0.17, 6.4, 13.0
"""Inches of an operator, and of a figure at least and at most."""

SMALL = 6.0
"""Points of the name of an operator."""


def timeline(s: Setup, w: Workload, *, theme: Theme = "light") -> Figure:
    """Bytes held beside the weights while each operator of a prefill runs, by part, with the peak and the room.

    Equal layers are drawn once, and how many there are stands above them.
    """
    with look(theme):
        e = Evaluation(s, w)
        building, *others = e.timeline
        steps = [building, *others] if building.masks else others
        width = min(max(NARROWEST, WIDE * len(steps) + 1.0), WIDEST)
        figure, axes = subplots(figsize=(width, 4.0))
        edges = np.arange(len(steps) + 1) - 0.5
        base = np.zeros(len(steps))
        for part, place in PLACES.items():
            held = np.array([float(getattr(step, part)) for step in steps])
            if held.any():
                axes.stairs(base + held, edges, baseline=base, fill=True, color=colours()[place], lw=0,
                            label=WORDS.get(part, part))  # fmt: skip
            base = base + held
        top = _room(axes, e, float(base.max()), len(steps))
        _peak(axes, e, steps, base, top)
        _layers(axes, steps, _counts(s, w), width)
        axes.set_xticks(range(len(steps)), [_said(step) for step in steps], rotation=90, fontsize=SMALL)
        axes.set_xlim(-0.5, len(steps) - 0.5)
        quantities(axes, "y", "B", 0, top, log=False)
        axes.set_ylabel("held beside the weights")
        axes.grid(axis="x", visible=False)
        figure.legend(loc="outside lower center", ncols=len(PLACES))
        misfit = [each for each in beyond(e) if each.startswith(MISFIT)]
        piece = _piece(s, w)
        heading(figure, "Memory over the operators of a prefill" + piece, *case(s, w, "generate", mark="±"), *misfit)
        return figure


HEADROOM = 1.16
"""Height of the axes, of what is held at most."""

NEAR = 1.6
"""The room is drawn where it is at most so many times what is held."""


def _room(axes: Axes, e: Evaluation, most: float, steps: int) -> float:
    """Draw what the device has beside the weights, where that is near; the height of the axes."""
    left = room(e.s).bytes - float(e.memory.weights) - float(e.memory.workspace)
    if not 0 < left <= NEAR * most:
        return HEADROOM * most
    axes.axhline(left, color=ink(), lw=1, ls=(0, (5, 2)))
    axes.annotate(f"room beside the weights: {units.show(left, 'B')}", (steps - 0.5, left), xytext=(-4, 3),
                  textcoords="offset points", ha="right", fontsize=7.5, bbox=_ground())  # fmt: skip
    return HEADROOM * max(most, left)


def _peak(axes: Axes, e: Evaluation, steps: Sequence[Held], held: np.ndarray, top: float) -> None:
    """Mark where most is held, and say the whole peak."""
    at = int(np.argmax(held))
    left = at > len(steps) / 2
    peak = float(e.memory.peak)
    off = f"{100 * (_within(e)[1] / peak - 1):.1g} %"
    said = f"peak {units.show(peak, 'B')} ±{off}, of it weights {units.show(float(e.memory.weights), 'B')}"
    axes.plot([at], [held[at]], marker="v", ms=6, color=ink(), clip_on=False)
    axes.annotate(said, (at, held[at]), xytext=(-7 if left else 7, 2), textcoords="offset points", va="bottom",
                  ha="right" if left else "left", fontsize=7.5, bbox=_ground())  # fmt: skip


def _within(e: Evaluation) -> Interval:
    """The 95 % interval of the peak."""
    path, measured = FIGURES["peak"]
    known = unsure(e.s, reach(e.s, e.w))
    return within(known, value_of(path)(e.under(with_slopes(known, e.w))), scatter(known, measured))


def _ground() -> dict[str, Any]:
    """What parts a text from what is drawn behind it."""
    return {"facecolor": ink(0), "lw": 0, "pad": 1, "alpha": 0.8}


def _counts(s: Setup, w: Workload) -> dict[str, int]:
    """How many layers of each kind there are."""
    return {row.layer: row.count for row in s.stage.rows(last_piece(s, w))}


def _layers(axes: Axes, steps: Sequence[Held], counts: Mapping[str, int], width: float) -> None:
    """A line where a kind of layer begins, and its name with how many there are above it."""
    for first, last in _stretches(steps):
        if first:
            axes.axvline(first - 0.5, color=ink(0.45), lw=0.7)
        layer = steps[first].layer
        if layer and last - first > 1:
            many = counts.get(layer, 1)
            axes.annotate(f"{layer}{f' ×{many}' if many > 1 else ''}", ((first + last - 1) / 2, 1.0),
                          xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points", ha="center",
                          fontsize=7.5, annotation_clip=False)  # fmt: skip


def _stretches(steps: Sequence[Held]) -> Iterator[tuple[int, int]]:
    """Where each kind of layer begins, and where the next one does."""
    starts = [i for i, step in enumerate(steps) if not i or step.layer != steps[i - 1].layer]
    yield from zip(starts, [*starts[1:], len(steps)], strict=True)


def _said(step: Held) -> str:
    return BUILDING if step.operator == BUILDING else step.operator.replace("_", " ")


def _piece(s: Setup, w: Workload) -> str:
    """That a prompt goes through in pieces, and how long the last is."""
    p = last_piece(s, w)
    return f", its last {float(p.new):,.0f} tokens" if float(p.context) > 0 else ""
