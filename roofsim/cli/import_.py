"""Turn a published configuration into a model file."""

from __future__ import annotations

from pathlib import Path

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation import writing
from roofsim.foundation.errors import InputError


@click.command()
@click.argument("config", type=t.Name("models"))
@o.download_option
@click.option("--output", "-o", type=t.Target((".yaml", ".yml")), metavar="FILE", help="Write the model file there.")
@click.option("--name", metavar="NAME", help="What to call the model.  [default: as the config or its folder]")
@click.option("--source", metavar="TEXT", help="Where the config is from.")
@click.option("--published", metavar="N", help="Parameters that its makers state: 8030261248 or, rounded, 8.03B.")
@click.option("--verbose", "-v", is_flag=True, help="List the fields that change nothing and were not read.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr.")
def command(
    config: str, output: str | None, name: str | None, source: str | None, published: str | None, verbose: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Read CONFIG, a published config.json, its folder or a GGUF file, and write a model file.

    A model may also be named as on the Hugging Face Hub, if its config.json is in the local cache. Nothing is
    downloaded unless it is asked for, and no code of a model is run. A field that may change what is computed and that
    is not understood is an error. Of a GGUF file only the header is read: what it computes, and how its weights are
    stored.

    \b
    Example: roofsim import Qwen3-8B/config.json -o qwen3-8b.yaml
    """
    from roofsim.library import on_hub, read_published
    from roofsim.model.architecture import Architecture
    from roofsim.specs.files import build, model_text

    found = read_published(on_hub(config) or Path(config))
    values = dict(found.values)
    del values["id"]  # a model file is called as it is stored
    values["name"] = name or values["name"]
    sources = dict(values.pop("sources"))
    if source:
        read = next(iter(sources))
        sources[read] = f"{sources[read]}; {source}"
    if published:
        values["published_parameters"] = stated(published)
        sources["published"] = "stated by its makers or the checkpoint"
    if found.notes:
        values["notes"] = list(found.notes)
    values["sources"] = sources
    model = build(Architecture, values, str(config))
    said = model.published_parameters
    if said and not said.agrees(model.total_parameters):
        raise InputError(f"--published {published}: {config} describes {model.total_parameters:,} parameters")
    text = model_text(values)
    if output is None:
        click.echo(text, nl=False)
    else:
        writing.text(output, text)
    if not quiet:
        _report(model.total_parameters, model.active_parameters, found.notes, output)
    if verbose:
        click.echo(f"ignored: {', '.join(found.ignored) or 'nothing'}", err=True)


def stated(text: str) -> dict[str, object]:
    """A published count: exact if it is written out, else with as many digits as it has."""
    from roofsim.foundation.units import parse_short_count

    try:
        value = parse_short_count(text)
    except ValueError as error:
        raise InputError(f"--published: {error}") from None
    figures = "".join(each for each in text if each.isdigit()).lstrip("0")
    rounded = {} if text.strip()[-1].isdigit() else {"digits": len(figures)}
    return {"value": value, **rounded, "source": "published"}


def _report(total: int, active: int, notes: tuple[str, ...], output: str | None) -> None:
    """What was read, on stderr."""
    count = f"{total:,} parameters" + (f", {active:,} of them active" if active < total else "")
    click.echo(f"{count}; wrote {output}" if output else count, err=True)
    for note in notes:
        click.echo(f"note: {note}", err=True)
