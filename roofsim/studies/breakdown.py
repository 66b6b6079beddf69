"""Where the time of both passes goes over prompt length: by kind of operator, on the device and on the host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from roofsim.engine.passes import OperatorRow, PassFigures
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.intervals import Interval
from roofsim.prediction.request import decode_operators, prefill_operators, settled
from roofsim.prediction.setup import Setup
from roofsim.specs.calibration import HOST_MATTERS
from roofsim.specs.workload import Workload
from roofsim.studies.over_length import bands, lengths_of


@dataclass(frozen=True, slots=True)
class OfKind:
    """Seconds of the operators of one kind: on the device, of that bound by launches, and of the host for launches."""

    device: float
    launch_bound: float
    host: float


@dataclass(frozen=True, slots=True)
class PassAt:
    """One pass at a prompt length: seconds on the clock with their 95 % interval, of the device and of the host.

    `kinds` add up to `device_time`, and with `start`, what the host does before the first kernel, to `host_time`.
    """

    prompt: int
    time: float
    interval: Interval
    device_time: float
    host_time: float
    start: float
    kinds: Mapping[str, OfKind]

    @property
    def idle_time(self) -> float:
        """Seconds in which the device waits."""
        return self.time - self.device_time


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Both passes of a setup over prompt length: the prefill, and the first step after it."""

    lengths: tuple[int, ...]
    passes: Mapping[str, tuple[PassAt, ...]]
    calibration: str | None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of operators that there are, those that take most of the device first."""
        total: dict[str, float] = {}
        for each in self.passes.values():
            for at in each:
                for kind, of in at.kinds.items():
                    total[kind] = total.get(kind, 0.0) + of.device / at.device_time
        return tuple(sorted(total, key=lambda kind: -total[kind]))


def breakdown(s: Setup, w: Workload, lengths: Sequence[int] | None = None) -> Breakdown:
    """Take the time of both passes apart at these lengths, or up to the longest prompt; raises InputError."""
    chosen, w = lengths_of(s, w, lengths), settled(s, w)
    evaluated = [Evaluation(s, variant(w, prompt=n)) for n in chosen]
    made: dict[str, tuple[PassAt, ...]] = {}
    for name, operators in (("prefill", prefill_operators), ("decode", decode_operators)):
        passed: list[PassFigures] = [getattr(e, name) for e in evaluated]
        waits = [float(p.host_time) > HOST_MATTERS * float(p.device_time) for p in passed]
        within = bands(s, w, chosen, f"{name}.time", ("latency_s", name), waits)
        each = zip(chosen, evaluated, passed, within, strict=True)
        made[name] = tuple(_at(n, p, interval, operators(e)) for n, e, p, interval in each)
    return Breakdown(chosen, made, s.calibration_name)


def _at(prompt: int, p: PassFigures, interval: Interval, rows: Iterable[OperatorRow]) -> PassAt:
    kinds: dict[str, OfKind] = {}
    for row in rows:
        known = kinds.get(row.kind, OfKind(0.0, 0.0, 0.0))
        kinds[row.kind] = OfKind(
            known.device + float(row.time), known.launch_bound + float(row.launch_bound_time),
            known.host + float(row.host_time),
        )  # fmt: skip
    launches = sum(of.host for of in kinds.values())
    host = float(p.host_time)
    return PassAt(prompt, float(p.time), interval, float(p.device_time), host, max(host - launches, 0.0), kinds)
