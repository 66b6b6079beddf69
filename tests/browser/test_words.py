"""What the page writes and reads: quantities as roofsim itself says them, and what people type."""

from __future__ import annotations

import math

import pytest

from roofsim.foundation import units


@pytest.fixture(scope="module")
def text(browser, address):
    page = browser.new_page()
    page.goto(address)
    yield lambda function, *given: page.evaluate(
        "([f, given]) => roofsim.view.text[f](...given)", [function, list(given)]
    )
    page.close()


@pytest.mark.parametrize("unit", ["s", "B", "J", "B/s", "FLOP/s", "FLOP"])
def test_a_quantity_is_said_as_roofsim_says_it(text, unit):
    smallest = 1 if unit == "B" else 1e-9
    for value in (0.0, *(smallest * 1.7**n * 1.2345 for n in range(64))):
        if value < 1e17:
            assert text("say", value, unit).replace("µ", "u") == units.show(value, unit), value


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (16.84, "tokens/s", "16.8 tok/s"), (17125, "tokens", "17,125"), (12, "", "12"), (0.5, "%", "0.500 %"),
        (math.inf, "s", "∞"), (None, "J", "not known"),
    ],
)  # fmt: skip
def test_counts_and_rates_are_said_plainly(text, value, unit, words):
    assert text("say", value, unit) == words


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (32768, "tokens", "32k"), (2**20, "tokens", "1M"), (1000, "tokens", "1,000"), (6 * 2**30, "B", "6 GiB"),
        (100, "s", "100 s"), (3600, "s", "1 h"), (1.02e11, "B/s", "102 GB/s"), (1500, "sequences", "1,500"),
    ],
)  # fmt: skip
def test_ticks_and_fields_have_no_idle_zeros(text, value, unit, words):
    assert text("sayInput", value, unit) == words


@pytest.mark.parametrize(
    ("typed", "unit", "value"),
    [
        ("32k", "tokens", 32768), ("1.5M", "tokens", 1.5 * 2**20), ("1,024", "tokens", 1024), (" 12 ", "sequences", 12),
        ("3.35 TB/s", "B/s", 3.35e12), ("200G", "B/s", 2e11), ("24 GiB", "B", 24 * 2**30), ("24 GB", "B", 24e9),
        ("12 us", "s", 12e-6), ("12µs", "s", 12e-6), ("989 TFLOP/s", "FLOP/s", 9.89e14), ("0.8", "", 0.8),
        ("2e12", "B/s", 2e12),
    ],
)  # fmt: skip
def test_what_is_typed_is_read_as_people_mean_it(text, typed, unit, value):
    assert text("parse", typed, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("typed", "unit"), [("", "tokens"), ("much", "s"), ("-3", "tokens"), ("12 GB/s", "s"), ("3 kk", "B")]
)
def test_nonsense_is_no_number(text, typed, unit):
    assert text("parse", typed, unit) is None or math.isnan(text("parse", typed, unit))
