"""How a calibration is laid out: parameters, errors on held-out rows, what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from roofsim.calibrate.run import Line, Result
from roofsim.parameters import PARAMETERS
from roofsim.report.formats import FORMATS
from roofsim.report.table import Column, Figure, Table
from roofsim.report.validation import UNITS
from roofsim.units import significant

WORST = 8
"""Rows of the largest errors that are listed."""

POOR = 0.10
"""A median error beyond this is put down to a term that the model lacks."""


def calibration_tables(r: Result, device: str, runtime: str) -> list[Table]:
    """Estimates with their intervals, errors on held-out rows, the worst rows, and notes."""
    c = r.calibration
    used = f"{c.dataset.used:,} of {c.dataset.rows:,} rows of {c.dataset.file}"
    rows = [
        [name, _value(name, e.value), f"{_value(name, e.low)} to {_value(name, e.high)}", _value(name, e.prior)]
        for name, e in c.parameters.items()
        if e.determined
    ]
    columns = [
        Column("parameter"),
        Column("estimate", "text"),
        Column("95 % interval", "text"),
        Column("prior", "text"),
    ]
    strong = [f"{a} and {b} {x:+.2f}" for a, b, x in r.correlations if {a, b} <= {row[0] for row in rows}][:6]
    notes = [*c.notes, *([f"correlated: {', '.join(strong)}"] if strong else [])]
    last = [f"Left out: {n:,} rows, {reason}." for reason, n in _by_count(r)] + [f"Method: {c.method}."]
    return [
        Table(f"{device} with {runtime}\nfitted to {used}", columns, rows, [f"{n[0].upper()}{n[1:]}." for n in notes]),
        held_out_table(r),
        worst_table(r.lines),
        Table("", (), (), last),
    ]


def _value(name: str, x: float) -> str:
    unit = PARAMETERS[name].unit
    return str(Figure(x, unit)) if unit else significant(x)


def _by_count(r: Result, most: int = 6) -> list[tuple[str, int]]:
    return sorted(r.skipped.items(), key=lambda item: -item[1])[:most]


def held_out_table(r: Result) -> Table:
    """Errors by metric and phase on rows that the fit had not seen."""
    errors = [Column(name, "%") for name in ("median", "90th", "bias", "covered")]
    columns = [Column("metric"), Column("of"), Column("lengths", "text"), Column("rows", "count"), *errors]
    rows = [
        [h.metric, h.phase, h.lengths, h.rows, h.median_error, h.p90_error, h.bias, h.coverage]
        for h in r.calibration.held_out
    ]
    note = "covered: share of the measurements inside the 95 % interval of their prediction."
    return Table("Size of the relative error on configurations held out", columns, rows, [note])


def worst_table(lines: tuple[Line, ...]) -> Table:
    """The rows that are predicted worst."""
    worst = sorted((line for line in lines if not line.case.flags), key=lambda line: -abs(line.error))[:WORST]
    columns = [Column("line", "count"), Column("model"), Column("figure"), Column("tokens", "count"),
               Column("measured", "text"), Column("predicted", "text"), Column("error", "text")]  # fmt: skip
    rows = [
        [x.case.run.line, x.case.model or "–", x.case.group, x.case.tokens, *_both(x), f"{x.error:+.1%}"] for x in worst
    ]
    return Table("Rows predicted worst", columns, rows)


def _both(x: Line) -> tuple[str, str]:
    unit = UNITS.get(x.case.metric, "")
    return str(Figure(x.case.measured, unit)), str(Figure(x.held_out, unit))


def missing_terms(r: Result) -> Iterator[str]:
    """Groups of rows that are predicted badly in one direction: a term that no parameter can make up for."""
    groups: dict[str, list[Line]] = {}
    for line in r.lines:
        if not line.case.flags:
            groups.setdefault(line.case.group, []).append(line)
    for group, lines in sorted(groups.items()):
        size = median(abs(line.error) for line in lines)
        if size <= POOR:
            continue
        bias = median(line.error for line in lines)
        by_model: dict[str, list[float]] = {}
        for line in lines:
            by_model.setdefault(line.case.model or line.case.run.op, []).append(line.error)
        model, errors = max(by_model.items(), key=lambda item: abs(median(item[1])))
        direction = "above" if bias > 0 else "below"
        yield (
            f"{group}: median error {size:.0%}, predictions mostly {direction} the measurements; most for {model} "
            f"({median(errors):+.0%})"
        )


def summary(r: Result) -> str:
    """The report as a Markdown page beside its figures."""
    c = r.calibration
    head = [
        f"# {c.name}",
        f"{c.device} with {c.runtime}" + (f", host {c.host}" if c.host else "") + f"; fitted {c.date}.",
        f"Data: {c.dataset.file} (SHA-256 {c.dataset.sha256[:12]}…), {c.dataset.used:,} of {c.dataset.rows:,} rows"
        + (f", where `{c.dataset.where}`." if c.dataset.where else "."),
    ]
    missing = list(missing_terms(r))
    tables = calibration_tables(r, c.device, c.runtime)
    body = FORMATS["markdown"](tables, {})
    figures = [f"![{name}]({name}.png)" for name in ("predicted", "residuals", "parameters")]
    lacks = ["## What the model does not follow", *(f"- {each}" for each in missing)] if missing else []
    return "\n\n".join([*head, *figures, body, *lacks]) + "\n"
