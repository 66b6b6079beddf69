"""Expressions over named numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from roofsim.foundation.errors import InputError
from roofsim.foundation.expression import most, parse

NAMES = {"tpot": 0.04, "memory": 5 * 2**30, "batch": 8.0, "model": "a-1", "device.memory.bandwidth": 1e12}


def value(text: str) -> object:
    return parse(text, "--derive", "a + b")(NAMES.__getitem__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tpot * batch + 1", 1.32),
        ("-batch ** 2 // 3 % 5", -22 % 5),
        ("device.memory.bandwidth / 1 GB/s", 1000),
        ("min(batch, 3, 4) + max(batch, 9) + abs(-1)", 13),
        ("log2(batch) + sqrt(4) + ceil(0.5) + floor(1.5) + exp(0) + log(1) + round(2.4)", 10),
        ("tpot < 50ms and memory <= 6 GiB", True),
        ("tpot < 50 us or not batch == 8", False),
        ("batch >= 16k / 2048", True),
        ("1 < batch <= 8 < 9", True),
        ("model == 'a-1' and model in ('a-1', 'b 2 GB')", True),
        ("model not in ['b', 'c'] and 'a' in model", True),
        ("model > 3", False),
        ("batch / 0 > 1", False),
    ],
)
def test_an_expression_is_worth_what_python_says_in_si_units(text, expected):
    assert value(text) == pytest.approx(expected)


def test_arrays_are_taken_element_by_element():
    columns = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([3.0, 2.0, 1.0]), "m": np.array(["x", "y", "x"])}
    keep = parse("not (a < 2 or b < 2) or m in ('x',) and max(a, b) == 3 and min(a, b, 2) >= 1", "--where", "")
    assert keep(columns.__getitem__).tolist() == [True, True, True]
    assert parse("not a < 2 and m == 'x'", "--where", "")(columns.__getitem__).tolist() == [False, False, True]
    assert parse("sqrt(a) + 0 * b", "--derive", "")(columns.__getitem__) == pytest.approx(np.sqrt([1, 2, 3]))


def test_what_divides_by_nought_is_no_number():
    assert math.isnan(value("batch / 0"))
    assert math.isnan(value("10.0 ** 400"))


def test_the_names_are_those_that_it_asks_for():
    assert parse("a.b.c + max(d, 2) < 'e'", "--where", "").names == {"a.b.c", "d"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read; write it like: a . b"),
        ("a +", "cannot be read"),
        ("__import__('os')", "not allowed"),
        ("a[0]", "not allowed"),
        ("a if b else c", "not allowed"),
        ("open('x')", "not allowed"),
        ("max()", "not allowed"),
        ("f(a).b", "not a name"),
        ("lambda: 1", "not allowed"),
        ("a << 3", "not allowed"),
        ("not " * 2500 + "a", "nested|cannot be read"),
        ("(" * 300 + "a" + ")" * 300, "cannot be read"),
        ("-model", "computes with a word"),
    ],
)
def test_what_is_no_expression_is_refused(text, says):
    with pytest.raises(InputError, match=says):
        value(text)


@pytest.mark.parametrize("text", ["a + 1", "3", "-a", "max(a, 2)", "(a, b)"])
def test_a_condition_is_not_a_number(text):
    with pytest.raises(InputError, match="not a condition"):
        parse(text, "--where", "a > 1", condition=True)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("tpot < 50 ms and memory <= 6 GiB", {"tpot": 0.05, "memory": 6 * 2**30}),
        ("50 ms > tpot and 40 ms >= tpot and tpot < 60 ms", {"tpot": 0.04}),
        ("tpot < 50 ms or memory < 6 GiB", {}),
        ("not tpot < 50 ms and memory > 6 GiB and batch < memory and batch == 2", {}),
    ],
)
def test_what_a_condition_allows_at_most(text: str, bounds: dict[str, float]) -> None:
    assert most(parse(text, "--where", "a < b", condition=True)) == bounds
