"""Find the prompt length from which one model overtakes another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.prediction.metrics import METRICS


@click.command()
@o.models_argument()
@o.device_option(many=True)
@click.option(
    "--metric", "-m", type=t.Choice(list(METRICS)), default="ttft",
    help="What is compared.  [default: ttft]",
)  # fmt: skip
@click.option("--longest", type=t.Tokens(), default=2**20, metavar="N", help="Longest prompt looked at.  [default: 1M]")
@o.devices_options(many=True)
@o.batch_option(many=True)
@o.generate_option(many=True)
@o.format_options(many=True)
@o.stack_options(many=True)
@o.transfer_option
@o.set_option(many=True)
@o.cost_options
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], metric: Any, longest: int, plot: o.Plot | None, format_: str, output: str | None,
    quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Compare MODELS in pairs over prompt length; without MODELS, the pairs of the SSM-Scope paper.

    All crossings are found by number, then explained: what bounds both sides there, the closed form of that
    regime, and what moves the crossing. With several runtimes, set off by commas, the crossings are put side by
    side: one that moves with the runtime is a property of the software. Several values of other things are a table
    with a row for each pair and combination, and a panel of the figure for each combination.

    \b
    Example: roofsim crossover Qwen2.5-0.5B mamba2-780m --device orin --plot crossing.png
    Example: roofsim crossover Qwen2.5-0.5B mamba2-780m -d orin,rtx-4090 -m memory
    Example: roofsim crossover Qwen2.5-0.5B mamba2-780m -d rtx-4090 -m cost --electricity 0.3USD/kWh
    """
    from roofsim.foundation.errors import Unsupported
    from roofsim.studies.crossover import pairs_of

    pairs = pairs_of(models)
    out = o.Output(format_, output, quiet)
    runtimes = _studies.by_runtime((), options)
    try:
        if runtimes:
            _alone(out, runtimes, pairs, options, metric, longest, plot)
            return
    except Unsupported:  # of several runtimes that one is a row which says so
        if len(runtimes) == 1:
            raise
    _several(out, pairs, options, metric, longest, plot)


def _alone(
    out: o.Output, runtimes: Sequence[Mapping[str, Any]], pairs: Sequence[tuple[str, str]], options: Mapping[str, Any],
    metric: Any, longest: int, plot: o.Plot | None,
) -> None:  # fmt: skip
    """All pairs with one runtime, or with several side by side."""
    from roofsim.prediction.setup import Setup
    from roofsim.reports.crossover import crossover_records, crossover_tables, runtimes_tables
    from roofsim.studies.crossover import across_runtimes, compare_setups, set_up

    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    results = []
    for chosen in runtimes:
        setups = {name: set_up(partial(_studies.setup_of, {**chosen, "model": name}, options)) for name in names}
        results.append(compare_setups(setups, pairs, metric, longest, **_studies.fields_of(chosen)))
    one, rows = next(s for s in setups.values() if isinstance(s, Setup)), partial(crossover_records, results)
    if len(results) > 1:
        both = across_runtimes(results)
        results = list(both.comparisons)
        out.write(runtimes_tables(both, one.device_name), both.to_dict(), rows)
    else:
        out.write(crossover_tables(results[0], one.device_name, one.runtime.name), results[0].to_dict(), rows)
    if plot:
        from roofsim.reports.figures.crossover import crossover

        shown = ", ".join(result.runtime for result in results) if len(results) > 1 else one.runtime.name
        out.draw(plot, crossover(results, one.device_name, shown, theme=plot.theme))


def _several(
    out: o.Output, pairs: Sequence[tuple[str, str]], options: Mapping[str, Any], metric: Any, longest: int,
    plot: o.Plot | None,
) -> None:  # fmt: skip
    """A row for each pair and combination, and a panel of the figure for each combination."""
    from roofsim.cli.sweep import bar
    from roofsim.reports.crossover import crossover_records, crossover_row, row_notes
    from roofsim.spaces.combinations import answers_of_pairs
    from roofsim.studies.crossover import Comparison, compare_setups

    def ask(pair: tuple[Any, Any], setups: Mapping[Any, Any], fields: Mapping[str, Any]) -> Comparison:
        return compare_setups(setups, [pair], metric, longest, **fields)

    _studies.refuse_of_many(plot, [""], options)
    choices = {name: each for name, each in _studies.choices_of([], options).items() if name != "model"}
    with o.naming_options(), bar(prod(map(len, choices.values())) * len(pairs), out.quiet) as step:
        found = answers_of_pairs(choices, pairs, ask, transfer=options["transfer"], step=step)
    _studies.write_several(
        out, found, METRICS[metric].words.capitalize(), crossover_row, lambda c: crossover_records([c]),
        data=lambda c: c.to_dict(), cautions=lambda c: c.cautions, notes=row_notes([c for _, c in found.given]),
    )  # fmt: skip
    if plot and found.given:
        from roofsim.reports.figures.crossover import crossover
        from roofsim.reports.several import full_name, titles_of

        alike = found.without("a", "b")
        titled = titles_of(alike)
        panels: dict[str, Comparison] = {}
        for row, each in alike.given:
            title = titled(row)
            pairs_before = panels[title].pairs if title in panels else ()
            panels[title] = replace(each, pairs=(*pairs_before, *each.pairs))
        names = full_name(alike, "device"), full_name(alike, "runtime")
        out.draw(plot, crossover([*panels.values()], *names, [*panels], theme=plot.theme))
