"""Specs as data: a row for each field, numbers in SI units apart from words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from roofsim import library
from roofsim.foundation.quantity import Sourced
from roofsim.foundation.schema import Spec, items
from roofsim.reports.calibrated import parameter_records
from roofsim.reports.records import records
from roofsim.reports.table import Table

COLUMNS = ("field", "number", "unit", "text", "source", "note")


def spec_records(kind: str, spec: Any, data: Mapping[str, Any]) -> Table:
    """A row for each field of a spec, each figure of a model (from its plain `data`) or parameter of a calibration."""
    if kind == "hardware/calibrated":
        return parameter_records(spec)
    if kind == "models":
        shown = {name: each for name, each in data.items() if name not in ("model", "sources")}
        return _table(_rows(shown, "", units=_unit_of_model))
    implementation = getattr(spec, "implementation", None)
    facts = library.implementation(implementation) if implementation else None
    every = {"every": facts.every, **facts.families} if facts else {}
    return _table([*_rows(spec, ""), *_rows(every, "facts.")])


def _table(rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> Table:
    return records([{**dict.fromkeys(COLUMNS), **row} for row in rows], dict.fromkeys(COLUMNS))


def _unit_of_model(field: str) -> str:
    """The unit of a figure of a model by its place in the JSON."""
    return {"state": "B", "flops": "FLOP"}.get(field.partition(".")[0], "")


def _rows(value: Any, path: str, units: Any = lambda field: "") -> Iterator[dict[str, Any]]:
    """The numbers and words below a value, by their paths."""
    if isinstance(value, Spec):
        value = {name: each for name, each in items(value) if name not in ("sources", "explains")}
    for name, each in value.items():
        field = f"{path}{name}"
        if isinstance(each, Sourced):
            yield {"field": field, **_cell(each.value, each.unit), "source": each.source, "note": each.note or None}
        elif hasattr(each, "source") and hasattr(each, "value"):  # a fact of an implementation
            yield {"field": field, **_cell(each.value, ""), "source": each.source, "note": each.note or None}
        elif isinstance(each, Mapping | Spec):
            yield from _rows(each, f"{field}.", units)
        elif each is not None and each != ():
            yield {"field": field, **_cell(each, units(field))}


def _cell(value: Any, unit: str) -> dict[str, Any]:
    """A value in the column of its kind."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"number": value, "unit": unit or None}
    if isinstance(value, Mapping | Spec):
        pairs = value.items() if isinstance(value, Mapping) else items(value)
        return {"text": " ".join(f"{key}={each}" for key, each in pairs if each is not None)}
    if isinstance(value, list | tuple):
        return {"text": " ".join(map(str, value))}
    return {"text": {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)}
