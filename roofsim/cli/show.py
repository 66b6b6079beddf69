"""Show a model, device, runtime, host or calibration with its sources."""

from __future__ import annotations

from functools import partial

from roofsim.cli import _options as o
from roofsim.cli._click import click

KINDS = ("models", "models/families", "hardware/calibrated", "hardware", "runtimes", "hardware/hosts")


@click.command()
@click.argument("names", nargs=-1, required=True, type=o.Several(o.Name(*KINDS)), callback=o.flat)
@o.download_option
@click.option("--dtype", default="bf16", metavar="T", help="Dtype that a model's state is counted in.  [default: bf16]")
@o.output_options
def command(names: tuple[str, ...], dtype: str, format_: str, output: str | None, quiet: bool) -> None:
    """Show the spec of a name: every number with its source; of a model also parameters, state and FLOP.

    Several are put side by side, those of a kind in one table.

    \b
    Example: roofsim show Zamba2-1.2B
    Example: roofsim show orin rtx-4090
    """
    from roofsim.report.sheet import find, laid_out
    from roofsim.report.spec_records import spec_records

    out = o.Output(format_, output, quiet)
    shown = [(*find(name), name) for name in names]
    if len(shown) == 1:
        ((kind, spec, name),) = shown
        tables, data = laid_out(kind, spec, name, dtype)
        out.write(tables, data, partial(spec_records, kind, spec, data))
        return
    from roofsim.report.specs_together import records_together, tables_together

    every = [(kind, spec, laid_out(kind, spec, name, dtype)[1]) for kind, spec, name in shown]
    rows = [{"chosen": {"name": spec.id or spec.name}, "refused": None, **data} for _, spec, data in every]
    out.write(tables_together(every), {"rows": rows}, partial(records_together, every))
