"""How many layers of one kind a budget allows, where they take the place of layers of another kind.

At a fixed length every figure is a sum over layers, so that it is a straight line in their number as long as the same
resource binds. Bisection finds where the figure reaches the budget; the line is the closed form of the regime there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from roofsim.engine.regime import LENGTH, expand
from roofsim.foundation.arith import Number
from roofsim.foundation.schema import assembled, variant
from roofsim.model.architecture import Architecture, Stretch
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.places import placed
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup
from roofsim.prediction.symbols import symbols_of
from roofsim.specs.workload import Workload

HALVINGS = 60
"""Bisection of up to a thousand layers, until nothing is left of a float's digits."""

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
class Binding:
    """A budget of a figure, for a network of `depth` layers of which some are of one kind and the rest of another.

    `layers` of that kind meet the budget exactly, as bisection finds them; None if the budget is kept by any number or
    by none (`holds`: at most, at least, any, none). `line` is the closed form there, None if the figure jumps. `ends`
    are the figure with no such layer and with all of them.
    """

    figure: str
    budget: float
    kind: str
    instead: str
    depth: int
    holds: str
    layers: float | None
    line: Line | None
    ends: tuple[float, float]

    @property
    def share(self) -> float | None:
        """Layers of the kind over all."""
        return None if self.layers is None else self.layers / self.depth


def with_layers(a: Architecture, kind: str, layers: Number) -> Architecture:
    """The same kinds of layer, so many of one and the rest of the other; `layers` may be any number, or a variable."""
    (other,) = (name for name in a.layers if name != kind)
    counts: Mapping[str, Any] = {other: a.depth - layers, kind: layers}
    return variant(a, layout=tuple(assembled(Stretch, repeat=n, of=(name,)) for name, n in counts.items()))


def binding(s: Setup, w: Workload, kind: str, name: str, budget: float) -> Binding:
    """Where a budget of a figure binds as layers of a kind take the place of the other one of two."""
    a, w, read = s.architecture, settled(s, w), figure(name)
    (other,) = (each for each in a.layers if each != kind)

    def at(layers: Number, variables: Mapping[str, Any] | None = None) -> Number:
        made = replace(s, architecture=with_layers(a, kind, layers))
        return read(Evaluation(*(placed(made, w, variables) if variables else (made, w))))

    def kept(layers: float) -> bool:
        return float(at(layers)) <= budget

    ends = float(at(0.0)), float(at(float(a.depth)))
    first, last = (end <= budget for end in ends)
    if first == last:
        return Binding(name, budget, kind, other, a.depth, "any" if first else "none", None, None, ends)
    low, high = 0.0, float(a.depth)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) == first else (low, middle)
    layers = (low + high) / 2
    line = _line(at, symbols_of(s, w).paths, symbols_of(s, w).values, budget, layers) or _secant(at, budget, layers)
    if line and abs(line.root - layers) > ROOT_TOLERANCE * a.depth:
        line = None
    return Binding(name, budget, kind, other, a.depth, "at most" if first else "at least", layers, line, ends)


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
