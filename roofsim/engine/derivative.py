"""Derivatives on the graph: sums by the rule of products, choices by the side that is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from math import log, prod
from typing import Any

from roofsim.engine.graph import Atom, Graph, Sum, reachable
from roofsim.foundation.arith import Number, at_least, ceil, maximum, minimum, share


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
            value = graph.atom("power", args, positive=True)
            known[number] = share(_slope(args[1], known) * (value * log(args[0])))
        else:
            known[number] = share(_chosen(args, known, larger=atom.op == "max"))
    return _slope(output, known)


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
    at: dict[int, Number] = {}
    order = reachable(graph, [output])
    for number in order:
        at[number] = _value(graph.atoms[number], at, values)
    pull: dict[int, Number] = dict.fromkeys(order, 0.0)
    _pulled(output, 1.0, at, pull)
    slopes: dict[str, Number] = dict.fromkeys(values, 0.0)
    for number in reversed(order):
        atom, weight = graph.atoms[number], pull[number]
        if atom.op == "variable":
            slopes[atom.name] = slopes[atom.name] + weight
        elif atom.op == "ceil":
            _pulled(atom.args[0], weight / atom.args[1] * at_least(at[number], 2), at, pull)
        elif atom.op == "shared":
            _pulled(atom.args[0], weight, at, pull)
        elif atom.op == "power":
            _pulled(atom.args[1], weight * at[number] * log(atom.args[0]), at, pull)
        elif atom.op in ("max", "min"):
            for arg, part in zip(atom.args, _shares(atom, at), strict=True):
                _pulled(arg, weight * part, at, pull)
    return _number(output, at), slopes


def _shares(atom: Atom, at: Mapping[int, Number]) -> list[Number]:
    """1 for the argument that a maximum (minimum) takes, 0 for the others."""
    best = _number(atom.args[0], at)
    parts: list[Number] = [1.0]
    for arg in atom.args[1:]:
        each = _number(arg, at)
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


def _number(x: Any, at: Mapping[int, Number]) -> Number:
    if not isinstance(x, Sum):
        return float(x)
    return sum(c * prod(_power(at[atom], k) for atom, k in product) for product, c in x.products.items())


def _power(x: Number, k: int) -> Number:
    return x if k == 1 else x**k


def _value(atom: Atom, at: Mapping[int, Number], values: Mapping[str, Number]) -> Number:
    if atom.op == "variable":
        return values[atom.name]
    args = [_number(x, at) for x in atom.args]
    if atom.op == "shared":
        return args[0]
    if atom.op == "ceil":
        return ceil(args[0] / args[1])
    if atom.op == "at_least":
        return at_least(*args)
    if atom.op == "power":
        return args[0] ** args[1]
    return reduce(maximum if atom.op == "max" else minimum, args)
