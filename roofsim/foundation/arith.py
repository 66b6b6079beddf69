"""The few functions besides `+ - * / **` that cost formulas may use.

Each takes floats, NumPy arrays, SymPy expressions or the engine's traced numbers and answers in kind. No library is
imported here: a value of it can only arrive after someone else imported it. Values of another kind bring their own
arithmetic along as `__arithmetic__`; anything else that can be compared is taken as a number.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

Number: TypeAlias = Any
"""A float, a NumPy array of float64, a SymPy expression, or a traced number of the engine."""


def maximum(a: Number, b: Number) -> Number:
    """The larger of the two, element by element."""
    if not (type(a) in _PLAIN and type(b) in _PLAIN) and (own := _arithmetic(a, b)):
        return own.maximum(a, b)
    return a if a >= b else b


def minimum(a: Number, b: Number) -> Number:
    """The smaller of the two, element by element."""
    if not (type(a) in _PLAIN and type(b) in _PLAIN) and (own := _arithmetic(a, b)):
        return own.minimum(a, b)
    return a if a <= b else b


def ceil(x: Number) -> Number:
    """The smallest whole number not below `x`."""
    if own := _arithmetic(x):
        return own.ceil(x)
    return math.ceil(x)


def at_least(x: Number, threshold: Number) -> Number:
    """1 where `x >= threshold`, else 0: for switches that software throws at a length."""
    if own := _arithmetic(x, threshold):
        return own.at_least(x, threshold)
    return 1 if x >= threshold else 0


def share(x: Number) -> Number:
    """`x` as one number that several others are made of: where formulas are traced, it is computed once."""
    own = _arithmetic(x)
    return own.share(x) if own and hasattr(own, "share") else x


def leading(values: Sequence[Number]) -> list[int]:
    """Which of the values can be the largest: one of plain numbers, all of arrays."""
    own = _arithmetic(*values)
    if own is None:
        return [max(range(len(values)), key=lambda i: values[i])]
    return list(own.leading(values)) if hasattr(own, "leading") else list(range(len(values)))


def single(x: Number) -> bool:
    """Whether `x` is one number that can be compared: no array and no symbol."""
    return _arithmetic(x) is None


_PLAIN = frozenset({int, float, bool})


def _arithmetic(*values: Any) -> Number:
    """Who computes with these values: their own arithmetic, NumPy, SymPy, or nobody for plain numbers."""
    if all(type(x) in _PLAIN for x in values):
        return None
    for x in values:
        if own := getattr(x, "__arithmetic__", None):
            return own
    if any(hasattr(x, "__array_ufunc__") for x in values):
        return _Arrays
    return _Symbols if any(hasattr(x, "free_symbols") for x in values) else None


class _Arrays:
    """NumPy's arithmetic."""

    @staticmethod
    def maximum(a: Any, b: Any) -> Any:
        return sys.modules["numpy"].maximum(a, b)

    @staticmethod
    def minimum(a: Any, b: Any) -> Any:
        return sys.modules["numpy"].minimum(a, b)

    @staticmethod
    def ceil(x: Any) -> Any:
        return sys.modules["numpy"].ceil(x)

    @staticmethod
    def at_least(x: Any, threshold: Any) -> Any:
        return sys.modules["numpy"].where(x >= threshold, 1.0, 0.0)


class _Symbols:
    """SymPy's arithmetic."""

    @staticmethod
    def maximum(a: Any, b: Any) -> Any:
        return sys.modules["sympy"].Max(a, b)

    @staticmethod
    def minimum(a: Any, b: Any) -> Any:
        return sys.modules["sympy"].Min(a, b)

    @staticmethod
    def ceil(x: Any) -> Any:
        return sys.modules["sympy"].ceiling(x)

    @staticmethod
    def at_least(x: Any, threshold: Any) -> Any:
        return sys.modules["sympy"].Heaviside(x - threshold, 1)
