"""Numbers of a spec file: each has a unit, a source and limits of what can be true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from roofsim.foundation import units
from roofsim.foundation.schema import Spec


class Sourced(Spec):
    """A number and where it is from: `source` names an entry of the file's `sources`."""

    unit: ClassVar[str] = ""
    value: float
    source: str
    note: str = ""


def _between(unit: str, low: float, high: float) -> BeforeValidator:
    """Reads a quantity in `unit`; values outside low..high cannot be true and are refused."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"{value!r} is not a quantity; write it like '{units.EXAMPLES[unit]}'")
        if isinstance(value, int | float) and unit:
            raise ValueError(f"{value!r} has no unit; write it like '{units.EXAMPLES[unit]}'")
        number = units.parse(str(value), unit)
        if not low <= number <= high:
            span = f"{units.show(low, unit)} to {units.show(high, unit)}" if unit else f"{low:g} to {high:g}"
            written = units.show(number, unit) if unit else f"{number:g}"
            raise ValueError(f"{written} is not plausible here; between {span} would be")
        return number

    return BeforeValidator(read)


class Bytes(Sourced):
    """A size."""

    unit: ClassVar[str] = "B"
    value: Annotated[float, _between("B", 1e3, 1e15)]


class Bandwidth(Sourced):
    """A rate of transfer."""

    unit: ClassVar[str] = "B/s"
    value: Annotated[float, _between("B/s", 1e6, 1e15)]


class Rate(Sourced):
    """A rate of work."""

    unit: ClassVar[str] = "FLOP/s"
    value: Annotated[float, _between("FLOP/s", 1e6, 1e19)]


class Time(Sourced):
    """A duration."""

    unit: ClassVar[str] = "s"
    value: Annotated[float, _between("s", 0, 10)]


class Frequency(Sourced):
    """A clock."""

    unit: ClassVar[str] = "Hz"
    value: Annotated[float, _between("Hz", 1e6, 1e11)]


class Power(Sourced):
    """Electrical power."""

    unit: ClassVar[str] = "W"
    value: Annotated[float, _between("W", 0, 1e6)]


class Price(Sourced):
    """What it costs."""

    unit: ClassVar[str] = "USD"
    value: Annotated[float, _between("USD", 0, 1e8)]


class Count(Sourced):
    """A whole number of things, or a year."""

    value: Annotated[float, _between("", 1, 1e7)]


def sources_of(value: Any) -> Iterator[str]:
    """The source that each number inside a spec names."""
    if isinstance(value, Sourced):
        yield value.source
    elif isinstance(value, Spec):
        for name in type(value).model_fields:
            yield from sources_of(getattr(value, name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from sources_of(each)


class Documented(Spec):
    """A whole file: its `sources` by key, one of which every number names."""

    sources: Mapping[str, str] = Field(min_length=1)

    @model_validator(mode="after")
    def _sources_known(self) -> Self:
        missing = sorted(set(sources_of(self)) - set(self.sources))
        if missing:
            raise ValueError(f"source {', '.join(map(repr, missing))} is not in sources ({', '.join(self.sources)})")
        return self


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=80)]
"""A name that can be a file name and a word on the command line."""
