"""Fit the parameters of the model to measured runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation import writing
from roofsim.foundation.schema import plain, variant
from roofsim.reports.choices import OF_FIT, OfFit
from roofsim.reports.formats import FORMATS


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUNS.csv ...")
@o.device_option()
@click.option("--runtime", "-r", type=t.Name("runtimes"), required=True, metavar="RUNTIME",
              help="Software stack of the runs.")  # fmt: skip
@click.option("--host", type=t.Name("hardware/hosts"), metavar="HOST", default=None,
              help="Host that launched the kernels.  [default: the device's own]")  # fmt: skip
@click.option("--output", "-o", type=t.Target((".yaml", ".yml")), required=True, metavar="FILE",
              help="Where the calibration goes, a YAML file.")  # fmt: skip
@click.option("--report", type=click.Path(file_okay=False), metavar="DIR", default=None,
              help="Also figures and a summary, into this folder.")  # fmt: skip
@o.figure_option("--plot", "Draw one of the figures: .png, .svg or .pdf.")
@o.draw_option(OF_FIT, "What --plot draws: predicted over measured, errors over length, or what was fitted.")
@o.theme_option
@click.option("--model", "-m", "models", type=t.Name("models"), metavar="MODEL", multiple=True,
              help="A model of your own that rows name, by its file; a single one is that of rows that name none.",
              )  # fmt: skip
@click.option("--batch", "-b", type=t.Tokens(), metavar="N", help="Of rows that do not say: sequences at once.")
@click.option("--prompt", "-p", type=t.Tokens(), metavar="N", help="Of rows that do not say: tokens of the prompt.")
@click.option("--generate", "-g", type=t.Tokens(), metavar="N", help="Of rows that do not say: generated tokens.")
@click.option("--weights", type=t.Word("WEIGHT_FORMATS"), metavar="FMT",
              help="Of rows that do not say: format of the weights.")  # fmt: skip
@click.option("--where", default="", metavar="EXPRESSION",
              help="Rows to use: \"op == 'e2e' and not host_contended\".")  # fmt: skip
@click.option("--folds", type=click.IntRange(2, 100), default=5, metavar="N",
              help="Parts that are held out in turn.  [default: 5]")  # fmt: skip
@click.option("--any-framework", is_flag=True, help="Also rows that name other software than RUNTIME.")
@click.option("--skip-bad-rows", is_flag=True, help="Leave out rows that cannot be read instead of refusing the file.")
@click.option("--name", default="", metavar="TEXT", help="What the calibration is called.")
@click.option("--source", default="", metavar="TEXT", help="Where the runs are from.")
@click.option("--format", "-f", "format_", type=t.Choice(sorted(FORMATS)), default="table",
              help="Form of the summary on the terminal.")  # fmt: skip
@click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr, show no progress.")
def command(
    runs: tuple[str, ...], device: str, runtime: str, host: str | None, output: str, report: str | None,
    plot: o.Plot | None, draw: OfFit, models: tuple[str, ...], batch: int | None, prompt: int | None,
    generate: int | None, weights: str | None, where: str, folds: int, any_framework: bool, skip_bad_rows: bool,
    name: str, source: str, format_: str, quiet: bool,
) -> None:  # fmt: skip
    """Fit what a device and a host reach to measured RUNS, and say how far the predictions can be trusted.

    Times, memory, energy and kernel counts of whole passes and times of single operators are fitted together; the
    error is measured on configurations held out. Rows of other devices and software are left out. RUNS may be CSV,
    or what benchmarks of llama.cpp, vLLM and others wrote, as for validate; several files are fitted together.

    \b
    Example: roofsim calibrate runs.csv -d rtx-4090 -r transformers-4.52-eager -o fitted.yaml --plot fit.svg
    """
    from roofsim import library
    from roofsim.fitting.run import Options, calibrate
    from roofsim.foundation.errors import InputError
    from roofsim.reports.calibrated import parameter_records
    from roofsim.reports.calibration import result_tables
    from roofsim.runs.importers import read_all
    from roofsim.specs.files import dump

    if Path(output).resolve() in [Path(each).resolve() for each in runs]:
        raise InputError(f"--output {output}: is a file of runs, which is never changed")
    d, r = library.device(device), library.runtime(runtime)
    chosen = host or d.host
    own = [library.architecture(model) for model in models]
    options = Options(where, folds, any_framework, name, source, models=own)
    data = read_all(runs, skip_bad_rows=skip_bad_rows)
    data = data.stating(batch=batch, prompt=prompt, generated=generate, weight_dtype=weights)
    with progress(quiet) as step:
        result = calibrate(data, d, r, library.host(chosen) if chosen else None, options, step)
    out = o.Output(format_, None, quiet)
    c = variant(result.calibration, id=Path(output).stem)
    figure = None
    if plot:
        from roofsim.reports.figures.folders import of_fit

        figure = of_fit(draw, result, theme=plot.theme)
    if report:
        write_report(result, report, o.theme_asked())
        out.say(f"wrote {report}")
    writing.text(output, dump(c))
    out.say(f"wrote {output}")
    if data.bad:
        out.say(f"left out {len(data.bad)} rows that cannot be read")
    out.write(result_tables(result, d.name, r.name), plain(c), lambda: parameter_records(c))
    out.draw(plot, figure)


def write_report(result: Any, folder: str, theme: Any = "light") -> None:
    """Figures and a summary; the folder is made if it is not there."""
    from roofsim.reports.calibration import summary
    from roofsim.reports.figures import folders

    writing.folder(folder)
    folders.save_all(result, folder, theme)
    writing.text(str(Path(folder) / "summary.md"), summary(result))


STEPS = 12
"""Fits that a calibration takes, about; how many is only known at the end."""


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on stderr while fits go on, if someone is there to see it; gives what to call after each."""
    if quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=STEPS, label="fitting", file=sys.stderr) as bar:
        yield lambda: bar.update(int(bar.pos < STEPS - 1))
        bar.update(STEPS - bar.pos)
