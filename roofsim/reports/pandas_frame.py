"""A table of data as a pandas data frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofsim.foundation.errors import MissingExtra
from roofsim.reports.table import Figure, Table

if TYPE_CHECKING:
    import pandas


def frame(table: Table) -> pandas.DataFrame:
    """A column for each of the table, by its name; units are in `attrs["units"]`. Raises MissingExtra."""
    try:
        import pandas
    except ImportError:
        raise MissingExtra("a data frame needs pandas", "studies") from None
    columns = {
        column.name: [cell.value if isinstance(cell, Figure) else cell for cell in cells]
        for column, cells in zip(table.columns, zip(*table.rows, strict=True), strict=True)
    } if table.rows else {column.name: [] for column in table.columns}  # fmt: skip
    made = pandas.DataFrame(columns)
    made.attrs["units"] = {column.name: column.unit for column in table.columns if column.unit}
    return made
