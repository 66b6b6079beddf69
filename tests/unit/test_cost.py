from __future__ import annotations

from dataclasses import FrozenInstanceError, astuple, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofsim.foundation.cost import Cost

costs = st.builds(Cost, **{each.name: st.integers(0, 10**9) for each in fields(Cost)})


def test_a_cost_is_nothing_unless_said() -> None:
    assert astuple(Cost()) == (0, 0, 0, 0, 0, 0)


def test_bytes_are_all_traffic_and_flops_all_work() -> None:
    cost = Cost(matrix=1, vector=10, weights=100, activations=1000, state=10000)
    assert (cost.flops, cost.bytes) == (11, 11100)


@given(a=costs, b=costs, times=st.integers(0, 3) | st.integers(4, 1000))
def test_costs_add_and_scale_column_by_column(a: Cost, b: Cost, times: int) -> None:
    assert astuple(a + b) == tuple(x + y for x, y in zip(astuple(a), astuple(b), strict=True))
    assert astuple(times * a) == tuple(times * x for x in astuple(a))
    assert (a + b) * times == a * times + times * b


@given(parts=st.lists(st.tuples(st.integers(0, 9), costs), max_size=5))
def test_a_total_is_the_sum_of_its_parts(parts: list[tuple[int, Cost]]) -> None:
    assert Cost.total(parts) == sum((n * cost for n, cost in parts), Cost())


def test_a_cost_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Cost().matrix = 1  # type: ignore[misc]
