"""How combinations side by side are laid out: a short table for people, every column for data."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

from roofsim.prediction.intervals import Interval
from roofsim.prediction.places import COUNTS
from roofsim.reports import table
from roofsim.reports.records import ends_of, records, with_ends
from roofsim.reports.several import cells_of, clusters_of, full_names, heads, refusals, shared, told
from roofsim.reports.table import TOGETHER, Column, Table, tokens_that_fit
from roofsim.spaces.compare import FIGURES, FILTERS, Comparison, Row


def comparison_tables(c: Comparison) -> list[Table]:
    """What does not vary once above, a row for each combination, then those that cannot be run and why."""
    runs = [row for row in c.rows if not row.refused]
    tables = [_figures(c, runs) if runs else Table(shared(c), (), ()), *refusals(c)]
    notes = [] if c.rows else ["No combination passes."]
    if c.left_out:
        notes.append(f"Left out: {', '.join(f'{n:,} {FILTERS[why]}' for why, n in c.left_out.items())}.")
    notes += [*told(c, [(row, row.cautions) for row in runs]), *full_names(c), *clusters_of(c, runs)]
    return [*tables, Table("", (), (), [*notes, *([NOTE] if runs else [])])]


NOTE = (
    "x1.21: the 95 % interval, this factor up and down, by a calibration or by the priors of such devices and "
    "runtimes. tokens/s: output tokens of all sequences over the time of the whole request. Energy and price are those "
    "of a million output tokens, their prompts included."
)


def _figures(c: Comparison, runs: Sequence[Row]) -> Table:
    """The rows that can be run, those that do not fit last."""
    partly = not all(row.fits for row in runs)
    asked = any(name.startswith("cost.") for row in runs for name in row.chosen)
    shown = {head: name for head, name in HEADS.items() if name != "usd_per_million" or asked}
    columns = [
        *heads(c), *([Column("fits", "bool")] if partly else []), Column("longest prompt", "text"),
        Column("largest batch", "text"), *(Column(head, "text") for head in shown),
    ]  # fmt: skip
    cells = cells_of(c)
    lines = [
        [*cells(row), *([row.fits] if partly else []), tokens_that_fit(row.figures["max_prompt"]),
         tokens_that_fit(row.figures["max_batch"]),
         *(_within(row.figures[name], row.intervals.get(name), FIGURES[name].unit) for name in shown.values())]
        for row in runs
    ]  # fmt: skip
    return Table(shared(c), columns, lines, keys=len(heads(c)))


HEADS = {
    "TTFT": "ttft", "TPOT": "tpot", "tokens/s": "tokens_per_second", "peak": "memory_peak",
    "energy/M": "joules_per_million", "price/M": "usd_per_million",
}  # fmt: skip
"""What heads the figures with intervals that people are shown."""


def _within(value: Any, ends: Interval | None, unit: str) -> str:
    """A figure with the factor of its interval."""
    if value is None or isnan(value):
        return Column("").text(None)
    shown = str(table.Figure(value, unit)).replace(" ", TOGETHER)
    return f"{shown} x{ends[1] / value:.2f}" if ends else shown


def comparison_records(c: Comparison) -> Table:
    """Every row with every figure, both ends of its interval beside it, and why it cannot be run."""
    chosen = c.rows[0].chosen if c.rows else ("model", "device", "runtime", "weights", "cache", *COUNTS)
    certain = [name for name, figure in FIGURES.items() if not figure.interval]
    figures = with_ends({name: figure.unit for name, figure in FIGURES.items()}, certain)
    units = {**dict.fromkeys(chosen), **c.labels.units, **figures, "calibration": None, "basis": None, "refused": None}
    plain = [
        {**row.to_dict(), "fits": row.fits, "refused": row.reason} for row in c.rows
    ]  # a column of yes and no alone
    return records([{**dict.fromkeys(units), **row, **ends_of(row["intervals"])} for row in plain], units)
