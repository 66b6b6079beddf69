"""The formula that holds around a point: the model run on variables with values, every choice taken as they take it.

What comes out is a polynomial in the variables that is valid in that regime: the closed form. Negative powers are
allowed, since rates stand below the line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from roofsim.engine.graph import Graph, NotPolynomial, Product, Sum
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.foundation.values import dataclass

Powers = tuple[tuple[str, int], ...]
Polynomial = dict[Powers, float]
"""Coefficient by the powers of the symbols of a term, sorted by name; the constant term has none."""

LENGTH = SYMBOLS["length"][0]


@dataclass(frozen=True, slots=True)
class Expansion:
    """A figure as a polynomial in N, in one regime: `terms` by power of N, and the value of every symbol."""

    terms: tuple[Polynomial, ...]
    symbols: Mapping[str, float]

    @property
    def coefficients(self) -> tuple[float, ...]:
        """The numbers before N⁰, N¹, ..."""
        return tuple(sum(c * _monomial(p, self.symbols) for p, c in each.items()) for each in self.terms)

    @property
    def texts(self) -> tuple[str, ...]:
        """The same in symbols."""
        return tuple(text(each, self.symbols) for each in self.terms)

    def root(self, near: float) -> float | None:
        """The length nearest to another at which the figure is nought; None if the degree is not one or two."""
        c = self.coefficients
        if len(c) == 2:
            return -c[0] / c[1]
        if len(c) == 3 and (inside := c[1] ** 2 - 4 * c[2] * c[0]) >= 0:
            roots = [(-c[1] + sign * math.sqrt(inside)) / (2 * c[2]) for sign in (1, -1)]
            return min(roots, key=lambda r: abs(r - near))
        return None

    @property
    def formula(self) -> str | None:
        """How the root follows from the coefficients."""
        return {2: "N = −c0 / c1", 3: "N = (−c1 ± √(c1² − 4 c2 c0)) / (2 c2)"}.get(len(self.terms))


def expand(figure: Callable[[Mapping[str, Any]], Any], symbols: Mapping[str, float], length: float) -> Expansion | None:
    """`figure(variables)` as a polynomial in N around a length, for symbols with these values; None if it is none."""
    graph = Graph({**symbols, LENGTH: length})
    variables = {name: graph.variable(name) for name in (*symbols, LENGTH)}
    try:
        made = figure(variables)
    except NotPolynomial:
        return None
    if not isinstance(made, Sum):
        return None
    products = _divided(made)
    if products is None:
        return None
    by_power: dict[int, Polynomial] = {}
    for product, c in products.items():
        powers = {graph.atoms[atom].name: k for atom, k in product}
        k = powers.pop(LENGTH, 0)
        by_power.setdefault(k, {})[tuple(sorted(powers.items()))] = c
    if min(by_power, default=0) < 0:
        return None
    return Expansion(tuple(by_power.get(k, {}) for k in range(max(by_power, default=0) + 1)), dict(symbols))


def _divided(made: Sum) -> Mapping[Product, float] | None:
    """The products of a sum after its divisions by sums of powers of N, None where one is left.

    Whole tiles of keys are such a division: pairs over the mean keys of a query are queries again.
    """
    atoms = made.graph.atoms
    found: dict[Product, float] = {}
    above: dict[int, dict[Product, dict[int, float]]] = {}
    for product, c in made.products.items():
        sums = [(atom, k) for atom, k in product if atoms[atom].op != "variable"]
        if not sums:
            found[product] = found.get(product, 0.0) + c
            continue
        if len(sums) > 1 or sums[0][1] != -1:
            return None
        degree = sum(k for atom, k in product if atoms[atom].name == LENGTH)
        rest = tuple((atom, k) for atom, k in product if atom != sums[0][0] and atoms[atom].name != LENGTH)
        by_degree = above.setdefault(sums[0][0], {}).setdefault(rest, {})
        by_degree[degree] = by_degree.get(degree, 0.0) + c
    for atom, numerators in above.items():
        divisor = _powers_of_length(atoms[atom].args[0])
        for rest, numerator in numerators.items():
            quotient = _quotient(numerator, divisor) if divisor else None
            if quotient is None:
                return None
            ((length, _),) = next(iter(made.graph.variable(LENGTH).products))
            for k, c in quotient.items():
                product = tuple(sorted((*rest, (length, k)))) if k else rest
                found[product] = found.get(product, 0.0) + c
    return found


def _powers_of_length(value: Any) -> dict[int, float] | None:
    """Coefficient by power of N, None if anything else is in the sum."""
    if not isinstance(value, Sum):
        return None
    found = {}
    for product, c in value.products.items():
        if any(value.graph.atoms[atom].name != LENGTH for atom, _ in product):
            return None
        found[sum(k for _, k in product)] = c
    return found


def _quotient(numerator: Mapping[int, float], divisor: Mapping[int, float]) -> dict[int, float] | None:
    """Long division of polynomials by their coefficients, None if anything remains."""
    left, top, found = dict(numerator), max(divisor), dict[int, float]()
    nought = ROUNDING * max(map(abs, numerator.values()))
    while left := {k: c for k, c in left.items() if abs(c) > nought}:
        degree = max(left)
        if degree - top < min(numerator) - min(divisor):
            return None
        factor = left[degree] / divisor[top]
        found[degree - top] = factor
        for k, c in divisor.items():
            left[degree - top + k] = left.get(degree - top + k, 0.0) - factor * c
        del left[degree]
    return found


ROUNDING = 1e-9
"""What is left of a division that comes out even, relative to the largest coefficient."""


def _monomial(powers: Powers, values: Mapping[str, float]) -> float:
    return math.prod(values[name] ** k for name, k in powers)


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
