"""Compare ways to lay out prefill and decode: mixed steps, both inside each device, pools apart."""

from __future__ import annotations

from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.model.split import RANKS
from roofsim.serving import USUAL_RUNTIME


@click.command()
@click.argument("model", type=t.Name("models", "models/families"))
@o.download_option
@o.device_option()
@click.option(
    "--prompt", "-p", "prompts", type=t.Range(), default="512..8k*4", metavar="COUNTS",
    help="Tokens of prompts: 4096, 1k,4k,32k or 1k..256k*2.  [default: 512..8k*4]",
)  # fmt: skip
@o.generate_option()
@click.option(
    "--slo", metavar="TIMES", default="ttft=1s,itl=50ms",
    help="What is promised: in the mean, or at a percentile, itl.p95=50ms.  [default: ttft=1s,itl=50ms]",
)  # fmt: skip
@click.option(
    "--link", type=t.Quantity("B/s"), default=None, metavar="RATE",
    help="Bytes a second from device to device: 25GB/s.  [default: as nodes of the device's cluster are linked]",
)  # fmt: skip
@o.devices_options(many=True)
@o.stack_options(usual=USUAL_RUNTIME)
@o.format_options()
@o.transfer_option
@o.set_option()
@o.plot_option
@o.output_options
def command(
    model: str, device: str, prompts: list[int], slo: str, link: float | None,
    plot: o.Plot | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Prefill and decode in mixed steps, side by side inside each device, or on pools apart: what each answers.

    Goodput: the most requests a second and device that keep what is promised, over the length of prompts. Pools hand
    over what a prompt holds (keys and values, recurrent states) on a link, and have as many devices each as keep up
    with each other. Of several ways to divide the model among devices, each layout and either pool has its best.

    \b
    Example: roofsim phases Llama-3.1-8B -d a100-sxm-80gb -p 2k --slo ttft.p95=4s,itl.p95=50ms
    Example: roofsim phases Llama-3.1-70B -d h100-sxm -p 2k --tp 2,4,8 --slo ttft=2s,itl=40ms
    Example: roofsim phases Qwen3.5-4B -d a100-sxm-80gb -p 1k --link 25GB/s --plot phases.svg
    """
    from roofsim.cli.sweep import bar
    from roofsim.reports.phases import phases_records, phases_tables
    from roofsim.serving.choices import choices, possible
    from roofsim.serving.phases import phases, wire_of
    from roofsim.serving.slo import promises

    cluster = o.one_of("--cluster", options["cluster"] or [None])
    ways = {way: options[way] for way in RANKS if options[way]}
    made, refused = possible(
        choices(ways), lambda split: o.serving_setup(model, device, {**options, **split, "cluster": cluster})
    )  # fmt: skip
    setups = [s for _, s in made]
    s = setups[0]
    wire, linked = wire_of(s, link)
    with bar(len(prompts), quiet, "lengths") as progress:
        result = phases(setups, o.workload_of(s, options), prompts, promises(slo), wire, linked, refused, progress)
    drawn = None
    if plot:
        from roofsim.reports.figures.phases import phases as figure

        drawn = figure(result, s, theme=plot.theme)
    out = o.Output(format_, output, quiet)
    out.write(phases_tables(result, s.device.name, s.runtime.name), result.to_dict(), lambda: phases_records(result))
    out.draw(plot, drawn)
