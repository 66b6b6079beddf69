"""Serve requests as they arrive, event by event, and say what users see of it."""

from __future__ import annotations

from typing import Any

from roofsim.cli import _drafts
from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.cli.sweep import bar
from roofsim.serving import USUAL_RUNTIME


@click.command()
@click.argument("model", type=t.Name("models", "models/families"))
@o.download_option
@o.device_option()
@o.prompt_option()
@o.generate_option()
@click.option("--rate", type=t.Plain(), metavar="NUMBER", default=None, help="Requests that come in a second: 2.5.")
@click.option("--users", type=t.Tokens(), metavar="N", default=None, help="Users who ask again when they are answered.")
@click.option(
    "--trace", type=click.Path(), metavar="FILE", default=None,
    help="Requests of a file: a CSV or lines of JSON with times, prompts and answers, as Azure, Mooncake, BurstGPT and "
    "Vidur write them.",
)  # fmt: skip
@click.option(
    "--cv", type=t.Plain(), metavar="NUMBER", default=None,
    help="With --rate: how distances vary, deviation over mean; 0 not at all, 2 in bursts.  [default: 1, Poisson]",
)  # fmt: skip
@click.option(
    "--on", type=t.Quantity("s"), metavar="TIME", default=None, help="With --rate: come in periods of 10s ..."
)
@click.option("--off", type=t.Quantity("s"), metavar="TIME", default=None, help="... with 30s between them.")
@click.option(
    "--think", type=t.Quantity("s"), metavar="TIME", default=0.0,
    help="With --users: time until each asks again.  [default: none]",
)  # fmt: skip
@click.option(
    "--speed", type=t.Plain(), metavar="NUMBER", default=1.0, help="With --trace: 2 is twice as fast.  [default: 1]"
)
@click.option(
    "--requests", "-n", type=t.Tokens(), metavar="N", default=None,
    help="How many, of a trace at most.  [default: 1000]",
)  # fmt: skip
@click.option(
    "--spread", type=t.Plain(), metavar="NUMBER", default=0.0,
    help="Lengths lie within this part of --prompt and --generate: 0.5 is from half to three halves.  [default: 0]",
)  # fmt: skip
@click.option(
    "--prefix", type=t.Tokens(nought=True), metavar="N", default=0,
    help="Tokens with which all prompts begin, held once: a system prompt.  [default: 0]",
)  # fmt: skip
@click.option(
    "--hit-rate", type=click.FloatRange(0, 1), metavar="SHARE", default=None,
    help="Requests that find it in the cache.  [default: all but the first]",
)  # fmt: skip
@click.option("--seed", type=int, metavar="N", default=0, help="Which requests are drawn.  [default: 0]")
@click.option("--tokens", type=t.Tokens(), metavar="N", default=None,
              help="Most new tokens of a step.  [default: as the runtime has it]")  # fmt: skip
@click.option("--sequences", type=t.Tokens(), metavar="N", default=None,
              help="Most sequences at once.  [default: as the runtime has it]")  # fmt: skip
@_drafts.draft_options(required=False)
@o.devices_options()
@o.format_options()
@o.stack_options(usual=USUAL_RUNTIME)
@o.transfer_option
@o.set_option()
@o.plot_option
@o.output_options
def command(
    model: str, device: str, tokens: int | None, sequences: int | None, plot: o.Plot | None, format_: str,
    output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Serve requests as they arrive, event by event: latency with its tails, queue, cache, preemptions.

    An engine with continuous batching, step by step: requests wait for room in the cache, prompts go through in pieces
    beside sequences that decode. With --rate they come independently of each other or in bursts, --users each ask again
    when they are answered, a --trace says when which come. With --draft steps verify drafted tokens, of which as many
    are accepted as is drawn. Needs the extra `serving`.

    \b
    Example: roofsim simulate Llama-3.1-8B -d h100-sxm --rate 8 --spread 0.5 -n 200
    Example: roofsim simulate Llama-3.1-8B -d h100-sxm --users 16 --prompt 2k -n 64
    Example: roofsim simulate Llama-3.1-8B -d h100-sxm --users 4 --draft eagle --accept 0.7 -k 3 -n 64
    """
    from dataclasses import fields

    from roofsim.reports.simulate import simulation_records, simulation_tables
    from roofsim.serving.simulation import Load, simulate

    s = o.serving_setup(model, device, options)
    load = Load(**{each.name: options[each.name] for each in fields(Load)})
    asked, w = _drafts.drafts_of(options), o.workload_of(s, options)
    drafts = asked.on(s, w, load.users or 1) if asked else None
    with bar(0, quiet, "requests") as progress:
        found = simulate(s, w, load, tokens=tokens, sequences=sequences, drafts=drafts, progress=progress)
    drawn = None
    if plot:
        from roofsim.reports.figures.simulation import simulation as figure

        drawn = figure(found, s, theme=plot.theme)
    out = o.Output(format_, output, quiet)
    out.write(
        simulation_tables(found, s.device_name, s.runtime.name), found.to_dict(), lambda: simulation_records(found)
    )
    out.draw(plot, drawn)
