"""Write one page about a prediction, to attach to a ticket."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError


@click.command()
@o.models_argument(required=True)
@o.device_option()
@o.batch_option()
@o.prompt_option()
@o.generate_option()
@o.devices_options()
@o.stack_options()
@o.format_options()
@o.transfer_option
@o.set_option()
@click.option(
    "--against", type=t.Several(t.Name("models", "models/families")), multiple=True, callback=o.flat,
    metavar="MODEL,...", help="Compare with this model over the length of the prompt (repeatable).",
)  # fmt: skip
@click.option(
    "--format",
    "-f",
    "form",
    type=t.Choice(["html", "markdown"]),
    help="Form of the page.  [default: by the name of the file]",
)
@click.option(
    "--output",
    "-o",
    type=t.Target(),
    metavar="FILE",
    default=None,
    help="The page: .html, or .md with its figures beside it as .svg.",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr.")
def command(
    models: tuple[str, ...], against: tuple[str, ...], form: str | None, output: str | None, quiet: bool, **options: Any
) -> None:
    """Write a page about one request of one model: a file that needs nothing else.

    It opens with what it is about: whether it fits, how fast it is, how far it goes and what binds, each with its
    interval. Figures, operators, assumptions, sources and the command that makes it again follow.

    \b
    Example: roofsim report Qwen2.5-0.5B -d rtx-4090 -p 4k -o report.html
    Example: roofsim report Qwen2.5-0.5B -d orin --against mamba2-780m -o report.html
    """
    from roofsim.reports.onepage.again import asked
    from roofsim.reports.onepage.forms import form_of, save, written
    from roofsim.reports.onepage.gathered import gathered

    chosen = single(models, options)
    form = form or (form_of("--output", output) if output else "html")
    if output is None and sys.stdout.isatty():
        raise InputError("report: a page is for a browser; say where it goes, -o report.html or -o report.md")
    s, w = _studies.one_case(chosen, options)
    others = [_studies.setup_of({**chosen, "model": each}, options) for each in against]
    words = {**chosen, "transfer": options["transfer"], "set": options["changes"], "against": against}
    found = gathered(s, w, others, asked(words, s, w))
    if output is None:
        click.echo(written(found, form), nl=False)
        return
    save(found, form, output)
    if not quiet:
        click.echo(f"wrote {output}", err=True)


def single(models: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """The one case that is asked for; raises InputError for several."""
    chosen = {name: options[name] for name in _studies.AXES if options.get(name) is not None}
    words = [each for each in chosen.values() if isinstance(each, str)]
    if len(models) > 1 or any("," in each and not os.path.exists(each) for each in words):
        raise InputError(
            "report: a page is of one model on one device with one of everything, and several are asked for; "
            "--against names models to compare with, `roofsim compare` puts several of anything into a table"
        )
    return {"model": models[0], "runtime": None, **chosen}
