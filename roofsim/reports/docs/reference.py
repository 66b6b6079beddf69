"""The page of the public functions of Python: what each is for, and where the site puts its signature."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType
from typing import Any

from roofsim.reports.docs.markdown import documented, table


def reference() -> Iterator[str]:
    """Every public name by its kind, with a line of what it is, and what Sphinx makes its signatures of."""
    yield "# Reference of the Python API"
    yield (
        "Every public name of `roofsim`; [python.md](python.md) leads through them. The site shows signatures, types "
        "and docstrings; in a terminal `python -m pydoc roofsim.predict` does."
    )
    roofsim = import_module("roofsim")  # as a reader has it, from above; nothing here is computed with it
    public = {name: getattr(roofsim, name) for name in roofsim.__all__ if not name.startswith("_")}
    functions = {name: thing for name, thing in public.items() if isinstance(thing, FunctionType)}
    classes = {name: thing for name, thing in public.items() if inspect.isclass(thing)}
    figures = {f"plots.{name}": thing for name, thing in inspect.getmembers(roofsim.plots, inspect.isfunction)
               if not name.startswith("_") and thing.__module__ == roofsim.plots.__name__}  # fmt: skip
    results = {name: thing for name, thing in classes.items() if thing.__module__.startswith("roofsim.api")}
    specs = {name: thing for name, thing in classes.items() if name not in results}
    yield from _chapter("Functions", "autofunction", functions)
    yield from _chapter("Figures", "autofunction", figures)
    yield from _chapter("Results", "autoclass", results)
    yield from _chapter("Specs and errors", "autoclass", specs)


def _chapter(title: str, directive: str, things: dict[str, Any]) -> Iterator[str]:
    """Things of one kind: a table for readers of the file, and directives for Sphinx."""
    yield f"## {title}"
    yield table(["name", "what it is"], [[f"`{name}`", _first(thing)] for name, thing in things.items()])
    yield "```{eval-rst}\n" + "\n".join(_lines(directive, things)) + "\n```"


def _lines(directive: str, things: dict[str, Any]) -> Iterator[str]:
    for name in things:
        yield f".. {directive}:: roofsim.{name}"
        if directive == "autoclass":
            yield "   :members:"
            yield "   :inherited-members:"


def _first(thing: Any) -> str:
    """The first sentence of a docstring."""
    return " ".join(documented(thing).partition("\n\n")[0].split())
