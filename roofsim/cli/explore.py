"""Write a page to explore models, devices and runtimes on, whose every number is the model's own."""

from __future__ import annotations

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.cli.sweep import bar
from roofsim.foundation import writing


@click.command()
@click.option(
    "--output", "-o", type=t.Target((".html", ".htm")), metavar="FILE", default="page.html", show_default=True,
    help="Write the page there.",
)  # fmt: skip
@click.option(
    "--models", "-m", type=t.Several(t.Name("models", "models/families")), metavar="MODELS", default=None,
    help="Models, set off by commas.  [default: 20 of all kinds]",
)  # fmt: skip
@click.option(
    "--devices", "-d", type=t.Several(t.Name("hardware")), metavar="DEVICES", default=None,
    help="Devices, set off by commas; a mode after @ (orin@15w).  [default: 8 from a Raspberry Pi to servers]",
)  # fmt: skip
@click.option(
    "--runtimes", "-r", type=t.Several(t.Name("runtimes")), metavar="RUNTIMES", default=None,
    help="Software stacks, set off by commas; a device has the one of that name that is written for it.  [default: 4]",
)  # fmt: skip
@click.option(
    "--weights", type=t.Several(t.Word("WEIGHT_FORMATS")), metavar="FMTS", default=None,
    help="Formats of weights beside the dtype of activations, set off by commas.  [default: the runtime's usual ones]",
)  # fmt: skip
@click.option(
    "--tp", type=t.Range(), metavar="COUNTS", default=None,
    help="Devices that a model can be divided among (tensor parallel), where they stand in a cluster.  "
    "[default: 1,2,4,8 with runtimes that serve, 1 with others]",
)  # fmt: skip
@o.download_option
@click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr.")
def command(
    output: str,
    models: list[str] | None,
    devices: list[str] | None,
    runtimes: list[str] | None,
    weights: list[str] | None,
    tp: list[int] | None,
    quiet: bool,
) -> None:
    """Write one HTML file to explore: models side by side, crossovers, rooflines, memory, what-ifs.

    The file needs no server and no network. It holds the functions that `roofsim.compile` makes, in JavaScript, so that
    whatever is chosen or dragged there is what `roofsim predict` would say.

    \b
    Example: roofsim explore -m Qwen2.5-0.5B,mamba2-780m -d orin -r transformers-4.52-eager -o page.html
    """
    from roofsim.web.choices import chosen
    from roofsim.web.page import page

    choices = chosen(models or (), devices or (), runtimes or (), weights or (), tp or ())
    size = len(choices.models) * len(choices.devices) * len(choices.runtimes)
    with bar(size, quiet, "combinations") as step:
        text = page(choices, step)
    writing.text(output, text)
    if not quiet:
        click.echo(f"wrote {output} ({len(text.encode()) / 1e6:.2f} MB)", err=True)
