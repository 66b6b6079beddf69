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
    from roofsim.reports.table import Table
    from roofsim.specs.workload import Workload


@click.command()
@_studies.case_options
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], plot: o.Plot | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Place every operator of MODELS by its arithmetic intensity and the rate it reaches.

    Several values of anything, set off by commas, are a table with the passes of each combination as a whole, and a
    panel each of the figure; CSV and JSON hold their operators.

    \b
    Example: roofsim roofline mamba2-780m --device rtx-4090 --prompt 8k --plot roofline.pdf
    Example: roofsim roofline Qwen2.5-0.5B mamba2-780m -d orin,rtx-4090 -b 1,16
    """
    from roofsim.prediction.request import operator_intervals, predict_request
    from roofsim.reports.prediction import roofline_records, roofline_rows, roofline_tables
    from roofsim.reports.several import titles_of

    def placed(s: Setup, w: Workload) -> tuple[Prediction, Setup, Mapping[str, Any]]:
        return predict_request(s, w), s, operator_intervals(s, w)

    def tables(result: Prediction, s: Setup, within: Mapping[str, Any]) -> tuple[list[Table], dict[str, Any]]:
        machine = s.machine(result.workload.dtype)
        return roofline_tables(result, s.device_name, s.runtime.name, machine, within)

    def data(each: tuple[Prediction, Setup, Mapping[str, Any]]) -> dict[str, Any]:
        return tables(*each)[1]

    out = o.Output(format_, output, quiet)
    chosen = _studies.single(models, options)
    if chosen is None:
        _studies.refuse_of_many(plot, models, options)
        found = _studies.answers_of(models, options, placed, out.quiet)
        cases = [(titles_of(found)(row), each) for row, each in found.given]
        _studies.write_several(
            out, found, "Passes on the roofline", lambda each: roofline_rows(each[0]),
            lambda each: roofline_records(data(each)["operators"]), data=data,
        )  # fmt: skip
    else:
        one = placed(*_studies.one_case(chosen, options))
        cases = [("", one)]
        shown, all_of_it = tables(*one)
        out.write(shown, all_of_it, lambda: roofline_records(all_of_it["operators"]))
    if plot:
        from roofsim.reports.figures.roofline import Placed
        from roofsim.reports.figures.roofline import roofline as figure

        out.draw(plot, figure([Placed(*each, title=title) for title, each in cases], theme=plot.theme))
