"""Draw the operators of a model on the roofline of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli._click import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roofsim.prediction.results import Prediction
    from roofsim.prediction.setup import Setup
    from roofsim.report.table import Table
    from roofsim.specs.workload import Workload


@click.command()
@_studies.case_options
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], plot: o.Plot | None, format_: str, output: str | None, quiet: bool, **options: Any,
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

    def placed(s: Setup, w: Workload) -> tuple[Prediction, Mapping[str, Any], list[Table], dict[str, Any]]:
        result, within = predict_request(s, w), operator_intervals(s, w)
        return result, within, *roofline_tables(result, s.device.name, s.runtime.name, s.machine(w.dtype), within)

    out = o.Output(format_, output, quiet)
    chosen = _studies.single(models, options)
    if chosen is None:
        _studies.refuse_of_several({"--plot": plot})
        found = _studies.answers_of(models, options, placed, out.quiet)
        _studies.write_several(
            out, found, "Passes on the roofline", lambda each: roofline_rows(each[0]),
            lambda each: roofline_records(each[3]["operators"]), data=lambda each: each[3],
        )  # fmt: skip
        return
    s, w = _studies.one_case(chosen, options)
    result, within, tables, data = placed(s, w)
    out.write(tables, data, lambda: roofline_records(data["operators"]))
    if plot:
        from roofsim.report.figures.roofline import roofline

        passes = [("prefill", result.prefill, within["prefill"]), ("decode", result.decode, within["decode"])]
        dtypes = [w.dtype, *s.precision(w).units]
        figure = roofline(
            result.model, s.device.name, s.machine(w.dtype), dtypes, passes, result.calibration, theme=plot.theme
        )
        out.draw(plot, figure)
