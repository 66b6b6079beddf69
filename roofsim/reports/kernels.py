"""How kernels that a profiler saw are laid out beside predicted ones."""

from __future__ import annotations

from roofsim.prediction.results import columns
from roofsim.reports.records import ends_of, records
from roofsim.reports.table import TOGETHER, Column, Table
from roofsim.studies.kernels import Compared

LONGEST = 12
"""Kernels that are listed, the longest first."""

NAME = 30
"""Letters of a kernel's name that are shown."""


def kernel_tables(c: Compared, device: str, runtime: str, *, everything: bool = False) -> list[Table]:
    """Times by what kernels are for, and the longest kernels, or all."""
    heads = [Column("kernels"), Column("launches", "count"), Column("pred.", "count"), Column("measured", "s"),
             Column("pred. time", "s"), Column("95 %"), Column("error", "%")]  # fmt: skip
    time = Column("", "s")
    rows = [
        [g.group, g.launches, g.predicted_launches, g.measured, g.predicted,
         f"{time.text(g.interval[0])} – {time.text(g.interval[1])}".replace(" ", TOGETHER), g.error]
        for g in c.groups
    ]  # fmt: skip
    total = c.predicted / c.measured - 1
    rows.append(["all", sum(g.launches for g in c.groups), sum(g.predicted_launches for g in c.groups), c.measured,
                 c.predicted, None, total])  # fmt: skip
    passes = f"{c.passes} passes" if c.passes > 1 else "one pass"
    notes = [f"{c.file}: {passes}; times are of one."]
    if c.device:
        notes.append(f"The trace names its device {c.device}.")
    if c.wall:
        notes.append(
            f"A step took {time.text(c.wall)} with the profiler on; predicted without {time.text(c.predicted_wall)}."
        )
    tables = [
        Table(f"{c.phase} on {device} with {runtime}: kernels of the trace and predicted ones", heads, rows, notes)
    ]
    most = None if everything else LONGEST
    if c.pairs:
        heads = [Column("operator"), Column("kernel in the trace"), Column("launches", "count"),
                 Column("measured", "s"), Column("error", "%")]  # fmt: skip
        rows = [[f"{p.layer}: {p.operator}", _short(p.measured_name), p.launches, p.measured, p.error]
                for p in c.pairs[:most]]  # fmt: skip
        tables.append(Table("Paired in their order", heads, rows))
    if c.unpaired:
        heads = [Column("kernel in the trace"), Column("kernels"), Column("launches", "count"), Column("measured", "s")]
        rows = [[_short(x.name), x.group, x.count, x.time] for x in c.unpaired[:most]]
        note = "Of these there are not as many as predicted, so that they cannot be told apart by operator."
        tables.append(Table("Not paired", heads, rows, [note]))
    return tables


def _short(name: str) -> str:
    """The beginning of a kernel's name, without what all names of C++ begin with."""
    plain = name.removeprefix("void ").replace("at::native::", "").replace("(anonymous namespace)::", "")
    return plain if len(plain) <= NAME else f"{plain[: NAME - 3]}..."


def kernel_records(c: Compared, *, everything: bool = False) -> Table:
    """A row for each group of kernels, or for each pair, in seconds of one pass."""
    if everything:
        names = ("layer", "operator", "kernel", "measured_name", "group", "launches", "measured", "predicted", "error")
        return records([{**columns(p), "error": p.error} for p in c.pairs], dict.fromkeys(names))
    fields = ("group", "launches", "predicted_launches", "measured", "predicted", "predicted_low", "predicted_high",
             "error")  # fmt: skip
    rows = [
        {
            **{k: v for k, v in columns(g).items() if k != "interval"},
            **ends_of({"predicted": g.interval}),
            "error": g.error,
        }
        for g in c.groups
    ]
    return records(rows, dict.fromkeys(fields))
