"""Predict time, memory and energy of one request."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli._click import click

if TYPE_CHECKING:
    from roofsim.prediction.setup import Setup


@click.command()
@o.model_argument
@o.device_option
@o.prompt_option
@o.workload_options
@o.stack_options
@click.option("--operators", is_flag=True, help="List every operator, not only the largest.")
@click.option("--explain", "explained", is_flag=True, help="Also what would help: other logits, no mask, graphs ...")
@click.option(
    "--memory-plot", type=o.Target((".png", ".svg", ".pdf")), metavar="FILE", default=None,
    help="Draw what is alive over the operators of the prefill.",
)  # fmt: skip
@o.output_options
def command(
    model: str, device: str, runtime: str | None, host: str | None, calibration: str,
    transfer: bool, changes: tuple[str, ...], operators: bool,
    explained: bool, memory_plot: str | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Predict prefill, decode, memory and energy of MODEL on a device.

    MODEL is a name, an alias or the path of a YAML file. Several runtimes, set off by commas, are put side by
    side, and their difference is taken apart.

    \b
    Example: roofsim predict mamba2-780m --device rtx-4090 --prompt 32k
    Example: roofsim predict Qwen2.5-0.5B -d orin -r transformers-4.52-eager,cuda-graph,ideal
    """
    from roofsim.prediction.request import predict_request
    from roofsim.prediction.results import plain
    from roofsim.report.prediction import operator_records, prediction_records, prediction_tables

    out = o.Output(format_, output, quiet)
    runtimes = o.several(runtime)
    if len(runtimes) > 1:
        _compare(
            out,
            [o.changed_setup(model, device, each, host, changes, calibration, transfer) for each in runtimes],
            options,
        )
        return
    s = o.changed_setup(model, device, runtime, host, changes, calibration, transfer)
    w = o.workload_of(s, options)
    result = predict_request(s, w)
    tables = prediction_tables(result, s.device.name, s.runtime.name, operators)
    data = result.to_dict()
    rows = partial(operator_records, result) if operators else partial(prediction_records, [result])
    if explained:
        from roofsim.report.compare import remedy_records, remedy_table
        from roofsim.studies.compare import remedies

        found = remedies(s, w)
        tables.insert(-1, remedy_table(result, found))
        data["remedies"] = plain(found)
        rows = rows if operators else partial(remedy_records, result, found)
    out.write(tables, data, rows)
    if memory_plot:
        from roofsim.report import plots

        plots.save(plots.timeline(s, w), memory_plot)
        out.say(f"drew {memory_plot}")


def _compare(out: o.Output, setups: list[Setup], options: dict[str, Any]) -> None:
    from roofsim.report.compare import comparison_tables
    from roofsim.report.prediction import prediction_records
    from roofsim.studies.compare import compare_runtimes

    result = compare_runtimes(setups, o.workload_of(setups[0], options))
    rows = partial(prediction_records, [side.prediction for side in result.sides])
    out.write(comparison_tables(result, setups[0].device.name), result.to_dict(), rows)
