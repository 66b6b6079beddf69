"""Options that commands share in which there may be several of a thing: what to choose from, what to ask of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError
from roofsim.model.split import RANKS

if TYPE_CHECKING:
    from roofsim.prediction.setup import Setup
    from roofsim.reports.table import Table
    from roofsim.spaces.combinations import Answers
    from roofsim.spaces.evaluate import Study
    from roofsim.specs.workload import Workload

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
    "cluster",
    "offload",
    *RANKS,
)
"""Axes that have an option of their own; its value is read where axes are."""

COLUMNS = t.Word("COLUMNS", "roofsim.spaces.evaluate")
"""Figures by the names of their columns."""


_of_each = o.stacked(o.devices_options(many=True), o.stack_options(many=True), o.format_options(many=True))
_counts = o.stacked(o.batch_option(many=True), o.prompt_option(many=True), o.generate_option(many=True))
axis_options = o.stacked(
    o.models_argument(), o.device_option(required=False, many=True), _of_each, _counts, o.set_option(many=True)
)
"""What a study is over."""

case_options = o.stacked(
    o.models_argument(required=True), o.device_option(many=True), _counts, _of_each, o.transfer_option,
    o.set_option(many=True),
)  # fmt: skip
"""What a command is asked of: one case, or all combinations of several."""


def by_runtime(models: Sequence[str], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The one case that is asked for, once for each runtime; none if there are several of anything else."""
    chosen = {name: options[name] for name in AXES if options.get(name) is not None}
    runtimes = chosen.pop("runtime", [None])
    several = any(len(each) > 1 for each in chosen.values()) or ".." in chosen.get("offload", [""])[0]
    if len(models) > 1 or several or any(map(_listed, options["changes"])):
        return []
    one = {name: each[0] for name, each in chosen.items()} | dict(zip(("model",), models, strict=False))
    return [{**one, "runtime": each} for each in runtimes]


def single(models: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The one case that is asked for; None if there are several."""
    found = by_runtime(models, options)
    return found[0] if len(found) == 1 else None


def _listed(change: str) -> bool:
    """Whether a change of --set has several values."""
    path, _, values = change.partition("=")
    return ("," in values or ".." in values) and len(_values(path.strip(), values.strip())) > 1


def _values(name: str, given: Any) -> list[Any]:
    """The values of a choice; messages name the option that is the way to a path."""
    from roofsim.spaces.axes import axis

    try:
        return list(axis(name, given).values)
    except InputError as error:
        raise InputError(f"--set {error}" if "." in name else str(error)) from None


def setup_of(chosen: Mapping[str, Any], options: Mapping[str, Any]) -> Setup:
    """The setup of one case."""
    return o.changed_setup(
        chosen["model"], chosen["device"], chosen["runtime"], chosen.get("host"), options["changes"],
        chosen.get("calibration", "auto"), options["transfer"],
        {name: chosen[name] for name in RANKS if name in chosen}, chosen.get("cluster"),
    )  # fmt: skip


def fields_of(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the workload of one case."""
    from roofsim.specs.workload import FIELDS

    return o.fields_of({FIELDS.get(name, name): value for name, value in chosen.items()})


def one_case(chosen: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Setup, Workload]:
    """The setup and the workload of one case."""
    s = setup_of(chosen, options)
    w = o.workload_of(s, fields_of(chosen))
    if not chosen.get("offload"):
        return s, w
    from roofsim.prediction.offload import offloaded

    return offloaded(s, w, chosen["offload"]), w


def choices_of(models: Sequence[Any], options: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What there is to choose from, by the names that `explore.cases.Choices` has."""
    from roofsim.prediction.setup import DEFAULT_RUNTIME

    given = {name: options[name] for name in AXES if options.get(name) is not None}
    asked = {"device": [], "runtime": [DEFAULT_RUNTIME], **given, **changes_of(options["changes"])}
    return {"model": list(models), **{name: _values(name, each) for name, each in asked.items()}}


def answers_of(
    models: Sequence[str], options: Mapping[str, Any], ask: Callable[[Setup, Workload], o.T], quiet: bool
) -> Answers[o.T]:
    """What `ask` finds of every combination that the options of a command describe."""
    from roofsim.cli.sweep import bar
    from roofsim.spaces.combinations import answers

    choices = choices_of(models, options)
    with o.naming_options(), bar(prod(map(len, choices.values())), quiet) as step:
        return answers(choices, ask, transfer=options["transfer"], step=step)


def write_several(
    out: o.Output, found: Answers[o.T], title: str, row: Callable[[o.T], Table], records: Callable[[o.T], Table], *,
    data: Callable[[o.T], Mapping[str, Any]], cautions: Callable[[o.T], Sequence[str]] | None = None,
    notes: Sequence[str] = (), more: Sequence[Table] = (),
) -> None:  # fmt: skip
    """Write what was found of several cases: a row of each, then `more`; as data all that is said of each."""
    from roofsim.reports.several import minded, several_data, several_records, side_by_side

    *tables, last = side_by_side(found, row, title, [*(minded(found, cautions) if cautions else ()), *notes])
    out.write([*tables, *more, last], several_data(found, data), lambda: several_records(found, records))


def refuse_of_several(options: Mapping[str, object]) -> None:
    """Raises InputError for an option that is only for one case, by the words that it is called."""
    for option, value in options.items():
        if value:
            raise InputError(f"{option}: is of one model on one device, and several cases are asked for")


def refuse_of_many(plot: o.Plot | None, models: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raises InputError for a figure of more cases than it can show side by side."""
    from roofsim.reports.choices import MOST_PANELS, too_many

    count = prod(len(each) for each in choices_of(models, options).values())
    if plot and count > MOST_PANELS:
        raise InputError(f"--plot: {too_many(count)}")


study_options = o.stacked(
    click.option("--study", type=click.Path(), metavar="FILE", help="A YAML file: axes, figures, derive, where."),
    click.option("--points", type=click.Path(), metavar="FILE", help="A CSV: a column an axis, a row a point."),
    click.option("--figures", type=COLUMNS, metavar="NAMES", help="Columns: ttft,tpot,memory_peak,energy,fits ..."),
    click.option(
        "--derive", multiple=True, metavar="NAME=EXPRESSION",
        help="A column of others: J_per_token='energy / (batch * generate)' (repeatable).",
    ),
    click.option(
        "--where", metavar="CONDITION", help="Keep points of which this is true: 'memory <= capacity and tpot < 50ms'."
    ),
    click.option("--sample", type=t.Tokens(), metavar="N", help="Take N of all points, drawn at random."),
    click.option("--seed", type=int, default=0, metavar="N", help="What the drawing begins with.  [default: 0]"),
)  # fmt: skip
engine_options = o.stacked(
    click.option(
        "--engine", type=t.Choice(["local", "dask"]), default="local",
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
    from roofsim.spaces import sweep

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


def models_of(study: Study) -> list[str]:
    """The models that a study chooses from, as they were named."""
    return [str(name) for axis in study.space.choices if axis.name == "model" for name in axis.values]
