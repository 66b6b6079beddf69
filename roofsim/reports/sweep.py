"""How a sweep is laid out: what is the same everywhere is said once, the rest is a row a point."""

from __future__ import annotations

from itertools import islice
from typing import Any

from roofsim.model.split import RANKS
from roofsim.prediction.places import COUNTS
from roofsim.reports.table import Column, Figure, Table
from roofsim.spaces.evaluate import WORDS
from roofsim.spaces.frame import LOGICAL, REFUSED
from roofsim.spaces.sweep import Swept

MOST = 40
"""Rows that are shown to people; a file holds them all."""


def sweep_tables(found: Swept, everything: bool = False) -> list[Table]:
    """The points; with `everything` all of them and all columns, for formats that hold data."""
    units, axes = found.units(), [axis.name for axis in found.study.space.axes]
    if everything:
        columns = [Column(name, _unit(name, unit, found)) for name, unit in units.items()]
        return [Table("", columns, [list(row.values()) for row in found.rows()])]
    reasons: dict[str, str] = {}
    shown = list(islice((row for row in found.rows() if not _told(row, reasons, found)), MOST))
    same = [name for name in axes if len({row[name] for row in shown}) == 1 and len(shown) > 1]
    kept = [name for name in units if name not in (*same, REFUSED)]
    rows = [[row[name] for name in kept] for row in shown]
    heads = [Column(_head(name), _unit(name, units[name], found)) for name in kept]
    said = [f"{name} {_said(shown[0][name], units[name])}" for name in same]
    notes = [f"Everywhere: {', '.join(said)}."] if said else []
    if len(found) > len(shown):
        notes.append(f"{len(shown)} of {len(found):,} points; -f csv prints all, --output FILE keeps them.")
    if len(found) < found.study.space.size:
        notes.append(f"{len(found):,} of {found.study.space.size:,} points are kept.")
    notes += [f"Cannot be run: {who}: {why}." for why, who in reasons.items()]
    return [Table("", heads, rows, notes)]


def _told(row: dict[str, Any], reasons: dict[str, str], found: Swept) -> bool:
    """Whether a point is of a case that cannot be run; each reason is kept once, with the first such case."""
    reason = row[REFUSED]
    if reason:
        chosen = [str(row[axis.name]) for axis in found.study.space.choices]
        reasons.setdefault(reason.split(";")[0], ", ".join(chosen))
    return bool(reason)


def _unit(name: str, unit: str, found: Swept) -> str | None:
    if name in (REFUSED, *LOGICAL, *WORDS) or name in {axis.name for axis in found.study.space.choices}:
        return "text"
    return "count" if name in (*COUNTS, *RANKS) else unit


def _head(name: str) -> str:
    """A column's name in words, which a narrow column can fold."""
    return name.removeprefix("device.").replace("_", " ").replace(".", " ")


def _said(value: Any, unit: str) -> str:
    return str(Figure(value, unit)) if unit else f"{value:,}" if isinstance(value, int) else str(value)
