"""What a figure is computed from: jobs, which are passes lowered to kernels, and how their figures add up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from roofsim.engine.passes import ahead_work, serving_work
from roofsim.foundation.arith import Number
from roofsim.foundation.values import dataclass
from roofsim.lowering.kernels import Kernel
from roofsim.lowering.step import lower, plans
from roofsim.model.step import Pass, Phase
from roofsim.prediction.setup import Setup
from roofsim.runs.operators import part_of

Figure = Literal["wall", "device", "energy", "rail", "constant", "memory"]


@dataclass(frozen=True, slots=True)
class Target:
    """A figure as a weighted sum over jobs; `constant` alone, or beside the workspace of the matrix library.

    `idle` are the watts of a rail when nothing runs, for the energy that is drawn from it.
    """

    figure: Figure
    parts: tuple[tuple[float, str], ...] = ()
    constant: float = 0
    idle: float = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Kernels that are one piece of a pass, `count` times over."""

    count: int
    kernels: tuple[Kernel, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One pass, or one operator by itself (`alone`), lowered to kernels, after `plans` of attention and `work`.

    `ahead` is work for it while the device is at the pass before, in launches as `work` is.
    """

    phase: Phase
    dtype: str
    groups: tuple[Group, ...]
    alone: bool = False
    plans: int = 0
    work: Number = 0
    ahead: Number | None = None

    @property
    def launches(self) -> Number:
        """Kernels that are launched."""
        return sum(g.count * k.count for g in self.groups for k in g.kernels if not k.joined)


class Jobs(dict[str, Job]):
    """Jobs by a key that says what they are, so that equal ones are lowered once."""

    def add(self, s: Setup, p: Pass, dtype: str, part: str | None = None) -> str:
        """The key of a pass, or of the operators in it that a profiler's name sums."""
        spread, chunk = s.runtime.parallel.expert_spread, s.runtime.memory.chunk  # which rows may state otherwise
        key = "|".join(
            map(str, (s.device.id, s.architecture.id, s.runtime.id, chunk, spread and spread.value, s.split, p, dtype,
                      part))
        )  # fmt: skip
        if key not in self:
            planned = 0 if part else plans(s.rank, s.runtime, s.device, p)
            work = 0 if part else serving_work(s.runtime, p)
            ahead = None if part else ahead_work(s.runtime, p)
            self[key] = Job(p.phase, dtype, tuple(_groups(s, p, part)), plans=planned, work=work, ahead=ahead)
        return key

    def target(self, s: Setup, figure: Figure, passes: Iterable[tuple[Number, Pass]], dtype: str) -> Target:
        """A figure that is the weighted sum over passes."""
        return Target(figure, tuple((float(n), self.add(s, p, dtype)) for n, p in passes))


def _groups(s: Setup, p: Pass, part: str | None) -> Iterator[Group]:
    """Equal layers are one piece that repeats; the operators of a single one are pieces of their own."""
    wanted = part_of(part, s.architecture.family) if part else None
    for row in lower(s.rank, s.runtime, p, s.device):
        operators = [
            wanted.kernels(operator, lowered.kernels) if wanted else lowered.kernels for operator, lowered in row
        ]
        if row.row.count == 1:
            yield from (Group(1, kernels) for kernels in operators if kernels)
        elif any(operators):
            yield Group(row.row.count, tuple(kernel for kernels in operators for kernel in kernels))
