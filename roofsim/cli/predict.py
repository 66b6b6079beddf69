"""Predict time, memory and energy of one request, or of several."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli._click import click
from roofsim.reports.choices import OF_PREDICTION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from roofsim.prediction.results import Prediction
    from roofsim.prediction.setup import Setup
    from roofsim.reports.choices import OfPrediction
    from roofsim.reports.table import Table
    from roofsim.specs.workload import Workload
    from roofsim.studies.compare import Remedy


@click.command()
@_studies.case_options
@o.cost_options
@click.option("--operators", is_flag=True, help="List every operator, not only the largest.")
@click.option("--explain", "explained", is_flag=True, help="Also what would help: other logits, no mask, graphs ...")
@o.offload_option
@o.plot_option
@o.draw_option(
    OF_PREDICTION,
    "What --plot draws of one case: where the time goes over length, memory over operators, operators on the roofline, "
    "energy of a token over length, the time over what lies on the device.",
)
@o.output_options
def command(
    models: tuple[str, ...], operators: bool, explained: bool, plot: o.Plot | None, draw: OfPrediction, format_: str,
    output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Predict prefill, decode, memory and energy of MODELS on devices.

    MODELS are names, aliases or the paths of YAML files. Several values of anything, set off by commas, are a table
    with a row for each combination; several runtimes alone are put side by side, and their difference is taken apart.
    With --plot several runtimes are drawn as what each choice of the software costs, several of anything as both times.

    \b
    Example: roofsim predict mamba2-780m --device rtx-4090 --prompt 32k
    Example: roofsim predict mamba2-780m -d rtx-4090 --plot memory.svg --draw memory
    Example: roofsim predict Qwen2.5-0.5B mamba2-780m -d orin,rtx-4090 -p 1k,16k
    Example: roofsim predict Llama-3.1-70B -d h100-sxm -r vllm --tp 4,8 -b 16
    Example: roofsim predict Qwen2.5-0.5B -d orin -r transformers-4.52-eager,cuda-graph,ideal
    Example: roofsim predict Llama-3.1-8B -d h100-sxm -r vllm --batch 64 --price 2.5USD/h
    Example: roofsim predict Llama-3.1-70B -d rtx-4090 -r llama.cpp --weights q4_k_m --offload auto
    """
    out = o.Output(format_, output, quiet)
    cases = _studies.by_runtime(models, options)
    if len(cases) == 1:
        _one(out, *_studies.one_case(cases[0], options), operators, explained, plot, draw)
        return
    if not cases or operators or explained or options["offload"] or not _compare(out, cases, options, plot):
        _several(out, models, options, operators, explained, plot)


def _one(
    out: o.Output, s: Setup, w: Workload, operators: bool, explained: bool, plot: o.Plot | None, draw: OfPrediction
) -> None:
    from roofsim.prediction.request import predict_request
    from roofsim.prediction.results import plain
    from roofsim.reports.prediction import operator_records, prediction_records, prediction_tables

    result = predict_request(s, w)
    tables = prediction_tables(result, s.device_name, s.runtime.name, operators)
    data = result.to_dict()
    rows = partial(operator_records, result) if operators else partial(prediction_records, [result])
    if explained:
        from roofsim.reports.compare import remedy_records, remedy_table
        from roofsim.studies.compare import remedies

        found = remedies(s, w)
        tables.insert(-1, remedy_table(result, found))
        data["remedies"] = plain(found)
        rows = rows if operators else partial(remedy_records, result, found)
    figure = None
    if plot:
        from roofsim.prediction.request import settled
        from roofsim.reports.figures.prediction import prediction

        figure = prediction(draw, s, settled(s, w), theme=plot.theme)
    out.write(tables, data, rows)
    out.draw(plot, figure)


def _compare(
    out: o.Output, runtimes: Sequence[Mapping[str, Any]], options: Mapping[str, Any], plot: o.Plot | None
) -> bool:
    """Put runtimes side by side, if all can be run; whether they were."""
    from roofsim.foundation.errors import Unsupported
    from roofsim.reports.compare import comparison_tables
    from roofsim.reports.prediction import prediction_records
    from roofsim.studies.compare import compare_runtimes

    try:
        cases = [_studies.one_case(each, options) for each in runtimes]
        result = compare_runtimes([s for s, _ in cases], cases[0][1])
    except Unsupported:
        return False
    rows = partial(prediction_records, [side.prediction for side in result.sides])
    figure = None
    if plot:
        from roofsim.reports.figures.attribution import attribution

        figure = attribution(result, [s for s, _ in cases], theme=plot.theme)
    out.write(comparison_tables(result, cases[0][0].device_name), result.to_dict(), rows)
    out.draw(plot, figure)
    return True


def _several(
    out: o.Output, models: Sequence[str], options: Mapping[str, Any], operators: bool, explained: bool,
    plot: o.Plot | None,
) -> None:  # fmt: skip
    """Every combination as `compare` shows it; as data everything that is said of one."""
    from roofsim.prediction.request import predict_request
    from roofsim.prediction.results import plain
    from roofsim.reports.compare import remedy_records, remedy_table
    from roofsim.reports.comparison import comparison_tables
    from roofsim.reports.prediction import operator_records, operator_table, prediction_records
    from roofsim.reports.several import joined, several_data, several_records
    from roofsim.spaces.compare import compared
    from roofsim.studies.compare import remedies

    def ask(s: Setup, w: Workload) -> tuple[Prediction, list[Remedy]]:
        return predict_request(s, w), remedies(s, w) if explained else []

    def table(name: str) -> Callable[[Prediction], Table]:
        return lambda p: operator_table(name, getattr(p, name), everything=True)

    found = _studies.answers_of(models, options, ask, out.quiet)
    predictions = found.map(lambda each: each[0])
    beside = compared(predictions)
    *tables, last = comparison_tables(beside)
    if explained:
        tables.append(joined(found, lambda each: remedy_table(*each)))
    tables += [joined(predictions, table(name)) for name in ("prefill", "decode") if operators]
    tables.append(last)

    def data(each: Any) -> dict[str, Any]:
        return {**each[0].to_dict(), **({"remedies": plain(each[1])} if explained else {})}

    def rows(each: Any) -> Table:
        if operators:
            return operator_records(each[0])
        return remedy_records(*each) if explained else prediction_records([each[0]])

    drawn = None
    if plot:
        from roofsim.reports.figures.compare import compare as figure

        drawn = figure(beside, theme=plot.theme)
    out.write(tables, several_data(found, data), lambda: several_records(found, rows))
    out.draw(plot, drawn)
