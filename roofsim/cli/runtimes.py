"""List the runtimes that are known."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.reports.records import records
from roofsim.reports.table import Column, Table


@click.command()
@o.output_options
def command(format_: str, output: str | None, quiet: bool) -> None:
    """List every shipped runtime: which software it describes and what it does.

    \b
    Example: roofsim runtimes
    """
    from roofsim import library

    found = [library.runtime(name) for name in library.names("runtimes")]
    rows = [[r.id, r.logits, r.attention.mask, r.host.mode, r.version] for r in found]
    columns = [Column("runtime"), Column("logits"), Column("mask"), Column("host"), Column("version")]
    keys = ("id", "logits", "mask", "host", "version")
    data = [dict(zip(keys, row, strict=True)) for row in rows]
    note = "`roofsim show RUNTIME` explains each choice."
    tables = [Table("Runtimes", columns, rows, [note])]
    o.Output(format_, output, quiet).write(tables, {"runtimes": data}, lambda: records(data, dict.fromkeys(keys[:-1])))
