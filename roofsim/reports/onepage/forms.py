"""The forms that a page can be written in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from roofsim.foundation import writing
from roofsim.foundation.errors import InputError
from roofsim.reports.onepage import html
from roofsim.reports.onepage.document import Picture
from roofsim.reports.onepage.gathered import Gathered
from roofsim.reports.onepage.markdown import markdown
from roofsim.reports.onepage.sections import page

FORMS = MappingProxyType({"html": html.whole, "markdown": markdown})
"""What writes a page, by the name of the form."""

ENDINGS: Mapping[str, str] = MappingProxyType({".html": "html", ".htm": "html", ".md": "markdown"})
"""The form of a file by how its name ends."""


def form_of(word: str, path: str) -> str:
    """The form of a file; raises InputError, about `word`, for an ending that says none."""
    form = ENDINGS.get(Path(path).suffix.lower())
    if form is None:
        raise InputError(f"{word}: '{path}' should end in {', '.join(ENDINGS)}")
    return form


def written(g: Gathered, form: str) -> str:
    """The page in a form; Markdown alone has no figures."""
    return FORMS[form](page(g))


def save(g: Gathered, form: str, path: str) -> None:
    """Write the page; a page in Markdown and its figures, as SVG files beside it, appear together or not at all."""
    if form != "markdown":
        writing.text(path, written(g, form))
        return
    from roofsim.reports.figures import style

    made, target = page(g), Path(path)
    pictures = [block for section in made.sections for block in section.blocks if isinstance(block, Picture)]
    files = {each.name: f"{target.stem}-{each.name}.svg" for each in pictures}
    with writing.together():
        for each in pictures:
            style.save(each.draw(theme="light"), str(target.with_name(files[each.name])))
        writing.text(path, markdown(made, files))
