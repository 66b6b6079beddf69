"""The formula that holds around a point: numbers that remember the polynomial they came from.

Running the model on `Traced` numbers takes every maximum, minimum and rounding the way the numbers take it. What
comes out is a polynomial in the traced symbols that is valid in that regime: the closed form, and with it the
derivative by every parameter. Negative powers are allowed, since rates stand below the line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from roofsim.engine.roofline import Machine
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.foundation.parameters import PARAMETERS

Powers = tuple[tuple[str, int], ...]
Polynomial = dict[Powers, float]
"""Coefficient by the powers of the symbols of a term, sorted by name; the constant term has none."""

LENGTH = SYMBOLS["length"][0]


VANISHED = 1e-9
"""A share below this is nought."""


class NotPolynomial(Exception):
    """A step would divide by a sum: there is no closed form of this kind."""


class Traced:
    """A number and its polynomial. Comparisons look at the number alone."""

    __slots__ = ("polynomial", "value")

    def __init__(self, value: float, polynomial: Polynomial) -> None:
        self.value = value
        self.polynomial = polynomial

    @classmethod
    def symbol(cls, name: str, value: float) -> Traced:
        """A symbol with its value."""
        return cls(value, {((name, 1),): 1.0})

    @staticmethod
    def _of(other: Any) -> Traced:
        return other if isinstance(other, Traced) else Traced(other, {(): float(other)} if other else {})

    def __add__(self, other: Any) -> Traced:
        other = self._of(other)
        terms = dict(self.polynomial)
        for powers, c in other.polynomial.items():
            terms[powers] = terms.get(powers, 0.0) + c
        return Traced(self.value + other.value, terms)

    def __neg__(self) -> Traced:
        return Traced(-self.value, {powers: -c for powers, c in self.polynomial.items()})

    def __sub__(self, other: Any) -> Traced:
        return self + -self._of(other)

    def __rsub__(self, other: Any) -> Traced:
        return self._of(other) - self

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, Traced | int | float):
            return NotImplemented
        other = self._of(other)
        terms: Polynomial = {}
        for p, c in self.polynomial.items():
            for q, d in other.polynomial.items():
                powers = _joined(p, q)
                terms[powers] = terms.get(powers, 0.0) + c * d
        return Traced(self.value * other.value, terms)

    def __truediv__(self, other: Any) -> Traced:
        other = self._of(other)
        if len(other.polynomial) != 1:
            raise NotPolynomial
        ((powers, c),) = other.polynomial.items()
        inverse = {tuple((name, -k) for name, k in powers): 1 / c}
        result: Traced = self * Traced(1 / other.value, inverse)
        return result

    def __rtruediv__(self, other: Any) -> Traced:
        return self._of(other) / self

    def __rpow__(self, base: Any) -> Traced:
        # the share of experts that no token chose: it vanishes for any but the shortest prompts
        value = base**self.value
        if value > VANISHED:
            raise NotPolynomial
        return Traced(0.0, {})

    __radd__ = __add__
    __rmul__ = __mul__

    def __ceil__(self) -> Traced:
        # the value is rounded, the formula is not: it holds over many chunks; in the first one it is a one
        whole = math.ceil(self.value)
        return Traced(whole, {(): 1.0} if whole == 1 else self.polynomial)

    def __float__(self) -> float:
        return float(self.value)

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= float(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= float(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > float(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < float(other))


def _joined(p: Powers, q: Powers) -> Powers:
    if not p or not q:
        return p or q
    powers = dict(p)
    for name, k in q:
        powers[name] = powers.get(name, 0) + k
    return tuple(sorted((name, k) for name, k in powers.items() if k))


def traced_machine(m: Machine, suffix: str) -> tuple[Machine, dict[str, float]]:
    """The machine with a symbol for every number, and the value of each symbol."""
    values: dict[str, float] = {}

    def symbol(plain: str, value: float) -> Traced:
        values[plain + suffix] = value
        return Traced.symbol(plain + suffix, value)

    names = [each.name for each in fields(m) if each.name != "parameters"]
    numbers = {name: symbol(SYMBOLS[name][0], getattr(m, name)) for name in names}
    parameters = {name: symbol(PARAMETERS[name].symbol, value) for name, value in m.parameters.items() if value}
    zeros = {name: value for name, value in m.parameters.items() if not value}
    return Machine(**numbers, parameters=parameters | zeros), values


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """A difference of two sides as a polynomial in N, in one regime.

    `coefficients` are those of N⁰, N¹, ... as numbers, `terms` the same in the machine's symbols, as text; `root`
    is the solution nearest the crossing, None if the degree is above two. `elasticities` give the per cent by
    which the crossing moves for one per cent more of each symbol.
    """

    degree: int
    coefficients: tuple[float, ...]
    terms: tuple[str, ...]
    root: float | None
    formula: str | None
    elasticities: Mapping[str, float]


FORMULAS = {1: "N = −c0 / c1", 2: "N = (−c1 ± √(c1² − 4 c2 c0)) / (2 c2)"}


@dataclass(frozen=True, slots=True)
class Expansion:
    """A figure as a polynomial in N, in one regime: `terms` by power of N, and the value of every symbol.

    `elasticities` give the per cent by which the figure changes for one per cent more of each symbol, N included.
    """

    value: float
    terms: tuple[Polynomial, ...]
    symbols: Mapping[str, float]
    elasticities: Mapping[str, float]

    @property
    def coefficients(self) -> tuple[float, ...]:
        """The numbers before N⁰, N¹, ..."""
        return tuple(_value(each, self.symbols) for each in self.terms)

    @property
    def texts(self) -> tuple[str, ...]:
        """The same in symbols."""
        return tuple(text(each, self.symbols) for each in self.terms)


def expand(
    figure: Callable[[Traced, Mapping[str, Machine]], Any], at: int, machines: Mapping[str, Machine]
) -> Expansion | None:
    """`figure(N, machines)` as a polynomial around `at`; None if it is none there.

    Sides with the same machine share its symbols; else those of the second carry its name.
    """
    made: dict[str, Machine] = {}
    values: dict[str, float] = {}
    for side, m in machines.items():
        twin = next((made[other] for other in made if machines[other] == m), None)
        if twin is None:
            twin, own = traced_machine(m, f"_{side}" if made else "")
            values |= own
        made[side] = twin
    try:
        g = figure(Traced.symbol(LENGTH, float(at)), made)
    except NotPolynomial:
        return None
    if not isinstance(g, Traced):
        return None
    by_power: dict[int, Polynomial] = {}
    for powers, c in g.polynomial.items():
        if c:
            k = dict(powers).get(LENGTH, 0)
            by_power.setdefault(k, {})[tuple(p for p in powers if p[0] != LENGTH)] = c
    if min(by_power, default=0) < 0:
        return None
    known = values | {LENGTH: float(at)}
    changes: dict[str, float] = {}
    for powers, c in g.polynomial.items():
        size = c * _monomial(powers, known)
        for name, k in powers:
            changes[name] = changes.get(name, 0.0) + k * size
    elasticities = {name: change / g.value for name, change in changes.items() if change and g.value}
    terms = tuple(by_power.get(k, {}) for k in range(max(by_power, default=0) + 1))
    return Expansion(g.value, terms, values, elasticities)


def close(
    difference: Callable[[Traced, Mapping[str, Machine]], Any], at: int, machines: Mapping[str, Machine]
) -> ClosedForm | None:
    """Where the difference of two sides is zero, near `at`; None if it is no polynomial in N there."""
    g = expand(difference, at, machines)
    if g is None:
        return None
    c = g.coefficients
    slope = sum(k * each * at**k for k, each in enumerate(c))
    # the crossing moves against the change of the difference, over its slope
    elasticities = {name: -e * g.value / slope for name, e in g.elasticities.items() if slope and name != LENGTH}
    return ClosedForm(len(c) - 1, c, g.texts, _root(c, at), FORMULAS.get(len(c) - 1), elasticities)


def _monomial(powers: Powers, values: Mapping[str, float]) -> float:
    return math.prod(values[name] ** k for name, k in powers)


def _value(terms: Polynomial, values: Mapping[str, float]) -> float:
    return sum(c * _monomial(powers, values) for powers, c in terms.items())


def _root(c: tuple[float, ...], near: int) -> float | None:
    if len(c) == 2:
        return -c[0] / c[1]
    if len(c) == 3 and (inside := c[1] ** 2 - 4 * c[2] * c[0]) >= 0:
        roots = [(-c[1] + sign * math.sqrt(inside)) / (2 * c[2]) for sign in (1, -1)]
        return min(roots, key=lambda r: abs(r - near))
    return None


def text(terms: Polynomial, values: Mapping[str, float], most: int = 8) -> str:
    """A sum in symbols, the largest terms first, with three digits; what is below a thousandth is left out."""
    sizes = {powers: c * _monomial(powers, values) for powers, c in terms.items() if c}
    total = sum(map(abs, sizes.values()))
    ordered = sorted(sizes, key=lambda powers: -abs(sizes[powers]))
    shown = [powers for powers in ordered[:most] if abs(sizes[powers]) > total / 1000]
    words = " ".join(_term(terms[powers], powers) for powers in shown).removeprefix("+ ")
    left = len(ordered) - len(shown)
    return (words or "0") + (f" + {left} smaller" if left else "")


def _term(c: float, powers: Powers) -> str:
    above = " ".join(_power(name, k) for name, k in powers if k > 0)
    below = " ".join(_power(name, -k) for name, k in powers if k < 0)
    number = f"{'-' if c < 0 else '+'} {abs(c):.3g}"
    line = f"{number} {above}" if above else number
    return f"{line} / ({below})" if " " in below else f"{line} / {below}" if below else line


def _power(name: str, k: int) -> str:
    return name if k == 1 else f"{name}^{k}"
