"""Search a family of architectures: the front of loss, latency and memory on a device."""

from __future__ import annotations

from functools import partial
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError


@click.command()
@click.argument("family", type=t.Name("models/families"))
@click.argument("axes", nargs=-1, metavar="[NAME=VALUES]...")
@o.device_option()
@click.option(
    "--over", multiple=True, metavar="NAME=VALUES",
    help="Parameters to look at, in all combinations: attention_every=2,4,6 width=512..2048+128 parameters=494M.",
)  # fmt: skip
@click.option(
    "--quality", type=t.Name("models/families/scaling"), default="hoffmann-2022", metavar="LAW|CSV",
    help="Scaling law by name or path, or a CSV of losses by parameters.  [default: hoffmann-2022]",
)  # fmt: skip
@click.option(
    "--train-tokens", type=t.Parameters(), default=None, metavar="N",
    help="Tokens of training for the scaling law: 10B, 1.5T.  [default: 10B]",
)  # fmt: skip
@click.option(
    "--where", default=None, metavar="CONDITION", help="What to keep: 'memory_peak < 6 GiB and tpot < 50 ms'."
)
@click.option(
    "--objectives", default=None, metavar="NAMES",
    type=t.Word("COLUMNS", "roofsim.spaces.evaluate", more=("loss", "parameters")),
    help="What is to be small, set off by commas.  [default: loss,tpot,memory_peak]",
)  # fmt: skip
@o.download_option
@click.option("--against", type=t.Name("models", "models/families"), default=None, metavar="MODEL",
              help="A model to compare with: the best member that is as fast.")  # fmt: skip
@click.option("--sample", type=t.Tokens(), default=None, metavar="N", help="Draw so many of the combinations.")
@click.option("--seed", type=int, default=0, metavar="N", help="What they are drawn with.  [default: 0]")
@click.option("--all", "every", is_flag=True, help="Tabulate every member that is kept.")
@o.prompt_option()
@o.batch_option()
@o.generate_option()
@o.format_options()
@o.stack_options()
@o.transfer_option
@o.set_option()
@o.plot_option
@o.output_options
def command(
    family: str, axes: tuple[str, ...], device: str, runtime: str | None, host: str | None, calibration: str | None,
    transfer: bool, changes: tuple[str, ...], over: tuple[str, ...], quality: str, train_tokens: int | None,
    where: str | None, objectives: str | None, against: str | None, sample: int | None, seed: int, every: bool,
    plot: o.Plot | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Evaluate the members of FAMILY and show those that no other beats in loss, latency and memory.

    Losses are those of a scaling law, or measured ones out of a CSV. A budget on latency or memory is also told in
    numbers of layers, as the closed form of where it binds.

    \b
    Example: roofsim search dense -d orin --over depth=8..32+4 width=512..1536+128 --where "tpot < 60 ms"
    """
    from roofsim import library
    from roofsim.prediction.setup import DEFAULT_RUNTIME
    from roofsim.reports.search import MOST_SHOWN, search_records, search_tables
    from roofsim.spaces.search import OBJECTIVES, TRAIN_TOKENS, search

    chosen: dict[str, str] = {}
    for text in (*over, *axes):
        name, equals, values = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--over {text}: write it like width=512..2048+128 or depth=12,24")
        if name.strip() in chosen:
            raise InputError(f"--over {name.strip()}: is given twice")
        chosen[name.strip()] = values
    names = tuple(each.strip() for each in objectives.split(",")) if objectives else OBJECTIVES
    result = search(
        family, device, runtime or DEFAULT_RUNTIME, over=chosen, quality=quality,
        train_tokens=train_tokens or TRAIN_TOKENS, where=where, objectives=names, against=against, sample=sample,
        seed=seed, host=host, calibration=calibration or "auto", transfer=transfer, changes=changes,
        **_studies.fields_of(options),
    )  # fmt: skip
    out = o.Output(format_, output, quiet)
    shown = library.device(device).name, library.runtime(runtime or DEFAULT_RUNTIME).name
    tables = search_tables(result, *shown, every=every, most=MOST_SHOWN if format_ == "table" else None)
    out.write(tables, result.to_dict(), partial(search_records, result))
    if plot:
        from roofsim.reports.figures.search import search as figure

        out.draw(plot, figure(result, *shown, theme=plot.theme))
