"""A page as Markdown: its figures are files beside it, or told in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from urllib.parse import quote

from roofsim.reports.formats import FORMATS
from roofsim.reports.onepage.document import Answer, Answers, Block, Code, Listed, Page, Picture, Text
from roofsim.reports.table import Column, Table


def markdown(page: Page, figures: Mapping[str, str] = MappingProxyType({})) -> str:
    """The page as GitHub reads it; `figures` are files by the name of each, and left out where there are none."""
    parts = [f"# {_plain(page.title)}", *page.lead]
    for section in page.sections:
        parts += [f"## {_plain(section.title)}", *(part for block in section.blocks for part in _block(block, figures))]
    return "\n\n".join([*parts, page.foot]) + "\n"


def _block(block: Block, figures: Mapping[str, str]) -> Iterator[str]:
    match block:
        case Text():
            yield _plain(block.words)
        case Listed():
            yield "\n".join(f"- {_plain(each)}" for each in block.points)
        case Code():
            yield f"```console\n{block.line}\n```"
        case Answers():
            first, *others = block.rows
            yield _plain(f"**{first.question}** {first.said} ({'; '.join(_more(first))})")
            rows = [[each.question, each.said, each.within, each.why] for each in others]
            yield _tables(Table("", [Column(name) for name in ("question", "answer", "interval", "because")], rows))
        case Picture() if block.name in figures:
            yield f"**{_plain(block.title)}**"
            yield f"![{_plain(block.title)}]({quote(figures[block.name])})"
            yield _plain(block.alt)
        case Picture():
            yield f"**{_plain(block.title)}** (figure left out): {_plain(block.alt)}"
        case Table():
            yield _tables(block)


def _more(each: Answer) -> list[str]:
    return [text for text in (each.within, each.why) if text]


def _tables(table: Table) -> str:
    if table.rows:
        return FORMATS["markdown"]([table], {}).replace("<", "&lt;")
    return "\n".join([f"**{_plain(table.title)}**\n", *(f"- {_plain(note.strip())}" for note in table.notes)])


def _plain(text: str) -> str:
    """Text on one line, in which nothing is markup."""
    return " ".join(text.split()).replace("<", "&lt;")
