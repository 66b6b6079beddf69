"""Tables in HTML, for a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from roofsim.report.table import Column, Table

MOST = 60
"""Rows of a table that a notebook shows; all are in the data frame."""


def as_html(tables: Sequence[Table]) -> str:
    """Tables one below the other, numbers flush right, notes in small print."""
    return "\n".join(line for table in tables for line in _table(table))


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"<p><b>{_text(table.title)}</b></p>"
    if table.rows:
        yield "<table><thead><tr>" + "".join(_cell("th", c, c.name) for c in table.columns) + "</tr></thead><tbody>"
        for row in table.rows[:MOST]:
            cells = (_cell("td", c, c.text(v)) for c, v in zip(table.columns, row, strict=True))
            yield "<tr>" + "".join(cells) + "</tr>"
        yield "</tbody></table>"
        if len(table.rows) > MOST:
            yield f"<p><small>{len(table.rows) - MOST:,} more rows: to_pandas() has all.</small></p>"
    for note in table.notes:
        yield f"<p><small>{_text(note)}</small></p>"


def _cell(tag: str, column: Column, text: str) -> str:
    return f'<{tag} style="text-align: {"right" if column.numeric else "left"}">{_text(text)}</{tag}>'


def _text(text: str) -> str:
    return escape(text).replace("\n", "<br>")
