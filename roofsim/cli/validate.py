"""Hold predictions against measured runs in a file."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.cli.sweep import bar
from roofsim.foundation import writing
from roofsim.reports.choices import OF_VALIDATION, OfValidation


@click.command()
@click.argument("runs", metavar="RUNS.csv")
@click.option("--runtime", "-r", type=o.Name("runtimes"), default=None, metavar="RUNTIME",
              help="Software stack of all rows.  [default: what each row says; transformers-4.52-eager if nothing]",
              )  # fmt: skip
@click.option("--device", "-d", type=o.Name("hardware"), metavar="DEVICE", default=None,
              help="Device of rows that name none, or that name it by the words of its own file.")  # fmt: skip
@o.download_option
@click.option("--model", "-m", "models", type=o.Name("models"), metavar="MODEL", multiple=True,
              help="A model of your own that rows name, by its file (repeatable).")  # fmt: skip
@click.option("--calibration", type=o.Name("hardware/calibrated"), metavar="NAME", default="none",
              help="Fitted parameters by name or path, auto as for predict, or none: a fit may have seen these rows."
              "  [default: none]")  # fmt: skip
@o.transfer_option
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
    transfer: bool, where: str, skip_bad_rows: bool, rows: bool, report: str | None, plot: o.Plot | None,
    draw: OfValidation, format_: str, output: str | None, quiet: bool,
) -> None:  # fmt: skip
    """Predict every row of RUNS.csv and show the errors by device, stack, phase and metric, and the worst rows.

    Devices, models and the software are found by their names in the file; whole passes and single operators are
    predicted. Rows that are not scored are counted by their reasons: rows flagged in their notes (suspect=1,
    host_contended=1) are shown but not scored. With a calibration, coverage is the share of the measurements inside
    the 95 % intervals of their predictions.

    \b
    Example: roofsim validate runs.csv --runtime transformers-5-eager --rows --plot predicted.svg
    """
    from roofsim import library
    from roofsim.reports.validation import summary, validation_records, validation_tables
    from roofsim.studies.validate import validate

    own = [library.architecture(model) for model in models]
    with bar(0, quiet, "rows") as progress:
        result = validate(runs, runtime, calibration, where=where, transfer=transfer, skip_bad_rows=skip_bad_rows,
                          device=device, models=own, progress=progress)  # fmt: skip
    out = o.Output(format_, output, quiet)
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
