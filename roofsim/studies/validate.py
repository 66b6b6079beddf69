"""Predictions beside measured runs, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roofsim import library
from roofsim.foundation.errors import InputError, RoofsimError, UnknownName, Unsupported
from roofsim.foundation.version import SCHEMA
from roofsim.model.architecture import Architecture
from roofsim.prediction.fitted import calibrated
from roofsim.prediction.results import plain
from roofsim.prediction.setup import DEFAULT_RUNTIME, Setup
from roofsim.runs.cases import WHOLE_PASS, Case, Reader, Skip
from roofsim.runs.importers import read_runs
from roofsim.runs.program import Array, Program
from roofsim.runs.reading import Runs
from roofsim.runs.stacks import runtime_of
from roofsim.runs.where import parse
from roofsim.specs.calibration import Calibration, interval
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime
from roofsim.studies.uncertainty import covariance


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure and its prediction. `flags` say why a row is left out of summaries.

    `phase` is prefill or decode, or the name of the one operator that was measured; `interval` holds 95 %, with a
    calibration that has data of this kind. `prompt` is the length that was read, or what was held.
    """

    line: int
    device: str
    runtime: str
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
    runtime: str
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
    """Every row of a file that could be predicted, the scores, and how many rows were not scored for which reason.

    `figures` is how many measured figures the file holds: those `scored` and those `skipped` are all of them.
    `runtime` is None where each row says what it was made with.
    """

    file: str
    runtime: str | None
    calibration: str | None
    figures: int
    scored: int
    skipped: Mapping[str, int]
    scores: tuple[Score, ...]
    rows: tuple[Row, ...]

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
    path: str, runtime: str | Runtime | None = None, calibration: Calibration | None = None, *,
    skip_bad_rows: bool = False, **more: Any,
) -> Validation:  # fmt: skip
    """Predict the rows of a file of runs; `more` is what `validate_runs` takes besides.

    Raises InputError if the file cannot be read, lacks a column or has no row that can be predicted.
    """
    return validate_runs(read_runs(path, skip_bad_rows=skip_bad_rows), runtime, calibration, **more)


def validate_runs(
    data: Runs, runtime: str | Runtime | None = None, calibration: Calibration | None = None, where: str = "",
    transfer: bool = False, device: str | Device | None = None, models: Sequence[Architecture] = (),
) -> Validation:  # fmt: skip
    """As `validate`, for runs that were read before.

    `runtime` is that of all rows; without it `framework` of each row says which, and that of the calibration, or the
    default, is that of rows that say nothing. `device` is that of rows that name none or name it by the words of its
    own file, the calibration's if none is given; `models` are networks that rows may name besides the library's.
    """
    keep = parse(where) if where else None
    own = library.device(device) if isinstance(device, str) else device or _device_of(calibration)
    usual = runtime or (calibration.runtime if calibration else DEFAULT_RUNTIME)
    readers: dict[str | None, Reader] = {}
    cases: dict[tuple[str | None, str], list[Case]] = {}
    skipped: dict[str, int] = {}

    def skip(reason: str, rows: int = 1) -> None:
        skipped[reason] = skipped.get(reason, 0) + rows

    for run in data.runs:
        try:
            if keep and not keep(run):
                raise Skip("left out by --where")
            named = None if runtime else runtime_of(run)
            if named not in readers:
                readers[named] = Reader(named or usual, own, models=models)
            case = readers[named].case(run)
            cases.setdefault((named, case.device), []).append(case)
        except (Skip, Unsupported) as reason:
            skip(str(reason))
    rows: list[Row] = []
    for (named, _), mine in cases.items():
        try:
            rows += _predicted(readers[named], mine, calibration, transfer)
        except RoofsimError as error:
            skip(str(error).split(";")[0], len(mine))
    if not rows:
        most = sorted(skipped.items(), key=lambda item: -item[1])[:4]
        listed = "; ".join(f"{reason} ({n})" for reason, n in most)
        raise InputError(f"{data.file}: no row can be predicted: {listed or 'the file has none'}")
    for row in rows:
        if row.flags:
            skip(f"marked {' and '.join(f'{flag}=1' for flag in row.flags)}: predicted, not scored")
    for bad in data.bad:
        skip(f"cannot be read: {bad.reason}")
    rows.sort(key=lambda row: row.line)
    return Validation(
        file=data.file,
        runtime=readers[None].runtime.id if runtime else None,
        calibration=calibration.id or calibration.name if calibration else None,
        figures=len(data.runs) + len(data.bad),
        scored=sum(not row.flags for row in rows),
        skipped=skipped,
        scores=tuple(scores(rows)),
        rows=tuple(rows),
    )


def _device_of(calibration: Calibration | None) -> Device | None:
    """The device of a calibration, if it is among those that can be found by name."""
    try:
        return library.device(calibration.device) if calibration else None
    except UnknownName:
        return None


def _predicted(reader: Reader, cases: Sequence[Case], calibration: Calibration | None, transfer: bool) -> Iterator[Row]:
    """The rows of one device with one runtime."""
    found = reader.device(cases[0].run)
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
            run.line, case.device, reader.runtime.id, case.model, phase_of(case), run.batch or 1, case.tokens,
            case.metric, case.measured, value, case.flags, None if variance is None else interval(value, variance),
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
    """One score per device, runtime, phase and metric, without flagged rows."""
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        if not row.flags:
            groups.setdefault((row.device, row.runtime, row.phase, row.metric), []).append(row)
    for key, mine in sorted(groups.items()):
        errors = np.array([row.error for row in mine])
        sizes = np.abs(errors)
        inside = [row.covered for row in mine if row.covered is not None]
        yield Score(
            *key, len(mine), float(np.median(sizes)), float(np.quantile(sizes, 0.9)), float(sizes.max()),
            float(np.median(errors)), sum(inside) / len(inside) if inside else None,
        )  # fmt: skip
