"""The few functions besides `+ - * / **` that cost formulas may use.

Each takes floats, NumPy arrays, SymPy expressions or the engine's traced numbers and answers in kind. No library is
imported here: a value of it can only arrive after someone else imported it. Values of another kind bring their own
arithmetic along as `__arithmetic__`; anything else that can be compared is taken as a number.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol


class Number(Protocol):
    """A float, a NumPy array of float64, a SymPy expression, or a traced number of the engine.

    They are not compared: a branch goes by the `float` of a size that a spec fixes, or by a function of this module.
    """

    def __add__(self, other: Any, /) -> Number: ...

    def __radd__(self, other: Any, /) -> Number: ...

    def __sub__(self, other: Any, /) -> Number: ...

    def __rsub__(self, other: Any, /) -> Number: ...

    def __mul__(self, other: Any, /) -> Number: ...

    def __rmul__(self, other: Any, /) -> Number: ...

    def __truediv__(self, other: Any, /) -> Number: ...

    def __rtruediv__(self, other: Any, /) -> Number: ...

    def __pow__(self, other: Any, /) -> Number: ...

    def __rpow__(self, other: Any, /) -> Number: ...

    def __neg__(self) -> Number: ...

    def __float__(self) -> float: ...


def maximum(a: Any, b: Any) -> Number:
    """The larger of the two, element by element."""
    if not (type(a) in _PLAIN and type(b) in _PLAIN) and (own := _arithmetic(a, b)):
        larger: Number = own.maximum(a, b)
    else:
        larger = a if a >= b else b
    return larger


def minimum(a: Any, b: Any) -> Number:
    """The smaller of the two, element by element."""
    if not (type(a) in _PLAIN and type(b) in _PLAIN) and (own := _arithmetic(a, b)):
        smaller: Number = own.minimum(a, b)
    else:
        smaller = a if a <= b else b
    return smaller


def ceil(x: Any) -> Number:
    """The smallest whole number not below `x`."""
    own = _arithmetic(x)
    whole: Number = own.ceil(x) if own else math.ceil(x)
    return whole


def at_least(x: Any, threshold: Any) -> Number:
    """1 where `x >= threshold`, else 0: for switches that software throws at a length."""
    if not (type(x) in _PLAIN and type(threshold) in _PLAIN) and (own := _arithmetic(x, threshold)):
        reached: Number = own.at_least(x, threshold)
    else:
        reached = int(x >= threshold)
    return reached


def share(x: Number) -> Number:
    """`x` as one number that several others are made of: where formulas are traced, it is computed once."""
    own = _arithmetic(x)
    shared: Number = own.share(x) if own else x
    return shared


def leading(values: Sequence[Number]) -> list[int]:
    """Which of the values can be the largest: one of plain numbers, all of arrays."""
    own = _arithmetic(*values)
    return list(own.leading(values)) if own else [max(range(len(values)), key=lambda i: float(values[i]))]


def single(x: Number) -> bool:
    """Whether `x` is one number that can be compared: no array and no symbol."""
    return type(x) in _PLAIN or _arithmetic(x) is None


_PLAIN = frozenset({int, float, bool})


def _arithmetic(*values: Any) -> Any:
    """Who computes with these values: their own arithmetic, NumPy, SymPy, or nobody for plain numbers."""
    found = None
    for x in values:
        kind: Any = type(x)
        own = _of(kind)
        if own is None or (found is _Arrays and own is _Symbols):
            continue
        if own is not _Arrays and own is not _Symbols:
            return own
        found = own
    return found


@cache
def _of(kind: Any) -> Any:
    """Who computes with values of this type; asked millions of times in a fit."""
    if own := getattr(kind, "__arithmetic__", None):
        return own
    if hasattr(kind, "__array_ufunc__"):
        return _Arrays
    return _Symbols if hasattr(kind, "free_symbols") else None


class _Plain:
    """What arrays and SymPy's expressions have in common."""

    @staticmethod
    def share(x: Any) -> Any:
        return x

    @staticmethod
    def leading(values: Any) -> list[int]:
        return list(range(len(values)))


class _Arrays(_Plain):
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


class _Symbols(_Plain):
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
