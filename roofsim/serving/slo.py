"""What users are promised (a service level objective), and the largest load at which it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil, isfinite
from typing import Any, Literal, get_args

from roofsim import library
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.units import MAX_COUNT, parse, show
from roofsim.foundation.values import dataclass
from roofsim.model.split import Split
from roofsim.prediction.limits import largest
from roofsim.prediction.server import in_flight
from roofsim.prediction.setup import check_divided
from roofsim.serving.quantiles import FIGURES
from roofsim.serving.served import Served
from roofsim.serving.server import Server
from roofsim.serving.steady import closed, figure, full, glance, glance_at, longer, open_loop
from roofsim.specs.cluster import Cluster
from roofsim.specs.device import Device

TIMES = ("ttft", "itl")
"""What can be promised; tpot is another word for itl."""

Find = Literal["concurrency", "rate", "devices", "batch"]
FIND: tuple[Find, ...] = get_args(Find)


def find_named(name: str) -> Find:
    """What can be looked for, by its name; raises UnknownName."""
    for each in FIND:
        if each == name:
            return each
    raise UnknownName("find", name, FIND)


@dataclass(frozen=True, slots=True)
class Promise:
    """A time that is no longer than so many seconds, in the mean or at a percentile."""

    time: str
    figure: str
    seconds: float

    def __str__(self) -> str:
        of = "" if self.figure == "mean" else f" {self.figure}"
        return f"{self.time}{of} {show(self.seconds, 's')}"


def promises(text: str) -> tuple[Promise, ...]:
    """What is written as `ttft=1s,itl=50ms` or `ttft.p95=2s`; raises InputError."""
    found: list[Promise] = []
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        time, _, figure = name.partition(".")
        if not equals or not value:
            raise InputError(f"--slo '{part.strip()}': write it like ttft=1s,itl=50ms or ttft.p95=2s")
        time = "itl" if time == "tpot" else time
        if time not in TIMES:
            raise UnknownName("--slo", time, TIMES)
        if figure and figure not in FIGURES:
            raise UnknownName(f"--slo {time}", figure, FIGURES)
        try:
            seconds = parse(value, "s")
        except ValueError as error:
            raise InputError(f"--slo {name}: {error}") from None
        if not (seconds > 0 and isfinite(seconds)):
            raise InputError(f"--slo {name}: {value} is no time that can be kept; a time above 0 is expected")
        promise = Promise(time, figure or "mean", seconds)
        if any((each.time, each.figure) == (promise.time, promise.figure) for each in found):
            raise InputError(f"--slo: {name} is promised twice")
        found.append(promise)
    return tuple(found)


def broken(slo: Sequence[Promise], times: Mapping[str, Mapping[str, float]]) -> Promise | None:
    """The first promise that times do not keep."""
    return next((p for p in slo if times[p.time][p.figure] > p.seconds), None)


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest load at which promises hold (the fewest devices), its interval, and what ends it.

    `served` is the steady state there, of `server`. Of devices there may be any number, of which each serves its share.
    """

    what: Find
    value: float
    interval: tuple[float, float]
    binds: str
    served: Served
    slo: tuple[Promise, ...]
    server: Server

    def to_dict(self) -> dict[str, Any]:
        """Plain values: those of the steady state, and what was found."""
        found = {
            "what": self.what, "value": self.value, "interval": list(self.interval), "binds": self.binds,
            "slo": {f"{p.time}.{p.figure}": p.seconds for p in self.slo},
        }  # fmt: skip
        return {**self.served.to_dict(), "found": found}


def find(
    server: Server, slo: Sequence[Promise], what: Find, *, users: int | None = None, rate: float | None = None,
    divide: bool = False,
) -> Largest:  # fmt: skip
    """The largest concurrency, rate or batch of one replica that keeps promises, or the devices that a load needs.

    To `divide` is to look for the way to divide the model that needs the fewest devices. The interval is where the
    promises hold if times are at the ends of theirs. Raises InputError if even the smallest load does not keep them,
    and for devices without a load.
    """
    slo = tuple(slo)
    if not slo:
        raise InputError("--find: what is promised? Give --slo, like --slo ttft=1s,itl=50ms")
    if what == "devices":
        if (users is None) == (rate is None):
            raise InputError("--find devices: for which load? Give --concurrency N or --rate R")
        return (_fewest if divide else _replicas)(server, slo, users, rate)
    if users is not None or rate is not None:
        raise InputError(f"--find {what}: it finds the load; --concurrency and --rate are for --find devices")
    search = SEARCH[what]
    value, ended = search(server, slo)
    if not value:
        times = glance_at(server, FINE * server.capacity) if what == "rate" else glance(server, 1)
        raise InputError(f"--slo: not even {LEAST[what]} keeps it: {_missed(slo, times or {})}")
    served = SERVED[what](server, value)
    # when requests come is known of a rate
    off = longer(server, max(round(served.running), 1), arrivals=what != "rate")
    ends = []
    for end in (0, 1):
        by = [off.get(p.time if what == "rate" else figure(p.time, p.figure), (1.0, 1.0))[end] for p in slo]
        scaled = [replace(p, seconds=p.seconds / times_as_long) for p, times_as_long in zip(slo, by, strict=True)]
        # with all times so much longer a rate is as much lower
        ends.append(search(server, scaled)[0] / (off["itl"][end] if what == "rate" else 1))
    return Largest(what, value, (min(*ends, value), max(*ends, value)), ended, served, slo, server)


Times = Mapping[str, Mapping[str, float]]
Found = tuple[float, str]
"""The largest load, 0 if there is none, and what ends it."""
LEAST: Mapping[Find, str] = {
    "concurrency": "one user", "rate": "a request now and then", "batch": "a batch of 1"
}  # fmt: skip


def _search(slo: Sequence[Promise], times: Callable[[int], Times], ceiling: int, beyond: str) -> Found:
    """The largest number whose times keep promises, and the promise that the next one breaks."""
    most = largest(lambda n: broken(slo, times(n)) is None, ceiling)
    return most, beyond if most >= ceiling else str(broken(slo, times(most + 1)))


def _missed(slo: Sequence[Promise], times: Times) -> str:
    first = broken(slo, times)
    return f"{first.time} is {show(times[first.time][first.figure], 's')}, not {first}" if first else ""


def _concurrency(server: Server, slo: Sequence[Promise]) -> Found:
    waits = any(p.time == "ttft" for p in slo)
    server.loop(1)
    return _search(slo, lambda n: glance(server, n), MAX_COUNT if waits else server.most * server.lanes, server.limit)


def _batch(server: Server, slo: Sequence[Promise]) -> Found:
    server.loop(1)
    groups, flights = server.s.split.dp, in_flight(server.s)
    return _search(slo, lambda n: glance(replace(server, sequences=n), n * groups), server.most * flights, server.limit)


FINE = 1e-3
"""How finely a rate is found, relative."""
INSIDE = 0.05
"""How far inside of where a rate lies the next one is tried, at least."""


def _rate(server: Server, slo: Sequence[Promise]) -> Found:
    """By the Illinois method (Dowell and Jarratt 1971), as long as both ends have times, else by halving."""
    low, high, again = FINE * server.capacity, server.capacity, True
    kept, lost = _beyond(server, slo, low), float("inf")
    if kept > 0:
        return 0.0, server.ends
    while high - low > FINE * server.capacity:
        share = min(max(kept / (kept - lost), INSIDE), 1 - INSIDE) if isfinite(lost) else 0.5
        middle = low + share * (high - low)
        over = _beyond(server, slo, middle)
        if over <= 0:
            low, kept, lost, again = middle, over, lost / (1 + again), True
        else:
            high, kept, lost, again = middle, kept * (1 if again else 0.5), over, False
    times = glance_at(server, high)
    return low, server.ends if times is None or broken(slo, times) is None else str(broken(slo, times))


def _beyond(server: Server, slo: Sequence[Promise], rate: float) -> float:
    """By how much times at a rate are beyond the promise that is kept least, relative; at most 0 if all are kept."""
    times = glance_at(server, rate)
    return float("inf") if times is None else max(times[p.time][p.figure] / p.seconds for p in slo) - 1


SEARCH: Mapping[Find, Callable[[Server, Sequence[Promise]], Found]] = {
    "concurrency": _concurrency, "rate": _rate, "batch": _batch
}  # fmt: skip
SERVED: Mapping[Find, Callable[[Server, float], Served]] = {
    "concurrency": lambda server, n: closed(server, int(n)), "rate": open_loop,
    "batch": lambda server, n: full(server, int(n)),
}  # fmt: skip


def _fewest(server: Server, slo: tuple[Promise, ...], users: int | None, rate: float | None) -> Largest:
    """The fewest devices for a load, however the model is divided; raises InputError if no way keeps the promises."""
    found: list[Largest] = []
    problems: list[InputError] = []
    for split, around in ways_to_divide(server.s.device, server.s.cluster):
        if found and split.pp > 1:
            break
        try:
            check_divided(server.s.architecture, server.s.device, server.s.runtime, split, around)
            one = server.divided(replace(server.s, split=split, cluster=around))
            found.append(_replicas(one, slo, users, rate))
        except InputError as problem:
            problems.append(problem)
    if not found:
        raise (
            problems[0]
            if len(problems) == 1
            else InputError(f"{problems[0]}; nor does any number of devices that share it: {problems[-1]}")
        )
    return min(found, key=lambda each: (each.value, each.server.s.devices))


def ways_to_divide(device: Device, cluster: Cluster | None) -> Iterator[tuple[Split, Cluster | None]]:
    """One device, powers of two of a node that share every layer, then whole nodes that follow each other."""
    yield Split(), cluster
    try:
        around = cluster or library.cluster_of(device)
    except InputError:  # it is not said how several are linked
        return
    tp = 2
    while tp <= around.per_node:
        yield Split(tp=tp), around
        tp *= 2
    for nodes in range(2, around.nodes + 1):
        yield Split(tp=tp // 2, pp=nodes), around


def _replicas(server: Server, slo: tuple[Promise, ...], users: int | None, rate: float | None) -> Largest:
    """The devices for a load, in replicas of the server as it is."""
    load = float(users if users is not None else rate or 0)
    one = find(server, slo, "concurrency" if users is not None else "rate")
    each = one.served.devices

    def needed(most: float) -> float:
        return float(ceil(load / most * (1 - 1e-9))) * each if most else float("inf")

    share = load / (needed(one.value) / each)
    served = closed(server, max(ceil(share), 1)) if users is not None else open_loop(server, share)
    return Largest(
        "devices", needed(one.value), (needed(one.interval[1]), needed(one.interval[0])), one.binds, served, slo, server
    )
