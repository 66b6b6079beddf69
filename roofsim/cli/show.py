"""Show a model, device, runtime, host or calibration with its sources."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.foundation.errors import UnknownName
from roofsim.report.table import Table

KINDS = ("models", "models/families", "hardware/calibrated", "hardware", "runtimes", "hardware/hosts")


@click.command()
@click.argument("name", type=o.Name(*KINDS))
@o.download_option
@click.option("--dtype", default="bf16", metavar="T", help="Dtype that a model's state is counted in.  [default: bf16]")
@o.output_options
def command(name: str, dtype: str, format_: str, output: str | None, quiet: bool) -> None:
    """Show the spec called NAME: every number with its source; of a model also parameters, state and FLOP.

    \b
    Example: roofsim show Zamba2-1.2B
    """
    from roofsim import library
    from roofsim.report import specs
    from roofsim.report.spec_records import spec_records
    from roofsim.specs.workload import workload

    kind, spec = find(name)
    w = workload(dtype=dtype)
    tables: list[Table]
    if kind == "models":
        tables, data = specs.model(spec, w)
        if chosen := library.family_of(name):
            table, about = specs.family(*chosen, library.split_member(name)[0])
            tables, data = [table, *tables], {**data, "family": about}
    elif kind == "hardware/calibrated":
        from roofsim.report.calibrated import calibration_tables

        tables, data = calibration_tables(spec)
    elif kind == "runtimes":
        tables, data = specs.runtime(spec)
    else:
        tables, data = specs.plain_spec(kind, spec)
    o.Output(format_, output, quiet).write(tables, data, partial(spec_records, kind, spec, data))


def find(name: str) -> tuple[str, Any]:
    """The kind and the spec that a name stands for, models first; a path is tried as each kind."""
    from roofsim import library
    from roofsim.foundation.errors import SpecError

    load: dict[str, Any] = {
        "models": library.architecture,
        "hardware/calibrated": library.calibration,  # named like a mode of a device, and before those
        "hardware": library.device,
        "runtimes": library.runtime,
        "hardware/hosts": library.host,
    }
    if library.is_published(Path(name)):
        return "models", library.architecture(name)
    known: list[str] = []
    problems: list[tuple[str, SpecError]] = []
    for kind in load:
        try:
            return kind, load[kind](name)
        except UnknownName:
            base, _, mode = name.partition("@")
            if mode and kind == "hardware" and base in (*library.names(kind), *library.aliases(kind)):
                modes = [f"{base}@{each}" for each in library.modes(base)]
                raise UnknownName(
                    "modes and calibrations", name, [*modes, *library.names(library.CALIBRATED)]
                ) from None
            if ":" in name and kind == "models":
                raise
            known += [*library.names(kind), *library.aliases(kind)]
        except SpecError as error:
            problems.append((kind, error))
    if problems:
        # the kind that the file resembles most: the fewest fields that are missing or unknown
        raise min(problems, key=lambda item: sum("no such field" in p or "is missing" in p for p in item[1].problems))[
            1
        ]
    raise UnknownName("models, devices, runtimes and hosts", name, known, file=library.beside(name))
