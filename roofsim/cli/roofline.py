"""Draw the operators of a model on the roofline of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli._click import click

if TYPE_CHECKING:
    from roofsim.prediction.setup import Setup
    from roofsim.report.table import Table
    from roofsim.specs.workload import Workload


@click.command()
@_studies.case_options
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], plot: str | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Place every operator of MODELS by its arithmetic intensity and the rate it reaches.

    Several values of anything, set off by commas, are a table with the passes of each combination as a whole; CSV and
    JSON hold their operators.

    \b
    Example: roofsim roofline mamba2-780m --device rtx-4090 --prompt 8k --plot roofline.pdf
    Example: roofsim roofline Qwen2.5-0.5B mamba2-780m -d orin,rtx-4090 -b 1,16
    """
    from roofsim.prediction.request import operator_intervals, predict_request
    from roofsim.report.prediction import roofline_records, roofline_rows, roofline_tables

    def placed(s: Setup, w: Workload) -> tuple[list[Table], dict[str, Any], Table]:
        result = predict_request(s, w)
        within = operator_intervals(s, w)
        tables, data = roofline_tables(result, s.device.name, s.runtime.name, s.machine(w.dtype), within)
        return tables, data, roofline_rows(result)

    out = o.Output(format_, output, quiet)
    chosen = _studies.single(models, options)
    if chosen is None:
        from roofsim.report.several import several_data, several_records, side_by_side

        _studies.refuse_of_several({"--plot": plot})
        found = _studies.answers_of(models, options, placed, out.quiet)
        out.write(
            side_by_side(found, lambda each: each[2], "Passes on the roofline"),
            several_data(found, lambda each: each[1]),
            lambda: several_records(found, lambda each: roofline_records(each[1]["operators"])),
        )
        return
    s, w = _studies.one_case(chosen, options)
    tables, data, _ = placed(s, w)
    out.write(tables, data, lambda: roofline_records(data["operators"]))
    if plot:
        from roofsim.report import plots

        result, within = predict_request(s, w), operator_intervals(s, w)
        passes = [("prefill", result.prefill, within["prefill"]), ("decode", result.decode, within["decode"])]
        dtypes = [w.dtype, *s.precision(w).units]
        plots.save(
            plots.roofline(result.model, s.device.name, s.machine(w.dtype), dtypes, passes, result.calibration), plot
        )
        out.say(f"drew {plot}")
