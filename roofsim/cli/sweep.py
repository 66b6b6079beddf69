"""Compute figures over axes of anything: models, devices, lengths, and every number of a spec."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation import writing
from roofsim.foundation.errors import InputError
from roofsim.reports.choices import OF_SWEEP, OfSweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.theme import Theme
    from roofsim.spaces.sweep import Progress, Swept


@click.command()
@_studies.axis_options
@o.offload_option
@o.cost_options
@_studies.study_options
@click.option(
    "--output", "-o", type=click.Path(), metavar="FILE", default=None,
    help="Write there: .parquet, .csv, .jsonl, .nc (a mesh), or a folder of Parquet files if it has no ending.",
)  # fmt: skip
@o.plot_option
@o.draw_option(OF_SWEEP, "What --plot draws: figures over the longest axis, or the first of them over two axes.")
@click.option("--restart", is_flag=True, help="Throw away what an earlier run of another study left beside the output.")
@_studies.engine_options
@click.option(
    "--format", "-f", "format_", type=t.Choice(["table", "csv", "json", "markdown"]), default="table",
    help="Form of what is printed without --output.",
)  # fmt: skip
@click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr.")
def command(
    output: str | None, plot: o.Plot | None, draw: OfSweep, restart: bool, engine: str, scheduler: str | None,
    workers: int | None, format_: str, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Compute figures at every combination of values: of models, devices, runtimes, lengths, batches and spec fields.

    Values are lists (1k,4k), ranges by factors (1k..64k*2, 0.5x..4x*1.4142) or by steps (1k..8k+1k). With --output a
    study can be of any size; one that was ended goes on where it was when the same command is given again.

    \b
    Example: roofsim sweep Qwen2.5-0.5B -d orin -p 1k..64k*4 --set device.memory.bandwidth=1x,2x
    Example: roofsim sweep Qwen2.5-0.5B -d orin -p 1k..64k*2 -b 1..64*2 --plot ttft.svg --draw heat
    Example: roofsim sweep Llama-3.1-8B -d rtx-4060 -r llama.cpp --offload 0..33+11 -p 16,1k
    Example: roofsim sweep mamba2-780m -d orin,rtx-4090 -b 1..16*4 --where "fits and tpot < 50ms"
    """
    from roofsim.spaces.sweep import swept, write

    if output is not None and plot:
        raise InputError("--plot: draws what is printed; a study in a file is drawn from the file")
    if output is None and format_ in ("table", "markdown") and not options["study"]:
        options["figures"] = options["figures"] or SHOWN
    made = _studies.study_of(options)
    how: Any = {"engine": engine, "scheduler": scheduler, "workers": workers}
    with bar(made.space.size, quiet) as progress:
        if output is not None:
            done = write(made, _target(output), restart=restart, progress=progress, **how)
        else:
            result = swept(made, progress=progress, **how)
    out = o.Output(format_, None, quiet)
    out.remark(_studies.models_of(made))
    if output is not None:
        out.say(f"wrote {output}: {done.kept:,} of {done.points:,} points")
        return
    from roofsim.reports.sweep import sweep_tables

    figure = _figure(result, draw, plot.theme) if plot else None
    out.write(sweep_tables(result, everything=format_ != "table"), result.to_dict() if format_ == "json" else {})
    out.draw(plot, figure)


def _figure(result: Swept, draw: OfSweep, theme: Theme) -> Figure:
    from roofsim.reports.figures.heat import heat_of_sweep
    from roofsim.reports.figures.sweep import sweep

    return heat_of_sweep(result, theme=theme) if draw == "heat" else sweep(result, theme=theme)


def _target(output: str) -> Path:
    """A file or folder to be written, in a folder that is there."""
    path = Path(output)
    if not os.path.isdir(path):
        writing.writable(output)
    elif any(each.suffix != ".parquet" for each in path.iterdir()):
        raise InputError(f"--output {output}: is a folder with other things in it")
    return path


SHOWN = "ttft,tpot,memory_peak,energy,fits"
"""Figures that people are shown if they ask for none."""

SLOW = 1.0
"""Seconds of work after which progress is shown."""


@contextmanager
def bar(size: int, quiet: bool, of: str = "points") -> Iterator[Progress]:
    """A bar on stderr with the rate and the time left, once work takes long and if someone is there to see it."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, size: None
        return
    start, shown = time.monotonic(), [0]
    with click.progressbar(length=size, label=of, file=sys.stderr, item_show_func=lambda text: text) as made:

        def progress(done: int, size: int) -> None:
            made.length, spent = size, time.monotonic() - start
            if spent > SLOW:
                made.update(done - shown[0], f"{done / spent:,.0f} {of}/s")
                shown[0] = done

        yield progress
        if shown[0]:
            made.update((made.length or size) - shown[0])
