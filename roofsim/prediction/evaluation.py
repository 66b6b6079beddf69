"""Every figure of a request, computed when it is asked for: for numbers, arrays and traced numbers alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from roofsim.engine.memory import Away, Held, Memory, peak, timeline
from roofsim.engine.passes import Devices, Later, PassFigures, Stack, bound_number, run_pass, together, weighted
from roofsim.foundation.arith import Number, at_least, maximum, single
from roofsim.foundation.errors import UnknownName
from roofsim.foundation.values import dataclass
from roofsim.lowering.step import LoweredRow, lower
from roofsim.model.step import Pass, Precision
from roofsim.prediction.cost import Cost, Rates, cost_of
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.setup import Setup, tier
from roofsim.prediction.steps import (
    decode,
    half,
    halves,
    held_sequences,
    in_flight,
    last_piece,
    late,
    overlaps,
    pieces,
    prefill,
    samples,
)
from roofsim.specs.workload import Workload

if TYPE_CHECKING:
    from roofsim.engine.placement import Tiers


@dataclass(frozen=True, slots=True)
class Request:
    """What a user of the model sees: seconds, tokens per second (output tokens), joules."""

    ttft: Number
    tpot: Number
    total_time: Number
    tokens_per_second: Number
    energy: Number


@dataclass(frozen=True)
class Evaluation:
    """A workload on a setup."""

    s: Setup
    w: Workload
    _lowered: dict[Any, Sequence[LoweredRow]] = field(default_factory=dict, repr=False, compare=False)

    def under(self, s: Setup) -> Evaluation:
        """The same workload with other values of parameters, on which it does not depend what kernels there are."""
        return Evaluation(s, self.w, self._lowered)

    def _rows(self, p: Pass, of: Setup | None = None) -> Sequence[LoweredRow]:
        """How one of its passes is lowered: numbers once, whatever the parameters; in all else passes are the same.

        `of` is another setup that runs it, that of the processor beside the device.
        """
        s = of or self.s
        key = (s.device.id, p.phase, p.batch, p.new, p.context, p.scored, p.begins)
        if p.beside or not all(each is None or isinstance(each, int | float | str) for each in key):
            return lower(s.rank, s.runtime, p, s.device)
        if key not in self._lowered:
            self._lowered[key] = lower(s.rank, s.runtime, p, s.device)
        return self._lowered[key]

    def rows(self, p: Pass) -> tuple[Sequence[LoweredRow], Sequence[LoweredRow]]:
        """How one of its passes is lowered for the device, and for the processor beside it, if that computes."""
        beside = self.s.offload.beside if self.s.offload else None
        there = self._rows(replace(p, precision=self.tiers.precision), beside) if self.tiers and beside else ()
        return self._rows(p), there

    def _run(self, p: Pass, rows: Sequence[LoweredRow] | None = None) -> Later:
        """The figures of one of its passes; `rows` is how it is lowered, where that is known already."""
        if self.tiers:
            from roofsim.engine.tiers import run_tiers

            return run_tiers(self.tiers, p, *self.rows(p))
        return run_pass(self.stack, p, rows or self._rows(p))

    @cached_property
    def tiers(self) -> Tiers | None:
        """The device with the memory of its host, where something lies there; state goes before weights of a disk."""
        found = self.s.tiers(self.w)
        if found is None or found.disk is None:
            return found
        last = self.w.prompt + self.w.generate
        state = found.behind(self.precision, last, self.w.batch, held_sequences(self.s, self.w)).state
        return replace(found, disk=replace(found.disk, room=maximum(found.disk.room - state, 0)))

    def away(self, tokens: Number) -> Away:
        """What the fullest device does not hold of its share, while each of its sequences holds so many tokens."""
        if self.tiers is None:
            return Away(0, 0)
        one = self.tiers.away(tokens, self.precision)
        return replace(one, state=one.state * held_sequences(self.s, self.w))

    def kept(self, tokens: Number) -> Away:
        """What lies in the memory of the host, while each sequence holds so many tokens."""
        if self.tiers is None:
            return Away(0, 0)
        return self.tiers.behind(self.precision, tokens, self.w.batch, held_sequences(self.s, self.w))

    @cached_property
    def stack(self) -> Stack:
        """What runs its passes."""
        return self.s.stack(self.w.dtype)

    @cached_property
    def prefill(self) -> Later:
        """The prefill of all prompts: one pass, or all the pieces that the runtime cuts it into."""
        cut = self.s.runtime.memory.chunk is not None or overlaps(self.s)
        rows = None if cut else self._last_rows
        done = [(times * halves(self.s, p), self._run(half(self.s, p), rows)) for times, p in pieces(self.s, self.w)]
        if not self.s.split.alone:
            return self._on_all(done)
        (times, only), *more = done
        return weighted(done, type(only)) if more or not single(times) or times != 1 else only

    def _on_all(self, done: Sequence[tuple[Number, Later]]) -> Later:
        """What all devices make of the passes of one, of which the last one is the last to leave the pipeline.

        Stages take the same time: each begins the next part of the batch while the one behind it is at this one.
        """
        split, parts = self.s.split, in_flight(self.s, self.w)
        time = sum(times * p.time for times, p in done)
        if split.pp > 1 and not self.s.waits:
            time = (parts * time + (split.pp - 1) * done[-1][1].time) / split.pp
        return together(Devices(done, split.pp, split.stage, parts, time, self.stack), type(done[-1][1]))

    def _step(self, p: Pass) -> Later:
        """A decode step of all sequences: parts of the batch that are in flight together take no longer than one."""
        one, split, often = self._run(half(self.s, p)), self.s.split, halves(self.s, p)
        if split.alone:
            return one
        parts, time = in_flight(self.s, self.w), often * one.time
        return together(Devices([(often, one)], split.pp, split.stage, parts, time, self.stack), type(one))

    @cached_property
    def _last_rows(self) -> Sequence[LoweredRow]:
        """How the last piece of the prefill is lowered."""
        return self._rows(last_piece(self.s, self.w))

    @cached_property
    def decode(self) -> Later:
        """The first step after the prompt."""
        return self._step(decode(self.s, self.w))

    @cached_property
    def step(self) -> tuple[Number, Number]:
        """Mean time and energy of the steps after the first token, with what is left of the prompts among them."""
        each: list[tuple[Number, PassFigures]] = [
            (share, self.decode if single(done) and done == 0 else self._step(decode(self.s, self.w, done)))
            for share, done in samples(self.steps)
        ]
        steps = maximum(self.steps, 1)
        each += [(times / steps, self._step(p)) for times, p in late(self.s, self.w)]
        return sum(share * p.time for share, p in each), sum(share * p.energy for share, p in each)

    @property
    def steps(self) -> Number:
        """Tokens after the first: the prefill makes one, every step one more."""
        return maximum(self.w.generate - 1, 0)

    @cached_property
    def total_time(self) -> Number:
        """Seconds from the prompt to the last token."""
        return self.prefill.time + self.steps * self.step[0]

    @cached_property
    def energy(self) -> Number:
        """Joules of the request."""
        return self.prefill.energy + self.steps * self.step[1]

    @cached_property
    def cost(self) -> Cost:
        """What the request costs, and its tokens."""
        prompts = self.prefill.time, self.prefill.energy, self.w.batch * self.w.prompt
        whole = self.rates.dollars(self.total_time, self.energy)
        return cost_of(self.rates, prompts, (*self.step, self.w.batch), whole)

    @cached_property
    def rates(self) -> Rates:
        """What seconds and joules cost."""
        return self.s.rates

    @property
    def tokens_per_second(self) -> Number:
        """Generated tokens of all sequences over the time of the request."""
        made: Number = self.w.batch * maximum(self.w.generate, 1)
        return made / self.total_time

    @property
    def request(self) -> Request:
        """What a user sees."""
        return Request(self.prefill.time, self.step[0], self.total_time, self.tokens_per_second, self.energy)

    @cached_property
    def timeline(self) -> list[Held]:
        """What is held beside the weights at each operator of the prefill, of its last piece if it is cut."""
        p = last_piece(self.s, self.w)
        s = self.s
        rows = self._last_rows if s.split.pp == 1 else lower(s.stage, s.runtime, p, s.device)
        away = self.away(p.context + p.new).state
        return timeline(s.stage, s.runtime, rows, p, held_sequences(s, self.w), away)

    @cached_property
    def held(self) -> Memory:
        """Memory of the prefill, without what the runtime takes beforehand."""
        workspace = self.stack.machine["workspace"] if self.s.runtime.memory.workspace else 0
        p = last_piece(self.s, self.w)
        held = held_sequences(self.s, self.w)
        staged = self.tiers.staging(p.precision, p.context + p.new, held) if self.tiers else 0
        away = self.away(p.context + p.new).weights
        return peak(self.s.stage, self.s.runtime, self.timeline, p, workspace + staged, away)

    @cached_property
    def memory(self) -> Memory:
        """Memory of the prefill; what the runtime takes beforehand counts as reserved, whatever is in it."""
        share = self.s.runtime.memory.reserve
        if share is None:
            return self.held
        return replace(self.held, reserved=maximum(self.held.reserved, self.s.device.share(share)))

    @property
    def precision(self) -> Precision:
        """Bytes per element of what its passes move."""
        return prefill(self.s, self.w).precision

    @cached_property
    def grown(self) -> Number:
        """Bytes of weights and state on the device after the last generated token."""
        precision, stage = self.precision, self.s.stage
        held: Number = stage.state_bytes(self.w.prompt + self.w.generate, precision) * held_sequences(self.s, self.w)
        away = self.away(self.w.prompt + self.w.generate)
        return held - away.state + (stage.weight_bytes(precision) - away.weights)

    @cached_property
    def behind(self) -> Number:
        """Bytes of weights and state in the memory of the host after the last generated token."""
        kept = self.kept(self.w.prompt + self.w.generate)
        return kept.weights + kept.state

    @property
    def fits_behind(self) -> Number:
        """1 if what has to lie in the memory of the host, not weights that a disk has too, fits there; else 0."""
        if self.tiers is None:
            return 1
        needed = self.kept(self.w.prompt + self.w.generate).state if self.tiers.disk else self.behind
        return at_least(tier(self.s).capacity, needed)

    @cached_property
    def fits(self) -> Number:
        """1 if prefill and generation fit the memories, and the model has positions for them; else 0."""
        return self.fits_device * self.fits_behind

    @cached_property
    def fits_device(self) -> Number:
        """1 if prefill and generation fit the device, and the model has positions for them; else 0."""
        room = self.s.device.share(self.s.runtime.memory.reserve or 1)
        inside = at_least(room, self.held.reserved) * at_least(room, self.grown)
        positions = self.s.architecture.positions
        return inside * at_least(positions, self.w.prompt + self.steps) if positions else inside


def _reader(part: str, name: str) -> Callable[[Evaluation], Number]:
    return lambda e: getattr(getattr(e, part), name)


_OF_PASSES = (*(f.name for f in fields(PassFigures)), "idle_time", "mfu", "mbu")

FIGURES: Mapping[str, Callable[[Evaluation], Number]] = {
    "ttft": lambda e: e.prefill.time,
    "tpot": lambda e: e.step[0],
    "total_time": lambda e: e.total_time,
    "tokens_per_second": lambda e: e.tokens_per_second,
    "energy": lambda e: e.energy,
    "cost": lambda e: e.rates.dollars(e.total_time, e.energy),
    **{f.name: _reader("cost", f.name) for f in fields(Cost) if f.name != "request"},
    **{f"{part}.{name}": _reader(part, name) for part in ("prefill", "decode") for name in _OF_PASSES},
    **{f"memory.{f.name}": _reader("memory", f.name) for f in fields(Memory) if f.name != "binding"},
    "memory.held": lambda e: e.held.reserved,
    "memory.grown": lambda e: e.grown,
    "memory.behind": lambda e: e.behind,
    "fits_behind": lambda e: e.fits_behind,
    "memory.capacity": lambda e: e.s.device.capacity,
    "fits": lambda e: e.fits,
}
"""Every figure by name: of the request, of its passes, of its memory (SI units)."""

CODES: Mapping[str, Callable[[Evaluation], Number]] = {
    "prefill.bound": lambda e: bound_number(e.prefill),
    "decode.bound": lambda e: bound_number(e.decode),
}
"""Numbers that stand for a word: places in `roofsim.engine.passes.BOUNDS`."""


def figure(name: str) -> Callable[[Evaluation], Number]:
    """How a figure or a metric is computed, with no more work than it needs; raises UnknownName."""
    name = METRICS[name].figure if name in METRICS else name
    if name not in FIGURES and name not in CODES:
        raise UnknownName("figures", name, [*METRICS, *FIGURES])
    return FIGURES.get(name) or CODES[name]
