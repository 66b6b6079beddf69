"""What comes of serving: when each request was answered, and what was in the engine meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from roofsim.foundation.values import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """A request that was answered: seconds of the clock at which it arrived, got its first and got its last token."""

    arrived: float
    first: float
    last: float
    prompt: int
    generate: int
    preempted: int

    @property
    def ttft(self) -> float:
        """Seconds to the first token."""
        return self.first - self.arrived

    @property
    def e2e(self) -> float:
        """Seconds to the last token."""
        return self.last - self.arrived

    @property
    def tpot(self) -> float | None:
        """Mean seconds between tokens; None for a single one."""
        return (self.last - self.first) / (self.generate - 1) if self.generate > 1 else None


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and percentiles."""

    mean: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Those of numbers, interpolated between neighbours; None of none."""
        if not values:
            return None
        ordered = sorted(values)
        return cls(sum(ordered) / len(ordered), *(_at(ordered, share) for share in (0.5, 0.95, 0.99)))


def _at(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@dataclass(frozen=True)
class Simulated:
    """What was simulated, in SI units. Levels are means over time, and the most there was at once.

    `computed` are tokens of prompts that went through steps, those that were computed again after a preemption among
    them; `rate` is of arrivals that do not wait for answers, and `capacity` what the engine can keep of such requests.
    """

    requests: tuple[Done, ...]
    gaps: Sequence[float]
    duration: float
    steps: int
    energy: float
    computed: int
    preemptions: int
    mean: Mapping[str, float]
    most: Mapping[str, float]
    rate: float | None = None
    capacity: float | None = None

    @property
    def overloaded(self) -> bool:
        """Whether requests come faster than the engine can answer them, so that the queue grows without end."""
        return self.rate is not None and self.capacity is not None and self.rate > self.capacity

    @cached_property
    def ttft(self) -> Spread | None:
        """Seconds to the first token."""
        return Spread.of([each.ttft for each in self.requests])

    @cached_property
    def itl(self) -> Spread | None:
        """Seconds between one token of a request and the next."""
        return Spread.of(self.gaps)

    @cached_property
    def tpot(self) -> Spread | None:
        """The same as means of each request."""
        return Spread.of([each.tpot for each in self.requests if each.tpot is not None])

    @cached_property
    def e2e(self) -> Spread | None:
        """Seconds to the last token."""
        return Spread.of([each.e2e for each in self.requests])

    @property
    def tokens_per_second(self) -> float:
        """Tokens of answers over the whole time."""
        return sum(each.generate for each in self.requests) / self.duration

    @property
    def requests_per_second(self) -> float:
        """Requests that were answered over the whole time."""
        return len(self.requests) / self.duration

    @property
    def energy_per_token(self) -> float:
        """Joules of all steps over the tokens of answers."""
        return self.energy / sum(each.generate for each in self.requests)
