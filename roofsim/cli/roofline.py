"""Draw the operators of a model on the roofline of a device."""

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
@o.plot_option
@o.output_options
def command(
    model: str, device: str, runtime: str | None, host: str | None, calibration: str,
    transfer: bool, changes: tuple[str, ...],
    plot: str | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Place every operator of MODEL by its arithmetic intensity and the rate it reaches.

    \b
    Example: roofsim roofline mamba2-780m --device rtx-4090 --prompt 8k --plot roofline.pdf
    """
    from roofsim.prediction.request import operator_intervals, predict_request
    from roofsim.report.prediction import roofline_records, roofline_tables

    s = o.changed_setup(model, device, runtime, host, changes, calibration, transfer)
    w = o.workload_of(s, options)
    result = predict_request(s, w)
    m = s.machine(w.dtype)
    out = o.Output(format_, output, quiet)
    within = operator_intervals(s, w)
    tables, data = roofline_tables(result, s.device.name, s.runtime.name, m, within)
    out.write(tables, data, lambda: roofline_records(data["operators"]))
    if plot:
        from roofsim.report import plots

        passes = [("prefill", result.prefill, within["prefill"]), ("decode", result.decode, within["decode"])]
        dtypes = [w.dtype, *s.precision(w).units]
        plots.save(plots.roofline(result.model, s.device.name, m, dtypes, passes, result.calibration), plot)
        out.say(f"drew {plot}")
