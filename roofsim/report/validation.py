"""How predictions beside measured runs are laid out."""

from __future__ import annotations

from collections.abc import Sequence

from roofsim.report.formats import FORMATS
from roofsim.report.table import Column, Figure, Table
from roofsim.studies.validate import Row, Validation

UNITS = {
    "latency_s": "s", "device_time_s": "s", "peak_mem_bytes": "B", "weights_bytes": "B", "energy_j": "J",
    "kernel_count": "count", "kv_tokens": "count",
}  # fmt: skip
"""The unit in which a metric is shown."""

WORST = 5
"""Rows with the largest errors that are listed."""


REASONS = 12
"""Reasons for leaving rows out that are listed, the most frequent first."""


def validation_tables(v: Validation, *, rows: bool) -> list[Table]:
    """Scores by device, stack, phase and metric, why other rows are not scored, and the worst rows or all."""
    tables = [score_table(v), *([reason_table(v)] if v.skipped else [])]
    if not rows:
        return [*tables, _table("Worst rows", v.worst(WORST), ())]
    for device, runtime in dict.fromkeys((r.device, r.runtime) for r in v.rows):
        mine = [r for r in v.rows if (r.device, r.runtime) == (device, runtime)]
        mine.sort(key=lambda r: (r.model, r.phase, r.metric, r.batch, r.prompt))
        notes = ["* flagged in the file (suspect, or a contended host)"]
        tables.append(_table(f"{device} with {runtime}", mine, notes))
    return tables


def score_table(v: Validation) -> Table:
    """Errors by device, stack, phase and metric; where all rows are of one stack, the title names it."""
    stacks = list(dict.fromkeys(s.runtime for s in v.scores))
    several = len(stacks) > 1
    errors = [Column(name, "%") for name in ("median", "90th", "worst", "bias", "covered")]
    columns = [Column("device"), *([Column("runtime")] if several else []), Column("phase"), Column("metric"),
               Column("rows", "count"), *errors]  # fmt: skip
    scores = [
        [s.device, *([s.runtime] if several else []), s.phase, s.metric, s.rows, s.median_error, s.p90_error,
         s.worst_error, s.bias, s.coverage]
        for s in v.scores
    ]  # fmt: skip
    basis = "the stacks that rows name" if several else "".join(stacks) or v.runtime or "nothing"
    basis += f", calibration {v.calibration}" if v.calibration else ""
    notes = [f"{v.scored:,} of {v.figures:,} rows scored."]
    return Table(f"{v.file} against {basis}: size of the relative error", columns, scores, notes)


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


def _table(title: str, rows: Sequence[Row], notes: Sequence[str]) -> Table:
    cells = [
        [r.model or "–", f"{r.phase} {r.metric}", r.batch, r.prompt, str(Figure(r.measured, UNITS[r.metric])),
         str(Figure(r.predicted, UNITS[r.metric])), f"{r.error:+.1%}{'*' if r.flags else ''}"]
        for r in rows
    ]  # fmt: skip
    columns = [Column("model"), Column("figure"), Column("batch", "count"), Column("prompt", "count"),
               Column("measured", "text"), Column("predicted", "text"), Column("error", "text")]  # fmt: skip
    return Table(title, columns, cells, notes)
