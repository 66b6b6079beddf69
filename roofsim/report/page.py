"""Tables as plain text: columns set flush, long words and sentences folded to the width of a page."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from textwrap import wrap

from roofsim.report.table import TOGETHER, Table

GAP = "  "
NARROW, WIDE = 80, 120
"""Pages are as wide as the terminal, within these limits; a file's are narrow."""
PIECE = re.compile(r"[^ \n-]*-|[^ \n-]+")
"""What of a text is not folded: what ends with a blank or a hyphen."""
LEAST = 10
"""A column is not folded to less, unless all its pieces are shorter, nor to less than a piece of its heading."""


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
        lines += [bold(line) for part in table.title.splitlines() for line in wrap(part, width)]
        if table.rows:
            head, *rows = _grid(table, width)
            lines += [bold(line.rstrip()) for line in head]
            lines.append("─" * max(len(line) for row in (head, *rows) for line in row))
            lines += [line.rstrip().replace(TOGETHER, " ") for row in rows for line in row]
        for note in table.notes:
            indent = " " * (len(note) - len(note.lstrip()))
            whole = TOGETHER in note and " " not in note.lstrip()
            folded = [note] if whole else wrap(
                note, width, subsequent_indent=indent + GAP * bool(indent), break_on_hyphens=False
            )  # fmt: skip
            lines += [line.replace(TOGETHER, " ") for line in folded]
        lines.append("")
    return "\n".join(lines[:-1])


def _grid(table: Table, width: int) -> Iterator[list[str]]:
    """The heading and each row as lines of equal columns; only columns of words are folded, and not the first."""
    columns = table.columns
    texts = [[c.name for c in columns]]
    texts += [[c.text(value) for c, value in zip(columns, row, strict=True)] for row in table.rows]
    widths = [max(len(line) for text in column for line in text.split("\n")) for column in zip(*texts, strict=True)]
    foldable = [i for i, column in enumerate(columns) if i and not column.numeric]
    pieces = [[max(map(len, PIECE.findall(text)), default=0) for text in column] for column in zip(*texts, strict=True)]
    least = [max(head, min(LEAST, max(cells))) for head, *cells in pieces]
    while sum(widths) + len(GAP) * (len(widths) - 1) > width:
        widest = max((i for i in foldable if widths[i] > least[i]), key=lambda i: widths[i], default=0)
        if not widest:
            break  # a line that is too long can be read, half a number cannot
        widths[widest] -= 1
    for row in texts:
        cells = [[line for part in text.split("\n") for line in (wrap(part, w) if len(part) > w else [part])]
                 for text, w in zip(row, widths, strict=True)]  # fmt: skip
        yield [
            GAP.join(
                text.rjust(w) if column.numeric else text.ljust(w)
                for text, w, column in zip(line, widths, columns, strict=True)
            )
            for line in _side_by_side(cells)
        ]


def _side_by_side(cells: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    for i in range(max(len(cell) for cell in cells)):
        yield [cell[i] if i < len(cell) else "" for cell in cells]
