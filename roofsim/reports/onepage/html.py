"""A page as one HTML file: no script, no network, colours that follow the reader's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from roofsim.reports.html import number, text, whole_table
from roofsim.reports.onepage.document import Answer, Answers, Block, Code, Listed, Page, Picture, Section, Text
from roofsim.reports.onepage.svg import drawing
from roofsim.reports.table import Table
from roofsim.reports.theme import THEMES

STYLE = Path(__file__).with_name("style.css")
DARK = "@media (prefers-color-scheme: dark)"

LEAST, MOST = 0.75, 1.15
"""How much smaller and larger than drawn a figure is shown: on a phone it scrolls before it cannot be read."""

FILE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>html{{background:#ffffff}}body{{margin:0}}{dark}{{html{{background:#15181d}}}}
{style}</style>
</head>
<body>
{main}
</body>
</html>
"""


def whole(page: Page) -> str:
    """A file that a browser opens."""
    style, main = _parts(page)
    return FILE.format(title=text(page.title), dark=DARK, style=style, main=main)


def inside(page: Page) -> str:
    """What stands in the body, with its style: a part of any page, such as a notebook."""
    style, main = _parts(page)
    return f"<style>\n{style}</style>\n{main}"


def _parts(page: Page) -> tuple[str, str]:
    """The style of a page, with the colours of its figures, and what it holds."""
    colours: dict[str, tuple[str, str]] = {}
    main = "\n".join(_main(page, colours))
    return _style(colours), main


def _style(colours: Mapping[str, tuple[str, str]]) -> str:
    """The style of a page, and both sides of the colours of its figures; paper is light."""
    light, dark = ("".join(f"{name}:{pair[i]};" for name, pair in colours.items()) for i in (0, 1))
    figures = f".roofsim{{{light}}}\n{DARK}{{.roofsim{{{dark}}}}}\n@media print{{.roofsim{{{light}}}}}\n"
    return STYLE.read_text(encoding="utf-8") + figures


def _main(page: Page, colours: dict[str, tuple[str, str]]) -> Iterator[str]:
    yield '<main class="roofsim">\n<header>'
    yield f"<h1>{text(page.title)}</h1>"
    yield from (f'<p class="lead">{text(line)}</p>' for line in page.lead)
    links = "".join(f'<li><a href="#{each.key}">{text(each.title)}</a></li>' for each in page.sections[1:])
    yield f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n</header>'
    for section in page.sections:
        yield f'<section aria-labelledby="{section.key}">\n<h2 id="{section.key}">{text(section.title)}</h2>'
        yield from _blocks(section, colours)
        yield "</section>"
    yield f"<footer>{text(page.foot)}</footer>\n</main>"


def _blocks(section: Section, colours: dict[str, tuple[str, str]]) -> Iterator[str]:
    for i, block in enumerate(section.blocks):
        yield from _block(block, f"{section.key}-{i}", colours)


def _block(block: Block, key: str, colours: dict[str, tuple[str, str]]) -> Iterator[str]:
    match block:
        case Text():
            yield f"<p>{text(block.words)}</p>"
        case Listed():
            yield f'<ul class="points">{"".join(f"<li>{text(each)}</li>" for each in block.points)}</ul>'
        case Code():
            yield f"<pre><code>{text(block.line)}</code></pre>"
        case Answers():
            yield '<dl class="answers">'
            for i, each in enumerate(block.rows):
                yield _answer(each, first=i == 0)
            yield "</dl>"
        case Picture():
            made = drawing(block.draw, f"{key}-")
            colours |= made.colours
            told = f"{key}-told"
            alt = f'role="img" aria-label="{text(block.title)}" aria-describedby="{told}"'
            widths = f"min-width: {LEAST * made.width:.0f}px; max-width: {MOST * made.width:.0f}px"
            yield f'<figure>\n<h3 class="hidden">{text(block.title)}</h3>'
            yield f'<div class="scroll" role="group" aria-label="{text(block.title)}" tabindex="0">'
            for drawn, theme in zip(made.texts, THEMES, strict=False):
                only = f'class="{theme}" ' * (len(made.texts) > 1)
                yield drawn.replace("<svg ", f'<svg {only}{alt} style="{widths}" ', 1)
            yield "</div>"
            yield f'<figcaption id="{told}">{text(block.alt)}</figcaption>\n</figure>'
        case Table():
            yield from _table(block)


def _table(table: Table) -> Iterator[str]:
    if table.rows:
        label = f' aria-label="{text(table.title)}"' if table.title else ""
        yield f'<div class="scroll" role="group"{label} tabindex="0">'
        yield from whole_table(table)
        yield "</div>"
    elif table.title:
        yield f"<h3>{text(table.title)}</h3>"
    if table.rows:
        yield from (f"<p><small>{text(note)}</small></p>" for note in table.notes)
    else:
        yield f'<p class="lines">{text(chr(10).join(table.notes))}</p>'


def _answer(each: Answer, *, first: bool) -> str:
    state = {True: " good", False: " bad", None: ""}[each.good]
    said = number(each.value, each.said)
    if first:
        verdict, colon, rest = each.said.partition(":")
        said = f"<b>{text(verdict)}</b>{text(colon + rest)}"
    more = f'<dd class="within">{text(each.within)}</dd>' * bool(each.within)
    more += f'<dd class="why">{text(each.why)}</dd>' * bool(each.why)
    kind = f' class="first{state}"' if first else ""
    return f'<div{kind}><dt>{text(each.question)}</dt><dd class="said">{said}</dd>{more}</div>'
