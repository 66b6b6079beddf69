"""The files that a study can be written to, a part at a time: CSV, JSON lines, Parquet, NetCDF."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from roofsim.foundation.errors import InputError, MissingExtra
from roofsim.prediction.places import COUNTS
from roofsim.spaces.evaluate import WORDS, Part, Runner
from roofsim.spaces.frame import LOGICAL, REFUSED, Columns, Words, columns, names, unit_of

Writer = Callable[[Runner, Iterable[Part], Path], None]

WRITERS: dict[str, Writer] = {}
"""What writes a study, by how the names of such files end; a name without an ending is a folder of Parquet files."""


def ending(suffix: str) -> Callable[[Writer], Writer]:
    """Register a writer for files that end so."""

    def register(writer: Writer) -> Writer:
        WRITERS[suffix] = writer
        return writer

    return register


def writer_of(path: Path, runner: Runner) -> Writer:
    """The writer for a file; raises InputError for an ending that there is not, or if what it needs is not there."""
    if path.suffix not in WRITERS:
        known = ", ".join(each for each in WRITERS if each)
        raise InputError(f"'{path}' should end in {known}, or in no ending for a folder of Parquet files")
    if path.suffix in ("", ".parquet"):
        _pyarrow()
    if path.suffix == ".nc":
        _netcdf()
        if runner.space.ordinals is not None:
            raise InputError(f"'{path}': a mesh has all combinations of its axes; write points to .parquet or .csv")
    return WRITERS[path.suffix]


def rows(made: Columns) -> Iterable[Sequence[Any]]:
    """The points of columns as plain values."""
    return zip(*(_plain(name, each) for name, each in made.items()), strict=True)


def _plain(name: str, column: Any) -> list[Any]:
    if isinstance(column, Words):
        return list(column.plain())
    values = column.tolist()
    if name in LOGICAL:
        return [None if x != x else bool(x) for x in values]
    return [None if x != x else x for x in values]


@ending(".csv")
def _csv(runner: Runner, parts: Iterable[Part], path: Path) -> None:
    import csv

    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        units = {name: unit_of(runner, name) for name in names(runner.study)}
        writer.writerow([f"{name} [{unit}]" if unit else name for name, unit in units.items()])
        for part in parts:
            writer.writerows(rows(columns(runner, part)))


@ending(".jsonl")
def _json_lines(runner: Runner, parts: Iterable[Part], path: Path) -> None:
    with open(path, "w", encoding="utf-8") as file:
        keys = names(runner.study)
        for part in parts:
            for row in rows(columns(runner, part)):
                file.write(json.dumps(dict(zip(keys, row, strict=True)), ensure_ascii=False) + "\n")


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("Parquet files need PyArrow", "studies") from None
    return pyarrow


def _schema(runner: Runner) -> Any:
    arrow = _pyarrow()
    words = {*(axis.name for axis in runner.space.choices), REFUSED, *WORDS}
    fields = []
    for name in names(runner.study):
        kind = arrow.dictionary(arrow.int32(), arrow.string()) if name in words else arrow.float64()
        kind = arrow.bool_() if name in LOGICAL else arrow.int64() if name in COUNTS else kind
        unit = unit_of(runner, name)
        fields.append(arrow.field(name, kind, metadata={"unit": unit} if unit else None))
    return arrow.schema(fields)


def arrow_table(runner: Runner, part: Part) -> Any:
    """A part as a table of PyArrow; raises MissingExtra without it."""
    arrow, schema = _pyarrow(), _schema(runner)
    made = columns(runner, part)
    return arrow.table([_array(arrow, field, made[field.name]) for field in schema], schema=schema)


def _array(arrow: Any, field: Any, column: Any) -> Any:
    if isinstance(column, Words):
        places = arrow.array(column.places, mask=column.places < 0)
        return arrow.DictionaryArray.from_arrays(places, arrow.array(column.words, arrow.string()))
    if field.type == arrow.bool_():
        return arrow.array(column > 0, mask=column != column)
    if field.type == arrow.int64():
        return arrow.array(column)
    return arrow.array(column, from_pandas=True)  # what is no number is nothing


@ending(".parquet")
def _parquet(runner: Runner, parts: Iterable[Part], path: Path) -> None:
    arrow = _pyarrow()
    with arrow.parquet.ParquetWriter(path, _schema(runner)) as writer:
        for part in parts:
            writer.write_table(arrow_table(runner, part))


@ending("")
def _folder(runner: Runner, parts: Iterable[Part], path: Path) -> None:
    arrow = _pyarrow()
    path.mkdir()
    for number, part in enumerate(parts):
        arrow.parquet.write_table(arrow_table(runner, part), path / f"part-{number:08d}.parquet")


def _netcdf() -> Any:
    try:
        import netCDF4
    except ImportError:
        raise MissingExtra("NetCDF files need netCDF4", "studies") from None
    return netCDF4


@ending(".nc")
def _mesh(runner: Runner, parts: Iterable[Part], path: Path) -> None:
    from roofsim.spaces.space import blocks

    space, study = runner.space, runner.study
    with _netcdf().Dataset(path, "w", format="NETCDF4") as file:
        for axis, (values, unit) in zip(
            space.axes, (coordinates(runner, i) for i in range(len(space.axes))), strict=True
        ):
            file.createDimension(axis.name, len(axis))
            kind = str if isinstance(values[0], str) else "i8" if axis.name in COUNTS else "f8"
            made = file.createVariable(axis.name, kind, (axis.name,))
            for i, value in enumerate(values):
                made[i] = value
            if unit:
                made.units = unit
        dimensions = tuple(axis.name for axis in space.axes)
        made = {name: file.createVariable(name, "f8", dimensions, fill_value=float("nan")) for name in study.columns}
        for name, variable in made.items():
            if unit := unit_of(runner, name):
                variable.units = unit
            variable.setncatts(flags(name))
        for number, part in enumerate(parts):
            low, high = space.span(number)
            values = _whole(part, low, high)
            done = 0
            for block in blocks(space.shape, low, high):
                shape = tuple(each.stop - each.start for each in block)
                count = prod(shape)
                for name, row in zip(study.columns, values, strict=True):
                    made[name][block] = row[done : done + count].reshape(shape)
                done += count


def flags(name: str) -> dict[str, Any]:
    """What the numbers of a column stand for, as the CF conventions have it."""
    words = WORDS.get(name, ())
    return {"flag_values": list(range(len(words))), "flag_meanings": " ".join(words)} if words else {}


def _whole(part: Part, low: int, high: int) -> Any:
    """The values of all points of a part, no numbers for those that were not kept."""
    import numpy as np

    values = np.full((len(part.values), high - low), np.nan)
    values[:, part.ordinals - low] = part.values
    return values


def coordinates(runner: Runner, number: int) -> tuple[list[Any], str]:
    """The values of an axis as those of a mesh, and their unit: factors if cases differ in what they scale."""
    axis = runner.space.axes[number]
    if not axis.numeric:
        return list(runner.labels(axis)), ""
    if axis.name in COUNTS:
        return list(axis.values), ""
    found: Mapping[tuple[float, ...], None] = {
        tuple(runner.at(each).numbers[axis.name].tolist()): None for each in runner.first_cases()
    }
    known = [each for each in found if each[0] == each[0]]
    if len(known) == 1:
        return list(known[0]), unit_of(runner, axis.name)
    return [float(str(each).rstrip("xX")) for each in axis.values], "1"
