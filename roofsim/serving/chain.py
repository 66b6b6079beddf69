"""The steps of a serving engine while a given number of sequences decode: a Markov chain of what waits.

Requests come as a Poisson process. What came while a step ran goes into the next one (or the one after that, where
steps are laid out ahead), as far as it has room: a queue with batch service behind a gate, whose service time grows
with the batch (Bailey 1954; Neuts 1967). Prompts count in equal parts, so that one that does not fit is cut.
What a step takes may be any function of its parts: it is asked, not fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FINEST = 32
"""Parts of a prompt at most."""
COARSE = 0.04
"""The share of a step's room that parts may leave empty, if as many parts are not too many."""
MANY = 16
"""Whole prompts that fit a step, from which on none is cut."""
WAITING = 64
"""Prompts that may wait beyond those that come in a step, at most: more are left out."""
TAIL = 3.5
"""Half the logarithm of how rare the longest queue is that is looked at, one in a thousand."""
SPACING = 1.5
"""How much longer each of the kinds of step is that arrivals are told apart by."""
EVERY, NEAR = 8, 1e-3
"""A chain has settled when no more than such a share of its steps has changed in so many."""
LEFT_OUT = 1e-8
"""Chances below this do not count."""
CALM = 1e-3
"""How near to the mean the steps after a prompt's end are when it no longer matters, relative."""
ROUNDS = 400
"""Steps after which it has, or never does."""
POINTS = 1024
"""Requests that times to the first token are drawn for."""


def cut(fit: float, whole: bool) -> tuple[int, int]:
    """Parts of a prompt, and parts that a step takes, where so many prompts fit one."""
    if whole or fit >= MANY:
        return 1, max(int(fit), 1)
    tried = [(1 - int(m * fit) / (m * fit), m) for m in range(1, FINEST + 1) if m * fit >= 1]
    if not tried:
        return math.ceil(1 / fit), 1
    parts = next((m for loss, m in tried if loss < COARSE), min(tried)[1])
    return parts, int(parts * fit)


def poisson(means: Array, count: int) -> Array:
    """The chances of 0 to `count` - 1 arrivals, a row for each mean; what is beyond counts as the last."""
    k = np.arange(1, count)
    factors = np.concatenate([np.ones((len(means), 1)), means[:, None] / k], axis=1)
    chances = np.exp(-means)[:, None] * np.cumprod(factors, axis=1)
    chances[:, -1] += np.maximum(1 - chances.sum(axis=1), 0)
    found: Array = chances
    return found


def spread_points(count: int, dimensions: int) -> Array:
    """Points that fill a cube evenly, one row for each dimension: a Kronecker sequence (Niederreiter 1992).

    Its steps are powers of the root of x^(d + 1) = x + 1 (Roberts 2018).
    """
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (dimensions + 1))
    steps = root ** -np.arange(1.0, dimensions + 1)
    return (0.5 + np.outer(steps, np.arange(1, count + 1))) % 1


def counted(share: Array, means: Array) -> Array:
    """The Poisson counts of so many in the mean that are not exceeded by this share of all."""
    count, chance = np.zeros(len(share)), np.exp(-means)
    total, k = chance.copy(), 0
    most = float(means.max(initial=0))
    while k < most + 10 * math.sqrt(most) + 20 and (more := share > total).any():
        k += 1
        chance = chance * means / k
        count[more] = k
        total += chance
    return count


def _whole(chances: Array) -> Array:
    """The same, adding up to one."""
    found: Array = chances / chances.sum()
    return found


@dataclass(frozen=True, eq=False)
class First:
    """Times to the first token of requests that come at any time, the state of the steps that make it, and the prompts
    of others in them, in the mean.
    """

    times: Array
    state: Array
    others: float


@dataclass(frozen=True, eq=False)
class Chain:
    """Steps of `times[s]` seconds with s parts of prompts beside those that decode; `rate` requests of `parts` each.

    A state has a row for each kind of step that runs, by its parts, and a column for the parts that wait for the next
    one: those that came before it began if steps are laid out `ahead`, else those that it left. An engine that `rests`
    has no steps without prompts: where nothing waits, the next request begins one.
    """

    rate: float
    times: Array
    parts: int
    ahead: int
    rests: bool = False

    @property
    def most(self) -> int:
        """Parts that a step takes at most."""
        return len(self.times) - 1

    @cached_property
    def kinds(self) -> Array:
        """Parts of the steps that are told apart."""
        found = [0]
        while found[-1] < self.most:
            found.append(min(max(found[-1] + 1, int(found[-1] * SPACING)), self.most))
        return np.array(found)

    @cached_property
    def lasts(self) -> Array:
        """Seconds of each kind."""
        found: Array = self.times[self.kinds]
        return found

    @cached_property
    def shares(self) -> Array:
        """What part of a step counts as which kind, a row for each number of parts: two that last as long together."""
        found = np.zeros((self.most + 1, len(self.kinds)))
        for a, (low, high) in enumerate(zip(self.kinds[:-1], self.kinds[1:], strict=True)):
            between = np.arange(low, high + 1)
            first, last = self.times[low], self.times[high]
            by = (self.times[between] - first) / (last - first) if last > first else (between - low) / (high - low)
            by = np.clip(by, 0, 1)
            by[0], by[-1] = 0, 1
            found[between] = 0
            found[between, a], found[between, a + 1] = 1 - by, by
        found[0, 0] = 1
        return found

    @cached_property
    def arrivals(self) -> Array:
        """The chances that so many requests come in a step of each kind."""
        means = self.rate * self.lasts
        most = float(means.max())
        return poisson(means, int(most + 6 * math.sqrt(most)) + 6)

    @cached_property
    def room(self) -> int:
        """Columns of a state, as many as such a queue may be long (M/D/1 at a high load: Kingman 1961)."""
        come: int = self.parts * self.arrivals.shape[1]
        busy = self.rate * self.parts * float(self.times[-1]) / self.most
        waiting = WAITING if busy >= 1 else min(math.ceil(TAIL * busy / (1 - busy)) + 2, WAITING)
        return max(come, self.most) + waiting * self.parts + 1

    @cached_property
    def _unhindered(self) -> Array:
        """The share of steps of each kind where all that waits fits the next."""
        each = self.arrivals @ self.shares[np.minimum(self.parts * np.arange(self.arrivals.shape[1]), self.most)]
        system = each.T - np.eye(len(each))
        system[-1] = 1
        found: Array = np.maximum(np.linalg.solve(system, np.eye(len(each))[-1]), 0)
        return _whole(found)

    @property
    def about(self) -> float:
        """Seconds of the mean step, where all that waits fits the next."""
        return float(self._unhindered @ self.lasts)

    @cached_property
    def settled(self) -> Array:
        """The state in the mean over steps."""
        kinds = self._unhindered
        state = np.zeros((len(kinds), self.room))
        if self.ahead:
            state[:, : self.parts * self.arrivals.shape[1] : self.parts] = np.outer(kinds, kinds @ self.arrivals)
        else:
            state[:, 0] = kinds
        come = kinds @ self.arrivals
        if not self.rests and come[self.parts * np.arange(len(come)) > self.most].sum() < LEFT_OUT:
            return state
        before = state
        for i in range(1, ROUNDS + 1):
            state = self.after(state)
            if i % EVERY == 0:
                if np.abs(state - before).sum() < NEAR:
                    break
                before = state
        return _whole(state)

    def after(self, state: Array) -> Array:
        """The state a step later."""
        found = np.zeros_like(state)
        if self.ahead:
            fits = self.shares.T @ state[:, : self.most + 1].T @ self.arrivals
            found[:, : self.parts * fits.shape[1] : self.parts] = fits
            found[-1] += self._with_arrivals(state[:, self.most + 1 :], 1)
            return found
        waits = self._begun(state)
        found[:, 0] = waits[: self.most + 1] @ self.shares
        found[-1, 1 : self.room - self.most] += waits[self.most + 1 :]
        return found

    def _begun(self, state: Array) -> Array:
        """What there is for the next step of steps that are not laid out ahead; an engine that rests has a request."""
        found = self._with_arrivals(state, 0)
        if self.rests:
            found[self.parts] += found[0]
            found[0] = 0
        return found

    def _waiting(self, state: Array) -> Array:
        """What waits for the next step."""
        found: Array = state.sum(axis=0) if self.ahead else self._begun(state)
        return found

    @property
    def rested(self) -> float:
        """The share of steps after which nothing waits."""
        return float(self._with_arrivals(self.settled, 0)[0])

    def _with_arrivals(self, state: Array, least: int) -> Array:
        """What waits when those who came in a step are there, of a state whose columns begin at `least`."""
        there = np.flatnonzero(state.sum(axis=0) > LEFT_OUT)
        if not len(there):
            return np.zeros(self.room)
        come = self.arrivals.T @ state[:, : there[-1] + 1]
        count, width = len(come), self.room + self.parts * len(come)
        # rows that are as much longer as each is to be shifted by, read as rows that are not
        shifted = np.zeros((count, width + self.parts))
        shifted[:, least : least + come.shape[1]] = come
        found: Array = shifted.reshape(-1)[: count * width].reshape(count, width).sum(axis=0)
        found[self.room - 1] += found[self.room :].sum()
        return found[: self.room]

    @cached_property
    def taken(self) -> Array:
        """The share of steps with so many parts."""
        waits = self._waiting(self.settled)
        return np.append(waits[: self.most], waits[self.most :].sum())

    @cached_property
    def mean(self) -> float:
        """Seconds of a step."""
        return float(self.settled.sum(axis=1) @ self.lasts)

    @cached_property
    def first(self) -> First:
        """What requests that come at any time find."""
        points = spread_points(POINTS, 5)
        busy = np.cumsum((self.settled * self.lasts[:, None]).ravel())
        at = np.minimum(np.searchsorted(busy, points[0] * busy[-1]), len(busy) - 1)
        kind, waits = np.divmod(at, self.room)
        step = self.lasts[kind]
        gone = points[1] * step
        come = self.parts * counted(points[2], self.rate * gone)
        if not self.ahead:
            return self.answered(waits + come, step - gone, self.times[-1], points[3:])
        # a step that is laid out already takes what waited before
        next_one = self.times[np.minimum(waits, self.most)]
        wait = step - gone + next_one + (self.ahead - 1) * self.mean
        return self.answered(np.maximum(waits - self.most, 0) + come, wait, next_one, points[3:], step - gone)

    def answered(self, before: Array, wait: Array, last: Any, points: Array, since: Array | None = None) -> First:
        """The first tokens of requests that have so many parts before them when they have waited for steps laid out.

        `last` is the step before their first one, and `since` how long others come that share it.
        """
        steps = np.ceil((before + self.parts) / self.most)
        own = before + self.parts - (steps - 1) * self.most
        several, full = steps > 1, self.times[-1]
        laid_out = wait + np.maximum(steps - 1 - bool(self.ahead), 0) * full
        shared = np.where(several, laid_out, wait if since is None else since)
        there = (own + self.parts * counted(points[0], self.rate * shared)).astype(int)
        step, left = np.minimum(there, self.most), np.maximum(there - self.most, 0)
        others = float((step - np.minimum(own, self.parts)).mean()) / self.parts
        if self.ahead:
            left = left + self.parts * counted(points[1], self.rate * np.where(several, full, last))
        left = np.minimum(left, self.room - 1).astype(int)
        state = [np.bincount(left, weights=kind, minlength=self.room) for kind in self.shares[step].T]
        return First(wait + (steps - 1) * full + self.times[step], np.array(state) / len(own), others)

    def decode(self, steps: int) -> tuple[float, float]:
        """Seconds of so many steps after the one that ends a prompt, and how many more end theirs close to it.

        Others came in that step and wait behind it; prompts come in bursts, which last as long as their steps do. The
        second number is how many more sequences decode with one of them than with any.
        """
        usual = self.rate * self.mean
        prompts = np.minimum(np.arange(self.room), self.most) / self.parts
        state, more, calm, close = self.first.state, 0.0, 0, self.first.others - usual
        for i in range(1, steps + 1):
            ended = float(self._waiting(state) @ prompts) / float(state.sum()) - usual
            # those before are as many as those after
            close += 2 * (1 - i / (steps + 1)) * ended
            state = self.after(state)
            over = float(state.sum(axis=1) @ self.lasts) / float(state.sum()) - self.mean
            more += over
            calm = calm + 1 if abs(over) < CALM * self.mean and abs(ended) < CALM * usual else 0
            if calm > 3:
                break
        return steps * self.mean + more, max(close, 0.0)
