"""How limits are laid out: memory by part over length."""

from __future__ import annotations

from roofsim.report.prediction import by
from roofsim.report.table import Column, Figure, Table, tokens_that_fit
from roofsim.studies.limits import LimitsResult


def limits_tables(r: LimitsResult, device: str, runtime: str) -> list[Table]:
    """The two limits, then memory by part over length."""
    named = ("weights", "state", "logits", "masks")
    rows = []
    for each in r.at:
        m = each.memory
        parts = [getattr(m, part) for part in named]
        rows.append([each.prompt, *parts, m.peak - sum(parts), m.peak, "yes" if each.fits else "no"])
    columns = [
        Column("prompt", "count"),
        *(Column(part, "B") for part in (*named, "other", "peak")),
        Column("fits", "text"),
    ]
    last = r.at[-1].memory
    notes = [
        f"Longest prompt at batch {r.workload.batch}: {tokens_that_fit(r.limits.max_prompt)} tokens. Largest batch at "
        f"{r.workload.prompt:,} tokens: {tokens_that_fit(r.limits.max_batch)}. Capacity {Figure(r.capacity, 'B')}.",
        _within(r),
        f"What binds at {r.at[-1].prompt:,} tokens: {last.binding}.",
        "Assumed: " + "; ".join(r.assumptions) + ".",
    ]
    return [Table(f"Peak memory of a prefill: {r.model} on {device}\nwith {runtime}", columns, rows, notes)]


def _within(r: LimitsResult) -> str:
    """The intervals of both limits in words."""
    ends = {name: [tokens_that_fit(int(end)) for end in ends] for name, ends in r.intervals.items()}
    prompt, batch = (" to ".join(ends[name]) for name in ("max_prompt", "max_batch"))
    return f"95 % intervals {by(r.calibration)}: longest prompt {prompt}, largest batch {batch}."
