"""The steady state of a serving engine, in closed form: what users see of it, what it makes, and what ends it.

Two kinds of load. Users who each ask again as soon as they are answered (a closed loop, as benchmarks have it): their
requests are alike and began together, so that rounds repeat (`prediction.loop`). Or requests that come as they like, at
a rate: a Poisson process, whose requests share steps and wait for them (`open`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal

from roofsim.engine.passes import pass_bound
from roofsim.foundation.errors import InputError
from roofsim.prediction.cost import priced
from roofsim.prediction.cost import steady as steady_cost
from roofsim.prediction.intervals import Interval, reaching, scatter, within
from roofsim.prediction.loop import (
    ENDLESS,
    alike_steps,
)
from roofsim.prediction.words import cautions
from roofsim.serving.open import Solved
from roofsim.serving.quantiles import FIGURES
from roofsim.serving.served import COSTS, Served, Throughput, Times
from roofsim.serving.server import Round, Server, round_of


def glance(server: Server, users: float) -> Mapping[str, Mapping[str, float]]:
    """The times that so many users see."""
    return round_of(server, users).times


def closed(server: Server, users: int, rounds: float = ENDLESS) -> Served:
    """The steady state of so many users, or the mean over so many requests of each, all of whom begin together."""
    if users < 1:
        raise InputError(f"concurrency: {users} is not a whole number from 1 on")
    if rounds < 1:
        raise InputError(f"rounds: {rounds:g} is not a number from 1 on")
    found = round_of(server, users, rounds)
    loop, spread = found.loop, server.spread(users)
    rate = spread * float(loop.running) / found.took
    binds = server.limit if users > server.most * server.lanes else found.bound
    return _served(server, users, rate, spread * float(loop.running), found.times["itl"], found.times["ttft"], binds,
                   _doubtful(server, found), "users", spread, found.of_prompts, _otherwise(server, found))  # fmt: skip


def _doubtful(server: Server, found: Round) -> dict[str, Any]:
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
    found = round_of(server, users)
    doubtful = _doubtful(server, found)
    ends, may = certainty(server, doubtful), _otherwise(server, found) if arrivals else {}
    said = {
        name: (float(doubtful[name]), reaching(float(doubtful[name]), ends[name], may.get(name, ()))) for name in ends
    }
    return {name: (low / x, high / x) for name, (x, (low, high)) in said.items() if x}


def figure(name: str, at: str) -> str:
    """A figure of a time by its name: `ttft` in the mean, `ttft_p95` at a percentile."""
    return name if at == "mean" else f"{name}_{at}"


def _otherwise(server: Server, found: Round) -> dict[str, list[float]]:
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


def _open_bound(found: Solved) -> str:
    """What bounds the kind of step that an engine spends most of its time in."""
    alone, mixed = found.figures
    others, prompts = found.steps
    return pass_bound(mixed if prompts * float(mixed.time) > others * float(alone.time) else alone)
