"""Numbers of a spec file: each has a unit and limits of what can be true, and says where it is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from typing import Annotated, Any, ClassVar

from roofsim.foundation import units
from roofsim.foundation.problems import build
from roofsim.foundation.schema import Limit, Spec, items


class Valued(Spec):
    """A value and what is said of it; a file may give the value alone."""

    value: Any

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core.core_schema import no_info_before_validator_function

        made = dict(handler(source))
        ref = made.pop("ref", None)  # where the class is met again, it is this schema and not the one inside
        return no_info_before_validator_function(_with_fields, made, ref=ref)


def _with_fields(value: Any) -> Any:
    """A value alone as the group of fields that it is short for."""
    return value if isinstance(value, Mapping | Spec) else {"value": value}


class Sourced(Valued):
    """A number and where it is from: `source` names an entry of the file's `sources`; empty if nothing says it."""

    unit: ClassVar[str] = ""
    value: float
    source: str = ""
    note: str = ""


class Between:
    """Reads a quantity in `unit`; values outside low..high cannot be true and are refused."""

    def __init__(self, unit: str, low: float, high: float) -> None:
        self.unit, self.low, self.high = unit, low, high

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core.core_schema import no_info_before_validator_function

        return no_info_before_validator_function(self.read, handler(source))

    def read(self, value: Any) -> float:
        """The SI value; raises ValueError if there is none that can be true."""
        unit, low, high = self.unit, self.low, self.high
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


class Bytes(Sourced):
    """A size."""

    unit: ClassVar[str] = "B"
    value: Annotated[float, Between("B", 1e3, 1e15)]


class Bandwidth(Sourced):
    """A rate of transfer."""

    unit: ClassVar[str] = "B/s"
    value: Annotated[float, Between("B/s", 1e6, 1e15)]


class Rate(Sourced):
    """A rate of work."""

    unit: ClassVar[str] = "FLOP/s"
    value: Annotated[float, Between("FLOP/s", 1e6, 1e19)]


class Time(Sourced):
    """A duration."""

    unit: ClassVar[str] = "s"
    value: Annotated[float, Between("s", 0, 10)]


class Frequency(Sourced):
    """A clock."""

    unit: ClassVar[str] = "Hz"
    value: Annotated[float, Between("Hz", 1e6, 1e11)]


class Power(Sourced):
    """Electrical power."""

    unit: ClassVar[str] = "W"
    value: Annotated[float, Between("W", 0, 1e6)]


class Price(Sourced):
    """What it costs."""

    unit: ClassVar[str] = "USD"
    value: Annotated[float, Between("USD", 0, 1e8)]


class HourlyPrice(Sourced):
    """What it costs to use it for an hour."""

    unit: ClassVar[str] = "USD/h"
    value: Annotated[float, Between("USD/h", 0, 1e6)]


class Electricity(Sourced):
    """What electricity costs."""

    unit: ClassVar[str] = "USD/kWh"
    value: Annotated[float, Between("USD/kWh", 0, 10)]


class Carbon(Sourced):
    """CO2 of electricity."""

    unit: ClassVar[str] = "g/kWh"
    value: Annotated[float, Between("g/kWh", 0, 5000)]


class Span(Sourced):
    """A duration of use."""

    unit: ClassVar[str] = "s"
    value: Annotated[float, Between("s", 86_400, 1e10)]


class Count(Sourced):
    """A whole number of things, or a year."""

    value: Annotated[float, Between("", 1, 1e7)]


def sources_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The path of everything inside a spec that names a source, and the source; empty where it could and does not."""
    inside: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    if isinstance(value, Spec):
        inside = dict(items(value))
        if isinstance(inside.get("source"), str):
            yield path, inside["source"]
    for name, each in inside.items():
        yield from sources_of(each, f"{path}.{name}" if path else name)


class File(Spec):
    """A spec that is a file of its own, and has a name."""

    @classmethod
    def validated(cls, given: Mapping[str, object]) -> Mapping[str, object]:
        """All fields, from those given; raises SpecError with a line for each problem."""
        return build(cls, given, cls.__name__).__dict__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self, 'id', '') or getattr(self, 'name', '')})"


class Documented(File):
    """A whole file: its `sources` by key, of which every number that says where it is from names one."""

    sources: Mapping[str, str] = field(default_factory=dict)
    """Where the numbers are from, by the key that they name as their `source`."""

    def __post_init__(self) -> None:
        missing = sorted({source for _, source in sources_of(self)} - {"", *self.sources})
        if missing:
            known = ", ".join(self.sources) or "there are none"
            raise ValueError(f"source {', '.join(map(repr, missing))} is not in sources ({known})")

    @cached_property
    def unsourced(self) -> tuple[str, ...]:
        """The paths of what says of no number where it is from; an empty path, for all of it, where nothing does."""
        silent = tuple(path for path, source in sources_of(self) if not source)
        return silent if self.sources else ("",)


Name = Annotated[str, Limit(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=80)]
"""A name that can be a file name and a word on the command line."""
