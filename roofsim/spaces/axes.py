"""Axes of a study: a name and its values, as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.units import MAX_COUNT, MOST_COUNTS, finite, is_quantity, parse_count, parse_counts
from roofsim.foundation.values import dataclass
from roofsim.model.split import RANKS
from roofsim.prediction.places import COUNTS
from roofsim.spaces.cases import check
from roofsim.specs.override import COUNTED


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis. `numeric` ones are numbers that a compiled request takes; the values of others are choices.

    The values of a path are as --set has them, text such as `2x` or `500 GB/s`; counts are whole numbers.
    """

    name: str
    values: tuple[Any, ...]

    @property
    def numeric(self) -> bool:
        """Whether all its values are numbers, quantities or factors."""
        return self.name in COUNTS or ("." in self.name and all(map(_NUMBER.match, map(str, self.values))))

    def __len__(self) -> int:
        return len(self.values)


_NUMBER = re.compile(r"[+-]?\.?\d")
_SPAN = re.compile(r"(.+?)\.\.(.+?)(?:\*(\d+(?:\.\d+)?)|\+(.+?))?")
_AMOUNT = re.compile(r"(\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s*(.*)")


def axis(name: str, given: Any) -> Axis:
    """An axis from one value, several, or text with a list or a range; raises InputError for an empty one."""
    if isinstance(given, str):
        values = _written(name, given)
    elif hasattr(given, "tolist"):
        values = _flat(given.tolist())
    elif isinstance(given, Iterable) and not isinstance(given, bytes):
        values = list(given)
    else:
        values = [given]
    if name in (*COUNTS, *RANKS):
        values = [_count(name, each) for each in values]
    elif name == "offload":
        values = _divisions(values)
    elif "." in name:
        values = [each if isinstance(each, str) else repr(each) for each in values]
    if not values:
        raise InputError(f"{name}: an axis needs at least one value")
    seen: set[Any] = set()
    for each in values:
        mark = each if isinstance(each, str | int | float) else id(each)
        if mark in seen:
            raise InputError(f"{name}: {each} is given twice")
        seen.add(mark)
    return Axis(name, tuple(values))


def axes(given: Mapping[str, Any]) -> tuple[Axis, ...]:
    """All axes, those of choices before those of numbers: points that share a choice then follow one another.

    Raises InputError for names that there are not, and for an empty axis.
    """
    check(dict.fromkeys(given, ()))
    found = [axis(name, values) for name, values in given.items()]
    return tuple(sorted(found, key=lambda each: each.numeric))


def _divisions(values: Iterable[Any]) -> list[str]:
    """What may lie in the memory of the host, with ranges of layers (`0..32+8`) written out; raises InputError.

    Numbers alone are spelled out, so that all are words.
    """
    from roofsim.prediction.offload_words import asked_for

    found: list[str] = []
    for each in values:
        text = str(each).strip()
        try:
            found += map(str, parse_counts(text, 0)) if ".." in text else [text]
        except ValueError as error:
            raise InputError(f"offload: {error}") from None
    for each in found:
        asked_for(each)
    return [f"layers={each}" if each.isdecimal() else each for each in found]


def _flat(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _count(name: str, value: Any) -> int:
    """A whole number from 1 on; none at all may be generated."""
    least = _least(name)
    try:
        if isinstance(value, str):
            return parse_count(value, least)
        if isinstance(value, bool) or value != int(value) or not least <= value <= MAX_COUNT:
            raise ValueError(f"{value!r} is not a whole number from {least} to 10^12")
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: {error}") from None


def _least(name: str) -> int:
    return 0 if name == "generate" else 1


def _written(name: str, text: str) -> list[Any]:
    """The values in a text: set off by commas, `1k..64k*2` a range by factors, `1k..8k+1k` one by steps."""
    try:
        if name in (*COUNTS, *RANKS):
            return list(parse_counts(text, _least(name)))
        pieces = [each.strip() for each in split(text)]
        if not all(pieces):
            raise ValueError(f"'{text}' holds an empty value; write values like a,b,c")
        if "." not in name:
            return pieces
        if is_quantity(text):  # whose commas part thousands
            return [text.strip()]
        return [value for piece in pieces for value in _range(piece)]
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def split(text: str) -> list[str]:
    """The pieces of a text between its commas, those inside brackets aside: `hybrid(every=2,width=512),mamba2-780m`."""
    pieces, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth <= 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def _range(piece: str) -> Sequence[str]:
    """The values that one piece stands for."""
    span = _SPAN.fullmatch(piece)
    if not span:
        return [_whole(piece)]
    low, high = _amount(piece, _whole(span[1])), _amount(piece, _whole(span[2]))
    step = _amount(piece, _whole(span[4])) if span[4] else None
    units = {unit for _, unit in (low, high, *([step] if step else []))}
    if len(units) > 1:
        raise ValueError(f"'{piece}' has several units; write it like 100GB/s..400GB/s*2")
    factor = finite(span[3] or "2")
    if high[0] < low[0] or (step[0] <= 0 if step else factor <= 1):
        raise ValueError(f"'{piece}' is not a growing range; write it like 0.5x..4x*2 or 1x..2x+0.25x")
    values: list[str] = []
    # counted from the start, so that errors do not add up, and the end is reached in spite of rounding
    while True:
        try:
            value = low[0] + step[0] * len(values) if step else low[0] * factor ** len(values)
        except OverflowError:
            return values
        if value > high[0] * (1 + 1e-9):
            return values
        if len(values) >= MOST_COUNTS:
            raise ValueError(f"'{piece}' holds more than {MOST_COUNTS:,} values")
        values.append(f"{value:.15g}{low[1]}")


def _whole(text: str) -> str:
    """Counts such as 4k as the number that they are; other text as it is."""
    text = text.strip()
    try:
        return str(parse_count(text)) if text[-1:] in COUNTED else text
    except ValueError:
        return text


def _amount(piece: str, text: str) -> tuple[float, str]:
    match = _AMOUNT.fullmatch(text)
    value = finite(match[1].replace("_", "")) if match else 0
    if not match or value <= 0:
        raise ValueError(f"'{piece}' is not a range of positive numbers; write it like 0.5x..4x*2")
    return value, match[2]
