"""Prefill and decode at the same time inside one device: each on a share of its units, both on one memory.

As Nexus (arXiv 2507.06608), Bullet (arXiv 2504.19516) and DuetServe (arXiv 2511.04791) do it, beside steps in which
pieces of prompts go with every decoding sequence. Units are divided, bandwidth is not: few units cannot ask for all of it, and
where both phases ask for more than there is, each gets it in proportion to what it asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from roofsim.engine.passes import Later, run_pass
from roofsim.engine.roofline import Machine
from roofsim.foundation.errors import InputError
from roofsim.model.step import Pass, together
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, prefill
from roofsim.specs.workload import Workload

PER_CLOCK = 64
"""Bytes that a unit reads from the last-level cache in a clock (Jia et al. 2018, arXiv 1804.06826, table 3.1, V100;
NVIDIA states 5,120 for all units of an A100, its white paper, page 34)."""

SHARES = tuple(i / 20 for i in range(1, 20))
"""Shares of the units that are looked at for prompts."""


def part_of(m: Machine, share: float, bandwidth: float) -> Machine:
    """A machine with a share of the units, and so much bandwidth."""
    return replace(
        m, matrix_rate=m.matrix_rate * share, vector_rate=m.vector_rate * share, units=m.units * share,
        peaks={unit: rate * share for unit, rate in m.peaks.items()}, bandwidth=bandwidth,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Beside:
    """Both phases side by side: seconds of a prompt and of a step of decoding, with a `share` of the units for prompts.

    `rate` is the requests that are answered in a second, where both keep up; `slowed` by how much memory slows them.
    """

    share: float
    prompt: float
    step: float
    rate: float
    slowed: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mixed:
    """Steps that have pieces of prompts: requests a second, mean and longest time between two tokens."""

    rate: float
    step: float
    longest: float


@dataclass(frozen=True)
class Inside:
    """A workload of which `batch` sequences decode at a time, its prompts beside them; mixed steps have `chunk` tokens.

    Raises InputError for requests that have no step of decoding.
    """

    s: Setup
    w: Workload
    chunk: int

    def __post_init__(self) -> None:
        if self.w.generate < 2:
            raise InputError("generate: one token is made by the prompt, so that nothing decodes beside it")
        if self.chunk <= self.w.batch:
            raise InputError(
                f"chunk: {self.chunk:,} tokens of a step leave nothing for prompts beside {self.w.batch:,}"
            )

    @property
    def _steps(self) -> int:
        return int(self.w.generate) - 1

    @cached_property
    def _prompt(self) -> Pass:
        return replace(prefill(self.s, self.w), batch=1)

    @cached_property
    def _decode(self) -> Pass:
        return decode(self.s, self.w, self._steps / 2)

    def _run(self, p: Pass, share: float, bandwidth: float) -> Later:
        stack = self.s.stack(self.w.dtype)
        return run_pass(replace(stack, machine=part_of(stack.machine, share, bandwidth)), p)

    def reach(self, share: float) -> float:
        """The bandwidth that a share of the units can ask for."""
        m = self.s.machine(self.w.dtype)
        return min(float(m.bandwidth), share * float(m.units) * PER_CLOCK * float(m.clock))

    def at(self, share: float) -> Beside:
        """Both phases with such a share of the units for prompts."""
        whole = float(self.s.machine(self.w.dtype).bandwidth)
        shares = (share, 1 - share)
        both = [self._run(p, x, self.reach(x)) for p, x in zip((self._prompt, self._decode), shares, strict=True)]
        asked = [float(each.bytes) / float(each.time) for each in both]
        over = sum(asked) / whole
        slow = both
        if over > 1:
            slow = [
                self._run(p, x, min(self.reach(x), each / over))
                for p, x, each in zip((self._prompt, self._decode), shares, asked, strict=True)
            ]
        prompt, step = (float(each.time) for each in slow)
        rate = min(1 / prompt, self.w.batch / (self._steps * step))
        slowed = tuple(float(b.time) / float(a.time) for a, b in zip(both, slow, strict=True))
        return Beside(share, prompt, step, rate, (slowed[0], slowed[1]))

    def best(self, itl: float | None = None, shares: Sequence[float] = SHARES) -> Beside | None:
        """The share at which most requests are answered, with steps no longer than `itl`; None if there is none."""
        found = [at for at in map(self.at, shares) if itl is None or at.step <= itl]
        return max(found, key=lambda at: at.rate, default=None)

    @cached_property
    def mixed(self) -> Mixed:
        """The same in mixed steps: as many as its prompts need have a piece, or all if it waits for prompts."""
        stack, batch = self.s.stack(self.w.dtype), float(self.w.batch)
        new = min(self.chunk - batch, float(self._prompt.new))
        pieces = float(self._prompt.new) / new
        piece = replace(self._prompt, new=new, context=(float(self._prompt.new) - new) / 2, begins=1 / pieces)
        alone, both = (float(run_pass(stack, p).time) for p in (self._decode, together([piece, self._decode])))
        often = batch * pieces / self._steps
        step = alone + min(often, 1) * (both - alone)
        return Mixed(batch / (max(often, 1) * self._steps * step), step, both)
