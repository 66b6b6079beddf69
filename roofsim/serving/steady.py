"""The steady state of a serving engine, in closed form: what users see of it, what it makes, and what ends it.

Two kinds of load. Users who each ask again as soon as they are answered (a closed loop, as benchmarks have it): their
requests are alike and began together, so that rounds repeat (`prediction.loop`). Or requests that come as they like, at
a rate: a Poisson process, whose requests share steps and wait for them (`open`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, fields, replace
from functools import cache, cached_property
from math import exp
from typing import Any, Literal

from roofsim.engine.passes import Later, pass_bound
from roofsim.foundation.arith import Number, minimum
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.model.step import Pass
from roofsim.prediction.cost import priced
from roofsim.prediction.cost import steady as steady_cost
from roofsim.prediction.fitted import reach, unsure
from roofsim.prediction.intervals import FIGURES as PREDICTED
from roofsim.prediction.intervals import Interval, reaching, scatter, with_slopes, within
from roofsim.prediction.loop import (
    ENDLESS,
    Engine,
    Kinds,
    Loop,
    Otherwise,
    Passes,
    alike_steps,
    apart_of,
    otherwise,
    over,
    passes,
    served,
)
from roofsim.prediction.request import settled
from roofsim.prediction.results import columns, interval_basis, plain
from roofsim.prediction.server import Room, engine_of, in_flight, lanes, room_of
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import assumptions, cautions
from roofsim.serving.drafting import Drafting
from roofsim.serving.open import Solved, Steps
from roofsim.serving.prefix import Prefix, Shared
from roofsim.serving.quantiles import FIGURES, quantiles
from roofsim.serving.step import StepTime
from roofsim.specs.calibration import NORMAL_95
from roofsim.specs.workload import Workload

Times = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cache:
    """Bytes of what sequences hold: the room for it, what is in it in the mean, and how many sequences it has room for.

    `preempts` says whether sequences grow beyond it, so that some are put back and computed again, `preemptions` how
    often that is counted for each request, in the mean; of requests that come at a rate it is not.
    """

    capacity: float
    used: float
    sequences: int
    preempts: bool
    preemptions: float = 0.0


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
    answered) in a second, `capacity` the rate that a full engine answers: requests at a higher one fill it, and wait
    ever longer. `itl` is the time between two tokens of a request, `ttft` from its arrival to the first.
    `energy_per_token` are the joules of all devices, those of prompts and of waiting among them, over the tokens of
    answers; `cost` has joules at the wall of tokens of either kind. `drafts` is what those gain (`gained.Gained`), if
    there are any.
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
    energy_per_token: float
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
            "energy_per_token": plain(self.energy_per_token),
            "cost": {**dict.fromkeys(COSTS), **self.cost, "paid": self.paid},
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
    def solved(self) -> Callable[[float], Solved]:
        """What follows from a rate of requests; each is worked out once, since searches come back to it."""
        return cache(lambda rate: Solved(self, rate / self.lanes))

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
        """What ends the rate that a full engine answers."""
        found = _round(self, float("inf"))
        return found.bound if _saturated(found.loop) else self.limit

    @cached_property
    def _most_held(self) -> int:
        return self.room.sequences()

    @cached_property
    def room(self) -> Room:
        """What there is for what sequences of a lane hold."""
        return room_of(self.s, self.w, self.engine, **self._sharing)

    def cache(self, running: float, users: float = 0.0) -> Cache:
        """What so many sequences of a lane hold; of so many `users` who ask again."""
        room = self.room
        back = float(room.put_back(min(users, self.engine.sequences))) if users else 0.0
        beyond = back > 0 or running * room.ended > room.free
        return Cache(room.free, running * room.mean, self._most_held * self.lanes, beyond, back)

    def spread(self, users: float) -> float:
        """The lanes that so many users fill."""
        return min(self.lanes, users)

    def loop(self, users: float) -> Loop:
        """The round of so many users of a lane."""
        if self.most < 1:
            room = self.room
            asks = f"a request of {self.w.prompt:,} + {self.w.generate:,} tokens holds {show(room.mean, 'B')}"
            beside = ""
            if self.drafts and self.drafts.weights:
                beside = f" beside the weights of the draft ({show(self.drafts.weights, 'B')})"
            least = (
                f"there is room for {show(room.free, 'B')}{beside}"
                if room.free > 0
                else f"weights and the work of a step leave no room{beside}; "
                "divide the model (--tp 2) or store it in fewer bits (--weights)"
            )
            raise InputError(f"{self.s.model_name} on {self.s.device.id}: nothing fits: {asks}, and {least}")
        found = self.looped(users, self.engine.sequences)
        # what is accepted differs from one to another, so that users do not stay together
        return (apart_of(found) or found) if self.drafts and float(found.running) > 1 else found

    def looped(self, users: Number, sequences: Number) -> Loop:
        """The round of users of a lane who stay together, of which so many are served at once if there is room."""
        most = minimum(sequences, min(self._most_held, self.engine.tokens // self.each))
        back = self.room.put_back(minimum(users, sequences))
        running = served(users, most, back)
        return Loop(self.engine, users, running, self.prompt, 1 + self.later, put_back=back, each=self.each)

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

    def otherwise(self, loop: Loop, rounds: float) -> Iterator[Otherwise]:
        """What else there may be of users who ask again: what is not known of when they come, and of the memory."""
        yield from otherwise(loop, rounds, places=self.engine.sequences == loop.users)
        off = exp(NORMAL_95 * scatter(self.doubting, PREDICTED["peak"][1])) - 1
        for more in (-off, off):
            most = min(self.engine.sequences, self.room.sequences(more))
            running = max(float(served(loop.users, most, loop.put_back)), 1)
            if running != loop.running:
                yield Otherwise(replace(loop, running=running), rounds)

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
        """Requests that a full engine answers in a second, never short of them: what may come at a rate without end.

        Users whom it need not wait for may get more: places are taken at once where it is full, so that every step has
        a prompt, and sequences outgrow their room.
        """
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
    def steps(self) -> dict[str, dict[str, Kinds]]:
        """The steps that its times are made of, by name: in the mean, and at percentiles."""
        kinds = (Kinds(1, 0, 0), Kinds(0, 1, 0), Kinds(0, 0, 1))
        gaps = [(float(n), kind) for n, kind in zip(self.loop.gaps(self.rounds), kinds, strict=True)]
        if self.server.drafts:
            gaps = self.server.drafts.gaps(gaps)
        return {
            "itl": {"mean": self.later.scaled(self.server.between), **self._quantiles(gaps)},
            "ttft": {"mean": self.until_first, **self._quantiles(self.loop.first_tokens(self.rounds))},
        }

    def _quantiles(self, each: Sequence[tuple[float, Kinds]]) -> dict[str, Kinds]:
        """What percentiles of a time are made of that is `each`, with its share."""
        taking = [(share, float(steps.of(self.seconds)), steps) for share, steps in each]
        at = quantiles([(share, seconds) for share, seconds, _ in taking])
        return {
            name: next(steps for share, seconds, steps in taking if share > 0 and seconds == found)
            for name, found in at.items()
        }

    @cached_property
    def times(self) -> dict[str, dict[str, float]]:
        """Its times by name."""
        return {
            name: {figure: float(n.of(self.seconds)) for figure, n in steps.items()}
            for name, steps in self.steps.items()
        }

    @property
    def rate(self) -> float:
        """Requests that it answers in a second."""
        return float(self.loop.running) / self.took


def _round(server: Server, users: float, rounds: float = ENDLESS) -> _Round:
    loop = over(server.loop(users / server.spread(users)), rounds)
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
    binds = server.limit if users > server.most * server.lanes else found.bound
    return _served(server, users, rate, spread * float(loop.running), found.times["itl"], found.times["ttft"], binds,
                   _doubtful(server, found), "users", spread, found.of_prompts, _otherwise(server, found))  # fmt: skip


def _doubtful(server: Server, found: _Round) -> dict[str, Any]:
    """Figures of users who ask again, with their slopes by parameters."""
    doubted = server.figures(found.passes, server.doubting)
    seconds, made = [each.time for each in doubted], float(found.loop.running) * server.w.generate
    return {
        **{figure(name, at): n.of(seconds) for name, steps in found.steps.items() for at, n in steps.items()},
        "round": found.loop.steps.of(seconds),
        "energy_per_token": server.ranks * found.loop.steps.of([each.energy for each in doubted]) / made,
    }


def longer(server: Server, users: int, arrivals: bool = True) -> dict[str, Interval]:
    """How many times as long the times of so many users may be as predicted, by name: the ends of 95 %.

    What is not known of when they come belongs to it, unless `arrivals` are taken to be as they are.
    """
    found = _round(server, users)
    doubtful = _doubtful(server, found)
    ends, may = certainty(server, doubtful), _otherwise(server, found) if arrivals else {}
    said = {
        name: (float(doubtful[name]), reaching(float(doubtful[name]), ends[name], may.get(name, ()))) for name in ends
    }
    return {name: (low / x, high / x) for name, (x, (low, high)) in said.items() if x}


def figure(name: str, at: str) -> str:
    """A figure of a time by its name: `ttft` in the mean, `ttft_p95` at a percentile."""
    return name if at == "mean" else f"{name}_{at}"


def _otherwise(server: Server, found: _Round) -> dict[str, list[float]]:
    """The figures of all else that there may be, by name."""
    may: dict[str, list[float]] = {}
    for loop, rounds in server.otherwise(found.loop, found.rounds):
        other = replace(found, loop=loop, rounds=float(rounds))
        if not alike_steps(loop, found.loop):
            p = server.passes(loop)
            other = replace(other, passes=p, figures=server.figures(p))
        for name, times in other.times.items():
            for at, seconds in times.items():
                may.setdefault(figure(name, at), []).append(seconds)
        may.setdefault("round", []).append(found.took * found.rate / other.rate)
    return may


def doubted_step(server: Server, users: int) -> Any:
    """Seconds in which a lane of so many users makes a token of each that is served, with their slopes."""
    loop = server.loop(users / server.spread(users))
    took = loop.steps.of([each.time for each in server.figures(server.passes(loop), server.doubting)])
    return took / (float(loop.running) * server.w.generate)


def full(server: Server, batch: int) -> Served:
    """The steady state of engines (of each group of data parallel one) that always have requests for such a batch."""
    return closed(replace(server, sequences=batch), batch * server.s.split.dp)


def _served(
    server: Server, concurrency: float, rate: float, running: float, itl: Times, ttft: Times, binds: str,
    doubtful: Mapping[str, Any], kind: Literal["users", "rate"], spread: float, of_prompts: float,
    otherwise: Mapping[str, Sequence[float]] = {},
) -> Served:  # fmt: skip
    s, w = server.s, server.w
    found = certainty(server, doubtful)
    if kind == "rate":
        found |= _stretched(server, rate, {name: (doubtful[name], found[name]) for name in ("itl", "ttft")})
    found |= {name: reaching(float(doubtful[name]), found[name], others) for name, others in otherwise.items()}
    kv = server.cache(running / spread, concurrency / spread if kind == "users" else 0.0)
    total = rate * w.generate
    per_user = 1 / itl["mean"] if itl["mean"] else 0.0
    fast, slow = (float(doubtful["round"]) / end for end in found.pop("round"))
    found["capacity"] = server.capacity * slow, server.capacity * fast
    found["rate"] = (rate * slow, rate * fast) if kind == "users" else (rate, rate)
    found["tokens_per_second"] = found["rate"][0] * w.generate, found["rate"][1] * w.generate
    joules = float(doubtful["energy_per_token"])
    tokens = steady_cost(s.rates, rate, joules * w.generate, of_prompts, server.prompt, w.generate)
    cost = {name: _known(getattr(tokens, name)) for name in COSTS}
    # prices are taken as they are, and what is drawn at the wall is in proportion
    for name in ("joules_per_token", "joules_per_input_token"):
        if each := cost[name]:
            found[name] = each * found["energy_per_token"][0] / joules, each * found["energy_per_token"][1] / joules
    return Served(
        s.model_name, s.device.id, s.runtime.id, w, concurrency, rate, running, server.capacity, itl, ttft,
        Throughput(per_user, total / s.devices, total), binds, kv, joules, found, s.devices,
        server.said(kind), cautions(s, w), s.calibration_name, s.cluster_name,
        {each.name: getattr(s.split, each.name) for each in fields(s.split)}, cost, priced(s),
    )  # fmt: skip


COSTS = (
    "usd_per_million_output", "usd_per_million_input", "co2_per_million_output", "co2_per_million_input",
    "joules_per_token", "joules_per_input_token",
)  # fmt: skip
"""What is said of a million tokens: dollars, and kilograms of CO2; and joules at the wall of an output token and of an
input token, as `predict` has them."""


def _known(cost: Any) -> float | None:
    """A cost of tokens; None where nothing says what the device costs."""
    each = float(cost)
    return None if each != each else each


def certainty(server: Server, doubtful: Mapping[str, Any]) -> dict[str, Interval]:
    """Intervals of figures that carry their slopes by parameters: what is not known of the machine."""
    s = server.doubting
    measured = {name: MEASURED[name if name in MEASURED else name.partition("_")[0]] for name in doubtful}
    return {name: within(s, x, scatter(s, measured[name])) for name, x in doubtful.items()}


def _stretched(server: Server, rate: float, steps: Mapping[str, tuple[Any, Interval]]) -> dict[str, Interval]:
    """The intervals of times at a rate, from those of the steps that each is made of.

    If all steps take so many times longer, so do all times, at a rate that is as much higher; beyond what is answered
    they have no end.
    """
    found: dict[str, Interval] = {}
    for name, (x, ends) in steps.items():
        low, high = (_longer(server, rate, name, end / float(x)) for end in ends)
        found |= {figure(name, at): (low[at], high[at]) for at in FIGURES}
    return found


def _longer(server: Server, rate: float, name: str, times: float) -> Times:
    found = glance_at(server, rate * times)
    return dict.fromkeys(FIGURES, float("inf")) if found is None else {at: times * t for at, t in found[name].items()}


MEASURED: Mapping[str, tuple[str, str]] = {
    "itl": ("latency_s", "decode"), "ttft": ("latency_s", "prefill"), "round": ("latency_s", "decode"),
    "energy_per_token": ("energy_j", "decode"),
}  # fmt: skip
"""Figures with intervals, and the kind of measurement whose scatter they have; percentiles of a time have its own."""


def _said(server: Server, kind: Literal["users", "rate"]) -> tuple[str, ...]:
    """What the load is taken to be like."""
    e = server.engine
    begun = "none at the same time" if server.drafts else "all began together"
    like = f"requests are alike: {server.w.prompt:,} tokens in, {server.w.generate:,} out"
    of = (
        f"every user asks again as soon as the answer is there; {begun}"
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
            f"rate: {rate:g} requests a second are more than {server.s.model_name} on {server.s.device.id} answers "
            f"once it is full: {server.capacity:.4g} (ended by {server.ends})"
        )
    found, lanes = server.solved(rate), server.lanes
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
        found = server.solved(rate)
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
