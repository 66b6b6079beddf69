"""List the models that are known."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.reports.records import records
from roofsim.reports.table import Column, Table


@click.command()
@o.model_filters
@o.output_options
def command(
    kind: str | None, family: str | None, min_size: int | None, max_size: int | None, format_: str,
    output: str | None, quiet: bool,
) -> None:  # fmt: skip
    """List the shipped models with their parameters and what a sequence keeps, all or some of them.

    \b
    Example: roofsim models --kind hybrid --max-size 8B
    """
    from roofsim import library
    from roofsim.model.step import Precision
    from roofsim.spaces.selection import chosen_models

    rows = []
    for a in chosen_models((), kind, family, min_size, max_size):
        constant = a.state_bytes(0, Precision())
        growth = a.state_bytes(64, Precision()) - a.state_bytes(63, Precision())
        rows.append([a.id, a.family, a.total_parameters, a.active_parameters, growth, constant, a.kind])
    rows.sort(key=lambda row: int(str(row[2])))
    columns = [Column("model"), Column("family"), Column("parameters", "short"), Column("active", "short"),
               Column("per token", "B"), Column("constant", "B")]  # fmt: skip
    units = {
        "id": None, "family": None, "parameters": "", "active": "", "bytes_per_token": "B", "constant_bytes": "B",
        "kind": None,
    }  # fmt: skip
    data = [dict(zip(units, row, strict=True)) for row in rows]
    note = "Per token and constant: bytes of KV cache and recurrent state per sequence, bf16 with fp32 states."
    known = list(library.names(library.FAMILIES))
    more = f"Families, of which members are models too (dense:width=1024:depth=16): {', '.join(known)}."
    tables = [Table("Models", columns, [row[:-1] for row in rows], [note, more])]
    o.Output(format_, output, quiet).write(tables, {"models": data, "families": known}, lambda: records(data, units))
