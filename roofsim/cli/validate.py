"""Hold predictions against measured runs in a file."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click


@click.command()
@click.argument("runs", metavar="RUNS.csv")
@click.option("--runtime", "-r", type=o.Name("runtimes"), default="transformers-4.52-eager", metavar="RUNTIME",
              help="Software stack of the runs.  [default: transformers-4.52-eager]")  # fmt: skip
@click.option("--device", "-d", type=o.Name("hardware"), metavar="DEVICE", default=None,
              help="Device of rows that name none.")  # fmt: skip
@click.option("--calibration", type=o.Name("hardware/calibrated"), metavar="NAME", default="none",
              help="Fitted parameters by name or path, auto as for predict, or none: a fit may have seen these rows."
              "  [default: none]")  # fmt: skip
@o.transfer_option
@click.option("--where", default="", metavar="EXPRESSION", help="Rows to look at: \"op == 'e2e' and batch == 1\".")
@click.option("--skip-bad-rows", is_flag=True, help="Leave out rows that cannot be read instead of refusing the file.")
@click.option("--rows", is_flag=True, help="List every row, not only the scores and the worst rows.")
@o.output_options
def command(
    runs: str, runtime: str, device: str | None, calibration: str, transfer: bool, where: str,
    skip_bad_rows: bool, rows: bool, format_: str, output: str | None, quiet: bool,
) -> None:  # fmt: skip
    """Predict every row of RUNS.csv and show the errors by device, phase and metric, and the worst rows.

    Devices and models are found by their names in the file; whole passes and single operators are predicted. Rows
    flagged in their notes (suspect=1, host_contended=1) are shown but not scored. With a calibration, coverage is
    the share of the measurements inside the 95 % intervals of their predictions.

    \b
    Example: roofsim validate runs.csv --runtime transformers-5-eager --rows
    """
    from roofsim.report.validation import validation_tables
    from roofsim.studies.validate import validate

    result = validate(runs, runtime, calibration, where=where, transfer=transfer, skip_bad_rows=skip_bad_rows,
                      device=device)  # fmt: skip
    o.Output(format_, output, quiet).write(validation_tables(result, rows=rows), result.to_dict())
