"""How predictions beside measured runs are laid out."""

from __future__ import annotations

from collections.abc import Sequence

from roofsim.report.table import Column, Figure, Table
from roofsim.studies.validate import Row, Validation

UNITS = {
    "latency_s": "s", "device_time_s": "s", "peak_mem_bytes": "B", "weights_bytes": "B", "energy_j": "J",
    "kernel_count": "count", "kv_tokens": "count",
}  # fmt: skip
"""The unit in which a metric is shown."""

WORST = 5
"""Rows with the largest errors that are listed."""


def validation_tables(v: Validation, *, rows: bool) -> list[Table]:
    """Scores by device, phase and metric, and the worst rows; with `rows` every row instead."""
    errors = [Column(name, "%") for name in ("median", "90th", "worst", "bias", "covered")]
    columns = [Column("device"), Column("phase"), Column("metric"), Column("rows", "count"), *errors]
    scores = [
        [s.device, s.phase, s.metric, s.rows, s.median_error, s.p90_error, s.worst_error, s.bias, s.coverage]
        for s in v.scores
    ]  # fmt: skip
    flagged = sum(bool(row.flags) for row in v.rows)
    notes = [
        f"{len(v.rows)} rows predicted, {flagged} of them flagged and not scored; {sum(v.skipped.values())} others."
    ]
    basis = f"{v.runtime}, calibration {v.calibration}" if v.calibration else v.runtime
    tables = [Table(f"{v.file} against {basis}: size of the relative error", columns, scores, notes)]
    if not rows:
        return [*tables, _table("Worst rows", v.worst(WORST), ())]
    for device in dict.fromkeys(r.device for r in v.rows):
        mine = [r for r in v.rows if r.device == device]
        mine.sort(key=lambda r: (r.model, r.phase, r.metric, r.batch, r.prompt))
        tables.append(_table(device, mine, ["* flagged in the file (suspect, or a contended host)"]))
    return tables


def _table(title: str, rows: Sequence[Row], notes: Sequence[str]) -> Table:
    cells = [
        [r.model or "–", f"{r.phase} {r.metric}", r.batch, r.prompt, str(Figure(r.measured, UNITS[r.metric])),
         str(Figure(r.predicted, UNITS[r.metric])), f"{r.error:+.1%}{'*' if r.flags else ''}"]
        for r in rows
    ]  # fmt: skip
    columns = [Column("model"), Column("figure"), Column("batch", "count"), Column("prompt", "count"),
               Column("measured", "text"), Column("predicted", "text"), Column("error", "text")]  # fmt: skip
    return Table(title, columns, cells, notes)
