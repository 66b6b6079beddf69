"""What the energy of a token is spent on, over prompt length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType

from roofsim.engine.energy import Joules
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.intervals import Interval
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup
from roofsim.specs.workload import Workload
from roofsim.studies.over_length import bands, lengths_of

PARTS: Mapping[str, str] = MappingProxyType({
    "idle": "idle", "waiting": "clocks up", "active": "units active", "work": "FLOP", "traffic": "bytes",
})  # fmt: skip
"""The parts of an energy, and what they are called: what the device draws at idle, that it is held ready, that its
units are at work, each FLOP, each byte to memory."""


@dataclass(frozen=True, slots=True)
class EnergyAt:
    """Joules of a token at a prompt length with their 95 % interval; `parts` add up to `energy`."""

    prompt: int
    energy: float
    interval: Interval
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Energies:
    """Joules of each token of the prompts (`prefill`), and of each that the first step after them makes (`decode`)."""

    lengths: tuple[int, ...]
    passes: Mapping[str, tuple[EnergyAt, ...]]
    calibration: str | None


def energies(s: Setup, w: Workload, lengths: Sequence[int] | None = None) -> Energies:
    """Take the energy of a token apart at these lengths, or up to the longest prompt.

    Raises Unsupported for a device whose power is not published, InputError for lengths.
    """
    if s.device.power.tdp is None:
        raise Unsupported(f"{s.device.id}: its file states no power.tdp, so there is no energy to take apart")
    chosen, w = lengths_of(s, w, lengths), settled(s, w)
    evaluated = [Evaluation(s, variant(w, prompt=n)) for n in chosen]
    made: dict[str, tuple[EnergyAt, ...]] = {}
    for name in ("prefill", "decode"):
        within = bands(s, w, chosen, f"{name}.energy", ("energy_j", name), [False] * len(chosen))
        rows = []
        for n, e, (low, high) in zip(chosen, evaluated, within, strict=True):
            tokens = w.batch * (n if name == "prefill" else 1)
            p = getattr(e, name)
            parts = {each.name: float(getattr(p, f"{each.name}_energy")) / tokens for each in fields(Joules)}
            rows.append(EnergyAt(n, float(p.energy) / tokens, (low / tokens, high / tokens), parts))
        made[name] = tuple(rows)
    return Energies(chosen, made, s.calibration_name)
