"""Show a model, device, cluster, runtime, host or calibration with its sources."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.theme import Theme

KINDS = (
    "models", "models/families", "hardware/calibrated", "hardware", "runtimes", "hardware/hosts", "hardware/clusters",
    "hardware/costs",
)  # fmt: skip


@click.command()
@click.argument("names", nargs=-1, required=True, type=t.Several(t.Name(*KINDS)), callback=o.flat)
@o.download_option
@click.option("--dtype", default="bf16", metavar="T", help="Dtype that a model's state is counted in.  [default: bf16]")
@o.plot_option
@o.output_options
def command(
    names: tuple[str, ...], dtype: str, plot: o.Plot | None, format_: str, output: str | None, quiet: bool
) -> None:
    """Show the spec of a name: every number with its source; of a model also parameters, state and FLOP.

    Several are put side by side, those of a kind in one table. With --plot parameters and state of models are drawn, or
    the roofs of devices.

    \b
    Example: roofsim show Zamba2-1.2B
    Example: roofsim show orin rtx-4090
    Example: roofsim show Qwen2.5-0.5B mamba2-780m Zamba2-1.2B --plot models.svg
    """
    from roofsim.reports.sheet import find, laid_out
    from roofsim.reports.spec_records import spec_records

    out = o.Output(format_, output, quiet)
    shown = [(*find(name), name) for name in names]
    figure = _figure(shown, dtype, plot.theme) if plot else None
    if len(shown) == 1:
        ((kind, spec, name),) = shown
        tables, data = laid_out(kind, spec, name, dtype)
        out.write(tables, data, partial(spec_records, kind, spec, data))
        out.draw(plot, figure)
        return
    from roofsim.reports.specs_together import records_together, tables_together

    every = [(kind, spec, laid_out(kind, spec, name, dtype)[1]) for kind, spec, name in shown]
    rows = [{"chosen": {"name": spec.id or spec.name}, "refused": None, **data} for _, spec, data in every]
    out.write(tables_together(every), {"rows": rows}, partial(records_together, every))
    out.draw(plot, figure)


def _figure(shown: Sequence[tuple[str, Any, str]], dtype: str, theme: Theme) -> Figure:
    from roofsim.reports.figures.show import show

    kinds = dict.fromkeys(kind for kind, _, _ in shown)
    if len(kinds) > 1:
        raise InputError("--plot: models or devices are drawn together, not specs of several kinds")
    return show(next(iter(kinds)), [spec for _, spec, _ in shown], dtype, theme=theme)
