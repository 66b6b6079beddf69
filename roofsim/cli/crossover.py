"""Find the prompt length from which one model overtakes another."""

from __future__ import annotations

from typing import Any

from roofsim.cli import _options as o
from roofsim.cli._click import click


@click.command()
@o.models_argument
@o.device_option
@click.option(
    "--metric", "-m", type=click.Choice(["ttft", "tpot", "memory", "energy", "throughput", "total"]), default="ttft",
    help="What is compared.  [default: ttft]",
)  # fmt: skip
@click.option("--longest", type=o.Tokens(), default=2**20, metavar="N", help="Longest prompt looked at.  [default: 1M]")
@o.workload_options
@o.stack_options
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], device: str, runtime: str | None, host: str | None, changes: tuple[str, ...],
    metric: Any, longest: int, plot: str | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Compare MODELS in pairs over prompt length; without MODELS, the pairs of the SSM-Scope paper.

    All crossings are found by number, then explained: what bounds both sides there, the closed form of that
    regime, and what moves the crossing.

    \b
    Example: roofsim crossover Qwen2.5-0.5B mamba2-780m --device orin --plot crossing.png
    """
    from roofsim.report.crossover import crossover_tables
    from roofsim.studies.crossover import compare_setups, pairs_of

    pairs = pairs_of(models)
    setups = {m: o.changed_setup(m, device, runtime, host, changes) for m in dict.fromkeys(m for p in pairs for m in p)}
    result = compare_setups(setups, pairs, metric, longest, **o.fields_of(options))
    one = next(iter(setups.values()))
    out = o.Output(format_, output, quiet)
    out.write(crossover_tables(result, one.device.name, one.runtime.name), result.to_dict())
    if plot:
        from roofsim.report import plots

        plots.save(plots.crossover(result, one.device.name, one.runtime.name), plot)
        out.say(f"drew {plot}")
