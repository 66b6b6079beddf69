"""Formulas as expressions: closed forms that hold in one regime, their derivatives, and LaTeX.

The one importer of SymPy. Numbers find a crossover; here its neighbourhood is run again with `Traced`
values, each a number with the expression it came from: every maximum, minimum and rounding takes the branch
that the numbers take, so what comes out is a plain polynomial that is valid in that regime.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import sympy as sp

from roofsim.cost import Cost
from roofsim.nomenclature import SYMBOLS
from roofsim.ops.base import CostFunction
from roofsim.parameters import PARAMETERS
from roofsim.roofline import Machine

LENGTH = sp.Symbol("N", positive=True)


class Traced:
    """A number and the expression that it is the value of. Comparisons look at the number."""

    __slots__ = ("expression", "value")

    def __init__(self, value: float, expression: Any) -> None:
        self.value = value
        self.expression = expression

    @staticmethod
    def _pair(other: Any) -> tuple[float, Any]:
        return (other.value, other.expression) if isinstance(other, Traced) else (other, sp.nsimplify(other, rational=True) if isinstance(other, float) else other)

    def __add__(self, other: Any) -> Traced:
        value, expression = self._pair(other)
        return Traced(self.value + value, self.expression + expression)

    def __sub__(self, other: Any) -> Traced:
        value, expression = self._pair(other)
        return Traced(self.value - value, self.expression - expression)

    def __rsub__(self, other: Any) -> Traced:
        value, expression = self._pair(other)
        return Traced(value - self.value, expression - self.expression)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Cost):
            return NotImplemented
        value, expression = self._pair(other)
        return Traced(self.value * value, self.expression * expression)

    def __truediv__(self, other: Any) -> Traced:
        value, expression = self._pair(other)
        return Traced(self.value / value, self.expression / expression)

    def __rtruediv__(self, other: Any) -> Traced:
        value, expression = self._pair(other)
        return Traced(value / self.value, expression / self.expression)

    def __pow__(self, other: Any) -> Traced:
        value, expression = self._pair(other)
        return Traced(self.value**value, self.expression**expression)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Traced:
        return Traced(-self.value, -self.expression)

    def __ceil__(self) -> Traced:
        # a formula that holds over many chunks: the rounding is left out, the value keeps it
        return Traced(math.ceil(self.value), self.expression)

    def __float__(self) -> float:
        return float(self.value)

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= self._pair(other)[0])

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= self._pair(other)[0])

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > self._pair(other)[0])

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < self._pair(other)[0])


def traced_machine(m: Machine, suffix: str = "") -> tuple[Machine, dict[Any, float]]:
    """The machine with a symbol for every number, and the value of each symbol."""
    values: dict[Any, float] = {}

    def symbol(name: str, plain: str, value: float) -> Traced:
        made = sp.Symbol(plain + suffix, positive=True)
        values[made] = value
        return Traced(value, made)

    numbers = {
        each.name: symbol(each.name, SYMBOLS[each.name][0], getattr(m, each.name))
        for each in fields(m)
        if each.name != "parameters"
    }
    parameters = {name: symbol(name, PARAMETERS[name].symbol, value) for name, value in m.parameters.items()}
    return Machine(**numbers, parameters=parameters), values


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """A difference of two sides as a polynomial in N, in one regime.

    `coefficients` are those of N⁰, N¹, ... as numbers, `terms` the same with the machine's symbols, as text;
    `root` the solution nearest the crossing or None if the degree is above two; `elasticities` say by how many
    per cent the crossing moves for one per cent more of each symbol.
    """

    degree: int
    coefficients: tuple[float, ...]
    terms: tuple[str, ...]
    root: float | None
    formula: str | None
    elasticities: Mapping[str, float]


def close(difference: Callable[[Traced, Mapping[str, Machine]], Any], at: int, machines: Mapping[str, Machine]) -> ClosedForm | None:
    """The closed form of `difference(N, machines)` near `at`; None if it is no polynomial in N there.

    Sides with the same machine share its symbols.
    """
    made, values = _shared(machines)
    g = difference(Traced(float(at), LENGTH), made)
    if not isinstance(g, Traced):
        return None
    expression = sp.expand(g.expression)
    try:
        poly = sp.Poly(expression, LENGTH)
    except sp.PolynomialError:
        return None
    symbolic = poly.all_coeffs()[::-1]
    numbers = tuple(float(sp.sympify(each).subs(values)) for each in symbolic)
    root = _root(numbers, at)
    terms = tuple(_text(each, values) for each in symbolic)
    formula = _formula(len(numbers) - 1)
    slope = sum(k * c * at ** (k - 1) for k, c in enumerate(numbers) if k)
    elasticities = {}
    for symbol, value in values.items():
        change = float(sp.diff(expression, symbol).subs(values).subs(LENGTH, at))
        if change and slope:
            elasticities[str(symbol)] = -change * value / (slope * at)
    return ClosedForm(len(numbers) - 1, numbers, terms, root, formula, elasticities)


def _shared(machines: Mapping[str, Machine]) -> tuple[dict[str, Machine], dict[Any, float]]:
    made: dict[str, Machine] = {}
    values: dict[Any, float] = {}
    known: list[tuple[Machine, Machine]] = []
    for side, m in machines.items():
        same = next((traced for plain, traced in known if plain == m), None)
        if same is None:
            same, own = traced_machine(m, f"_{side}" if known else "")
            values |= own
            known.append((m, same))
        made[side] = same
    return made, values


def _root(c: tuple[float, ...], near: int) -> float | None:
    if len(c) == 2 and c[1]:
        return -c[0] / c[1]
    if len(c) == 3 and c[2]:
        inside = c[1] ** 2 - 4 * c[2] * c[0]
        if inside < 0:
            return None
        roots = [(-c[1] + sign * math.sqrt(inside)) / (2 * c[2]) for sign in (1, -1)]
        return min(roots, key=lambda r: abs(r - near))
    return None


def _formula(degree: int) -> str | None:
    return {1: "N = −c0 / c1", 2: "N = (−c1 ± √(c1² − 4 c2 c0)) / (2 c2)"}.get(degree)


def _text(expression: Any, values: Mapping[Any, float], most: int = 8) -> str:
    """A sum over symbols with three digits per number, the largest terms first; tiny ones are left out."""
    parts = sorted(sp.Add.make_args(sp.expand(expression)), key=lambda t: -abs(float(t.subs(values))))
    total = sum(abs(float(t.subs(values))) for t in parts)
    shown = [t for t in parts[:most] if total and abs(float(t.subs(values))) > total / 1000]
    text = " ".join(_signed(t) for t in shown)
    left = len([t for t in parts if t not in shown])
    text = text.removeprefix("+ ") or "0"
    return f"{text} + {left} smaller" if left and total else text


def _signed(term: Any) -> str:
    number, rest = term.as_coeff_Mul()
    sign = "-" if number < 0 else "+"
    size = f"{abs(float(number)):.3g}"
    return f"{sign} {size}" if rest == 1 else f"{sign} {size} {_product(rest)}"


def _product(rest: Any) -> str:
    top, bottom = sp.fraction(rest)
    above = str(top).replace("*", " ") if top != 1 else ""
    below = str(bottom).replace("*", " ")
    if bottom == 1:
        return above
    return f"{above or ''}/ ({below})" if " " in below else f"{above or ''}/ {below}"


def cost_expressions(function: CostFunction, names: tuple[str, ...]) -> dict[str, Any]:
    """The columns of a cost as SymPy expressions in the symbols of the nomenclature."""
    symbols = {name: sp.Symbol(SYMBOLS[name][0], positive=True) for name in names}
    cost = function(**symbols)
    return {each.name: sp.sympify(getattr(cost, each.name)) for each in fields(Cost)}


def latex(expression: Any) -> str:
    """LaTeX of an expression."""
    return str(sp.latex(expression))
