"""The steady state of a serving engine, in closed form: what users see of it, what it makes, and what ends it.

Two kinds of load. Users who each ask again as soon as they are answered (a closed loop, as benchmarks have it): their
requests are alike and began together, so that rounds repeat (`prediction.loop`). Or requests that come as they like, at
a rate: a Poisson process, whose requests share steps and wait for them (`open`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

from roofsim.engine.passes import Later, pass_bound
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.units import show
from roofsim.foundation.version import SCHEMA
from roofsim.model.step import Pass
from roofsim.prediction.cost import priced
from roofsim.prediction.cost import steady as steady_cost
from roofsim.prediction.fitted import reach, unsure
from roofsim.prediction.intervals import Interval, scatter, with_slopes, within
from roofsim.prediction.loop import ENDLESS, Engine, Kinds, Loop, Passes, passes
from roofsim.prediction.request import settled
from roofsim.prediction.results import columns, interval_basis, plain
from roofsim.prediction.server import cache_room, engine_of, held_bytes, in_flight, lanes, sequences_held
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import assumptions, cautions
from roofsim.serving.drafting import Drafting
from roofsim.serving.open import Solved, Steps
from roofsim.serving.prefix import Prefix, Shared
from roofsim.serving.quantiles import quantiles
from roofsim.serving.step import StepTime
from roofsim.specs.workload import Workload

Times = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cache:
    """Bytes of what sequences hold: the room for it, what is in it in the mean, and how many sequences it has room for.

    `preempts` says whether sequences grow beyond it, so that some are put back and computed again, which is not
    counted.
    """

    capacity: float
    used: float
    sequences: int
    preempts: bool


@dataclass(frozen=True, slots=True)
class Throughput:
    """Output tokens per second: of one user, of a device, of all."""

    user: float
    device: float
    total: float


@dataclass(frozen=True)
class Served:
    """What a load makes of a setup. `to_dict` gives the JSON of the design, section 6; SI units.

    `concurrency` are the requests that are there, of which `running` are served, `rate` those that come (and are
    answered) in a second, `capacity` the rate that can be answered at most. `itl` is the time between two tokens of a
    request, `ttft` from its arrival to the first. `drafts` is what those gain (`gained.Gained`), if there are any.
    """

    model: str
    device: str
    runtime: str
    workload: Workload
    concurrency: float
    rate: float
    running: float
    capacity: float
    itl: Times
    ttft: Times
    tokens_per_second: Throughput
    binds: str
    kv: Cache
    joules_per_token: float
    intervals: Mapping[str, Interval]
    devices: int = 1
    assumptions: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    calibration: str | None = None
    cluster: str | None = None
    parallel: Mapping[str, int] = field(default_factory=lambda: {"tp": 1, "pp": 1, "ep": 1, "dp": 1})
    cost: Mapping[str, float | None] = field(default_factory=dict)
    paid: str = ""
    drafts: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        w = self.workload
        return {
            "schema": SCHEMA,
            "model": self.model,
            "device": self.device,
            "cluster": self.cluster,
            "runtime": self.runtime,
            "calibration": self.calibration,
            "parallel": dict(self.parallel),
            "workload": {
                "prompt": w.prompt,
                "generate": w.generate,
                "dtype": w.dtype,
                "cache_dtype": w.cache_dtype or w.dtype,
                "weight_format": w.weight_format or w.dtype,
            },
            "load": {"concurrency": self.concurrency, "rate": self.rate, "running": self.running,
                     "capacity": self.capacity},
            "itl": dict(self.itl),
            "ttft": dict(self.ttft),
            "tokens_per_second": plain(self.tokens_per_second),
            "binds": self.binds,
            "kv": plain(self.kv),
            "cost": {**dict.fromkeys(COSTS), **self.cost,
                     "joules_per_token": plain(self.joules_per_token), "paid": self.paid},
            "intervals": plain(self.intervals),
            "basis": interval_basis(self.calibration),
            "cautions": list(self.cautions),
            "assumptions": list(self.assumptions),
            **({"drafts": columns(self.drafts)} if self.drafts else {}),
        }  # fmt: skip


@dataclass(frozen=True)
class Server:
    """A setup that serves requests like `w`: the batch of the workload says nothing. They may share a `prefix`.

    With `drafts` a step verifies drafted tokens of every sequence.
    """

    s: Setup
    w: Workload
    sequences: int | None = None
    prefix: Prefix | None = None
    drafts: Drafting | None = None

    def __post_init__(self) -> None:
        if self.s.runtime.server is None:
            raise Unsupported(f"{self.s.runtime.id} serves no requests that come and go; vllm does")
        if self.w.generate < 1:
            raise InputError("--generate: a request that is served has at least one token")
        object.__setattr__(self, "w", variant(settled(self.s, self.w), batch=1, logits="last"))

    def divided(self, s: Setup) -> Server:
        """The same on a setup that differs in how the model is divided; raises Unsupported where drafts cannot be."""
        return replace(self, s=s, drafts=self.drafts and self.drafts.divided(s))

    @cached_property
    def shared(self) -> Shared | None:
        """What requests have of the prefix, if there is one."""
        return None if self.prefix is None else Shared(self.s, self.w, self.prefix)

    @cached_property
    def later(self) -> float:
        """Steps of a request after its first token: one for each token more, but for what drafts make of a step."""
        tokens = self.w.generate - 1
        return tokens if self.drafts is None else self.drafts.steps(tokens)

    @property
    def between(self) -> float:
        """Steps from a token to the next, in the mean."""
        return self.later / (self.w.generate - 1) if self.drafts and self.later else 1.0

    @property
    def each(self) -> int:
        """Tokens of a sequence that decodes in a step."""
        return 1 if self.drafts is None else self.drafts.verified

    @property
    def _sharing(self) -> dict[str, float]:
        """Bytes that all hold together, and that each has less to hold, one of every lane of a pipeline."""
        if self.shared is None and self.drafts is None:
            return {}
        once, saved = (self.shared.once, self.shared.saved) if self.shared else (0.0, 0.0)
        if self.drafts:
            all_ = self.s.runtime.server is not None and self.s.runtime.server.room == "all"
            made = self.w.generate if all_ else (self.w.generate - 1) / 2
            once += self.drafts.weights
            saved -= self.drafts.held(self.s, self.w, self.w.prompt + made)
        return {"once": once, "saved": saved * in_flight(self.s)}

    @cached_property
    def engine(self) -> Engine:
        """How the runtime's server puts requests into steps on this device."""
        return engine_of(self.s, self.sequences)

    @cached_property
    def steps(self) -> StepTime:
        """The time of any step."""
        return StepTime(self.s, self.w, self.drafts)

    @cached_property
    def open_steps(self) -> Steps:
        """The steps of requests that come at a rate."""
        return Steps(self)

    @cached_property
    def _kept(self) -> tuple[float, float]:
        """Bytes that there are for what sequences hold, and how many bytes one holds in the mean."""
        room, each = cache_room(self.s, self.w, self.engine)
        return room - self._sharing.get("once", 0), each - self._sharing.get("saved", 0)

    @cached_property
    def lanes(self) -> int:
        """Parts of the load that each have sequences and steps of their own."""
        return lanes(self.s)

    @property
    def ranks(self) -> int:
        """Devices that compute a pass of a lane together, one after the other where there are stages."""
        return self.s.split.tp * self.s.split.cp

    @cached_property
    def most(self) -> int:
        """Sequences of a lane that can run at once."""
        return min(self.engine.sequences, self._most_held, self.engine.tokens // self.each)

    @property
    def limit(self) -> str:
        """What ends that: the cache, or how many sequences the server takes."""
        return "kv" if self._most_held <= self.most and self._most_held < self.engine.sequences else "sequences"

    @cached_property
    def ends(self) -> str:
        """What ends the rate that can be answered."""
        found = _round(self, float("inf"))
        return found.bound if _saturated(found.loop) else self.limit

    @cached_property
    def _most_held(self) -> int:
        return sequences_held(self.s, self.w, self.engine, **self._sharing)

    def cache(self, running: float) -> Cache:
        """What so many sequences of a lane hold."""
        room, each = self._kept
        last = held_bytes(self.s, self.w, self.w.prompt + self.w.generate)
        last -= self._sharing.get("saved", 0)
        return Cache(room, running * each, self._most_held * self.lanes, running * last > room)

    def spread(self, users: float) -> float:
        """The lanes that so many users fill."""
        return min(self.lanes, users)

    def loop(self, users: float) -> Loop:
        """The round of so many users of a lane."""
        if self.most < 1:
            room, each = self._kept
            asks = f"a request of {self.w.prompt:,} + {self.w.generate:,} tokens holds {show(each, 'B')}"
            beside = ""
            if self.drafts and self.drafts.weights:
                beside = f" beside the weights of the draft ({show(self.drafts.weights, 'B')})"
            least = (
                f"there is room for {show(room, 'B')}{beside}"
                if room > 0
                else f"weights and the work of a step leave no room{beside}; "
                "divide the model (--tp 2) or store it in fewer bits (--weights)"
            )
            raise InputError(f"{self.s.model_name} on {self.s.device.id}: nothing fits: {asks}, and {least}")
        return self.looped(users, min(users, self.most))

    def looped(self, users: Any, running: Any) -> Loop:
        """The round of so many users of a lane, of whom so many are served at once."""
        return Loop(self.engine, users, running, self.prompt, 1 + self.later, self.each)

    @property
    def whole(self) -> int:
        """Tokens of a prompt, with those that the model puts before it."""
        return int(self.w.prompt + self.s.architecture.prefix_tokens)

    @property
    def prompt(self) -> float:
        """Those of them that go through, in the mean over requests: all but what is found in the cache."""
        return self.whole if self.shared is None else self.whole - self.w.prompt + self.shared.left

    def said(self, kind: Literal["users", "rate"]) -> tuple[str, ...]:
        """What the load and the server are taken to be like, and all else that is assumed."""
        drafts = self.drafts.said(self.s, self.w) if self.drafts else ()
        return (*_said(self, kind), *drafts, *assumptions(self.s, self.w)[1:])

    def passes(self, loop: Loop) -> Passes:
        """The kinds of step of a loop."""
        return passes(self.s, self.w, loop)

    def figures(self, p: Sequence[Pass], s: Setup | None = None) -> tuple[Later, ...]:
        """Their figures, on the setup or on one with other parameters."""
        steps = self.steps if s is None else StepTime(s, self.w, self.drafts and self.drafts.under(s))
        return tuple(steps.passed(each) for each in p)

    @cached_property
    def doubting(self) -> Setup:
        """The setup with parameters that carry their slopes, as sure as the data of its calibration allow."""
        return with_slopes(unsure(self.s, reach(self.s, self.w)), self.w)

    @cached_property
    def full_round(self) -> Any:
        """Seconds of a round of a full engine, with their slopes by parameters."""
        loop = self.loop(float("inf"))
        return loop.steps.of([each.time for each in self.figures(self.passes(loop), self.doubting)])

    @cached_property
    def capacity(self) -> float:
        """The most requests that can be answered in a second: those of a full engine that is never short of them."""
        found = _round(self, float("inf"))
        return float(found.loop.running) / found.took * self.lanes


@dataclass(frozen=True)
class _Round:
    """A closed loop with the figures of its kinds of step."""

    loop: Loop
    passes: Passes
    figures: tuple[Later, ...]
    rounds: float
    server: Server

    @cached_property
    def seconds(self) -> list[float]:
        """Those of each kind of step."""
        return [float(each.time) for each in self.figures]

    @property
    def took(self) -> float:
        """Seconds of a round."""
        return float(self.loop.steps.of(self.seconds))

    @cached_property
    def of_prompts(self) -> float:
        """The share of them that prompts add to steps of decoding."""
        *mixed, alone = self.seconds
        return sum(float(n) * (t - alone) for n, t in zip(self.loop.steps, mixed, strict=False)) / self.took

    @property
    def bound(self) -> str:
        """What bounds the kind of step that a round spends most of its time in."""
        spent = [float(n) * t for n, t in zip(self.loop.steps, self.seconds, strict=True)]
        return pass_bound(self.figures[spent.index(max(spent))])

    @cached_property
    def until_first(self) -> Kinds:
        """Steps up to a first token."""
        return self.loop.until_first(self.rounds)

    @cached_property
    def later(self) -> Kinds:
        """What kinds a request's later steps are."""
        return self.loop.between_tokens(self.rounds)

    @cached_property
    def times(self) -> dict[str, dict[str, float]]:
        """Its times by name."""
        steps = [(float(share), seconds) for share, seconds in zip(self.later, self.seconds, strict=True)]
        drafts = self.server.drafts
        return {
            "itl": {
                "mean": self.server.between * float(self.later.of(self.seconds)),
                **quantiles(drafts.gaps(steps) if drafts else steps),
            },
            "ttft": {
                "mean": float(self.until_first.of(self.seconds)),
                **quantiles(_first_tokens(self.loop, self.rounds, *self.seconds)),
            },
        }


def _round(server: Server, users: float, rounds: float = ENDLESS) -> _Round:
    loop = server.loop(users / server.spread(users))
    p = server.passes(loop)
    return _Round(loop, p, server.figures(p), rounds, server)


def glance(server: Server, users: float) -> Mapping[str, Mapping[str, float]]:
    """The times that so many users see."""
    return _round(server, users).times


def closed(server: Server, users: int, rounds: float = ENDLESS) -> Served:
    """The steady state of so many users, or the mean over so many requests of each, all of whom begin together."""
    if users < 1:
        raise InputError(f"concurrency: {users} is not a whole number from 1 on")
    if rounds < 1:
        raise InputError(f"rounds: {rounds:g} is not a number from 1 on")
    found = _round(server, users, rounds)
    loop, spread = found.loop, server.spread(users)
    rate = spread * float(loop.running) / found.took
    doubted = server.figures(found.passes, server.doubting)
    seconds, made = [each.time for each in doubted], float(loop.running) * server.w.generate
    doubtful = {
        "itl": server.between * found.later.of(seconds),
        "ttft": found.until_first.of(seconds),
        "round": loop.steps.of(seconds),
        "joules_per_token": server.ranks * loop.steps.of([each.energy for each in doubted]) / made,
    }
    binds = server.limit if users > server.most * server.lanes else found.bound
    return _served(server, users, rate, spread * float(loop.running), found.times["itl"], found.times["ttft"], binds,
                   doubtful, "users", spread, found.of_prompts)  # fmt: skip


def doubted_step(server: Server, users: int) -> Any:
    """Seconds in which a lane of so many users makes a token of each that is served, with their slopes."""
    loop = server.loop(users / server.spread(users))
    took = loop.steps.of([each.time for each in server.figures(server.passes(loop), server.doubting)])
    return took / (float(loop.running) * server.w.generate)


def full(server: Server, batch: int) -> Served:
    """The steady state of engines (of each group of data parallel one) that always have requests for such a batch."""
    return closed(replace(server, sequences=batch), batch * server.s.split.dp)


def _first_tokens(loop: Loop, rounds: float, f: float, m: float, a: float) -> list[tuple[float, float]]:
    """The times to the first token of the requests of a closed loop, each with its share.

    `f`, `m` and `a` are the seconds of a step with the first prompt, with others, with none. The first requests of a
    round find steps without prompts before them; in the first round all prompts are there.
    """
    n, others, waits = float(loop.running), float(loop.others), float(loop.waits)
    seconds, own = [f, m, a], float(loop.own)
    queued, share = (float(loop.turns) - 1) * float(loop.steps.of(seconds)), (1 - 1 / n) / max(others, 1)
    alone = min(float(loop.between), waits)
    steady = [(1 / n, queued + alone * a + (waits - alone) * m + float(loop.first) * f)]
    places = min(loop.engine.ahead + 1, int(others))
    for place in range(places):
        met = loop.behind(place)
        longer = waits - float(loop.late) + own
        steady.append((share, queued + float(met.of(seconds)) + longer * m))
    steady.append((share * (others - places), queued + (waits + own) * m))
    begun = [(1 / n, queued + float(loop.first) * f)]
    begun += [(share, queued + float(loop.first) * f + max(j, own) * m) for j in range(1, int(others) + 1)]
    return [*((part * (1 - 1 / rounds), t) for part, t in steady), *((part / rounds, t) for part, t in begun)]


def _served(
    server: Server, concurrency: float, rate: float, running: float, itl: Times, ttft: Times, binds: str,
    doubtful: Mapping[str, Any], kind: Literal["users", "rate"], spread: float, of_prompts: float,
) -> Served:  # fmt: skip
    s, w = server.s, server.w
    unsure_of = server.doubting
    sigma = {name: scatter(unsure_of, measured) for name, measured in MEASURED.items()}
    found = {name: within(unsure_of, x, sigma[name]) for name, x in doubtful.items()}
    if kind == "rate":
        found |= {name: _stretched(server, rate, name, doubtful[name], found[name]) for name in ("itl", "ttft")}
    total = rate * w.generate
    per_user = 1 / itl["mean"] if itl["mean"] else 0.0
    fast, slow = (float(doubtful["round"]) / end for end in found.pop("round"))
    found["capacity"] = server.capacity * slow, server.capacity * fast
    found["rate"] = (rate * slow, rate * fast) if kind == "users" else (rate, rate)
    found["tokens_per_second"] = found["rate"][0] * w.generate, found["rate"][1] * w.generate
    joules = float(doubtful["joules_per_token"])
    tokens = steady_cost(s.rates, rate, joules * w.generate, of_prompts, server.prompt, w.generate)
    cost = {name: _known(getattr(tokens, name)) for name in COSTS}
    return Served(
        s.model_name, s.device.id, s.runtime.id, w, concurrency, rate, running, server.capacity, itl, ttft,
        Throughput(per_user, total / s.devices, total), binds, server.cache(running / spread), joules, found, s.devices,
        server.said(kind), cautions(s, w), s.calibration_name, s.cluster_name,
        {each.name: getattr(s.split, each.name) for each in fields(s.split)}, cost, priced(s),
    )  # fmt: skip


COSTS = ("usd_per_million_output", "usd_per_million_input", "co2_per_million_output", "co2_per_million_input")
"""What is said of a million tokens: dollars, and kilograms of CO2."""


def _known(cost: Any) -> float | None:
    """A cost of tokens; None where nothing says what the device costs."""
    each = float(cost)
    return None if each != each else each


def _stretched(server: Server, rate: float, name: str, x: Any, ends: Interval) -> Interval:
    """The interval of a time at a rate, from that of the steps it is made of.

    If all steps take so many times longer, so do all times, at a rate that is as much higher; beyond what is answered
    they have no end.
    """
    low, high = (_longer(server, rate, name, end / float(x)) for end in ends)
    return low, high


def _longer(server: Server, rate: float, name: str, times: float) -> float:
    found = glance_at(server, rate * times)
    return float("inf") if found is None else times * found[name]["mean"]


MEASURED: Mapping[str, tuple[str, str]] = {
    "itl": ("latency_s", "decode"), "ttft": ("latency_s", "prefill"), "round": ("latency_s", "decode"),
    "joules_per_token": ("energy_j", "decode"),
}  # fmt: skip
"""Figures with intervals, and the kind of measurement whose scatter they have."""


def _said(server: Server, kind: Literal["users", "rate"]) -> tuple[str, ...]:
    """What the load is taken to be like."""
    e = server.engine
    like = f"requests are alike: {server.w.prompt:,} tokens in, {server.w.generate:,} out"
    of = (
        "every user asks again as soon as the answer is there; all began together"
        if kind == "users"
        else "requests come independently of each other (Poisson)"
    )
    cut = "whole prompts" if e.whole else "prompts cut to what fits"
    late = f", a step is laid out {e.ahead} ahead" if e.ahead else ""
    shared = () if server.shared is None else (server.shared.words,)
    return (like, of, *shared, f"steps of at most {e.tokens:,} tokens and {e.sequences:,} sequences, {cut}{late}")


def open_loop(server: Server, rate: float) -> Served:
    """The steady state of requests that come at a rate; raises InputError for one that cannot be answered."""
    if not rate > 0:
        raise InputError(f"rate: {rate:g} requests a second; a number above 0 is expected")
    if rate >= server.capacity:
        raise InputError(
            f"rate: {rate:g} requests a second are more than {server.s.model_name} on {server.s.device.id} answers: "
            f"{server.capacity:.4g} at most (ended by {server.ends})"
        )
    found, lanes = Solved(server, rate / server.lanes), server.lanes
    others, prompts = found.steps
    alone, mixed = (float(each.time) for each in found.figures)
    of_prompts = prompts * (mixed - alone) / (prompts * mixed + others * alone)
    served = _served(
        server, lanes * found.present, rate, lanes * found.running, found.itl, found.ttft, _open_bound(found),
        found.doubtful, "rate", lanes, of_prompts,
    )  # fmt: skip
    return replace(served, cautions=(*served.cautions, *found.cautions))


def glance_at(server: Server, rate: float) -> Mapping[str, Mapping[str, float]] | None:
    """The times that requests at a rate see; None if they are not answered."""
    if rate >= server.capacity:
        return None
    try:
        found = Solved(server, rate / server.lanes)
        return {"itl": found.itl, "ttft": found.ttft}
    except InputError:
        return None


def _saturated(loop: Loop) -> bool:
    """Whether every step of a round has prompts."""
    return float(loop.mixed) >= float(loop.round)


def _open_bound(found: Solved) -> str:
    """What bounds the kind of step that an engine spends most of its time in."""
    alone, mixed = found.figures
    others, prompts = found.steps
    return pass_bound(mixed if prompts * float(mixed.time) > others * float(alone.time) else alone)
