"""The points of a study computed: cases are looked up, compiled over the axes of numbers, and run on arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, product
from math import prod
from typing import Any

from roofsim.engine.passes import BOUNDS
from roofsim.foundation import units
from roofsim.foundation.errors import DoesNotFit, InputError, UnknownName, Unsupported
from roofsim.foundation.expression import Expression
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.model.split import RANKS
from roofsim.prediction.compiled import Compiled, compiled
from roofsim.prediction.evaluation import FIGURES, Evaluation, figure
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.places import COUNTS, SPECS, number_at
from roofsim.prediction.setup import Setup
from roofsim.prediction.what_if import what_if
from roofsim.spaces.axes import Axis
from roofsim.spaces.cases import NAMES, OFFLOAD, Case, Specs, case, divided, label, open_division
from roofsim.spaces.space import Space, blocks
from roofsim.specs.workload import FIELDS, Workload

COLUMNS: Mapping[str, str] = {
    **{name.replace(".", "_"): name for name in FIGURES},
    **{row.name: row.figure for row in METRICS.values()},
    "capacity": "memory.capacity",
    "bound_prefill": "prefill.bound",
    "bound_decode": "decode.bound",
}
"""Figures by the names that columns and expressions have for them; `memory`, `total` and `throughput` are metrics."""

WORDS: Mapping[str, tuple[str, ...]] = dict.fromkeys(("bound_prefill", "bound_decode"), BOUNDS)
"""Columns whose numbers stand for words."""

DEFAULT_FIGURES = (
    "ttft", "tpot", "total_time", "tokens_per_second", "memory_peak", "energy", "fits", "bound_prefill", "bound_decode",
)  # fmt: skip
"""What a study gives if nothing is said."""

FEW = 16
"""Points of a case below which it is not compiled: that takes about as long as so many (docs/performance.md)."""

MOST_KEPT = 32
"""Cases of which the compiled functions are kept."""


@dataclass(frozen=True)
class Study:
    """What is asked of a space: figures, columns derived from them, and which points to keep."""

    space: Space
    figures: tuple[str, ...]
    derived: Mapping[str, Expression]
    where: Expression | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are computed, in their order."""
        return (*self.figures, *self.derived)

    @property
    def needed(self) -> tuple[str, ...]:
        """All figures that are computed, those that only expressions ask for included."""
        asked = {
            name for each in (*self.derived.values(), *([self.where] if self.where else [])) for name in each.names
        }
        own = {axis.name for axis in self.space.axes}
        return (*self.figures, *sorted(n for n in asked if n in COLUMNS and n not in (*self.figures, *own)))

    def check(self) -> None:
        """Raises InputError for figures and names that there are not."""
        for name in self.figures:
            if name not in COLUMNS:
                raise UnknownName("figures", name, COLUMNS)
        axes = {axis.name for axis in self.space.axes}
        if twice := sorted(axes & set(self.columns)):
            raise InputError(f"{', '.join(twice)}: both an axis and a column")
        known = {*COLUMNS, *axes, *COUNTS, *FIELDS, *NAMES, *RANKS, OFFLOAD}
        for name, each in self.derived.items():
            _known(each, known)
            known.add(name)
        if self.where:
            _known(self.where, known)


def _known(each: Expression, known: set[str]) -> None:
    for name in each.names:
        if name not in known and name.partition(".")[0] not in (*SPECS, "parameters"):
            raise UnknownName(each.what, name, sorted(known))


@dataclass(frozen=True)
class Part:
    """Some points of a study: the number of each in its space, a row of values for each column.

    `refused` says of cases, by the first point of each in the space, why they cannot be run; their values are no
    numbers.
    """

    ordinals: Any
    values: Any
    refused: Mapping[int, str]


class Runner:
    """A study at work in one process: it keeps what cases have in common, and compiled cases."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.space = study.space
        self._specs = Specs()
        self._kept: dict[tuple[int, ...], CaseAtWork] = {}

    def at(self, indexes: tuple[int, ...]) -> CaseAtWork:
        """The case of these values of the choices."""
        if indexes not in self._kept:
            picked = {a.name: a.values[i] for a, i in zip(self.space.choices, indexes, strict=True)}
            found = case(picked, self._specs)
            if len(self._kept) >= MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[indexes] = CaseAtWork(self.study, found, self._specs)
        return self._kept[indexes]

    def labels(self, axis: Axis) -> tuple[str, ...]:
        """What the choices of an axis are called: specs by their own names, whatever alias they were asked by."""
        return tuple(label(axis.name, each, self._specs) for each in axis.values)

    def first_cases(self) -> Iterator[tuple[int, ...]]:
        """The choices of the first cases, to look at what all have."""
        return islice(product(*(range(len(each)) for each in self.space.choices)), MOST_KEPT)

    def part(self, number: int) -> Part:
        """One part of the study."""
        import numpy as np

        low, high = self.space.span(number)
        values = np.empty((len(self.study.columns), high - low))
        kept = np.ones(high - low, dtype=bool)
        refused = {}
        for indexes, place, arrays in self._pieces(low, high):
            work = self.at(indexes)
            columns, keep, reason = work.columns(arrays)
            for row, column in zip(values, columns, strict=True):
                row[place] = column
            kept[place] = keep
            if reason:
                refused[self._first(indexes)] = reason
        ordinals = np.arange(low, high) if self.space.ordinals is None else self.space.ordinals[low:high]
        return Part(ordinals[kept], values[:, kept], refused)

    def _first(self, indexes: tuple[int, ...]) -> int:
        number = 0
        for i, each in zip(indexes, self.space.choices, strict=True):
            number = number * len(each) + i
        return number * self.space.mesh

    def _pieces(self, low: int, high: int) -> Iterator[tuple[tuple[int, ...], Any, Mapping[str, Any]]]:
        """The points of a part by case: its choices, where its values go, and its numbers as an open mesh or flat."""
        import numpy as np

        choices, numbers = self.space.choices, self.space.numbers
        if self.space.ordinals is None:
            done = 0
            for block in blocks(self.space.shape, low, high):
                mesh = block[len(choices) :]
                count = prod(each.stop - each.start for each in mesh)
                for indexes in product(*(range(each.start, each.stop) for each in block[: len(choices)])):
                    known = self.at(indexes).numbers
                    arrays = {
                        axis.name: known[axis.name][each].reshape([-1 if i == j else 1 for j in range(len(mesh))])
                        for i, (axis, each) in enumerate(zip(numbers, mesh, strict=True))
                    }
                    yield indexes, slice(done, done + count), arrays
                    done += count
            return
        places = np.unravel_index(self.space.ordinals[low:high], self.space.shape)
        by_case = np.zeros(high - low, dtype=np.int64)
        for axis, place in zip(choices, places[: len(choices)], strict=True):
            by_case = by_case * len(axis) + place
        for number in np.unique(by_case):
            here = np.flatnonzero(by_case == number)
            indexes = tuple(int(place[here[0]]) for place in places[: len(choices)])
            known = self.at(indexes).numbers
            flat = {a.name: known[a.name][p[here]] for a, p in zip(numbers, places[len(choices) :], strict=True)}
            yield indexes, here, flat


def look(runner: Runner) -> None:
    """Raises InputError, before any work, for a value that no case can have and for a path that none has.

    Only the first cases are looked at; others that lack a field say so in their rows.
    """
    wrong: dict[str, UnknownName] = {}
    right: set[str] = set()
    for indexes in runner.first_cases():
        found = runner.at(indexes).case.setup
        if found is None:
            continue
        for axis in runner.space.numbers:
            if axis.name in COUNTS or axis.name in right:
                continue
            try:
                for value in axis.values:
                    absolute(found, axis.name, value)
                for value in (axis.values[0], axis.values[-1]):
                    what_if(found, [f"{axis.name}={value}"])
                right.add(axis.name)
            except UnknownName as error:
                wrong.setdefault(axis.name, error)
    for name, problem in wrong.items():
        if name not in right:
            raise problem


class CaseAtWork:
    """One case of a study, with its axes of numbers in SI units."""

    def __init__(self, study: Study, found: Case, specs: Specs) -> None:
        self.study = study
        self._specs = specs
        self.case = found
        self.refused = found.refused

    @cached_property
    def numbers(self) -> Mapping[str, Any]:
        """The values of each axis of numbers here; no numbers where this case has no such field."""
        import numpy as np

        made = {}
        for axis in self.study.space.numbers:
            try:
                values = [self._number(axis.name, each) for each in axis.values]
            except UnknownName as error:
                self.refused = self.refused or str(error)
                values = [float("nan")] * len(axis)
            made[axis.name] = np.array(values, dtype=float)
        return made

    def _number(self, name: str, value: Any) -> float:
        """A value of an axis in SI units; factors are of what this case has there."""
        if name in COUNTS:
            return float(value)
        if self.case.setup is None:
            return float("nan")
        return absolute(self.case.setup, name, value)

    def columns(self, arrays: Mapping[str, Any]) -> tuple[Sequence[Any], Any, str | None]:
        """The columns for arrays of numbers that broadcast, flat; which points to keep; why it cannot be run."""
        import numpy as np

        study = self.study
        shape = np.broadcast_shapes(*(x.shape for x in arrays.values()))
        found: Mapping[str, Any] = {}
        if not self.refused:
            try:
                found = self._figures(arrays, shape)
            except Unsupported as error:
                self.refused = str(error)
        nothing = np.full(shape, np.nan)
        values: dict[str, Any] = {name: found.get(name, nothing) for name in study.needed}

        def value(name: str) -> Any:
            if name in WORDS:
                return np.array([*WORDS[name], ""])[np.nan_to_num(values[name], nan=len(WORDS[name])).astype(int)]
            if name in values:
                return values[name]
            return arrays[name] if name in arrays else self._constant(name)

        with np.errstate(all="ignore"):
            for name, each in study.derived.items():
                values[name] = np.broadcast_to(np.asarray(each(value), dtype=float), shape)
            keep = study.where(value) if study.where else True
        kept = np.broadcast_to(np.asarray(keep, dtype=bool), shape).ravel()
        return [np.ravel(values[name]) for name in study.columns], kept, self.refused

    def _constant(self, name: str) -> Any:
        """What a name stands for that does not vary within the case."""
        s, w = self.case.setup, self.case.workload
        if name in self.case.chosen:
            return label(name, self.case.chosen[name], self._specs)
        if name in (*COUNTS, *FIELDS) and w is not None:
            return getattr(w, FIELDS.get(name, name))
        if s is not None and name in NAMES:
            return {"runtime": s.runtime.id, "host": s.host and s.host.id, "calibration": s.calibration_name}[name]
        return number_at(s, name)[0] if s is not None and "." in name else float("nan")

    def _figures(self, arrays: Mapping[str, Any], shape: tuple[int, ...]) -> Mapping[str, Any]:
        """The figures, by point where there are few, else compiled."""
        import numpy as np

        mesh = self.study.space.mesh
        few = mesh < FEW or open_division(self.case.chosen)
        if not few and not self._decisive:
            return self._named(self._function(**{name: arrays[name] for name in self._function.variables}))
        flat = {name: np.broadcast_to(x, shape).ravel() for name, x in arrays.items()}
        rows = np.empty((len(self._paths), int(np.prod(shape))))
        if few:
            for i in range(rows.shape[1]):
                rows[:, i] = self._point({name: x[i] for name, x in flat.items()})
        else:
            self._by_setting(flat, rows)
        return self._named({path: row.reshape(shape) for path, row in zip(self._paths, rows, strict=True)})

    def _by_setting(self, flat: Mapping[str, Any], rows: Any) -> None:
        """Compiled anew for every combination of the numbers that decide what is run."""
        import numpy as np

        apart = np.stack([flat[name] for name in self._decisive])
        for setting in np.unique(apart, axis=1).T:
            here = np.flatnonzero((apart == setting[:, None]).all(axis=0))
            s, w = self.placed({**self._only, **dict(zip(self._decisive, setting, strict=True))})
            function = compiled(s, w, self._paths, [name for name in self._varying if name not in self._decisive])
            made = function(**{name: flat[name][here] for name in function.variables})
            for row, name in zip(rows, self._paths, strict=True):
                row[here] = made[name]

    def placed(self, values: Mapping[str, float]) -> tuple[Setup, Workload]:
        """The setup and the workload with these numbers, checked as those of --set are."""
        s, w = self._ready
        counts = {name: int(x) for name, x in values.items() if name in COUNTS}
        changes = [f"{path}={written(s, path, x)}" for path, x in values.items() if path not in COUNTS]
        w = variant(w, **counts)
        return divided(what_if(s, changes), w, {**self.case.chosen, **dict.fromkeys(COUNTS, "")}), w

    @property
    def _ready(self) -> tuple[Setup, Workload]:
        if self.case.setup is None or self.case.workload is None:
            raise Unsupported(self.refused or "")
        return self.case.setup, self.case.workload

    @property
    def _paths(self) -> list[str]:
        """The figures that are computed, each once."""
        return list(dict.fromkeys(COLUMNS[name] for name in self.study.needed))

    @cached_property
    def _varying(self) -> list[str]:
        """The axes of more than one value."""
        return [axis.name for axis in self.study.space.numbers if len(axis) > 1]

    @cached_property
    def _single(self) -> tuple[Setup, Workload]:
        """The case with the numbers of the axes that have one value."""
        return self.placed(self._only)

    @property
    def _only(self) -> Mapping[str, float]:
        return {axis.name: self.numbers[axis.name][0] for axis in self.study.space.numbers if len(axis) == 1}

    @cached_property
    def _decisive(self) -> tuple[str, ...]:
        """The axes whose numbers decide what is run, so that each needs a compiled function of its own."""
        return tuple(name for name in self._varying if name not in COUNTS and self._decides(name))

    def _decides(self, name: str) -> bool:
        """Whether a branch is taken by a number: it says so, or (a comparison with another) shows in the figures.

        What computes on a host has specs of its own, into which no number of a compiled function goes.
        """
        if self._single[0].offload:
            return True
        try:
            function = compiled(*self._single, self._paths, [name])
        except Unsupported:
            raise
        except InputError:
            return True
        if name.startswith(OF_DEVICES):
            return False
        for value in self.numbers[name]:
            if not _alike(self._directly({**self._only, name: value}), function.at(value)):
                return True
        return False

    def _point(self, values: Mapping[str, float]) -> list[float]:
        """The figures of one point; no numbers but that it does not fit, where no division of a model does."""
        try:
            return self._directly(values)
        except DoesNotFit:
            return [0.0 if path == "fits" else float("nan") for path in self._paths]

    def _directly(self, values: Mapping[str, float]) -> list[float]:
        """The figures of one point, not compiled."""
        e = Evaluation(*self.placed(values))
        return [float(figure(path)(e)) for path in self._paths]

    @cached_property
    def _function(self) -> Compiled:
        return compiled(*self._single, self._paths, self._varying)

    def _named(self, made: Mapping[str, Any]) -> Mapping[str, Any]:
        """Figures under the names that were asked for."""
        return {name: made[COLUMNS[name]] for name in self.study.needed}


OF_DEVICES = ("device.", "host.", "parameters.")
"""Numbers that no formula compares with another."""

SAME = 1e-9
"""How far sums in another order may be apart, relative."""


def _alike(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x == y or abs(x - y) <= SAME * abs(x) or (x != x and y != y) for x, y in zip(a, b, strict=True))


_FACTOR = re.compile(r"(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)[xX]")


def absolute(s: Setup, path: str, text: str) -> float:
    """The number that a value such as `2x`, `500 GB/s` or `4096` gives a field, in SI units; raises InputError."""
    now, unit = number_at(s, path)
    factor = _FACTOR.fullmatch(text)
    if factor:
        return now * float(factor[1])
    try:
        return units.parse(text, unit)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def written(s: Setup, path: str, value: float) -> str:
    """A number as --set reads it."""
    unit = number_at(s, path)[1]
    plain = str(int(value)) if value == int(value) and not unit else repr(float(value))
    return f"{plain} {unit}".rstrip()
