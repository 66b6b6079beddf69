"""Numbers that carry how fast they change: the model run once on them gives every figure with its derivatives.

Forward differentiation, for a few parameters at one point. Where many points are asked for, a graph is traced and gone
back over instead (`engine.derivative`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Slopes = Mapping[str, float]


class Dual:
    """A number and its derivatives by name; one that is not named is 0."""

    __slots__ = ("slopes", "value")

    def __init__(self, value: float, slopes: Slopes) -> None:
        self.value = value
        self.slopes = slopes

    def __float__(self) -> float:
        return float(self.value)

    def __add__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, _sum(self.slopes, 1.0, other.slopes, 1.0))
        return Dual(self.value + other, self.slopes)

    def __sub__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value - other.value, _sum(self.slopes, 1.0, other.slopes, -1.0))
        return Dual(self.value - other, self.slopes)

    def __rsub__(self, other: Any) -> Dual:
        return Dual(other - self.value, _times(self.slopes, -1.0))

    def __neg__(self) -> Dual:
        return Dual(-self.value, _times(self.slopes, -1.0))

    def __mul__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value * other.value, _sum(self.slopes, other.value, other.slopes, self.value))
        return Dual(self.value * other, _times(self.slopes, other))

    def __truediv__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            value = self.value / other.value
            return Dual(value, _sum(self.slopes, 1 / other.value, other.slopes, -value / other.value))
        return Dual(self.value / other, _times(self.slopes, 1 / other))

    def __rtruediv__(self, other: Any) -> Dual:
        value = other / self.value
        return Dual(value, _times(self.slopes, -value / self.value))

    def __pow__(self, other: int) -> Dual:
        return Dual(self.value**other, _times(self.slopes, other * self.value ** (other - 1)))

    def __rpow__(self, other: float) -> Dual:
        value = other**self.value
        return Dual(value, _times(self.slopes, value * math.log(other) if other else 0.0))

    __radd__ = __add__
    __rmul__ = __mul__

    class __arithmetic__:  # noqa: N801 - the name by which `arith` finds it
        """What `arith` does with these: choices are taken as the values take them."""

        @staticmethod
        def maximum(a: Any, b: Any) -> Any:
            return a if float(a) >= float(b) else b

        @staticmethod
        def minimum(a: Any, b: Any) -> Any:
            return a if float(a) <= float(b) else b

        @staticmethod
        def ceil(x: Dual) -> Any:
            # as over many chunks; in the first one it is constant
            whole = math.ceil(x.value)
            return whole if whole == 1 else Dual(whole, x.slopes)

        @staticmethod
        def at_least(x: Any, threshold: Any) -> int:
            return int(float(x) >= float(threshold))

        @staticmethod
        def share(x: Dual) -> Dual:
            return x

        @staticmethod
        def leading(values: Sequence[Any]) -> list[int]:
            return [max(range(len(values)), key=lambda i: float(values[i]))]


def relative(x: Any) -> dict[str, float]:
    """The derivatives of the logarithm of a number; none of one that carries none."""
    return {name: slope / x.value for name, slope in x.slopes.items()} if isinstance(x, Dual) else {}


def _times(slopes: Slopes, factor: float) -> Slopes:
    return {name: slope * factor for name, slope in slopes.items()}


def _sum(a: Slopes, by_a: float, b: Slopes, by_b: float) -> Slopes:
    found = {name: slope * by_a for name, slope in a.items()}
    for name, slope in b.items():
        found[name] = found.get(name, 0.0) + slope * by_b
    return found
