"""List the devices that are known."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.report.table import Column, Table


@click.command()
@o.output_options
def command(format_: str, output: str | None, quiet: bool) -> None:
    """List every shipped device in every mode, with the numbers that decide a roofline.

    \b
    Example: roofsim devices --format markdown
    """
    from roofsim import library

    rows = []
    for d in library.all_devices():
        rate = d.matrix_peak(d.default_dtype)
        tdp = d.power.tdp.value if d.power.tdp else None
        memory = d.memory.capacity.value, d.capacity, d.memory.bandwidth.value
        rows.append([d.id, *memory, rate, d.ridge_point, tdp])
    columns = [Column("device"), Column("memory", "B"), Column("usable", "B"), Column("bandwidth", "B/s"),
               Column("matrix", "FLOP/s"), Column("ridge", "count"), Column("TDP", "W")]  # fmt: skip
    keys = ("id", "capacity", "usable", "bandwidth", "matrix_peak", "ridge_point", "tdp")
    data = {"devices": [dict(zip(keys, row, strict=True)) for row in rows]}
    note = (
        "Dense peaks at bf16, else fp16; ridge point in FLOP/B. `roofsim show DEVICE` gives the source of each number."
    )
    o.Output(format_, output, quiet).write([Table("Devices", columns, rows, [note])], data)
