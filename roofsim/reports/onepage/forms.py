"""The forms that a page can be written in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from roofsim.foundation.errors import InputError
from roofsim.reports.onepage import html
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
    """The page in a form."""
    return FORMS[form](page(g))
