"""Requests that come at a rate: how long they wait for a step, for each other, and for a place.

Arrivals are a Poisson process. Where several prompts fit a step, all that came while one ran go into the next: a server
behind a gate, whose steps T are followed by V + N(T) D, N(T) being the arrivals in T, V a step of decoding and D what a
prompt adds. Its moments are those of a cycle of gated service (Takagi, Queueing Analysis 1, 1991, 2.3). Where one does
not fit beside another, prompts are served one after the other and steps between them are vacations: M/D/1 with
vacations (Doshi 1986), whose wait is that of M/D/1 and what is left of a vacation. Places, and steps that overflow, are
servers of which there are several (Sakasegawa 1977).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from roofsim.engine.passes import Later
from roofsim.foundation.errors import InputError
from roofsim.model.step import Pass, together
from roofsim.prediction.steps import decode, prefill
from roofsim.serving.quantiles import quantiles

if TYPE_CHECKING:
    from roofsim.serving.steady import Server

NEAR = 1e-9
"""How near to the truth the number of sequences is found, relative."""

PROMPTS = 4
"""Prompts of a step that what each adds is taken from: two alone may cost what one does, where weights bind."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of a step of decoding, of one with one prompt (or piece) beside, and of each prompt more."""

    alone: Any
    one: Any
    more: Any


@dataclass(frozen=True, slots=True)
class Load:
    """Requests a second, and what each brings: `own` steps with its prompt, of which `beside` fit one step, and `steps`
    of decoding. `ahead` steps are laid out already; there are `places` at most.
    """

    rate: float
    own: float
    beside: float
    steps: float
    ahead: int
    places: float

    @property
    def alone(self) -> bool:
        """Whether a prompt shares its steps with no other."""
        return self.beside < 2


@dataclass(frozen=True, slots=True)
class Found:
    """Mean of a step, of the time to the first token, its variance, and what it takes at least."""

    step: Any
    first: Any
    variance: float
    least: float


def several(servers: float, busy: Any, service: Any) -> Any:
    """Mean wait for one of several servers that are `busy` a share of their time, of services that take equally long.

    Sakasegawa 1977, eq. 3 with a coefficient of variation of 0 for services; exact for one server (M/D/1).
    """
    return service * busy ** (math.sqrt(2 * (servers + 1)) - 1) / (2 * servers * (1 - busy))


def moments(v: Any, d: Any, rate: float) -> tuple[Any, Any, float]:
    """The first three moments of steps T that are followed by v + N d, N being the Poisson arrivals in T."""
    busy = rate * d
    first = v / (1 - busy)
    second = (v * v + 2 * v * busy * first + d * busy * first) / (1 - busy * busy)
    a, b, r, m1, m2 = float(v), float(d), float(busy), float(first), float(second)
    third = a**3 + 3 * a * a * r * m1 + 3 * a * (b * r * m1 + r * r * m2) + b * b * r * m1 + 3 * b * r * r * m2
    return first, second, third / (1 - r**3)


def behind_a_gate(load: Load, t: Times, busy: float) -> Found:
    """Where all prompts that came in a step go into the next; `busy` is how often a request finds the engine at work.

    A step without prompts differs from what others are without theirs: it counts as often as nobody came.
    """
    more = t.more
    with_any = t.one - more
    window = float(t.alone)
    for _ in range(20):
        some = 1 - math.exp(-load.rate * window)
        window = float(t.alone + some * (with_any - t.alone)) / (1 - load.rate * float(more))
    start = t.alone + some * (with_any - t.alone)
    m1, m2, m3 = moments(start, more, load.rate)
    seen = m2 / m1
    left = busy * (seen / 2 + load.ahead * m1)
    others = load.rate * more * seen * busy
    r, s, spread = load.rate * float(more), float(seen), m3 / float(m1) - float(seen) ** 2
    variance = busy * (m3 / float(m1) / 12 + float(more) * r * s + (0.5 + r) ** 2 * spread)
    variance += busy * (1 - busy) * (s / 2 + load.ahead * float(m1)) ** 2
    over = several(load.beside, load.rate * m1 / load.beside, m1)
    # the step that ends a prompt is long, and prompts that came in it make the next ones longer: by a share each
    steps, r = load.steps, load.rate * more
    after = m1 + (t.one + others - m1) * r * (1 - r**steps) / ((1 - r) * steps) if steps else m1
    return Found(after, left + t.one + others + over, variance + float(over) ** 2, float(t.one))


def one_by_one(load: Load, t: Times, busy: float) -> Found:
    """Where prompts go through one after the other, each in its steps."""
    service = load.own * t.one
    at_work = load.rate * service
    step = 1 / (load.rate * load.own + (1 - at_work) / t.alone)
    queued = several(1, at_work, service)
    left = busy * (t.alone / 2 + load.ahead * step)
    q, s, v = float(queued), float(service), float(t.alone)
    variance = q * q + load.rate * s**3 / (3 * (1 - float(at_work))) + busy * v * v / 12
    variance += busy * (1 - busy) * (v / 2 + load.ahead * float(step)) ** 2
    first = queued + left + service
    # prompts that came in the time to the first token lie in the steps after it; few lie at the end of most steps
    share = load.rate * load.own * step
    behind = (1 - share) * load.rate * (first - t.alone) * (service - load.own * t.alone)
    after = step + behind * step / (t.alone * load.steps) if load.steps else step
    return Found(after, first, variance, s)


def found(load: Load, t: Times, present: float) -> Found:
    """Times at a load, with so many sequences decoding in the mean."""
    busy = 1 - math.exp(-present)
    return one_by_one(load, t, busy) if load.alone else behind_a_gate(load, t, busy)


def placed(load: Load, f: Found) -> tuple[Any, Any]:
    """The mean wait for a place, and the requests that are served at a time."""
    service = f.first + load.steps * f.step
    running = load.rate * service
    if not math.isfinite(load.places):
        return 0.0, running
    return several(load.places, running / load.places, service), running


@dataclass(frozen=True)
class Solved:
    """The number of sequences that requests at a rate keep decoding, found by halving, and all that follows from it.

    Raises InputError for a rate at which waiting has no mean.
    """

    server: Server
    rate: float

    def _load(self, n: float) -> Load:
        e = self.server.engine
        prompt = self._prompt
        room = max(float(e.tokens) - n * self.server.each, 1.0)
        fit = room / prompt
        beside = math.floor(fit) if e.whole else fit
        own = 1 if e.whole or fit >= 1 else math.ceil(prompt / room)
        return Load(self.rate, own, max(beside, 1.0), self.server.later, e.ahead, self.server.most)

    @property
    def _prompt(self) -> float:
        return float(self.server.prompt)

    @property
    def _held(self) -> float:
        return float(self.server.whole + max(self.server.w.generate - 2, 0) / 2)

    def _piece(self, load: Load) -> tuple[float, float]:
        """New tokens of a piece of a prompt, and what was before it in the mean."""
        new = self._prompt / load.own
        return new, (self.server.whole - self._prompt) + (self._prompt - new) / 2

    def _groups(self, n: float, prompts: int, load: Load) -> Pass:
        """A step of n sequences that decode, and of so many pieces of prompts."""
        s, w = self.server.s, self.server.w
        new, context = self._piece(load)
        step = replace(decode(s, w), batch=n, context=self._held)
        piece = replace(prefill(s, w), batch=prompts, new=new, context=context, begins=1 / load.own)
        return together([*([piece] if prompts else []), *([step] if n else [])])

    def _times(self, n: float, time: Callable[[float, int], Any]) -> Times:
        """Steps as a request finds them: with the others, if there are any, and itself, from the `time` of a step."""
        busy = 1 - math.exp(-n)

        def found(prompts: int) -> Any:
            idle = (1 - busy) * time(0, prompts)
            return idle + busy * time(n / busy, prompts) if busy else idle

        last = max(min(PROMPTS, int(self._load(n).beside)), 2)
        return Times(time(n + 1, 0), one := found(1), (found(last) - one) / (last - 1))

    def _at(self, n: float, load: Load) -> Times:
        new, context = self._piece(load)
        of = self.server.steps.of
        return self._times(n, lambda k, prompts: of(k, self._held, prompts, new, context)[0])

    def _found(self, n: float) -> Found | None:
        """Times with n sequences; None where so many requests are not answered."""
        load = self._load(n)
        t = self._at(n, load)
        prompts = load.own * t.one if load.alone else (t.one + (load.beside - 1) * t.more) / load.beside
        if load.rate * prompts >= 1:
            return None
        return found(load, t, n)

    def _kept(self, n: float) -> float:
        """The sequences that decode if n do, less n: below 0 where more are served than come."""
        f = self._found(n)
        return math.inf if f is None else float(self.rate * self.server.later * f.step - n)

    @cached_property
    def decoding(self) -> float:
        """The sequences that decode in the mean."""
        low, high = 0.0, float(self.server.most)
        if self._kept(low) <= 0:
            return low
        if self._kept(high) > 0:
            raise InputError(
                f"rate: {self.rate:g} requests a second are within what is answered at most, "
                f"{self.server.capacity:.4g}, but so near that waiting has no mean"
            )
        while high - low > NEAR * high:
            middle = (low + high) / 2
            low, high = (middle, high) if self._kept(middle) > 0 else (low, middle)
        return high

    @cached_property
    def _load_there(self) -> Load:
        return self._load(self.decoding)

    @cached_property
    def _there(self) -> Found:
        found = self._found(self.decoding)
        if found is None:
            raise InputError(f"rate: {self.rate:g} requests a second are more than are answered")
        return found

    @cached_property
    def _place(self) -> tuple[float, float]:
        """The wait for a place, and the requests that are served."""
        wait, running = placed(self._load_there, self._there)
        return float(wait), float(running)

    @property
    def running(self) -> float:
        """The requests that are served at a time."""
        return self._place[1]

    @cached_property
    def ttft(self) -> dict[str, float]:
        """Mean and percentiles of the time to the first token."""
        mean = float(self._there.first) + self._place[0]
        return {"mean": mean, **_gamma(self._there.least, mean, math.sqrt(self._there.variance + self._place[0] ** 2))}

    @cached_property
    def itl(self) -> dict[str, float]:
        """Mean and percentiles of the time between two tokens."""
        load, step = self._load_there, float(self._there.step)
        gaps = _gaps(load, self._at(self.decoding, load), step)
        drafts = self.server.drafts
        return {"mean": self.server.between * step, **quantiles(drafts.gaps(gaps) if drafts else gaps)}

    @property
    def present(self) -> float:
        """The requests that are there, waiting or served (Little's law)."""
        return self.rate * (self.ttft["mean"] + self._load_there.steps * float(self._there.step))

    @cached_property
    def steps(self) -> tuple[float, float]:
        """Steps without prompts in a second, and with."""
        prompts = self.rate * self._load_there.own
        return max(self.rate * self._load_there.steps / self._together - prompts, 0.0), prompts

    @property
    def _together(self) -> float:
        """Sequences in a step, of which there is none without any."""
        busy = 1 - math.exp(-self.decoding)
        return max(self.decoding / busy if busy else 1.0, 1.0)

    @cached_property
    def _passes(self) -> tuple[Pass, Pass]:
        load = self._load_there
        return self._groups(self._together, 0, load), self._groups(self.decoding, 1, load)

    @cached_property
    def figures(self) -> tuple[Later, Later]:
        """Figures of a step without prompts, and of one with."""
        alone, mixed = self.server.figures(self._passes)
        return alone, mixed

    @cached_property
    def doubtful(self) -> dict[str, Any]:
        """What is in doubt, with its slopes by parameters: work of a second, a step with a prompt, joules of a token.

        Joules are those of the steps that are run: an engine that has nothing to do draws its idle power beside.
        """
        figures = self.server.figures(self._passes, self.server.doubting)
        work, spent = (
            sum(n * getattr(each, name) for n, each in zip(self.steps, figures, strict=True))
            for name in ("time", "energy")
        )
        return {
            "itl": work, "ttft": figures[1].time, "round": self.server.full_round,
            "joules_per_token": self.server.ranks * spent / (self.rate * self.server.w.generate),
        }  # fmt: skip


FAR = 9
"""Standard deviations from the mean of arrivals in which all of them are."""


def _gaps(load: Load, t: Times, step: float) -> list[tuple[float, float]]:
    """Seconds of steps with no prompt, with one, with more, each behind its share."""
    if load.alone:
        share = min(load.rate * load.own * step, 1.0)
        return [(1 - share, float(t.alone)), (share, float(t.one))]
    mean = load.rate * step
    near = FAR * (math.sqrt(mean) + 1)
    return [
        (math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)), float(t.one + (k - 1) * t.more if k else t.alone))
        for k in range(max(int(mean - near), 0), int(mean + near) + 1)
    ]


def _gamma(least: float, mean: float, spread: float) -> dict[str, float]:
    """Percentiles of a gamma distribution from `least` on, with this mean and spread (Wilson and Hilferty 1931)."""
    over = mean - least
    if over <= 0 or spread <= 0:
        return dict.fromkeys(("p50", "p95", "p99"), mean)
    shape = (over / spread) ** 2
    found: dict[str, float] = {}
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        z = NormalDist().inv_cdf(q)
        found[name] = least + over * max(1 - 1 / (9 * shape) + z / (3 * math.sqrt(shape)), 0.0) ** 3
    return found
