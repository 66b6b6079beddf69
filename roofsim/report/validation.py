"""How predictions beside measured runs are laid out."""

from __future__ import annotations

from roofsim.report.table import Column, Figure, Table
from roofsim.studies.validate import Validation

UNITS = {"latency_s": "s", "device_time_s": "s", "peak_mem_bytes": "B", "energy_j": "J", "kernel_count": "count"}


def validation_tables(v: Validation, *, rows: bool) -> list[Table]:
    """Scores by device, phase and metric; with `rows` every row as well."""
    columns = [Column("device"), Column("phase"), Column("metric"), Column("rows", "count"), Column("median", "%"),
               Column("worst", "%"), Column("bias", "%")]  # fmt: skip
    scores = [[s.device, s.phase, s.metric, s.rows, s.median_error, s.worst_error, s.bias] for s in v.scores]
    flagged = sum(bool(row.flags) for row in v.rows)
    notes = [
        f"{len(v.rows)} rows predicted, {flagged} of them flagged and not scored; {sum(v.skipped.values())} others."
    ]
    tables = [Table(f"{v.file} against {v.runtime}: size of the relative error", columns, scores, notes)]
    if rows:
        each = [
            [r.model, r.device, r.phase, r.metric, r.batch, r.prompt, Figure(r.measured, UNITS[r.metric]),
             Figure(r.predicted, UNITS[r.metric]), f"{r.error:+.1%}", ", ".join(r.flags)]
            for r in sorted(v.rows, key=lambda r: (r.device, r.model, r.phase, r.metric, r.batch, r.prompt))
        ]  # fmt: skip
        names = [Column("model"), Column("device"), Column("phase"), Column("metric"), Column("batch", "count"),
                 Column("prompt", "count"), Column("measured", "text"), Column("predicted", "text"),
                 Column("error", "text"), Column("flags")]  # fmt: skip
        tables.append(Table("Rows", names, each))
    return tables
