"""Numbers of a spec file: each has a unit, a source and limits of what can be true."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from roofsim import units
from roofsim.schema import Spec


class Sourced(Spec):
    """A number and where it is from: `source` names an entry of the file's `sources`."""

    unit: ClassVar[str] = ""
    value: float
    source: str
    note: str = ""


def quantity(unit: str, low: float, high: float) -> Any:
    """The type of a sourced quantity in `unit`; values outside low..high cannot be true and are refused."""

    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"{value!r} is not a quantity; write it like '{units.EXAMPLES[unit]}'")
        if isinstance(value, int | float) and unit:
            raise ValueError(f"{value!r} has no unit; write it like '{units.EXAMPLES[unit]}'")
        return units.parse(str(value), unit)

    def check(value: float) -> float:
        if not low <= value <= high:
            span = f"{units.show(low, unit)} to {units.show(high, unit)}" if unit else f"{low:g} to {high:g}"
            written = units.show(value, unit) if unit else f"{value:g}"
            raise ValueError(f"{written} is not plausible here; between {span} would be")
        return value

    number = Annotated[float, BeforeValidator(read), AfterValidator(check)]

    class Quantity(Sourced):
        value: number  # type: ignore[valid-type]

    Quantity.unit = unit
    return Quantity


Bytes = quantity("B", 1e3, 1e15)
Bandwidth = quantity("B/s", 1e6, 1e15)
Rate = quantity("FLOP/s", 1e6, 1e19)
Time = quantity("s", 0, 10)
Frequency = quantity("Hz", 1e6, 1e11)
Power = quantity("W", 0, 1e6)
EnergyPerByte = quantity("J/B", 0, 1e-6)
EnergyPerFlop = quantity("J/FLOP", 0, 1e-6)
Price = quantity("USD", 0, 1e8)
Fraction = quantity("", 1e-4, 1)
Count = quantity("", 1, 1e7)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=80)]
"""A name that can be a file name and a word on the command line."""
