"""A space as the objective of an Optuna study: `optuna.create_study(directions=o.directions).optimize(o, 100)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roofsim.foundation.errors import MissingExtra
from roofsim.spaces.points import Objectives, Point, Points, points

try:
    from optuna import TrialPruned
except ImportError:
    raise MissingExtra("an objective for Optuna needs it", "search") from None

DIRECTIONS = {"min": "minimize", "max": "maximize"}
FEASIBLE = "feasible"
"""The constraint of every trial: 0 where it is feasible, else 1, since Optuna takes what is above 0 as violated."""


class Objective:
    """What a trial is worth: its objectives, in their order.

    A choice is a categorical parameter of a trial. The values of an axis of numbers are in order, so that a sampler can
    make use of that: the parameter is the place of a value on its axis. Every trial has its `values`, its `figures` and
    why it was `refused` among its attributes, and says by a constraint whether it is feasible; one that cannot be run
    is pruned.
    """

    def __init__(self, space: Points) -> None:
        self.space = space

    @property
    def directions(self) -> list[str]:
        """What Optuna is to do with each objective."""
        return [DIRECTIONS[sense] for sense in self.space.senses.values()]

    @property
    def grid(self) -> dict[str, list[Any]]:
        """All values of every parameter, as `optuna.samplers.GridSampler` takes them."""
        return {
            axis.name: list(range(len(axis))) if axis.numeric else list(self.space.labels(axis))
            for axis in self.space.axes
        }

    def __call__(self, trial: Any) -> float | tuple[float, ...]:
        """The objectives of the point that a trial suggests; raises optuna.TrialPruned for one that cannot be run."""
        params = {}
        for axis in self.space.axes:
            if axis.numeric:
                params[axis.name] = trial.suggest_int(axis.name, 0, len(axis) - 1)
            else:
                params[axis.name] = trial.suggest_categorical(axis.name, self.space.labels(axis))
        point = self.point(params)
        trial.set_user_attr("values", dict(point.values))
        trial.set_user_attr("figures", dict(point.figures))
        trial.set_constraint(FEASIBLE, float(not point.feasible))
        found = tuple(point.figures[name] for name in self.space.senses)
        if point.refused or any(each != each for each in found):
            trial.set_user_attr("refused", point.refused or "it has no such figure")
            raise TrialPruned(point.refused or "")
        return found[0] if len(found) == 1 else found

    def point(self, params: Mapping[str, Any]) -> Point:
        """The point of the parameters of a trial, such as `study.best_params`."""
        return self.space.at([
            params[axis.name] if axis.numeric else self.space.labels(axis).index(params[axis.name])
            for axis in self.space.axes
        ])  # fmt: skip


def objective(axes: Mapping[str, Any], objectives: Objectives, **asked: Any) -> Objective:
    """The objective of a space, with what `points` takes; raises InputError."""
    return Objective(points(axes, objectives, **asked))
