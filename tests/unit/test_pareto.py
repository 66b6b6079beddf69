"""The non-dominated set against its definition, point by point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from roofsim.foundation.errors import InputError
from roofsim.foundation.pareto import front

NAN, INF = float("nan"), float("inf")


def by_definition(values: np.ndarray, senses: list[str]) -> list[bool]:
    points = [[-x if sense == "max" else x for x, sense in zip(row, senses, strict=True)] for row in values.tolist()]

    def dominates(p: list[float], q: list[float]) -> bool:
        return all(a <= b for a, b in zip(p, q, strict=True)) and p != q

    return [not any(x != x for x in q) and not any(dominates(p, q) for p in points) for q in points]


# few values, so that points tie in one objective or are equal; NaN and infinities as real results have them
VALUE = st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0, 5.0, -1.0, INF, NAN]) | st.floats(-10, 10)
POINTS = st.tuples(st.integers(0, 60), st.integers(1, 5)).flatmap(lambda shape: arrays(float, shape, elements=VALUE))


@given(POINTS, st.data())
def test_front_is_the_set_that_no_point_dominates(values, data):
    senses = data.draw(st.lists(st.sampled_from(["min", "max"]), min_size=values.shape[1], max_size=values.shape[1]))
    assert front(values, senses).tolist() == by_definition(values, senses)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize("levels", [4, 40, 10**9])
def test_front_of_many_points_is_that_of_the_definition(k, levels):
    values = np.random.default_rng(k).integers(0, levels, (700, k)).astype(float)
    assert front(values, ["min"] * k).tolist() == by_definition(values, ["min"] * k)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_all_points_of_a_trade_off_are_on_the_front(k):
    values = np.random.default_rng(0).exponential(size=(2000, k))
    assert front(values / values.sum(axis=1, keepdims=True), ["max"] * k).all()


def test_equal_points_are_all_on_the_front():
    assert front([[1, 2], [1, 2], [2, 1], [2, 2]], ["min", "min"]).tolist() == [True, True, True, False]


def test_the_best_of_one_objective_is_its_front():
    assert front([[3], [1], [NAN], [1]], ["min"]).tolist() == [False, True, False, True]
    assert front([[3], [1], [3]], ["max"]).tolist() == [True, False, True]


def test_there_is_no_front_of_nothing():
    assert front(np.empty((0, 2)), ["min", "max"]).tolist() == []
    assert front([[NAN, 1], [0, NAN]], ["min", "max"]).tolist() == [False, False]


@pytest.mark.parametrize(
    ("values", "senses", "said"),
    [
        ([[1, 2]], ["min", "least"], "'least' is not a sense; write min or max"),
        ([[1, 2]], ["min"], r"shape \(1, 2\) do not fit 1 senses"),
        ([1, 2], ["min", "max"], r"shape \(2,\) do not fit 2 senses"),
        ([[]], [], r"do not fit 0 senses"),
    ],
)
def test_what_is_no_table_of_objectives_is_refused(values, senses, said):
    with pytest.raises(InputError, match=said):
        front(values, senses)
