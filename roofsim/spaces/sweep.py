"""Sweeps: figures at every point of a space, in memory or in a file that is written in parts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from roofsim.foundation import writing
from roofsim.foundation.errors import InputError, MissingExtra
from roofsim.foundation.expression import parse
from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.spaces import executors
from roofsim.spaces.evaluate import COLUMNS, DEFAULT_FIGURES, Part, Runner, Study, look
from roofsim.spaces.frame import Columns, Words, columns, names, unit_of
from roofsim.spaces.space import Space, grid, listed, sampled
from roofsim.spaces.store import Store, opened, throw_away
from roofsim.spaces.writers import arrow_table, coordinates, flags, rows, writer_of

Engine = Literal["local", "dask"]

IN_MEMORY = 2**24
"""The most points of a study that is not written to a file: 128 MiB for each column."""

FLOAT = 8
"""Bytes of a number in a part."""


def study(
    axes: Mapping[str, Any], *, points: Sequence[Mapping[str, Any]] | None = None, figures: Sequence[str] | None = None,
    derive: Mapping[str, str] | None = None, where: str | None = None, sample: int | None = None, seed: int = 0,
) -> Study:  # fmt: skip
    """What is to be computed, checked before any work is done; raises InputError for what cannot be asked.

    `axes` are values by name: model, device, runtime, host, calibration, weights, cache, dtype, logits, batch, prompt,
    generate, and paths into the specs such as `device.memory.bandwidth`, each one value, several, or text as the
    command line takes it (`"1k..64k*2"`, `"0.5x..4x*1.4142"`). `points` lists single points instead, a mapping each.
    `derive` are expressions by name, `where` a condition that points must meet.
    """
    space = listed(points, axes) if points is not None else grid(axes)
    if sample is not None:
        space = sampled(space, sample, seed)
    for name in ("model", "device"):
        if name not in {axis.name for axis in space.axes}:
            raise InputError(f"a study needs a {name}, or several")
    derived = {
        name: parse(text, "--derive", "J_per_token = energy / generate") for name, text in (derive or {}).items()
    }
    for name in derived:
        if name in COLUMNS:
            raise InputError(f"--derive {name}: a new name is expected; {name} is a figure already")
        if not name.isidentifier():
            raise InputError(f"--derive {name}: a new name of letters, digits and _ is expected")
    keep = parse(where, "--where", "memory <= capacity and tpot < 50ms", condition=True) if where else None
    made = Study(space, tuple(dict.fromkeys(figures or DEFAULT_FIGURES)), derived, keep)
    made.check()
    look(Runner(made))
    return made


@dataclass(frozen=True)
class Swept:
    """A study that was computed, in memory."""

    study: Study
    parts: tuple[Part, ...]

    @cached_property
    def _runner(self) -> Runner:
        return Runner(self.study)

    @cached_property
    def columns(self) -> Columns:
        """Arrays by column; words are lists."""
        import numpy as np

        made = [columns(self._runner, part) for part in self.parts]
        found: dict[str, Any] = {}
        for name in names(self.study):
            pieces = [each[name] for each in made]
            if isinstance(pieces[0], Words):
                found[name] = [word for piece in pieces for word in piece.plain()]
            else:
                found[name] = np.concatenate(pieces)
        return found

    def __len__(self) -> int:
        return sum(len(part.ordinals) for part in self.parts)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The points one by one, as plain values by column."""
        keys = names(self.study)
        for part in self.parts:
            for row in rows(columns(self._runner, part)):
                yield dict(zip(keys, row, strict=True))

    def units(self) -> dict[str, str]:
        """The SI unit of each column, empty for those without."""
        return {name: unit_of(self._runner, name) for name in names(self.study)}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        return {"schema": SCHEMA, "units": self.units(), "rows": list(self.rows())}

    def to_pandas(self) -> Any:
        """A data frame, a row a point; raises MissingExtra without pandas."""
        try:
            import pandas
        except ImportError:
            raise MissingExtra("a data frame needs pandas", "studies") from None
        import pyarrow

        table = pyarrow.concat_tables([arrow_table(self._runner, part) for part in self.parts])
        frame: pandas.DataFrame = table.unify_dictionaries().to_pandas()
        return frame

    def to_xarray(self) -> Any:
        """A labelled mesh, a dimension an axis; raises InputError for single points, MissingExtra without xarray."""
        try:
            import xarray
        except ImportError:
            raise MissingExtra("a labelled mesh needs xarray", "studies") from None
        import numpy as np

        space = self.study.space
        if space.ordinals is not None:
            raise InputError("a mesh has all combinations of its axes; these are single points: use to_pandas()")
        values = np.full((len(self.study.columns), space.size), np.nan)
        for part in self.parts:
            values[:, part.ordinals] = part.values
        dims = [axis.name for axis in space.axes]
        labels = [coordinates(self._runner, i) for i in range(len(dims))]
        units = self.units()
        figures = {
            name: (dims, row.reshape(space.shape), _attributes(units[name]) | flags(name))
            for name, row in zip(self.study.columns, values, strict=True)
        }
        ends = {name: (name, each, _attributes(unit)) for name, (each, unit) in zip(dims, labels, strict=True)}
        return xarray.Dataset(figures, ends)


def _attributes(unit: str) -> dict[str, str]:
    return {"units": unit} if unit else {}


@dataclass(frozen=True, slots=True)
class Written:
    """A study that was written to a file: how many points it holds, of how many."""

    path: Path
    kept: int
    points: int


Progress = Callable[[int, int], None]
"""Told the number of points that are done, and of all, after every part."""


def swept(
    made: Study, *, engine: Engine = "local", scheduler: str | None = None, workers: int | None = 1,
    progress: Progress = lambda done, size: None,
) -> Swept:  # fmt: skip
    """A study computed in memory; raises InputError if it is too large for that.

    `workers` is the number of processes, one for each processor if None; with more than one the calling module must be
    importable, as multiprocessing asks.
    """
    if made.space.size > IN_MEMORY:
        raise InputError(
            f"{made.space.size:,} points are more than are kept in memory ({IN_MEMORY:,}); write them to a file with "
            "--output, or take --sample N of them"
        )
    parts: dict[int, Part] = {}
    for number, part in _computed(made, range(made.space.parts), engine, scheduler, workers):
        parts[number] = part
        progress(sum(len(range(*made.space.span(i))) for i in parts), made.space.size)
    return Swept(made, tuple(parts[i] for i in range(made.space.parts)))


def write(
    made: Study, output: str | Path, *, restart: bool = False, engine: Engine = "local", scheduler: str | None = None,
    workers: int | None = None, progress: Progress = lambda done, size: None,
) -> Written:  # fmt: skip
    """A study written to a file, in parts, so that its size does not decide the memory that it takes.

    What was computed waits in a folder beside the file until all is there. A run that was ended goes on from it. Raises
    InputError if that folder is of another study, unless `restart` throws it away.
    """
    path = Path(output).resolve()
    runner = Runner(made)
    writer = writer_of(path, runner)
    folder = _waiting_room(path)
    _room(made, path)
    with opened(folder, made, restart) as store, _disk(path):
        missing = [i for i in range(made.space.parts) if not store.has(i)]
        done = made.space.size - sum(len(range(*made.space.span(i))) for i in missing)
        for number, part in _computed(made, missing, engine, scheduler, workers):
            store.keep(number, part)
            done += len(range(*made.space.span(number)))
            progress(done, made.space.size)
        kept = _assembled(runner, store, writer, path)
        throw_away(folder)
    return Written(path, kept, made.space.size)


def _waiting_room(path: Path) -> Path:
    """The folder for the parts of a file, whose name may be as long as names can be."""
    return path.with_name(f"{os.fsdecode(os.fsencode(path.name)[:LONGEST_NAME])}.parts")


LONGEST_NAME = 240
"""Bytes of a name that are kept; no common file system takes more than 255."""


def save(found: Swept, output: str | Path) -> None:
    """A study in memory written to a file, which appears whole or not at all; raises InputError."""
    path = Path(output).resolve()
    runner = Runner(found.study)
    writer = writer_of(path, runner)
    if path.suffix:
        with writing.whole(str(path)) as partial:
            writer(runner, found.parts, Path(partial))
        return
    folder = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder that is there already")
        writer(runner, found.parts, folder)
        folder.replace(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    finally:
        throw_away(folder)


def _assembled(runner: Runner, store: Store, writer: Callable[..., None], path: Path) -> int:
    """Write the file from its parts; it appears whole or not at all. Gives the number of points."""
    kept = 0

    def parts() -> Iterator[Part]:
        nonlocal kept
        for number in range(runner.space.parts):
            part = store.read(number)
            kept += len(part.ordinals)
            yield part

    partial = store.folder / f"whole{path.suffix}"
    if partial.is_dir():
        shutil.rmtree(partial)
    try:
        writer(runner, parts(), partial)
    except OSError:
        partial.unlink(missing_ok=True)  # room for what it takes to go on
        raise
    if path.is_dir() and partial.is_dir():
        shutil.rmtree(path)
    partial.replace(path)
    return kept


class _disk:  # noqa: N801  reads as a word in `with`
    """Says of what the disk refuses that the work so far is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise InputError(
                f"{self.path}: {error.strerror or error}; what was computed is kept in "
                f"{_waiting_room(self.path).name}, and the same command goes on from there"
            ) from None


def _room(made: Study, path: Path) -> None:
    """Raises InputError if the disk cannot hold the parts, or the folder is none to write in."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise InputError(f"{path.parent}: {error.strerror or error}") from None
    needed = made.space.size * FLOAT * (len(made.columns) + 1)
    if needed > free and made.where is None:
        raise InputError(
            f"{made.space.size:,} points take about {show(needed, 'B')}, and {show(free, 'B')} are free at "
            f"{path.parent}; take fewer values or --sample N of them"
        )


def _computed(
    made: Study, numbers: Iterable[int], engine: Engine, scheduler: str | None, workers: int | None
) -> Iterator[tuple[int, Part]]:
    """The parts as they are done, in any order."""
    wanted = list(numbers)
    if engine == "dask":
        from roofsim.spaces import cluster

        return cluster.computed(made, wanted, scheduler, workers)
    if scheduler is not None:
        raise InputError(f"--scheduler {scheduler}: is of --engine dask")
    return executors.computed(made, wanted, workers)


__all__ = ["Space", "Study", "Swept", "Written", "save", "study", "swept", "write"]
