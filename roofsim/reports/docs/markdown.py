"""What the pages are put together from."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from roofsim.engine import symbolic
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.reports.formats import as_markdown
from roofsim.reports.table import Column, Table

SYMPY: Any = sys.modules["sympy"]
"""Loaded by `symbolic`, its one importer."""


def symbol(name: str) -> Any:
    """A positive symbol, as `symbolic` makes them."""
    return SYMPY.Symbol(name, positive=True)


def named(field: str) -> str:
    """The symbol of a size: that of the nomenclature, or the name itself."""
    return SYMBOLS.get(field, (field, ""))[0]


def inline(expression: Any) -> str:
    """An expression within a line."""
    return f"${symbolic.latex(expression)}$"


def formula(name: str, expression: Any) -> str:
    """An equation on a line of its own."""
    return f"$$\\text{{{name.replace('_', ' ')}}} = {symbolic.latex(expression)}$$"


def table(names: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows of text."""
    return as_markdown([Table("", [Column(name) for name in names], list(rows))], {})


def untitled(tables: Iterable[Table]) -> str:
    """Tables whose first title the page has as a heading."""
    first, *rest = tables
    return as_markdown([replace(first, title=""), *rest], {})


def anchor(heading: str) -> str:
    """What a heading is called in a link."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


def documented(thing: Any) -> str:
    """The docstring."""
    return inspect.getdoc(thing) or ""
