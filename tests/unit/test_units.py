from __future__ import annotations

import math
import string
from contextlib import suppress
from itertools import pairwise

import pint
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from roofsim.foundation.units import (
    BINARY,
    DECIMAL,
    EXAMPLES,
    SPOKEN,
    UNITS,
    finite,
    is_quantity,
    parse,
    parse_count,
    parse_counts,
    parse_short_count,
    short_count,
    show,
    whole,
)

PREFIXED = [(f"{p}{unit}", unit) for unit in UNITS if unit for p in DECIMAL]
PREFIXED += [(f"{p}{unit}", unit) for unit in ("B", "B/s") for p in BINARY]
PREFIXED += [(word, unit) for unit, words in SPOKEN.items() for word in words]
NAMED = [unit for unit in UNITS if unit]
RIGHT = "write it like"


@pytest.fixture(scope="module")
def registry() -> pint.UnitRegistry:
    units = pint.UnitRegistry()
    units.define("FLOP = [work]")
    units.define("USD = [money]")
    units.define("y = year")
    return units


@pytest.mark.parametrize(("written", "unit"), PREFIXED)
def test_every_prefixed_unit_is_what_pint_says(registry: pint.UnitRegistry, written: str, unit: str) -> None:
    name = written.replace("μ", "µ")
    assert parse(f"2.5 {written}", unit) == pytest.approx(registry.Quantity(2.5, name).m_as(unit), rel=1e-12)


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_has_an_example_that_parses(unit: str) -> None:
    assert parse(EXAMPLES[unit], unit) > 0


@given(
    value=st.floats(1e-17, 1e20), unit=st.sampled_from(NAMED), digits=st.integers(2, 12), sign=st.sampled_from((1, -1))
)
def test_what_is_shown_parses_back_within_the_digits_shown(value: float, unit: str, digits: int, sign: int) -> None:
    assert parse(show(sign * value, unit, digits), unit) == pytest.approx(sign * value, rel=0.5001 * 10 ** (1 - digits))


@given(value=st.floats(1e-17, 1e20), unit=st.sampled_from([u for u in NAMED if not u.startswith(("USD", "g/"))]))
def test_what_is_shown_has_three_digits_and_a_prefix_that_leaves_one_to_three_before_the_point(
    value: float, unit: str
) -> None:
    assume(unit != "B" or 1 <= value < 1000 * 2**60)
    assume(unit != "s" or value < 999 * 365 * 86_400)
    number, _ = show(value, unit).split(" ")
    assert 1 <= float(number.replace(",", "")) < 1024
    shown = sum(map(number.count, string.digits))
    assert shown == (3 if float(number.replace(",", "")) < 1000 else 4)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0, "B/s", "0 B/s"),
        (math.nan, "s", "–"),
        (math.inf, "s", "∞"),
        (-math.inf, "s", "-∞"),
        (1599, "USD", "1,599 USD"),
        (999.6, "s", "16.7 min"),
        (1270, "s", "21.2 min"),
        (3590, "s", "59.8 min"),
        (-3599, "s", "-1.00 h"),
        (3600 * 2.5, "s", "2.50 h"),
        (86_400 * 300, "s", "300 d"),
        (86_400 * 400, "s", "1.10 y"),
        (1000, "J", "1.00 kJ"),
        (2**52, "B", "4.00 PiB"),
        (999.4, "s", "999 s"),
        (1023.9, "B", "1.00 KiB"),
        (1e9, "B", "954 MiB"),
        (128, "", "128"),
        (9.999, "", "10.0"),
        (12e-6, "s", "12.0 us"),
    ],
)
def test_shown_quantities(value: float, unit: str, shown: str) -> None:
    assert show(value, unit) == shown


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", "B"), ("B", "B"), ("5", "B"), ("5 b", "B"), ("5 kib", "B"), ("5 KB", "B"), ("5 GB/s", "B"), ("5 B", "B/s"),
        ("5 KiFLOP", "FLOP"), ("5 YB", "B"), ("5 G B", "B"), ("nan B", "B"), ("inf B", "B"), ("-inf s", "s"),
        ("1e999 B", "B"), ("5 kh", "s"), ("5 mins", "s"), ("5 min", "J"), ("5 m", "s"),
        ("5 k", ""), ("5 %", ""), ("0x10", ""), ("1/2", ""),
        ("5 J/GB", "J/B"), ("+-5 s", "s"), ("five s", "s"), ("5 5 s", "s"),
    ],
)  # fmt: skip
def test_what_is_no_quantity_is_refused_with_what_was_read(text: str, unit: str) -> None:
    with pytest.raises(ValueError, match="is not") as error:
        parse(text, unit)
    assert f"'{text}'" in str(error.value)


def test_a_wrong_unit_is_told_how_to_write_it() -> None:
    with pytest.raises(ValueError, match=r"'3\.35TBs' is not a quantity in B/s; write it like '1008 GB/s'"):
        parse("3.35TBs", "B/s")


@pytest.mark.parametrize("text", ["3,35 TB/s", "1,5 GB/s", "1,,000 GB/s", "1,0000 GB/s"])
def test_a_comma_that_does_not_part_thousands_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=RIGHT):
        parse(text, "B/s")


@pytest.mark.parametrize(
    "text", ["1,008 GB/s", "1008GB/s", " 1.008e3  GB/s ", "1_008 GB/s", "1.008 TB/s", "+1008 GB/s"]
)
def test_one_bandwidth_can_be_written_in_many_ways(text: str) -> None:
    assert parse(text, "B/s") == pytest.approx(1008e9, rel=1e-15)


texts = st.text(alphabet=string.printable + "µμ٣²") | st.from_regex(
    r"[0-9]{1,3}e[0-9]{1,4} [kGE]?(B|s)", fullmatch=True
)


@given(text=texts, unit=st.sampled_from(list(UNITS)))
def test_any_text_is_a_finite_number_or_a_value_error(text: str, unit: str) -> None:
    with suppress(ValueError):
        assert math.isfinite(parse(text, unit))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1", 1), ("4096", 4096), ("32k", 32768), ("32K", 32768), ("1M", 2**20), ("1.5M", 1572864), ("0.5k", 512),
        (" 7 ", 7), ("1,024", 1024), ("4_096", 4096), ("1000000000000", 10**12), ("4096.0", 4096),
        ("1e5", 100_000), ("1E+5", 100_000),
        ("1.5e3", 1500), ("1.1e1", 11),
    ],
)  # fmt: skip
def test_counts(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k",
        "0",
        "-1",
        "+1",
        "1.5",
        "1.0001k",
        "1e-1",
        "1e13",
        "1e5k",
        "1e",
        "1g",
        "32 k",
        "0x10",
        "1.",
        "1000000000001",
        "1000000M",
        "nan",
        "1,5k",
    ],
)
def test_what_is_no_count_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=RIGHT) as error:
        parse_count(text)
    assert f"'{text}'" in str(error.value)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("128", [128]),
        ("1k,4k,32k", [1024, 4096, 32768]),
        ("1k..8k", [1024, 2048, 4096, 8192]),
        ("1k..256k*4", [1024, 4096, 16384, 65536, 262144]),
        ("1k..4k+1k", [1024, 2048, 3072, 4096]),
        ("3..20*2", [3, 6, 12]),
        ("5..5", [5]),
        ("7,1..4", [7, 1, 2, 4]),
        ("1e3,1e3..4e3", [1000, 1000, 2000, 4000]),
        ("4,096", [4096]),
        ("1,048,576", [1_048_576]),
        ("1,024,2,048", [1024, 2048]),
        ("128,256", [128, 256]),
    ],
)
def test_lists_and_ranges_of_counts(text: str, counts: list[int]) -> None:
    assert parse_counts(text) == counts


NO_FACTORS = ["1", "0.5", "-2", "nan", "inf", "abc", ""]
NO_STEPS = ["", "0", "0.5", "-1"]


@pytest.mark.parametrize(
    "text",
    ["", "1,", "1..", "..4", "1..2..3", "8k..1k", *(f"1..8*{f}" for f in NO_FACTORS), *(f"1..8+{s}" for s in NO_STEPS)],
)
def test_what_is_no_range_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=RIGHT):
        parse_counts(text)


def test_a_range_of_a_million_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 100,000"):
        parse_counts("1..1000000+1")


@given(low=st.integers(1, 1000), span=st.integers(0, 10**6), factor=st.floats(1.01, 10))
def test_a_range_grows_from_its_low_end_and_stays_below_its_high_end(low: int, span: int, factor: float) -> None:
    counts = parse_counts(f"{low}..{low + span}*{factor!r}")
    assert counts[0] == low
    assert counts[-1] <= low + span
    assert all(a < b for a, b in pairwise(counts))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8030261248", 8_030_261_248),
        ("8.03B", 8_030_000_000),
        ("350m", 350_000_000),
        ("1T", 10**12),
        ("7e9", 7 * 10**9),
    ],
)
def test_a_number_of_parameters_is_read_as_the_field_writes_it(text: str, value: int) -> None:
    assert parse_short_count(text) == value


@pytest.mark.parametrize("text", ["", "B", "8.2X", "-1B", "1e-9", "1e9B", "8,0.3B"])
def test_what_is_no_number_of_parameters_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number of parameters; write it like"):
        parse_short_count(text)


@given(st.integers(1, 10**14))
def test_a_short_count_says_the_number_to_three_digits(value: int) -> None:
    assert parse_short_count(short_count(value)) == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(("written", "value"), [("1.5e3", 1500.0), (" -2 ", -2.0), (7, 7.0), (0.25, 0.25)])
def test_plain_numbers_are_read(written: object, value: float) -> None:
    assert finite(written) == value


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1.2.3", "'1.2.3' is not a number"),
        ("1²", "'1²' is not a number"),
        (None, "nothing is not a number"),
        (True, "'True' is not a number"),
        ([1], "is not a number"),
        ("nan", "'nan' is not finite"),
        ("9" * 400, "is not finite"),
        (10**400, "is not finite"),
    ],
)
def test_what_is_no_number_that_can_be_computed_with_is_refused(written: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        finite(written)


@pytest.mark.parametrize(("written", "value"), [("12", 12), (12.0, 12), ("1e3", 1000), (1, 1), (10**6, 10**6)])
def test_whole_numbers_are_read(written: object, value: int) -> None:
    found = whole(written, 1, 10**6)
    assert (found, type(found)) == (value, int)


@pytest.mark.parametrize("written", ["1.5", "0", "1000001", "two", None, -1])
def test_what_is_no_whole_number_within_the_limits_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"is not a whole number from 1 to 10\^6"):
        whole(written, 1, 10**6)
    with pytest.raises(ValueError, match="from 2,000 to 3,000"):
        whole(written, 2000, 3000)


@pytest.mark.parametrize(("text", "measured"), [("12 us", True), ("2 min", True), ("12", False), ("2 m", False)])
def test_a_quantity_is_told_by_its_unit(text: str, measured: bool) -> None:
    assert is_quantity(text) is measured
