"""What fits: the longest prompt, the largest batch, and memory over length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from roofsim.engine.memory import Memory
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.intervals import limits_within
from roofsim.prediction.limits import fits, limits_of, longest_prompt
from roofsim.prediction.results import Intervals, Limits, Room, columns, interval_basis, parallel, plain
from roofsim.prediction.setup import ALONE, Setup
from roofsim.prediction.words import MISFIT, assumptions, beyond, cautions, room
from roofsim.specs.workload import Workload

PARTS = ("weights", "state", "activations", "logits", "masks", "workspace")


MOST_LENGTHS = 2_000
"""Lengths that are listed at most: each is a pass of its own."""


@dataclass(frozen=True, slots=True)
class MemoryAt:
    """Memory of a prefill of `prompt` tokens; `fits` says whether memory holds it, generation included."""

    prompt: int
    memory: Memory
    fits: bool


@dataclass(frozen=True, slots=True)
class LimitsResult:
    """The limits of one model on one device, and its memory at several lengths."""

    model: str
    device: str
    runtime: str
    workload: Workload
    capacity: float
    room: Room
    limits: Limits
    at: tuple[MemoryAt, ...]
    assumptions: tuple[str, ...]
    cautions: tuple[str, ...]
    calibration: str | None
    intervals: Intervals
    parallel: Mapping[str, int] = field(default_factory=lambda: parallel(ALONE))
    cluster: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        names = (*PARTS, "peak", "reserved", "binding")
        return {
            "schema": SCHEMA,
            "model": self.model,
            "device": self.device,
            "cluster": self.cluster,
            "parallel": dict(self.parallel),
            "runtime": self.runtime,
            "batch": self.workload.batch,
            "prompt": self.workload.prompt,
            "capacity": self.capacity,
            "calibration": self.calibration,
            "limits": columns(self.limits),
            "memory": [
                {"prompt": each.prompt, "fits": each.fits, **{n: plain(getattr(each.memory, n)) for n in names}}
                for each in self.at
            ],
            "cautions": list(self.cautions),
            "assumptions": list(self.assumptions),
            "intervals": plain(self.intervals),
            "basis": interval_basis(self.calibration),
        }


def limits(s: Setup, w: Workload, lengths: Sequence[int] | None = None) -> LimitsResult:
    """Limits, and memory at `lengths` (powers of two up to the longest prompt, and that one, if None)."""
    found = limits_of(s, w)
    if lengths is None:
        top = max(min(longest_prompt(s, w), 2**20), 1024)
        lengths = sorted({*(2**k for k in range(9, 21) if 2**k <= top), top})
    asked = [variant(w, prompt=n) for n in sorted(set(listed(lengths)))]
    at = tuple(MemoryAt(each.prompt, Evaluation(s, each).memory, fits(s, each)) for each in asked)
    shortest = beyond(Evaluation(s, variant(w, prompt=1)))
    never = tuple(f"{each}, at any length" for each in shortest if each.startswith(MISFIT))
    return LimitsResult(
        s.architecture.id, s.device.id, s.runtime.id, w, float(s.device.capacity), room(s), found, at,
        assumptions(s, w), (*never, *cautions(s, w)), s.calibration_name, limits_within(s, w),
        parallel(s.split), s.cluster_name,
    )  # fmt: skip


def listed(lengths: Sequence[int]) -> Sequence[int]:
    """Lengths, if they are no more than a table has; raises InputError otherwise."""
    if len(lengths) > MOST_LENGTHS:
        raise InputError(
            f"lengths: {len(lengths):,} are more than are listed, {MOST_LENGTHS:,} at most; `roofsim sweep` takes more"
        )
    return lengths


BEYOND = 1.12
"""How far a figure of memory goes on beyond the longest prompt that it holds."""


def spread(result: LimitsResult, points: int = 64) -> list[int]:
    """Evenly spaced lengths over those of a result, for a figure, and a little beyond where memory ends there."""
    low, high = result.at[0].prompt, result.at[-1].prompt
    if high == result.limits.memory_prompt:
        high = round(BEYOND * high)
    return sorted({round(low + (high - low) * i / (points - 1)) for i in range(points)})
