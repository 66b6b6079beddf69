"""How times of steps are laid out."""

from __future__ import annotations

from roofsim.reports.table import Column, Table
from roofsim.serving.table import StepTable

COLUMNS = (
    Column("decodes", "count"), Column("held", "count"), Column("pieces", "count"), Column("new", "count"),
    Column("context", "count"), Column("time", "s"), Column("energy", "J"),
)  # fmt: skip


def step_tables(found: StepTable, device: str, runtime: str) -> list[Table]:
    """A row for each step."""
    notes = [
        "A step of `decodes` sequences that hold `held` tokens each and get one more, and of `pieces` of prompts, each "
        "of `new` tokens after `context`."
    ]
    title = f"Times of steps: {found.model} on {device}\nwith {runtime}"
    rows = [[getattr(row, each.name) for each in COLUMNS] for row in found.rows]
    return [Table(title, COLUMNS, rows, notes, keys=5)]


def step_records(found: StepTable) -> Table:
    """The same as one table of data."""
    return Table("", COLUMNS, [[getattr(row, each.name) for each in COLUMNS] for row in found.rows])
