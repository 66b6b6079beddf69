from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofsim.engine.compiled import CHUNK, Function
from roofsim.engine.derivative import derivative, gradient
from roofsim.engine.emit import javascript_list, size
from roofsim.engine.graph import Graph, NotPolynomial, Sum
from roofsim.engine.regime import expand, text
from roofsim.foundation.arith import at_least, ceil, leading, maximum, minimum, share
from roofsim.foundation.errors import InputError, UnknownName

Formula = Callable[[Any, Any], Any]
counts = st.integers(1, 10_000)

FORMULAS: dict[str, Formula] = {
    "sums": lambda a, b: 3 * a - b / 4 + 7,
    "products": lambda a, b: (a + b + 1) * (a - 2 * b) * a / 3,
    "powers": lambda a, b: (a + 2) ** 3 + a**2 / b**2,
    "quotients of sums": lambda a, b: (a + 1) / (a + b) + 5 / (b + 2),
    "maxima": lambda a, b: maximum(a, 2 * b) + maximum(maximum(a - b, 0), b / 7),
    "minima": lambda a, b: minimum(minimum(a, 300), b) * a,
    "roundings": lambda a, b: ceil(a / 96) * 96 + ceil((a + b) / 7) + ceil(a * b / 3),
    "switches": lambda a, b: at_least(a, 4096) * b + (1 - at_least(b, a)) * a,
    "shares of experts": lambda a, b: 64 * (1 - (1 - 6 / 64) ** a) * b,
    "the only expert": lambda a, b: (1 - (1 - 1 / 1) ** a) * b,
    "the busiest of ranks": lambda a, b: minimum(1 / 8 + 1.4 * (0.97 / 8 / a) ** (1 / 2) + 0.2 / a, 1) * b,
    "shared sums": lambda a, b: share(a * a + b * b + a + b + 1) * (a + 1) + maximum(a, b),
    "large products": lambda a, b: (a + b + a * b + 1) * (a * a + b * b + a + b + 2),
}


def traced(formula: Formula) -> Function:
    graph = Graph()
    variables = graph.variable("a", whole=True), graph.variable("b", whole=True)
    return Function(graph, {"y": formula(*variables)}, ("a", "b"))


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@given(a=counts, b=counts)
def test_a_traced_formula_gives_the_number_that_it_gave(formula: Formula, a: int, b: int) -> None:
    f = traced(formula)
    assert f(a=a, b=b)["y"] == pytest.approx(float(formula(a, b)), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_an_array_gives_each_of_its_numbers(formula: Formula) -> None:
    f = traced(formula)
    a, b = np.arange(1.0, 400), np.arange(1.0, 9)[:, None] * 37
    found = f(a=a, b=b)["y"]
    assert found.shape == (8, 399)
    for i, j in ((0, 0), (3, 96), (7, 398)):
        assert found[i, j] == pytest.approx(f(a=float(a[j]), b=float(b[i, 0]))["y"], rel=1e-14)


@pytest.mark.parametrize(
    "shape", [(3 * CHUNK + 1,), (3, CHUNK), (2, 3, CHUNK + 5), (CHUNK + 1, 1, 2)], ids=lambda s: "x".join(map(str, s))
)
def test_what_is_longer_than_a_piece_is_computed_whole(shape: tuple[int, ...]) -> None:
    f = traced(FORMULAS["sums"])
    a = np.arange(1.0, math.prod(shape) + 1).reshape(shape)
    np.testing.assert_allclose(f(a=a, b=2.0)["y"], 3 * a - 0.5 + 7, rtol=1e-15)


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@given(a=st.floats(1.5, 5000), b=st.floats(1.5, 5000))
def test_derivatives_are_those_of_the_formula_on_either_side(formula: Formula, a: float, b: float) -> None:
    f = traced(formula)
    value, by = gradient(f.graph, f.outputs["y"], {"a": a, "b": b})
    assert value == pytest.approx(f.at(a, b)[0], rel=1e-12, abs=1e-9)
    for i, name in enumerate("ab"):
        slope = Function(f.graph, {"y": derivative(f.graph, f.outputs["y"], name)}, f.variables).at(a, b)[0]
        assert by[name] == pytest.approx(slope, rel=1e-9, abs=1e-9)
        sides: list[float] = []
        for step in (1e-6 * (a, b)[i], 5e-7 * (a, b)[i]):
            ends = [smooth(formula, a + (i == 0) * s, b + (i == 1) * s) for s in (-step, 0, step)]
            sides += [(ends[1] - ends[0]) / step, (ends[2] - ends[1]) / step]
        # no corner here, and no jump on both sides: over one, half the step makes it twice as steep
        if max(sides) - min(sides) < 1e-3 * (abs(sides[0]) + abs(sides[1]) + 1):
            mean = (sides[0] + sides[1]) / 2
            assert slope == pytest.approx(mean, rel=1e-4, abs=1e-4 * (1 + abs(smooth(formula, a, b))))


def smooth(formula: Formula, a: float, b: float) -> float:
    """The formula without roundings, which derivatives look through, and with its switches as they are here."""
    graph = Graph({"a": a, "b": b})
    made = formula_without_rounding(formula, graph)
    return made if isinstance(made, float) else float(made)


def formula_without_rounding(formula: Formula, graph: Graph) -> Any:
    a, b = graph.variable("a"), graph.variable("b")
    try:
        made = formula(a, b)
    except NotPolynomial:
        return float(formula(a.value, b.value))
    if not isinstance(made, Sum):
        return float(made)
    if any(atom.op != "variable" for atom in graph.atoms):
        return float(formula(a.value, b.value))
    numbers = [graph.point[graph.atoms[i].name] for i in range(len(graph.atoms))]
    return sum(c * math.prod(numbers[atom] ** k for atom, k in product) for product, c in made.products.items())


def test_equal_work_is_recorded_once() -> None:
    graph = Graph()
    n = graph.variable("n")
    outputs = [maximum(n * 2, 5) + 1, maximum(5, n + n) * 3]
    assert size(graph, outputs) == {"variable": 1, "max": 1}


def test_what_can_never_be_the_largest_is_dropped() -> None:
    n = Graph().variable("n")
    assert maximum(maximum(n, 5), n + 1).products == maximum(5, n + 1).products
    assert maximum(2 * n, n) is not None
    assert maximum(2 * n, n).products == (2 * n).products
    assert minimum(n, 3 * n).products == n.products
    assert leading([n, 2 * n, n + 5, 3]) == [1, 2]
    assert (at_least(n + 5, 5), at_least(1, n + 2)) == (1, 0)


def test_constants_are_plain_numbers() -> None:
    n = Graph().variable("n")
    assert (n - n, 0 * n, n / n, n**0) == (0, 0, 1, 1)


def test_a_quotient_that_divides_evenly_is_not_rounded_up() -> None:
    f = traced(lambda a, b: ceil(a / 49) + ceil(a * b / 3))
    n = np.arange(1, 3000.0)
    np.testing.assert_array_equal(f(a=49 * n, b=3.0)["y"], n + 49 * n)


def test_a_traced_number_has_neither_truth_nor_value() -> None:
    n = Graph().variable("n")
    for question in (bool, float):
        with pytest.raises(TypeError, match="traced number"):
            question(n)


def test_around_a_point_only_the_polynomial_is_left() -> None:
    graph = Graph({"n": 5000})
    n = graph.variable("n")
    made = maximum(n * n, 3 * n) + ceil(n / 64) * at_least(n, 4096) + 64 * (1 - 0.5**n)
    assert made.products == {((0, 2),): 1, ((0, 1),): 1 / 64, (): 64}
    with pytest.raises(NotPolynomial):
        0.9999**n


def test_a_quotient_by_a_sum_has_a_value_around_a_point_and_no_closed_form() -> None:
    graph = Graph({"n": 5000})
    n = graph.variable("n")
    assert float(1 / (n + 1) + 2 * n) == 1 / 5001 + 10000
    assert float((n * n + n) / (n + 1)) == 5000
    assert expand(lambda v: 1 / (v["N"] + v["a"]) + v["N"], {"a": 3}, 5000) is None
    assert expand(lambda v: v["N"] + v["a"], {"a": 3}, 5000).coefficients == (3, 1)


def test_a_division_that_comes_out_even_is_a_polynomial_again() -> None:
    def whole_tiles(v):  # pairs N (N + 1) / 2 at a rate, with half a tile of keys more for every query
        mean = (v["N"] + 1) / 2
        return v["N"] * mean / v["P"] * ((mean + 64) / mean) + v["N"] / v["P"] + 7

    found = expand(whole_tiles, {"P": 2.0}, 5000)
    assert found.coefficients == pytest.approx((7, 64.5 / 2 + 1 / 2, 1 / 4))
    assert found.texts == ("7", "65.5 / P", "0.5 / P")


def test_a_division_with_something_over_or_by_two_sums_is_none() -> None:
    def mean(v):
        return (v["N"] + 1) / 2

    assert expand(lambda v: (v["N"] * mean(v) + 5) / mean(v), {}, 5000) is None
    assert expand(lambda v: v["N"] ** 2 / mean(v), {}, 5000) is None
    assert expand(lambda v: v["N"] * mean(v) ** 2 / mean(v) / (v["N"] + 2), {}, 5000) is None
    assert expand(lambda v: (v["N"] + v["a"]) / (v["N"] + v["a"]), {"a": 3.0}, 5000) is None


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"a": 1}, "wrong or missing: b"),
        ({"a": 1, "b": 2, "c": 3}, "wrong or missing: c"),
        ({"a": [1, 2, 3], "b": [1, 2]}, "do not broadcast"),
        ({"a": "many", "b": [1.0]}, "not a number"),
        ({"a": np.nan, "b": [1.0]}, "finite"),
        ({"a": [0.0], "b": 1}, "above 0"),
        ({"a": [None], "b": 1}, "not a number|finite"),
    ],
)
def test_values_that_cannot_be_are_told(values: dict[str, Any], wrong: str) -> None:
    with pytest.raises((InputError, UnknownName), match=wrong):
        traced(FORMULAS["sums"])(**values)


def test_signs_powers_and_inverses_are_exact() -> None:
    f = traced(lambda a, b: -a + 3 * b + a**-2 + 2 / (a * b) - (a + b) ** -1)
    assert f.at(2.0, 5.0)[0] == pytest.approx(-2 + 15 + 1 / 4 + 2 / 10 - 1 / 7, rel=1e-15)


@pytest.mark.parametrize("size", [0.3, 1 / 7, math.pi, 2.5e-7, 12.0])
def test_a_rounding_of_any_size_is_that_of_the_number(size: float) -> None:
    graph = Graph()
    n = graph.variable("n")  # may be no whole number
    f = Function(graph, {"y": ceil(n * size) + ceil(n * size + 2 * n)}, ("n",))
    for value in (1.0, 2.5, 17.0, 9999.0):
        assert f.at(value)[0] == math.ceil(value * size) + math.ceil(value * size + 2 * value)


def test_extremes_of_equal_and_of_constant_numbers() -> None:
    n = Graph().variable("n")
    assert maximum(n, n).products == minimum(n, n).products == n.products
    assert (maximum(n - n + 3, 2), minimum(n - n + 3, 2)) == (3, 2)
    assert not (n - 5).positive
    assert ((n - 5) * (n - 5)).positive is False
    assert (1 / (n * n)).positive


def test_a_form_has_the_root_that_is_nearest() -> None:
    form = expand(lambda v: (v["N"] - 30) * (v["N"] - 500) * v["k"], {"k": 2.0}, 400)
    assert form is not None
    assert form.coefficients == (30_000, -1060, 2)
    assert form.root(400) == pytest.approx(500)
    assert form.root(40) == pytest.approx(30)
    assert (form.formula or "").startswith("N = (−c1 ±")
    line = expand(lambda v: 3 * v["N"] - v["k"] * 12, {"k": 2.0}, 400)
    assert line is not None
    assert line.root(1) == 8
    assert line.texts == ("- 12 k", "3")
    assert expand(lambda v: v["k"] / v["N"], {"k": 2.0}, 400) is None
    assert expand(lambda v: 5.0, {"k": 2.0}, 400) is None


def test_terms_are_told_by_their_size_and_small_ones_only_counted() -> None:
    values = {"a": 2.0, "b": 10.0, "c": 1e-9}
    told = text({(("a", 1),): 3.0, (("b", -1), ("a", 2)): -100.0, (("c", 1),): 1.0, (): 0.0}, values)
    assert told == "- 100 a^2 / b + 3 a + 1 smaller"


def test_a_call_is_written_once_and_its_results_are_read_from_it() -> None:
    graph = Graph()
    a = graph.variable("a")
    first, second = graph.called("f", (2 * a, 3.0), 2)
    same, _ = graph.called("f", (2 * a, 3.0), 2)
    other, _ = graph.called("f", (2 * a, 4.0), 2)
    assert (first - same, first.positive) == (0.0, True)
    text = javascript_list(graph, [first + 5 * second, other], {"a": "x"}, ["x"])
    assert text.splitlines() == [
        "(x) => {", "let r0, r1;", "r0 = f(2.0 * x, 3.0);", "r1 = f(2.0 * x, 4.0);",
        "return [r0[0] + 5.0 * r0[1],r1[0]];", "}",
    ]  # fmt: skip


def test_what_only_more_outputs_need_comes_after_the_others_are_given() -> None:
    graph = Graph()
    a, b = graph.variable("a"), graph.variable("b")
    text = javascript_list(graph, [maximum(a, b)], {"a": "x", "b": "y"}, ["x", "y"], [maximum(a, 7), a], "more")
    assert text.splitlines() == [
        "(x,y) => {", "let r0, r1;", "r0 = Math.max(x, y);", "if (!more) return [r0];", "r1 = Math.max(x, 7.0);",
        "return [r1,x];", "}",
    ]  # fmt: skip
