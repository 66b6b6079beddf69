"""Results as data: one table, whose columns hold values of one type each under names with SI units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roofsim.reports.table import Column, Table


def records(rows: Sequence[Mapping[str, Any]], units: Mapping[str, str | None]) -> Table:
    """A table of mappings with the keys of `units`, and the unit of each."""
    return Table("", [Column(name, unit) for name, unit in units.items()], [[row[n] for n in units] for row in rows])


def with_ends(units: Mapping[str, str], certain: Sequence[str] = ()) -> dict[str, str | None]:
    """Columns of figures, each followed by the two ends of its interval but for those that have none."""
    ends = {name: (name,) if name in certain else (name, f"{name}_low", f"{name}_high") for name in units}
    return {each: units[name] for name, columns in ends.items() for each in columns}


def ends_of(intervals: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The ends of intervals by the names of their columns."""
    ends = ("low", "high")
    return {f"{name}_{end}": x for name, both in intervals.items() for end, x in zip(ends, both, strict=True)}
