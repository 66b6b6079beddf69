"""List the devices that are known."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.foundation.units import show
from roofsim.reports.records import records
from roofsim.reports.table import Column, Table


@click.command()
@o.output_options
def command(format_: str, output: str | None, quiet: bool) -> None:
    """List every shipped device in every mode, with the numbers that decide a roofline.

    \b
    Example: roofsim devices --format markdown
    """
    from roofsim import library

    rows, usable = [], []
    for d in library.all_devices():
        rate = d.matrix_peak(d.default_dtype)
        tdp = d.power.tdp.value if d.power.tdp else None
        rows.append([d.id, d.memory.capacity.value, d.memory.bandwidth.value, rate, d.ridge_point, tdp])
        usable.append(d.capacity)
    columns = [Column("device"), Column("memory", "B"), Column("bandwidth", "B/s"), Column("matrix", "FLOP/s"),
               Column("ridge", "count"), Column("TDP", "W")]  # fmt: skip
    units = {
        "id": None, "capacity": "B", "bandwidth": "B/s", "matrix_peak": "FLOP/s", "ridge_point": "FLOP/B", "tdp": "W",
        "usable": "B",
    }  # fmt: skip
    data = [dict(zip(units, (*row, had), strict=True)) for row, had in zip(rows, usable, strict=True)]
    note = (
        "Dense peaks at bf16, else fp16; ridge point in FLOP/B. `roofsim show DEVICE` gives the source of each number."
    )
    hosts = [(name, show(library.host(name).dispatch.value, "s")) for name in library.names("hardware/hosts")]
    launching = f"Hosts that launch a kernel in so long: {', '.join(f'{name} {time}' for name, time in hosts)}."
    tables = [Table("Devices", columns, rows, [note, launching])]
    o.Output(format_, output, quiet).write(tables, {"devices": data}, lambda: records(data, units))
