"""A model that serves requests as they arrive: what is asked, simulated, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields, replace
from math import ceil
from statistics import fmean
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.fitted import reach, unsure
from roofsim.prediction.intervals import Interval, scatter, with_slopes, within
from roofsim.prediction.results import interval_basis, plain
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import cautions
from roofsim.serving.arrivals import (
    Arrival,
    Bursty,
    Constant,
    Lengths,
    OnOff,
    Poisson,
    Process,
    Users,
    arrive,
    asked,
    read_trace,
)
from roofsim.serving.drafting import Drafting
from roofsim.serving.events import serve_events, simulated
from roofsim.serving.outcome import Simulated, Spread
from roofsim.serving.scheduler import Step, rules
from roofsim.serving.step import StepTime
from roofsim.specs.workload import Workload


@dataclass(frozen=True)
class Load:
    """What comes: requests at a `rate`, of `users` who wait for their answers, or of a `trace`; one of the three.

    Arrivals at a rate are Poisson, or have a coefficient of variation `cv` (0: at equal distances), or come in periods
    of `on` seconds with `off` seconds between. `requests` is how many (of a trace, at most), `seed` which ones.
    """

    rate: float | None = None
    users: int | None = None
    trace: str | None = None
    cv: float | None = None
    on: float | None = None
    off: float | None = None
    think: float = 0.0
    speed: float = 1.0
    requests: int | None = None
    spread: float = 0.0
    prefix: int = 0
    hit_rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        given = [name for name in ("rate", "users", "trace") if getattr(self, name) is not None]
        if len(given) != 1:
            said = f"{' and '.join(given)} are given" if given else "none is given"
            raise InputError(f"one of rate, users and trace says which requests come; {said}")
        if self.rate is None and any(each is not None for each in (self.cv, self.on, self.off)):
            raise InputError("cv, on and off: are of requests that come at a rate; give rate")
        if (self.on is None) != (self.off is None):
            raise InputError("on, off: go together")
        if self.cv is not None and self.on is not None:
            raise InputError("cv, on: are two kinds of bursts; give one of them")
        if self.users is None and self.think:
            raise InputError("think: is of users who wait for their answers; give users")
        if self.trace is None and self.speed != 1:
            raise InputError("speed: is of a trace; give trace")
        if self.trace is not None and (self.spread or self.prefix):
            raise InputError("spread, prefix: a trace says how long requests are, and what of them was asked before")
        if self.hit_rate is not None and not self.prefix:
            raise InputError("hit_rate: of what? Give prefix, the tokens that requests share")

    @property
    def process(self) -> Process:
        """Arrivals at a rate."""
        rate = self.rate if self.rate is not None else 0.0
        if self.on is not None and self.off is not None:
            return OnOff(rate, self.on, self.off)
        if self.cv == 0:
            return Constant(rate)
        return Poisson(rate) if self.cv in (None, 1) else Bursty(rate, self.cv)

    def arrivals(self, prompt: int, generate: int) -> tuple[tuple[Arrival, ...], int]:
        """The requests, of such lengths where no trace says others, and how many of a trace have no answer."""
        if self.trace is not None:
            return read_trace(self.trace, self.requests or USUAL, self.speed)
        found = 1.0 if self.hit_rate is None else self.hit_rate
        lengths = Lengths(prompt, generate, self.spread, self.prefix, found)
        count = self.requests or USUAL
        _few(count * generate)
        if self.users is not None:
            return asked(lengths, count, self.seed), 0
        return arrive(self.process, lengths, count, self.seed), 0

    @property
    def said(self) -> str:
        """It in words."""
        if self.users is not None:
            return f"asked by {self.users:,} users"
        if self.trace is not None:
            return f"of {self.trace}"
        kind = "" if self.cv in (None, 1) else f", cv {self.cv:g}" if self.cv else ", at equal distances"
        if self.on is not None:
            kind = f", {self.on:g} s on and {self.off:g} s off"
        return f"that come {self.rate:g} a second{kind}"


USUAL = 1000
"""Requests unless another number is given."""
MOST_TOKENS = 10**8
"""Tokens of answers that are made one by one in some minutes."""
SAMPLE = 5000
"""Requests of which it is told what comes of steps that take as little, and as long, as they may."""


@dataclass(frozen=True)
class Simulation:
    """What was simulated, of what; SI units. `intervals` are the 95 % intervals of the means.

    Of several `groups` of devices (data parallel) one is simulated: every so many requests go to it. `drafts` is what
    is assumed of drafted tokens, if there are any.
    """

    model: str
    device: str
    runtime: str
    calibration: str | None
    workload: Workload
    load: Load
    result: Simulated
    groups: int = 1
    devices: int = 1
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()
    drafts: tuple[str, ...] = ()

    @property
    def tokens_per_second(self) -> float:
        """Tokens of answers of all groups."""
        return self.result.tokens_per_second * self.groups

    @property
    def energy_per_token(self) -> float:
        """Joules of all devices over the tokens of answers of all groups."""
        return self.result.energy_per_token / self.groups

    @property
    def said(self) -> str:
        """What serves which requests, in words."""
        w, load = self.workload, self.load
        of = "" if load.trace is not None else f" of {w.prompt:,} + {w.generate:,} tokens"
        return f"{self.model} serving requests{of} {load.said}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        w, r = self.workload, self.result
        return {
            "schema": SCHEMA, "model": self.model, "device": self.device, "runtime": self.runtime,
            "calibration": self.calibration, "groups": self.groups, "devices": self.devices,
            "workload": {
                "prompt": w.prompt, "generate": w.generate, "dtype": w.dtype, "cache_dtype": w.cache_dtype or w.dtype,
                "weight_format": w.weight_format or w.dtype,
            },
            "load": {f.name: getattr(self.load, f.name) for f in fields(Load)}
            | {"rate": r.rate and r.rate * self.groups, "capacity": r.capacity and r.capacity * self.groups,
               "overloaded": r.overloaded},
            "ttft": _plain(r.ttft), "itl": _plain(r.itl), "tpot": _plain(r.tpot), "e2e": _plain(r.e2e),
            "tokens_per_second": {
                "user": None if r.tpot is None else 1 / r.tpot.mean,
                "device": self.tokens_per_second / self.devices, "total": self.tokens_per_second,
            },
            "requests_per_second": r.requests_per_second * self.groups,
            "requests": len(r.requests), "duration": r.duration, "steps": r.steps, "prompt_tokens": r.computed,
            "preemptions": r.preemptions, "energy_per_token": self.energy_per_token,
            "mean": dict(r.mean), "most": dict(r.most), "intervals": plain(self.intervals),
            "basis": interval_basis(self.calibration), "cautions": list(self.cautions),
            **({"drafts": list(self.drafts)} if self.drafts else {}),
        }  # fmt: skip


def _plain(value: Spread | None) -> dict[str, Any] | None:
    return None if value is None else {f.name: getattr(value, f.name) for f in fields(Spread)}


def simulate(
    s: Setup, w: Workload, load: Load, *, tokens: int | None = None, sequences: int | None = None,
    drafts: Drafting | None = None, progress: Callable[[int, int], None] = lambda done, of: None,
) -> Simulation:  # fmt: skip
    """Serve a load; prompt and answer of `w` are how long requests are, in the mean.

    `tokens` of a step and `sequences` at once are those of the runtime unless they are given; `progress` is told of how
    many requests how many were answered. With `drafts` steps verify drafted tokens. Raises InputError.
    """
    t, groups = StepTime(s, w, drafts), s.split.dp
    if w.generate < 1 and load.trace is None:
        raise InputError("generate: a request that is served has at least one token")
    coming, unanswered = load.arrivals(w.prompt, w.generate)
    arrivals = coming[::groups]
    said = [*cautions(s, t.w), *_within_window(s, arrivals)]
    if unanswered:
        said.append(f"{unanswered:,} requests of the trace have no answer, and are left out")
    _few(sum(each.generate for each in arrivals))
    users = None if load.users is None else Users(ceil(load.users / groups), load.think)
    limits = rules(s, t.w, tokens=tokens, sequences=sequences, drafts=drafts).sharing(load.prefix)
    limits = replace(limits, seed=load.seed)
    sample = arrivals[:SAMPLE]
    of = len(arrivals) + (2 if len(sample) == len(arrivals) else 3) * len(sample)
    done = len(arrivals)
    found = serve_events(
        t, arrivals, users=users, limits=limits, rate=load.rate and load.rate / groups,
        progress=lambda answered: progress(answered, of),
    )  # fmt: skip

    def again(by: float) -> Simulated:
        nonlocal done
        made = simulated(_scaled(t.of, by), sample, limits, users, lambda answered: progress(done + answered, of))
        done += len(sample)
        return made

    whole = found if len(sample) == len(arrivals) else again(1.0)
    ends = [again(by) for by in _doubt(t, found)]
    progress(of, of)
    if found.overloaded and found.rate is not None and found.capacity is not None:
        said.append(
            f"{found.rate * groups:.3g} requests come in a second and {found.capacity * groups:.3g} can be answered: "
            "the queue grows as long as they come, and times with it"
        )
    return Simulation(
        s.model_name, s.device.id, s.runtime.id, s.calibration_name, t.w, load, found, groups, s.devices,
        _spans(found, whole, ends, groups), tuple(said), drafts.said(s, t.w) if drafts else (),
    )  # fmt: skip


def _doubt(t: StepTime, r: Simulated) -> Interval:
    """Factors between which 95 % of the times of such steps lie, of all that were simulated."""
    s = unsure(t.s, reach(t.s, t.w))
    slopes = with_slopes(s, t.w)
    sloped = StepTime(slopes, t.w, t.drafts and t.drafts.under(slopes))
    prompt, generate = (fmean(getattr(each, name) for each in r.requests) for name in ("prompt", "generate"))
    decode = sloped.run([sloped.decoding(max(r.mean["running"], 1), prompt + generate / 2)]).time
    x = decode * r.steps + sloped.run([sloped.piece(1, prompt)]).time * len(r.requests)
    low, high = within(s, x, scatter(s, ("latency_s", "decode")))
    return low / float(x), high / float(x)


def _scaled(step: Step, by: float) -> Step:
    """A step that takes so many times as long."""

    def scaled(*sizes: float) -> tuple[float, float]:
        seconds, joules = step(*sizes)
        return seconds * by, joules

    return scaled


def _spans(r: Simulated, sample: Simulated, ends: Sequence[Simulated], groups: int) -> dict[str, Interval]:
    """What comes of the same requests where all steps take as little, and as long, as they may.

    Of a sample of them those means are told, which lie as far beside the mean of all.
    """
    found = {}
    for name in ("ttft", "itl", "tpot", "e2e"):
        means = [each.mean for one in (sample, *ends) if (each := getattr(one, name)) is not None]
        if means and (all_of := getattr(r, name)) is not None:
            by = all_of.mean / means[0] if means[0] else 1.0
            found[name] = min(means) * by, max(means) * by
    rates = [each.tokens_per_second * groups for each in (sample, *ends)]
    by = r.tokens_per_second * groups / rates[0]
    return {**found, "tokens_per_second": (min(rates) * by, max(rates) * by)}


def _few(tokens: int) -> None:
    if tokens > MOST_TOKENS:
        raise InputError(f"requests: {tokens:,} tokens of answers are too many to simulate; at most {MOST_TOKENS:,}")


def _within_window(s: Setup, arrivals: Sequence[Arrival]) -> Sequence[str]:
    """What is said of requests that are longer than the model is made for; raises InputError if they cannot be."""
    a = s.architecture
    lengths = [each.prompt + each.generate for each in arrivals]
    longest = max(lengths)
    if a.positions and longest > a.positions + 1:
        raise InputError(
            f"request {lengths.index(longest) + 1}: {longest:,} tokens are more than {s.model_name} has positions for "
            f"({a.positions:,})"
        )
    beyond = sum(each > a.window + 1 for each in lengths) if a.window else 0
    if not beyond:
        return ()
    return (
        f"{beyond:,} of {len(lengths):,} requests are longer than the {a.window:,} tokens that {s.model_name} is made "
        "for; servers refuse such",
    )
