"""Prefill and decode at the same time inside one device: each on a share of its units, both on one memory.

As Nexus (arXiv 2507.06608), Bullet (arXiv 2504.19516) and DuetServe (arXiv 2511.04791) do it, beside steps in which
pieces of prompts go with every decoding sequence. Units are divided, bandwidth is not: few units cannot ask for all of
it, and where both phases ask for more than there is, each gets it in proportion to what it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

from roofsim.engine.compiled import Function
from roofsim.engine.graph import Graph
from roofsim.engine.passes import run_pass
from roofsim.engine.roofline import Machine
from roofsim.foundation.arith import Number
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.model.step import Pass, together
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, prefill
from roofsim.specs.workload import Workload

PER_CLOCK = 64
"""Bytes that a unit reads from the last-level cache in a clock (from memory, not re-read: Jia et al. 2018, arXiv
1804.06826, table 3.1, V100; NVIDIA's white paper states 5,120 for all units of an A100)."""

SHARES = tuple(i / 20 for i in range(1, 20))
"""Shares of the units that are looked at for prompts."""


def part_of(m: Machine, share: Number, bandwidth: Number) -> Machine:
    """A machine with a share of the units, and so much bandwidth."""
    return replace(
        m, matrix_rate=m.matrix_rate * share, vector_rate=m.vector_rate * share, units=m.units * share,
        peaks={unit: rate * share for unit, rate in m.peaks.items()}, bandwidth=bandwidth,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Beside:
    """Both phases side by side: seconds of a prompt and of a step of decoding, with a `share` of the units for prompts.

    `batch` sequences decode; `slowed` is by how much the other phase's traffic slows prompts and steps.
    """

    share: float
    batch: float
    prompt: float
    step: float
    slowed: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mixed:
    """Steps that have pieces of prompts: requests a second, mean and longest time between two tokens."""

    rate: float
    step: float
    longest: float


@dataclass(frozen=True)
class Inside:
    """Requests like a workload, whose prompts run beside the steps of those that decode; raises InputError for none."""

    s: Setup
    w: Workload

    def __post_init__(self) -> None:
        if self.w.generate < 2:
            raise InputError("generate: one token is made by the prompt, so that nothing decodes beside it")

    @property
    def steps(self) -> int:
        """Steps of a request after its first token."""
        return int(self.w.generate) - 1

    @cached_property
    def _prompt(self) -> Pass:
        return replace(prefill(self.s, self.w), batch=1)

    def _decode(self, batch: Number) -> Pass:
        return replace(decode(self.s, self.w, self.steps / 2), batch=batch)

    def _compiled(self, p: Callable[[Number], Pass]) -> Callable[..., tuple[float, ...]]:
        """Seconds and bytes of a pass, by batch, share of the units and bandwidth."""
        graph = Graph()
        batch, share, bandwidth = (graph.variable(name, whole=name == "batch") for name in ("batch", "share", "speed"))
        stack = self.s.stack(self.w.dtype)
        run = run_pass(replace(stack, machine=part_of(stack.machine, share, bandwidth)), p(batch))
        return Function(graph, {"time": run.time, "bytes": run.bytes}, ("batch", "share", "speed")).at

    @cached_property
    def _phases(self) -> tuple[Callable[..., tuple[float, ...]], Callable[..., tuple[float, ...]]]:
        """The prompt, and the step, as functions."""
        return self._compiled(lambda batch: self._prompt), self._compiled(self._decode)

    @cached_property
    def _whole(self) -> tuple[float, float]:
        """The bandwidth that there is, and that all units could ask for."""
        m = self.s.machine(self.w.dtype)
        return float(m.bandwidth), float(m.units) * PER_CLOCK * float(m.clock)

    def reach(self, share: float) -> float:
        """The bandwidth that a share of the units can ask for."""
        there, asked = self._whole
        return min(there, share * asked)

    def at(self, share: float, batch: float) -> Beside:
        """Both phases with such a share of the units for prompts, and so many sequences."""
        parts = tuple(zip(self._phases, (1.0, batch), (share, 1 - share), strict=True))
        alone = [run(n, x, self.reach(x)) for run, n, x in parts]
        asked = [moved / time for time, moved in alone]
        over = max(sum(asked) / self._whole[0], 1.0)
        slow = [run(n, x, min(self.reach(x), each / over))[0] if over > 1 else time
                for (run, n, x), each, (time, _) in zip(parts, asked, alone, strict=True)]  # fmt: skip
        return Beside(share, batch, slow[0], slow[1], (slow[0] / alone[0][0], slow[1] / alone[1][0]))

    def rate(self, at: Beside) -> float:
        """The requests that are answered in a second, where both keep up."""
        return min(1 / at.prompt, at.batch / (self.steps * at.step))

    def best(self, batch: float, shares: Sequence[float] = SHARES) -> Beside:
        """The share at which most requests are answered with so many sequences."""
        return max((self.at(share, batch) for share in shares), key=self.rate)

    def mixed(self, batch: float, tokens: float) -> Mixed:
        """The same in mixed steps of so many tokens: as many have a piece as its prompts need, or all.

        Raises InputError where sequences leave nothing for prompts.
        """
        if tokens <= batch:
            raise InputError(f"tokens: steps of {tokens:,} leave nothing for prompts beside {batch:,} sequences")
        stack, whole, step = self.s.stack(self.w.dtype), float(self._prompt.new), self._decode(batch)
        new = min(tokens - batch, whole)
        piece = replace(self._prompt, new=new, context=(whole - new) / 2, begins=new / whole)
        alone, both = (float(run_pass(stack, p).time) for p in (step, together([piece, step])))
        often = batch * whole / (new * self.steps)
        mean = alone + min(often, 1) * (both - alone)
        return Mixed(batch / (max(often, 1) * self.steps * mean), mean, both)
