"""How a front is laid out."""

from __future__ import annotations

from roofsim.reports.sweep import sweep_tables
from roofsim.reports.table import Table
from roofsim.spaces.fronts import Front


def front_records(found: Front) -> Table:
    """The points on the front with all columns."""
    (table,) = sweep_tables(found.found, everything=True)
    return table


def front_tables(found: Front) -> list[Table]:
    """The points on the front, the best by the first objective on top."""
    (table,) = sweep_tables(found.found)
    better = ", ".join(f"{'less' if sense == 'min' else 'more'} {name}" for name, sense in found.objectives.items())
    size, kept = found.found.study.space.size, found.found.study.where
    notes = [
        *(note for note in table.notes if note.startswith("Everywhere")),
        *([f"{len(table.rows)} of {len(found):,} are shown; -f csv has all."] if len(found) > len(table.rows) else []),
        f"{len(found):,} of {found.feasible:,} points that can be had{f', where {kept.text}' if kept else ''}; better "
        f"is {better}.",
        f"A search, not all points: {found.search}. What it did not see may be better." if found.search
        else f"All {size:,} points were computed.",
        *(f"Cannot be run: {reason}." for reason in found.refused),
    ]  # fmt: skip
    return [Table("Points that none is better than in every objective", table.columns, table.rows, notes)]
