"""What parameters of links are like on machines that were measured, so that others can be expected to be so.

Each machine has published times of all-reduces. Its parameters, on their scales without limits, are drawn from a normal
of all machines; mean and spread of that are what makes the times most likely, about what was read by hand before
(empirical Bayes, by expectation and maximisation with Laplace's approximation for each machine).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import cast

import numpy as np
from scipy.optimize import least_squares

from roofsim import library
from roofsim.engine.network import Network, exchange_time, network_of
from roofsim.foundation.arith import Number
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.values import dataclass
from roofsim.lowering.kernels import Exchange
from roofsim.specs.calibration import NORMAL_95
from roofsim.specs.population import Typical
from roofsim.specs.runtime import Way

NAMES = ("link_speed", "path_speed", "link_delay", "collective_time", "peer_time", "peer_efficiency")
"""Parameters of links."""
WAYS: Mapping[str, tuple[Way, ...]] = {"nccl": ("ring", "tree", "nvls")}
"""What a library chooses among; another way is itself."""
ROUNDS = 40
"""How often means and spreads are found anew: they move by less than a percent then."""
AT_FIRST = 0.1
"""Relative error of a time beyond what the parameters of its machine explain, to begin with."""
SAYS_LITTLE = 0.8
"""A machine that leaves this much of the variance of a parameter says next to nothing of it."""


@dataclass(frozen=True)
class Times:
    """All-reduces of one way on so many devices: bytes and logarithms of seconds."""

    ranks: int
    ways: tuple[Way, ...]
    payload: np.ndarray
    measured: np.ndarray


@dataclass(frozen=True)
class Machine:
    """The links of a cluster and what was measured on one such machine."""

    name: str
    device: str
    network: Network
    times: tuple[Times, ...]

    @property
    def rows(self) -> int:
        """How many times there are."""
        return sum(len(each.payload) for each in self.times)

    def off(self, free: np.ndarray) -> np.ndarray:
        """Logarithms of predicted over measured times, of parameters on their scales without limits."""
        p = {name: PARAMETERS[name].bounded(z) for name, z in zip(NAMES, free, strict=True)}
        found = []
        for t in self.times:
            x = Exchange("all_reduce", cast("Number", t.payload), t.ranks, 1, t.ways)
            seconds = cast("np.ndarray", exchange_time(x, self.network, p))
            found.append(np.log(np.broadcast_to(seconds, t.payload.shape)) - t.measured)
        return np.concatenate(found)

    def slopes(self, free: np.ndarray, step: float = 1e-4) -> np.ndarray:
        """How the above change with each parameter: rows x parameters."""
        moves = np.eye(len(NAMES)) * step
        return np.stack([(self.off(free + each) - self.off(free - each)) / (2 * step) for each in moves], axis=1)


def read(path: Path) -> tuple[Machine, ...]:
    """The machines of a table of published all-reduces."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for name, own in groupby(rows, key=lambda row: row["machine"]):
        held = list(own)
        cluster = library.cluster(held[0]["cluster"])
        kinds = groupby(sorted(held, key=_kind), key=_kind)
        found.append(Machine(name, cluster.device, network_of(cluster), tuple(_times(*k, list(g)) for k, g in kinds)))
    return tuple(found)


def _kind(row: Mapping[str, str]) -> tuple[int, str]:
    return int(row["ranks"]), row["way"]


def _times(ranks: int, way: str, rows: Sequence[Mapping[str, str]]) -> Times:
    payload = np.array([float(row["bytes"]) for row in rows])
    ways: tuple[Way, ...] = WAYS.get(way, (way,))  # type: ignore[arg-type]  # a name that the engine knows or refuses
    return Times(ranks, ways, payload, np.log([float(row["seconds"]) for row in rows]))


@dataclass(frozen=True)
class Links:
    """What parameters of links are like: `mean` and `spread` on the scale without limits, by NAMES.

    `scatter` is the relative error of a time that they do not explain, `fits` and `devices` who says so.
    """

    mean: np.ndarray
    spread: np.ndarray
    scatter: float
    fits: tuple[int, ...] = ()
    devices: tuple[int, ...] = ()

    def typical(self) -> dict[str, Typical]:
        """As the file of priors has them."""
        return {
            name: Typical(
                mean=_rounded(PARAMETERS[name].bounded(self.mean[i])), spread=_rounded(self.spread[i]),
                fits=self.fits[i], devices=self.devices[i],
            )
            for i, name in enumerate(NAMES)
        }  # fmt: skip


def _rounded(x: float) -> float:
    return float(f"{x:.4g}")


def learn(machines: Sequence[Machine], rounds: int = ROUNDS) -> Links:
    """Mean and spread of all machines, each about what was read by hand as if that were one machine more."""
    rows = [PARAMETERS[name] for name in NAMES]
    by_hand = np.array([row.free(row.prior) for row in rows])
    about = np.array([row.free_spread for row in rows])
    mean, spread, scatter = by_hand, about, AT_FIRST
    fits: list[np.ndarray] = []
    left = np.zeros((0, len(NAMES)))
    for _ in range(rounds):
        found = [_fit(machine, mean, spread, scatter, near) for machine, near in _beside(machines, fits, mean)]
        fits, covariances = [each[0] for each in found], [each[1] for each in found]
        off = [each[2] for each in found]
        left = np.stack([np.diag(each) for each in covariances])
        mean = (by_hand + np.sum(fits, axis=0)) / (1 + len(machines))
        spread = np.sqrt((about**2 + np.sum((np.stack(fits) - mean) ** 2 + left, axis=0)) / (1 + len(machines)))
        scatter = float(np.sqrt(sum(each for each in off) / sum(machine.rows for machine in machines)))
    told = left < SAYS_LITTLE * spread**2
    devices = tuple(len({m.device for m, says in zip(machines, each, strict=True) if says}) for each in told.T)
    return Links(mean, spread, scatter, tuple(int(n) for n in told.sum(axis=0)), devices)


def _beside(machines: Sequence[Machine], fits: list[np.ndarray], mean: np.ndarray) -> list[tuple[Machine, np.ndarray]]:
    return list(zip(machines, fits or [mean] * len(machines), strict=True))


def _fit(
    machine: Machine, mean: np.ndarray, spread: np.ndarray, scatter: float, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """The likeliest parameters of a machine, their covariance, and the sum of squares that its times are off by."""

    def both(free: np.ndarray) -> np.ndarray:
        return np.concatenate([machine.off(free) / scatter, (free - mean) / spread])

    free = least_squares(both, start).x
    slopes = machine.slopes(free)
    covariance = np.linalg.inv(slopes.T @ slopes / scatter**2 + np.diag(spread**-2))
    missed = float(np.sum(machine.off(free) ** 2) + np.trace(slopes @ covariance @ slopes.T))
    return free, covariance, missed


@dataclass(frozen=True)
class Left:
    """A machine predicted from all others: how far its times are off in the median, and how many are in 95 %."""

    machine: Machine
    bias: float
    median_error: float
    coverage: float
    width: float


def left_out(machine: Machine, others: Links) -> Left:
    """How a machine is predicted by what the others are like."""
    off = machine.off(others.mean)
    sigma = np.sqrt(np.sum((machine.slopes(others.mean) * others.spread) ** 2, axis=1) + others.scatter**2)
    return Left(
        machine, float(np.expm1(np.median(off))), float(np.median(np.abs(np.expm1(off)))),
        float(np.mean(np.abs(off) <= NORMAL_95 * sigma)), float(np.exp(2 * NORMAL_95 * np.median(sigma))),
    )  # fmt: skip


def leave_each_out(machines: Sequence[Machine]) -> tuple[Left, ...]:
    """Every machine predicted from all others."""
    return tuple(left_out(m, learn([other for other in machines if other is not m])) for m in machines)
