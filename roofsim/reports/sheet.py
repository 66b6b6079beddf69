"""A spec of any kind: found by its name, and laid out with its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roofsim import library
from roofsim.foundation.errors import SpecError, UnknownName
from roofsim.reports import specs
from roofsim.reports.calibrated import calibration_tables
from roofsim.reports.table import Table
from roofsim.specs.workload import workload


def find(name: str) -> tuple[str, Any]:
    """The kind and the spec that a name stands for, models first; a path is tried as each kind."""
    load: dict[str, Any] = {
        "models": library.architecture,
        "hardware/calibrated": library.calibration,  # named like a mode of a device, and before those
        library.CLUSTERS: library.cluster,  # before devices, which say how clusters are asked for in their place
        "hardware": library.device,
        "runtimes": library.runtime,
        "hardware/hosts": library.host,
        library.COSTS: library.terms,
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
    raise UnknownName("models, devices, clusters, runtimes and hosts", name, known, file=library.beside(name))


def laid_out(kind: str, spec: Any, name: str, dtype: str) -> tuple[list[Table], dict[str, Any]]:
    """What is said of one spec, and its plain data."""
    if kind == "models":
        tables, data = specs.model(spec, workload(dtype=dtype))
        if chosen := library.family_of(name):
            table, about = specs.family(*chosen, library.split_member(name)[0])
            tables, data = [table, *tables], {**data, "family": about}
        return tables, data
    if kind == "hardware/calibrated":
        return calibration_tables(spec)
    if kind == library.CLUSTERS:
        return specs.cluster(spec)
    return specs.runtime(spec) if kind == "runtimes" else specs.plain_spec(kind, spec)
