"""A space as a Gymnasium environment, in the manner of ArchGym (Krishnan et al. 2023, arXiv 2306.08888).

An action is a design: one value of every axis. The observation are its figures, the reward what it is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from sys import float_info
from typing import Any

import numpy as np

from roofsim.foundation.errors import InputError, MissingExtra
from roofsim.spaces.points import Objectives, Point, Points, points

try:
    import gymnasium
except ImportError:
    raise MissingExtra("an environment for Gymnasium needs it", "search") from None

NAME = "roofsim/DesignSpace-v0"
"""What `gymnasium.make` knows it by, once this module is imported."""

LARGEST = float(np.finfo(np.float64).max)
STEPS = 100
"""Designs of an episode, unless something else is said."""


class DesignSpace(gymnasium.Env):  # type: ignore[misc]
    """Designs are tried one after another; an episode is cut off after `steps` of them.

    Actions are the places of a design's values on the axes; observations its figures in SI units, in the order of
    `figures`, 0 where there are none. The reward is the sum of the logarithms of the objectives, each with the sign
    that makes more better, so that a per cent of one is worth a per cent of another; what is not feasible gets
    `penalty`, by default less than any number gives. `info` has the values of the axes, why a design was refused, and
    the best of the episode so far.
    """

    metadata: Mapping[str, Any] = {"render_modes": []}

    def __init__(
        self, axes: Mapping[str, Any] | None = None, objectives: Objectives | None = None, *,
        space: Points | None = None, steps: int = STEPS, penalty: float | None = None, **asked: Any,
    ) -> None:  # fmt: skip
        if (space is None) == (axes is None or objectives is None):
            raise InputError("a design space is made of axes and objectives, or of points")
        self.space = space or points(axes or {}, objectives or {}, **asked)
        self.figures = self.space.study.columns
        self.steps = steps
        self.penalty = -log(float_info.max) * len(self.space.senses) if penalty is None else penalty
        self.action_space = gymnasium.spaces.MultiDiscrete([len(axis) for axis in self.space.axes])
        self.observation_space = gymnasium.spaces.Box(-LARGEST, LARGEST, (len(self.figures),), np.float64)
        self._done = 0
        self._best: tuple[float, Mapping[str, Any]] | None = None

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin anew at the first value of every axis, or at the places in `options["design"]`."""
        super().reset(seed=seed)
        self._done, self._best = 0, None
        at = (options or {}).get("design", [0] * len(self.space.axes))
        point = self.space.at([int(each) for each in at])
        return self._observed(point), self._info(point)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """The figures of a design and what it is worth; nothing ends an episode but its length."""
        point = self.space.at([int(each) for each in action])
        worth = self.reward(point)
        self._done += 1
        if point.feasible and (self._best is None or worth > self._best[0]):
            self._best = worth, point.values
        return self._observed(point), worth, False, self._done >= self.steps, self._info(point)

    def reward(self, point: Point) -> float:
        """What a design is worth."""
        found = [(sense, point.figures[name]) for name, sense in self.space.senses.items()]
        if not point.feasible or any(value <= 0 for _, value in found):
            return self.penalty
        return sum(log(value) if sense == "max" else -log(value) for sense, value in found)

    def _observed(self, point: Point) -> Any:
        values = np.array([point.figures[name] for name in self.figures], dtype=np.float64)
        return np.nan_to_num(values, nan=0.0, posinf=LARGEST, neginf=-LARGEST)

    def _info(self, point: Point) -> dict[str, Any]:
        best = self._best
        return {
            "values": dict(point.values), "feasible": point.feasible, "refused": point.refused,
            "best_reward": best[0] if best else None, "best_values": dict(best[1]) if best else None,
        }  # fmt: skip


gymnasium.register(NAME, entry_point=DesignSpace)
