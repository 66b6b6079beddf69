"""What moves a figure: its elasticity by every number of a setup, and how far each is from another regime.

All elasticities come from one sweep back over the figure's graph, all distances from one over a grid of factors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from roofsim.engine.branches import FURTHEST, SEEN, turns
from roofsim.engine.branches import Turn as Flip
from roofsim.engine.derivative import evaluated, number_of, swept
from roofsim.foundation import units
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.compiled import compiled
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.evaluation import figure as figure_named
from roofsim.prediction.intervals import FIGURES as WITH_INTERVALS
from roofsim.prediction.intervals import Interval, intervals
from roofsim.prediction.metrics import METRICS, WORDED
from roofsim.prediction.places import placed
from roofsim.prediction.request import settled
from roofsim.prediction.results import columns, interval_basis, plain
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import assumptions, beyond
from roofsim.spaces.evaluate import COLUMNS, WORDS
from roofsim.spaces.frame import LOGICAL, unit_of_figure
from roofsim.spaces.numbers import Quantity, Traced, kept, quantities, traced
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
    `below` and `above` are the nearest changes of regime. What `decides` what is run has its elasticity as long as that
    stays the same, by differences; how long that is is not looked for.
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
    decides: bool = False


@dataclass(frozen=True, slots=True)
class Sensitivities:
    """A figure and what moves it, what moves it most first.

    `fixed` are numbers that decide what is run at every step, so that the figure is no smooth function of them, and
    those that are 0, which no factor changes; each with the reason.
    """

    model: str
    device: str
    runtime: str
    workload: Mapping[str, object]
    figure: str
    words: str
    unit: str
    value: float
    interval: Interval | None
    rows: tuple[Sensitivity, ...]
    fixed: Mapping[str, str]
    assumptions: tuple[str, ...]
    cautions: tuple[str, ...]
    calibration: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values in SI units."""
        rows = [{**columns(row), "below": _turn(row.below), "above": _turn(row.above)} for row in self.rows]
        found = {**columns(self), "rows": rows, "basis": interval_basis(self.calibration)}
        return {"schema": SCHEMA, **plain(found)}


def _turn(turn: Turn | None) -> dict[str, Any] | None:
    return None if turn is None else columns(turn)


def sensitivities(s: Setup, w: Workload, figure: str = "ttft", over: Sequence[str] = ()) -> Sensitivities:
    """What moves a figure: one of ttft, tpot, memory, energy, throughput and total, or a column of a sweep.

    `over` are paths of numbers or of groups of them, such as `device` or `model.layers`; all numbers if it is empty.
    Raises InputError for names and paths that there are not.
    """
    (path, words, unit), w = described(figure), settled(s, w)
    asked = _asked(quantities(s, w), over)
    t = traced(s, w, path, [each for each in asked if each.value > 0])
    now = {each.path: each.value for each in t.numbers}
    back = swept(t.graph, t.output, now)
    value = float(back.value)
    if value <= 0:
        raise InputError(f"{words} of {s.model_name} on {s.device.id} is nought")
    keys = {each: name for name, (each, _) in WITH_INTERVALS.items()}
    rows = [*_rows(t, value, back.slopes), *_by_difference(s, w, path, t.deciding, value)]
    told = {row.number for row in rows}
    fixed = {each.path: "decides what is run" for each in t.deciding if each.path not in told}
    return Sensitivities(
        s.model_name, s.device.id, s.runtime.id, columns(w), figure, words, unit, value,
        intervals(s, w).get(keys.get(path, path)),
        tuple(sorted(rows, key=lambda row: (-abs(row.elasticity), -_reach(row)))),
        fixed | {each.path: "is 0" for each in asked if each.value <= 0}, assumptions(s, w),
        beyond(Evaluation(s, w)), s.calibration_name,
    )  # fmt: skip


def described(figure: str) -> tuple[str, str, str]:
    """The figure that a name stands for, what it is called, and its unit; raises UnknownName."""
    if figure in METRICS:
        return METRICS[figure].figure, METRICS[figure].words, METRICS[figure].unit
    if figure not in COLUMNS or figure in (*LOGICAL, *WORDS):
        raise UnknownName("--figure", figure, [*METRICS, *COLUMNS])
    path = COLUMNS[figure]
    return path, WORDED.get(path, figure.replace("_", " ")), unit_of_figure(figure)


def _asked(numbers: Sequence[Quantity], over: Sequence[str]) -> list[Quantity]:
    """The numbers at or below some paths, all if there are none; raises UnknownName for one that leads nowhere."""
    for path in over:
        if not any(_below(each, path) for each in numbers):
            raise UnknownName("--over", path, [each.path for each in numbers], {each.group for each in numbers})
    return [each for each in numbers if not over or any(_below(each, path) for path in over)]


def _below(number: Quantity, path: str) -> bool:
    """Whether a number stands at a path or below it, or is of a group."""
    return number.path == path or number.path.startswith(f"{path}.") or number.group == path


def _rows(t: Traced, value: float, slopes: Mapping[str, Any]) -> list[Sensitivity]:
    now = {each.path: each.value for each in t.numbers}
    of = {each.path: each.unit for each in t.numbers}
    less, more = (_at(t, now, factor) for factor in FACTORS)
    near = turns(t.graph, t.output, now)
    found = []
    for i, each in enumerate(t.numbers):
        below, above = (_turned(each, flip, of) for flip in near[each.path])
        low, high = map(each.times, FACTORS)
        pull = float(slopes[each.path]) * each.value / value
        reached = float(less[i]), float(more[i])
        row = (each.path, each.group, each.unit, each.value, pull, (low, high), *reached, below, above)
        found.append(Sensitivity(*row))
    return found


STEP, SMOOTH = 1e-5, 1e-3
"""The step of a difference, as a share of the number, and by how much the slopes to its two sides may differ."""


def _by_difference(
    s: Setup, w: Workload, name: str, numbers: Sequence[Quantity], value: float
) -> Iterator[Sensitivity]:
    """Numbers of which something is asked that decides what is run, if that is the same right beside them.

    Then differences of the model are slopes; what changes at the next step has none and is left out.
    """
    stored = kept(s, w)

    def at(number: Quantity, x: float) -> float:
        try:
            return float(figure_named(name)(Evaluation(*placed(stored, w, {number.path: x}))))
        except (ArithmeticError, LookupError, TypeError, ValueError, InputError):
            return math.nan  # no such network can be run

    for each in numbers:
        below, above = (at(each, each.value * (1 + side * STEP)) for side in (-1, 1))
        slopes = (value - below) / (STEP * value), (above - value) / (STEP * value)
        if not abs(slopes[0] - slopes[1]) <= SMOOTH:
            continue
        ends = (each.times(FACTORS[0]), each.times(FACTORS[1]))
        less, more = (at(each, x) for x in ends)
        row = (each.path, each.group, each.unit, each.value, sum(slopes) / 2, ends, less, more, None, None)
        yield Sensitivity(*row, decides=True)


def _reach(row: Sensitivity) -> float:
    """By how much half or twice a number changes the figure, as a logarithm."""
    return abs(math.log(row.more / row.less)) if row.less > 0 and row.more > 0 else 0.0


def _at(t: Traced, now: Mapping[str, float], factor: float) -> Any:
    """The figure with each number in turn so many times what it is, or as near to that as it can be."""
    ray = np.arange(len(t.numbers))
    changed = {each.path: each.times(factor) for each in t.numbers}
    points = {name: np.where(ray == i, changed[name], now[name]) for i, name in enumerate(now)}
    with np.errstate(all="ignore"):
        return np.broadcast_to(number_of(t.output, evaluated(t.graph, t.output, points)), ray.shape)


def _turned(number: Quantity, flip: Flip | None, of: Mapping[str, str]) -> Turn | None:
    """A change of regime in words, None if there is none or the number cannot reach it; `of` has all units."""
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
    bounds = [BOUNDS[of[name]] for name in gains if of[name] in BOUNDS]
    return Turn(
        value / number.value, value, flip.after[number.path], bounds[0] if bounds else None,
        tuple(gains), tuple(loses), flip.jump,
    )  # fmt: skip


POINTS = 41
"""Values of each axis of a heat map, at equal factors."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a heat map: the path of a number, its unit, its values and what it is now."""

    number: str
    unit: str
    values: tuple[float, ...]
    now: float


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A figure over two numbers: `values` has a row for each value of the first axis."""

    model: str
    device: str
    runtime: str
    workload: Mapping[str, object]
    figure: str
    words: str
    unit: str
    axes: tuple[Axis, Axis]
    values: tuple[tuple[float, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values in SI units."""
        return {"schema": SCHEMA, **plain(columns(self))}


def heat_map(s: Setup, w: Workload, figure: str, spans: Mapping[str, str]) -> HeatMap:
    """A figure over two numbers, each from one value to another: `{"prompt": "1k..64k", "device.clock": "1x..2x"}`.

    Raises InputError for paths and spans that there are not, and for a number that decides what is run.
    """
    (name, words, unit), w = described(figure), settled(s, w)
    if len(spans) != 2:
        raise InputError(f"--heat: a heat map has two axes, not {len(spans)}; write prompt=1k..64k,batch=1..64")
    axes = [_axis(s, w, path, span) for path, span in spans.items()]
    meshes = dict(zip(spans, np.ix_(*(each.values for each in axes)), strict=True))
    known = {each.path: each for each in quantities(s, w)}
    if fixed := traced(s, w, name, [known[path] for path in spans]).deciding:
        raise InputError(f"--heat {fixed[0].path}: decides what is run; a heat map is over numbers that can vary")
    found = compiled(s, w, (name,), tuple(spans))(**meshes)[name]
    values = tuple(tuple(map(float, line)) for line in found)
    return HeatMap(
        s.model_name, s.device.id, s.runtime.id, columns(w), figure, words, unit, (axes[0], axes[1]), values
    )  # fmt: skip


def _axis(s: Setup, w: Workload, path: str, span: str) -> Axis:
    """The values of an axis from a text such as `0.5x..4x`; raises InputError."""
    known = {each.path: each for each in quantities(s, w)}
    if path not in known:
        raise UnknownName("--heat", path, known)
    number, (low, dots, high) = known[path], span.partition("..")
    try:
        ends = [_end(number, text.strip()) for text in (low, high)]
    except ValueError as error:
        raise InputError(f"--heat {path}={span}: {error}") from None
    if not dots or not 0 < ends[0] < ends[1]:
        raise InputError(f"--heat {path}={span}: is no span; write it like {path}=0.5x..4x")
    values = np.geomspace(ends[0], ends[1], POINTS)
    if number.whole:
        values = np.unique(np.maximum(np.round(values), 1))
    return Axis(path, number.unit, tuple(map(float, values)), number.value)


def _end(number: Quantity, text: str) -> float:
    """An end of a span: a factor, a count or a quantity; raises ValueError."""
    if text.endswith(("x", "X")):
        return number.value * units.finite(text[:-1])
    return float(units.parse_count(text)) if number.whole else units.parse(text, number.unit)
