"""Derivatives on the graph: sums by the rule of products, choices by the side that is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from math import log, prod
from typing import Any

from roofsim.engine.graph import Atom, Graph, Sum, Undecided, reachable
from roofsim.foundation.arith import Number, at_least, ceil, maximum, minimum, share
from roofsim.foundation.values import dataclass


def derivative(graph: Graph, output: Any, variable: str) -> Any:
    """How `output` changes with a variable, as numbers of the same graph.

    A rounding counts as what it rounds, so that the derivative is that over many chunks, but in the first one; a switch
    counts as constant.
    """
    known: dict[int, Any] = {}
    for number in reachable(graph, [output]):
        atom = graph.atoms[number]
        args = atom.args
        if atom.op == "variable":
            known[number] = 1.0 if atom.name == variable else 0.0
        elif atom.op == "at_least":
            known[number] = 0.0
        elif atom.op == "ceil":
            several = at_least(graph.atom("ceil", args, positive=atom.positive, whole=True), 2)
            known[number] = share(_slope(args[0], known) / args[1] * several)
        elif atom.op == "shared":
            known[number] = share(_slope(args[0], known))
        elif atom.op == "power":
            known[number] = share(_slope_of_power(graph.atom("power", args, positive=True), (args[0], args[1]), known))
        else:
            known[number] = share(_chosen(args, known, larger=atom.op == "max"))
    return _slope(output, known)


def _slope_of_power(value: Any, args: tuple[Any, Any], known: dict[int, Any]) -> Any:
    """The slope of a base to a power; raises Undecided for the logarithm of a traced base."""
    base, power = args
    by_power = _slope(power, known)
    if not isinstance(base, Sum):
        return by_power * (value * log(base)) if base else 0.0
    if isinstance(by_power, Sum) or by_power:
        raise Undecided(base)
    return _slope(base, known) * (value * power / base)


def _chosen(args: tuple[Any, ...], known: dict[int, Any], *, larger: bool) -> Any:
    """The slope of the largest (smallest) of several."""
    best, slope = args[0], _slope(args[0], known)
    for each in args[1:]:
        other = _slope(each, known)
        if key_differs(other, slope):
            stays = at_least(best, each) if larger else at_least(each, best)
            slope = stays * slope + (1 - stays) * other
        best = maximum(best, each) if larger else minimum(best, each)
    return slope


def key_differs(a: Any, b: Any) -> bool:
    """Whether two slopes are not seen to be the same."""
    difference = a - b
    return isinstance(difference, Sum) or difference != 0


def _slope(x: Any, known: dict[int, Any]) -> Any:
    """The derivative of a sum: each product with one of its factors replaced by that factor's slope."""
    if not isinstance(x, Sum):
        return 0.0
    total: Any = 0.0
    for product, c in x.products.items():
        for i, (atom, k) in enumerate(product):
            slope = known[atom]
            if isinstance(slope, float) and slope == 0:
                continue
            rest = tuple((a, n) for a, n in (*product[:i], (atom, k - 1), *product[i + 1 :]) if n)
            factor: Any = Sum(x.graph, {rest: c * k}) if rest else c * k
            total = total + factor * slope
    return total


def gradient(graph: Graph, output: Any, values: Mapping[str, Number]) -> tuple[Number, dict[str, Number]]:
    """What `output` is at values of the variables, and its derivatives by all of them, in one sweep back.

    Values may be arrays that broadcast.
    """
    back = swept(graph, output, values)
    return back.value, back.slopes


@dataclass(frozen=True, slots=True)
class Swept:
    """A graph at values of its variables: what its output is, what every atom is, and what the output's slopes are.

    `pull` is the slope by each atom, `slopes` those by the variables.
    """

    value: Any
    at: Mapping[int, Any]
    pull: Mapping[int, Any]
    slopes: dict[str, Any]


def swept(graph: Graph, output: Any, values: Mapping[str, Number]) -> Swept:
    """Values of all atoms in one sweep forth, and slopes by all of them in one back."""
    at = evaluated(graph, output, values)
    pull: dict[int, Number] = dict.fromkeys(at, 0.0)
    _pulled(output, 1.0, at, pull)
    slopes: dict[str, Number] = dict.fromkeys(values, 0.0)
    for number in reversed(at):
        atom, weight = graph.atoms[number], pull[number]
        if atom.op == "variable":
            slopes[atom.name] = weight
        elif atom.op == "ceil":
            _pulled(atom.args[0], weight / atom.args[1] * at_least(at[number], 2), at, pull)
        elif atom.op == "shared":
            _pulled(atom.args[0], weight, at, pull)
        elif atom.op == "power":
            base, power = (number_of(arg, at) for arg in atom.args)
            _pulled(atom.args[0], weight * power * base ** (power - 1), at, pull)
            _pulled(atom.args[1], weight * at[number] * _log(base), at, pull)
        elif atom.op in ("max", "min"):
            for arg, part in zip(atom.args, _shares(atom, at), strict=True):
                _pulled(arg, weight * part, at, pull)
    return Swept(number_of(output, at), at, pull, slopes)


def evaluated(graph: Graph, output: Any, values: Mapping[str, Number]) -> dict[int, Any]:
    """What the atoms that `output` is made of are at values of the variables, each after those it is made of."""
    at: dict[int, Number] = {}
    for number in reachable(graph, [output]):
        at[number] = _value(graph.atoms[number], at, values)
    return at


def _shares(atom: Atom, at: Mapping[int, Number]) -> list[Number]:
    """1 for the argument that a maximum (minimum) takes, 0 for the others."""
    best = number_of(atom.args[0], at)
    parts: list[Number] = [1.0]
    for arg in atom.args[1:]:
        each = number_of(arg, at)
        stays = at_least(best, each) if atom.op == "max" else at_least(each, best)
        parts = [*(stays * part for part in parts), 1 - stays]
        best = maximum(best, each) if atom.op == "max" else minimum(best, each)
    return parts


def _pulled(x: Any, weight: Number, at: Mapping[int, Number], pull: dict[int, Number]) -> None:
    """Hand the pull on a sum down to the atoms that it is made of."""
    if not isinstance(x, Sum):
        return
    for product, c in x.products.items():
        for i, (atom, k) in enumerate(product):
            part = weight * c * k
            if k != 1:  # powers of nought and one, and products of nothing, are not free where values are arrays
                part = part * at[atom] ** (k - 1)
            if len(product) > 1:
                part = part * prod(_power(at[a], n) for j, (a, n) in enumerate(product) if j != i)
            pull[atom] = pull[atom] + part


LEAST = 1e-300
"""What the logarithm of nought is taken at: it stands beside a nought."""


def _log(base: Number) -> Number:
    """The natural logarithm of a number or of each in an array."""
    x: Any = maximum(base, LEAST)
    if isinstance(x, float):
        return log(x)
    import numpy as np

    found: Number = np.log(x)
    return found


def number_of(x: Any, at: Mapping[int, Number]) -> Any:
    """A traced number, where its atoms are known."""
    if not isinstance(x, Sum):
        return float(x)
    return sum(c * prod(_power(at[atom], k) for atom, k in product) for product, c in x.products.items())


def _power(x: Number, k: int) -> Number:
    return x if k == 1 else x**k


def _value(atom: Atom, at: Mapping[int, Number], values: Mapping[str, Number]) -> Any:
    if atom.op == "variable":
        return values[atom.name]
    args = [number_of(x, at) for x in atom.args]
    if atom.op == "shared":
        return args[0]
    if atom.op == "ceil":
        return ceil(args[0] / args[1])
    if atom.op == "at_least":
        return at_least(*args)
    if atom.op == "power":
        return args[0] ** args[1]
    return reduce(maximum if atom.op == "max" else minimum, args)
