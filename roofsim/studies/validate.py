"""Predictions beside measured runs, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roofsim import library
from roofsim.foundation.errors import InputError, RoofsimError
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.fitted import calibrated
from roofsim.prediction.results import plain
from roofsim.prediction.setup import DEFAULT_RUNTIME, Setup
from roofsim.runs.cases import WHOLE_PASS, Case, Reader, Skip
from roofsim.runs.importers import read_runs
from roofsim.runs.program import Array, Program
from roofsim.runs.reading import Runs
from roofsim.runs.where import parse
from roofsim.specs.calibration import Calibration, interval
from roofsim.specs.runtime import Runtime
from roofsim.studies.uncertainty import covariance


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure and its prediction. `flags` say why a row is left out of summaries.

    `phase` is prefill or decode, or the name of the one operator that was measured; `interval` holds 95 %, with a
    calibration that has data of this kind.
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
    interval: tuple[float, float] | None = None

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted / self.measured - 1

    @property
    def covered(self) -> bool | None:
        """Whether the interval of the prediction holds the measurement."""
        return None if self.interval is None else self.interval[0] <= self.measured <= self.interval[1]


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
    coverage: float | None


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
    calibration: Calibration | None = None,
    *,
    where: str = "",
    transfer: bool = False,
    skip_bad_rows: bool = False,
    device: str | None = None,
) -> Validation:
    """Predict the rows of a file of runs; `device` is that of rows that name none.

    Raises InputError if the file cannot be read, lacks a column or has no row that can be predicted.
    """
    return validate_runs(read_runs(path, skip_bad_rows=skip_bad_rows), runtime, calibration, where, transfer, device)


def validate_runs(
    data: Runs,
    runtime: str | Runtime,
    calibration: Calibration | None = None,
    where: str = "",
    transfer: bool = False,
    device: str | None = None,
) -> Validation:
    """As `validate`, for runs that were read before; rows that name no device are of the calibration's."""
    keep = parse(where) if where else None
    reader = Reader(runtime, device or (calibration.device if calibration else None))
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
            rows += _predicted(reader, device, cases, calibration, transfer)
        except RoofsimError as error:
            why = str(error).split(";")[0]
            skipped[why] = skipped.get(why, 0) + len(cases)
    if not rows:
        most = sorted(skipped.items(), key=lambda item: -item[1])[:4]
        listed = "; ".join(f"{reason} ({n})" for reason, n in most)
        raise InputError(f"{data.file}: no row can be predicted: {listed or 'the file has none'}")
    rows.sort(key=lambda row: row.line)
    name = calibration.id or calibration.name if calibration else None
    return Validation(data.file, reader.runtime.id, name, tuple(rows), tuple(scores(rows)), skipped)


def _predicted(
    reader: Reader, device: str, cases: Sequence[Case], calibration: Calibration | None, transfer: bool
) -> Iterator[Row]:
    """The rows of one device."""
    found = library.device(device)
    host = library.host(found.host) if found.host else None
    program = Program([case.target for case in cases], reader.jobs, found, host, reader.runtime)
    s = Setup(ANY_MODEL, found, reader.runtime, host)
    if calibration:
        s = calibrated(s, calibration, transfer=transfer)
    predicted = program.predict(s.fitted)
    spread = _variances(s, program, cases) if s.calibration else [None] * len(cases)
    for case, value, variance in zip(cases, predicted.tolist(), spread, strict=True):
        run = case.run
        yield Row(
            run.line, case.device, case.model, phase_of(case), run.batch or 1, case.tokens, case.metric, case.measured,
            value, case.flags, None if variance is None else interval(value, variance),
        )  # fmt: skip


ANY_MODEL: Any = None
"""Setups of single operators have no model."""


def phase_of(case: Case) -> str:
    """The phase of a whole pass, or the operator that was measured."""
    return case.phase if case.run.op in WHOLE_PASS else case.run.op


def _variances(s: Setup, program: Program, cases: Sequence[Case]) -> list[float | None]:
    """The variance of the logarithm of every prediction; None for kinds of figure that were not calibrated."""
    c = s.calibration
    if c is None:
        return [None] * len(cases)
    values = {name: float(x) for name, x in s.machine(s.device.default_dtype).parameters.items()}
    names = tuple(values)
    slopes: Array = program.slopes(values, names)
    parameters = np.einsum("ij,jk,ik->i", slopes, covariance(s, names), slopes)
    waiting = program.host_bound(values)
    found: list[float | None] = []
    for case, extra, host in zip(cases, parameters.tolist(), waiting.tolist(), strict=True):
        each = c.scatter_of(case.metric, phase_of(case), host)
        found.append(None if each is None else extra + each.sigma**2)
    return found


def scores(rows: Sequence[Row]) -> Iterator[Score]:
    """One score per device, phase and metric, without flagged rows."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if not row.flags:
            groups.setdefault((row.device, row.phase, row.metric), []).append(row)
    for key, mine in sorted(groups.items()):
        errors = np.array([row.error for row in mine])
        sizes = np.abs(errors)
        inside = [row.covered for row in mine if row.covered is not None]
        yield Score(
            *key, len(mine), float(np.median(sizes)), float(np.quantile(sizes, 0.9)), float(sizes.max()),
            float(np.median(errors)), sum(inside) / len(inside) if inside else None,
        )  # fmt: skip
