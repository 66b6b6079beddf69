"""A prefix that requests share: what it saves of their prompts, of their caches, and where that ends.

Keys and values of whole blocks are held once and read by all. A recurrent state is that of one place in the text: it
is kept (a snapshot) at the end of a block, and copied for the sequence that goes on from there. vLLM lays both out in
pages of one size (mamba_cache_mode align), so that a block of a hybrid has as many tokens as a state has room for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from math import ceil
from typing import Any

from roofsim.engine.passes import Later, run_pass
from roofsim.engine.roofline import terms
from roofsim.foundation.cost import Cost
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import Spec, items
from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass
from roofsim.lowering.kernels import Kernel
from roofsim.model.part import Part
from roofsim.model.step import Precision
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import prefill
from roofsim.specs.workload import Workload

ALIGNED = 16
"""Tokens of which a block of a hybrid has a multiple, for kernels of attention (vLLM 0.23, platforms/interface.py)."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The first `shared` tokens of prompts, found in the cache by a share `hit_rate` of the requests."""

    shared: int
    hit_rate: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.shared, bool) or not isinstance(self.shared, int) or self.shared < 0:
            raise InputError(f"prefix: {self.shared!r} is not a number of tokens")
        if not 0 <= self.hit_rate <= 1:
            raise InputError(f"hit rate: {self.hit_rate:g} is not a share; it lies from 0 to 1")


@dataclass(frozen=True)
class Shared:
    """What requests have of a prefix on a setup; their workload is that of one of them.

    `hit_rate` 0, or a prefix shorter than a block, leaves all as it is without one.
    """

    s: Setup
    w: Workload
    prefix: Prefix

    def __post_init__(self) -> None:
        if self.prefix.shared > self.w.prompt:
            raise InputError(f"prefix: {self.prefix.shared:,} tokens are more than the {self.w.prompt:,} of a prompt")
        if self.s.runtime.cache != "paged":
            raise InputError(f"prefix: {self.s.runtime.id} keeps no pages of a cache that requests could share")

    @property
    def words(self) -> str:
        """What is shared, in words."""
        found = f"{self.reused:,} of the first {self.prefix.shared:,} tokens of prompts are found in the cache"
        states = f", and a snapshot of states ({show(self.snapshot, 'B')})" if self.snapshot and self.reused else ""
        return (
            f"{found} by {self.prefix.hit_rate:.3g} of the requests, in blocks of {self.block:,}; "
            f"{show(self.keys, 'B')} of keys and values are held once{states}; hits and misses are taken in the mean"
        )

    @cached_property
    def precision(self) -> Precision:
        """Bytes per element."""
        return self.s.precision(self.w)

    @cached_property
    def snapshot(self) -> float:
        """Bytes of the recurrent states at one place of a sequence."""
        return float(self.s.stage.state_bytes(1, replace(self.precision, cache=0)))

    @cached_property
    def block(self) -> int:
        """Tokens of a block: those of the runtime, or as many as make a page no smaller than a layer's state."""
        return block_of(self.s, self.precision)

    @cached_property
    def reused(self) -> int:
        """Tokens of a prompt that a hit need not compute: whole blocks, and not the last token, which is scored."""
        most: int = min(self.prefix.shared, max(self.w.prompt - 1, 0))
        return most // self.block * self.block

    @property
    def left(self) -> float:
        """Tokens of a prompt that go through the model, in the mean over requests."""
        return float(self.w.prompt) - self.prefix.hit_rate * self.reused

    @property
    def once(self) -> float:
        """Bytes that all requests hold together, if any finds the prefix."""
        return self.held_once if self.prefix.hit_rate else 0.0

    @property
    def saved(self) -> float:
        """Bytes that a request has less to hold, in the mean."""
        return self.prefix.hit_rate * self.keys

    @cached_property
    def held_once(self) -> float:
        """Bytes that the prefix takes, once for all: its keys and values, and a snapshot of the states behind it."""
        return self.keys + (self.snapshot if self.reused else 0.0)

    @cached_property
    def keys(self) -> float:
        """Bytes of keys and values of the prefix, which every further sequence saves."""
        state = self.s.stage.state_bytes
        return float(state(self.reused, self.precision)) - self.snapshot if self.reused else 0.0

    def each(self, tokens: float) -> float:
        """Bytes that a sequence of so many tokens holds in the mean over requests, beside what it shares."""
        return float(self.s.stage.state_bytes(tokens, self.precision)) - self.saved

    @cached_property
    def miss(self) -> Later:
        """The prefill of a request that finds nothing."""
        return Evaluation(self.s, self.w).prefill

    @cached_property
    def hit(self) -> Later:
        """The prefill of what is left behind the prefix, on what is held of it."""
        whole = prefill(self.s, self.w)
        return run_pass(self.s.stack(self.w.dtype), replace(whole, new=whole.new - self.reused, context=self.reused))

    @cached_property
    def copied(self) -> float:
        """Seconds in which the states of the snapshot are copied for a sequence."""
        kernel = Kernel("snapshot", "stream", Cost(state=2 * self.snapshot))
        return float(terms(kernel, self.s.machine(self.w.dtype)).memory) if self.snapshot else 0.0

    @property
    def ttft(self) -> float:
        """Seconds to the first token in the mean over requests, each alone."""
        if not self.reused:
            return float(self.miss.time)
        h = self.prefix.hit_rate
        return (1 - h) * float(self.miss.time) + h * (float(self.hit.time) + self.copied)

    def sequences(self, room: float, tokens: float) -> float:
        """Sequences of so many tokens that a room has, the prefix held once."""
        return max(room - self.once, 0.0) / self.each(tokens)


def block_of(s: Setup, precision: Precision) -> int:
    """Tokens of a block of the cache.

    Of a model with recurrent states and attention, a multiple of 16 at which the keys and values of a layer take no
    less than its state: vLLM logs it as `Setting attention block size to 784 tokens` (Qwen3.5-27B).
    """
    block = s.runtime.memory.block
    pages = [_page(part, precision) for part, _ in s.architecture.parts()]
    keys = [a for a, _ in pages if a]
    states = [b for _, b in pages if b]
    if not keys or not states:
        return block
    return max(ALIGNED * ceil(max(states) / (ALIGNED * min(keys))), block)


def _page(part: Part, precision: Precision) -> tuple[float, float]:
    """Bytes of a token's keys and values in a part, and of its recurrent state as vLLM keeps it.

    A convolution keeps as many inputs as it has taps but for the one that is there.
    """
    keys = float(part.state_bytes(2, precision)) - float(part.state_bytes(1, precision))
    state = float(part.state_bytes(1, replace(precision, cache=0)))
    taps = next(_taps(part), None)
    if taps:
        inputs = float(part.state_bytes(1, replace(precision, cache=0, state=0)))
        state -= inputs / taps
    return keys, state


def _taps(part: Any) -> Iterator[int]:
    """The taps of convolutions in a part."""
    if isinstance(part, Spec):
        for name, value in items(part):
            if name == "d_conv":
                yield int(value)
            elif isinstance(value, Part):
                yield from _taps(value)
