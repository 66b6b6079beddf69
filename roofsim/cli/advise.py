"""Say which models, devices, runtimes and formats meet budgets, and by how much others miss them."""

from __future__ import annotations

from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.cli.sweep import bar
from roofsim.foundation.errors import InputError


@click.command()
@_studies.axis_options
@o.offload_option
@o.model_filters
@click.option("--ttft", type=t.Quantity("s"), metavar="S", default=None, help="At most so long to the first token: 1s.")
@click.option(
    "--tpot", type=t.Quantity("s"), metavar="S", default=None, help="At most so long for each token after it: 50ms."
)
@click.option("--total-time", type=t.Quantity("s"), metavar="S", default=None, help="At most so long for all: 10s.")
@click.option(
    "--max-memory", type=t.Quantity("B"), metavar="B", default=None, help="At most so much peak memory: 6GiB."
)
@click.option(
    "--energy",
    type=t.Each("J", "token", "1J/token"),
    metavar="J/token",
    default=None,
    help="At most so much for an output token, its share of the prompt included: 1J/token.",
)
@click.option(
    "--price", type=t.Quantity("USD"), metavar="USD", default=None, help="At most so much for the device: 500USD."
)
@click.option(
    "--token-price",
    type=t.Quantity("USD"),
    metavar="USD",
    default=None,
    help="At most so much for a million output tokens, their prompts included: 0.5USD.",
)
@click.option(
    "--hour",
    type=t.Each("USD", "h", "2.5USD/h"),
    metavar="USD/h",
    default=None,
    help="Rent of the device.  [default: its usual price]",
)
@click.option(
    "--min-tps",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    default=None,
    help="At least so many output tokens a second, of all sequences.",
)
@click.option(
    "--context",
    type=t.Tokens(),
    metavar="N",
    default=None,
    help="A sequence can hold at least so many tokens, prompt and generated: 16k.",
)
@click.option(
    "--rank",
    type=t.Word("FIGURES", "roofsim.spaces.compare", more=("headroom", "parameters")),
    metavar="KEY",
    default="headroom",
    help="Best first by headroom, parameters (the largest model), or a figure of compare: energy.  [default: headroom]",
)
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], kind: str | None, family: str | None, min_size: int | None, max_size: int | None,
    changes: tuple[str, ...], hour: float | None, rank: str, plot: o.Plot | None, format_: str, output: str | None,
    quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Rank the candidates that meet all budgets, and say of each other one what binds and by how much it misses.

    Candidates are MODELS, or all that ship, or those of a kind, family or size, on every device with the usual runtimes
    and formats there, unless some are named. With --plot each is drawn beside the budgets.

    \b
    Example: roofsim advise --family qwen --max-size 1B -d orin -p 4k --ttft 1s --tpot 50ms --rank parameters
    """
    from roofsim.reports.advise import advice_records, advice_tables
    from roofsim.spaces.advise import BUDGETS, advise, candidates
    from roofsim.spaces.axes import axis
    from roofsim.spaces.executors import processors
    from roofsim.spaces.selection import chosen_models

    if not options["device"]:
        raise click.UsageError("Missing option '--device' / '-d'.")
    selected = chosen_models(models, kind, family, min_size, max_size)
    if not selected:
        raise InputError("no model is of this kind, family and size; `roofsim models` lists them")
    budgets = {name: options[name] for name in BUDGETS if options[name] is not None}
    asked = {name: options[name] for name in _studies.AXES if options[name]} | _studies.changes_of(changes)
    choices = {name: list(axis(name, each).values) for name, each in asked.items()}
    with o.naming_options(), bar(candidates(selected, choices), quiet) as step:
        found = advise(*selected, budgets=budgets, hour=hour, rank=rank, processes=processors(), step=step, **choices)
    out = o.Output(format_, output, quiet)
    out.remark(models)
    drawn = None
    if plot:
        from roofsim.reports.figures.advise import advise as figure

        drawn = figure(found, theme=plot.theme)
    out.write(advice_tables(found), found.to_dict(), lambda: advice_records(found))
    out.draw(plot, drawn)
