"""Explain a prediction: its formula, its regimes and what moves it."""

from __future__ import annotations

from functools import partial
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.prediction.metrics import METRICS


@click.command()
@o.model_argument
@o.device_option
@o.prompt_option
@click.option(
    "--metric", "-m", type=click.Choice(list(METRICS)), default="ttft",
    help="What is explained.  [default: ttft]",
)  # fmt: skip
@click.option("--formulas", is_flag=True, help="Also the cost formula of every operator.")
@click.option("--latex", is_flag=True, help="Formulas as LaTeX (implies --formulas).")
@o.workload_options
@o.stack_options
@o.output_options
def command(
    model: str, device: str, runtime: str | None, host: str | None, calibration: str,
    transfer: bool, changes: tuple[str, ...], metric: Any,
    formulas: bool, latex: bool, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Say why a figure is what it is, as a polynomial in the prompt length N that holds around --prompt.

    \b
    Example: roofsim explain Qwen2.5-0.5B --device rtx-4090 --prompt 16k --metric ttft
    """
    from roofsim.report.explain import explain_records, explain_tables, formula_data, formula_records, formula_tables
    from roofsim.studies.explain import explain

    s = o.changed_setup(model, device, runtime, host, changes, calibration, transfer)
    w = o.workload_of(s, options)
    result = explain(s, w, metric)
    tables = explain_tables(result, s.device.name, s.runtime.name)
    data = result.to_dict()
    rows = partial(explain_records, result)
    if formulas or latex:
        tables += formula_tables(result.functions, latex=latex)
        data["formulas"] = formula_data(result.functions, latex=latex)
        rows = partial(formula_records, data["formulas"])
    o.Output(format_, output, quiet).write(tables, data, rows)
