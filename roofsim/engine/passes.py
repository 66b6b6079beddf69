"""One pass from its kernels: time, work, traffic and energy, in total and by operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property, partial
from typing import ClassVar, Literal

from roofsim.engine.energy import Activity, Joules, activity, energy, idle_power, joules, waiting_power
from roofsim.engine.roofline import (
    Bound,
    Machine,
    Terms,
    deciding_parameter,
    gap_time,
    graphs,
    launch_time,
    light_time,
    matrix_time,
    terms,
)
from roofsim.engine.schedule import Stretch, Times, times
from roofsim.foundation.arith import Number, at_least, maximum, share, single
from roofsim.foundation.cost import Cost
from roofsim.foundation.values import dataclass
from roofsim.lowering.fused import unit_of
from roofsim.lowering.kernels import Kernel
from roofsim.lowering.step import LoweredRow, lower, plans
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass
from roofsim.ops.base import Kind
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime

BOUNDS: tuple[Bound, ...] = ("compute", "memory", "launch", "network")
"""What can bound a pass."""

Basis = Literal["calibrated", "prior", "set"]


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs a pass: a model with a runtime on a device, and the numbers that decide time.

    `terms` says what decides the time of a launch, `activity` what it does that draws power, `divided` how a pass runs
    of which not all weights lie on the device.
    """

    architecture: Architecture
    runtime: Runtime
    device: Device
    machine: Machine
    terms: Callable[[Kernel, Machine], Terms] = terms
    activity: Callable[[Kernel, Terms, Machine], Activity] = activity
    divided: Callable[[Pass], Later] | None = None


@dataclass(frozen=True)
class PassFigures:
    """Time, work and traffic of one pass. `time` is what a clock around a synchronised pass shows.

    `device_time` is the sum of kernel durations, `host_time` what the host needs to launch them. The model's
    own work, and its weights and state, at the peaks take `model_matrix_time` and `model_traffic_time`. So many bytes
    go over the `network` to other devices, out of each.
    """

    time: Number
    device_time: Number
    host_time: Number
    kernels: Number
    matrix_flops: Number
    vector_flops: Number
    bytes: Number
    energy: Number
    model_matrix_time: Number
    model_traffic_time: Number
    network: Number

    @property
    def idle_time(self) -> Number:
        """Seconds in which the device waits for the host."""
        return self.time - self.device_time

    @property
    def mfu(self) -> Number:
        """Model FLOP utilisation: the model's matrix work at the peak rate over the time."""
        return self.model_matrix_time / self.time

    @property
    def mbu(self) -> Number:
        """Model bandwidth utilisation: weights and state moved once at full bandwidth over the time."""
        return self.model_traffic_time / self.time


class Later(PassFigures):
    """Figures of a pass that are each computed when it is asked for, and once.

    Kernels bound by computing are busy for `compute_time`, those bound by memory for `memory_time`, others are bound by
    their launch, or by what devices exchange (`network_time`). The parts of `energy` are what `engine.energy.Joules`
    says.
    """

    compute_time: Number
    memory_time: Number
    network_time: Number
    idle_energy: Number
    waiting_energy: Number
    active_energy: Number
    work_energy: Number
    traffic_energy: Number
    clock: ClassVar[tuple[str, ...]] = ()
    """Figures that are parts of `time` as a clock shows it, however many devices there are."""

    def __init__(self, computed: Callable[[str], Number]) -> None:
        self.__dict__["_computed"] = computed

    def __getattr__(self, name: str) -> Number:
        if name not in _FIGURES:
            raise AttributeError(name)
        value: Number = self.__dict__["_computed"](name)
        self.__dict__[name] = value
        return value


@dataclass(frozen=True)
class PassRun:
    """A pass on a stack, lowered already or not, and what its figures are made of."""

    stack: Stack
    p: Pass
    lowered: Sequence[LoweredRow] | None

    def figure(self, name: str) -> Number:
        """One of its figures."""
        return _FIGURES[name](self)

    @cached_property
    def rows(self) -> Sequence[LoweredRow]:
        """Its rows with their kernels."""
        s = self.stack
        return self.lowered or lower(s.architecture, s.runtime, self.p, s.device)

    @cached_property
    def terms(self) -> Sequence[Sequence[Sequence[tuple[Kernel, Terms]]]]:
        """By row and operator: its kernels, and what decides the time of one launch of each."""
        m, terms = self.stack.machine, self.stack.terms
        return [[[(each, terms(each, m)) for each in lowered.kernels] for _, lowered in row] for row in self.rows]

    @cached_property
    def launched(self) -> Sequence[tuple[Number, Kernel, Terms]]:
        """Every kernel, and how often the pass launches it."""
        rows = zip(self.rows, self.terms, strict=True)
        return [(k.count * row.row.count, k, t) for row, operators in rows for each in operators for k, t in each]

    @cached_property
    def kernels(self) -> Number:
        """Launches of kernels."""
        return sum(0 if k.joined else n for n, k, _ in self.launched)

    @cached_property
    def times(self) -> Times:
        """Seconds on the clock, of the device and of the host."""
        s, m, p = self.stack, self.stack.machine, self.p
        stretches: list[Stretch] = []
        for row, operators in zip(self.rows, self.terms, strict=True):
            pieces = [
                Stretch(
                    sum(k.count * launch_time(k, s.runtime, m, p.phase) for k, _ in each),
                    sum(k.count * t.time for k, t in each),
                    1,
                )
                for each in operators
            ]
            if s.runtime.parallel.overlaps != "nothing":
                pieces = _overlapped(pieces, operators, s.runtime.parallel.overlaps == "halves", self.taken)
            stretches += _together(pieces, row.row.count)
        start = starting_time(s.runtime, m, plans(s.architecture, s.runtime, s.device, p), serving_work(s.runtime, p))
        gaps = self.kernels * gap_time(s.runtime, p.phase) + graphs(s.runtime, p.phase) * m["replay_time"]
        work = ahead_work(s.runtime, p)
        ahead = None if work is None else work * m["dispatch"]
        return times(stretches, start, s.runtime.host.mode == "inline", gaps, ahead)

    @property
    def taken(self) -> Number:
        """The share of the units of the device that exchanging keeps busy."""
        units = self.stack.runtime.parallel.units
        return 0 if units is None or self.p.phase == "decode" else units.value / self.stack.machine.units

    @cached_property
    def work(self) -> Cost:
        """Work and traffic of all kernels."""
        return Cost.total([(n, k.cost) for n, k, _ in self.launched])

    @cached_property
    def done(self) -> Activity:
        """What all kernels do that draws power."""
        s, m = self.stack, self.stack.machine
        return sum((s.activity(k, t, m) * n for n, k, t in self.launched), Activity()).shared

    @cached_property
    def energy(self) -> Number:
        """Joules that the device draws."""
        return energy(self.stack.device, self.stack.machine, self.times.wall, self.done)

    @cached_property
    def joules(self) -> Joules:
        """The parts of its energy."""
        return joules(self.stack.device, self.stack.machine, self.times.wall, self.done)

    @cached_property
    def own(self) -> Sequence[tuple[Number, Cost, str | None]]:
        """The model's own work: how often each operator is done, its cost and the unit that computes it."""
        return [
            (row.row.count * operator.often, operator.cost, unit_of(operator, self.p))
            for row in self.rows
            for operator, _ in row
        ]

    @cached_property
    def bound_times(self) -> Mapping[Bound, Number]:
        """Seconds of the kernels that computing bounds, of those that memory does, and of those that links do."""
        bounded = [(n, t.bound_times) for n, _, t in self.launched]
        return {
            bound: sum(n * each[bound] for n, each in bounded if bound in each)
            for bound in ("compute", "memory", "network")
        }

    @property
    def model_traffic_time(self) -> Number:
        """Seconds in which weights and state would move once at full bandwidth."""
        own = Cost.total([(n, cost) for n, cost, _ in self.own])
        return (own.weights + own.state) / self.stack.machine.bandwidth


def _part_of(name: str) -> Callable[[PassRun], Number]:
    return lambda run: getattr(run.joules, name)


_FIGURES: Mapping[str, Callable[[PassRun], Number]] = {
    "time": lambda run: run.times.wall,
    "device_time": lambda run: run.times.device,
    "host_time": lambda run: run.times.host,
    "kernels": lambda run: run.kernels,
    "matrix_flops": lambda run: run.work.matrix,
    "vector_flops": lambda run: run.work.vector,
    "bytes": lambda run: run.work.bytes,
    "energy": lambda run: run.energy,
    "model_matrix_time": lambda run: matrix_time(run.own, run.stack.machine),
    "model_traffic_time": lambda run: run.model_traffic_time,
    "compute_time": lambda run: run.bound_times["compute"],
    "memory_time": lambda run: run.bound_times["memory"],
    "network_time": lambda run: run.bound_times["network"],
    "network": lambda run: run.work.network,
    **{f"{part.name}_energy": _part_of(part.name) for part in fields(Joules)},
}


def run_pass(stack: Stack, p: Pass, rows: Sequence[LoweredRow] | None = None) -> Later:
    """The figures of one pass; `rows` is how it is lowered, where that is known already."""
    return stack.divided(p) if stack.divided else Later(PassRun(stack, p, rows).figure)


def starting_time(runtime: Runtime, m: Machine, planned: Number, work: Number = 0) -> Number:
    """Seconds of the host before the first kernel of a pass: of the step itself, and of plans of attention.

    `work` is that of a serving engine, in launches of a kernel.
    """
    launch = runtime.host.launch.value if runtime.host.launch else 0
    return launch + planned * m["attention_plan"] + work * m["dispatch"]


def serving_work(runtime: Runtime, p: Pass) -> Number:
    """What a serving engine does for a step and its sequences while the device waits, in launches of a kernel."""
    policy = runtime.host
    begun: Number = sum(each.batch * each.begins for each in p.groups if each.phase == "prefill")
    return policy.step_work + begun * policy.request_work


def ahead_work(runtime: Runtime, p: Pass) -> Number | None:
    """What it does for a decode step while the device is at the one before, in launches; None if nothing."""
    policy = runtime.host
    if policy.ahead_work is None or p.phase == "prefill":
        return None
    return policy.ahead_work + sum(each.batch for each in p.groups) * policy.sequence_work


def _overlapped(
    pieces: Sequence[Stretch], operators: Sequence[Sequence[tuple[Kernel, Terms]]], halves: bool, taken: Number
) -> list[Stretch]:
    """What devices do together in a layer, at the same time as what each computes of another part of the step."""
    exchanged: list[Number] = []
    computed: list[tuple[Number, Number]] = [(0, 0)]
    for k, t in (each for operator in operators for each in operator):
        if k.exchange:
            exchanged.append(k.count * t.time)
            computed.append((0, 0))
        else:
            time, bound = computed[-1]
            computed[-1] = time + k.count * t.time, bound + k.count * t.bound_times["compute"]
    if not exchanged:
        return list(pieces)
    host = sum(each.host for each in pieces)
    if halves:
        return [Stretch(host, _in_turns(exchanged, computed, taken), 1)]
    return [Stretch(host, maximum(sum(time for time, _ in computed), sum(exchanged)), 1)]


def _in_turns(exchanged: Sequence[Number], computed: Sequence[tuple[Number, Number]], taken: Number) -> Number:
    """Seconds of a layer for one of two halves that take turns: each computes while the other exchanges.

    What is computed between two exchanges of a half stands beside the exchange before it, of the other half, and the
    same of the other half beside the exchange after it; what is left at the end of a layer goes on with the next one.
    """
    (time, bound), *others, last = computed
    stretches = [(time + last[0], bound + last[1]), *others]
    windows = [
        _beside(each, stretch, taken)
        for i, stretch in enumerate(stretches)
        for each in (exchanged[i - 1], exchanged[i])
    ]
    return sum(windows) / 2


def _beside(exchange: Number, computed: tuple[Number, Number], taken: Number) -> Number:
    """Seconds in which an exchange and what is computed meanwhile are both done.

    A part of the time of the latter is bound by computing, which has the units that are left: kernels are told how many
    they may use (DeepGEMM's set_num_sms), so that others are idle where the exchange is done sooner.
    """
    time, bound = computed
    return maximum(exchange, time + taken / (1 - taken) * bound)


def _together(pieces: Sequence[Stretch], count: int) -> list[Stretch]:
    """A kind of layer as one piece that repeats; the operators of a single one each for themselves."""
    if count == 1:
        return [Stretch(share(p.host), share(p.device), 1) for p in pieces]
    return [Stretch(share(sum(p.host for p in pieces)), share(sum(p.device for p in pieces)), count)]


@dataclass(frozen=True, slots=True)
class OperatorTimes:
    """One operator of one of `count` equal layers: its launches, their time, also by what bounds it, and their work."""

    layer: str
    operator: str
    kind: Kind
    count: int
    kernels: Number
    time: Number
    by_bound: Mapping[Bound, Number]
    host_time: Number
    cost: Cost


def with_operators(stack: Stack, p: Pass) -> tuple[Later, list[OperatorTimes]]:
    """The figures of one pass, and its operators that launch anything, for numbers and all else."""
    run = PassRun(stack, p, None)
    return Later(run.figure), [o for o, _ in _operators(run)]


def _operators(run: PassRun) -> Iterator[tuple[OperatorTimes, Sequence[tuple[Kernel, Terms]]]]:
    """The operators of one pass that launch anything, each with its kernels and their terms."""
    stack, m, p = run.stack, run.stack.machine, run.p
    for row, timed in zip(run.rows, run.terms, strict=True):
        for (operator, lowered), each in zip(row, timed, strict=True):
            if lowered.kernels:
                bounded = [(k.count, t.bound_times) for k, t in each]
                yield OperatorTimes(
                    row.row.layer, operator.name, operator.kind, row.row.count,
                    sum(0 if k.joined else k.count for k, _ in each), sum(k.count * t.time for k, t in each),
                    {bound: sum(n * of[bound] for n, of in bounded if bound in of) for bound in bounded[-1][1]},
                    sum(k.count * launch_time(k, stack.runtime, m, p.phase) for k, _ in each),
                    sum((k.cost * k.count for k, _ in each), Cost()),
                ), each  # fmt: skip


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """One operator of one kind of layer, summed over all `count` of its layers.

    `light_time` is what its kernels would take at the device's peaks, `host_time` what the host needs to launch them,
    `launch_bound_time` the part of `time` of kernels that neither computing nor memory nor links bound; `basis` says
    where the efficiency that decides its time is from: "calibrated" (fitted, or stated by the device file, from
    measured kernels), "prior", or "set" by the user.
    """

    layer: str
    operator: str
    kind: Kind
    count: int
    kernels: Number
    matrix_flops: Number
    vector_flops: Number
    bytes_weights: Number
    bytes_activations: Number
    bytes_state: Number
    bytes_network: Number
    time: Number
    light_time: Number
    host_time: Number
    launch_bound_time: Number
    bound: Bound
    basis: Basis


SUMMED = tuple(f.name for f in fields(OperatorRow) if f.type == "Number")


def operators(stack: Stack, p: Pass, basis: Callable[[str], Basis]) -> Iterator[OperatorRow]:
    """The operators of one pass that launch anything (for numbers, not for arrays); `basis` is of a parameter."""
    yield from operators_of(PassRun(stack, p, None), basis)


def operators_of(run: PassRun, basis: Callable[[str], Basis]) -> Iterator[OperatorRow]:
    """The same of a pass that is lowered already."""
    for each, timed in _operators(run):
        yield _operator_row(each, timed, run.stack.machine, basis)


def _operator_row(
    o: OperatorTimes, timed: Sequence[tuple[Kernel, Terms]], m: Machine, basis: Callable[[str], Basis]
) -> OperatorRow:
    n, cost = o.count, o.cost
    by_reason: dict[tuple[Bound, str], Number] = {}
    for each, t in timed:
        reason = (t.bound, deciding_parameter(each, t.bound, m))
        by_reason[reason] = by_reason.get(reason, 0) + each.count * t.time
    bound, parameter = max(by_reason, key=lambda b: float(by_reason[b]))
    return OperatorRow(
        o.layer, o.operator, o.kind, n, n * o.kernels, n * cost.matrix, n * cost.vector, n * cost.weights,
        n * cost.activations, n * cost.state, n * cost.network, n * o.time,
        n * sum(each.count * light_time(each.cost, m, each.unit, each.exchange) for each, _ in timed), n * o.host_time,
        n * o.by_bound["launch"], bound, basis(parameter),
    )  # fmt: skip


def weighted(done: Sequence[tuple[Number, PassFigures]], kind: type[Later] = Later) -> Later:
    """The sum of passes of a kind, each so often."""
    return kind(partial(_summed, done))


@dataclass(frozen=True)
class Devices:
    """Several devices that run passes: `stages` that follow each other, each of so many devices `beside` each other.

    Each of the passes is run as often as it has `parts` in flight, all of them in `time` seconds. Figures of the
    `clock` are parts of that time, whichever device they are of.
    """

    done: Sequence[tuple[Number, PassFigures]]
    stages: int
    beside: int
    parts: Number
    time: Number
    stack: Stack
    clock: tuple[str, ...] = ()

    def figure(self, name: str) -> Number:
        """One of the figures: the energy of all devices, of the rest the mean over them."""
        if name == "time":
            return self.time
        total = self.parts * _summed(self.done, name)
        if name in self.clock:
            return total * self.time / (self.parts * _summed(self.done, "time"))
        if name not in _JOULES:
            return total / self.stages
        spare = self.stages * self.time - self.parts * _summed(self.done, "time")
        d, m = self.stack.device, self.stack.machine
        idle, held = idle_power(d), waiting_power(d, m)
        draws = {"idle_energy": idle, "waiting_energy": held - idle, "energy": held}.get(name)
        return self.beside * (total if draws is None else total + draws * spare)


_JOULES = ("energy", *(f"{part.name}_energy" for part in fields(Joules)))


def together(devices: Devices, kind: type[Later] = Later) -> Later:
    """The figures of passes of a kind that several devices run."""
    return kind(replace(devices, clock=kind.clock).figure)


def _summed(done: Sequence[tuple[Number, PassFigures]], name: str) -> Number:
    total: Number = sum(n * getattr(p, name) for n, p in done)
    return total


def weighted_operators(done: Sequence[tuple[Number, Sequence[OperatorRow]]]) -> Iterator[OperatorRow]:
    """The same for their operators; what bounds one is what bounds the passes in which it takes longest.

    A pass need not launch what another does: a single row has its gate in the kernel of the product before it.
    """
    found: dict[tuple[str, str], list[tuple[Number, OperatorRow]]] = {}
    for n, rows in done:
        for row in rows:
            found.setdefault((row.layer, row.operator), []).append((n, row))
    for parts in found.values():
        longest = max(parts, key=lambda part: float(part[0] * part[1].time))[1]
        yield replace(longest, **{name: sum(n * getattr(row, name) for n, row in parts) for name in SUMMED})


def bound_number(p: Later) -> Number:
    """What bounds a pass, as a place in `BOUNDS`: its host, or what bounds most of its device time."""
    exchanging, most = p.network_time, maximum(p.compute_time, p.memory_time)
    alone = single(exchanging) and not exchanging
    launching = p.device_time - p.compute_time - p.memory_time
    launching = launching if alone else launching - exchanging
    waits = 1 - at_least(p.device_time, p.host_time)
    launch = maximum(waits, at_least(launching, most))
    bound = 2 * launch + (1 - launch) * (1 - at_least(p.compute_time, p.memory_time))
    if alone:
        return bound
    links = (1 - waits) * at_least(exchanging, maximum(most, launching))
    return 3 * links + (1 - links) * bound


def pass_bound(p: Later) -> Bound:
    """What bounds a pass, in a word (for numbers, not for arrays)."""
    return BOUNDS[int(float(bound_number(p)))]
