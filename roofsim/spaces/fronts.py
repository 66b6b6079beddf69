"""The front of a study: the points that no other is better than in every objective.

Exact for whatever can be enumerated: parts are computed one after the other, and each leaves only its own points on the
front so far. Larger spaces are searched (`explore.seeking`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.expression import parse
from roofsim.foundation.pareto import SENSES, front
from roofsim.foundation.values import dataclass
from roofsim.prediction.intervals import COSTS, Interval, intervals
from roofsim.prediction.metrics import METRICS
from roofsim.spaces import executors
from roofsim.spaces.cases import Specs, case, label
from roofsim.spaces.evaluate import COLUMNS, WORDS, CaseAtWork, Part, Study
from roofsim.spaces.sweep import Swept

ENUMERATED = 10**8
"""Points up to which a front is exact: as many as are computed in some minutes (docs/performance.md)."""

CLOUD = 4000
"""Points beside the front that are kept for figures, about evenly spread."""

BETTER_HIGH = {
    "fits",
    *(row.name for row in METRICS.values() if row.higher),
    *(row.figure for row in METRICS.values() if row.higher),
}
"""Columns of which more is better; of others less is, unless something else is said."""


@dataclass(frozen=True)
class Front:
    """The points of a study on its front, by the first objective, with what they were chosen from.

    `objectives` says of each column whether `min` or `max` is better. `points` is how many were computed, `feasible`
    how many of those could be run, fit and met the condition, `refused` why some could not. `search` says how points
    were looked for where not all could be, and is empty where they were. `cloud` are some of the others, a row for each
    objective.
    """

    found: Swept
    objectives: Mapping[str, str]
    points: int
    feasible: int
    refused: tuple[str, ...]
    search: str
    cloud: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        size = self.found.study.space.size
        asked = {"objectives": dict(self.objectives), "points": self.points, "of": size, "feasible": self.feasible}
        said = {"exact": not self.search, "search": self.search or None, "refused": list(self.refused)}
        return {**self.found.to_dict(), **asked, **said}


def intervals_of(found: Front) -> list[Mapping[str, Interval]]:
    """The 95 % interval of every objective that has one, for each point of a front."""
    made, specs = found.found.study, Specs()
    space, rows = made.space, list[Mapping[str, Interval]]()
    metrics = {row.figure: row for row in METRICS.values()}
    named = {name: metrics[COLUMNS[name]] for name in found.objectives if COLUMNS.get(name) in metrics}
    asked = {axis.name: {label(axis.name, value, specs): value for value in axis.values} for axis in space.choices}
    for row in found.found.rows():
        picked = {name: values[str(row[name])] for name, values in asked.items()}
        at_work = CaseAtWork(made, case(picked, specs), specs)
        known = intervals(*at_work.placed({axis.name: row[axis.name] for axis in space.numbers}))
        told = {name: known.get(row.interval, known.get(row.figure)) for name, row in named.items()}
        told |= {name: known[name] for name in found.objectives if name in COSTS.values()}
        rows.append({name: each for name, each in told.items() if each})
    return rows


def senses_of(objectives: str | Sequence[str] | Mapping[str, str], derived: Collection[str] = ()) -> dict[str, str]:
    """Whether less (`min`) or more (`max`) of each objective is better; raises InputError for one that there is not.

    Objectives are written `"ttft,tokens_per_second:max"`, a list of such words, or senses by name; each is a figure, or
    one of the `derived` columns.
    """
    if isinstance(objectives, Mapping):
        pairs = [(name, sense) for name, sense in objectives.items()]
    else:
        words = objectives.split(",") if isinstance(objectives, str) else objectives
        pairs = [(name.strip(), sense.strip()) for name, _, sense in (each.partition(":") for each in words)]
    found: dict[str, str] = {}
    for name, sense in pairs:
        sense = sense or ("max" if name in BETTER_HIGH else "min")
        if not name or sense not in SENSES:
            raise InputError(f"--objectives {name}:{sense}: write them like ttft:min,tokens_per_second:max")
        if name in found:
            raise InputError(f"--objectives {name}: is given twice")
        if name in WORDS or (name not in COLUMNS and name not in derived):
            raise UnknownName("--objectives", name, [*derived, *(each for each in COLUMNS if each not in WORDS)])
        found[name] = sense
    return found


def front_of(
    made: Study, senses: Mapping[str, str], *, unfit: bool = False, budget: int | None = None, seed: int = 0,
    workers: int | None = 1,
) -> Front:  # fmt: skip
    """The front of a study over objectives, each with its sense; points that do not fit are left out unless `unfit`.

    With a `budget` so many points are searched, beginning with a seed, instead of all being computed. Raises InputError
    for what cannot be asked.
    """
    if not unfit:
        fits = f"({made.where.text}) and fits == 1" if made.where else "fits == 1"
        made = replace(made, where=parse(fits, "--where", "tpot < 50ms", condition=True))
    if budget is not None:
        from roofsim.spaces.seeking import searched

        return searched(made, senses, budget, seed)
    if made.space.size > ENUMERATED:
        raise InputError(
            f"{made.space.size:,} points are more than are all computed for a front ({ENUMERATED:,}); --budget N "
            "searches among them, --sample N draws some"
        )
    return _exact(made, senses, workers)


def _exact(made: Study, senses: Mapping[str, str], workers: int | None) -> Front:
    """The front of all points, part by part."""
    kept = Part(np.empty(0, dtype=np.int64), np.empty((len(made.columns), 0)), {})
    feasible, clouds = 0, []
    each_keeps = max(CLOUD // made.space.parts, 1)
    for _, part in executors.computed(made, range(made.space.parts), workers):
        feasible += len(part.ordinals)
        clouds.append(thinned(objectives_of(made, part.values, senses), each_keeps))
        kept = on_front(made, joined([kept, part]), senses)
    return ordered(made, kept, senses, made.space.size, feasible, "", np.concatenate(clouds, axis=1))


def objectives_of(made: Study, values: Any, senses: Mapping[str, str]) -> Any:
    """The rows of the objectives among those of all columns."""
    return values[[made.columns.index(name) for name in senses]]


def joined(parts: Sequence[Part]) -> Part:
    """The points of several parts."""
    reasons = {first: reason for part in parts for first, reason in part.refused.items()}
    values = np.concatenate([part.values for part in parts], axis=1)
    return Part(np.concatenate([part.ordinals for part in parts]), values, reasons)


def on_front(made: Study, part: Part, senses: Mapping[str, str]) -> Part:
    """The points of a part that no other of it dominates."""
    best = front(objectives_of(made, part.values, senses).T, list(senses.values()))
    return Part(part.ordinals[best], part.values[:, best], part.refused)


def thinned(values: Any, most: int) -> Any:
    """Up to so many columns, about evenly spread."""
    return values[:, :: max(math.ceil(values.shape[1] / most), 1)]


def ordered(
    made: Study, part: Part, senses: Mapping[str, str], points: int, feasible: int, search: str, cloud: Any
) -> Front:  # fmt: skip
    """A front by its first objective, the best first; equal ones by those after it, and by their places."""
    signs = [SENSES[sense] for sense in senses.values()]
    keys = objectives_of(made, part.values, senses) * np.array(signs)[:, None]
    order = np.lexsort((part.ordinals, *keys[::-1]))
    found = Swept(made, (Part(part.ordinals[order], part.values[:, order], {}),))
    return Front(found, dict(senses), points, feasible, tuple(dict.fromkeys(part.refused.values())), search, cloud)
