"""Predictions beside measured runs, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roofsim import library
from roofsim.foundation.errors import InputError, RoofsimError
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.fitted import AUTO, NONE, chosen
from roofsim.prediction.intervals import scatter, variance
from roofsim.prediction.results import plain
from roofsim.prediction.setup import DEFAULT_RUNTIME, Setup
from roofsim.runs.cases import WHOLE_PASS, Case, Reader, Skip
from roofsim.runs.importers import read_runs
from roofsim.runs.program import Array, Program
from roofsim.runs.reading import Runs
from roofsim.runs.where import parse
from roofsim.specs.calibration import Calibration, interval
from roofsim.specs.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure and its prediction. `flags` say why a row is left out of summaries.

    `phase` is prefill or decode, or the name of the one operator that was measured; `interval` holds 95 %.
    """

    line: int
    device: str
    model: str
    phase: str
    batch: int
    prompt: int
    metric: str
    measured: float
    predicted: float
    flags: tuple[str, ...]
    interval: tuple[float, float]

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted / self.measured - 1

    @property
    def covered(self) -> bool:
        """Whether the interval of the prediction holds the measurement."""
        return self.interval[0] <= self.measured <= self.interval[1]


@dataclass(frozen=True, slots=True)
class Score:
    """How well one kind of figure is predicted: sizes of relative errors over `rows` rows, and their median sign.

    `coverage` is the share of the measurements inside the intervals of their predictions.
    """

    device: str
    phase: str
    metric: str
    rows: int
    median_error: float
    p90_error: float
    worst_error: float
    bias: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Every row of a file that could be predicted, the scores, and why other rows were not."""

    file: str
    runtime: str
    calibration: str | None
    rows: tuple[Row, ...]
    scores: tuple[Score, ...]
    skipped: Mapping[str, int]

    def worst(self, most: int) -> list[Row]:
        """The rows with the largest errors, flagged ones left out."""
        return sorted((row for row in self.rows if not row.flags), key=lambda row: -abs(np.log1p(row.error)))[:most]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        data: dict[str, Any] = plain(self)
        for row, each in zip(data["rows"], self.rows, strict=True):
            row["error"] = each.error
        return {"schema": SCHEMA, **data}


def validate(
    path: str,
    runtime: str | Runtime = DEFAULT_RUNTIME,
    calibration: str | Calibration = NONE,
    *,
    where: str = "",
    transfer: bool = False,
    skip_bad_rows: bool = False,
    device: str | None = None,
) -> Validation:
    """Predict the rows of a file of runs; `device` is that of rows that name none.

    `calibration` is one by name or path, "auto" for the shipped ones of the devices in the file, or "none": what is
    scored with a fit to these very rows says how well they were fitted, not how well others are predicted. Raises
    InputError if the file cannot be read, lacks a column or has no row that can be predicted.
    """
    return validate_runs(read_runs(path, skip_bad_rows=skip_bad_rows), runtime, calibration, where, transfer, device)


def validate_runs(
    data: Runs,
    runtime: str | Runtime,
    calibration: str | Calibration = NONE,
    where: str = "",
    transfer: bool = False,
    device: str | None = None,
) -> Validation:
    """As `validate`, for runs that were read before; rows that name no device are of the calibration's."""
    keep = parse(where) if where else None
    if isinstance(calibration, str) and calibration not in (AUTO, NONE):
        calibration = library.calibration(calibration)
    reader = Reader(runtime, device or (calibration.device if isinstance(calibration, Calibration) else None))
    setups: list[Setup] = []
    skipped: dict[str, int] = {}
    by_device: dict[str, list[Case]] = {}
    for run in data.runs:
        try:
            if keep and not keep(run):
                raise Skip("left out by --where")
            case = reader.case(run)
            by_device.setdefault(case.device, []).append(case)
        except Skip as reason:
            skipped[str(reason)] = skipped.get(str(reason), 0) + 1
    rows: list[Row] = []
    for device, cases in by_device.items():
        try:
            found = library.device(device)
            host = library.host(found.host) if found.host else None
            s = chosen(Setup(ANY_MODEL, found, reader.runtime, host), calibration, transfer=transfer)
            rows += _predicted(s, reader, cases)
            setups.append(s)
        except RoofsimError as error:
            why = str(error).split(";")[0]
            skipped[why] = skipped.get(why, 0) + len(cases)
    if not rows:
        most = sorted(skipped.items(), key=lambda item: -item[1])[:4]
        listed = "; ".join(f"{reason} ({n})" for reason, n in most)
        raise InputError(f"{data.file}: no row can be predicted: {listed or 'the file has none'}")
    rows.sort(key=lambda row: row.line)
    names = dict.fromkeys(s.calibration_name for s in setups if s.calibration_name)
    return Validation(data.file, reader.runtime.id, ", ".join(names) or None, tuple(rows), tuple(scores(rows)), skipped)


def _predicted(s: Setup, reader: Reader, cases: Sequence[Case]) -> Iterator[Row]:
    """The rows of one device."""
    program = Program([case.target for case in cases], reader.jobs, s.device, s.host, s.runtime)
    predicted = program.predict(s.fitted)
    spread = _variances(s, program, cases)
    for case, value, off in zip(cases, predicted.tolist(), spread, strict=True):
        run = case.run
        yield Row(
            run.line, case.device, case.model, phase_of(case), run.batch or 1, case.tokens, case.metric, case.measured,
            value, case.flags, interval(value, off),
        )  # fmt: skip


ANY_MODEL: Any = None
"""Setups of single operators have no model."""


def phase_of(case: Case) -> str:
    """The phase of a whole pass, or the operator that was measured."""
    return case.phase if case.run.op in WHOLE_PASS else case.run.op


def _variances(s: Setup, program: Program, cases: Sequence[Case]) -> list[float]:
    """The variance of the logarithm of every prediction."""
    values = {name: float(x) for name, x in s.machine(s.device.default_dtype).parameters.items()}
    slopes: Array = program.slopes(values, tuple(values))
    parameters: Any = variance(s, dict(zip(values, slopes.T, strict=True)))
    waiting = program.host_bound(values)
    sigma = [scatter(s, (c.metric, phase_of(c)), bool(h)) for c, h in zip(cases, waiting, strict=True)]
    return [float(x) for x in parameters + np.square(sigma)]


def scores(rows: Sequence[Row]) -> Iterator[Score]:
    """One score per device, phase and metric, without flagged rows."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if not row.flags:
            groups.setdefault((row.device, row.phase, row.metric), []).append(row)
    for key, mine in sorted(groups.items()):
        errors = np.array([row.error for row in mine])
        sizes = np.abs(errors)
        inside = [row.covered for row in mine]
        yield Score(
            *key, len(mine), float(np.median(sizes)), float(np.quantile(sizes, 0.9)), float(sizes.max()),
            float(np.median(errors)), sum(inside) / len(inside),
        )  # fmt: skip
