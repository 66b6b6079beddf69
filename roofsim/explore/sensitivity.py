"""What moves a figure: its elasticity by every number of a setup, and how far each is from another regime.

All elasticities come from one sweep back over the figure's graph, all distances from one over a grid of factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roofsim.engine.branches import FURTHEST, SEEN, turns
from roofsim.engine.branches import Turn as Flip
from roofsim.engine.derivative import evaluated, number_of, swept
from roofsim.explore.numbers import Quantity, Traced, quantities, traced
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.intervals import Interval, intervals
from roofsim.prediction.metrics import metric_named
from roofsim.prediction.request import settled
from roofsim.prediction.results import columns, interval_basis, plain
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import assumptions
from roofsim.specs.workload import Workload

FACTORS = (0.5, 2.0)
"""What each number is multiplied by to show what becomes of the figure."""

BOUNDS: Mapping[str, str] = {"B/s": "memory", "FLOP/s": "compute", "s": "launch"}
"""What bounds a figure that such a number moves: a bandwidth, a peak, or a fixed time."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The nearest change of regime: the factor at which it is, what the number is there, and the elasticity beyond.

    `bound` is what becomes the bound for the part of the figure that changes, if a bandwidth, a peak or a fixed time
    gains weight there; `gains` and `loses` are the numbers that the figure then follows more and less than before,
    `jump` is the factor by which the figure itself changes, where the software throws a switch.
    """

    factor: float
    value: float
    elasticity: float
    bound: str | None
    gains: tuple[str, ...]
    loses: tuple[str, ...]
    jump: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """One number: the per cent by which the figure changes for one per cent more of it, and how far that holds.

    `less` and `more` are the figure at half and at twice the number, or at the nearest that it can be (`values`).
    `below` and `above` are the nearest changes of regime.
    """

    number: str
    group: str
    unit: str
    value: float
    elasticity: float
    values: tuple[float, float]
    less: float
    more: float
    below: Turn | None
    above: Turn | None


@dataclass(frozen=True, slots=True)
class Sensitivities:
    """A figure and what moves it, what moves it most first.

    `fixed` are numbers that decide what is run, so that the figure is no smooth function of them, and those that are 0,
    which no factor changes; each with the reason.
    """

    model: str
    device: str
    runtime: str
    workload: Mapping[str, Any]
    figure: str
    value: float
    interval: Interval | None
    rows: tuple[Sensitivity, ...]
    fixed: Mapping[str, str]
    assumptions: tuple[str, ...]
    calibration: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values in SI units."""
        rows = [{**columns(row), "below": _turn(row.below), "above": _turn(row.above)} for row in self.rows]
        found = {**columns(self), "rows": rows, "basis": interval_basis(self.calibration)}
        return {"schema": SCHEMA, **plain(found)}


def _turn(turn: Turn | None) -> dict[str, Any] | None:
    return None if turn is None else columns(turn)


def sensitivity(s: Setup, w: Workload, figure: str = "ttft", over: Sequence[str] = ()) -> Sensitivities:
    """What moves a figure of a workload; raises InputError for a figure or a path that there is not.

    `over` are paths of numbers or of groups of them, such as `device` or `model.layers`; all numbers if it is empty.
    """
    row, w = metric_named(figure), settled(s, w)
    asked = chosen(quantities(s, w), over)
    t = traced(s, w, row.name, [each for each in asked if each.value > 0])
    now = {each.path: each.value for each in t.numbers}
    back = swept(t.graph, t.output, now)
    value = float(back.value)
    if value <= 0:
        raise InputError(f"{row.words} of {s.model_name} on {s.device.id} is nought")
    found = intervals(s, w)
    fixed = {each.path: "decides what is run" for each in t.deciding}
    return Sensitivities(
        s.model_name, s.device.id, s.runtime.id, columns(w), row.name, value,
        found.get(row.interval, found.get(row.figure)), _rows(t, value, back.slopes),
        fixed | {each.path: "is 0" for each in asked if each.value <= 0}, assumptions(s, w), s.calibration_name,
    )  # fmt: skip


def chosen(numbers: Sequence[Quantity], over: Sequence[str]) -> list[Quantity]:
    """The numbers at or below some paths, all if there are none; raises UnknownName for one that leads nowhere."""
    for path in over:
        if not any(_below(each, path) for each in numbers):
            raise UnknownName("--over", path, [each.path for each in numbers], {each.group for each in numbers})
    return [each for each in numbers if not over or any(_below(each, path) for path in over)]


def _below(number: Quantity, path: str) -> bool:
    """Whether a number stands at a path or below it, or is of a group."""
    return number.path == path or number.path.startswith(f"{path}.") or number.group == path


def _rows(t: Traced, value: float, slopes: Mapping[str, Any]) -> tuple[Sensitivity, ...]:
    now = {each.path: each.value for each in t.numbers}
    units = {each.path: each.unit for each in t.numbers}
    less, more = (_at(t, now, factor) for factor in FACTORS)
    near = turns(t.graph, t.output, now)
    found = []
    for i, each in enumerate(t.numbers):
        below, above = (_turned(each, flip, units) for flip in near[each.path])
        low, high = map(each.times, FACTORS)
        pull = float(slopes[each.path]) * each.value / value
        reached = float(less[i]), float(more[i])
        row = (each.path, each.group, each.unit, each.value, pull, (low, high), *reached, below, above)
        found.append(Sensitivity(*row))
    return tuple(sorted(found, key=lambda row: (-abs(row.elasticity), -_reach(row))))


def _reach(row: Sensitivity) -> float:
    """By how much half or twice a number changes the figure, as a logarithm."""
    return abs(math.log(row.more / row.less)) if row.less > 0 and row.more > 0 else 0.0


def _at(t: Traced, now: Mapping[str, float], factor: float) -> Any:
    """The figure with each number in turn so many times what it is, or as near to that as it can be."""
    ray = np.arange(len(t.numbers))
    changed = {each.path: each.times(factor) for each in t.numbers}
    points = {name: np.where(ray == i, changed[name], now[name]) for i, name in enumerate(now)}
    return np.broadcast_to(number_of(t.output, evaluated(t.graph, t.output, points)), ray.shape)


def _turned(number: Quantity, flip: Flip | None, units: Mapping[str, str]) -> Turn | None:
    """A change of regime in words, None if there is none or the number cannot reach it."""
    if flip is None:
        return None
    value = number.value * flip.factor
    if number.whole:
        value = float(math.ceil(value) if flip.factor > 1 else math.floor(value))
    if not number.low <= value <= number.high or not 1 / FURTHEST <= value / number.value <= FURTHEST:
        return None
    gain = {name: abs(flip.after[name]) - abs(flip.before[name]) for name in flip.after}
    gains = sorted((name for name in gain if gain[name] >= SEEN), key=lambda name: -gain[name])
    loses = sorted((name for name in gain if gain[name] <= -SEEN), key=lambda name: gain[name])
    bounds = [BOUNDS[units[name]] for name in gains if units[name] in BOUNDS]
    return Turn(
        value / number.value, value, flip.after[number.path], bounds[0] if bounds else None,
        tuple(gains), tuple(loses), flip.jump,
    )  # fmt: skip
