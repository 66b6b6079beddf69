"""List the models that are known."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.report.table import Column, Table


@click.command()
@o.output_options
def command(format_: str, output: str | None, quiet: bool) -> None:
    """List every shipped model with its parameters and what a sequence keeps.

    \b
    Example: roofsim models -f csv
    """
    from roofsim.passes import Precision
    from roofsim.specs import library

    rows = []
    for name in library.names("models"):
        a = library.architecture(name)
        constant = a.state_bytes(0, Precision())
        growth = a.state_bytes(64, Precision()) - a.state_bytes(63, Precision())
        rows.append([name, a.family, a.total_parameters, a.depth, growth, constant])
    rows.sort(key=lambda row: row[2])
    columns = [Column("model"), Column("family"), Column("parameters", "number"), Column("layers", "count"),
               Column("per token", "B"), Column("constant", "B")]  # fmt: skip
    keys = ("id", "family", "parameters", "layers", "bytes_per_token", "constant_bytes")
    data = {"schema": 1, "models": [dict(zip(keys, row, strict=True)) for row in rows]}
    note = "Per token and constant: bytes of KV cache and recurrent state per sequence, bf16 with fp32 states."
    o.Output(format_, output, quiet).write([Table("Models", columns, rows, [note])], data)
