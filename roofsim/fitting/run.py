"""From a file of runs to a calibration: which rows count, the fit, and its error on rows held out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from importlib.metadata import version
from statistics import median
from typing import Any, Literal

import numpy as np

from roofsim import library
from roofsim.engine.roofline import machine
from roofsim.fitting.fit import Fit, determined, fit, touched
from roofsim.fitting.problem import Prior, Problem, prior
from roofsim.foundation.errors import InputError
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import __version__
from roofsim.model.architecture import Architecture
from roofsim.runs.cases import Case, Reader, Sample, Skip
from roofsim.runs.names import made_with, unknown_device
from roofsim.runs.program import Array, Program
from roofsim.runs.reading import Run, Runs
from roofsim.runs.where import parse
from roofsim.specs.calibration import (
    NORMAL_95,
    SEVERAL,
    Calibration,
    Covariance,
    Covered,
    Dataset,
    Estimate,
    HeldOut,
    Scatter,
)
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime

FOLDS = 5
MOST = 20_000
"""Rows that are fitted at most; more of the same say no more of the parameters."""

UNBELIEVABLE = 50.0
"""A median ratio of measured to predicted beyond this is a unit mistaken, not a slow machine."""

METHOD = (
    "log residuals with a soft loss, priors from roofsim.parameters; 95 % intervals: covariance of the parameters "
    "(delta method) and scatter of held-out residuals, added in quadrature"
)

SPANS = ((0, 2047), (2048, 8191), (8192, 32767), (32768, 10**12))
"""Lengths by which errors are told."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the data beside its prediction by the fit, and by a fit that has not seen its configuration."""

    case: Case
    fitted: float
    held_out: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Relative error of the prediction that has not seen it."""
        return self.held_out / self.case.measured - 1

    @property
    def covered(self) -> bool:
        """Whether the 95 % interval of that prediction holds the measurement."""
        return self.low <= self.case.measured <= self.high


@dataclass(frozen=True, slots=True)
class Result:
    """A calibration with the rows behind it, why others were left out, and correlations of at least a half."""

    calibration: Calibration
    lines: tuple[Line, ...]
    skipped: Mapping[str, int]
    correlations: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True, slots=True)
class Options:
    """How to fit: a filter over rows, the number of folds, and whether rows of other software are let in.

    What is held out together are all figures of a configuration, or with `apart` of a model (or a single operator).
    `models` are networks that rows may name besides the library's, a single one that of rows that name none.
    """

    where: str = ""
    folds: int = FOLDS
    any_framework: bool = False
    name: str = ""
    source: str = ""
    date: str = field(default_factory=lambda: dt.datetime.now(dt.UTC).date().isoformat())
    apart: Literal["configuration", "model"] = "configuration"
    models: Sequence[Architecture] = ()


def calibrate(
    runs: Runs, device: Device, runtime: Runtime, host: Host | None, options: Options | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Result:  # fmt: skip
    """Fit the parameters of `device` with `runtime` behind `host` to measured runs.

    The same input gives the same result. Raises InputError if no row, or too few, can be used.
    """
    o = options or Options()
    skipped: dict[str, int] = {}
    reader = Reader(runtime, device, host, o.models)
    cases = _thinned(_cases(runs, reader, device, o, skipped), skipped)
    configurations = sorted({case.configuration for case in cases})
    if len(configurations) < SEVERAL:
        raise InputError(
            f"{runs.file}: {len(cases)} usable rows of {len(configurations)} configurations; a fit whose error is "
            f"measured on rows held out needs at least {SEVERAL} configurations{_why(skipped)}"
        )
    program = Program([case.target for case in cases], reader.jobs, device, host, runtime)
    problem = Problem(cases, program, expected(device, host, runtime))
    off = float(np.median(problem.residuals(problem.prior.centre)))
    if abs(off) > np.log(UNBELIEVABLE):
        raise InputError(
            f"{runs.file}: measured figures are {np.exp(-off):.3g} times the predicted ones on {device.id} with "
            f"{runtime.id}; is a unit or the device wrong?"
        )
    everything = np.ones(len(cases), dtype=bool)
    found = determined(problem, touched(problem), everything, progress)
    fold = dealt([_name(case, o.apart) for case in cases], o.folds)
    if fold.max() == 0:
        raise InputError(f"{runs.file}: all rows are of one {o.apart}; none can be held out")
    residuals, slack = _held_out(problem, found, fold, progress)
    return _result(runs, device, runtime, host, o, problem, found, residuals, slack, skipped)


def expected(device: Device, host: Host | None, runtime: Runtime) -> Prior:
    """What parameters are expected to be: as the device and the host state them, else as in others of their class."""
    values = machine(device, host, device.default_dtype, None, runtime).parameters
    return prior({name: float(x) for name, x in values.items()}, library.priors(device, runtime).spreads)


def _cases(runs: Runs, reader: Reader, device: Device, o: Options, skipped: dict[str, int]) -> list[Case]:
    """The rows of this device and runtime that the model has a figure for; counts the others by reason."""
    keep = parse(o.where, runs.runs) if o.where else None
    cases: list[Case] = []

    def skip(reason: str) -> None:
        skipped[reason] = skipped.get(reason, 0) + 1

    wanted: list[Run] = []
    for run in runs.runs:
        if keep and not keep(run):
            skip("left out by --where")
        elif run.stated("suspect"):
            skip("marked suspect=1")
        elif not o.any_framework and not made_with(run, reader.runtime):
            skip(f"made with {run.framework}, not {reader.runtime.id}")
        else:
            try:
                found = reader.device(run)
            except Skip as reason:
                skip(str(reason))
                continue
            if found.id != device.id:
                skip(f"measured on {found.id}")
            else:
                wanted.append(run)
    sample = Sample(wanted)
    for run in wanted:
        try:
            sample.check(run)
            cases.append(reader.case(run))
        except Skip as reason:
            skip(str(reason))
    if not cases:
        why = f"{_why(skipped)}{unknown_device(skipped)}"
        raise InputError(f"{runs.file}: no row to fit {device.id} with {reader.runtime.id}{why}")
    return cases


def _thinned(cases: list[Case], skipped: dict[str, int]) -> list[Case]:
    """No more cases than a fit takes minutes for: every so many of each configuration, in the order of their lines."""
    every = -(-len(cases) // MOST)
    if every <= 1:
        return cases
    kept = sorted(cases, key=lambda case: (case.configuration, case.metric, case.run.line))[::every]
    skipped[f"one in {every} is enough"] = len(cases) - len(kept)
    return sorted(kept, key=lambda case: case.run.line)


def _why(skipped: Mapping[str, int], most: int = 4) -> str:
    reasons = sorted(skipped.items(), key=lambda item: -item[1])
    listed = "".join(f"\n  {n} rows: {reason}" for reason, n in reasons[:most])
    more = sum(n for _, n in reasons[most:])
    return f"; left out:{listed}" + (f"\n  {more} rows: other reasons" if more else "") if reasons else ""


def _held_out(problem: Problem, found: Fit, fold: Array, progress: Callable[[], None]) -> tuple[Array, Array]:
    """Residuals of every case from a fit that has not seen its fold, and what the parameters add to them."""
    residuals, slack = np.zeros(len(fold)), np.zeros(len(fold))
    for k in range(fold.max() + 1):
        out = fold == k
        part = fit(problem, found.varied, ~out, found, passes=1)
        residuals[out] = problem.residuals(part.free)[out]
        slopes = problem.jacobian(part.free, np.arange(len(part.free)))[out]
        slack[out] = np.einsum("ij,jk,ik->i", slopes, part.covariance, slopes)
        progress()
    return residuals, slack


def _name(case: Case, apart: str) -> str:
    """What a case is held out together with."""
    return case.configuration if apart == "configuration" else case.model or case.run.op


def dealt(names: Sequence[str], folds: int) -> Array:
    """The fold of every case: names dealt out in their order, so that each fold has some of every kind."""
    place = {name: i % folds for i, name in enumerate(sorted(set(names)))}
    return np.array([place[name] for name in names])


def spread_of(residuals: Array) -> float:
    """Root mean square of held-out residuals, with what a small sample hides (Student's t in place of the normal).

    The largest twentieth counts as the largest of the others: one wild row does not widen every interval.
    """
    sizes = np.sort(np.abs(residuals))
    cap = sizes[max(int(np.ceil(0.95 * len(sizes))) - 1, 0)]
    capped = np.minimum(sizes, cap)
    # the cap takes 16 % off the variance of a normal sample
    rms = float(np.sqrt(np.mean(capped**2) / (1 - 0.16 * (len(sizes) >= 20))))
    return max(rms, float(np.quantile(sizes, 0.95)) / NORMAL_95) * _student(len(sizes)) / NORMAL_95


def _student(n: int) -> float:
    """The 97.5 % quantile of Student's t with n degrees of freedom (Cornish and Fisher's series)."""
    z = NORMAL_95
    return min(z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2), 4 * z)


def _result(
    runs: Runs, device: Device, runtime: Runtime, host: Host | None, o: Options, problem: Problem, found: Fit,
    residuals: Array, slack: Array, skipped: Mapping[str, int],
) -> Result:  # fmt: skip
    cases = problem.cases
    scatter, sigma = _scatter(problem, found, residuals)
    fitted = problem.residuals(found.free)
    factor = np.exp(NORMAL_95 * np.sqrt(sigma**2 + slack))
    measured = np.array([case.measured for case in cases])
    lines = tuple(
        Line(case, m * float(np.exp(f)), m * float(np.exp(h)), m * float(np.exp(h) / g), m * float(np.exp(h) * g))
        for case, m, f, h, g in zip(cases, measured, fitted, residuals, factor, strict=True)
    )
    estimates, covariance, correlations = _estimates(problem, found)
    calibration = Calibration(
        name=o.name or f"{device.name} with {runtime.name}, {runs.file}",
        device=device.id,
        runtime=runtime.id,
        host=host.id if host and runtime.host.mode != "none" else None,
        date=o.date,
        versions={"roofsim": __version__, **{name: version(name) for name in ("numpy", "scipy")}},
        source=o.source,
        dataset=Dataset(file=runs.file, sha256=runs.digest, rows=len(runs.runs), used=len(cases), where=o.where),
        method=METHOD,
        covered=_covered(cases),
        parameters=estimates,
        scatter=scatter,
        held_out=tuple(held_out_errors(lines)),
        covariance=covariance,
        notes=tuple(_notes(problem, found)),
    )
    return Result(calibration, lines, skipped, correlations)


FEW = 4
"""Rows without which a kind of figure has no scatter of its own for hosts that take longer than devices."""


def _scatter(problem: Problem, found: Fit, residuals: Array) -> tuple[tuple[Scatter, ...], Array]:
    """The scatter of every kind of figure, and of every case."""
    cases = problem.cases
    waiting = problem.program.host_bound(problem.prior.values(found.free))
    flagged = np.array([bool(case.flags) for case in cases])
    kinds = np.array([f"{case.metric} {_phase(case)}" for case in cases])
    rows, sigma = [], np.zeros(len(cases))
    for kind in np.unique(kinds):
        mine = kinds == kind
        split = min((mine & waiting).sum(), (mine & ~waiting).sum()) >= FEW
        for host in (False, True) if split else (bool((mine & waiting).sum() > (mine & ~waiting).sum()),):
            part = mine & (waiting == host) if split else mine
            scored = part & ~flagged if (part & ~flagged).any() else part
            sigma[part] = spread_of(residuals[scored])
            metric, _, phase = str(kind).partition(" ")
            each = _short(float(sigma[part][0]))
            rows.append(Scatter(metric=metric, phase=phase, host=host, sigma=each, rows=int(scored.sum())))
    return tuple(rows), sigma


def _phase(case: Case) -> str:
    """The phase of a whole pass; the name of a single operator."""
    return case.group.split(" ", 1)[1]


def _short(x: float) -> float:
    """Four digits are more than any of these figures can tell."""
    return float(f"{x:.4g}")


def _estimates(
    problem: Problem, found: Fit
) -> tuple[dict[str, Estimate], Covariance, tuple[tuple[str, str, float], ...]]:
    before = problem.prior
    values = before.values(found.free)
    varied = {before.names[i] for i in found.varied}
    deviations = np.sqrt(np.diag(found.covariance))
    estimates = {}
    for i, name in enumerate(before.names):
        row = PARAMETERS[name]
        centre, width = float(found.free[i]), NORMAL_95 * float(deviations[i])
        estimates[name] = Estimate(
            value=float(f"{values[name]:.6g}"), low=_short(row.bounded(centre - width)),
            high=_short(row.bounded(centre + width)), prior=_short(row.bounded(float(before.centre[i]))),
            determined=name in varied,
        )  # fmt: skip
    lower = tuple(tuple(_short(float(c)) for c in row[: i + 1]) for i, row in enumerate(found.covariance))
    correlation = found.covariance / np.outer(deviations, deviations)
    strong = [
        (before.names[i], before.names[j], float(correlation[i, j]))
        for i in range(len(before.names))
        for j in range(i)
        if abs(correlation[i, j]) >= 0.5
    ]
    return estimates, Covariance(names=before.names, lower=lower), tuple(sorted(strong, key=lambda s: -abs(s[2])))


def _covered(cases: Sequence[Case]) -> Covered:
    batches = [case.run.batch or 1 for case in cases]
    tokens = [case.tokens for case in cases if case.tokens] or [1]
    return Covered(
        batch=(min(batches), max(batches)),
        tokens=(min(tokens), max(tokens)),
        models=tuple(sorted({case.model for case in cases if case.model})),
        kinds=tuple(sorted({kind for case in cases for kind in case.kinds})),
        weights=several((case.weights, case.configuration) for case in cases),
        caches=several((case.cache, case.configuration) for case in cases),
    )


def several(seen: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Formats of as many configurations as can be held out: of fewer, their error was not measured."""
    found: dict[str, set[str]] = {}
    for name, configuration in seen:
        found.setdefault(name, set()).add(configuration)
    return tuple(sorted(name for name, of in found.items() if name and len(of) >= SEVERAL))


def _notes(problem: Problem, found: Fit) -> Iterator[str]:
    names = np.array(problem.prior.names)
    seen = set(touched(problem))
    left = [str(names[i]) for i in sorted(seen - set(found.varied))]
    unseen = [str(name) for i, name in enumerate(names) if i not in seen]
    if left:
        yield f"not determined by the data, kept at the prior: {', '.join(left)}"
    if unseen:
        yield f"no row depends on: {', '.join(unseen)}"


def held_out_errors(lines: Sequence[Line]) -> Iterator[HeldOut]:
    """Errors by metric and phase, over all lengths and by span of length; flagged rows are left out."""
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for line in lines:
        if line.case.flags:
            continue
        key = (line.case.metric, _phase(line.case))
        groups.setdefault((*key, "all"), []).append(line)
        for low, high in SPANS:
            if line.case.tokens and low <= line.case.tokens <= high:
                span = f"{low:,}-{high:,}" if high < 10**12 else f"{low:,}-"
                groups.setdefault((*key, span), []).append(line)
    order = ["all", *(f"{low:,}-{high:,}" if high < 10**12 else f"{low:,}-" for low, high in SPANS)]
    for (metric, phase, span), mine in sorted(groups.items(), key=lambda g: (*g[0][:2], order.index(g[0][2]))):
        sizes = [abs(line.error) for line in mine]
        yield HeldOut(
            metric=metric, phase=phase, lengths=span, rows=len(mine), median_error=_short(median(sizes)),
            p90_error=_short(float(np.quantile(sizes, 0.9))), bias=_short(median(line.error for line in mine)),
            coverage=_short(sum(line.covered for line in mine) / len(mine)),
        )  # fmt: skip


def plain(result: Result) -> dict[str, Any]:
    """The rows behind a calibration, as plain values."""
    return {
        "skipped": dict(result.skipped),
        "correlations": [list(each) for each in result.correlations],
        "rows": [
            {"line": x.case.run.line, "model": x.case.model, "metric": x.case.metric, "phase": _phase(x.case),
             "batch": x.case.run.batch, "tokens": x.case.tokens, "measured": x.case.measured, "fitted": x.fitted,
             "held_out": x.held_out, "interval": [x.low, x.high]}
            for x in result.lines
        ],
    }  # fmt: skip
