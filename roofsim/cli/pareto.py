"""Find the points of a space that no other is better than in every objective."""

from __future__ import annotations

from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError


@click.command()
@_studies.axis_options
@o.offload_option
@o.cost_options
@click.option(
    "--objectives", required=True, metavar="NAMES",
    type=t.Word("COLUMNS", "roofsim.spaces.evaluate", ends=("min", "max")),
    help="Figures or derived columns, with what is better of each: ttft:min,tokens_per_second:max,memory_peak.",
)  # fmt: skip
@_studies.study_options
@click.option(
    "--budget", type=t.Tokens(), metavar="N",
    help="Search among the points (NSGA-II) and compute N of them, where they are too many.",
)  # fmt: skip
@click.option("--unfit", is_flag=True, help="Also points that do not fit the memory.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes.  [default: one a processor]")
@o.plot_option
@o.output_options
def command(
    objectives: str, budget: int | None, unfit: bool, workers: int | None, plot: o.Plot | None, format_: str,
    output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Compute every combination of values, as `sweep` does, and keep those that none is better than in every objective.

    Of figures such as tokens_per_second more is better, of others less, unless `:min` or `:max` says so. Points that do
    not fit the memory are left out.

    \b
    Example: roofsim pareto Qwen2.5-0.5B mamba2-780m -d orin -p 1k..16k*2 -b 1..16*2 --objectives ttft,tokens_per_second
    """
    from roofsim.reports.fronts import front_records, front_tables
    from roofsim.spaces.fronts import front_of, senses_of

    derived = {each.partition("=")[0].strip() for each in options["derive"]}
    senses = senses_of(objectives, derived)
    figures = [name for name in senses if name not in derived]
    if plot and len(senses) not in (2, 3):
        raise InputError(f"--plot: a front is drawn over two objectives or three, not {len(senses)}")
    more = options["figures"].split(",") if options["figures"] else []
    made = _studies.study_of({**options, "figures": ",".join(dict.fromkeys([*figures, *more]))})
    found = front_of(made, senses, unfit=unfit, budget=budget, seed=options["seed"], workers=workers)
    out = o.Output(format_, output, quiet)
    out.remark(_studies.models_of(made))
    out.write(front_tables(found), found.to_dict() if format_ == "json" else {}, lambda: front_records(found))
    if plot:
        from roofsim.reports.figures.pareto import pareto as figure

        out.draw(plot, figure(found, theme=plot.theme))
