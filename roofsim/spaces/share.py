"""How many layers of one kind a budget allows, where they take the place of layers of another kind.

At a fixed length every figure is a sum over layers, so that it is a straight line in their number as long as the same
resource binds. Bisection finds where the figure reaches the budget; the line is the closed form of the regime there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from roofsim.engine.regime import LENGTH, expand
from roofsim.foundation.arith import Number, single
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import assembled, variant
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture, Stretch
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.places import placed
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup
from roofsim.prediction.symbols import symbols_of
from roofsim.specs.family import MOST_LAYERS
from roofsim.specs.workload import Workload

HALVINGS = 50
"""Bisection of one layer, until nothing is left of a float's digits."""

ROOT_TOLERANCE = 1e-6
"""How far the root of a line may be from what bisection found, in layers: more means that the figure jumps there."""


@dataclass(frozen=True, slots=True)
class Line:
    """figure = base + slope · layers, in SI units; `texts` are both in symbols of the machine, `root` where it is met.

    `texts` is None where the engine gives no formula; then the line goes through two of its figures.
    """

    base: float
    slope: float
    root: float
    texts: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Meeting:
    """So many layers meet a budget exactly, as bisection finds them; `line` is the closed form there.

    There is none where the figure jumps, and where one of the two kinds of layer is the last of its kind.
    """

    layers: float
    line: Line | None


@dataclass(frozen=True, slots=True)
class Binding:
    """A budget of a figure, for a network of `depth` layers of which some are of one kind and the rest of another.

    `allowed` are the whole numbers of layers of that kind that keep it, as spans from one to another; `meetings` are
    where it is met between them. `ends` are the figure with no such layer and with all of them.
    """

    figure: str
    budget: float
    kind: str
    instead: str
    depth: int
    allowed: tuple[tuple[int, int], ...]
    meetings: tuple[Meeting, ...]
    ends: tuple[float, float]


def with_layers(a: Architecture, kind: str, layers: Number) -> Architecture:
    """The same kinds of layer, so many of one and the rest of the other; `layers` may be any number, or a variable."""
    counts: Mapping[str, Any] = {name: layers if name == kind else a.depth - layers for name in a.counts}
    if single(layers):
        counts = {name: n for name, n in counts.items() if n}
    layout = tuple(assembled(Stretch, repeat=n, of=(name,)) for name, n in counts.items())
    return variant(a, layers={name: a.layers[name] for name in a.layers if name in counts}, layout=layout)


def binding(s: Setup, w: Workload, kind: str, name: str, budget: float) -> Binding:
    """Where a budget of a figure binds as layers of a kind take the place of the other one of two."""
    a, w, read = s.architecture, settled(s, w), figure(name)
    (other,) = (each for each in a.layers if each != kind)

    def at(layers: Number, variables: Mapping[str, Any] | None = None) -> Number:
        made = replace(s, architecture=with_layers(a, kind, layers))
        return read(Evaluation(*(placed(made, w, variables) if variables else (made, w))))

    if a.depth > MOST_LAYERS:
        raise InputError(f"{a.id}: layers are tried one by one, and {a.depth:,} are more than {MOST_LAYERS:,}")
    values = [float(at(n)) for n in range(a.depth + 1)]
    kept = [value <= budget for value in values]
    allowed: list[tuple[int, int]] = []
    for n in (n for n, keeps in enumerate(kept) if keeps):
        if allowed and allowed[-1][1] == n - 1:
            allowed[-1] = allowed[-1][0], n
        else:
            allowed.append((n, n))
    symbols = symbols_of(s, w)
    meetings = []
    for n in (n for n in range(a.depth) if kept[n] != kept[n + 1]):
        if 1 <= n < a.depth - 1:
            layers = _bisected(at, budget, n, kept[n])
            line = _line(at, symbols.paths, symbols.values, budget, layers) or _secant(at, budget, layers)
            sound = line if line and abs(line.root - layers) <= ROOT_TOLERANCE else None
        else:  # a kind of layer comes or goes as a whole: it has no half
            layers = n + (budget - values[n]) / (values[n + 1] - values[n])
            sound = None
        meetings.append(Meeting(layers, sound))
    return Binding(name, budget, kind, other, a.depth, tuple(allowed), tuple(meetings), (values[0], values[-1]))


def _bisected(at: Callable[..., Number], budget: float, n: int, kept: bool) -> float:
    """Where the budget is met between two numbers of layers, of which the first keeps it or not."""
    low, high = float(n), float(n + 1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if (float(at(middle)) <= budget) == kept else (low, middle)
    return (low + high) / 2


def _line(
    at: Callable[..., Number], paths: Mapping[str, str], values: Mapping[str, float], budget: float, layers: float
) -> Line | None:
    """The closed form in the regime at so many layers, None if the engine has none of degree one."""
    try:
        found = expand(lambda v: at(v[LENGTH], {path: v[name] for name, path in paths.items()}), values, layers)
    except TypeError:  # a number of layers decides what is run
        return None
    if found is None or len(found.terms) != 2:
        return None
    base, slope = found.coefficients
    return Line(base, slope, (budget - base) / slope, found.texts)  # type: ignore[arg-type]


def _secant(at: Callable[..., Number], budget: float, layers: float) -> Line | None:
    """The line through two figures close by."""
    low, high = layers * (1 - NEAR), layers * (1 + NEAR)
    below, above = float(at(low)), float(at(high))
    slope = (above - below) / (high - low)
    if not slope:
        return None
    base = below - slope * low
    return Line(base, slope, (budget - base) / slope, None)


NEAR = 1e-3
"""How close by, relative."""
