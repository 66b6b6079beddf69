"""What a model's users can be given for what: every choice of how it is served, and those that nothing beats.

What is better is said by objectives: speed of a user, throughput of a device, dollars and joules of a token, devices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields, replace
from math import nan
from typing import TYPE_CHECKING, Any

from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.pareto import SENSES
from roofsim.foundation.pareto import front as unbeaten
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.model.split import Split
from roofsim.prediction.cost import MILLION, priced
from roofsim.prediction.cost import steady as steady_cost
from roofsim.prediction.intervals import Interval
from roofsim.prediction.loop import ENDLESS, Apart
from roofsim.prediction.results import plain
from roofsim.prediction.server import in_flight
from roofsim.serving.choices import Choice, named
from roofsim.serving.server import Server
from roofsim.serving.slo import Promise
from roofsim.serving.steady import closed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Objective:
    """What a choice can be better in: its name, its words, its unit, and whether `min` or `max` is better."""

    name: str
    words: str
    unit: str
    sense: str


PRICES = ("usd_per_million", "usd_per_million_output", "usd_per_million_input")
"""What is said of prices: of output tokens with their prompts, and what each of both kinds carries."""
OBJECTIVES: Mapping[str, Objective] = {
    each.name: each
    for each in (
        Objective("user", "output tokens per second of a user", "", "max"),
        Objective("device", "output tokens per second of a device", "", "max"),
        Objective("usd_per_million", "price of a million output tokens", "USD", "min"),
        Objective("energy_per_token", "energy of an output token", "J", "min"),
        Objective("devices", "devices", "", "min"),
        Objective("itl", "time between two tokens", "s", "min"),
        Objective("ttft", "time to the first token", "s", "min"),
        Objective("concurrency", "users", "", "max"),
    )
}
"""Those that there are, by name; between equals the first of these decide."""
TIES = ("usd_per_million", "device", "user")
"""What tells choices apart that are equal in all objectives."""


def objectives_named(words: str | Sequence[str]) -> tuple[str, ...]:
    """Names of objectives, each once, written like "user,usd_per_million_output" or in a list; raises UnknownName."""
    names = [each.strip() for each in words.split(",")] if isinstance(words, str) else [*words]
    for name in names:
        if name not in OBJECTIVES:
            raise UnknownName("--objectives", name, OBJECTIVES)
    return tuple(dict.fromkeys(names))


def usual_objectives(servers: Sequence[Server]) -> tuple[str, ...]:
    """Speed of a user, and throughput of a device, or what a token costs if there are several kinds of device."""
    kinds = {each.s.device.id for each in servers}
    known = all(each.s.rates.second == each.s.rates.second for each in servers)
    return ("user", "usd_per_million" if len(kinds) > 1 and known else "device")


@dataclass(frozen=True, slots=True)
class Point:
    """A choice with so many users and sequences at once: output tokens per second of a user and of a device, times.

    Dollars of a million output tokens, with their prompts as in joules of a token, and what `serve` says of both kinds;
    no numbers where nothing says what the device costs. `intervals` are of 95 %, for `CERTAIN` points of a front.
    """

    choice: Choice
    devices: int
    concurrency: int
    sequences: int
    user: float
    device: float
    itl: float
    ttft: float
    energy_per_token: float
    usd_per_million: float = nan
    usd_per_million_output: float = nan
    usd_per_million_input: float = nan
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Front:
    """Of all `points` those that nothing beats: no other is as good in all `objectives` and better in one.

    They are in the order of the first objective, the best one first. `paid` says what each device costs. `looked_at` is
    how many there are, of which `kept` keep what is promised; `refused` has choices that do not fit, and why. `lines`
    are those of each choice with as many sequences at once as there are users.
    """

    model: str
    device: str
    runtime: str
    prompt: int
    generate: int
    points: tuple[Point, ...]
    lines: tuple[tuple[Point, ...], ...]
    looked_at: int
    kept: int
    refused: Mapping[str, str]
    slo: tuple[Promise, ...] = ()
    assumptions: tuple[str, ...] = ()
    objectives: tuple[str, ...] = ("user", "device")
    paid: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        return {
            "schema": SCHEMA, "model": self.model, "device": self.device, "runtime": self.runtime,
            "workload": {"prompt": self.prompt, "generate": self.generate}, "looked_at": self.looked_at,
            "kept": self.kept, "refused": dict(self.refused),
            "slo": {f"{p.time}.{p.figure}": p.seconds for p in self.slo},
            "objectives": {name: OBJECTIVES[name].sense for name in self.objectives}, "paid": dict(self.paid),
            "front": [
                {**p.choice, "devices": p.devices, "concurrency": p.concurrency, "sequences": p.sequences,
                 "tokens_per_second": {"user": p.user, "device": p.device}, "itl": p.itl, "ttft": p.ttft,
                 "energy_per_token": p.energy_per_token,
                 **{name: plain(getattr(p, name)) for name in PRICES}, "intervals": plain(p.intervals)}
                for p in self.points
            ],
            "assumptions": list(self.assumptions),
        }  # fmt: skip


@dataclass(frozen=True)
class _Seen:
    """The figures of a choice over users and sequences at once, as arrays."""

    choice: Choice
    kind: str
    devices: int
    users: Array
    sequences: Array
    itl: Array
    ttft: Array
    rate: Array
    joules: Array
    usd: tuple[Array, ...]
    generate: int

    @property
    def user(self) -> Array:
        """Tokens per second of a user."""
        speed: Array = 1 / self.itl
        return speed

    @property
    def device(self) -> Array:
        """Tokens per second of a device."""
        speed: Array = self.rate * self.generate / self.devices
        return speed

    def by(self, objective: str) -> Array:
        """What each is in an objective."""
        import numpy as np

        of: Mapping[str, Array] = {
            "user": self.user, "device": self.device, "itl": self.itl, "ttft": self.ttft, "concurrency": self.users,
            **dict(zip(PRICES, self.usd, strict=True)),
            "energy_per_token": self.joules, "devices": np.full(self.users.shape, float(self.devices)),
        }  # fmt: skip
        return of[objective]

    def point(self, i: int) -> Point:
        return Point(
            self.choice, self.devices, int(self.users[i]), int(self.sequences[i]), float(self.user[i]),
            float(self.device[i]), float(self.itl[i]), float(self.ttft[i]), float(self.joules[i]),
            float(self.usd[0][i]), float(self.usd[1][i]), float(self.usd[2][i]),
        )  # fmt: skip


def seen(server: Server, choice: Choice, users: Any, sequences: Any) -> _Seen:
    """A choice at arrays of users and of sequences at once that broadcast; those beyond what fits wait."""
    import numpy as np

    users, sequences = (each.ravel() for each in np.broadcast_arrays(
        np.asarray(users, dtype=float), np.asarray(sequences, dtype=float)
    ))  # fmt: skip
    spread = np.minimum(users, server.lanes)
    loop: Any = server.looped(users / spread, np.maximum(sequences // in_flight(server.s), 1))
    running = loop.running
    took, spent, added, itl, ttft = _rounds(server, loop)
    if server.drafts:  # who has drafts does not stay together, where prompts leave steps without any
        apart: Any = Apart(*(getattr(loop, each.name) for each in fields(loop)))
        alone = (apart.mixed < apart.round) & (running > 1)
        both = zip(_rounds(server, apart), (took, spent, added, itl, ttft), strict=True)
        took, spent, added, itl, ttft = (np.where(alone, one, other) for one, other in both)
    rate = spread * running / took
    made = server.w.generate
    drawn = spent / (server.s.split.dp * running)  # a step has the joules of all groups, each with sequences of its own
    cost = steady_cost(server.s.rates, rate, drawn, added / took, server.prompt, made)
    paid: tuple[Any, ...] = (
        MILLION * cost.request / made, cost.usd_per_million_output, cost.usd_per_million_input
    )  # fmt: skip
    return _Seen(
        choice, server.s.device.id, server.s.devices, users, sequences, server.between * itl, ttft, rate, drawn / made,
        tuple(each * np.ones(users.size) for each in paid), made,
    )  # fmt: skip


def _rounds(server: Server, loop: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Seconds and joules of rounds, what prompts add to them, the time of a step, and until a first token."""
    import numpy as np

    held = server.whole + max(server.w.generate - 2, 0) / 2
    of, prompt = server.steps.of, server.prompt
    cached = server.whole - prompt
    kinds = [
        of(loop.decoding, held, pieces, new, cached + np.maximum(prompt - new, 0) / 2)
        for pieces, new in ((1, loop.new[0]), (loop.pieces, loop.new[1]))
    ]
    seconds, joules = zip(*kinds, of(loop.decoding_alone, held), strict=True)
    added = sum(n * (t - seconds[-1]) for n, t in zip(loop.steps, seconds[:-1], strict=False))
    waits = loop.between_tokens(ENDLESS).of(seconds), loop.until_first(ENDLESS).of(seconds)
    return loop.steps.of(seconds), loop.steps.of(joules), added, *waits


POINTS = 64
"""Numbers of users that are looked at unless they are given."""


def usual_users(servers: Sequence[Server]) -> list[int]:
    """Numbers of users from one to as many as any of them has room for, closer together at first."""
    most = max((each.most * each.lanes for each in servers), default=1)
    return sorted({round(most ** (i / (POINTS - 1))) for i in range(POINTS)} if most > 1 else {1})


def front(
    servers: Sequence[tuple[Choice, Server]], users: Sequence[int], sequences: Sequence[int] | None = None,
    slo: Sequence[Promise] = (), refused: Mapping[str, str] | None = None, objectives: Sequence[str] = (),
) -> Front:  # fmt: skip
    """The front over choices, users and sequences at once (as many as users, if None); of means alone.

    `refused` has choices that cannot be, and why; no `objectives` are the usual ones. Raises InputError for promises of
    percentiles, for prices that nobody knows, and if nothing fits or keeps what is promised.
    """
    import numpy as np

    for promise in slo:
        if promise.figure != "mean":
            raise InputError(f"--slo {promise.time}.{promise.figure}: a front is of means")
    refused = dict(refused or {})
    found: list[_Seen] = []
    lines: list[_Seen] = []
    fit: list[Server] = []
    for choice, server in servers:
        if server.most < 1:
            try:
                server.loop(1)
            except InputError as error:
                refused[named(choice)] = str(error)
                continue
        fit.append(server)
        n = np.asarray(sorted(set(users)), dtype=float)
        lines.append(seen(server, choice, n, n))
        found.append(lines[-1] if sequences is None else seen(server, choice, n[:, None], sorted(set(sequences))))
    if not found:
        raise InputError(f"nothing fits: {next(iter(refused.values()), 'no choice is given')}")
    asked = objectives_named(objectives) or usual_objectives([server for _, server in servers])
    paid = {server.s.device.id: priced(replace(server.s, split=Split())) for _, server in servers}
    for name in asked:
        unknown = [each for each in found if np.isnan(each.by(name)).all()]
        if len(unknown) == len(found):
            raise InputError(f"--objectives {name}: {next(iter(paid.values()))}")
        refused |= {named(each.choice): paid[each.kind] for each in unknown}
    places = [(k, i) for k, each in enumerate(found) for i in _best(each, slo, asked)]
    kept = sum(int(_kept(each, slo).sum()) for each in found)
    if not places:
        raise InputError(f"--slo: of {sum(each.users.size for each in found):,} choices none keeps {_said(slo)}")
    chosen = [places[j] for j in _unbeaten(lambda name: np.array([found[k].by(name)[i] for k, i in places]), asked)]
    first = servers[0][1]
    certain = {chosen[j] for j in evenly(len(chosen), CERTAIN)}
    points = [
        replace(p, intervals=intervals_of(fit[k], p) if (k, i) in certain else {})
        for k, i in chosen for p in [found[k].point(i)]
    ]  # fmt: skip
    return Front(
        first.s.model_name, ",".join(paid), first.s.runtime.id, first.w.prompt, first.w.generate,
        tuple(points),
        tuple(tuple(each.point(i) for i in range(each.users.size)) for each in lines),
        sum(each.users.size for each in found), kept, refused, tuple(slo),
        in_common({fit[k].s.device.id: fit[k].said("users") for k, _ in chosen}), asked, paid,
    )  # fmt: skip


CERTAIN = 64
"""So many points of a front have their intervals, evenly spread over it."""


def evenly(size: int, most: int) -> list[int]:
    """Places of at most so many of some, spread evenly, both ends among them."""
    return [*range(size)] if size <= most else [round(i * (size - 1) / (most - 1)) for i in range(most)]


def intervals_of(server: Server, p: Point) -> dict[str, Interval]:
    """Those of a point; what a token costs is as sure as the seconds and joules that it takes."""
    fewer = p.sequences < p.concurrency
    of = closed(replace(server, sequences=p.sequences) if fewer else server, p.concurrency).intervals
    found = {name: of[name] for name in ("itl", "ttft", "energy_per_token")}
    found["user"] = 1 / of["itl"][1], 1 / of["itl"][0]
    found["device"] = of["tokens_per_second"][0] / p.devices, of["tokens_per_second"][1] / p.devices
    if p.usd_per_million == p.usd_per_million:
        slow, fast = (1 / each for each in of["tokens_per_second"])
        low, high = (
            MILLION * float(server.s.rates.dollars(time, joules))
            for time, joules in zip((fast, slow), of["energy_per_token"], strict=True)
        )
        found["usd_per_million"] = low, high
    return found


def in_common(said: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What is said of all devices, then what is said of some alone, by the names of these."""
    common = [each for each in next(iter(said.values())) if all(each in other for other in said.values())]
    own = [f"{name}: {each}" for name, every in said.items() for each in every if each not in common]
    return (*common, *own)


def on_what(servers: Sequence[tuple[Choice, Server]]) -> str:
    """What choices run on, in words."""
    every = [server.s for _, server in servers]
    kinds = list(dict.fromkeys(s.device.name for s in every))
    if len(kinds) > 1:
        return f"{len(kinds)} kinds of device"
    return kinds[0] if len({s.split for s in every}) > 1 else every[0].device_name


def _said(slo: Sequence[Promise]) -> str:
    return ", ".join(map(str, slo))


def _kept(each: _Seen, slo: Sequence[Promise]) -> Any:
    import numpy as np

    inside = np.ones(each.users.size, dtype=bool)
    for p in slo:
        inside &= (each.itl if p.time == "itl" else each.ttft) <= p.seconds
    return inside


def _best(each: _Seen, slo: Sequence[Promise], objectives: Sequence[str]) -> list[int]:
    """Where a choice keeps what is promised and nothing of its own beats it."""
    import numpy as np

    where = np.flatnonzero(_kept(each, slo))
    return [int(where[j]) for j in _unbeaten(lambda name: each.by(name)[where], objectives)]


def _unbeaten(by: Callable[[str], Array], objectives: Sequence[str]) -> list[int]:
    """Places at which no other is as good in all objectives and better in one, the best in the first of them first.

    Of places that are equal in all of them there is one, which `TIES` decide.
    """
    import numpy as np

    senses = [OBJECTIVES[name].sense for name in objectives]
    values = np.stack([by(name) for name in objectives], axis=1)
    where = np.flatnonzero(unbeaten(values, senses))
    keys = [SENSES[OBJECTIVES[name].sense] * by(name)[where] for name in (*objectives, *TIES)]
    ordered = where[np.lexsort(keys[::-1])]
    new = np.append(True, (values[ordered[1:]] != values[ordered[:-1]]).any(axis=1))[: len(ordered)]
    return [int(j) for j in ordered[new]]
