"""Robust least squares with priors: SciPy's solver, scatters by group, covariance, and what cannot be determined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from roofsim.fitting.problem import SOFT, Problem, psi
from roofsim.foundation.values import dataclass
from roofsim.runs.program import Array

DETERMINED = 0.7
"""A parameter is determined if the data leave at most this much of the prior's standard deviation (about 1/√2: the
data then say as much as the prior)."""

HOPELESS = 0.95
"""A parameter of which this much of the prior's standard deviation is left, all others known, is out at once."""

FLOOR = {"peak_mem_bytes": 1e-3, "kernel_count": 1e-3, "weights_bytes": 1e-3}
"""Least scatter of residuals by metric, for what is counted; 1 % elsewhere, as repeats of a run differ."""

START, CEILING = 0.03, 0.2
"""Scatter of the first pass, where data count for more than priors, and the most that rows are weighted with: a
larger one is a model that does not follow yet, and to believe it would leave every parameter at its prior."""

ENOUGH = 0.97
"""A start that lowers the cost by less than three per cent is left to the solver."""

REACH = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Standard deviations of the prior at which each parameter is tried first: one whose term is hidden behind a larger
one has no slope where it starts."""

EVALUATIONS = 30
"""Most steps of one fit: it takes ten to twenty, unless it moves to and fro across a kink of the model."""

PASSES = 3
"""Fits with scatters re-estimated; later ones move no parameter by a tenth of its error on our data."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Parameters on the scale without limits, their covariance, and the scatter of every case's group.

    `free` and `covariance` are over all parameters of the problem; those not `varied` are at their prior.
    """

    free: Array
    covariance: Array
    varied: Array
    scatter: dict[str, float]

    def scatter_of(self, problem: Problem) -> Array:
        """The scatter of every case."""
        return np.array([self.scatter[group] for group in problem.groups])


def touched(problem: Problem) -> Array:
    """The parameters that any case depends on, somewhere within the reach of the prior, by index."""
    centre, found = problem.prior.centre, []
    here = problem.residuals(centre)
    for i, spread in enumerate(problem.prior.spread):
        for step in REACH:
            there = centre.copy()
            there[i] += step * spread
            if np.abs(problem.residuals(there) - here).max(initial=0) > 1e-6:
                found.append(i)
                break
    return np.array(found, dtype=int)


def fit(problem: Problem, which: Array, keep: Array, before: Fit | None = None, passes: int = PASSES) -> Fit:
    """Fit the parameters `which` to the cases where `keep`, from an earlier fit or from the prior."""
    free = problem.prior.centre.copy()
    scatter = {str(group): START for group in np.unique(problem.groups)}
    if before:
        free[which] = before.free[which]
        free, scatter = _settled(problem, which, keep, free, before.scatter, passes)
    else:
        # at the first scatter data count for more than priors, so that starts are judged by what they come to
        starts = (free, _first(problem, which, keep, free, scatter))
        ends = [_settled(problem, which, keep, each, scatter, 1 + passes) for each in starts]
        free, scatter = min(ends, key=lambda end: _cost(problem, keep, *end))
    return Fit(free, covariance(problem, free, which, keep, scatter), which, scatter)


def _settled(
    problem: Problem, which: Array, keep: Array, free: Array, scatter: dict[str, float], passes: int
) -> tuple[Array, dict[str, float]]:
    """Where fits with scatters re-estimated come to, and these scatters."""
    for _ in range(passes):
        free = _solve(problem, which, keep, free, scatter)
        scatter = scatters(problem, problem.residuals(free), keep, len(which))
    return free, scatter


def _cost(problem: Problem, keep: Array, free: Array, scatter: dict[str, float]) -> float:
    """Minus twice the logarithm of the likelihood."""
    return _misfit(problem, keep, free, scatter) - 2 * float(np.log(_weights(problem, keep, scatter, CEILING)).sum())


def _misfit(problem: Problem, keep: Array, free: Array, scatter: dict[str, float]) -> float:
    """Soft squares of residuals over their scatter, and of distances from the prior."""
    z = (problem.residuals(free)[keep] * _weights(problem, keep, scatter, CEILING)) ** 2
    data = 2 * SOFT**2 * (np.sqrt(1 + z / SOFT**2) - 1)
    return float(data.sum() + (((free - problem.prior.centre) / problem.prior.spread) ** 2).sum())


def _first(problem: Problem, which: Array, keep: Array, free: Array, scatter: dict[str, float]) -> Array:
    """A start for the solver: again and again the one parameter moved to the one place that helps most.

    A move helps mostly less after others were made, so that only the best of them is tried again before the next one,
    and all of them before there is none.
    """
    centre, spread = problem.prior.centre, problem.prior.spread
    moves = [(i, centre[i] + step * spread[i]) for i in which for step in REACH]

    def misfit(move: tuple[int, float]) -> float:
        there = free.copy()
        there[move[0]] = move[1]
        return _misfit(problem, keep, there, scatter)

    free, best = free.copy(), _misfit(problem, keep, free, scatter)
    gains, tried = np.array([best - misfit(move) for move in moves]), np.ones(len(moves), dtype=bool)
    made = 0
    while made < len(which):
        most = int(gains.argmax())
        if not tried[most]:
            again = [most]
        elif gains[most] >= (1 - ENOUGH) * best:
            free[moves[most][0]] = moves[most][1]
            best, made, tried[:] = best - gains[most], made + 1, False
            continue
        elif tried.all():
            break
        else:
            again = np.flatnonzero(~tried).tolist()
        gains[again], tried[again] = [best - misfit(moves[k]) for k in again], True
    return free


def _weights(problem: Problem, keep: Array, scatter: dict[str, float], ceiling: float) -> Array:
    """One over the scatter of each case, none taken as larger than the ceiling."""
    weights: Array = 1 / np.array([min(scatter[group], ceiling) for group in problem.groups[keep]])
    return weights


def determined(problem: Problem, which: Array, keep: Array, done: Callable[[], None] = lambda: None) -> Fit:
    """Fit, and put parameters that the data cannot determine back to their prior.

    Those that the data say next to nothing of, even with all others known, go at once; then the least determined one
    by one, since of two that can stand for each other one may be determined once the other is given.
    """
    found = fit(problem, which, keep)
    while len(which):
        done()
        spread = problem.prior.spread[which]
        precision = information(problem, found.free, keep, found.scatter, CEILING)[np.ix_(which, which)]
        precision = precision + np.diag(1 / spread**2)
        alone = 1 / np.sqrt(np.diag(precision)) / spread
        left = np.sqrt(np.diag(np.linalg.inv(precision))) / spread
        if left.max() <= DETERMINED:
            break
        which = which[alone < HOPELESS] if alone.max() >= HOPELESS else which[left < left.max()]
        found = fit(problem, which, keep, found, passes=1)
    return fit(problem, which, keep, found)


def _solve(problem: Problem, which: Array, keep: Array, free: Array, scatter: dict[str, float]) -> Array:
    """One weighted fit: residuals over their scatter with a soft loss, priors as plain squares beside them."""
    if not len(which):
        return free
    scale = _weights(problem, keep, scatter, CEILING)
    centre, spread = problem.prior.centre[which], problem.prior.spread[which]

    def full(x: Array) -> Array:
        y = free.copy()
        y[which] = x
        return y

    def residuals(x: Array) -> Array:
        return np.concatenate([problem.residuals(full(x))[keep] * scale, (x - centre) / spread])

    def jacobian(x: Array) -> Array:
        data = problem.jacobian(full(x), which)[keep] * scale[:, None]
        return np.concatenate([data, np.diag(1 / spread)])

    data = np.arange(len(scale) + len(which)) < len(scale)

    def loss(z: Array) -> Array:
        """Rho and its derivatives by the squared residual, as SciPy wants them; priors are not softened."""
        base = 1 + z / SOFT**2
        soft = np.stack([2 * SOFT**2 * (np.sqrt(base) - 1), base**-0.5, -0.5 / SOFT**2 * base**-1.5])
        plain = np.stack([z, np.ones_like(z), np.zeros_like(z)])
        return np.where(data, soft, plain)

    found: Any = least_squares(
        residuals, free[which], jac=jacobian, loss=loss, method="trf", x_scale=spread, max_nfev=EVALUATIONS,
        xtol=1e-4, ftol=1e-4, gtol=1e-4,
    )  # fmt: skip
    return full(found.x)


def scatters(problem: Problem, residuals: Array, keep: Array, varied: int) -> dict[str, float]:
    """The scatter of every group: 1.4826 times the median size of its residuals, and no less than its floor.

    Residuals of a fit are smaller than errors, the more so the more parameters were varied.
    """
    found = {}
    freedom = max(1 - varied / max(int(keep.sum()), 1), 1 / 4) ** -0.5
    for group in np.unique(problem.groups):
        mine = np.abs(residuals[keep & (problem.groups == group)])
        floor = FLOOR.get(str(group).split()[0], 0.01)
        found[str(group)] = max(1.4826 * freedom * float(np.median(mine)), floor) if len(mine) else START
    return found


def information(problem: Problem, free: Array, keep: Array, scatter: dict[str, float], ceiling: float) -> Array:
    """What the data say of all parameters: their slopes squared over the scatter (Fisher's information)."""
    slopes = problem.jacobian(free, np.arange(len(free)))[keep] * _weights(problem, keep, scatter, ceiling)[:, None]
    found: Array = slopes.T @ slopes
    return found


def covariance(problem: Problem, free: Array, which: Array, keep: Array, scatter: dict[str, float]) -> Array:
    """Covariance of all parameters: what may be off where they were fitted, where they were not, and both.

    Those not fitted are as uncertain as their priors. What they are off by moves the fitted ones too: the error of the
    fitted is H⁻¹ (noise − K e), e being that of the others, H the curvature of the fit and K what couples the two. Of
    a soft loss the curvature is less than the information, the noise as well (Huber 1981, chapter 7).
    """
    pull, stiffness = psi(problem.residuals(free)[keep] * _weights(problem, keep, scatter, np.inf))
    known = information(problem, free, keep, scatter, np.inf)
    rest = np.setdiff1d(np.arange(len(free)), which)
    before = problem.prior.spread**2
    curvature = known * stiffness.mean() + np.diag(1 / before)
    noise = known * (pull**2).mean() + np.diag(1 / before)
    found = np.diag(before)
    if len(which):
        inverse = np.linalg.inv(curvature[np.ix_(which, which)])
        moved = inverse @ curvature[np.ix_(which, rest)]
        own = inverse @ noise[np.ix_(which, which)] @ inverse + moved @ np.diag(before[rest]) @ moved.T
        found[np.ix_(which, which)] = (own + own.T) / 2
        found[np.ix_(which, rest)] = -moved * before[rest]
        found[np.ix_(rest, which)] = found[np.ix_(which, rest)].T
    return found
