"""Say what repeated sampling costs, and how a budget is best split into trials and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click

if TYPE_CHECKING:
    from roofsim.prediction.setup import Setup
    from roofsim.reports.table import Table
    from roofsim.spaces.sampling import SamplingResult
    from roofsim.specs.workload import Workload


@click.command()
@o.models_argument(required=True)
@o.device_option(many=True)
@o.prompt_option(many=True)
@click.option(
    "--trials", "-n", type=t.Range(), default="1..64*2", metavar="COUNTS", help="Answers to it.  [default: 1..64*2]"
)
@click.option(
    "--tokens", "-g", type=t.Range(), default=None, metavar="COUNTS",
    help="Tokens of each; with a budget, at most.  [default: 1k; with a budget, any]",
)  # fmt: skip
@click.option(
    "--budget",
    metavar="AMOUNT",
    default=None,
    help="Seconds (10s), joules (500J), dollars (0.01USD) or equivalent FLOP (2 PFLOP).",
)
@click.option(
    "--share", "shared", type=t.Choice(["copied", "held", "read"]), default=None,
    help="Trials copy the prompt's cache, share one that each of them reads, or one that a step reads once.  [default: "
    "held with a paged cache, else copied]",
)  # fmt: skip
@click.option(
    "--accuracy", type=click.Path(), metavar="FILE", default=None,
    help="A CSV with columns tokens and accuracy: how likely one trial of so many tokens is right.",
)  # fmt: skip
@o.format_options(many=True)
@o.stack_options(many=True)
@o.transfer_option
@o.set_option(many=True)
@o.cost_options
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], trials: list[int], tokens: list[int] | None, budget: str | None, shared: Any,
    accuracy: str | None, plot: o.Plot | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Cost of several answers to one prompt: time, energy, bytes and equivalent FLOP.

    With a budget, each number of trials gets as many tokens as it allows, and the best split is named: the one that
    most likely holds a right answer, if --accuracy says how likely one is right, else the one with most tokens. Several
    models, devices and so on, set off by commas, are one table.

    \b
    Example: roofsim sampling Qwen2.5-0.5B -d rtx-4090 -r vllm --trials 1,16,256 --tokens 1k,8k
    Example: roofsim sampling Llama-3.1-8B -d h100-sxm -r vllm --prompt 4k --budget 10s --plot split.svg
    """
    from roofsim.foundation.units import MAX_COUNT
    from roofsim.reports.sampling import sampling_tables
    from roofsim.spaces.sampling import accuracy_in, budget_of, sampling

    amount = budget_of(budget) if budget is not None else None
    known = accuracy_in(accuracy) if accuracy is not None else None
    most = tokens or ([MAX_COUNT] if amount else [1024])

    def ask(s: Setup, w: Workload) -> SamplingResult:
        return sampling(s, w, trials, most, shared=shared, budget=amount, accuracy=known)

    def records(result: SamplingResult) -> Table:
        return sampling_tables(result, result.device, result.runtime, everything=True)[0]

    out = o.Output(format_, output, quiet)
    out.remark(models)
    chosen = _studies.single(models, options)
    if chosen is None:
        _studies.refuse_of_several({"--plot": plot})
        found = _studies.answers_of(models, options, ask, out.quiet).without("batch", "generate")
        _studies.write_several(
            out, found, "Trials of one prompt", lambda r: sampling_tables(r, r.device, r.runtime)[0], records,
            data=lambda r: r.to_dict(),
        )  # fmt: skip
        return
    s, w = _studies.one_case(chosen, options)
    result = ask(s, w)
    drawn = None
    if plot:
        from roofsim.reports.figures.sampling import sampling as figure

        drawn = figure(result, s, w, theme=plot.theme)
    out.write(sampling_tables(result, s.device_name, s.runtime.name), result.to_dict(), lambda: records(result))
    out.draw(plot, drawn)
