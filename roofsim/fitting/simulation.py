"""Runs made by the model itself: whether intervals hold what they say can only be seen where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from roofsim.fitting.problem import Prior
from roofsim.fitting.run import Options, calibrate, expected
from roofsim.foundation.values import dataclass
from roofsim.runs.cases import Reader
from roofsim.runs.program import Array, Program
from roofsim.runs.reading import Run, Runs
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime
from roofsim.studies.validate import validate_runs

METRICS = (("prefill", "latency_s"), ("decode", "latency_s"), ("prefill", "device_time_s"), ("decode", "device_time_s"),
           ("prefill", "energy_j"), ("prefill", "peak_mem_bytes"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stack:
    """What the runs are made on."""

    device: Device
    runtime: Runtime
    host: Host | None

    @property
    def prior(self) -> Prior:
        """Where parameters are expected; the truth of each simulation is drawn from it."""
        return expected(self.device, self.host, self.runtime)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of the 95 % intervals that hold the truth: of determined parameters, of all, and of new measurements."""

    fitted: float
    parameters: float
    predictions: float


def design(models: Sequence[str], lengths: Sequence[int], batches: Sequence[int]) -> Iterator[Run]:
    """A row for each metric of each model at each length and batch, with nothing measured yet."""
    for model in models:
        for length in lengths:
            for batch in batches:
                for phase, metric in METRICS:
                    held = length if phase == "decode" else 0
                    yield Run(0, "simulated", "", "", model, "", phase, "e2e", "bf16", "bf16", batch, length, held, 0,
                              metric, 1.0, "")  # fmt: skip


def values_of(stack: Stack, rows: Sequence[Run], parameters: Mapping[str, float]) -> Array:
    """What the model says of every row with these parameters."""
    reader = Reader(stack.runtime, stack.device, stack.host)
    targets = [reader.case(row).target for row in rows]
    return Program(targets, reader.jobs, stack.device, stack.host, stack.runtime).predict(parameters)


def coverage(stack: Stack, rows: Sequence[Run], new: Sequence[Run], seeds: Sequence[int], noise: float) -> Coverage:
    """Draw a truth from the prior and noisy runs from the truth, fit them, and count, once for every seed."""
    fitted: list[bool] = []
    everything: list[bool] = []
    fresh: list[bool] = []
    before = stack.prior
    for seed in seeds:
        random = np.random.default_rng(seed)
        truth = before.values(before.centre + before.spread * random.standard_normal(len(before.names)))

        def noisy(
            these: Sequence[Run], truth: Mapping[str, float] = truth, draw: np.random.Generator = random
        ) -> Array:
            return values_of(stack, these, truth) * np.exp(noise * draw.standard_normal(len(these)))

        made = [row._replace(line=i, value=float(v)) for i, (row, v) in enumerate(zip(rows, noisy(rows), strict=True))]
        runs = Runs("simulated", "0" * 64, tuple(made))
        result = calibrate(runs, stack.device, stack.runtime, stack.host, Options(date="2000-01-01"))
        c = result.calibration
        inside = {name: e.low <= truth[name] <= e.high for name, e in c.parameters.items()}
        everything += list(inside.values())
        fitted += [inside[name] for name, e in c.parameters.items() if e.determined]
        later = [row._replace(value=float(v)) for row, v in zip(new, noisy(new), strict=True)]
        rows_of = validate_runs(Runs("simulated", "0" * 64, tuple(later)), stack.runtime, c).rows
        fresh += [row.covered for row in rows_of]
    return Coverage(float(np.mean(fitted)), float(np.mean(everything)), float(np.mean(fresh)))
