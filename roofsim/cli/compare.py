"""Compare models, devices, runtimes and formats in one table."""

from __future__ import annotations

from math import prod
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.cli.sweep import bar
from roofsim.foundation.errors import InputError


@click.command()
@_studies.axis_options
@o.transfer_option
@o.offload_option
@o.model_filters
@o.cost_options
@click.option("--fits", is_flag=True, help="Only what runs and fits; so does each filter below.")
@click.option(
    "--min-tps",
    type=float,
    metavar="X",
    default=None,
    help="Only at least so many output tokens a second, of all sequences.",
)
@click.option(
    "--context",
    type=t.Tokens(),
    metavar="N",
    default=None,
    help="Only where a sequence can hold so many tokens, prompt and generated: 16k.",
)
@click.option(
    "--max-memory", type=t.Quantity("B"), metavar="B", default=None, help="Only at most so much peak memory: 6GiB."
)
@click.option(
    "--max-ttft",
    type=t.Quantity("s"),
    metavar="S",
    default=None,
    help="Only at most so long to the first token: 500ms.",
)
@click.option(
    "--max-tpot",
    type=t.Quantity("s"),
    metavar="S",
    default=None,
    help="Only at most so long for each token after it: 50ms.",
)
@click.option(
    "--sort",
    type=t.Word("FIGURES", "roofsim.spaces.compare"),
    metavar="KEY",
    default=None,
    help="Best first by a figure or a choice as the JSON calls it: tpot, tokens_per_second, max_prompt.",
)
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], kind: str | None, family: str | None, min_size: int | None, max_size: int | None,
    transfer: bool, fits: bool, min_tps: float | None, context: int | None,
    max_memory: float | None, max_ttft: float | None, max_tpot: float | None, sort: str | None, plot: o.Plot | None,
    format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Predict every combination of MODELS with devices, runtimes, formats, lengths and batches; a row for each.

    Without MODELS all that ship, or those of a kind, family or size. Several values are set off by commas. What a
    runtime or a device cannot run is a row that says why; what does not fit stands behind what does.

    \b
    Example: roofsim compare Qwen2.5-7B -d rtx-4090 -r llama.cpp --weights bf16,q8_0,q4_k_m
    Example: roofsim compare OLMoE-1B-7B -d rtx-4060 -r llama.cpp --offload none,8,experts=cpu,auto
    Example: roofsim compare --kind hybrid --max-size 2B -d orin --min-tps 10 --context 16k --sort tpot
    """
    from roofsim.reports.comparison import comparison_records, comparison_tables
    from roofsim.spaces.compare import compare_choices
    from roofsim.spaces.executors import processors
    from roofsim.spaces.selection import chosen_models

    if not options["device"]:
        raise click.UsageError("Missing option '--device' / '-d'.")
    selected = chosen_models(models, kind, family, min_size, max_size)
    if not selected:
        raise InputError("no model is of this kind, family and size; `roofsim models` lists them")
    choices = _studies.choices_of(selected, options)
    with o.naming_options(), bar(prod(map(len, choices.values())), quiet) as step:
        found = compare_choices(choices, processors(), step, transfer)
    result = found.where(
        fits=fits, min_tps=min_tps, context=context, max_memory=max_memory, max_ttft=max_ttft, max_tpot=max_tpot
    )
    if sort:
        result = result.sorted_by(sort)
    figure = None
    if plot:
        from roofsim.reports.figures.compare import compare

        figure = compare(result, theme=plot.theme)
    out = o.Output(format_, output, quiet)
    out.write(comparison_tables(result), result.to_dict(), lambda: comparison_records(result))
    out.draw(plot, figure)
