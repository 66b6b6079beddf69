"""A space one point at a time, for programs that search: what a point is made of, its figures, whether it will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.prediction.places import COUNTS
from roofsim.spaces.axes import Axis
from roofsim.spaces.evaluate import Runner, Study
from roofsim.spaces.fronts import senses_of
from roofsim.spaces.sweep import study

Objectives = str | Sequence[str] | Mapping[str, str]
"""Figures, each with whether less (`min`) or more (`max`) of it is better."""


@dataclass(frozen=True, slots=True)
class Point:
    """`values` are what was chosen, by axis: labels, and numbers in SI units; `figures` the columns of the study.

    `feasible` says that it can be run, meets the study's condition and has all its objectives; `refused` why it cannot
    be run.
    """

    values: Mapping[str, Any]
    figures: Mapping[str, float]
    feasible: bool
    refused: str | None


class Points:
    """The points of a study by the places of their values on its axes; cases are compiled once."""

    def __init__(self, made: Study, senses: Mapping[str, str]) -> None:
        self.study = made
        self.senses = dict(senses)
        self._runner = Runner(made)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes, those of choices first."""
        return self.study.space.axes

    def labels(self, axis: Axis) -> tuple[str, ...]:
        """What the values of an axis are called, as they were given, specs by their own names."""
        return self._runner.labels(axis)

    def at(self, places: Sequence[int]) -> Point:
        """The point at these places, one for each axis in order; raises InputError for one that is not there."""
        import numpy as np

        space = self.study.space
        if len(places) != len(space.axes):
            raise InputError(f"a point has {len(space.axes)} places, one for each axis; {len(places)} were given")
        for axis, place in zip(space.axes, places, strict=True):
            if not 0 <= place < len(axis):
                raise InputError(f"{axis.name}: no place {place}; there are 0 to {len(axis) - 1}")
        chosen, rest = places[: len(space.choices)], places[len(space.choices) :]
        work = self._runner.at(tuple(int(each) for each in chosen))
        numbers = {axis.name: work.numbers[axis.name][place] for axis, place in zip(space.numbers, rest, strict=True)}
        columns, keep, refused = work.columns({name: np.array([value]) for name, value in numbers.items()})
        figures = {name: float(column[0]) for name, column in zip(self.study.columns, columns, strict=True)}
        labels = {axis.name: self.labels(axis)[int(place)] for axis, place in zip(space.choices, chosen, strict=True)}
        plain = {name: int(value) if name in COUNTS else float(value) for name, value in numbers.items()}
        known = all(isfinite(figures[name]) for name in self.senses)
        return Point({**labels, **plain}, figures, bool(keep[0]) and known and not refused, refused)


def points(
    axes: Mapping[str, Any], objectives: Objectives, *, figures: Sequence[str] = (),
    derive: Mapping[str, str] | None = None, where: str | None = None,
) -> Points:  # fmt: skip
    """The points of a space; `axes`, `derive` and `where` are as for `roofsim.sweep`.

    `objectives` are those of `roofsim.pareto`, figures or derived columns: `"ttft,tokens_per_second:max"`, or senses by
    name; `figures` are others to be seen. Raises InputError for what cannot be asked.
    """
    derived = derive or {}
    if not objectives:
        raise InputError("objectives: at least one is needed, such as tpot:min")
    senses = senses_of(objectives, derived)
    asked = [name for name in (*senses, *figures) if name not in derived]
    return Points(study(axes, figures=list(dict.fromkeys(asked)) or None, derive=derive, where=where), senses)
