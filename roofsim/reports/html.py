"""Tables in HTML, for a notebook or a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from roofsim.reports.table import TOGETHER, Column, Figure, Table

MOST = 60
"""Rows of a table that a notebook shows; all are in the data frame."""


def as_html(tables: Sequence[Table]) -> str:
    """Tables one below the other, numbers flush right, notes in small print."""
    return "\n".join(line for table in tables for line in _table(table))


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"<p><b>{text(table.title)}</b></p>"
    if table.rows:
        yield "<table><thead><tr>" + "".join(_cell("th", c, c.name) for c in table.columns) + "</tr></thead><tbody>"
        for row in table.rows[:MOST]:
            cells = (_cell("td", c, c.text(v)) for c, v in zip(table.columns, row, strict=True))
            yield "<tr>" + "".join(cells) + "</tr>"
        yield "</tbody></table>"
        if len(table.rows) > MOST:
            yield f"<p><small>{len(table.rows) - MOST:,} more rows: to_pandas() has all.</small></p>"
    for note in table.notes:
        yield f"<p><small>{text(note)}</small></p>"


def _cell(tag: str, column: Column, words: str) -> str:
    return f'<{tag} style="text-align: {"right" if column.numeric else "left"}">{text(words)}</{tag}>'


LONG = 40
"""Letters of a cell that is no longer a word or two."""


def whole_table(table: Table) -> Iterator[str]:
    """A table of a page: all its rows, a caption, and headings that screen readers tell with each cell.

    Numbers have their raw value beside what is shown. One with long texts is of the class `words`, and its cells say
    what heads them, so that they can stand below each other where there is no room.
    """
    long = any(len(c.text(v)) > LONG for row in table.rows for c, v in zip(table.columns, row, strict=True))
    yield '<table class="words">' if long else "<table>"
    if table.title:
        yield f"<caption>{text(table.title)}</caption>"
    flush = [c.numeric or any(isinstance(row[i], Figure) for row in table.rows) for i, c in enumerate(table.columns)]
    side = [' class="number"' * each for each in flush]
    heads = "".join(f'<th scope="col"{at}>{text(c.name)}</th>' for c, at in zip(table.columns, side, strict=True))
    yield f"<thead><tr>{heads}</tr></thead>\n<tbody>"
    tags = ['th scope="row"' if i < table.keys else "td" for i in range(len(table.columns))]
    labels = [
        f' data-label="{text(c.name)}"' * (long and tag == "td") for c, tag in zip(table.columns, tags, strict=True)
    ]
    for row in table.rows:
        cells = (
            f"<{tag}{at}{label}>{_value(column, value)}</{tag[:2]}>"
            for tag, at, label, column, value in zip(tags, side, labels, table.columns, row, strict=True)
        )
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody>\n</table>"


def _value(column: Column, value: Any) -> str:
    raw = value.value if isinstance(value, Figure) else value
    return number(raw, column.text(value))


def number(raw: Any, words: str) -> str:
    """What is shown of a number, with the number itself for programs; words that are none as they are."""
    plain = hasattr(raw, "item") or isinstance(raw, int | float)
    if isinstance(raw, bool) or not plain or float(raw) != float(raw):
        return text(words)
    return f'<data value="{float(raw)!r}">{text(words)}</data>'


def text(words: str) -> str:
    """Words as HTML."""
    return escape(words).replace("\n", "<br>").replace(TOGETHER, "&nbsp;")
