"""The formats that every result can be written in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roofsim.reports.page import page
from roofsim.reports.table import TOGETHER, Figure, Table

Writer = Callable[..., str]
"""From tables, the plain data behind them and whether a terminal shows it, to text."""

FORMATS: dict[str, Writer] = {}
"""Every format by the name that --format knows."""


def format_named(name: str) -> Callable[[Writer], Writer]:
    """Register a writer under this name."""

    def register(writer: Writer) -> Writer:
        FORMATS[name] = writer
        return writer

    return register


@format_named("table")
def as_table(tables: Sequence[Table], data: Mapping[str, Any], terminal: bool = False) -> str:
    """Text for people, with bold headings on a terminal."""
    return page(tables, terminal)


@format_named("json")
def as_json(tables: Sequence[Table], data: Mapping[str, Any], terminal: bool = False) -> str:
    """The whole result in SI units; figures that are not finite become null."""
    import json

    return json.dumps(finite(data), indent=2, ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """Plain values; a number that JSON does not know becomes None."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@format_named("csv")
def as_csv(tables: Sequence[Table], data: Mapping[str, Any], terminal: bool = False) -> str:
    """Raw numbers of the one table that there is, under one header; of nothing an empty cell."""
    import csv
    import io

    (table,) = [each for each in tables if each.columns]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.key for column in table.columns])
    writer.writerows([_raw(value) for value in row] for row in table.rows)
    return stream.getvalue().rstrip("\n")


def _raw(value: Any) -> Any:
    value = value.value if isinstance(value, Figure) else value
    return "" if value is None or value != value else value


@format_named("markdown")
def as_markdown(tables: Sequence[Table], data: Mapping[str, Any], terminal: bool = False) -> str:
    """Tables as GitHub reads them."""
    lines: list[str] = []
    for table in tables:
        if table.title:
            lines += [f"**{table.title}**", ""]
        if table.rows:
            lines.append("| " + " | ".join(c.name for c in table.columns) + " |")
            lines.append("|" + "|".join("---:" if c.numeric else "---" for c in table.columns) + "|")
            for row in table.rows:
                cells = (
                    c.text(v).replace("|", "\\|").replace("\n", " ").replace(TOGETHER, " ")
                    for c, v in zip(table.columns, row, strict=True)
                )
                lines.append("| " + " | ".join(cells) + " |")
            lines.append("")
        lines += [line for note in table.notes for line in (note.replace(TOGETHER, " "), "")]
    return "\n".join(lines).rstrip("\n")
