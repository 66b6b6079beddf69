"""How predictions beside measured runs are laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from roofsim.prediction.results import columns
from roofsim.reports.formats import FORMATS
from roofsim.reports.records import ends_of, records
from roofsim.reports.table import Column, Figure, Table
from roofsim.studies.validate import Row, Score, Validation

UNITS = {
    "latency_s": "s", "device_time_s": "s", "peak_mem_bytes": "B", "weights_bytes": "B", "energy_j": "J",
    "kernel_count": "count", "kv_tokens": "count",
}  # fmt: skip
"""The unit in which a metric is shown."""

SAID = {
    "latency_s": "time of a pass", "device_time_s": "time on the device", "peak_mem_bytes": "peak memory",
    "weights_bytes": "weights", "energy_j": "energy", "kernel_count": "kernels", "kv_tokens": "tokens in the cache",
}  # fmt: skip
"""What metrics of runs are called in words."""

WORST = 5
"""Rows with the largest errors that are listed."""


REASONS = 12
"""Reasons for leaving rows out that are listed, the most frequent first."""


def validation_tables(v: Validation, *, rows: bool, by_stack: bool = False) -> list[Table]:
    """Scores by device, stack, phase and metric, why other rows are not scored, and the worst rows or all.

    `by_stack` makes a narrow table for each stack of a wide one for all.
    """
    stacks = list(dict.fromkeys((r.device, r.runtime) for r in v.rows))
    tables = _scores_by_stack(v) if by_stack else [score_table(v)]
    tables += [reason_table(v)] if v.skipped else []
    if not rows:
        return [*tables, _table("Worst rows", v.worst(WORST), (), lines=len(stacks) > 1)]
    for device, runtime in stacks:
        mine = [r for r in v.rows if (r.device, r.runtime) == (device, runtime)]
        mine.sort(key=lambda r: (r.model, r.phase, r.metric, r.batch, r.prompt))
        notes = ["* flagged in the file (suspect, or a contended host)"] if any(r.flags for r in mine) else []
        tables.append(_table(f"{device} with {runtime}", mine, notes))
    return tables


def score_table(v: Validation) -> Table:
    """Errors by device, stack, phase and metric; where all rows are of one stack, the title names it."""
    stacks = list(dict.fromkeys(s.runtime for s in v.scores))
    several = len(stacks) > 1
    errors = [Column(name, "%") for name in ("median", "90th", "worst", "bias", "covered")]
    heads = [Column("device"), *([Column("runtime")] if several else []), Column("phase"), Column("metric"),
               Column("rows", "count"), *errors]  # fmt: skip
    scores = [
        [s.device, *([s.runtime] if several else []), s.phase, s.metric, s.rows, s.median_error, s.p90_error,
         s.worst_error, s.bias, s.coverage]
        for s in v.scores
    ]  # fmt: skip
    basis = "the stacks that rows name" if several else "".join(stacks) or v.runtime or "nothing"
    basis += f", calibration {v.calibration}" if v.calibration else ""
    notes = [f"{v.scored:,} of {v.figures:,} rows scored."]
    return Table(f"{v.file} against {basis}: size of the relative error", heads, scores, notes)


def validation_records(v: Validation, *, rows: bool) -> Table:
    """A row for each score, or for each measurement in the SI unit of its metric."""
    if not rows:
        return records([columns(score) for score in v.scores], dict.fromkeys(f.name for f in fields(Score)))
    ends = {f"predicted_{end}": None for end in ("low", "high")}
    names = [f.name for f in fields(Row) if f.name not in ("flags", "interval")]
    units = {**dict.fromkeys(names), **ends, "error": None, "flags": None}
    return records(
        [{**columns(r), **ends_of({"predicted": r.interval}), "error": r.error, "flags": " ".join(r.flags)}
         for r in v.rows],
        units,
    )  # fmt: skip


def _scores_by_stack(v: Validation) -> list[Table]:
    """The title and the count of the scores, then a table for each device with its stack."""
    whole = score_table(v)
    tables = [Table(whole.title, (), (), whole.notes)]
    for device, runtime in dict.fromkeys((s.device, s.runtime) for s in v.scores):
        mine = tuple(s for s in v.scores if (s.device, s.runtime) == (device, runtime))
        table = score_table(replace(v, scores=mine))
        rows = [row[1:] for row in table.rows]
        tables.append(Table(f"{device} with {runtime}", table.columns[1:], rows))
    return tables


def reason_table(v: Validation) -> Table:
    """How many rows are not scored for which reason; the rarest reasons as one."""
    reasons = sorted(v.skipped.items(), key=lambda item: (-item[1], item[0]))
    rows = [[n, reason] for reason, n in reasons[:REASONS]]
    others = [n for _, n in reasons[REASONS:]]
    rows += [[sum(others), f"{len(others)} other reasons (all of them in the JSON)"]] if others else []
    return Table("Rows that are not scored", [Column("rows", "count"), Column("reason")], rows)


def summary(v: Validation, figures: Sequence[str]) -> str:
    """The report as a Markdown page beside its figures."""
    shown = [f"![{name.partition('.')[0]} against measured]({name})" for name in figures]
    body = FORMATS["markdown"](validation_tables(v, rows=False), {})
    return "\n\n".join([f"# {v.file} against predictions", *shown, body]) + "\n"


def _table(title: str, rows: Sequence[Row], notes: Sequence[str], lines: bool = False) -> Table:
    """Measured beside predicted; `lines` says where in the file each stands."""
    cells = [
        [r.model or "–", f"{r.phase} {r.metric}", r.batch, r.prompt, str(Figure(r.measured, UNITS[r.metric])),
         str(Figure(r.predicted, UNITS[r.metric])), f"{r.error:+.1%}{'*' if r.flags else ''}"]
        for r in rows
    ]  # fmt: skip
    heads = [Column("model"), Column("figure"), Column("batch", "count"), Column("prompt", "count"),
               Column("measured", "text"), Column("predicted", "text"), Column("error", "text")]  # fmt: skip
    if lines:
        heads = [Column("line", "count"), *heads]
        cells = [[r.line, *row] for r, row in zip(rows, cells, strict=True)]
    return Table(title, heads, cells, notes)
