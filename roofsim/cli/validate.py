"""Hold predictions against measured runs in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.cli.sweep import bar
from roofsim.foundation import writing
from roofsim.reports.choices import OF_VALIDATION, OfValidation

if TYPE_CHECKING:
    from roofsim.model.step import Phase

_OPEN = "Of rows that do not say, and of a trace:"


@click.command()
@click.argument("runs", metavar="RUNS.csv")
@click.option("--runtime", "-r", type=t.Name("runtimes"), default=None, metavar="RUNTIME",
              help="Software stack of all rows.  [default: what each row says; transformers-4.52-eager if nothing]",
              )  # fmt: skip
@click.option("--device", "-d", type=t.Name("hardware"), metavar="DEVICE", default=None,
              help="Device of rows that name none, or that name it by the words of its own file.")  # fmt: skip
@o.download_option
@click.option("--model", "-m", "models", type=t.Name("models"), metavar="MODEL", multiple=True,
              help="A model of your own that rows name, by its file (repeatable).")  # fmt: skip
@click.option("--calibration", type=t.Name("hardware/calibrated"), metavar="NAME", default="none",
              help="Fitted parameters by name or path, auto as for predict, or none: a fit may have seen these rows."
              "  [default: none]")  # fmt: skip
@o.transfer_option
@click.option("--batch", "-b", type=t.Tokens(), metavar="N", help=f"{_OPEN} sequences at once.")
@click.option("--prompt", "-p", type=t.Tokens(), metavar="N", help=f"{_OPEN} tokens of the prompt.")
@click.option("--generate", "-g", type=t.Tokens(), metavar="N", help=f"{_OPEN} generated tokens.")
@click.option("--weights", type=t.Word("WEIGHT_FORMATS"), metavar="FMT", help=f"{_OPEN} format of the weights.")
@click.option("--phase", type=t.Choice(["prefill", "decode"]), default=None,
              help="What a trace is of.  [default: prefill]")  # fmt: skip
@click.option("--passes", type=click.IntRange(1), metavar="N", default=None,
              help="How many passes a trace is of, where it has no ProfilerStep.  [default: 1]")  # fmt: skip
@click.option("--where", default="", metavar="EXPRESSION", help="Rows to look at: \"op == 'e2e' and batch == 1\".")
@click.option("--skip-bad-rows", is_flag=True, help="Leave out rows that cannot be read instead of refusing the file.")
@click.option("--rows", is_flag=True, help="List every row, not only the scores and the worst rows.")
@click.option("--report", type=click.Path(file_okay=False), metavar="DIR", default=None,
              help="Also figures of predicted against measured and a summary, into this folder.")  # fmt: skip
@o.figure_option("--plot", "Draw one of the figures: .png, .svg or .pdf.")
@o.draw_option(OF_VALIDATION, "What --plot draws: predicted over measured, or errors over length.")
@o.theme_option
@o.output_options
def command(
    runs: str, runtime: str | None, device: str | None, models: tuple[str, ...], calibration: str,
    transfer: bool, batch: int | None, prompt: int | None, generate: int | None, weights: str | None,
    phase: Phase | None, passes: int | None, where: str, skip_bad_rows: bool, rows: bool, report: str | None,
    plot: o.Plot | None, draw: OfValidation, format_: str, output: str | None, quiet: bool,
) -> None:  # fmt: skip
    """Predict every row of RUNS.csv and show the errors by device, stack, phase and metric, and the worst rows.

    Devices, models and the software are found by their names in the file; whole passes and single operators are
    predicted. Rows that are not scored are counted by their reasons: rows flagged in their notes (suspect=1,
    host_contended=1) are shown but not scored. With a calibration, coverage is the share of the measurements inside
    the 95 % intervals of their predictions.

    RUNS may also be what llama.cpp's and vLLM's benchmarks, optimum-benchmark, SGLang's, AIPerf, guidellm,
    inference-perf or MLPerf's LoadGen wrote; or a trace of PyTorch's profiler (Chrome JSON), whose kernels are then
    held against the predicted ones by what they are for and by name: say --model, --device and what ran.

    \b
    Example: roofsim validate runs.csv --runtime transformers-5-eager --rows --plot predicted.svg
    """
    from roofsim import library
    from roofsim.runs.traces import is_trace

    out = o.Output(format_, output, quiet)
    sizes = {"batch": batch, "prompt": prompt, "generate": generate, "weight_format": weights}
    if is_trace(runs):
        for name, given in (
            ("--where", where),
            ("--skip-bad-rows", skip_bad_rows),
            ("--report", report),
            ("--plot", plot),
        ):
            if given:
                raise click.UsageError(f"{name} is for files of runs; {runs} is a trace")
        _trace(out, runs, models, device, runtime, calibration, transfer, sizes, phase or "prefill", passes, rows)
        return
    if phase or passes:
        raise click.UsageError(f"--phase and --passes are for traces of PyTorch's profiler; {runs} is none")
    from roofsim.reports.validation import summary, validation_records, validation_tables
    from roofsim.studies.validate import validate

    own = [library.architecture(model) for model in models]
    stated = {"batch": batch, "prompt": prompt, "generated": generate, "weight_dtype": weights}
    with bar(0, quiet, "rows") as progress:
        result = validate(runs, runtime, calibration, where=where, transfer=transfer, skip_bad_rows=skip_bad_rows,
                          device=device, models=own, progress=progress, stated=stated)  # fmt: skip
    figure = None
    if plot:
        from roofsim.reports.figures.folders import of_validation

        figure = of_validation(draw, result, theme=plot.theme)
    if report:
        from roofsim.reports.figures import folders

        writing.folder(report)
        drawn = folders.save_validation(result, report, o.theme_asked())
        writing.text(f"{report}/summary.md", summary(result, drawn))
        out.say(f"wrote {report}")
    out.write(validation_tables(result, rows=rows, by_stack=format_ == "table"), result.to_dict(),
              lambda: validation_records(result, rows=rows))  # fmt: skip
    out.draw(plot, figure)


def _trace(
    out: o.Output, path: str, models: Sequence[str], device: str | None, runtime: str | None, calibration: str,
    transfer: bool, sizes: Mapping[str, int | str | None], phase: Phase, passes: int | None, rows: bool,
) -> None:  # fmt: skip
    """The kernels of a trace beside the predicted ones."""
    from roofsim.reports.kernels import kernel_records, kernel_tables
    from roofsim.runs.traces import read_trace
    from roofsim.studies.kernels import compare_kernels

    if device is None or len(models) != 1:
        raise click.UsageError(f"{path} is a trace: say what ran with one --model, and --device")
    trace = read_trace(path)
    s = o.changed_setup(models[0], device, runtime, None, (), calibration, transfer)
    found = compare_kernels(trace, s, o.workload_of(s, sizes), phase, passes)
    out.write(kernel_tables(found, s.device.name, s.runtime.name, everything=rows), found.to_dict(),
              lambda: kernel_records(found, everything=rows))  # fmt: skip
