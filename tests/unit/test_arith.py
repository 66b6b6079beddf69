from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from roofsim.engine.graph import Graph
from roofsim.foundation.arith import at_least, ceil, leading, maximum, minimum, share, single

PAIRWISE = [(maximum, max), (minimum, min), (at_least, lambda x, threshold: int(x >= threshold))]
X, Y = sp.symbols("x y", positive=True)
numbers = st.integers(1, 10**6)


@pytest.mark.parametrize(("function", "meaning"), PAIRWISE)
@settings(max_examples=30)  # SymPy's maximum takes milliseconds
@given(a=numbers, b=numbers)
def test_numbers_arrays_and_symbols_agree(
    function: Callable[..., Any], meaning: Callable[..., Any], a: int, b: int
) -> None:
    expected = meaning(a, b)
    assert function(a, b) == expected
    assert function(float(a), b) == expected
    np.testing.assert_array_equal(function(np.array([a, b]), b), [expected, meaning(b, b)])
    np.testing.assert_array_equal(function(a, np.array([b, a])), [expected, meaning(a, a)])
    np.testing.assert_array_equal(function(np.array([[a]]), np.array([b, b])), [[expected, expected]])
    assert function(X, Y).subs({X: a, Y: b}) == expected
    assert function(X, b).subs(X, a) == expected
    assert function(a, Y).subs(Y, b) == expected


@given(x=st.floats(-1e9, 1e9))
def test_ceil_is_the_smallest_whole_number_not_below(x: float) -> None:
    assert ceil(x) - 1 < x <= ceil(x)
    assert ceil(np.array([x])) == math.ceil(x)
    assert ceil(X - Y).subs({X: x, Y: 0}) == math.ceil(x)


@pytest.mark.parametrize(
    ("value", "is_single"), [(1, True), (1.5, True), (np.array([1.0]), False), (X, False), (X + 1, False)]
)
def test_single_is_neither_array_nor_symbol(value: Any, is_single: bool) -> None:
    assert single(value) is is_single


def test_traced_numbers_bring_their_own_arithmetic() -> None:
    n = Graph().variable("n")
    assert not single(n)
    assert maximum(n, 2 * n).products == (2 * n).products


@pytest.mark.parametrize("value", [1.5, np.array([1.0, 2.0]), X + 1])
def test_what_is_not_traced_is_shared_as_it_is(value: Any) -> None:
    assert share(value) is value


def test_only_one_of_plain_numbers_can_be_the_largest_and_any_of_arrays() -> None:
    assert leading([1, 5, 3, 5]) == [1]
    assert leading([np.array([1.0]), 5, 3]) == [0, 1, 2]
    assert leading([X, 5]) == [0, 1]
