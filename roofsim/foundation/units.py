"""Quantities as people write them: the only doors between text and SI floats.

    >>> parse("1008 GB/s", "B/s")
    1008000000000.0
    >>> parse("24 GiB", "B")
    25769803776.0
    >>> show(1.008e12, "B/s")
    '1.01 TB/s'
    >>> show(25769803776, "B")
    '24.0 GiB'
    >>> show(1270, "s")
    '21.2 min'

Decimal prefixes are powers of 1000, binary ones (Ki, Mi, Gi, Ti, Pi, Ei) powers of 1024 and only for
bytes. A time may be in minutes, hours, days and years (min, h, d, y).
"""

from __future__ import annotations

import math
import re

from roofsim.foundation.errors import named

DECIMAL = {
    "a": -18, "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3,
    "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
"""SI prefixes and their powers of ten."""

BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
"""IEC prefixes and their powers of two."""

SPOKEN = {"s": {"min": 60.0, "h": 3600.0, "d": 86400.0, "y": 365.25 * 86400.0}}
"""What people say instead of prefixes from a thousand on: 21 min, not 1.27 ks."""

UNITS = {
    "B": "bytes",
    "B/s": "bandwidth",
    "FLOP/s": "rate of work",
    "FLOP": "work",
    "s": "time",
    "Hz": "frequency",
    "W": "power",
    "J": "energy",
    "J/B": "energy per byte",
    "J/FLOP": "energy per FLOP",
    "USD": "price",
    "USD/h": "price per hour",
    "USD/kWh": "price of electricity",
    "g/kWh": "carbon intensity",
    "": "number",
}
"""Every unit that a spec may use, and what it measures."""

_WHOLE = r"(?:\d{1,3}(?:,\d{3})+|\d[\d_]*)"
"""Digits, with thousands set off by commas or any by underscores; a decimal comma is not one of them."""

_QUANTITY = re.compile(rf"\s*([+-]?(?:{_WHOLE}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d,.].*?)?\s*")


def parse(text: str, unit: str) -> float:
    """The SI value of a quantity such as `3.35 TB/s`.

    Raises ValueError, whose text says what would be right, if `text` is not a number and a unit
    that measures the same as `unit`.
    """
    match = _QUANTITY.fullmatch(text)
    factor = _factor(match[2] or "", unit) if match else None
    if match is None or factor is None:
        raise ValueError(f"'{text}' is not a quantity in {unit or 'plain numbers'}; write it like '{EXAMPLES[unit]}'")
    value = float(match[1].replace("_", "").replace(",", "")) * factor
    if not math.isfinite(value):
        raise ValueError(f"'{text}' is not finite")
    return value


def is_quantity(text: str) -> bool:
    """Whether it is a number with a unit, of whatever."""
    match = _QUANTITY.fullmatch(text)
    return bool(match and any(_factor(match[2] or "", unit) for unit in UNITS if unit))


def finite(written: object) -> float:
    """A plain number, of a text or of JSON; raises ValueError for what is none, and for what is none in float64."""
    try:
        value = float(written) if isinstance(written, str | int | float) and not isinstance(written, bool) else None
    except OverflowError:  # of a whole number with more digits than there are
        value = math.inf
    except ValueError:
        value = None
    if value is None:
        raise ValueError(f"{named(written)} is not a number")
    if not math.isfinite(value):
        raise ValueError(f"{named(written)} is not finite")
    return value


def whole(written: object, least: int, most: int) -> int:
    """A whole number of a text or of JSON; raises ValueError for what is none between these two."""
    try:
        value = finite(written)
    except ValueError:
        value = math.nan
    if not least <= value <= most or value != int(value):
        raise ValueError(f"{named(written)} is not a whole number from {_power(least)} to {_power(most)}")
    return int(value)


def _power(limit: int) -> str:
    """A limit as people write it."""
    digits = len(str(limit)) - 1
    return f"10^{digits}" if limit == 10**digits and digits > 3 else f"{limit:,}"


def _factor(written: str, unit: str) -> float | None:
    """What one `written` is in `unit`, or None if it does not measure the same."""
    if written in SPOKEN.get(unit, {}):
        return SPOKEN[unit][written]
    if not written.endswith(unit):
        return None
    prefix = written[: len(written) - len(unit)]
    if prefix in BINARY and unit.startswith("B"):
        return float(2 ** BINARY[prefix])
    if prefix in DECIMAL and (unit or not prefix):
        return float(10 ** DECIMAL[prefix]) if DECIMAL[prefix] >= 0 else 1 / 10 ** -DECIMAL[prefix]
    return None


EXAMPLES = {
    "B": "24 GiB", "B/s": "1008 GB/s", "FLOP/s": "165.2 TFLOP/s", "FLOP": "2 GFLOP", "s": "12 us",
    "Hz": "2520 MHz", "W": "450 W", "J": "1 J", "J/B": "40 pJ/B", "J/FLOP": "1 pJ/FLOP", "USD": "1599 USD",
    "USD/h": "2.5 USD/h", "USD/kWh": "0.15 USD/kWh", "g/kWh": "400 g/kWh", "": "128",
}  # fmt: skip
"""How a quantity in each unit is written."""


def show(value: float, unit: str, digits: int = 3) -> str:
    """A quantity for people: `digits` significant digits, a sensible prefix (GiB for bytes), or minutes and hours."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size, nearly = abs(value), 1 - 0.5 * 10**-digits
    steps = _steps(unit, size >= 1000 * nearly)
    reached = [step for step in steps if size >= step[1] * nearly]
    name, step = (unit, 1.0) if size == 0 else (reached or steps[:1])[-1]
    return f"{significant(value / step, digits)} {name}".rstrip()


def _steps(unit: str, thousand: bool) -> list[tuple[str, float]]:
    """What quantities in a unit are shown in, and what one of each is; those from a `thousand` on may be spoken of."""
    if unit == "B":
        return [("B", 1.0), *((f"{prefix}B", 2.0**power) for prefix, power in BINARY.items())]
    if unit.startswith(("USD", "g/")) or not unit:
        return [(unit, 1.0)]
    if thousand and unit in SPOKEN:
        return list(SPOKEN[unit].items())
    return [(f"{p}{unit}", 10.0**e) for p, e in DECIMAL.items() if p not in "µμ" or p == ""]


def significant(value: float, digits: int = 3) -> str:
    """`value` with that many significant digits, never in exponent form."""
    if value == 0:
        return "0"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{decimals}f}"
    if len(text.replace(",", "").replace(".", "").lstrip("-0")) > max(digits, len(f"{abs(value):.0f}")):
        text = f"{value:,.{max(decimals - 1, 0)}f}"
    return text


MAX_COUNT = 10**12
"""The largest number of tokens or sequences."""

_COUNT = re.compile(rf"({_WHOLE}(?:\.\d+)?)(?:[eE]\+?(\d\d?)|([kKmM]))?")

_GROUPED = re.compile(r"(?=.*,0)\d{1,3}(?:,\d{3})+")
"""Thousands that can be no list."""


def parse_count(text: str, least: int = 1) -> int:
    """A number of tokens or sequences: `4096`, `32k` (32 × 1024, as the field says it), `1.5M`, `1e5`.

    Raises ValueError if it is not a whole number from `least` to 10¹².
    """
    match = _COUNT.fullmatch(text.strip())
    if match:
        value = float(f"{match[1].replace('_', '').replace(',', '')}e{match[2] or 0}")
        value *= 1024 ** {"": 0, "k": 1, "m": 2}[(match[3] or "").lower()]
        if least <= value <= MAX_COUNT and value == int(value):
            return int(value)
    raise ValueError(
        f"'{text}' is not a whole number from {least} to 10^12; write it like 4096, 32k (= 32768), 1.5M or 1e5"
    )


def parse_counts(text: str, least: int = 1) -> list[int]:
    """One count, a list `1k,4k,32k`, or a range `1k..256k*2` (a factor) or `1k..8k+1k` (a step).

    A comma parts values, but thousands where the three digits behind it begin with 0: `4,096` is one number. Raises
    ValueError as `parse_count` does, or if the range does not grow.
    """
    counts: list[int] = []
    for piece in [text] if _GROUPED.fullmatch(text.strip()) else re.split(r",(?!0\d\d(?!\d))", text):
        span = re.fullmatch(r"\s*(.+?)\.\.(.+?)(?:\*(\d+(?:\.\d+)?)|\+(.+?))?\s*", piece)
        if not span:
            counts.append(parse_count(piece, least))
            continue
        low, high = parse_count(span[1], least), parse_count(span[2], least)
        step = parse_count(span[4]) if span[4] else 0
        factor = 1.0 if step else float(span[3] or 2)
        if high < low or (not step and not 1 < factor < math.inf):
            raise ValueError(f"'{piece}' is not a growing range; write it like 1k..256k*2 or 1k..8k+1k")
        value = low
        while value <= high:
            counts.append(value)
            value = value + step if step else max(round(value * factor), value + 1)
            if len(counts) > MOST_COUNTS:
                raise ValueError(f"'{piece}' holds more than {MOST_COUNTS:,} values")
    return counts


_THOUSANDS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def short_count(value: float) -> str:
    """A number of parameters as the field writes it: 494M, 7.62B."""
    letter = max(
        (each for each in _THOUSANDS if value >= _THOUSANDS[each]), key=lambda each: _THOUSANDS[each], default=""
    )
    return significant(value / _THOUSANDS[letter]) + letter


def parse_short_count(text: str) -> int:
    """A number of parameters: `8030261248`, `8.03B`, `350M`, `8e9`; raises ValueError if it is none."""
    match = re.fullmatch(rf"({_WHOLE}(?:\.\d+)?)(?:E\+?(\d\d?)|([KMBT]))?", text.strip().upper())
    if match is None:
        raise ValueError(f"'{text}' is not a number of parameters; write it like 8030261248, 350M, 8.03B or 8e9")
    number = finite(f"{match[1].replace('_', '').replace(',', '')}e{match[2] or 0}")
    return round(number * _THOUSANDS[match[3] or ""])


MOST_COUNTS = 100_000
"""The most values that a range may hold."""
