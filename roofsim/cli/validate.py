"""Hold predictions against measured runs in a CSV file."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli._click import click


@click.command()
@click.argument("runs", metavar="RUNS.csv")
@click.option("--runtime", "-r", type=o.Name("runtimes"), default="transformers-4.52-eager", metavar="RUNTIME",
              help="Software stack of the runs.  [default: transformers-4.52-eager]")  # fmt: skip
@click.option("--rows", is_flag=True, help="List every row, not only the scores.")
@o.output_options
def command(runs: str, runtime: str, rows: bool, format_: str, output: str | None, quiet: bool) -> None:
    """Predict every whole-pass row of RUNS.csv and show the errors by device, phase and metric.

    Devices and models are found by their names in the file. Rows flagged in their notes (suspect=1,
    host_contended=1) are shown but not scored.

    \b
    Example: roofsim validate runs.csv --runtime transformers-5-eager --rows
    """
    from roofsim.report.validation import validation_tables
    from roofsim.studies.validate import validate

    result = validate(runs, runtime)
    o.Output(format_, output, quiet).write(validation_tables(result, rows=rows), result.to_dict())
