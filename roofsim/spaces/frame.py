"""Points of a study as columns: what was chosen, the numbers, the figures, and why a case cannot be run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.prediction.intervals import COSTS
from roofsim.prediction.places import COUNTS, number_at
from roofsim.spaces.evaluate import COLUMNS, WORDS, CaseAtWork, Part, Runner, Study

REFUSED = "refused"
"""The last column: why a case cannot be run; its figures are empty."""

LOGICAL = ("fits",)
"""Columns that are true or false."""

UNITS: Mapping[str, str] = {
    "time": "s", "ttft": "s", "tpot": "s", "memory": "B", "energy": "J", "flops": "FLOP", "bytes": "B",
    "cost": "USD", "usd": "USD", "joules": "J", "co2": "kg",
}  # fmt: skip
"""Units of figures, by the first or the last word of their names."""


@dataclass(frozen=True, slots=True)
class Words:
    """A column of words: for each point the place of its word among `words`, -1 for none."""

    places: Any
    words: tuple[str, ...]

    def plain(self) -> list[str | None]:
        """The words themselves."""
        known = (*self.words, None)
        return [known[i] for i in self.places.tolist()]


Columns = Mapping[str, Any]
"""Columns by name: arrays of floats, of whole numbers, or `Words`; logical ones are floats, no number for unknown."""


def names(study: Study) -> tuple[str, ...]:
    """The columns of a study, in their order."""
    return (*(axis.name for axis in study.space.axes), *study.columns, REFUSED)


def unit_of(runner: Runner, name: str) -> str:
    """The SI unit of a column, empty if it has none; that of what is derived is not known."""
    choices = {axis.name for axis in runner.space.choices}
    if name in (REFUSED, *WORDS, *COUNTS, *runner.study.derived, *choices):
        return ""
    return _unit_at(runner, name) if "." in name else unit_of_figure(name)


def unit_of_figure(name: str) -> str:
    """The SI unit of a column of figures, empty if it has none."""
    figure = COLUMNS[name]
    if figure in COSTS.values():
        return UNITS[figure.partition("_")[0]]
    first, last = figure.split(".")[0], figure.rpartition(".")[2].rpartition("_")[2]
    return "" if last in ("mfu", "mbu", "kernels") else UNITS.get(last) or UNITS.get(first, "")


def _unit_at(runner: Runner, path: str) -> str:
    for indexes in runner.first_cases():
        found = runner.at(indexes).case.setup
        if found is not None:
            try:
                return number_at(found, path)[1]
            except InputError:
                continue
    return ""


def columns(runner: Runner, part: Part) -> Columns:
    """The columns of a part."""
    import numpy as np

    study, space = runner.study, runner.space
    places = np.unravel_index(part.ordinals, space.shape) if space.axes else ()
    mesh = space.mesh
    by_case = part.ordinals // mesh
    made: dict[str, Any] = {}
    for axis, place in zip(space.axes, places, strict=True):
        if not axis.numeric:
            made[axis.name] = Words(place.astype(np.int32), runner.labels(axis))
        elif axis.name in COUNTS:
            made[axis.name] = np.array(axis.values, dtype=np.int64)[place]
        else:
            made[axis.name] = _numbers(runner, axis.name, place, part.ordinals, by_case)
    for name, values in zip(study.columns, part.values, strict=True):
        coded = np.nan_to_num(values, nan=-1).astype(np.int32) if name in WORDS else None
        made[name] = values if coded is None else Words(coded, WORDS[name])
    reasons = tuple(dict.fromkeys(part.refused.values()))
    at = {first // mesh: reasons.index(reason) for first, reason in part.refused.items()}
    codes = np.full(len(part.ordinals), -1, dtype=np.int32)
    for case, code in at.items():
        codes[by_case == case] = code
    made[REFUSED] = Words(codes, reasons)
    return made


def _numbers(runner: Runner, name: str, place: Any, ordinals: Any, by_case: Any) -> Any:
    """The values of an axis of numbers, which are each case's own where factors are of its number."""
    import numpy as np

    values = np.empty(len(place))
    for case in np.unique(by_case):
        here = by_case == case
        values[here] = work_at(runner, int(case)).numbers[name][place[here]]
    return values


def work_at(runner: Runner, case: int) -> CaseAtWork:
    """The case of this number."""
    indexes: list[int] = []
    for each in reversed(runner.space.choices):
        case, i = divmod(case, len(each))
        indexes.insert(0, i)
    return runner.at(tuple(indexes))
