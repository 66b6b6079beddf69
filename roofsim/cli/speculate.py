"""Say what speculative decoding gains, and from where on it pays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli._click import click

if TYPE_CHECKING:
    from roofsim.prediction.setup import Setup
    from roofsim.serving.speculation import Speculation
    from roofsim.specs.workload import Workload


@click.command()
@_studies.case_options
@click.option(
    "--draft", required=True, type=o.Name("models", words=("ngram", "mtp", "eagle", "eagle3")), metavar="MODEL",
    help="What drafts: a model; ngram, the text before it; mtp, the model's own module; eagle, a head of one dense "
    "layer; eagle3, one with an LM head of its own.",
)  # fmt: skip
@click.option(
    "--accept", required=True, metavar="CHANCE",
    help="How likely a drafted token is accepted: 0.7 each; 0.8,0.6,0.5 all up to each place, as vLLM logs it; "
    "rate=0.56, accepted of drafted tokens; length=3.2, tokens of a round.",
)  # fmt: skip
@click.option(
    "--draft-tokens", "-k", "tokens", type=o.Tokens(), metavar="N", help="Drafted tokens.  [default: the best]"
)
@click.option(
    "--draft-weights", type=o.Word("WEIGHT_FORMATS"), metavar="FMT",
    help="Format of the draft's weights.  [default: that of the model's]",
)  # fmt: skip
@click.option(
    "--rollback", type=o.Choice(["copies", "replay"]), default="copies",
    help="How recurrent states are taken back: one is kept of every token, or what was accepted runs again.  "
    "[default: copies]",
)  # fmt: skip
@click.option(
    "--overhead", type=o.Quantity("s"), default=0.0, metavar="TIME",
    help="Time of a round beside its passes: 0.5ms.  [default: none]",
)  # fmt: skip
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], draft: str, accept: str, tokens: int | None, draft_weights: str | None, rollback: Any,
    overhead: float, plot: o.Plot | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Gain of drafting tokens and verifying them in one step: speedup by length of drafts, over batch and acceptance.

    Verifying is a step of all drafted tokens and one, as the runtime runs it. Several values of anything, set off by
    commas, are a table with a row for each combination.

    \b
    Example: roofsim speculate Llama-3.1-8B -d h100-sxm -r vllm --draft Llama-3.2-1B --accept 0.7
    Example: roofsim speculate Qwen3.5-27B -d rtx-4090 -r llama.cpp --weights q4_k_m --draft mtp --accept rate=0.56 -k 2
    """
    from roofsim.reports.speculation import (
        speculation_records,
        speculation_row,
        speculation_tables,
    )
    from roofsim.serving.acceptance import acceptance
    from roofsim.serving.drafts import drafter
    from roofsim.serving.speculation import speculation

    known = acceptance(accept, tokens)

    def ask(s: Setup, w: Workload) -> tuple[Speculation, Setup]:
        drafts = drafter(s, w, draft, draft_weights)
        return speculation(s, w, drafts, known, tokens, rollback=rollback, overhead=overhead), s

    out = o.Output(format_, output, quiet)
    chosen = _studies.single(models, options)
    if chosen is None:
        _studies.refuse_of_several({"--plot": plot})
        found = _studies.answers_of(models, options, ask, out.quiet).map(lambda each: each[0])
        _studies.write_several(
            out, found, f"Drafts by {draft}", speculation_row, speculation_records, data=lambda r: r.to_dict(),
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
