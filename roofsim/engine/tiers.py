"""A pass of a model of which not all lies on the device: what runs where, what goes over the link, and how long.

Layers that lie in the memory of the host are computed by its processor, or their weights are copied to the device for
every pass; so are caches that lie there. Device and processor wait for each other: a layer reads what the one before
made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial

from roofsim.engine.energy import Joules, energy, joules
from roofsim.engine.passes import Basis, Later, OperatorRow, PassRun, operators_of
from roofsim.engine.placement import DIVIDED, Tiers
from roofsim.foundation.arith import Number, at_least, maximum, minimum, single
from roofsim.foundation.values import dataclass
from roofsim.lowering.kernels import FP32
from roofsim.lowering.step import LoweredRow, lower
from roofsim.model import layers
from roofsim.model.architecture import Architecture, Row
from roofsim.model.step import Pass


@dataclass(frozen=True, slots=True)
class Copy:
    """Layers of which something comes over the link for a pass: how many, the bytes, and the device's time for one.

    `parts` are bytes and times by operator, for kernels that read over the link themselves.
    """

    count: Number
    bytes: Number
    time: Number
    parts: tuple[tuple[Number, Number], ...]


@dataclass(frozen=True)
class _Divided:
    """A pass divided between device and processor."""

    tiers: Tiers
    p: Pass
    device: PassRun | None
    processor: PassRun | None
    copies: Sequence[Copy]
    crossings: Sequence[tuple[Number, Number]]
    disk_bytes: Number = 0

    @property
    def runs(self) -> list[PassRun]:
        return [each for each in (self.device, self.processor) if each]

    @cached_property
    def link_bytes(self) -> Number:
        """Bytes that go over the link."""
        copied = sum(c.count * c.bytes for c in self.copies)
        return copied + sum(n * size for n, size in self.crossings)

    @cached_property
    def link_time(self) -> Number:
        """Seconds in which the link is busy."""
        return self.link_bytes / self.tiers.link.rate

    @cached_property
    def link_wait(self) -> Number:
        """Seconds of them, and of handing over, in which nothing else goes on."""
        link = self.tiers.link
        wait = sum(n * (link.crossing + size / link.rate) for n, size in self.crossings)
        if link.streams == "copied":
            return wait + sum(c.count * c.bytes / link.rate for c in self.copies)
        if link.streams == "in_place":
            over = (c.count * maximum(size / link.rate - time, 0) for c in self.copies for size, time in c.parts)
            return wait + sum(over)
        beyond = sum(c.count * maximum(c.bytes / link.rate - c.time, 0) for c in self.copies)
        # nothing runs during the first copy, and no copy goes on while the last layer runs
        first = minimum(self.copies[0].bytes / link.rate, self.copies[0].time) if self.copies else 0
        return wait + beyond + first

    @cached_property
    def disk_time(self) -> Number:
        """Seconds in which weights are read from the disk, and waited for."""
        return self.disk_bytes / self.tiers.disk.rate if self.tiers.disk else 0

    @cached_property
    def time(self) -> Number:
        return sum(run.times.wall for run in self.runs) + self.link_wait + self.disk_time

    def figure(self, name: str) -> Number:
        """One of the figures of the pass."""
        if name in ("time", "link_bytes", "link_time", "link_wait", "disk_bytes", "disk_time"):
            found: Number = getattr(self, name)
            return found
        if name == "processor_time":
            return self.processor.times.wall if self.processor else 0
        if name == "energy":
            return sum(
                self._of_one(run, energy(run.stack.device, run.stack.machine, self.time, run.done)) for run in self.runs
            )
        part = name.removesuffix("_energy")
        total: Number = sum(
            self._of_one(run, getattr(self._joules(run), part)) if part != name else run.figure(name)
            for run in self.runs
        )
        return total + self.link_wait + self.disk_time if name == "network_time" else total

    def _joules(self, run: PassRun) -> Joules:
        return joules(run.stack.device, run.stack.machine, self.time, run.done)

    def _of_one(self, run: PassRun, joules: Number) -> Number:
        """What one of the devices of a stage has of joules: all of its own, a share of the processor's."""
        return joules / self.tiers.ranks if run is self.processor and self.tiers.ranks > 1 else joules


LINKED = ("link_bytes", "link_time", "link_wait", "processor_time", "disk_bytes", "disk_time")
"""Figures of such a pass beside those of any: bytes over the link, seconds in which it is busy and in which all else
waits for it, seconds of the processor's part, and bytes and seconds of the disk."""


class Tiered(Later):
    """Figures of a pass that runs on a device and on the processor beside it, over all that runs."""

    link_bytes: Number
    link_time: Number
    link_wait: Number
    processor_time: Number
    disk_bytes: Number
    disk_time: Number
    clock = ("link_time", "link_wait", "processor_time", "disk_time")

    def __getattr__(self, name: str) -> Number:
        if name not in LINKED:
            return super().__getattr__(name)
        value: Number = self.__dict__["_computed"](name)
        self.__dict__[name] = value
        return value


Rows = Sequence[LoweredRow]


def run_tiers(t: Tiers, p: Pass, here: Rows, there: Rows) -> Tiered:
    """The figures of one pass, whose rows are lowered for the device (`here`) and for the processor (`there`)."""
    return Tiered(partial(_figure, _ways(t, p, here, there)))


def run_streamed(t: Tiers, p: Pass) -> Tiered:
    """The figures of one pass of which the device computes all, and what is not on it comes over the link."""
    a = t.device
    return run_tiers(t, p, lower(a.architecture, a.runtime, p, a.device), ())


def tier_operators(
    t: Tiers, p: Pass, here: Rows, there: Rows, basis: Callable[[str], Basis], basis_there: Callable[[str], Basis]
) -> list[OperatorRow]:
    """The operators of one pass that launch anything, for numbers; those of the processor are of layers there."""
    ((_, way),) = [each for each in _ways(t, p, here, there) if float(each[0])]
    found = list(operators_of(way.device, basis)) if way.device else []
    if way.processor:
        beside = operators_of(way.processor, basis_there)
        found += [replace(each, layer=f"{each.layer} (host)") for each in beside]
    return found


def _figure(ways: Sequence[tuple[Number, _Divided]], name: str) -> Number:
    (share, only), *more = ways
    if not more:
        return only.figure(name)
    return sum((n * way.figure(name) for n, way in more), share * only.figure(name))


def _ways(t: Tiers, p: Pass, here: Rows, there: Rows) -> list[tuple[Number, _Divided]]:
    """How the pass is divided: each way with 1 where it is taken, 0 where it is not."""
    if t.link.copies_from is None:
        return [(1, _divided(t, p, here, there))]
    copied = at_least(p.tokens, t.link.copies_from)
    if single(copied):
        return [(1, _divided(t, p, here, there, copied=bool(copied)))]
    return [(copied, _divided(t, p, here, there, copied=True)), (1 - copied, _divided(t, p, here, there))]


def _divided(t: Tiers, p: Pass, here: Rows, there: Rows, *, copied: bool = False) -> _Divided:
    """The rows of a pass, each where it runs; `copied` says that the device computes with what lies on the host."""
    where, a = t.placement, t.device.architecture
    left: dict[str, dict[str, int]] = {
        kind: dict(getattr(where, kind)) for kind in ("computed", *DIVIDED)
    }  # fmt: skip

    def taken(kind: str, name: str, count: int) -> int:
        """Layers of a row that are of a kind of placement, those that come first in the model first."""
        most = min(left[kind].get(name, 0), count)
        left[kind][name] = left[kind].get(name, 0) - most
        return most

    device: list[LoweredRow] = []
    processor: list[LoweredRow] = []
    copies: list[tuple[Number, Number, LoweredRow, bool]] = []
    crossings: list[tuple[Number, Number]] = []
    of_layers, of_them = t.paged(p.precision)
    read: Number = 0
    its_rows = {row.row.layer: row for row in there}
    for mine in here:
        name = mine.row.layer
        its = its_rows.get(name, mine)
        if name in ("embedding", "head", "stages"):
            away = where.table if name == "embedding" else where.head and name == "head"
            (processor if away else device).append(its if away else mine)
            continue
        kind, count = name if name in a.layers else name.removeprefix("last "), mine.row.count
        computed = taken("computed", kind, count)
        experts = taken("experts", kind, count - computed)
        streamed = taken("streamed", kind, count - computed - experts)
        of_experts = taken("streamed_experts", kind, count - computed - experts - streamed)
        held = layers.state_bytes(a, kind, p.context + p.new, p.precision) * p.batch if copied or where.cache else 0
        cached = held if where.cache else 0
        copies += [
            (streamed, _layer(t, kind, mine, p) + cached, mine, False),
            (of_experts, _experts(t, kind, mine, p) + cached, mine, True),
        ]
        if t.disk:
            read = read + (computed + streamed) * _layer(t, kind, mine, p) * of_layers
            read = read + (experts + of_experts) * _experts(t, kind, mine, p) * of_them
        if copied:
            copies += [(computed, _layer(t, kind, mine, p) + held, mine, False)]
            copies += [(experts, _experts(t, kind, mine, p) + cached, mine, True)]
            streamed, computed, experts = streamed + computed + experts, 0, 0
        if where.cache:
            copies += [(count - computed - streamed - of_experts, cached, mine, True)]
            kept = count - computed
            crossings += [(kept, _written(a, kind, p)), (kept, 0)] if kept else []  # out to be stored, and in again
        device += _some(mine, count - computed - experts)
        device += _some(_kept(mine, experts=False), experts)
        processor += _some(its, computed) + _some(_kept(its, experts=True), experts)
        if experts:
            crossings += [(experts, size) for size in _handed(its)]
    if where.table and not copied and any(row.row.layer not in ("embedding",) for row in device):
        crossings.append((1, p.tokens * a.d_model * FP32))
    mine_run = PassRun(t.device, p, device) if device else None
    its_run = PassRun(t.processor, replace(p, precision=t.precision), processor) if processor and t.processor else None
    made = [_copy(t, p, *each) for each in copies if each[0]]
    return _Divided(t, p, mine_run, its_run, made, crossings, read)


def _some(row: LoweredRow, count: int) -> list[LoweredRow]:
    return [replace(row, row=replace(row.row, count=count))] if count else []


def _kept(row: LoweredRow, *, experts: bool) -> LoweredRow:
    """A row with the operators that go with its routed experts, or with all others."""
    with_experts = layers.by_experts(row.row.operators)
    pairs = [pair for pair, of in zip(row, with_experts, strict=True) if of == experts]
    return LoweredRow(Row(row.row.layer, row.row.count, tuple(o for o, _ in pairs)), tuple(each for _, each in pairs))


def _used(row: LoweredRow) -> Number:
    """Bytes of the experts of a layer that a pass uses."""
    return sum(o.cost.weights for o in row.row.operators if o.role in layers.OF_EXPERTS)


def _experts(t: Tiers, kind: str, row: LoweredRow, p: Pass) -> Number:
    """Bytes of the experts of a layer that are copied for a pass."""
    return _used(row) if t.link.used else layers.expert_bytes(t.device.architecture, kind, p.precision)


def _layer(t: Tiers, kind: str, row: LoweredRow, p: Pass) -> Number:
    """Bytes of the weights of a layer that are copied for a pass."""
    a = t.device.architecture
    others = layers.layer_bytes(a, kind, p.precision) - layers.expert_bytes(a, kind, p.precision)
    return others + _experts(t, kind, row, p)


def _copy(t: Tiers, p: Pass, count: Number, size: Number, row: LoweredRow, only_experts: bool) -> Copy:
    (timed,) = PassRun(t.device, p, [row]).terms
    times = [sum(k.count * each.time for k, each in kernels) for kernels in timed]
    parts = [
        (o.cost.weights, time)
        for o, time in zip(row.row.operators, times, strict=True)
        if o.role in layers.OF_EXPERTS or not only_experts
    ]
    return Copy(count, size, sum(times), tuple(parts))


def _written(a: Architecture, kind: str, p: Pass) -> Number:
    """Bytes that a pass changes of what a layer holds: the keys and values of new tokens, and all of a state."""
    held, before, nothing = (
        layers.state_bytes(a, kind, tokens, p.precision) for tokens in (p.context + p.new, p.context, -a.prefix_tokens)
    )
    return (held - before + nothing) * p.batch


def _handed(row: LoweredRow) -> tuple[Number, Number]:
    """Bytes that go to the experts of a layer, inputs and choices, and that come back: what each of them made."""
    experts = [o for o in row.row.operators if o.role in layers.OF_EXPERTS]
    first, last = experts[0].sizes, experts[-1].sizes
    chosen = first["tokens"] * first["top_k"]
    return first["tokens"] * first["d_in"] * FP32 + chosen * FP32, chosen * last["d_out"] * FP32
