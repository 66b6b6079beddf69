"""The few functions besides `+ - * / **` that cost formulas may use.

Each takes floats, NumPy arrays or SymPy expressions and answers in kind. Neither library is imported
here: a value of it can only arrive after someone else imported it. Anything else that can be compared is
taken as a number.
"""

from __future__ import annotations

import math
import sys
from typing import Any, TypeAlias

Number: TypeAlias = Any
"""A float, a NumPy array of float64, or a SymPy expression."""


def maximum(a: Number, b: Number) -> Number:
    """The larger of the two, element by element."""
    if _array(a) or _array(b):
        return sys.modules["numpy"].maximum(a, b)
    if _symbolic(a) or _symbolic(b):
        return sys.modules["sympy"].Max(a, b)
    return a if a >= b else b


def minimum(a: Number, b: Number) -> Number:
    """The smaller of the two, element by element."""
    if _array(a) or _array(b):
        return sys.modules["numpy"].minimum(a, b)
    if _symbolic(a) or _symbolic(b):
        return sys.modules["sympy"].Min(a, b)
    return a if a <= b else b


def ceil(x: Number) -> Number:
    """The smallest whole number not below `x`."""
    if _array(x):
        return sys.modules["numpy"].ceil(x)
    if _symbolic(x):
        return sys.modules["sympy"].ceiling(x)
    return math.ceil(x)


def at_least(x: Number, threshold: Number) -> Number:
    """1 where `x >= threshold`, else 0: for switches that software throws at a length."""
    if _array(x) or _array(threshold):
        return sys.modules["numpy"].where(x >= threshold, 1.0, 0.0)
    if _symbolic(x) or _symbolic(threshold):
        return sys.modules["sympy"].Heaviside(x - threshold, 1)
    return 1 if x >= threshold else 0


def single(x: Number) -> bool:
    """Whether `x` is one number that can be compared: no array and no symbol."""
    return not _array(x) and not _symbolic(x)


def _array(x: object) -> bool:
    return hasattr(x, "__array_ufunc__")


def _symbolic(x: object) -> bool:
    return hasattr(x, "free_symbols")
