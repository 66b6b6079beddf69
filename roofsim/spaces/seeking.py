"""The front of a space that is too large to enumerate, looked for by NSGA-II (Deb et al. 2002) as pymoo has it.

A search: what it finds dominates all that it saw, and nothing says that there is nothing better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roofsim.foundation.errors import InputError, MissingExtra
from roofsim.foundation.pareto import SENSES
from roofsim.spaces.evaluate import Part, Runner, Study
from roofsim.spaces.fronts import CLOUD, Front, objectives_of, on_front, ordered, thinned

POPULATION = 100
"""Points of a generation, as Deb et al. have it; fewer where the budget is no twenty of those."""
LEAST_GENERATIONS = 20


def searched(made: Study, senses: Mapping[str, str], budget: int, seed: int) -> Front:
    """The front of the points that a search sees; raises InputError for a budget that is no search."""
    if made.space.ordinals is not None:
        raise InputError("--budget: points that are listed or drawn are all computed; leave it away")
    size = max(budget // LEAST_GENERATIONS, 2) if budget < LEAST_GENERATIONS * POPULATION else POPULATION
    if budget < 2 * LEAST_GENERATIONS:
        raise InputError(f"--budget {budget:,}: a search takes at least {2 * LEAST_GENERATIONS} points")
    if budget >= made.space.size:
        raise InputError(f"--budget {budget:,}: all {made.space.size:,} points cost no more; leave it away")
    seen = _Seen(made, senses)
    _evolve(seen, size, budget // size, seed)
    all_of_them = seen.part()
    said = f"NSGA-II (pymoo), {len(seen.known):,} of {made.space.size:,} points, seed {seed}"
    cloud = thinned(objectives_of(made, all_of_them.values, senses), CLOUD)
    part = on_front(made, all_of_them, senses)
    return ordered(made, part, senses, len(seen.known), len(all_of_them.ordinals), said, cloud)


class _Seen:
    """The points that a search has seen, each computed once."""

    def __init__(self, made: Study, senses: Mapping[str, str]) -> None:
        self.made = made
        self.senses = senses
        self.runner = Runner(made)
        self.known: dict[int, Any] = {}
        self.kept: dict[int, bool] = {}
        self.refused: dict[int, str] = {}

    def at(self, places: Any) -> tuple[Any, Any]:
        """The objectives, less being better, of points by their places on each axis, and whether each is feasible."""
        space = self.made.space
        ordinals = np.ravel_multi_index(places.T, space.shape)
        new = np.unique([each for each in ordinals.tolist() if each not in self.known])
        if new.size:
            values, kept = self._computed(new)
            self.known.update(zip(new.tolist(), values.T, strict=True))
            self.kept.update(zip(new.tolist(), kept.tolist(), strict=True))
        values = np.stack([self.known[each] for each in ordinals.tolist()], axis=1)
        found = objectives_of(self.made, values, self.senses)
        feasible = np.array([self.kept[each] for each in ordinals.tolist()]) & ~np.isnan(found).any(axis=0)
        return found.T * [SENSES[sense] for sense in self.senses.values()], feasible

    def _computed(self, ordinals: Any) -> tuple[Any, Any]:
        """All columns of points, and which of them meet the condition, case by case."""
        space = self.made.space
        places = np.stack(np.unravel_index(ordinals, space.shape))
        choices = len(space.choices)
        values = np.empty((len(self.made.columns), len(ordinals)))
        kept = np.empty(len(ordinals), dtype=bool)
        for case in np.unique(places[:choices], axis=1).T:
            here = np.flatnonzero((places[:choices] == case[:, None]).all(axis=0))
            work = self.runner.at(tuple(case.tolist()))
            numbers = zip(space.numbers, places[choices:], strict=True)
            columns, keep, reason = work.columns({axis.name: work.numbers[axis.name][at[here]] for axis, at in numbers})
            values[:, here], kept[here] = columns, keep
            if reason:
                self.refused[int(ordinals[here[0]])] = reason
        return values, kept

    def part(self) -> Part:
        """The feasible points that were seen."""
        ordinals = np.array(sorted(each for each, kept in self.kept.items() if kept), dtype=np.int64)
        values = [self.known[each] for each in ordinals.tolist()]
        rows = np.stack(values, axis=1) if values else np.empty((len(self.made.columns), 0))
        return Part(ordinals, rows, self.refused)


WORST = 1e300
"""An objective that is no number, for a point that is not feasible anyway."""


def _evolve(seen: _Seen, size: int, generations: int, seed: int) -> None:
    """Let a population evolve over the places on the axes of more than one value."""
    try:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.problem import Problem
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.repair.rounding import RoundingRepair
        from pymoo.operators.sampling.rnd import IntegerRandomSampling
    except ImportError:
        raise MissingExtra("a search needs pymoo", "search") from None
    shape = np.array(seen.made.space.shape)
    varying = np.flatnonzero(shape > 1)
    problem = Problem(
        n_var=len(varying), n_obj=len(seen.senses), n_ieq_constr=1, xl=0, xu=shape[varying] - 1, vtype=int
    )
    repair = RoundingRepair()
    algorithm = NSGA2(
        pop_size=size,
        sampling=IntegerRandomSampling(),
        crossover=SBX(vtype=float, repair=repair),
        mutation=PM(vtype=float, repair=repair),
        eliminate_duplicates=True,
    )
    algorithm.setup(problem, termination=("n_gen", generations), seed=seed, verbose=False)
    while algorithm.has_next():
        population = algorithm.ask()
        places = np.zeros((len(population), len(shape)), dtype=np.int64)
        places[:, varying] = np.rint(population.get("X").astype(float))
        objectives, feasible = seen.at(places)
        population.set("F", np.where(np.isnan(objectives), WORST, objectives))
        population.set("G", np.where(feasible, -1.0, 1.0)[:, None])
        for each in population:
            each.evaluated.update({"F", "G"})
        algorithm.evaluator.n_eval += len(population)
        algorithm.tell(infills=population)
