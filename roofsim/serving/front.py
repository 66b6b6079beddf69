"""What a model's users can be given for what: every choice of how it is served, and those that nothing beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.loop import ENDLESS
from roofsim.prediction.server import in_flight
from roofsim.serving.slo import Promise
from roofsim.serving.steady import Server

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Choice = Mapping[str, str | int]
"""How a model is served, by name: weights, cache, tp ..."""


@dataclass(frozen=True, slots=True)
class Point:
    """A choice with so many users and sequences at once: output tokens per second of a user and of a device, times."""

    choice: Choice
    devices: int
    concurrency: int
    sequences: int
    user: float
    device: float
    itl: float
    ttft: float
    joules_per_token: float


@dataclass(frozen=True)
class Front:
    """Of all `points` those that nothing beats: of no other do both a user and a device get more.

    `looked_at` is how many there are, of which `kept` keep what is promised; `refused` has choices that do not fit, and
    why. `lines` are those of each choice with as many sequences at once as there are users.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        return {
            "schema": SCHEMA, "model": self.model, "device": self.device, "runtime": self.runtime,
            "workload": {"prompt": self.prompt, "generate": self.generate}, "looked_at": self.looked_at,
            "kept": self.kept, "refused": dict(self.refused),
            "slo": {f"{p.time}.{p.figure}": p.seconds for p in self.slo},
            "front": [
                {**p.choice, "devices": p.devices, "concurrency": p.concurrency, "sequences": p.sequences,
                 "tokens_per_second": {"user": p.user, "device": p.device}, "itl": p.itl, "ttft": p.ttft,
                 "joules_per_token": p.joules_per_token}
                for p in self.points
            ],
            "assumptions": list(self.assumptions),
        }  # fmt: skip


@dataclass(frozen=True)
class _Seen:
    """The figures of a choice over users and sequences at once, as arrays."""

    choice: Choice
    devices: int
    users: Array
    sequences: Array
    itl: Array
    ttft: Array
    rate: Array
    joules: Array
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

    def point(self, i: int) -> Point:
        return Point(
            self.choice, self.devices, int(self.users[i]), int(self.sequences[i]), float(self.user[i]),
            float(self.device[i]), float(self.itl[i]), float(self.ttft[i]), float(self.joules[i]),
        )  # fmt: skip


def seen(server: Server, choice: Choice, users: Any, sequences: Any) -> _Seen:
    """A choice at arrays of users and of sequences at once that broadcast; those beyond what fits wait."""
    import numpy as np

    users, sequences = (each.ravel() for each in np.broadcast_arrays(
        np.asarray(users, dtype=float), np.asarray(sequences, dtype=float)
    ))  # fmt: skip
    spread = np.minimum(users, server.lanes)
    running = np.minimum(np.minimum(users / spread, np.maximum(sequences // in_flight(server.s), 1)), server.most)
    prompt = server.prompt
    loop: Any = server.looped(users / spread, running)
    held = server.whole + max(server.w.generate - 2, 0) / 2
    of = server.steps.of
    alone = of(loop.decoding_alone, held)
    cached = server.whole - prompt
    kinds = [
        of(loop.decoding, held, pieces, new, cached + np.maximum(prompt - new, 0) / 2)
        for pieces, new in ((1, loop.new[0]), (loop.pieces, loop.new[1]))
    ]
    seconds, joules = zip(*kinds, alone, strict=True)
    took, spent = loop.steps.of(seconds), loop.steps.of(joules)
    return _Seen(
        choice, server.s.devices, users, sequences, server.between * loop.between_tokens(ENDLESS).of(seconds),
        loop.until_first(ENDLESS).of(seconds), spread * running / took,
        server.ranks * spent / (running * server.w.generate), server.w.generate,
    )  # fmt: skip


POINTS = 64
"""Numbers of users that are looked at unless they are given."""


def usual_users(servers: Sequence[Server]) -> list[int]:
    """Numbers of users from one to as many as any of them has room for, closer together at first."""
    most = max((each.most * each.lanes for each in servers), default=1)
    return sorted({round(most ** (i / (POINTS - 1))) for i in range(POINTS)} if most > 1 else {1})


def front(
    servers: Sequence[tuple[Choice, Server]], users: Sequence[int], sequences: Sequence[int] | None = None,
    slo: Sequence[Promise] = (), refused: Mapping[str, str] | None = None,
) -> Front:  # fmt: skip
    """The front over choices, users and sequences at once (as many as users, if None); of means alone.

    `refused` has choices that cannot be, and why. Raises InputError for promises of percentiles, and if nothing fits or
    keeps what is promised.
    """
    import numpy as np

    for promise in slo:
        if promise.figure != "mean":
            raise InputError(f"--slo {promise.time}.{promise.figure}: a front is of means")
    refused = dict(refused or {})
    found: list[_Seen] = []
    lines: list[_Seen] = []
    for choice, server in servers:
        if server.most < 1:
            try:
                server.loop(1)
            except InputError as error:
                refused[named(choice)] = str(error)
                continue
        n = np.asarray(sorted(set(users)), dtype=float)
        lines.append(seen(server, choice, n, n))
        found.append(lines[-1] if sequences is None else seen(server, choice, n[:, None], sorted(set(sequences))))
    if not found:
        raise InputError(f"nothing fits: {next(iter(refused.values()), 'no choice is given')}")
    places = [(k, i) for k, each in enumerate(found) for i in _best(each, slo)]
    kept = sum(int(_kept(each, slo).sum()) for each in found)
    if not places:
        raise InputError(f"--slo: of {sum(each.users.size for each in found):,} choices none keeps {_said(slo)}")
    user = np.array([found[k].user[i] for k, i in places])
    device = np.array([found[k].device[i] for k, i in places])
    chosen = [places[j] for j in _unbeaten(user, device)]
    first = servers[0][1]
    return Front(
        first.s.model_name, first.s.device.id, first.s.runtime.id, first.w.prompt, first.w.generate,
        tuple(found[k].point(i) for k, i in chosen),
        tuple(tuple(each.point(i) for i in range(each.users.size)) for each in lines),
        sum(each.users.size for each in found), kept, refused, tuple(slo), first.said("users"),
    )  # fmt: skip


def _said(slo: Sequence[Promise]) -> str:
    return ", ".join(map(str, slo))


def named(choice: Choice) -> str:
    """A choice in words."""
    return ", ".join(f"{name} {value}" if isinstance(value, int) else str(value) for name, value in choice.items())


def _kept(each: _Seen, slo: Sequence[Promise]) -> Any:
    import numpy as np

    inside = np.ones(each.users.size, dtype=bool)
    for p in slo:
        inside &= (each.itl if p.time == "itl" else each.ttft) <= p.seconds
    return inside


def _best(each: _Seen, slo: Sequence[Promise]) -> list[int]:
    """Where a choice keeps what is promised and nothing of its own beats it."""
    import numpy as np

    where = np.flatnonzero(_kept(each, slo))
    return [int(where[j]) for j in _unbeaten(each.user[where], each.device[where])]


def _unbeaten(user: Array, device: Array) -> list[int]:
    """Places at which no other has at least as much of both and more of one, from the fastest for a user on."""
    import numpy as np

    most, found = -1.0, []
    for j in np.lexsort((-device, -user)):
        if device[j] > most:
            most = float(device[j])
            found.append(int(j))
    return found
