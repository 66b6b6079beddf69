"""Predictions of many requests at once, laid out: a row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roofsim.prediction.results import Prediction, columns
from roofsim.reports.prediction import MEMORY_UNITS, PASS_UNITS
from roofsim.reports.records import records
from roofsim.reports.table import Column, Table

REQUEST: Mapping[str, str | None] = {
    "ttft": "s", "tpot": "s", "total_time": "s", "tokens_per_second": "", "energy": "J",
}  # fmt: skip
MOST = 20
"""Requests that people are shown."""


def array_records(p: Prediction) -> Table:
    """A row for each request, in the order of the array: the columns of `prediction_records` that arrays have."""
    counts = ("batch", "prompt", "generate")
    passes = {f"{part}_{name}": unit for part in ("prefill", "decode") for name, unit in PASS_UNITS.items()}
    memory = {f"memory_{name}": "B" for name in (*MEMORY_UNITS, "grown")}
    units = {**dict.fromkeys(("model", "device", "runtime", *counts)), **REQUEST, "fits": None, **passes, **memory}
    figures: dict[str, Any] = {
        **{name: getattr(p.workload, name) for name in counts}, **columns(p.request), "fits": p.fits,
        **{f"{part}_{name}": getattr(each, name)
           for part, each in (("prefill", p.prefill), ("decode", p.decode)) for name in PASS_UNITS},
        **{f"memory_{name}": getattr(p.memory, name) for name in MEMORY_UNITS}, "memory_grown": p.grown,
    }  # fmt: skip
    flat = {name: x.ravel().tolist() for name, x in zip(figures, np.broadcast_arrays(*figures.values()), strict=True)}
    flat |= {name: [int(n) for n in flat[name]] for name in counts}
    same = {"model": p.model, "device": p.device, "runtime": p.runtime}
    rows = [{**same, **dict(zip(flat, row, strict=True))} for row in zip(*flat.values(), strict=True)]
    return records(rows, units)


def array_tables(p: Prediction, device: str, runtime: str) -> list[Table]:
    """The first requests with what a user sees of them."""
    heads = [Column("batch", "count"), Column("prompt", "count"), Column("generate", "count"), Column("TTFT", "s"),
             Column("TPOT", "s"), Column("total", "s"), Column("tokens/s", "rate"), Column("energy", "J"),
             Column("peak", "B"), Column("fits", "text")]  # fmt: skip
    names = ("batch", "prompt", "generate", *REQUEST, "memory_peak", "fits")
    table = array_records(p)
    places = [[column.name for column in table.columns].index(name) for name in names]
    rows = [[row[i] for i in places] for row in table.rows[:MOST]]
    rows = [[*row[:-1], "yes" if row[-1] else "no"] for row in rows]
    notes = ["Assumed: " + "; ".join(p.assumptions) + "."]
    if len(table.rows) > MOST:
        notes.insert(0, f"{MOST} of {len(table.rows):,} requests; to_pandas() has all.")
    return [Table(f"{p.model} on {device}\nwith {runtime}", heads, rows, notes)]
