"""Options that commands over many points share: what to choose from, and what to ask of each point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError

if TYPE_CHECKING:
    from roofsim.explore.evaluate import Study

AXES = (
    "device",
    "runtime",
    "host",
    "calibration",
    "weights",
    "cache",
    "dtype",
    "logits",
    "batch",
    "prompt",
    "generate",
)
"""Axes that have an option of their own; its value is read where axes are."""


axis_options = o.stacked(
    click.argument("models", nargs=-1, type=o.Name("models", "models/families")),
    click.option(
        "--device", "-d", type=o.Name("hardware"), metavar="DEVICES",
        help="Devices, set off by commas; modes after @ (orin@15w).",
    ),
    click.option("--runtime", "-r", type=o.Name("runtimes"), metavar="RUNTIMES", help="Software stacks."),
    click.option("--host", type=o.Name("hardware/hosts"), metavar="HOSTS", help="Hosts.  [default: the devices' own]"),
    click.option(
        "--calibration", type=o.Name("hardware/calibrated", words=o.CHOICES), metavar="NAMES",
        help="auto, none, or calibrations by name.  [default: auto]",
    ),
    click.option("--weights", type=o.Word("WEIGHT_FORMATS"), metavar="FMTS", help="Formats of the weights."),
    click.option("--cache", type=o.Word("CACHE_BYTES"), metavar="TYPES", help="Dtypes of the KV cache."),
    click.option("--dtype", type=o.Word("DTYPE_BYTES"), metavar="TYPES", help="Dtypes of activations."),
    click.option("--logits", metavar="all,last", help="Positions that are scored."),
    click.option("--batch", "-b", metavar="COUNTS", help="Sequences at once.  [default: 1]"),
    click.option("--prompt", "-p", metavar="COUNTS", help="Tokens of the prompt.  [default: 1024]"),
    click.option("--generate", "-g", metavar="COUNTS", help="Generated tokens.  [default: 128]"),
    click.option(
        "--set", "changes", multiple=True, type=o.Change(), metavar="PATH=VALUES",
        help="Values of a field: device.memory.bandwidth=0.5x..4x*2, model.layers.decoder.mixer.window=1k,4k "
        "(repeatable).",
    ),
)  # fmt: skip
study_options = o.stacked(
    click.option("--study", type=click.Path(), metavar="FILE", help="A YAML file: axes, figures, derive, where."),
    click.option("--points", type=click.Path(), metavar="FILE", help="A CSV: a column an axis, a row a point."),
    click.option("--figures", metavar="NAMES", help="Columns: ttft,tpot,memory_peak,energy,fits ..."),
    click.option(
        "--derive", multiple=True, metavar="NAME=EXPRESSION",
        help="A column of others: J_per_token='energy / (batch * generate)' (repeatable).",
    ),
    click.option(
        "--where", metavar="CONDITION", help="Keep points of which this is true: 'memory <= capacity and tpot < 50ms'."
    ),
    click.option("--sample", type=o.Tokens(), metavar="N", help="Take N of all points, drawn at random."),
    click.option("--seed", type=int, default=0, metavar="N", help="What the drawing begins with.  [default: 0]"),
)  # fmt: skip
engine_options = o.stacked(
    click.option(
        "--engine", type=click.Choice(["local", "dask"]), default="local",
        help="What computes: this machine, or a Dask cluster.",
    ),
    click.option(
        "--scheduler", metavar="ADDRESS",
        help="A Dask scheduler: tcp://host:8786.  [default: a cluster made for this run]",
    ),
    click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes.  [default: one a processor]"),
)  # fmt: skip


def study_of(options: Mapping[str, Any]) -> Study:
    """The study that the options of a command describe."""
    from roofsim.explore import sweep

    described = _file(options["study"]) if options.get("study") else {}
    axes: dict[str, Any] = dict(described.get("axes", {}))
    axes |= {name: options[name] for name in AXES if options.get(name) is not None}
    if options.get("models"):
        axes = {"model": list(options["models"]), **{k: v for k, v in axes.items() if k != "model"}}
    axes |= changes_of(options.get("changes", ()))
    asked = options.get("figures")
    return sweep.study(
        axes,
        points=_points(options["points"]) if options.get("points") else None,
        figures=[each.strip() for each in asked.split(",")] if asked else described.get("figures"),
        derive={**described.get("derive", {}), **_pairs("--derive", options.get("derive", ()))},
        where=options.get("where") or described.get("where"),
        sample=options.get("sample") or described.get("sample"),
        seed=options.get("seed") or described.get("seed", 0),
    )


def changes_of(changes: Sequence[str]) -> dict[str, str]:
    """The values of --set by path."""
    found = _pairs("--set", changes)
    for path in found:
        if "." not in path:
            raise InputError(f"--set {path}: write it like device.memory.bandwidth=1x,2x")
    return found


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        name = name.strip()
        if not equals or not name or not value.strip():
            raise InputError(f"{option} {each}: write it like NAME=VALUE")
        if name in found:
            raise InputError(f"{option} {name}: is given twice")
        found[name] = value.strip()
    return found


KEYS = {"axes": dict, "figures": list, "derive": dict, "where": str, "sample": int, "seed": int}
"""What a study file may hold, and as what."""


def _file(path: str) -> dict[str, Any]:
    """A study file."""
    from pathlib import Path

    from roofsim.specs.files import mapping
    from roofsim.specs.text import read_text

    held = mapping(read_text(Path(path)), Path(path))
    for key, value in held.items():
        if key not in KEYS:
            raise InputError(f"{path}: no '{key}'; a study has {', '.join(KEYS)}")
        if not isinstance(value, KEYS[key]):
            raise InputError(f"{path}: {key}: {KEYS[key].__name__} is expected")
    return dict(held)


def _points(path: str) -> list[dict[str, str]]:
    """The rows of a CSV of points, by the axis that heads each column."""
    import csv

    from roofsim.specs.text import text_file

    with text_file(path) as file:
        rows = list(csv.reader(file))
    if len(rows) < 2:
        raise InputError(f"{path}: a line of names and a line for each point are expected")
    head = [each.strip() for each in rows[0]]
    if len(set(head)) < len(head):
        raise InputError(f"{path}: a column is there twice")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(head):
            raise InputError(f"{path}, line {number}: {len(row)} cells under {len(head)} names")
    return [dict(zip(head, map(str.strip, row), strict=True)) for row in rows[1:]]
