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
@click.argument("names", nargs=-1, required=True, type=o.Several(o.Name(*KINDS)), callback=o.flat)
@o.download_option
@click.option("--dtype", default="bf16", metavar="T", help="Dtype that a model's state is counted in.  [default: bf16]")
@o.output_options
def command(names: tuple[str, ...], dtype: str, format_: str, output: str | None, quiet: bool) -> None:
    """Show the spec of a name: every number with its source; of a model also parameters, state and FLOP.

    Several are put side by side, those of a kind in one table.

    \b
    Example: roofsim show Zamba2-1.2B
    Example: roofsim show orin rtx-4090
    """
    from roofsim.report.spec_records import spec_records

    out = o.Output(format_, output, quiet)
    shown = [(*find(name), name) for name in names]
    if len(shown) == 1:
        ((kind, spec, name),) = shown
        tables, data = laid_out(kind, spec, name, dtype)
        out.write(tables, data, partial(spec_records, kind, spec, data))
        return
    from roofsim.report.specs_together import records_together, tables_together

    every = [(kind, spec, laid_out(kind, spec, name, dtype)[1]) for kind, spec, name in shown]
    rows = [{"chosen": {"name": spec.id or spec.name}, "refused": None, **data} for _, spec, data in every]
    out.write(tables_together(every), {"rows": rows}, partial(records_together, every))


def laid_out(kind: str, spec: Any, name: str, dtype: str) -> tuple[list[Table], dict[str, Any]]:
    """What is said of one spec, and its plain data."""
    from roofsim import library
    from roofsim.report import specs
    from roofsim.specs.workload import workload

    if kind == "models":
        tables, data = specs.model(spec, workload(dtype=dtype))
        if chosen := library.family_of(name):
            table, about = specs.family(*chosen, library.split_member(name)[0])
            tables, data = [table, *tables], {**data, "family": about}
        return tables, data
    if kind == "hardware/calibrated":
        from roofsim.report.calibrated import calibration_tables

        return calibration_tables(spec)
    return specs.runtime(spec) if kind == "runtimes" else specs.plain_spec(kind, spec)


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
