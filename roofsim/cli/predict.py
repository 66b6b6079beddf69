"""Predict time, memory and energy of one request."""

from __future__ import annotations

from typing import Any

from roofsim.cli import _options as o
from roofsim.cli._click import click


@click.command()
@o.model_argument
@o.device_option
@o.prompt_option
@o.workload_options
@o.stack_options
@click.option("--operators", is_flag=True, help="List every operator, not only the largest.")
@o.output_options
def command(
    model: str, device: str, runtime: str | None, host: str | None, changes: tuple[str, ...], operators: bool,
    format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Predict prefill, decode, memory and energy of MODEL on a device.

    MODEL is a name, an alias or the path of a YAML file.

    \b
    Example: roofsim predict mamba2-780m --device rtx-4090 --prompt 32k
    """
    from roofsim.prediction import predict_request
    from roofsim.report.prediction import prediction_tables

    s = o.changed_setup(model, device, runtime, host, changes)
    w = o.workload_of(s, options)
    result = predict_request(s, w)
    everything = operators or format_ == "csv"
    tables = prediction_tables(result, s.device.name, s.runtime.name, everything)
    o.Output(format_, output, quiet).write(tables, result.to_dict())
