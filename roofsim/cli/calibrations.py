"""List the calibrations that are shipped."""

from __future__ import annotations

from statistics import median
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.reports.records import records
from roofsim.reports.table import Column, Table

METRICS = {"latency_s": "latency", "device_time_s": "device_time", "peak_mem_bytes": "memory", "energy_j": "energy"}
"""The metrics whose errors are listed, and what they are called."""


@click.command()
@o.output_options
def command(format_: str, output: str | None, quiet: bool) -> None:
    """List every shipped calibration: its device, its runtime, and its error on runs held out.

    \b
    Example: roofsim calibrations
    """
    from roofsim import library

    data: list[dict[str, Any]] = []
    for name in library.names("hardware/calibrated"):
        c = library.calibration(name)
        errors: dict[str, float | None] = {}
        for metric, short in METRICS.items():
            found = [h.median_error for h in c.held_out if h.metric == metric and h.lengths == "all"]
            errors[f"{short}_error"] = median(found) if found else None
        data.append({"id": c.id, "device": c.device, "runtime": c.runtime, "rows": c.dataset.used, **errors})
    columns = [Column("calibration"), Column("runtime"), Column("rows", "count"), Column("latency", "%"),
               Column("busy", "%")]  # fmt: skip
    rows = [[d[k] for k in ("id", "runtime", "rows", "latency_error", "device_time_error")] for d in data]
    note = (
        "Median errors of wall times and of device times on configurations held out. `roofsim show NAME` gives all "
        "of a calibration."
    )
    out = {"calibrations": data}
    units = dict.fromkeys(("id", "device", "runtime", "rows", *(f"{short}_error" for short in METRICS.values())))
    tables = [Table("Calibrations", columns, rows, [note])]
    o.Output(format_, output, quiet).write(tables, out, lambda: records(data, units))
