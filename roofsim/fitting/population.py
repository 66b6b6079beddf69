"""What parameters are like in all devices and runtimes that were measured, so that others can be expected to be so.

Every stack (a device with a runtime) is fitted alone. A parameter of a stack, on its scale without limits, is then
taken as a mean plus random effects of the class of its device, of the device, of its runtime and of the stack, each
normal; how large they are is what makes the fits most likely (empirical Bayes), about what was read by hand before.
What is expected of a stack follows from all others as in kriging: classes that were seen often speak for themselves,
others lean on the rest. What whole models are off by beyond that is seen on stacks that are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.optimize import minimize

from roofsim import library
from roofsim.engine.roofline import of_host
from roofsim.fitting.fit import START, Fit, fit, touched
from roofsim.fitting.problem import Prior, Problem, prior
from roofsim.foundation.errors import InputError
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.values import dataclass
from roofsim.prediction.fitted import MEASURED_APART, SIBLING
from roofsim.runs.cases import WHOLE_PASS, Case, Reader, Skip
from roofsim.runs.operators import PARTS
from roofsim.runs.program import Array, Program
from roofsim.runs.reading import Run, Runs
from roofsim.runs.stacks import runtime_of
from roofsim.runs.where import parse
from roofsim.specs.calibration import NORMAL_95, PHASES, TIMES, Scatter
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.kinds import kind_named
from roofsim.specs.population import OF_OPERATORS, Group, LeftOut, Typical, device_class, runtime_class
from roofsim.specs.runtime import Runtime

MOST = 120
"""Rows of one kind of figure that a stack is fitted to at most; more of the same say no more of the parameters."""
CALL = 2e-4
"""Seconds below which an operator that is called from Python takes as long as the call: it says nothing of the device
(tools/calibrate_shipped.py)."""
FIXED_TIMES = ("kernel_time", "strided_kernel_time", "tensor_kernel_time", "attention_kernel_time")
"""What operators that are timed one by one do not tell: the gap before the next one counts as theirs, where within a
pass kernels follow closely."""
PROFILED = ("microsoft/vidur", "casys-kaist/LLMServingSim")
"""Sources of latencies that are sums of kernels' durations (`RecordFunctionTracer`, `layerwise_profile`), as are all
that a profiler's name sums (`PARTS`)."""
SMALL = "kernel_time"
"""The fixed time that durations by a profiler tell: that of a kernel that does little."""
SAYS_LITTLE = 0.8
"""A fit that leaves this much of the variance that was expected of a parameter says next to nothing of it."""
SHARE, DOUBT = 0.4, 0.8
"""How large each random effect is expected to be, as a share of the spread that was read by hand, and how much the
logarithm of that may be off: effects that few stacks tell of stay near."""
FEW = 6
"""Rows without which a kind of figure has no scatter of its own, and fits without which none of them is wild."""
REACH = 3.0
"""Robust standard deviations beyond which a fit is wild."""

Key = tuple[str, str, bool]
"""A kind of figure: metric, phase or kind of a single operator, whether the host matters."""


@dataclass(frozen=True)
class Stack:
    """One device with one runtime: its cases, all of whole passes or all of single operators."""

    device: Device
    host: Host | None
    runtime: Runtime
    cases: tuple[Case, ...]
    program: Program

    @property
    def classes(self) -> tuple[str, str]:
        """The classes of the device and of the runtime."""
        return device_class(self.device), runtime_class(self.runtime)

    @property
    def chip(self) -> str:
        """The device, whatever its mode."""
        return self.device.id.partition("@")[0]

    @cached_property
    def before(self) -> Prior:
        """What was read by hand of all devices; what this one states as its software or its host define it."""
        values = self.own({name: row.prior for name, row in PARAMETERS.items()})
        return prior(values, {name: row.free_spread for name, row in PARAMETERS.items()})

    def own(self, values: Mapping[str, float]) -> dict[str, float]:
        """Values of parameters in general, and what is known of this stack without a measurement of its speed."""
        stated = {name: float(x.value) for name, x in library.stated(self.device).items() if name in MEASURED_APART}
        host = of_host(self.host, values) if self.host else {}
        return {**values, **stated, **{name: float(x) for name, x in host.items()}}

    @property
    def profiled(self) -> bool:
        """Whether its cases are sums of durations of kernels."""
        return profiled(self.cases[0].run)

    @property
    def whole(self) -> bool:
        """Whether its cases are of whole passes."""
        return self.cases[0].run.op in WHOLE_PASS


def profiled(run: Run) -> bool:
    """Whether a figure is a sum of durations of kernels, without what passes between them."""
    return run.metric == "device_time_s" or run.op in PARTS or run.source.startswith(PROFILED)


def stacks(files: Sequence[Runs], where: str = "") -> list[Stack]:
    """All stacks in files of runs, each row with the runtime that it names; `where` filters the rows."""
    keep = parse(where, [run for each in files for run in each.runs]) if where else None
    readers: dict[str, Reader] = {}
    found: dict[tuple[str, str, bool, bool], list[Case]] = {}
    for run in (run for runs in files for run in runs.runs):
        try:
            name = runtime_of(run)
            if name is None or (keep and not keep(run)) or run.stated("suspect") or run.notes.get("quality") == "low":
                continue
            case = readers.setdefault(name, Reader(name)).case(run)
        except (Skip, InputError):
            continue
        whole = run.op in WHOLE_PASS
        depends = case.target.figure != "constant" and (case.phase in PHASES if whole else not _called(run, case))
        if depends and not case.flags:
            found.setdefault((case.device, name, whole, not whole and profiled(run)), []).append(case)
    made = []
    for (device, name, *_), cases in sorted(found.items()):
        d, reader, kept = library.device(device), readers[name], tuple(_thinned(cases))
        host = library.host(d.host) if d.host else None
        program = Program([c.target for c in kept], reader.jobs, d, host, reader.runtime)
        made.append(Stack(d, host, reader.runtime, kept, program))
    return made


def _called(run: Run, case: Case) -> bool:
    """Whether an operator takes as long as the call from Python."""
    return case.target.figure == "wall" and run.value < CALL


def _thinned(cases: Sequence[Case]) -> Iterator[Case]:
    """At most so many of each kind, evenly over its configurations: the same for the same cases."""
    kinds: dict[str, list[Case]] = {}
    for case in cases:
        kinds.setdefault(case.group, []).append(case)
    for mine in kinds.values():
        mine.sort(key=lambda c: (c.configuration, c.run.value, c.run.line))
        yield from mine[:: -(-len(mine) // MOST)]


# --- one stack ---


@dataclass(frozen=True)
class Seen:
    """What the rows of one stack say of its parameters: values on the scale without limits, and their variances.

    That is of each by itself. Of those in `names` together, `precision` is how surely, `pull` where to: precision times
    the distance from what was expected. Two that can stand for each other are sure in their sum alone.
    """

    stack: Stack
    values: Mapping[str, float]
    variances: Mapping[str, float]
    scatter: Mapping[str, float]
    names: tuple[str, ...] = ()
    precision: Array = field(default_factory=lambda: np.zeros((0, 0)))
    pull: Array = field(default_factory=lambda: np.zeros(0))


def _tells(stack: Stack, name: str) -> bool:
    """Whether the rows of a stack tell of a parameter."""
    timed = stack.whole or name not in FIXED_TIMES or (name == SMALL and stack.profiled)
    return timed and name not in MEASURED_APART


def seen(stack: Stack) -> Seen:
    """Fit one stack, and take out again what was expected before: that is not to be counted once for every stack."""
    problem = Problem(stack.cases, stack.program, stack.before)
    before, which = problem.prior, touched(problem)
    start = Fit(before.centre, np.diag(before.spread**2), which, {str(g): START for g in np.unique(problem.groups)})
    found = fit(problem, which, np.ones(len(stack.cases), dtype=bool), start, passes=2)
    counts = [i for i in which if _tells(stack, before.names[i])]
    values, variances = {}, {}
    for i in counts:
        name, own, was = before.names[i], found.covariance[i, i], before.spread[i] ** 2
        if own < SAYS_LITTLE * was:
            variances[name] = 1 / (1 / own - 1 / was)
            values[name] = variances[name] * (found.free[i] / own - before.centre[i] / was)
    names = tuple(before.names[i] for i in counts)
    off = found.free[counts] - np.array([_centre(name, stack) for name in names])
    return Seen(stack, values, variances, found.scatter, names,
                *_together(found.covariance[np.ix_(counts, counts)], before.spread[counts], off))  # fmt: skip


def _together(covariance: Array, spread: Array, off: Array) -> tuple[Array, Array]:
    """Precision and pull of data that left this covariance of this spread, and moved parameters by `off`.

    In directions in which they say nothing they do not pull, and in none further than the reach of what is expected.
    """
    left = covariance / np.outer(spread, spread)
    said, directions = np.linalg.eigh(np.linalg.inv(left) - np.eye(len(spread)))
    said = np.maximum(said, 0)
    moved = directions.T @ (off / spread) * np.divide(said + 1, said, where=said > 0, out=np.zeros_like(said))
    scaled = directions / spread[:, None]
    return (scaled * said) @ scaled.T, scaled @ (said * np.clip(moved, -REACH, REACH))


# --- all of them ---


@dataclass(frozen=True)
class Effects:
    """How far a parameter differs from one to the next, as standard deviations on the scale without limits."""

    device_class: float
    device: float
    runtime: float
    stack: float


@dataclass(frozen=True)
class Spread:
    """One parameter in all stacks that say something of it."""

    name: str
    stacks: tuple[Stack, ...]
    values: Array
    variances: Array
    effects: Effects

    @classmethod
    def of(cls, name: str, all_of_them: Sequence[Seen]) -> Spread:
        """The most likely effects."""
        mine = [each for each in all_of_them if name in each.values]
        y = _within_reach(np.array([each.values[name] - _centre(name, each.stack) for each in mine]))
        v = np.array([each.variances[name] for each in mine])
        usual = np.log(SHARE * PARAMETERS[name].free_spread)

        def at(x: Array) -> Spread:
            return cls(name, tuple(each.stack for each in mine), y, v, Effects(*map(float, np.exp(x))))

        def unlikely(x: Array) -> float:
            k = at(x).covariance()
            _, size = np.linalg.slogdet(k)
            return float((size + y @ np.linalg.solve(k, y) + (((x - usual) / DOUBT) ** 2).sum()) / 2)

        limits = [(usual - 3 * DOUBT, usual + 3 * DOUBT)] * 4
        start = np.full(4, usual)
        return at(minimize(unlikely, start, method="L-BFGS-B", bounds=limits).x if mine else start)

    def covariance(self) -> Array:
        """Covariance of what the fits say."""
        together = np.array([[self.between(a, b) for b in self.stacks] for a in self.stacks])
        own: Array = together + np.diag(self.variances)
        return own

    def between(self, a: Stack, b: Stack) -> float:
        """Covariance of the parameter in two stacks that were measured, which may be the same."""
        return self.alike(a.classes, b.classes, a.chip == b.chip) + (self.effects.stack**2 if a is b else 0.0)

    def alike(self, a: tuple[str, str], b: tuple[str, str], same_device: bool) -> float:
        """Covariance of the parameter in two stacks."""
        e, spread = self.effects, PARAMETERS[self.name].free_spread
        runtimes = bool(a[1]) and a[1] == b[1]
        devices = bool(a[0]) and a[0] == b[0]
        return spread**2 + devices * e.device_class**2 + same_device * e.device**2 + runtimes * e.runtime**2

    @staticmethod
    def speaks(s: Stack, classes: tuple[str, str]) -> bool:
        """Whether a stack belongs to these classes; empty is any."""
        return all(not asked or asked == own for asked, own in zip(classes, s.classes, strict=True))


@dataclass(frozen=True)
class Joint:
    """What all stacks say of all parameters together: where one is high because another is low, neither is believed."""

    fits: tuple[Seen, ...]
    spreads: Mapping[str, Spread]

    @cached_property
    def _said(self) -> tuple[list[tuple[str, Stack]], Array, Array, Array]:
        """Every parameter of every stack; their precision and pull, and how they go together beforehand."""
        places = [(name, each.stack) for each in self.fits for name in each.names]
        precision, at = np.zeros((len(places), len(places))), 0
        for each in self.fits:
            mine = slice(at, at := at + len(each.names))
            precision[mine, mine] = each.precision
        before = np.array([[self._before(a, b) for b in places] for a in places])
        return places, precision, np.concatenate([each.pull for each in self.fits]), before

    def _before(self, a: tuple[str, Stack], b: tuple[str, Stack]) -> float:
        return self.spreads[a[0]].between(a[1], b[1]) if a[0] == b[0] else 0.0

    def expected(
        self, classes: tuple[str, str], without: Callable[[Stack], bool] = lambda _: False, chip: str = ""
    ) -> dict[str, Typical]:
        """The parameters of another stack of these classes (device, runtime), of this chip, from all stacks but some.

        A host file is of a class of machines: what another host takes for a launch is nearer to it than to any other.
        """
        places, precision, pull, before = self._said
        use = np.array([not without(stack) for _, stack in places], dtype=bool)
        both = np.ix_(use, use)
        # (K + J⁻¹)⁻¹ without the inverse of J, which there is only of what data say something of
        solved = np.linalg.solve(
            np.eye(use.sum()) + precision[both] @ before[both], np.column_stack([pull[use], precision[both]])
        )
        kept = [place for place, used in zip(places, use, strict=True) if used]
        found = {}
        for name, spread in self.spreads.items():
            row, e = PARAMETERS[name], spread.effects
            mine = np.array([i for i, (which, _) in enumerate(kept) if which == name], dtype=int)
            near = np.array([spread.alike(classes, kept[i][1].classes, chip == kept[i][1].chip) for i in mine])
            total = row.free_spread**2 + e.device_class**2 + e.device**2 + e.runtime**2 + e.stack**2
            mean = row.free(row.prior) + float(near @ solved[mine, 0])
            variance = total - float(near @ solved[np.ix_(mine, mine + 1)] @ near)
            fits = [s for s in spread.stacks if not without(s) and Spread.speaks(s, classes)]
            sure = SIBLING if name == "dispatch" else 1.0
            found[name] = Typical(
                mean=_short(row.bounded(mean)), spread=_short(sure * variance**0.5), fits=len(fits),
                devices=len({s.chip for s in fits}),
            )  # fmt: skip
        return found


def _within_reach(y: Array) -> Array:
    """Values of which a wild one counts as being three robust standard deviations from the middle.

    A stack whose software is not understood yet moves a parameter as far as its limits let it.
    """
    if len(y) < FEW:
        return y
    middle = np.median(y)
    reach = REACH * 1.4826 * np.median(np.abs(y - middle))
    return np.clip(y, middle - reach, middle + reach)


def _centre(name: str, stack: Stack) -> float:
    """What was expected of a parameter; what is stated of the very host that was measured tells nothing of others."""
    row = PARAMETERS[name]
    return row.free(row.prior) if name == "dispatch" else float(stack.before.centre[stack.before.names.index(name)])


def _short(x: float) -> float:
    return float(f"{x:.4g}")


# --- what is left out ---


@dataclass(frozen=True)
class Residuals:
    """Rows of one stack predicted without it: log(predicted / measured), and what parameters may do.

    `variance` is what they do if each goes its own way.
    """

    stack: Stack
    keys: tuple[Key, ...]
    off: Array
    variance: Array

    def of(self, key: tuple[object, ...]) -> Array:
        """Which rows are of a kind, or of kinds that begin so."""
        return np.array([each[: len(key)] == key for each in self.keys], dtype=bool)


def left_out(stack: Stack, joint: Joint, of: Literal["device", "runtime"]) -> Residuals:
    """The rows of a stack, by what is expected of its classes from all stacks of other devices (runtimes).

    What the device file states is not used, since it was measured on such a device.
    """

    def same(other: Stack) -> bool:
        return other.chip == stack.chip if of == "device" else other.classes[1] == stack.classes[1]

    chip = stack.chip if of == "runtime" else ""
    typical = joint.expected(stack.classes, same, chip)
    values = stack.own({name: each.mean for name, each in typical.items()})
    spread = np.array([typical[name].spread for name in PARAMETERS])
    off = np.log(stack.program.predict(values)) - np.log([case.measured for case in stack.cases])
    slopes = stack.program.slopes(values, tuple(PARAMETERS))
    waits = stack.program.host_bound(values)
    keys = tuple(_key(stack, c, bool(h)) for c, h in zip(stack.cases, waits, strict=True))
    return Residuals(stack, keys, off, ((slopes * spread) ** 2).sum(axis=1))


def _key(stack: Stack, case: Case, host: bool) -> Key:
    """The kind of figure that a case is."""
    return (case.metric, case.phase, host) if stack.whole else (OF_OPERATORS, kind_named(case.run.op), False)


def _gathered(all_of_them: Sequence[Residuals], key: tuple[object, ...]) -> tuple[Array, Array, Array]:
    """Residuals of a kind, variances, and weights.

    Rows of one device are off together, in part: it counts as the root of them. Modes of one share what it counts.
    """
    chips = [r.stack.chip for r in all_of_them if r.of(key).any()]
    found = [(r.off[mine], r.variance[mine], np.full(mine.sum(), mine.sum() ** -0.5 / chips.count(r.stack.chip)))
             for r in all_of_them if (mine := r.of(key)).any()]  # fmt: skip
    return tuple(np.concatenate(each) for each in zip(*found, strict=True)) if found else (np.zeros(0),) * 3  # type: ignore[return-value]


def quantile(values: Array, weights: Array, share: float) -> float:
    """The value up to which there is this share of the weights; the middle of two that part them so exactly."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    ends = [np.searchsorted(reached, share - 1e-9), np.searchsorted(reached, share + 1e-9)]
    return float(values[order][np.minimum(ends, len(values) - 1)].mean())


def shown(all_of_them: Sequence[Residuals]) -> float:
    """How much of the parameters' deviations residuals show, at most all: sizes of half of them within what is normal.

    Half of the residuals of a normal distribution are within 0.6745 standard deviations.
    """
    sizes, weights = [], []
    for r in all_of_them:
        times = np.array([k[0] in TIMES for k in r.keys], dtype=bool) & (r.variance > 0)
        if times.any():
            sizes.append(np.abs(r.off[times]) / np.sqrt(r.variance[times]))
            weights.append(np.full(times.sum(), times.sum() ** -0.5))
    return min(quantile(np.concatenate(sizes), np.concatenate(weights), 0.5) / 0.6745, 1.0)


def scatter(all_of_them: Sequence[Residuals], key: tuple[object, ...], share: float) -> tuple[float, int]:
    """What such rows are off by beyond the parameters (`shown`), root mean square, and how many rows there are.

    The largest twentieth counts as the largest of the others: one wild row does not widen every interval. Of single
    operators, whose parameters are near their limits on some devices, so that they seem certain there, it is as much as
    intervals need to hold 95 % of the rows.
    """
    off, variance, weights = _gathered(all_of_them, key)
    if not len(off):
        return 0.0, 0
    if len(key) > 1 and key[1] not in PHASES:
        needed = quantile((off / NORMAL_95) ** 2 - share**2 * variance, weights, 0.95)
        return max(needed, 0.0) ** 0.5, len(off)
    size = np.minimum(np.abs(off), quantile(np.abs(off), weights, 0.95))
    beyond = float(weights @ (size**2 - share**2 * variance) / weights.sum())
    return max(beyond, 0.0) ** 0.5, len(off)


def scatters(all_of_them: Sequence[Residuals], share: float, least: Mapping[str, float]) -> Iterator[Scatter]:
    """The scatter of every kind of figure that has rows; no less than that of repeats around a fit."""
    for kind in sorted({k[:2] for r in all_of_them for k in r.keys}):
        for host in (False, True):
            sigma, rows = scatter(all_of_them, (*kind, host), share)
            if rows >= FEW:
                least_ = least.get(" ".join(kind), 0.0)
                yield Scatter(metric=kind[0], phase=kind[1], host=host, sigma=_short(max(sigma, least_)), rows=rows)


def repeats(all_of_them: Sequence[Seen]) -> dict[str, float]:
    """The median scatter of each kind of figure around the fits of single stacks."""
    found: dict[str, list[float]] = {}
    for each in all_of_them:
        for group, sigma in each.scatter.items():
            found.setdefault(group.removesuffix(" host"), []).append(sigma)
    return {group: float(np.median(sigmas)) for group, sigmas in found.items()}


def judged(
    of: Literal["device", "runtime"], mine: Sequence[Residuals], others: Callable[[Residuals], Sequence[Residuals]],
    share: float, least: Mapping[str, float],
) -> Iterator[LeftOut]:  # fmt: skip
    """How rows that were left out are predicted, each with the scatter that its `others` have."""
    for kind in sorted({k[:2] for r in mine for k in r.keys}):
        off, variance, weights = _gathered(mine, kind)
        sigma = []
        for r in mine:
            rest = others(r)
            usual = max(scatter(rest, kind, share)[0], least.get(" ".join(kind), 0.0))
            by_host = {h: scatter(rest, (*kind, h), share) for h in (False, True)}
            sigma += [max(by_host[k[2]][0], least.get(" ".join(kind), 0.0)) if by_host[k[2]][1] >= FEW else usual
                      for k in r.keys if k[:2] == kind]  # fmt: skip
        width = NORMAL_95 * np.sqrt(share**2 * variance + np.array(sigma) ** 2)
        errors, inside = np.expm1(off), np.abs(off) <= width
        yield LeftOut(
            of=of, metric=kind[0], phase=kind[1], rows=len(off),
            devices=len({r.stack.chip for r in mine if r.of(kind).any()}),
            bias=_short(quantile(errors, weights, 0.5)), median_error=_short(quantile(np.abs(errors), weights, 0.5)),
            coverage=_short(float((inside * weights).sum() / weights.sum())),
            width=_short(float(np.exp(2 * quantile(width, weights, 0.5)))),
        )  # fmt: skip


# --- the whole ---


@dataclass(frozen=True)
class Learnt:
    """The classes of a population, and the share of the parameters' deviations that figures show."""

    groups: tuple[Group, ...]
    shown: float


def learn(all_of_them: Sequence[Stack], progress: Callable[[str], None] = lambda _: None) -> Learnt:
    """Means, spreads and scatters of all classes, and how well they do on what is left out."""
    fits = []
    for stack in all_of_them:
        fits.append(seen(stack))
        kind = "" if stack.whole else ", operators"
        progress(f"{stack.device.id} with {stack.runtime.id}{kind}: {len(stack.cases)} rows say something of "
                 f"{len(fits[-1].values)} parameters")  # fmt: skip
    joint = Joint(tuple(fits), {name: Spread.of(name, fits) for name in PARAMETERS})
    devices = [left_out(stack, joint, "device") for stack in all_of_them]
    runtimes = [left_out(stack, joint, "runtime") for stack in all_of_them]
    share, least = shown([r for r in devices if r.stack.whole]), repeats([f for f in fits if f.stack.whole])

    def of_other_devices(r: Residuals) -> Sequence[Residuals]:
        rest = [x for x in devices if x.stack.chip != r.stack.chip and x.stack.whole == r.stack.whole]
        alike = [x for x in rest if x.stack.classes == r.stack.classes]
        return alike or [x for x in rest if x.stack.classes[1] == r.stack.classes[1]] or rest

    def of_other_runtimes(r: Residuals) -> Sequence[Residuals]:
        rest = [x for x in runtimes if x.stack.classes[1] != r.stack.classes[1] and x.stack.whole == r.stack.whole]
        return [x for x in rest if x.stack.device.kind == r.stack.device.kind] or rest

    both = sorted({stack.classes for stack in all_of_them})
    wider = [("", ""), *sorted({(d, "") for d, _ in both}), *sorted({("", r) for _, r in both})]
    groups = []
    for classes in (*wider, *both):
        typical = joint.expected(classes)
        mine = [r for r in devices if Spread.speaks(r.stack, classes)]
        judgements: tuple[LeftOut, ...] = ()
        if classes in both:
            others = [r for r in runtimes if r.stack.classes == classes]
            judgements = (*judged("device", mine, of_other_devices, share, least),
                          *judged("runtime", others, of_other_runtimes, share, least))  # fmt: skip
        groups.append(Group(
            devices=classes[0], runtimes=classes[1],
            parameters={name: each for name, each in typical.items() if each.fits},
            scatter=tuple(scatters(mine, share, least)), left_out=judgements,
        ))  # fmt: skip
    return Learnt(tuple(groups), _short(share))
