"""How a calibration is laid out: parameters, errors on held-out rows, what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from roofsim.fitting.run import Line, Result
from roofsim.reports.calibrated import held_out_table, parameter_table
from roofsim.reports.formats import FORMATS
from roofsim.reports.table import Column, Figure, Table
from roofsim.reports.validation import UNITS

WORST = 8
"""Rows of the largest errors that are listed."""

STRONGEST, REASONS = 6, 6
"""How many correlations, and how many reasons for leaving rows out, are listed."""

POOR = 0.10
"""A median error beyond this is put down to a term that the model lacks."""


def result_tables(r: Result, device: str, runtime: str) -> list[Table]:
    """Estimates with their intervals, errors on held-out rows, the worst rows, and notes."""
    c = r.calibration
    title = f"{device} with {runtime}\nfitted to {c.dataset.used:,} of {c.dataset.rows:,} rows of {c.dataset.file}"
    parameters = parameter_table(c, title)
    shown = {row[0] for row in parameters.rows}
    strong = [f"{a} and {b} {x:+.2f}" for a, b, x in r.correlations if {a, b} <= shown][:STRONGEST]
    notes = [*parameters.notes, *([f"Correlated: {', '.join(strong)}."] if strong else [])]
    left = sorted(r.skipped.items(), key=lambda item: -item[1])[:REASONS]
    last = [f"Left out: {n:,} rows, {reason}." for reason, n in left] + [f"Method: {c.method}."]
    return [replace(parameters, notes=notes), held_out_table(c), worst_table(r.lines), Table("", (), (), last)]


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
    tables = result_tables(r, c.device, c.runtime)
    body = FORMATS["markdown"](tables, {})
    figures = [f"![{name}]({name}.png)" for name in ("predicted", "residuals", "parameters")]
    lacks = ["## What the model does not follow", *(f"- {each}" for each in missing)] if missing else []
    return "\n\n".join([*head, *figures, body, *lacks]) + "\n"
