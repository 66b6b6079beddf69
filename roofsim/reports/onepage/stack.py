"""A runtime in words: what is set in it, what that decides, and why it is so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roofsim.foundation.described import meanings
from roofsim.foundation.quantity import Sourced
from roofsim.foundation.schema import Spec, items
from roofsim.foundation.units import show
from roofsim.reports.specs import stated
from roofsim.reports.table import Column, Table
from roofsim.specs.runtime import Runtime

ABOUT = ("name", "id", "aliases", "version", "sources", "explains", "lacks", "supports", "runs_on")
"""Fields that change no figure."""

ALWAYS = ("logits", "cache", "attention.kernel", "attention.mask", "host.mode")
"""What is told even where it is as it usually is."""


def switches(r: Runtime) -> Table:
    """What a runtime sets otherwise than usual, in the words of its fields, and the reasons that its file gives."""
    rows = [[path, value, meaning, _reason(r, path)] for path, value, meaning in _set(r, "")]
    return Table(
        f"Runtime: {r.name}",
        [Column("switch"), Column("set to", "text"), Column("what it decides"), Column("why")],
        rows,
        [f"Version: {r.version}.", "What is not listed is as in a runtime that says nothing of it (docs/runtimes.md)."],
    )


def _set(spec: Spec, path: str) -> Iterator[tuple[str, str, str]]:
    """Fields that are told, with their values and meanings."""
    usual, said = type(spec), meanings(type(spec))
    defaults: dict[str, Any] = {name: each for name, each in _defaults(usual)}
    for name, value in items(spec):
        here = f"{path}{name}"
        if here in ABOUT:
            continue
        if isinstance(value, Spec) and not isinstance(value, Sourced):
            yield from _set(value, f"{here}.")
        elif value != defaults.get(name) or here in ALWAYS:
            yield here, _shown(value), said.get(name, "").replace("`", "")


def _defaults(kind: type[Spec]) -> Iterator[tuple[str, Any]]:
    from dataclasses import MISSING, fields

    made: Any = kind
    for each in fields(made):
        if each.default is not MISSING:
            yield each.name, each.default
        elif each.default_factory is not MISSING:
            yield each.name, each.default_factory()


def _shown(value: Any) -> str:
    if isinstance(value, Sourced):
        return show(value.value, value.unit) if value.unit else f"{value.value:g}"
    return stated(value) if value not in ((), {}) else "none"


def _reason(r: Runtime, path: str) -> str:
    """What the file says of a field, or of the group that it is in."""
    return r.explains.get(path) or r.explains.get(path.partition(".")[0], "")
