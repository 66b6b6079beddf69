"""Find the prompt length from which one model overtakes another."""

from __future__ import annotations

from functools import partial
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.prediction.metrics import METRICS


@click.command()
@o.models_argument
@o.device_option
@click.option(
    "--metric", "-m", type=click.Choice(list(METRICS)), default="ttft",
    help="What is compared.  [default: ttft]",
)  # fmt: skip
@click.option("--longest", type=o.Tokens(), default=2**20, metavar="N", help="Longest prompt looked at.  [default: 1M]")
@o.workload_options
@o.stack_options
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], device: str, runtime: str | None, host: str | None, calibration: str,
    transfer: bool, changes: tuple[str, ...],
    metric: Any, longest: int, plot: str | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Compare MODELS in pairs over prompt length; without MODELS, the pairs of the SSM-Scope paper.

    All crossings are found by number, then explained: what bounds both sides there, the closed form of that
    regime, and what moves the crossing. With several runtimes, set off by commas, the crossings are put side by
    side: one that moves with the runtime is a property of the software.

    \b
    Example: roofsim crossover Qwen2.5-0.5B mamba2-780m --device orin --plot crossing.png
    """
    from roofsim.prediction.setup import Setup
    from roofsim.report.crossover import crossover_records, crossover_tables, runtimes_tables
    from roofsim.studies.crossover import across_runtimes, compare_setups, pairs_of, set_up

    pairs = pairs_of(models)
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    results = []
    for each in o.several(runtime):
        setups = {
            name: set_up(partial(o.changed_setup, name, device, each, host, changes, calibration, transfer))
            for name in names
        }
        results.append(compare_setups(setups, pairs, metric, longest, **o.fields_of(options)))
    one = next(s for s in setups.values() if isinstance(s, Setup))
    out, rows = o.Output(format_, output, quiet), partial(crossover_records, results)
    if len(results) > 1:
        both = across_runtimes(results)
        results = list(both.comparisons)
        out.write(runtimes_tables(both, one.device.name), both.to_dict(), rows)
    else:
        out.write(crossover_tables(results[0], one.device.name, one.runtime.name), results[0].to_dict(), rows)
    if plot:
        from roofsim.report import plots

        shown = ", ".join(result.runtime for result in results) if len(results) > 1 else one.runtime.name
        plots.save(plots.crossover(results, one.device.name, shown), plot)
        out.say(f"drew {plot}")
