"""Say what speculative decoding gains, and from where on it pays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofsim.cli import _drafts, _studies
from roofsim.cli import _options as o
from roofsim.cli._click import click

if TYPE_CHECKING:
    from roofsim.prediction.setup import Setup
    from roofsim.serving.speculation import Speculation
    from roofsim.specs.workload import Workload


@click.command()
@_studies.case_options
@_drafts.draft_options(required=True)
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], plot: o.Plot | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Gain of drafting tokens and verifying them in one step: speedup by length of drafts, over batch and acceptance.

    Verifying is a step of all drafted tokens and one, as the runtime runs it. Several values of anything, set off by
    commas, are a table with a row for each combination.

    \b
    Example: roofsim speculate Llama-3.1-8B -d h100-sxm -r vllm --draft Llama-3.2-1B --accept 0.7
    Example: roofsim speculate Llama-3.1-8B -d h200 -r sglang --draft eagle3 --accept 0.7 --tree depth=5,top=4,nodes=15
    Example: roofsim speculate Qwen3.5-27B -d rtx-4090 -r llama.cpp --weights q4_k_m --draft mtp --accept rate=0.56 -k 2
    """
    from roofsim.reports.speculation import (
        speculation_records,
        speculation_row,
        speculation_tables,
    )
    from roofsim.serving.drafts import drafter
    from roofsim.serving.speculation import speculation

    asked = _drafts.drafts_asked(options)
    known = asked.accepted

    def ask(s: Setup, w: Workload) -> tuple[Speculation, Setup]:
        drafts = drafter(s, w, asked.draft, asked.weights)
        found = speculation(
            s, w, drafts, known, asked.tokens, rollback=asked.rollback, overhead=asked.overhead, tree=asked.tree
        )
        return found, s

    out = o.Output(format_, output, quiet)
    chosen = _studies.single(models, options)
    if chosen is None:
        _studies.refuse_of_several({"--plot": plot})
        found = _studies.answers_of(models, options, ask, out.quiet).map(lambda each: each[0])
        _studies.write_several(
            out, found, f"Drafts by {asked.draft}", speculation_row, speculation_records, data=lambda r: r.to_dict(),
            cautions=lambda r: r.cautions,
        )  # fmt: skip
        return
    result, s = ask(*_studies.one_case(chosen, options))
    drawn = None
    if plot:
        from roofsim.reports.figures.speculation import speculation as figure

        drawn = figure(result, s, theme=plot.theme)
    out.write(
        speculation_tables(result, s.device.name, s.runtime.name), result.to_dict(), lambda: speculation_records(result)
    )
    out.draw(plot, drawn)
