"""The least squares of a calibration: log residuals, priors, and how both depend on the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.values import dataclass
from roofsim.runs.cases import Case
from roofsim.runs.program import Array, Program

SOFT = 2.0
"""Residuals of so many standard deviations begin to count less than squared (95 % efficient for a normal error)."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Where each parameter is expected, on the scale without limits: centre and standard deviation."""

    names: tuple[str, ...]
    centre: Array
    spread: Array

    def values(self, free: Array) -> dict[str, float]:
        """The values of the parameters; one that is at its centre has exactly the prior's value."""
        return {name: PARAMETERS[name].bounded(float(u)) for name, u in zip(self.names, free, strict=True)}


def prior(values: Mapping[str, float], spreads: Mapping[str, float]) -> Prior:
    """The prior of all parameters around `values`; `spreads` are standard deviations on the scale without limits."""
    centre = np.array([row.free(values[name]) for name, row in PARAMETERS.items()])
    return Prior(tuple(PARAMETERS), centre, np.array([spreads[name] for name in PARAMETERS]))


class Problem:
    """Measured figures against predictions: residuals are log(predicted / measured)."""

    def __init__(self, cases: Sequence[Case], program: Program, before: Prior) -> None:
        self.cases = tuple(cases)
        self.program = program
        self.prior = before
        self.measured = np.log([case.measured for case in cases])
        # a host's times differ more from run to run than a device's
        waiting = program.host_bound(before.values(before.centre))
        self.groups = np.array([f"{c.group} host" if h else c.group for c, h in zip(cases, waiting, strict=True)])

    def residuals(self, free: Array) -> Array:
        """The residual of every case."""
        return np.log(self.program.predict(self.prior.values(free))) - self.measured

    def jacobian(self, free: Array, which: Array) -> Array:
        """Derivatives of the residuals with respect to the parameters `which`."""
        return self.program.slopes(self.prior.values(free), [self.prior.names[i] for i in which])


def psi(scaled: Array) -> tuple[Array, Array]:
    """First and second derivative of the soft absolute value, by half: what a residual pulls, and how stiffly."""
    base = 1 + (scaled / SOFT) ** 2
    return scaled / np.sqrt(base), base**-1.5
