"""Fit the shares of power in roofsim/foundation/parameters.py to measured energies, and judge them on what they lack.

usage: python tools/fit_power.py RUNS.csv [DEVICE RUNTIME]

RUNS.csv has energies whose notes state the mean power (`mean_power_W`), and device times of the same passes, on an H100
SXM with transformers 5 unless others are named. Both times are taken as measured, so that errors of predicted times do
not end up in the shares. Prints the shares, their error on every model that was left out in turn, and how soon
clocks give way before the power limit. Needs SciPy.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from roofsim import library
from roofsim.engine import energy as law
from roofsim.engine.energy import Activity, energy
from roofsim.engine.roofline import machine
from roofsim.runs.cases import Reader, Skip
from roofsim.runs.importers import read_runs
from roofsim.runs.program import Program

NAMES = ("waiting_power", "active_power", "flop_power", "byte_power")
STEEP = 0.1
"""Residuals beyond this weigh less."""
Array = Any


class Passes:
    """The passes of a file whose energy, power and device time were measured."""

    def __init__(self, path: str, device: str, runtime: str) -> None:
        self.device, self.runtime = library.device(device), library.runtime(runtime)
        self.host = library.host(self.device.host) if self.device.host else None
        reader = Reader(self.runtime, self.device)
        busy: dict[str, float] = {}
        cases = []
        for run in read_runs(path).runs:
            if run.metric in ("device_time_s", "energy_j"):
                try:
                    case = reader.case(run)
                except Skip:
                    continue
                if run.metric == "device_time_s":
                    busy[case.configuration] = run.value
                elif "mean_power_W" in run.notes and not case.flags:
                    cases.append(case)
        self.cases = [case for case in cases if case.configuration in busy]
        program = Program([case.target for case in self.cases], reader.jobs, self.device, self.host, self.runtime)
        self.joules = np.array([case.measured for case in self.cases])
        self.time = self.joules / np.array([float(case.run.notes["mean_power_W"]) for case in self.cases])
        done = program.activity({})
        measured = np.array([busy[case.configuration] for case in self.cases])
        predicted = Program(
            [type(case.target)("device", case.target.parts) for case in self.cases], reader.jobs, self.device,
            self.host, self.runtime,
        ).predict({})  # fmt: skip
        # units are at work as much longer as the device was busy than was predicted; work and traffic are what they are
        self.done = Activity(done.active * measured / predicted, done.work, done.traffic)
        self.models = np.array([case.model for case in self.cases])
        self.phases = np.array([case.phase for case in self.cases])

    def errors(self, shares: Mapping[str, float]) -> Array:
        """Logarithms of predicted over measured energy."""
        m = machine(self.device, self.host, self.device.default_dtype, shares, self.runtime)
        return np.log(energy(self.device, m, self.time, self.done) / self.joules)


def fitted(passes: Passes, kept: Array) -> dict[str, float]:
    """The shares that suit the passes that are kept."""

    def residuals(x: Array) -> Array:
        return passes.errors(dict(zip(NAMES, x, strict=True)))[kept]

    start = [0.05, 0.5, 0.5, 0.5]
    found = least_squares(residuals, start, bounds=(0, 2), loss="soft_l1", f_scale=STEEP)
    return dict(zip(NAMES, map(float, found.x), strict=True))


def told(errors: Array) -> str:
    """Errors in words."""
    sizes = np.abs(np.expm1(errors))
    return f"median {np.median(sizes):.1%}, 90th {np.quantile(sizes, 0.9):.1%}, bias {np.median(np.expm1(errors)):+.1%}"


def main() -> None:
    """Fit, and print."""
    path, device, runtime = [*sys.argv[1:], *("h100-sxm", "transformers-5-eager")[len(sys.argv) - 2 :]]
    passes = Passes(path, device, runtime)
    everything = np.ones(len(passes.cases), dtype=bool)
    shares = fitted(passes, everything)
    print(f"{len(passes.cases)} passes of {len(set(passes.models))} models: "
          + ", ".join(f"{name} {value:.3f}" for name, value in shares.items()))  # fmt: skip
    left_out = np.zeros(len(passes.cases))
    for model in sorted(set(passes.models)):
        mine = passes.models == model
        left_out[mine] = passes.errors(fitted(passes, ~mine))[mine]
    for phase in sorted(set(passes.phases)):
        print(f"{phase}, models that were left out: {told(left_out[passes.phases == phase])}")
    for share in (0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99):
        law.GIVES_WAY = share
        print(f"clocks give way at {share}: {told(passes.errors(fitted(passes, everything)))}")


if __name__ == "__main__":
    main()
