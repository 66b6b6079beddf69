"""List the models that are known."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.foundation.errors import UnknownName
from roofsim.report.table import Column, Table


@click.command()
@click.option("--kind", type=click.Choice(["transformer", "ssm", "hybrid", "moe"]), help="Only models of this kind.")
@click.option("--family", metavar="NAME", help="Only models of this family, or of one whose name begins so.")
@click.option("--min-size", type=o.Parameters(), metavar="N", help="Only models with at least so many parameters: 1B.")
@click.option("--max-size", type=o.Parameters(), metavar="N", help="Only models with at most so many parameters: 8B.")
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

    found = [library.architecture(name) for name in library.names("models")]
    families = {a.family for a in found}
    if family and not any(each.startswith(family.lower()) for each in families):
        raise UnknownName("families", family, sorted(families))
    rows = []
    for a in found:
        active = a.active_parameters
        kinds = (a.kind, "moe") if active < a.total_parameters else (a.kind,)
        if (kind and kind not in kinds) or (family and not a.family.startswith(family.lower())):
            continue
        if not (min_size or 0) <= a.total_parameters <= (max_size or float("inf")):
            continue
        constant = a.state_bytes(0, Precision())
        growth = a.state_bytes(64, Precision()) - a.state_bytes(63, Precision())
        rows.append([a.id, a.family, a.total_parameters, active, growth, constant, a.kind])
    rows.sort(key=lambda row: int(str(row[2])))
    columns = [Column("model"), Column("family"), Column("parameters", "short"), Column("active", "short"),
               Column("per token", "B"), Column("constant", "B")]  # fmt: skip
    keys = ("id", "family", "parameters", "active", "bytes_per_token", "constant_bytes", "kind")
    known = list(library.names(library.FAMILIES))
    data = {"models": [dict(zip(keys, row, strict=True)) for row in rows], "families": known}
    note = "Per token and constant: bytes of KV cache and recurrent state per sequence, bf16 with fp32 states."
    more = f"Families, of which members are models too (dense:width=1024:depth=16): {', '.join(known)}."
    o.Output(format_, output, quiet).write([Table("Models", columns, [row[:-1] for row in rows], [note, more])], data)
