"""Numbers that carry their derivatives: the rules of differentiation at one point, by hand."""

from __future__ import annotations

from math import log

import pytest

from roofsim.engine.dual import Dual, relative
from roofsim.foundation.arith import at_least, ceil, leading, maximum, minimum, share, single


def test_arithmetic_carries_derivatives():
    x, y = Dual(3.0, {"x": 2.0}), Dual(2.0, {"y": 3.0})
    for made, value, by in (
        (x + y, 5, {"x": 2, "y": 3}),
        (4 + x, 7, {"x": 2}),
        (x - y, 1, {"x": 2, "y": -3}),
        (x - 1, 2, {"x": 2}),
        (1 - x, -2, {"x": -2}),
        (-x, -3, {"x": -2}),
        (x * y, 6, {"x": 4, "y": 9}),
        (5 * x, 15, {"x": 10}),
        (x / y, 1.5, {"x": 1, "y": -9 / 4}),
        (x / 2, 1.5, {"x": 1}),
        (6 / x, 2, {"x": -4 / 3}),
        (x**2, 9, {"x": 12}),
        (x**3, 27, {"x": 54}),
        (2**x, 8, {"x": 16 * log(2)}),
        (0.0**x, 0, {"x": 0}),  # as of one expert that every token chooses
        (x * x, 9, {"x": 12}),
        (x - x, 0, {"x": 0}),
    ):
        assert float(made) == pytest.approx(value)
        assert dict(made.slopes) == pytest.approx(by)


def test_choices_are_taken_as_the_values_take_them():
    x, y = Dual(3.0, {"x": 1.0}), Dual(2.0, {"y": 1.0})
    assert maximum(x, y) is maximum(y, x) is x
    assert minimum(x, y) is minimum(y, x) is y
    assert (maximum(x, 4), minimum(x, 1.0)) == (4, 1.0)
    assert (at_least(x, 3), at_least(x, y), at_least(y, x)) == (1, 1, 0)
    assert ceil(Dual(0.4, {"x": 1.0})) == 1
    rounded = ceil(Dual(2.4, {"x": 1.5}))
    assert (float(rounded), rounded.slopes) == (3, {"x": 1.5})
    assert share(x) is x
    assert leading([y, x, Dual(2.5, {})]) == [1]
    assert not single(x)
    assert relative(x) == {"x": 1 / 3}
    assert relative(7.0) == {}
