"""The non-dominated set of points: those that no other point is as good as in everything and better in something.

Divide and conquer (Kung, Luccio and Preparata 1975): points in order of the first objective are halved; the later half
can only be dominated by the earlier one, and only in the objectives that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from roofsim.foundation.errors import InputError

SENSES = {"min": 1.0, "max": -1.0}
"""Whether less or more of an objective is better, and the sign that makes less better."""

COMPARED = 2**14
"""Pairs of points that are compared at once rather than divided further."""

SAMPLED = 64
"""The front of every 64th point is taken first: it dominates most of the others."""


def front(values: Any, senses: Sequence[str]) -> Any:
    """Which of n points over k objectives, an array (n, k), no other dominates, as n booleans.

    `senses` says of each objective whether `min` or `max` is better. Equal points are all on the front or all off it;
    a point with an objective that is not a number is never on it. Raises InputError for shapes and senses that do not
    fit.
    """
    if wrong := sorted(set(senses) - set(SENSES)):
        raise InputError(f"objectives: '{wrong[0]}' is not a sense; write min or max")
    points = np.asarray(values, dtype=float)
    if points.ndim != 2 or points.shape[1] != len(senses) or not senses:
        raise InputError(f"objectives: values of shape {points.shape} do not fit {len(senses)} senses; (n, k) would")
    on_front = np.zeros(len(points), dtype=bool)
    known = np.flatnonzero(~np.isnan(points).any(axis=1))
    if not known.size:
        return on_front
    points = points[known] * [SENSES[each] for each in senses]
    order = np.lexsort(points.T[::-1])
    points = points[order]
    new = np.append(True, (points[1:] != points[:-1]).any(axis=1))
    group = np.cumsum(new) - 1
    distinct = points[new]
    few = _front(distinct[::SAMPLED]) * SAMPLED
    left = ~_matched(distinct, distinct[few])
    left[few] = True
    left = np.flatnonzero(left)
    kept = np.zeros(len(distinct), dtype=bool)
    kept[left[_front(distinct[left])]] = True
    on_front[known[order]] = kept[group]
    return on_front


def _front(points: Any) -> Any:
    """The places of the non-dominated among distinct points in lexical order, less being better."""
    if points.shape[1] == 1:
        return np.array([0])
    if points.shape[1] == 2:
        best = np.minimum.accumulate(points[:, 1])
        return np.flatnonzero(np.append(True, points[1:, 1] < best[:-1]))
    if len(points) ** 2 <= COMPARED:
        # each is as good as itself, so that only what one more point is as good as is dominated
        as_good = (points[:, None] <= points).all(axis=2)
        return np.flatnonzero(as_good.sum(axis=0) == 1)
    half = len(points) // 2
    early, late = _front(points[:half]), _front(points[half:]) + half
    return np.append(early, late[~_matched(points[late, 1:], points[early, 1:])])


def _matched(points: Any, by: Any) -> Any:
    """Which points some point of `by` is as good as in every objective."""
    if not len(points) or not len(by):
        return np.zeros(len(points), dtype=bool)
    if points.shape[1] == 1:
        return points[:, 0] >= by[:, 0].min()
    if points.shape[1] == 2:
        by = by[np.argsort(by[:, 0])]
        best = np.append(np.inf, np.minimum.accumulate(by[:, 1]))
        nearer = np.searchsorted(by[:, 0], points[:, 0], side="right")
        return (points[:, 1] >= best[nearer]) & (nearer > 0)
    if len(points) * len(by) <= COMPARED:
        return (by[:, None] <= points).all(axis=2).any(axis=0)
    levels = np.unique(by[:, -1])
    middle = levels[(len(levels) - 1) // 2]
    low, high = by[:, -1] <= middle, points[:, -1] > middle
    found = np.zeros(len(points), dtype=bool)
    if len(levels) == 1:
        high = points[:, -1] >= middle
        found[high] = _matched(points[high, :-1], by[:, :-1])
        return found
    found[high] = _matched(points[high, :-1], by[low, :-1]) | _matched(points[high], by[~low])
    found[~high] = _matched(points[~high], by[low])
    return found
