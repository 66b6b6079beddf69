"""Where choices of a graph fall otherwise, worked out by hand; and powers of a traced base."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from roofsim.engine.branches import turns
from roofsim.engine.compiled import Function
from roofsim.engine.derivative import derivative, gradient
from roofsim.engine.graph import Graph, NotPolynomial, Undecided
from roofsim.foundation.arith import at_least, ceil, maximum, minimum

VALUES = {"a": 12.0, "b": 1.0, "c": 4.0}
Side = tuple[float, float, float, float] | None
"""The factor of a turn, the elasticity by that variable before and after it, and the jump of the figure."""


def found(formula: Callable[..., Any], values: dict[str, float]) -> dict[str, tuple[Side, Side]]:
    graph = Graph()
    output = formula(*(graph.variable(name) for name in values))
    made = {}
    for name, sides in turns(graph, output, values).items():
        made[name] = tuple(s and (s.factor, s.before[name], s.after[name], s.jump) for s in sides)
    return made


def near(*numbers: float) -> Any:
    return pytest.approx(numbers, rel=1e-6, abs=1e-6)


def test_the_larger_of_two_turns_where_they_are_equal() -> None:
    # 12 against 3 b, on top of 4: equal at a = 3 (3 of 7) and at b = 4 (12 of 16)
    sides = found(lambda a, b, c: maximum(a, 3 * b) + c, VALUES)
    assert sides["a"] == (near(1 / 4, 3 / 7, 0, 1), None)
    assert sides["b"] == (None, near(4, 0, 12 / 16, 1))
    assert sides["c"] == (None, None)


def test_the_smaller_of_two_turns_where_they_are_equal() -> None:
    sides = found(lambda a, b, c: minimum(a, 3 * b) * c, VALUES)
    assert sides["a"] == (near(1 / 4, 0, 1, 1), None)
    assert sides["b"] == (None, near(4, 1, 0, 1))
    assert sides["c"] == (None, None)


def test_a_switch_is_thrown_where_its_threshold_is_and_the_figure_jumps() -> None:
    # 4 below a threshold of 10, beyond which 5 come on top
    upwards = found(lambda a: a + at_least(a, 10) * 5, {"a": 4.0})
    assert upwards["a"] == (None, near(2.5, 1, 10 / 15, 15 / 10))
    downwards = found(lambda a: a + at_least(a, 10) * 5, {"a": 40.0})
    assert downwards["a"] == (near(1 / 4, 10 / 15, 1, 10 / 15), None)


def test_a_rounding_turns_after_its_first_piece_alone() -> None:
    assert found(lambda a: ceil(a / 8), {"a": 2.0})["a"] == (None, near(4, 0, 0.5, 2))  # 1 piece, then 2
    assert found(lambda a: ceil(a / 8), {"a": 80.0})["a"] == (near(1 / 10, 0.5, 0, 1 / 2), None)


@pytest.mark.parametrize(("other", "seen"), [(2.2 / 0.011, True), (2.2 / 0.009, False)])
def test_a_change_counts_from_a_hundredth_on(other: float, seen: bool) -> None:
    # beyond a = 2.2, half way along a cell of the grid, the elasticity is 2.2 of what all is
    sides = found(lambda a, b: maximum(a, 2.2) + b, {"a": 1.0, "b": other - 2.2})
    assert (sides["a"][1] is not None) == seen


def test_a_switch_counts_from_a_hundredth_of_the_figure_on() -> None:
    for step, seen in ((0.02, True), (0.005, False)):
        sides = found(lambda a, b, step=step: b + at_least(a, 3) * step, {"a": 1.0, "b": 1.0})
        assert (sides["a"][1] is not None) == seen


def test_of_several_turns_the_nearest_is_told() -> None:
    sides = found(lambda a: maximum(a, 3) + maximum(a, 2) + maximum(a, 40), {"a": 10.0})
    assert sides["a"] == (near(0.3, 6 / 46, 3 / 46, 1), near(4, 80 / 120, 1, 1))


@pytest.mark.parametrize("ends", [(2.05, 2.1), (2.1, 2.05)])
def test_two_turns_in_one_cell_of_the_grid_are_told_apart(ends: tuple[float, float]) -> None:
    one, two = ends
    sides = found(lambda a: maximum(a, one) + maximum(a, two), {"a": 1.0})
    assert sides["a"] == (None, near(2.05, 0, 2.05 / 4.15, 1))
    # the sizes of the two sides do not matter
    sides = found(lambda a: maximum(10 * a, 20.5) + maximum(a, 2.1), {"a": 1.0})
    assert sides["a"] == (None, near(2.05, 0, 20.5 / 22.6, 1))
    sides = found(lambda a: maximum(a, 2.05) + maximum(10 * a, 21), {"a": 1.0})
    assert sides["a"] == (None, near(2.05, 0, 2.05 / 23.05, 1))
    # and downwards, where both lie in the cell below a half
    sides = found(lambda a: maximum(a, one / 5) + maximum(a, two / 5), {"a": 1.0})
    assert sides["a"] == (near(0.42, 1, 0.42 / 0.84, 1), None)


def test_a_choice_that_the_figure_does_not_go_through_is_none() -> None:
    # the smaller of a and b turns at 3, but ten c are larger until c is a tenth of that
    sides = found(lambda a, b, c: maximum(minimum(a, b), 10 * c), {"a": 1.0, "b": 3.0, "c": 1.0})
    assert sides == {"a": (None, None), "b": (None, None), "c": (near(1 / 10, 1, 0, 1), None)}


def test_nothing_is_looked_for_beyond_a_factor_of_64() -> None:
    assert found(lambda a: maximum(a, 63), {"a": 1.0})["a"] == (None, near(63, 0, 1, 1))
    assert found(lambda a: maximum(a, 65), {"a": 1.0})["a"] == (None, None)
    assert found(lambda a: maximum(a, 1), {"a": 63.0})["a"] == (near(1 / 63, 1, 0, 1), None)
    assert found(lambda a: maximum(a, 1), {"a": 65.0})["a"] == (None, None)


def test_a_figure_may_leave_variables_out() -> None:
    assert found(lambda a, b: maximum(a, 2), {"a": 1.0, "b": 7.0})["b"] == (None, None)
    assert found(lambda a, b: 2 * a, {"a": 1.0, "b": 7.0}) == {"a": (None, None), "b": (None, None)}


def test_elasticities_by_all_variables_are_those_of_both_sides() -> None:
    graph = Graph()
    a, b, c = (graph.variable(name) for name in VALUES)
    turn = turns(graph, maximum(a, 3 * b * c), VALUES | {"a": 24.0})["b"][1]
    assert turn is not None
    assert (turn.before["a"], turn.before["b"], turn.before["c"]) == near(1, 0, 0)
    assert (turn.after["a"], turn.after["b"], turn.after["c"]) == near(0, 1, 1)


def test_a_power_of_traced_numbers_has_the_slopes_of_both() -> None:
    graph = Graph()
    base, power = graph.variable("a"), graph.variable("b")
    output = 5 * (1 - base / 4) ** power
    # at a = 1, b = 2: 5 (3/4)², by a −5·2·(3/4)/4, by b 5 (3/4)² ln(3/4)
    value, by = gradient(graph, output, {"a": 1.0, "b": 2.0})
    assert (value, by["a"], by["b"]) == near(45 / 16, -30 / 16, 45 / 16 * -0.2876820724517809)
    assert Function(graph, {"y": output}, ("a", "b"))(a=1, b=2)["y"] == 45 / 16
    assert Function(graph, {"y": derivative(graph, output, "a")}, ("a", "b"))(a=1, b=2)["y"] == pytest.approx(-30 / 16)
    with pytest.raises(Undecided):
        derivative(graph, output, "b")
    value, by = gradient(graph, output, {"a": np.array([1.0, 2.0]), "b": 2.0})
    assert tuple(value) == near(45 / 16, 20 / 16)
    assert tuple(by["a"]) == near(-30 / 16, -20 / 16)
    assert tuple(by["b"]) == near(45 / 16 * -0.2876820724517809, 20 / 16 * -0.6931471805599453)
    # where nothing is left of the base the power is nought, and stays so
    assert gradient(graph, output, {"a": 4.0, "b": 2.0})[1] == {"a": 0, "b": 0}


@pytest.mark.parametrize(("power", "atoms"), [(8, 1), (9, 2), (9.5, 2), (2.0, 2)])
def test_large_and_broken_powers_of_a_traced_number_are_atoms(power: float, atoms: int) -> None:
    graph = Graph()
    output = graph.variable("a") ** power
    assert len(graph.atoms) == atoms
    value, by = gradient(graph, output, {"a": 1.5})
    assert (value, by["a"]) == near(1.5**power, power * 1.5 ** (power - 1))
    assert Function(graph, {"y": derivative(graph, output, "a")}, ("a",))(a=1.5)["y"] == pytest.approx(by["a"])


def test_a_power_of_traced_numbers_vanishes_in_a_closed_form_or_is_none() -> None:
    graph = Graph({"a": 1.0, "b": 1000.0})
    a, b = graph.variable("a"), graph.variable("b")
    assert (1 - a / 4) ** b == 0
    with pytest.raises(NotPolynomial):
        (1 - a / 4) ** (b / 500)


@pytest.mark.parametrize(
    "ask",
    [bool, float, range, lambda x: x < 3, lambda x: x >= 3, lambda x: x % 8, lambda x: 3 // x, lambda x: [0, 1][x]],
)
def test_what_only_a_value_can_answer_names_the_variables(ask: Callable[[Any], Any]) -> None:
    graph = Graph()
    with pytest.raises(Undecided) as raised:
        ask(maximum(graph.variable("a") * graph.variable("b"), 3))
    assert set(raised.value.names) == {"a", "b"}
