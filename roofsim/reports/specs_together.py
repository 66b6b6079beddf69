"""Several specs side by side: a column for each, a row for each field, a table for each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roofsim.foundation import units
from roofsim.reports.records import records
from roofsim.reports.spec_records import spec_records
from roofsim.reports.specs import stated_unit
from roofsim.reports.table import Column, Table

KINDS = {
    "models": "model", "hardware": "device", "runtimes": "runtime", "hardware/hosts": "host",
    "hardware/clusters": "cluster", "hardware/costs": "term", "hardware/calibrated": "calibration",
}  # fmt: skip
"""What a spec is, by where it is kept."""

Shown = tuple[str, Any, Mapping[str, Any]]
"""Where a spec is kept, the spec, and the plain data of it alone."""

HEADING = ("name", "id", "aliases")
"""Fields that tell specs apart."""


def tables_together(shown: Sequence[Shown]) -> list[Table]:
    """A table for each kind."""
    tables = []
    for kind in dict.fromkeys(kind for kind, _, _ in shown):
        group = [(each[1].id or each[1].name, _cells(spec_records(*each))) for each in shown if each[0] == kind]
        fields = [field for field in _merged([list(cells) for _, cells in group]) if field not in HEADING]
        columns = [Column("field"), *(Column(name, "text") for name, _ in group)]
        tables.append(
            Table(f"{KINDS[kind].capitalize()}s", columns, [[f, *(cells.get(f) for _, cells in group)] for f in fields])
        )
    return [*tables, Table("", (), (), ["`roofsim show NAME` gives the source of each number."])]


def _merged(lists: Sequence[Sequence[str]]) -> list[str]:
    """All words of some lists, each behind the one that it follows where it first comes."""
    found: list[str] = []
    for words in lists:
        for i, word in enumerate(words):
            if word not in found:
                found.insert(found.index(words[i - 1]) + 1 if i else 0, word)
    return found


def _cells(table: Table) -> dict[str, str]:
    """What people read of each field: a quantity or words."""
    cells = {}
    for values in table.rows:
        row = dict(zip([column.name for column in table.columns], values, strict=True))
        field = str(row.get("field") or row["parameter"])
        number, unit = row.get("number", row.get("value")), stated_unit(field, row["unit"])
        said = row.get("text") if number is None else units.show(number, unit) if unit else _plain(number)
        cells[field] = str(said)
    return cells


def _plain(number: float) -> str:
    """A number without a unit; a year has no thousands."""
    if number == int(number):
        return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.0f}"
    return units.significant(number)


def records_together(shown: Sequence[Shown]) -> Table:
    """The records of each below another, led by its name and kind."""
    tables = [({"name": spec.id or spec.name, "kind": KINDS[kind]}, spec_records(kind, spec, data))
              for kind, spec, data in shown]  # fmt: skip
    heads = dict.fromkeys(["name", "kind", *(column.name for _, table in tables for column in table.columns)])
    return records(
        [
            {**dict.fromkeys(heads), **led, **dict(zip([c.name for c in table.columns], row, strict=True))}
            for led, table in tables
            for row in table.rows
        ],
        heads,
    )
