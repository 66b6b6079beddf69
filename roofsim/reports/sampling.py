"""How the cost of trials is laid out."""

from __future__ import annotations

from dataclasses import fields

from roofsim.reports.table import Column, Figure, Table
from roofsim.spaces.sampling import SAID, SamplingResult, Trials

UNITS = {
    "time": "s", "energy": "J", "cost": "USD", "tokens_per_second": "rate", "memory": "B", "fits": "text",
    "matrix_flops": "FLOP", "vector_flops": "FLOP", "bytes_weights": "B", "bytes_state": "B", "eflops_weights": "FLOP",
    "eflops_state": "FLOP", "eflops": "FLOP", "bound": "text", "coverage": "ratio",
}  # fmt: skip
"""The unit of each column; others are counts."""


def sampling_tables(r: SamplingResult, device: str, runtime: str, everything: bool = False) -> list[Table]:
    """A row for every number of trials and tokens; with `everything` all columns, for formats that hold data."""
    if everything:
        columns = [Column(f.name, UNITS.get(f.name, "count")) for f in fields(Trials)]
        return [Table("", columns, [[getattr(row, each.name) for each in columns] for row in r.rows])]
    budget = r.budget is not None
    covered = any(row.coverage is not None for row in r.rows)
    columns = [
        Column("trials", "count"), Column("tokens", "count"), Column("time", "s"),
        *([] if covered else [Column("energy", "J")]), Column("memory", "B"), Column("eFLOP", "FLOP"),
        Column("weights", "%"), Column("state", "%"),
        Column("bound" if budget else "fits", "text"), *([Column("coverage", "%")] if covered else []),
    ]  # fmt: skip
    rows = [
        [
            row.trials, row.tokens, row.time, *([] if covered else [row.energy]), row.memory, row.eflops,
            *(part / row.eflops if row.eflops else None for part in (row.eflops_weights, row.eflops_state)),
            row.bound if budget else "yes" if row.fits else "no", *([row.coverage] if covered else []),
        ]
        for row in r.rows
    ]  # fmt: skip
    title = f"Trials of one prompt of {r.prompt:,} tokens: {r.model} on {device}\nwith {runtime}"
    notes = [
        f"Assumed: {SAID[r.shared]}. A byte counts as {r.intensity:.0f} FLOP, the peak in {r.dtype} over the "
        "bandwidth; `weights` and `state` are the shares of eFLOP that reading those takes."
    ]
    if r.best is not None and r.budget is not None:
        one = r.rows[r.best]
        why = f"{one.trials * one.tokens:,} in all" if one.coverage is None else f"coverage {one.coverage:.1%}"
        notes.append(f"Best use of {Figure(r.budget, r.unit)}: {one.trials:,} × {one.tokens:,} tokens, {why}.")
    return [Table(title, columns, rows, notes)]
