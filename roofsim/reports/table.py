"""A table of raw values, and how each of its columns is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roofsim.foundation import units
from roofsim.foundation.arith import Number
from roofsim.foundation.values import dataclass

TOGETHER = "\u00a0"
"""A blank at which text is not folded; it is shown as any other."""


def to_copy(line: str) -> str:
    """A line for the shell as a note that stays in one piece, set off as code."""
    return "    " + line.replace(" ", TOGETHER)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with a unit of its own, for tables whose rows measure different things."""

    value: Number
    unit: str

    def __str__(self) -> str:
        return Column("", self.unit).text(float(self.value))


@dataclass(frozen=True, slots=True)
class Column:
    """`name` heads the column; `unit` says how numbers are shown and is part of the name elsewhere."""

    name: str
    unit: str | None = None

    @property
    def key(self) -> str:
        """The name with its unit, for formats that hold raw numbers."""
        return (
            f"{self.name} [{self.unit}]"
            if self.unit and self.unit not in ("text", "count", "short", "%", "ratio", "rate")
            else self.name
        )

    def text(self, value: Any) -> str:
        """One value for people."""
        if value is None or value != value:  # not a number: what it would follow from is not published
            return "–"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int | float):
            if self.unit == "count":
                return f"{value:,.0f}"
            if self.unit == "short":
                return units.short_count(value)
            if self.unit == "%":
                return f"{value:.1%}"
            if self.unit in units.UNITS:
                return units.show(float(value), self.unit)
            return units.significant(float(value))
        return str(value)

    @property
    def numeric(self) -> bool:
        """Whether the column is set flush right."""
        return self.unit is not None and self.unit != "text"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of raw values under columns, with a title above and notes below; the first `keys` tell rows apart."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = ()
    keys: int = 1


ANY = "any"
"""Said of a limit that is beyond any use."""


def tokens_that_fit(n: int) -> str:
    """The longest prompt or largest batch that fits, in words if it is beyond any use."""
    return f"{n:,}" if n < 10**7 else ANY
