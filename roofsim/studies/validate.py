"""Predictions beside measured runs, row by row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from roofsim import library
from roofsim.foundation.errors import InputError, RoofsimError, UnknownName, Unsupported
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.model.architecture import Architecture
from roofsim.prediction.fitted import AUTO, NONE, Doubt, chosen, doubt, doubted
from roofsim.prediction.intervals import reaching, scatter, variance
from roofsim.prediction.results import plain
from roofsim.prediction.setup import DEFAULT_RUNTIME, Setup
from roofsim.runs.cases import WHOLE_PASS, Case, Reader, Sample, Skip
from roofsim.runs.importers import read_runs
from roofsim.runs.names import unknown_device
from roofsim.runs.program import Array, Program
from roofsim.runs.reading import Runs
from roofsim.runs.stacks import runtime_of
from roofsim.runs.where import parse
from roofsim.specs.calibration import Calibration, interval
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure and its prediction. `flags` say why a row is left out of summaries.

    `phase` is prefill or decode, or the name of the one operator that was measured; `interval` holds 95 %. `prompt` is
    the length that was read, or what was held.
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

    `coverage` is the share of the measurements inside the intervals of their predictions, nan where these are of no
    width: counts are exact and claim no more.
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
    coverage: float


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
    path: str, runtime: str | Runtime | None = None, calibration: str | Calibration | None = NONE, *,
    skip_bad_rows: bool = False, stated: Mapping[str, object] | None = None, **more: Any,
) -> Validation:  # fmt: skip
    """Predict the rows of a file of runs; `more` is what `validate_runs` takes besides.

    `stated` are sizes and the weight format of rows that state none, by the names that a run has for them.

    `calibration` is one by name or path, "auto" for the shipped ones of the devices in the file, or "none": what is
    scored with a fit to these very rows says how well they were fitted, not how well others are predicted. Raises
    InputError if the file cannot be read, lacks a column or has no row that can be predicted.
    """
    data = read_runs(path, skip_bad_rows=skip_bad_rows).stating(**(stated or {}))
    return validate_runs(data, runtime, calibration, **more)


STEP = 256
"""Rows after which progress is told."""


def validate_runs(
    data: Runs, runtime: str | Runtime | None = None, calibration: str | Calibration | None = NONE, where: str = "",
    transfer: bool = False, device: str | Device | None = None, models: Sequence[Architecture] = (),
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Validation:  # fmt: skip
    """As `validate`, for runs that were read before.

    `runtime` is that of all rows; without it `framework` of each row says which, and that of the calibration, or the
    default, is that of rows that say nothing. `device` is that of rows that name none or name it by the words of its
    own file, the calibration's if none is given; `models` are networks that rows may name besides the library's.
    `progress` is told of how many rows how many were looked at.
    """
    keep = parse(where, data.runs) if where else None
    if isinstance(calibration, str) and calibration not in (AUTO, NONE):
        calibration = library.calibration(calibration)
    given = calibration if isinstance(calibration, Calibration) else None
    own = library.device(device) if isinstance(device, str) else device or _device_of(given)
    usual = runtime or (given.runtime if given else DEFAULT_RUNTIME)
    readers: dict[str | None, Reader] = {}
    cases: dict[tuple[str | None, str], list[Case]] = {}
    setups: list[Setup] = []
    skipped: dict[str, int] = {}

    def skip(reason: str, rows: int = 1) -> None:
        skipped[reason] = skipped.get(reason, 0) + rows

    looked_at = [keep(run) for run in data.runs] if keep else [True] * len(data.runs)
    sample = Sample(run for run, wanted in zip(data.runs, looked_at, strict=True) if wanted)
    for number, (run, wanted) in enumerate(zip(data.runs, looked_at, strict=True), 1):
        if number % STEP == 0:
            progress(number, len(data.runs))
        try:
            if not wanted:
                raise Skip("left out by --where")
            sample.check(run)
            named = None if runtime else runtime_of(run, own)
            if named not in readers:
                readers[named] = Reader(named or usual, own, models=models)
            case = readers[named].case(run)
            cases.setdefault((named, case.device), []).append(case)
        except (Skip, Unsupported) as reason:
            skip(str(reason))
    rows: list[Row] = []
    for (named, _), mine in cases.items():
        try:
            s = chosen(_setup(readers[named], mine[0]), calibration, transfer=transfer)
            rows += _predicted(s, readers[named], mine)
            setups.append(s)
        except RoofsimError as error:
            skip(str(error).split(";")[0], len(mine))
    if not rows:
        most = sorted(skipped.items(), key=lambda item: -item[1])[:4]
        listed = "; ".join(f"{reason} ({n})" for reason, n in most)
        why = f"{listed or 'the file has none'}{unknown_device(skipped)}"
        raise InputError(f"{data.file}: no row can be predicted: {why}")
    for row in rows:
        if row.flags:
            skip(f"marked {' and '.join(f'{flag}=1' for flag in row.flags)}: predicted, not scored")
    for bad in data.bad:
        skip(f"cannot be read: {bad.reason}")
    rows.sort(key=lambda row: row.line)
    names = dict.fromkeys(s.calibration_name for s in setups if s.calibration_name)
    return Validation(
        file=data.file,
        runtime=readers[None].runtime.id if runtime else None,
        calibration=", ".join(names) or None,
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


def _setup(reader: Reader, case: Case) -> Setup:
    """The device, the host and the runtime of a case, without a model."""
    found = reader.device(case.run)
    return Setup(ANY_MODEL, found, reader.runtime, library.host(found.host) if found.host else None)


def _predicted(s: Setup, reader: Reader, cases: Sequence[Case]) -> Iterator[Row]:
    """The rows of one device with one runtime."""
    program = Program([case.target for case in cases], reader.jobs, s.device, s.host, s.runtime)
    predicted = program.predict(s.fitted)
    spread = _variances(s, program, cases)
    may = iter(_otherwise(s, reader, cases))
    for case, value, off in zip(cases, predicted.tolist(), spread, strict=True):
        run, others = case.run, [next(may) for _ in case.otherwise]
        yield Row(
            run.line, case.device, s.runtime.id, case.model, phase_of(case), run.batch or 1, case.tokens,
            case.metric, case.measured, value, case.flags, reaching(value, interval(value, off), others),
        )  # fmt: skip


def _otherwise(s: Setup, reader: Reader, cases: Sequence[Case]) -> list[float]:
    """The figures of what runs may have been instead, those of each case in a row."""
    targets = [target for case in cases for target in case.otherwise]
    if not targets:
        return []
    found: list[float] = Program(targets, reader.jobs, s.device, s.host, s.runtime).predict(s.fitted).tolist()
    return found


ANY_MODEL: Any = None
"""Setups of single operators have no model."""


def phase_of(case: Case) -> str:
    """The phase of a whole pass, or the operator that was measured."""
    return case.phase if case.run.op in WHOLE_PASS else case.run.op


def _variances(s: Setup, program: Program, cases: Sequence[Case]) -> list[float]:
    """The variance of the logarithm of every prediction."""
    values = {name: float(x) for name, x in s.machine(s.device.default_dtype).parameters.items()}
    slopes: Array = program.slopes(values, tuple(values))
    waiting = program.host_bound(values)
    alike: dict[Doubt, list[int]] = {}
    for i, case in enumerate(cases):
        alike.setdefault(doubt(s, case.reach), []).append(i)
    found = np.zeros(len(cases))
    for each, mine in alike.items():
        known = doubted(s, each)
        parameters: Any = variance(known, dict(zip(values, slopes[mine].T, strict=True)))
        sigma = [scatter(known, (cases[i].metric, phase_of(cases[i])), bool(waiting[i])) for i in mine]
        found[mine] = parameters + np.square(sigma)
    return [float(x) for x in found]


def scores(rows: Sequence[Row]) -> Iterator[Score]:
    """One score per device, runtime, phase and metric, without flagged rows."""
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        if not row.flags:
            groups.setdefault((row.device, row.runtime, row.phase, row.metric), []).append(row)
    for key, mine in sorted(groups.items()):
        errors = np.array([row.error for row in mine])
        sizes = np.abs(errors)
        inside = [row.covered for row in mine if row.interval[0] < row.interval[1]]
        yield Score(
            *key, len(mine), float(np.median(sizes)), float(np.quantile(sizes, 0.9)), float(sizes.max()),
            float(np.median(errors)), sum(inside) / len(inside) if inside else math.nan,
        )  # fmt: skip
