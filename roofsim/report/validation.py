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
    for device in dict.fromkeys(r.device for r in v.rows) if rows else ():
        each = [
            [r.model, f"{r.phase} {r.metric}", r.batch, r.prompt, str(Figure(r.measured, UNITS[r.metric])),
             str(Figure(r.predicted, UNITS[r.metric])), f"{r.error:+.1%}{'*' if r.flags else ''}"]
            for r in sorted(v.rows, key=lambda r: (r.model, r.phase, r.metric, r.batch, r.prompt))
            if r.device == device
        ]  # fmt: skip
        names = [Column("model"), Column("figure"), Column("batch", "count"), Column("prompt", "count"),
                 Column("measured", "text"), Column("predicted", "text"), Column("error", "text")]  # fmt: skip
        tables.append(Table(device, names, each, ["* flagged in the file (suspect, or a contended host)"]))
    return tables
