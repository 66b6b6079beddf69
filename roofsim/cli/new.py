"""Write a device, cluster, model, runtime or host file to start from."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation import writing
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be made: where its class is, and an example of it.

    `folder` and `known` say where shipped ones are and what they are called, `more` which fields beside those that must
    be there a prediction needs, `used` how the file is used.
    """

    home: str
    folder: str
    known: str
    example: str
    used: str
    more: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "device": Kind(
            "roofsim.specs.device:Device", "hardware", "devices", "rtx-4090",
            "roofsim predict Qwen2.5-0.5B -d {}", more=("host",),
        ),
        "model": Kind(
            "roofsim.model.architecture:Architecture", "models", "models", "Qwen2.5-0.5B",
            "roofsim predict {} -d rtx-4090",
        ),
        "runtime": Kind(
            "roofsim.specs.runtime:Runtime", "runtimes", "runtimes", "ideal",
            "roofsim predict Qwen2.5-0.5B -d rtx-4090 -r {}",
        ),
        "host": Kind(
            "roofsim.specs.host:Host", "hardware/hosts", "hosts", "desktop",
            "roofsim predict Qwen2.5-0.5B -d rtx-4090 --host {}",
        ),
        "cluster": Kind(
            "roofsim.specs.cluster:Cluster", "hardware/clusters", "clusters", "dgx-h100",
            "roofsim predict Llama-3.1-8B -d h100-sxm --tp 2 --cluster {}",
            more=("nodes", "links.node", "links.node.reduces", "links.between"),
        ),
    }
)  # fmt: skip


class Like(t.Name):
    """A spec of the kind that is being made."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names and aliases of that kind."""
        kind = KINDS.get(str(ctx.params.get("kind")))
        families = ("models/families",) if kind and kind.folder == "models" else ()
        return t.Name(kind.folder, *families).shell_complete(ctx, param, incomplete) if kind else []


@click.command()
@click.argument("kind", type=t.Choice(list(KINDS)))
@click.argument("name")
@click.option(
    "--from", "origin", type=Like("hardware", "models", "hardware/clusters"), metavar="NAME",
    help="Take over the values of this one.",
)  # fmt: skip
@o.download_option
@click.option(
    "--output", "-o", type=t.Target((".yaml", ".yml")), metavar="FILE", help="Write there.  [default: NAME.yaml]"
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr.")
def command(kind: str, name: str, origin: str | None, output: str | None, force: bool, quiet: bool) -> None:
    """Write NAME.yaml, a file to start from: every field with its unit and what it decides.

    The file can be used as it is. Fields that need not be given are there behind a #. Without --from, numbers are those
    of a well-known one, to be replaced.

    \b
    Example: roofsim new device my-gpu
    Example: roofsim new model my-hybrid --from Zamba2-1.2B
    """
    from roofsim import library
    from roofsim.specs.template import alone, required, template

    stem = name.removesuffix(".yaml")
    check_name(stem)
    file = output or f"{stem}.yaml"
    if not force and Path(file).exists():
        raise InputError(f"{file}: is there already; --force writes over it, --output FILE elsewhere")
    row = KINDS[kind]
    module, _, called = row.home.partition(":")
    spec = getattr(import_module(module), called)
    values = {**library.file_values(row.folder, row.known, origin or row.example), "name": stem}
    use = f"Use it by its path: {row.used.format(file)}"
    about = [
        f"{stem}, a {kind} for roofsim, "
        + (
            f"like {origin}."
            if origin
            else f"with what is true of {row.example}: put what is true of yours in its place."
        ),
        use,
        "A field right behind a # is not set; take the # away to set it. A quantity has its unit and stands alone, 24 "
        "GiB, or beside where it is from, {value: 24 GiB, source: datasheet}, which is a key of `sources`.",
    ]
    if origin:
        text = template(spec, values, {}, about)
    else:
        values = alone({key: each for key, each in values.items() if key != "sources"})
        text = template(spec, required(spec, values, row.more), values, about)
    writing.text(file, text)
    if not quiet:
        click.echo(f"wrote {file}. {use}", err=True)


def check_name(name: str) -> None:
    """Raises InputError for what cannot be the name of a file and a word on the command line."""
    from pydantic import TypeAdapter, ValidationError

    from roofsim.foundation.quantity import Name

    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise InputError(
            f"'{name[:60]}' cannot be a name: letters, digits and . _ + - can, up to 80; the place is said by --output"
        ) from None
