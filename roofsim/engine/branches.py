"""Where a choice of a graph falls otherwise as one of its variables grows or shrinks: a change of regime.

Between two such places a figure has one formula. Each variable is scanned by itself on a grid of factors, all of them
at once; a choice that falls otherwise in a cell of the grid counts if the figure goes through it, and is then bisected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log, log2
from typing import Any

import numpy as np

from roofsim.engine.compiled import Function
from roofsim.engine.derivative import Swept, number_of, swept
from roofsim.engine.graph import Atom, Graph, key_of, reachable
from roofsim.foundation.values import dataclass

FURTHEST = 64
"""The largest factor that is looked at, and one over the smallest."""
STEPS = 4
"""Points of the grid for each doubling."""
SEEN = 0.01
"""A change counts if the elasticity jumps by so much, or the figure by this share of itself."""
HALVINGS = 30
"""Of a cell of the grid, until nothing is left of it in the digits that are shown."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The nearest change of regime in one direction: the factor of the variable at which it is.

    `before` and `after` are the elasticities of the figure by all variables on its two sides, `jump` the factor by
    which the figure itself changes there, where a switch is thrown.
    """

    factor: float
    before: Mapping[str, float]
    after: Mapping[str, float]
    jump: float


def turns(graph: Graph, output: Any, values: Mapping[str, float]) -> dict[str, tuple[Turn | None, Turn | None]]:
    """For every variable the nearest change of regime below its value and above it, None where there is none."""
    names = [graph.atoms[each].name for each in reachable(graph, [output]) if graph.atoms[each].op == "variable"]
    logs = np.arange(-STEPS * log2(FURTHEST), STEPS * log2(FURTHEST) + 1) / STEPS
    nearest: dict[tuple[str, bool], _Flip] = {}
    with np.errstate(all="ignore"):
        back = swept(graph, output, _rays(names, values, np.arange(len(names))[:, None], logs))
        for flip in _flips(graph, back, (len(names), len(logs)), logs):
            place = names[flip.ray], flip.up
            if place not in nearest or abs(flip.at) < abs(nearest[place].at):
                nearest[place] = flip
        made = _turns(graph, output, names, values, list(nearest.values())) if nearest else ()
        found = dict(zip(nearest, made, strict=True))
    return {name: (found.get((name, False)), found.get((name, True))) for name in values}


@dataclass(frozen=True, slots=True)
class _Flip:
    """A choice of an atom that falls otherwise along a ray, about at log₂ of a factor, within a cell of the grid.

    `gap` is by how much the side that is taken there is ahead of the one that was before.
    """

    ray: int
    up: bool
    gap: Any
    at: float
    near: float
    far: float


def _rays(names: Sequence[str], values: Mapping[str, float], ray: Any, logs: Any) -> dict[str, Any]:
    """The values of all variables where the one of each ray is so many times (log₂) what it is."""
    return {name: values[name] * np.where(ray == i, 2.0**logs, 1.0) for i, name in enumerate(names)}


def _sides(atom: Atom) -> tuple[Any, ...]:
    """What a choice is between: the largest is taken, the first of equal ones; nothing for what is no choice."""
    if atom.op in ("max", "at_least"):
        return atom.args
    if atom.op == "min":
        return tuple(-arg for arg in atom.args)
    # a rounding counts as what it rounds, but in the first piece
    return (1.0, atom.args[0] / atom.args[1]) if atom.op == "ceil" else ()


def _flips(graph: Graph, back: Swept, shape: tuple[int, int], logs: Any) -> Iterator[_Flip]:
    """The choices that fall otherwise between neighbours of the grid, and that the figure goes through."""
    middle = shape[1] // 2
    output = np.broadcast_to(back.value, shape)
    for number in back.at:
        atom = graph.atoms[number]
        sides = _sides(atom)
        if not sides:
            continue
        every = np.stack([np.broadcast_to(number_of(side, back.at), shape) for side in sides])
        taken = every.argmax(axis=0)
        pull = np.broadcast_to(back.pull[number], shape)
        for ray, cell in np.argwhere(taken[:, 1:] != taken[:, :-1]):
            up = bool(cell >= middle)
            here, there = (cell, cell + 1) if up else (cell + 1, cell)
            old, new = taken[ray, here], taken[ray, there]
            start, end = (float(every[new, ray, k] - every[old, ray, k]) for k in (here, there))
            step = float(logs[there] - logs[here])
            # by how much the elasticity changes, or where a switch is thrown the figure
            change = float(pull[ray, here]) * (1 if atom.op == "at_least" else (end - start) / (step * log(2)))
            if abs(change) >= SEEN * abs(float(output[ray, here])):
                at = float(logs[here]) + step * start / (start - end)
                yield _Flip(int(ray), up, sides[new] - sides[old], at, float(logs[here]), float(logs[there]))


def _turns(
    graph: Graph, output: Any, names: Sequence[str], values: Mapping[str, float], flips: Sequence[_Flip]
) -> Iterator[Turn]:
    """The changes at flips, each bisected in its cell."""
    ray = np.array([flip.ray for flip in flips])
    near, far = (np.array([getattr(flip, end) for flip in flips]) for end in ("near", "far"))
    gaps = {key_of(flip.gap): flip.gap for flip in flips}
    which = [list(gaps).index(key_of(flip.gap)) for flip in flips]
    function = Function(graph, {str(i): gap for i, gap in enumerate(gaps.values())}, tuple(names))
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        ahead = np.stack(list(function(**_rays(names, values, ray, middle)).values()))[which, np.arange(len(flips))]
        near, far = np.where(ahead > 0, near, middle), np.where(ahead > 0, middle, far)
    sides = []
    for place in (near, far):
        point = _rays(names, values, ray, place)
        back = swept(graph, output, point)
        value = np.broadcast_to(back.value, ray.shape)
        slopes = {name: np.broadcast_to(back.slopes[name] * point[name] / value, ray.shape) for name in names}
        sides.append((value, slopes))
    (start, before), (end, after) = sides
    for i in range(len(flips)):
        yield Turn(
            float(2.0 ** far[i]),
            {name: float(before[name][i]) for name in names},
            {name: float(after[name][i]) for name in names},
            float(end[i] / start[i]),
        )
