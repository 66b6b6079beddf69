"""How a calibration is laid out as a spec: its parameters with intervals, and its errors on held-out rows."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.schema import items, plain
from roofsim.foundation.units import significant
from roofsim.reports.records import records
from roofsim.reports.table import Column, Figure, Table
from roofsim.specs.calibration import Calibration, Estimate


def parameter_table(c: Calibration, title: str) -> Table:
    """The parameters that the data determine; the others in a note."""
    rows = [
        [name, _value(name, e.value), f"{_value(name, e.low)} to {_value(name, e.high)}", _value(name, e.prior)]
        for name, e in c.parameters.items()
        if e.determined
    ]
    columns = [Column("parameter"), *(Column(name, "text") for name in ("estimate", "95 % interval", "prior"))]
    return Table(title, columns, rows, [f"{note[0].upper()}{note[1:]}." for note in c.notes])


def parameter_records(c: Calibration) -> Table:
    """A row for each parameter in its SI unit: the estimate, its 95 % interval, the prior it began from."""
    columns = ("parameter", "unit", *(f.name for f in fields(Estimate)))
    rows = [
        {"parameter": name, "unit": PARAMETERS[name].unit or None, **dict(items(each))}
        for name, each in c.parameters.items()
    ]
    return records(rows, dict.fromkeys(columns))


def _value(name: str, x: float) -> str:
    unit = PARAMETERS[name].unit
    return str(Figure(x, unit)) if unit else significant(x)


def held_out_table(c: Calibration, *, lengths: bool = True) -> Table:
    """Errors by metric and phase, and by length, on rows that the fit had not seen."""
    errors = [Column(name, "%") for name in ("median", "90th", "bias", "covered")]
    columns = [
        Column("metric"),
        Column("of"),
        *([Column("lengths", "text")] if lengths else []),
        Column("rows", "count"),
    ]
    rows = [
        [h.metric, h.phase, *([h.lengths] if lengths else []), h.rows, h.median_error, h.p90_error, h.bias, h.coverage]
        for h in c.held_out
        if lengths or h.lengths == "all"
    ]
    note = "covered: share of the measurements inside the 95 % interval of their prediction."
    return Table("Size of the relative error on configurations held out", [*columns, *errors], rows, [note])


def calibration_tables(c: Calibration) -> tuple[list[Table], dict[str, Any]]:
    """Everything about a calibration for people, and as plain values."""
    d = c.dataset
    facts: list[list[Any]] = [
        ["device", c.device],
        ["runtime", c.runtime],
        ["host", c.host],
        ["fitted", c.date],
        ["data", f"{d.used:,} of {d.rows:,} rows of {d.file}"],
        ["SHA-256", d.sha256],
        ["where", d.where],
        ["source", c.source],
        ["models", ", ".join(c.covered.models)],
        ["batch", f"{c.covered.batch[0]:,} to {c.covered.batch[1]:,}"],
        ["tokens", f"{c.covered.tokens[0]:,} to {c.covered.tokens[1]:,}"],
        ["weights", ", ".join(c.covered.weights or ())],
        ["cache", ", ".join(c.covered.caches or ())],
        ["method", c.method],
    ]
    rows = [row for row in facts if row[1]]
    head = Table(f"{c.name} ({c.id})", [Column("field"), Column("value", "text")], rows)
    tables = [head, parameter_table(c, "Parameters"), held_out_table(c, lengths=False)]
    return tables, {"kind": "calibration", **plain(c)}
