"""Tables as plain text: columns set flush, long words and sentences folded to the width of a page."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from roofsim.reports.table import TOGETHER, Column, Table

GAP = "  "
NARROW, WIDE = 80, 120
"""Pages are as wide as the terminal, within these limits; a file's are narrow."""
PIECE = re.compile(r"(?:[^ \n-]*-|[^ \n-]+) *| +")
"""What of a text is not folded: what ends with a blank or a hyphen."""

WHOLE: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
"""How sentences are folded: between words."""


def _columns() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns


def page(tables: Sequence[Table], terminal: bool) -> str:
    """Every table with its title above and its notes below; headings are bold on a terminal."""
    terminal = terminal and bool(os.environ.get("FORCE_COLOR") or (sys.stdout and sys.stdout.isatty()))
    width = min(max(_columns(), NARROW), WIDE) if terminal else NARROW
    bold = "\x1b[1m{}\x1b[0m".format if terminal else str
    lines: list[str] = []
    for table in tables:
        lines += [bold(line) for part in table.title.splitlines() for line in wrap(part, width, **WHOLE)]
        for k, (head, *rows) in enumerate(_grids(table, width) if table.rows else ()):
            lines += [""] * bool(k)
            lines += [bold(line.rstrip()) for line in head]
            lines.append("─" * max(len(line) for row in (head, *rows) for line in row))
            lines += [line.rstrip().replace(TOGETHER, " ") for row in rows for line in row]
        for note in table.notes:
            indent = " " * (len(note) - len(note.lstrip()))
            whole = TOGETHER in note and " " not in note.lstrip()
            folded = [note] if whole else wrap(
                note, width, subsequent_indent=indent + GAP * bool(indent), **WHOLE
            )  # fmt: skip
            lines += [line.replace(TOGETHER, " ") for line in folded]
        lines.append("")
    return "\n".join(lines[:-1])


def _grids(table: Table, width: int) -> Iterator[list[list[str]]]:
    """The heading and each row as lines of equal columns.

    Columns of words are folded between words, but not the first, nor others that tell rows apart if there is room.
    Where that is not enough the columns are parted, and every part is led by those that tell rows apart.
    """
    texts = [[c.name for c in table.columns]]
    texts += [[c.text(value) for c, value in zip(table.columns, row, strict=True)] for row in table.rows]
    every = list(range(len(table.columns)))
    full = [max(len(line) for text in column for line in text.split("\n")) for column in zip(*texts, strict=True)]
    pieces = [max(_longest(text) for text in column) for column in zip(*texts, strict=True)]
    kept = range(table.keys if _together(full[: table.keys]) <= width // 2 else 1)
    least = [full[i] if i in kept or table.columns[i].numeric else pieces[i] for i in every]
    for k, part in enumerate(_parts(table.keys, least, width)):
        widths = _widths([full[i] for i in part], [least[i] for i in part], width)
        # of a row that says nothing more, nothing is repeated
        rows = [row for row in texts if not k or any(row[i] for i in part[table.keys :])]
        yield [list(_lines([row[i] for i in part], [table.columns[i] for i in part], widths)) for row in rows]


def _longest(text: str) -> int:
    """Of the longest piece of a text."""
    return max((len(piece.rstrip()) for piece in PIECE.findall(text)), default=0)


def _parts(keys: int, least: Sequence[int], width: int) -> list[list[int]]:
    """The columns that stand side by side: as many as there is room for, each part led by the first few."""
    parts = [list(range(keys))]
    for i in range(keys, len(least)):
        if len(parts[-1]) > keys and _together([least[k] for k in (*parts[-1], i)]) > width:
            parts.append(list(range(keys)))
        parts[-1].append(i)
    return parts


def _together(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _widths(full: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """As wide as the texts are; where there is no room for that, the widest that can be is made narrower."""
    widths = list(full)
    while _together(widths) > width:
        narrow = [i for i in range(len(widths)) if widths[i] > least[i]]
        if not narrow:
            break  # a line that is too long can be read, half a word or number cannot
        widths[max(narrow, key=lambda i: widths[i])] -= 1
    return widths


def _lines(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> Iterator[str]:
    """One row as lines."""
    for line in _side_by_side([_folded(text, w) for text, w in zip(texts, widths, strict=True)]):
        yield GAP.join(
            text.rjust(w) if column.numeric else text.ljust(w)
            for text, w, column in zip(line, widths, columns, strict=True)
        )


def _folded(text: str, width: int) -> list[str]:
    """A text as lines that are no longer than that, unless one of its pieces is."""
    lines: list[str] = []
    for part in text.split("\n"):
        lines.append("")
        for piece in PIECE.findall(part):
            if lines[-1] and len((lines[-1] + piece).rstrip()) > width:
                lines.append("")
            lines[-1] += piece
    return [line.rstrip() for line in lines]


def _side_by_side(cells: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    for i in range(max(len(cell) for cell in cells)):
        yield [cell[i] if i < len(cell) else "" for cell in cells]
