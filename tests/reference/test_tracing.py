"""Traced formulas against the same formulas worked out as trees of plain numbers: values, slopes, text, polynomials."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest

from roofsim.engine.compiled import Function
from roofsim.engine.derivative import derivative, gradient
from roofsim.engine.emit import symbolic
from roofsim.engine.graph import Graph, NotPolynomial, Sum
from roofsim.engine.regime import LENGTH, Expansion, expand, text
from roofsim.foundation.arith import at_least, ceil, leading, maximum, minimum, share
from roofsim.foundation.errors import InputError

NAMES = ("a", "b", "c")
Values = Mapping[str, float]


@dataclass(frozen=True)
class Tree:
    """A formula: an operation on other formulas, a variable or a number."""

    op: str
    parts: tuple[Any, ...]

    def traced(self, given: Mapping[str, Any]) -> Any:
        """The formula with `arith` on whatever is given."""
        if self.op == "variable":
            return given[self.parts[0]]
        if self.op == "number":
            return self.parts[0]
        if self.op == "base":
            return self.parts[0] ** self.parts[1].traced(given)
        if self.op == "power":
            return self.parts[0].traced(given) ** self.parts[1]
        x, y = (part.traced(given) for part in self.parts)
        return {
            "+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y, "/": lambda: x / y,
            "max": lambda: maximum(x, y), "min": lambda: minimum(x, y), "ceil": lambda: ceil(x) * y,
            "switch": lambda: at_least(x, y) * x, "share": lambda: (share(x) if isinstance(x, Sum) else x) + y,
        }[self.op]()  # fmt: skip

    def value(self, given: Values, rounding: bool = True) -> float:
        """What it is at some values, by Python's own arithmetic."""
        if self.op == "variable":
            return given[self.parts[0]]
        if self.op == "number":
            return self.parts[0]
        if self.op == "base":
            return self.parts[0] ** self.parts[1].value(given, rounding)
        if self.op == "power":
            return self.parts[0].value(given, rounding) ** self.parts[1]
        x, y = (part.value(given, rounding) for part in self.parts)
        return {
            "+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y, "/": lambda: x / y,
            "max": lambda: max(x, y), "min": lambda: min(x, y),
            "ceil": lambda: (math.ceil(x - 1e-9) if rounding else x) * y,
            "switch": lambda: x if x >= y else 0.0, "share": lambda: x + y,
        }[self.op]()  # fmt: skip


def drawn(random: Random, depth: int) -> Tree:
    """A random formula; its divisors and bases are above nought."""
    if depth == 0:
        if random.random() < 0.7:
            return Tree("variable", (random.choice(NAMES),))
        return Tree("number", (random.choice([1, 2, 3, 0.5, 7, 1 / 3]),))
    op = random.choice(["+", "+", "-", "*", "*", "/", "max", "min", "ceil", "switch", "share", "power", "base"])
    if op == "power":
        return Tree(op, (drawn(random, depth - 1), random.choice([2, 3])))
    if op == "base":
        return Tree(op, (random.choice([0.5, 0.9]), Tree("variable", (random.choice(NAMES),))))
    if op == "/":
        below = Tree("+", (Tree("variable", (random.choice(NAMES),)), Tree("variable", (random.choice(NAMES),))))
        return Tree(op, (drawn(random, depth - 1), random.choice([below, Tree("variable", (random.choice(NAMES),))])))
    return Tree(op, (drawn(random, depth - 1), drawn(random, depth - 1)))


FORMULAS = [drawn(Random(seed), depth) for seed in range(60) for depth in (2, 3, 4)]
POINTS = [{"a": 2.0, "b": 3.5, "c": 5.25}, {"a": 7.1, "b": 1.3, "c": 0.6}, {"a": 1.7, "b": 4.9, "c": 2.2}]


def of(formula: Tree) -> tuple[Graph, Any]:
    graph = Graph()
    return graph, formula.traced({name: graph.variable(name) for name in NAMES})


def close(number: float) -> Any:
    return pytest.approx(number, rel=1e-9, abs=1e-9)


def test_a_compiled_formula_gives_the_numbers_of_its_tree_one_by_one_and_in_arrays() -> None:
    for formula in FORMULAS:
        graph, output = of(formula)
        f = Function(graph, {"y": output, "twice": output * 2}, NAMES)
        expected = [formula.value(point) for point in POINTS]
        assert [f(**point)["y"] for point in POINTS] == [close(each) for each in expected], formula
        arrays = {name: np.array([point[name] for point in POINTS]) for name in NAMES}
        assert list(np.broadcast_to(f(**arrays)["twice"], 3)) == [close(2 * each) for each in expected], formula


def test_an_array_of_many_points_is_covered_in_pieces() -> None:
    graph, output = of(Tree("*", (Tree("variable", ("a",)), Tree("variable", ("b",)))))
    f = Function(graph, {"y": output}, ("a", "b"))
    for shape in ((3, 5000), (20_000,), (2, 3, 4000), (1, 9000)):
        a, b = np.arange(1.0, math.prod(shape) + 1).reshape(shape), np.arange(1.0, shape[-1] + 1)
        np.testing.assert_array_equal(f(a=a, b=b)["y"], a * b)


def evaluated(source: str, values: Values) -> Any:
    """A JavaScript function of ours, read as Python: it has assignments, arithmetic and a few functions."""
    body = source.removeprefix("(x) => {").removesuffix("}")
    body = re.sub(r"let [^;]*;", "", body).replace("const ", "").replace(" ? 1 : 0)", ")")
    *steps, last = [line.strip() for line in body.split(";") if line.strip()]
    known: dict[str, Any] = {"x": dict(values), "Math": Mathematics}
    exec("\n".join(steps), known)
    return eval(last.removeprefix("return "), known)


class Mathematics:
    max, min, ceil, pow = max, min, math.ceil, pow


def test_javascript_gives_the_numbers_of_the_tree() -> None:
    for formula in FORMULAS:
        graph, output = of(formula)
        source = Function(graph, {"y": output, "other": output + 1}, NAMES).javascript()
        for point in POINTS:
            found = evaluated(source, point)
            assert (found["y"], found["other"]) == (close(formula.value(point)), close(formula.value(point) + 1))


def test_somebody_elses_expressions_give_the_numbers_of_the_tree() -> None:
    functions = {
        "max": max, "min": min, "ceil": lambda x, below: math.ceil(x / below), "power": pow,
        "at_least": lambda x, y: float(x >= y),
    }  # fmt: skip
    for formula in FORMULAS:
        graph, output = of(formula)
        for point in POINTS:
            found = symbolic(graph, output, point.__getitem__, functions)
            assert float(found) == close(formula.value(point)), formula


def slope(formula: Tree, point: Values, name: str, step: float = 1e-6) -> float | None:
    """The slope of the formula without its roundings; None where a choice changes within the step."""
    changed = [formula.value({**point, name: point[name] + way * step}, rounding=False) for way in (-1, 0, 1)]
    below, above = (changed[1] - changed[0]) / step, (changed[2] - changed[1]) / step
    return (below + above) / 2 if abs(above - below) < 1e-3 * (1 + abs(above)) else None


def smooth(formula: Tree) -> bool:
    """Whether nothing is rounded in it: derivatives look through roundings, choices do not."""
    return formula.op != "ceil" and all(smooth(part) for part in formula.parts if isinstance(part, Tree))


def test_derivatives_are_the_slopes_of_the_tree() -> None:
    compared = 0
    for formula in filter(smooth, FORMULAS):
        graph, output = of(formula)
        slopes = {name: derivative(graph, output, name) for name in NAMES}
        f = Function(graph, slopes, NAMES)
        for point in POINTS:
            value, back = gradient(graph, output, point)
            assert value == close(formula.value(point)), formula
            for name in NAMES:
                expected = slope(formula, point, name)
                if expected is not None:
                    compared += 1
                    assert f(**point)[name] == pytest.approx(expected, rel=1e-4, abs=1e-4), (formula, name)
                    assert back[name] == pytest.approx(expected, rel=1e-4, abs=1e-4), (formula, name)
    assert compared > 300


def test_a_rounding_has_the_slope_of_what_it_rounds() -> None:
    graph = Graph()
    a = graph.variable("a")
    output = ceil(a / 3) * 2 + ceil(a * a / 5)
    point = {"a": 7.0}
    assert Function(graph, {"y": derivative(graph, output, "a")}, ("a",))(**point)["y"] == close(2 / 3 + 14 / 5)
    value, slopes = gradient(graph, output, point)
    assert (value, slopes["a"]) == (3 * 2 + 10, close(2 / 3 + 14 / 5))


@pytest.mark.parametrize("point", [(1, 2, 3), (3, 1, 2), (2, 3, 1), (1, 3, 2), (3, 2, 1), (2, 1, 3)])
def test_of_three_the_largest_and_the_smallest_alone_have_a_slope(point: tuple[float, ...]) -> None:
    graph = Graph()
    variables = [graph.variable(name) for name in NAMES]
    at = dict(zip(NAMES, map(float, point), strict=True))
    for function, number in ((maximum, 3), (minimum, 1)):
        output = function(function(*variables[:2]), variables[2]) * 5
        expected = {name: 5.0 if value == number else 0.0 for name, value in at.items()}
        assert gradient(graph, output, at) == (5 * number, expected)
        slopes = {name: derivative(graph, output, name) for name in NAMES}
        assert Function(graph, slopes, NAMES)(**at) == expected


@pytest.mark.parametrize("wrong", [[0.0], [-1.0, 2.0], [np.nan], [np.inf]])
def test_sizes_are_above_nought_and_finite(wrong: list[float]) -> None:
    graph = Graph()
    f = Function(graph, {"y": graph.variable("a") * 2}, ("a",))
    with pytest.raises(InputError):
        f(a=wrong)


def test_around_a_point_a_formula_is_the_polynomial_that_holds_there() -> None:
    for formula in FORMULAS:
        for point in POINTS:
            graph = Graph(dict(point))
            try:
                made = formula.traced({name: graph.variable(name) for name in NAMES})
            except NotPolynomial:
                continue
            if not isinstance(made, Sum):
                continue
            assert float(made) == pytest.approx(formula.value(point), abs=1e-6), formula
            divides = any(atom.op != "variable" for atom in graph.atoms)
            if smooth(formula) and "base" not in repr(formula) and not divides:
                at = [point[atom.name] for atom in graph.atoms]
                total = sum(c * math.prod(at[i] ** k for i, k in powers) for powers, c in made.products.items())
                assert total == close(formula.value(point)), formula


def test_what_is_seen_without_numbers() -> None:
    graph = Graph()
    n, m = graph.variable("n", whole=True), graph.variable("m")
    assert (ceil(n * 2 + 1).products, ceil(n).products) == ((n * 2 + 1).products, n.products)
    assert at_least(n + 1, 1) == at_least(n + m, n) == 1
    assert at_least(1, n + 2) == at_least(n, n + 1) == 0
    assert maximum(n, n + m).products == (n + m).products
    assert minimum(n, n + m).products == n.products
    assert isinstance(maximum(n, m), Sum)
    assert isinstance(at_least(n, m), Sum)
    assert leading([n, n + m, 3, m]) == [1, 2]
    assert leading([5, n, m]) == [0, 1, 2]
    assert maximum(maximum(n, m), n + 1).products == maximum(m, n + 1).products
    assert (n - m).positive is False
    assert ((n - m) ** 2).positive is False  # the product of both hides it
    assert (n * m + m).positive
    assert (n * m).whole is False
    assert (2 * n).whole
    assert (n / 2).whole is False
    assert maximum(n - m, m).positive
    assert minimum(n - m, m).positive is False
    assert maximum(n - m, m - n).positive is False
    assert minimum(n, m).positive
    assert [maximum(n, 2 * n + m).whole, minimum(n, m).whole, minimum(n, 3).whole] == [False, False, True]


def expansion(*terms: dict[tuple[tuple[str, int], ...], float]) -> Expansion:
    return Expansion(terms, {"P": 4.0, "W": 2.0})


def test_a_figure_is_told_as_a_polynomial_in_the_length() -> None:
    def figure(v: Mapping[str, Any]) -> Any:
        n = v[LENGTH]
        return maximum(3 * n * n / v["P"] - 6 * n / v["W"], n / 1000) + 5

    found = expand(figure, {"P": 4.0, "W": 2.0}, 100)
    assert found is not None
    assert found.terms == ({(): 5.0}, {(("W", -1),): -6.0}, {(("P", -1),): 3.0})
    assert found.coefficients == (5, -3, 3 / 4)
    assert found.texts == ("5", "- 6 / W" if found.texts[1].startswith("- ") else "-6 / W", "3 / P")
    assert found.formula == "N = (−c1 ± √(c1² − 4 c2 c0)) / (2 c2)"
    assert expand(lambda v: 3.0, {"P": 4.0}, 100) is None
    assert expand(lambda v: 1 / v[LENGTH] + v[LENGTH], {"P": 4.0}, 100) is None
    assert expand(lambda v: 1 / (v[LENGTH] + v["P"]), {"P": 4.0}, 100) is None


def test_roots_are_those_of_the_polynomial_nearest_to_a_length() -> None:
    line = expansion({(): -6.0}, {(("P", 1),): 1.0})  # 4 N − 6
    assert (line.root(100), line.formula) == (1.5, "N = −c0 / c1")
    square = expansion({(): 12.0}, {(): -14.0}, {(("W", 1),): 1.0})  # 2 (N − 1) (N − 6)
    assert [square.root(near) for near in (0, 3, 4, 9)] == [1, 1, 6, 6]
    assert expansion({(): 6.0}, {(): -1.0}, {(): 1.0}).root(3) is None
    double = expansion({(): 9.0}, {(): -6.0}, {(): 1.0})
    assert double.root(100) == 3
    assert expansion({(): 1.0}).root(3) is None
    assert expansion({}, {}, {}, {(): 1.0}).root(3) is None
    assert expansion({}, {}, {}, {(): 1.0}).formula is None


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({(): 5.0}, "5"),
        ({}, "0"),
        ({(("P", 1), ("W", -1)): 2.5}, "2.5 P / W"),
        ({(("P", 2), ("W", 3)): 1234.5}, "1.23e+03 P^2 W^3"),
        ({(("P", -1), ("W", -2)): 1.0}, "1 / (P W^2)"),
        ({(): 1.0, (("P", 1),): -2.0}, "- 2 P + 1"),
        ({(("P", 1),): 2.0, (): -1.0}, "2 P - 1"),
        ({(): 1e-4, (("P", 1),): 1.0}, "1 P + 1 smaller"),
        ({(): 0.0, (("P", 1),): 1.0}, "1 P"),
        ({(("W", 1),): 1.5, (("P", 1),): 1.0}, "1 P + 1.5 W"),
        ({((f"x{i}", 1),): float(20 - i) for i in range(10)}, None),
    ],
)
def test_a_sum_is_written_with_its_largest_terms_first(terms: Any, expected: str | None) -> None:
    values = {"P": 4.0, "W": 2.0} | {f"x{i}": 1.0 for i in range(10)}
    if expected is None:
        assert text(terms, values) == " + ".join(f"{20 - i} x{i}" for i in range(8)) + " + 2 smaller"
    else:
        assert text(terms, values) == expected
