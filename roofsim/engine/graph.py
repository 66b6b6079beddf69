"""Numbers that remember how they came to be: sums of products of atoms, each atom one of its kind.

Running the model on such numbers records a graph. A `Sum` is kept in its simplest form (equal products are added up,
constants folded, a maximum drops what can never be the largest), and every atom (a variable, or what no polynomial
is: a maximum, a rounding, a switch, a power) exists once. What is left is far less than what was computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

Op = Literal["variable", "max", "min", "ceil", "at_least", "power", "shared", "call", "result"]

Product = tuple[tuple[int, int], ...]
"""Atoms and their powers, by the number of the atom."""

EXPANDED = 12
"""Sums are multiplied out up to so many products; larger ones become atoms."""

MULTIPLIED = 8
"""Whole powers are multiplied out up to this one; larger ones become atoms."""

SHARED = 4
"""A sum of more products than this is worth being computed once."""


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """One factor. `positive` says that it is never below nought, `whole` that it is a whole number.

    A call is of the function `name`, a result is number `name` of those of the call that is its argument.
    """

    op: Op
    args: tuple[Any, ...]
    name: str = ""
    positive: bool = True
    whole: bool = False


@dataclass(slots=True)
class Graph:
    """The atoms of one trace. With `point`, values of the variables, every choice is taken as the numbers take it.

    Then the only atoms are variables and what a step divides by, and what comes out is the polynomial that holds
    around the point, if it is one.
    """

    point: Mapping[str, float] | None = None
    atoms: list[Atom] = field(default_factory=list)
    _known: dict[Any, int] = field(default_factory=dict)

    def variable(self, name: str, *, whole: bool = False) -> Sum:
        """A variable; all are positive."""
        value = None if self.point is None else float(self.point[name])
        return Sum(
            self, {((self._number(Atom("variable", (), name, True, whole), ("variable", name)), 1),): 1.0}, value
        )

    def atom(self, op: Op, args: tuple[Any, ...], *, ordered: bool = True, positive: bool, whole: bool = False) -> Sum:
        """The sum that is one atom of these arguments."""
        keys = tuple(key_of(a) for a in args)
        key = (op, keys if ordered else frozenset(keys))
        return Sum(self, {((self._number(Atom(op, args, "", positive, whole), key), 1),): 1.0})

    def called(self, name: str, args: tuple[Any, ...], results: int) -> list[Sum]:
        """The results, none of which is below nought, of a function that is written apart from this graph."""
        number = self._number(Atom("call", args, name), ("call", name, tuple(key_of(a) for a in args)))
        call = Sum(self, {((number, 1),): 1.0})
        made = [self._number(Atom("result", (call,), str(i)), ("result", number, i)) for i in range(results)]
        return [Sum(self, {((each, 1),): 1.0}) for each in made]

    def _number(self, atom: Atom, key: Any) -> int:
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.atoms)
            self.atoms.append(atom)
        return found


def key_of(value: Any) -> Any:
    """What two equal values share."""
    return frozenset(value.products.items()) if isinstance(value, Sum) else float(value)


class NotPolynomial(Exception):
    """A step would raise a number to a power that is not fixed: there is no closed form of this kind."""


class Undecided(TypeError):
    """Something was asked of a traced number that only a value can answer; `names` are the variables it is made of."""

    def __init__(self, number: Sum) -> None:
        atoms = number.graph.atoms
        found = (atoms[each] for each in reachable(number.graph, [number]))
        self.names = tuple(atom.name for atom in found if atom.op == "variable")
        super().__init__("a traced number has no truth; use what roofsim.foundation.arith offers")


class Sum:
    """A number as a sum of products: coefficient by product. A constant is a plain float instead."""

    __slots__ = ("graph", "products", "value")

    def __init__(self, graph: Graph, products: dict[Product, float], value: float | None = None) -> None:
        self.graph = graph
        self.products = products
        self.value = value

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Sum):
            large, small = (self, other) if len(self.products) >= len(other.products) else (other, self)
            products, more = dict(large.products), small.products
            value = None if self.value is None or other.value is None else self.value + other.value
        elif isinstance(other, int | float):
            if other == 0:
                return self
            products, more = dict(self.products), {(): float(other)}
            value = None if self.value is None else self.value + other
        else:
            return NotImplemented
        for product, c in more.items():
            total = products.get(product, 0.0) + c
            if total:
                products[product] = total
            else:
                products.pop(product, None)
        return _made(self.graph, products, value)

    def __neg__(self) -> Any:
        return self * -1.0

    def __sub__(self, other: Any) -> Any:
        return self + other * -1.0 if isinstance(other, Sum) else self + -other

    def __rsub__(self, other: Any) -> Any:
        return self * -1.0 + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, int | float):
            if other == 0:
                return 0.0
            if other == 1:
                return self
            value = None if self.value is None else self.value * other
            return Sum(self.graph, {product: c * other for product, c in self.products.items()}, value)
        if not isinstance(other, Sum):
            return NotImplemented
        a, b = self, other
        both = len(a.products) > 1 < len(b.products)
        if self.value is None and both and len(a.products) * len(b.products) > EXPANDED:
            a, b = (share(a), b) if len(a.products) >= len(b.products) else (a, share(b))
        products: dict[Product, float] = {}
        for p, c in a.products.items():
            for q, d in b.products.items():
                joined = _joined(p, q)
                products[joined] = products.get(joined, 0.0) + c * d
        value = None if self.value is None or other.value is None else self.value * other.value
        return _made(self.graph, {p: c for p, c in products.items() if c}, value)

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, int | float):
            return self * (1 / other)
        return self * other.inverse() if isinstance(other, Sum) else NotImplemented

    def __rtruediv__(self, other: Any) -> Any:
        return self.inverse() * other

    def inverse(self) -> Sum:
        """One over this; of a sum, one over the atom that stands for it."""
        if len(self.products) > 1:
            whole = self.graph.atom("shared", (self,), positive=self.positive, whole=self.whole)
            return Sum(self.graph, whole.products, self.value).inverse()
        ((product, c),) = self.products.items()
        value = None if self.value is None else 1 / self.value
        return Sum(self.graph, {tuple((atom, -k) for atom, k in product): 1 / c}, value)

    def __pow__(self, power: Any) -> Any:
        if not isinstance(power, int | float | Sum):
            return NotImplemented
        if not isinstance(power, int) or abs(power) > MULTIPLIED:
            return _powered(self.graph, self, power)
        result: Any = 1.0
        for _ in range(abs(power)):
            result = self * result
        return 1 / result if power < 0 else result

    def __rpow__(self, base: Any) -> Any:
        return _powered(self.graph, base, self)

    __radd__ = __add__
    __rmul__ = __mul__

    def __bool__(self) -> bool:
        raise Undecided(self)

    def _undecided(self, *_: Any) -> Any:
        raise Undecided(self)

    __lt__ = __le__ = __gt__ = __ge__ = __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __index__ = _undecided

    def __float__(self) -> float:
        if self.value is None:
            raise Undecided(self)
        return self.value

    @property
    def positive(self) -> bool:
        """Whether it can be seen that this is never below nought."""
        return self._one_sided(1.0)

    @property
    def negative(self) -> bool:
        """Whether it can be seen that this is never above nought."""
        return self._one_sided(-1.0)

    def _one_sided(self, sign: float) -> bool:
        atoms = self.graph.atoms
        for product, c in self.products.items():
            if c * sign < 0:
                return False
            for atom, k in product:
                if k % 2 and not atoms[atom].positive:
                    return False
        return True

    @property
    def whole(self) -> bool:
        """Whether it can be seen that this is a whole number."""
        atoms = self.graph.atoms
        return all(
            c == int(c) and all(k > 0 and atoms[a].whole for a, k in product) for product, c in self.products.items()
        )

    class __arithmetic__:  # noqa: N801 - the name by which `arith` finds it
        """What `arith` does with traced numbers."""

        @staticmethod
        def maximum(a: Any, b: Any) -> Any:
            return _extreme("max", a, b)

        @staticmethod
        def minimum(a: Any, b: Any) -> Any:
            return _extreme("min", a, b)

        @staticmethod
        def ceil(x: Sum) -> Any:
            if x.value is not None:
                # the value is rounded, the formula is not: it holds over many chunks; in the first one it is a one
                whole = float(math.ceil(x.value))
                return 1.0 if whole == 1 else Sum(x.graph, x.products, whole)
            if x.whole:
                return x
            above, below = _fraction(x)
            return x.graph.atom("ceil", (above, below), positive=x.positive, whole=True)

        @staticmethod
        def at_least(x: Any, threshold: Any) -> Any:
            above = x - threshold
            if not isinstance(above, Sum):
                return 1.0 if above >= 0 else 0.0
            if above.value is not None:
                return 1.0 if above.value >= 0 else 0.0
            if above.positive:
                return 1.0
            below = -above
            if below.positive and below.products.get((), 0.0) > 0:
                return 0.0
            return above.graph.atom("at_least", (x, threshold), positive=True, whole=True)

        @staticmethod
        def share(x: Sum) -> Any:
            return share(x)

        @staticmethod
        def leading(values: Sequence[Any]) -> list[int]:
            left: list[int] = []
            for i, x in enumerate(values):
                if not any(_beats("max", values[j], x) for j in left):
                    left = [*(j for j in left if not _beats("max", x, values[j])), i]
            return left


VANISHED = 1e-9
"""A share below this is nought."""


def _powered(graph: Graph, base: Any, power: Any) -> Any:
    """A base to a power, one of which at least is traced."""
    base, power = (x if isinstance(x, Sum) else float(x) for x in (base, power))
    if graph.point is not None:
        # the share of experts that no token chose: it vanishes for any but the shortest prompts
        if float(base) ** float(power) > VANISHED:
            raise NotPolynomial
        return 0.0
    return graph.atom("power", (base, power), positive=True)


def share(x: Sum) -> Sum:
    """`x` as one atom, if it has many products."""
    if x.value is not None or len(x.products) <= SHARED:
        return x
    return x.graph.atom("shared", (x,), positive=x.positive, whole=x.whole)


def _fraction(x: Sum) -> tuple[Sum, float]:
    """`x` as whole numbers of products over one number, so that what divides evenly is not rounded up by a bit."""
    fractions = {product: Fraction(c).limit_denominator(MOST_BELOW) for product, c in x.products.items()}
    below = math.lcm(*(f.denominator for f in fractions.values()))
    if below > MOST_BELOW or any(abs(float(fractions[p]) - c) > 1e-15 * abs(c) for p, c in x.products.items()):
        return x, 1.0
    return Sum(x.graph, {p: float(f * below) for p, f in fractions.items()}), float(below)


MOST_BELOW = 10**6


def _made(graph: Graph, products: dict[Product, float], value: float | None) -> Any:
    """A sum, or the constant that it is."""
    if not products:
        return 0.0
    if len(products) == 1 and () in products:
        return products[()]
    return Sum(graph, products, value)


def _joined(p: Product, q: Product) -> Product:
    if not p or not q:
        return p or q
    powers = dict(p)
    for atom, k in q:
        powers[atom] = powers.get(atom, 0) + k
    return tuple(sorted((atom, k) for atom, k in powers.items() if k))


def _extreme(op: Literal["max", "min"], a: Any, b: Any) -> Any:
    """The larger (smaller) of two; what can never be it is dropped."""
    difference = a - b
    if not isinstance(difference, Sum):
        return (a if difference >= 0 else b) if op == "max" else (a if difference <= 0 else b)
    if difference.value is not None:
        return (a if difference.value >= 0 else b) if op == "max" else (a if difference.value <= 0 else b)
    if difference.positive:
        return a if op == "max" else b
    if difference.negative:
        return b if op == "max" else a
    graph = difference.graph
    left: list[Any] = [a, b]
    several = *_args(op, a), *_args(op, b)
    if len(several) > 2:
        left = []
        for x in several:
            if not any(_beats(op, y, x) for y in left):
                left = [*(y for y in left if not _beats(op, x, y)), x]
        if len(left) == 1:
            return left[0]
    signs = [x.positive if isinstance(x, Sum) else x >= 0 for x in left]
    whole = all(x.whole if isinstance(x, Sum) else x == int(x) for x in left)
    positive = any(signs) if op == "max" else all(signs)
    return graph.atom(op, tuple(left), ordered=False, positive=positive, whole=whole)


def _args(op: Op, x: Any) -> tuple[Any, ...]:
    """What `x` is the largest (smallest) of."""
    if isinstance(x, Sum) and len(x.products) == 1:
        ((product, c),) = x.products.items()
        if c == 1 and len(product) == 1 and product[0][1] == 1:
            atom = x.graph.atoms[product[0][0]]
            if atom.op == op:
                return atom.args
    return (x,)


def _beats(op: Op, x: Any, y: Any) -> bool:
    """Whether it can be seen that `x` is never below (above) `y`."""
    above = x - y if op == "max" else y - x
    if not isinstance(above, Sum):
        return bool(above >= 0)
    return above.positive if above.value is None else above.value >= 0


def reachable(graph: Graph, outputs: Iterable[Any]) -> list[int]:
    """The atoms that outputs are made of, each after those that it is made of."""
    order: list[int] = []
    seen: set[int] = set()

    def atoms_of(x: Any) -> Iterator[int]:
        if isinstance(x, Sum):
            for product in x.products:
                for atom, _ in product:
                    yield atom

    stack = [(atom, False) for out in outputs for atom in atoms_of(out)][::-1]
    while stack:
        atom, done = stack.pop()
        if done:
            order.append(atom)
        elif atom not in seen:
            seen.add(atom)
            stack.append((atom, True))
            stack.extend((each, False) for arg in graph.atoms[atom].args for each in atoms_of(arg))
    return order
