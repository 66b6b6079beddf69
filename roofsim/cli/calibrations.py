"""List the calibrations that are shipped."""

from __future__ import annotations

from statistics import median

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.report.table import Column, Table


@click.command()
@o.output_options
def command(format_: str, output: str | None, quiet: bool) -> None:
    """List every shipped calibration: its device, its runtime, and its error on runs held out.

    \b
    Example: roofsim calibrations
    """
    from roofsim.specs import library

    rows = []
    for name in library.names("hardware/calibrated"):
        c = library.calibration(name)
        errors = {
            metric: median(h.median_error for h in mine)
            for metric in ("latency_s", "device_time_s", "peak_mem_bytes", "energy_j")
            if (mine := [h for h in c.held_out if h.metric == metric and h.lengths == "all"])
        }
        rows.append([c.id, c.device, c.runtime, c.dataset.used, *(errors.get(m) for m in (
            "latency_s", "device_time_s", "peak_mem_bytes", "energy_j"))])  # fmt: skip
    columns = [Column("calibration"), Column("device"), Column("runtime"), Column("rows", "count"),
               *(Column(each, "%") for each in ("latency", "device time", "memory", "energy"))]  # fmt: skip
    keys = ("id", "device", "runtime", "rows", "latency_error", "device_time_error", "memory_error", "energy_error")
    data = {"schema": 1, "calibrations": [dict(zip(keys, row, strict=True)) for row in rows]}
    note = "Median errors on configurations held out. `roofsim show NAME` gives all of a calibration."
    o.Output(format_, output, quiet).write([Table("Calibrations", columns, rows, [note])], data)
