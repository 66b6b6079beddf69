"""How runtimes side by side, and remedies, are laid out."""

from __future__ import annotations

from collections.abc import Sequence

from roofsim.prediction.results import Prediction, columns
from roofsim.prediction.words import MISFIT
from roofsim.reports.heading import assumed, heading
from roofsim.reports.records import records
from roofsim.reports.table import Column, Figure, Table
from roofsim.studies.compare import Remedy, RuntimeComparison

UNITS = {"ttft": "s", "tpot": "s", "memory": "B", "energy": "J"}
FIGURES = [Column("TTFT", "text"), Column("TPOT", "text"), Column("peak", "text"), Column("energy", "text")]


def comparison_tables(c: RuntimeComparison, device: str) -> list[Table]:
    """The figures of every runtime, then what makes each differ from the first."""
    first = c.sides[0].prediction
    rows = [
        [side.prediction.runtime, *_figures(side.prediction), "yes" if side.prediction.fits else "no"]
        for side in c.sides
    ]
    w = first.workload
    predictions = [side.prediction for side in c.sides]
    told = dict.fromkeys(
        f"{each}, with {p.runtime}" if each.startswith(MISFIT) else each for p in predictions for each in p.cautions
    )
    title = f"{first.model} on {device}\nbatch {w.batch}, {w.prompt:,} tokens, {w.generate:,} generated"
    tables = [Table(heading(title, tuple(told)), [Column("runtime"), *FIGURES, Column("fits", "text")], rows)]
    tables.append(_intervals(predictions))
    for side in c.sides[1:]:
        parts = [[part.step, *(_signed(getattr(part, name), name) for name in UNITS)] for part in side.contributions]
        title = f"From {first.runtime} to {side.prediction.runtime}"
        note = "The parts add up to the difference; each is made after those above it."
        tables.append(Table(title, [Column("part"), *FIGURES], parts, [note]))
    notes = [assumed(p.assumptions, p.cautions, f" with {p.runtime}") for p in predictions]
    return [*tables, Table("", (), (), notes)]


def _intervals(predictions: Sequence[Prediction]) -> Table:
    """The 95 % intervals of both times with every runtime, and what they rest on."""
    rows = [
        [p.runtime, *(Figure(end, "s") for name in ("ttft", "tpot") for end in (p.intervals or {})[name]), p.basis]
        for p in predictions
    ]
    ends = ("TTFT from", "TTFT to", "TPOT from", "TPOT to")
    heads = [Column("runtime"), *(Column(name, "text") for name in ends), Column("basis")]
    return Table("95 % intervals, by a calibration or the priors of such devices and runtimes", heads, rows)


def _figures(p: Prediction) -> list[Figure]:
    return [
        Figure(p.request.ttft, "s"),
        Figure(p.request.tpot, "s"),
        Figure(p.memory.peak, "B"),
        Figure(p.request.energy, "J"),
    ]


def _signed(value: float, name: str) -> str:
    return f"{'+' if value >= 0 else '-'}{Figure(abs(value), UNITS[name])}" if value else "0"


def remedy_records(p: Prediction, found: Sequence[Remedy]) -> Table:
    """The figures as they are, and with each change alone."""
    now = {"ttft": p.request.ttft, "tpot": p.request.tpot, "memory": p.memory.peak, "energy": p.request.energy}
    return records([{"change": "", **now}, *map(columns, found)], {"change": None, **UNITS})


def remedy_table(p: Prediction, found: Sequence[Remedy]) -> Table:
    """What each change alone would make of the figures."""
    rows = [["now", *_figures(p)]]
    rows += [[r.change, *(Figure(getattr(r, name), unit) for name, unit in UNITS.items())] for r in found]
    notes = [] if found else ["Nothing that this stack could do otherwise would help."]
    return Table("What would help, each alone", [Column("change"), *FIGURES], rows, notes)
