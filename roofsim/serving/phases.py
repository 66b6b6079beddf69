"""How prefill and decode share devices: in mixed steps, side by side on each, or on pools apart; what each answers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from itertools import pairwise, product
from types import MappingProxyType
from typing import Any

from roofsim import library
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.model.split import Split
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.intervals import intervals
from roofsim.prediction.limits import largest
from roofsim.prediction.request import settled
from roofsim.prediction.results import columns, interval_basis, plain
from roofsim.prediction.setup import Setup, in_words
from roofsim.prediction.words import assumptions, cautions
from roofsim.serving.apart import (
    AS_PREDICTED,
    Apart,
    Pools,
    Slow,
    Wire,
    batch_within,
    most_promised,
    pools,
    step_promised,
)
from roofsim.serving.inside import SHARES, Beside, Inside
from roofsim.serving.server import Server
from roofsim.serving.slo import SEARCH, Promise, find
from roofsim.specs.workload import Workload

LAYOUTS = ("mixed", "inside", "apart")
"""Ways to lay both phases out, by the names of their goodputs."""

MEANT = {
    "mixed": "steps with pieces of prompts beside decoding",
    "inside": "both at once on each device",
    "apart": "pools of their own",
}
"""The same in words."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Laid:
    """What a device answers at one length of prompts (requests a second), by how both phases are laid out.

    0 where what is promised cannot be kept. `share` of the units run prompts inside a device, `prefill_share` of the
    devices in pools apart; `moved` bytes of each request go between them in `transfer` seconds. `best` is the layout
    that answers most. `divided` says among which devices the model is, for each layout and either pool.
    """

    prompt: int
    mixed: float
    inside: float
    apart: float
    share: float
    prefill_share: float
    moved: float
    transfer: float
    best: str
    intervals: dict[str, Interval]
    divided: dict[str, str]


@dataclass(frozen=True, slots=True)
class Phases:
    """Both phases laid out in three ways, over lengths of prompts; SI units.

    `crossings` are the lengths at which another layout becomes the best, with its name. What cannot be is in `refused`,
    by name.
    """

    model: str
    device: str
    runtime: str
    workload: Workload
    slo: tuple[Promise, ...]
    link: float
    latency: float
    linked: str
    rows: tuple[Laid, ...]
    crossings: tuple[tuple[int, str], ...]
    assumptions: tuple[str, ...]
    cautions: tuple[str, ...]
    calibration: str | None
    cluster: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": SCHEMA, "model": self.model, "device": self.device, "cluster": self.cluster,
            "runtime": self.runtime, "calibration": self.calibration, "generate": self.workload.generate,
            "slo": {f"{p.time}.{p.figure}": p.seconds for p in self.slo},
            "link": {"rate": self.link, "latency": self.latency, "name": self.linked},
            "rows": [{**columns(row), "intervals": plain(row.intervals)} for row in self.rows],
            "crossings": [{"prompt": at, "best": best} for at, best in self.crossings],
            "refused": dict(self.refused),
            "cautions": list(self.cautions), "assumptions": list(self.assumptions),
            "basis": interval_basis(self.calibration),
        }  # fmt: skip


def phases(
    setups: Sequence[Setup], w: Workload, prompts: Sequence[int], slo: Sequence[Promise], wire: Wire, linked: str = "",
    refused: Mapping[str, str] = MappingProxyType({}), progress: Callable[[int, int], None] = lambda done, of: None,
) -> Phases:  # fmt: skip
    """What each layout answers at these lengths of prompts, on replicas of whichever setup is best for it.

    Setups are of one model and device, divided otherwise; `progress` is told how many lengths of how many are done.
    Raises InputError for requests that decode nothing.
    """
    s = setups[0]
    if s.runtime.server is None:
        raise Unsupported(f"{s.runtime.id} serves no requests that come and go; vllm does")
    if not slo:
        raise InputError("--slo: what is promised? Write it like ttft=1s,itl=50ms; without, a queue has no end")
    w = variant(settled(s, w), batch=1, logits="last")
    lengths = sorted(set(prompts))
    rows: list[Laid] = []
    for n in lengths:
        rows.append(laid(setups, variant(w, prompt=n), slo, wire))
        progress(len(rows), len(lengths))
    crossings = []
    for before, after in pairwise(rows):
        if before.best != after.best:
            crossings.append((_turn(setups, w, slo, wire, before, after), after.best))
    one = variant(w, prompt=lengths[-1])
    said = (
        "requests come independently of each other", f"each generates {w.generate:,} tokens",
        "inside a device units are divided at no cost, and bandwidth as both ask for it",
        f"what a prompt holds goes at {wire.rate / 1e9:.3g} GB/s from each device once it is done",
        *assumptions(s if len(setups) == 1 else replace(s, split=Split()), one)[1:],
    )  # fmt: skip
    cluster = next((each.cluster_name for each in setups if each.cluster), None)
    return Phases(
        s.model_name, s.device.id, s.runtime.id, w, tuple(slo), wire.rate, wire.latency, linked, tuple(rows),
        tuple(crossings), said, cautions(s, one), s.calibration_name, cluster, refused,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Found:
    """What the layouts answer, each with the setup that does; with what the sharing and the pools are."""

    mixed: tuple[float, Server]
    inside: tuple[Beside | None, float, Setup]
    pools: Pools
    pooled: tuple[Setup, Setup]

    @property
    def rates(self) -> dict[str, float]:
        """By the name of the layout."""
        return {"mixed": self.mixed[0], "inside": self.inside[1], "apart": self.pools.goodput}

    @property
    def best(self) -> str:
        """The layout that answers most."""
        return max(LAYOUTS, key=lambda name: self.rates[name]) if any(self.rates.values()) else NONE

    @property
    def divided(self) -> dict[str, str]:
        """Among which devices the model is, in words."""
        of = (self.mixed[1].s, self.inside[2], *self.pooled)
        return {name: in_words(s.split) or ALONE for name, s in zip(DIVIDED, of, strict=True)}


DIVIDED = ("mixed", "inside", "prefill", "decode")
"""What may be divided otherwise: two layouts, and either pool of the third."""
ALONE = "one device"
NONE = "none"
"""Said where no layout keeps what is promised."""


def found(setups: Sequence[Setup], w: Workload, slo: Sequence[Promise], wire: Wire) -> _Found:
    """What each layout answers at the length of the workload's prompts, with the setup that answers most in it."""
    return _Found(_in_mixed(setups, w, slo), _inside(setups, w, slo, wire), *_apart(setups, w, slo, wire))


def _in_mixed(setups: Sequence[Setup], w: Workload, slo: Sequence[Promise]) -> tuple[float, Server]:
    return max(((_mixed(server, slo), server) for server in (Server(s, w) for s in setups)), key=lambda each: each[0])


def _inside(
    setups: Sequence[Setup], w: Workload, slo: Sequence[Promise], wire: Wire
) -> tuple[Beside | None, float, Setup]:
    every = ((*beside(Inside(s, w), Apart(s, w, wire), slo), s) for s in setups)
    return max(every, key=lambda each: each[1])


def _apart(
    setups: Sequence[Setup], w: Workload, slo: Sequence[Promise], wire: Wire
) -> tuple[Pools, tuple[Setup, Setup]]:
    aparts = [Apart(s, w, wire) for s in setups]
    every = ((pools(one, other, slo), (one.s, other.s)) for one, other in product(aparts, aparts))
    return max(every, key=lambda each: each[0].goodput)


def laid(setups: Sequence[Setup], w: Workload, slo: Sequence[Promise], wire: Wire) -> Laid:
    """The same with intervals."""
    here = found(setups, w, slo, wire)
    (at, rate, s), chosen = here.inside, here.pools
    one, other = (Apart(each, w, wire) for each in here.pooled)
    shares = [at.share] if at else SHARES
    alone, apart = Apart(s, w, wire), zip(_slow(one.s, w), _slow(other.s, w), strict=True)
    of = {
        "mixed": _ends_of_mixed(here.mixed[1], slo),
        "inside": _ordered(*(beside(Inside(s, w), alone, slo, end, shares)[1] for end in _slow(s, w)), rate),
        "apart": _ordered(
            *(pools(one, other, slo, Slow(first.prompt, second.step)).goodput for first, second in apart),
            chosen.goodput,
        ),
    }
    return Laid(
        int(w.prompt), here.mixed[0], rate, chosen.goodput, at.share if at else 0.0, chosen.prefill_share,
        chosen.moved, chosen.transfer, here.best, of, here.divided,
    )  # fmt: skip


def beside(
    inside: Inside, apart: Apart, slo: Sequence[Promise], slow: Slow = AS_PREDICTED, shares: Sequence[float] = SHARES
) -> tuple[Beside | None, float]:
    """The share of units and the batch at which both phases on one device answer most, and what it answers.

    With more sequences steps answer more requests, and prompts fewer; most is where both are alike.
    """
    itl, best, most = step_promised(slo), None, 0.0
    for share in shares:

        def rates(batch: int, share: float = share) -> tuple[float, float]:
            at = inside.at(share, batch)
            return most_promised(slow.prompt * at.prompt, slo), batch / (inside.steps * slow.step * at.step)

        def step(batch: int, share: float = share) -> float:
            return slow.step * inside.at(share, batch).step

        held = batch_within(step, itl, apart.held)
        if held:
            enough = largest(lambda batch: operator.gt(*rates(batch)), held)
            for batch in {max(enough, 1), min(enough + 1, held)}:
                rate = min(rates(batch)) * apart.part
                if rate > most:
                    best, most = inside.at(share, batch), rate
    return best, most


def _mixed(server: Server, slo: Sequence[Promise]) -> float:
    """What mixed steps of a device answer; nothing where they cannot keep what is promised."""
    try:
        return SEARCH["rate"](server, slo)[0] / server.s.devices
    except InputError:
        return 0.0


def _ends_of_mixed(server: Server, slo: Sequence[Promise]) -> Interval:
    """Its interval."""
    try:
        low, high = find(server, slo, "rate").interval
    except InputError:
        return 0.0, 0.0
    return low / server.s.devices, high / server.s.devices


def _slow(s: Setup, w: Workload) -> tuple[Slow, Slow]:
    """The ends of the intervals of a prompt's and a step's time, as factors."""
    e = Evaluation(s, w)
    within = intervals(s, w, e)
    prompt, step = (
        [end / float(x) for end in within[name]] for name, x in (("ttft", e.prefill.time), ("tpot", e.step[0]))
    )
    return Slow(prompt[0], step[0]), Slow(prompt[1], step[1])


def _ordered(*values: float) -> Interval:
    return min(values), max(values)


def _turn(setups: Sequence[Setup], w: Workload, slo: Sequence[Promise], wire: Wire, before: Laid, after: Laid) -> int:
    """The length between two from which the layout that is best there answers more, to within 5 %."""
    rates: Mapping[str, Callable[[Workload], float]] = {
        "mixed": lambda at: _in_mixed(setups, at, slo)[0],
        "inside": lambda at: _inside(setups, at, slo, wire)[1],
        "apart": lambda at: _apart(setups, at, slo, wire)[0].goodput,
        NONE: lambda at: 0.0,
    }
    low, high = before.prompt, after.prompt
    while high - low > max(high / 20, 1):
        middle = (low + high) // 2
        at = variant(w, prompt=middle)
        first, then = rates[before.best](at), rates[after.best](at)
        if first > then or (first == then and before.best == NONE):
            low = middle
        else:
            high = middle
    return high


def wire_of(s: Setup, link: float | None = None) -> tuple[Wire, str]:
    """The link between pools, and what it is called: of so many bytes a second, or as nodes of its cluster are linked.

    Pools within a node have its own link; where there are several nodes, that between them is taken.
    """
    if link is not None:
        return Wire(link), ""
    around = s.cluster or library.cluster_of(s.device)
    of = around.links.between or around.links.node
    if of is None:
        raise InputError(f"{around.id}: its devices are not linked; say how fast with --link 25GB/s")
    return Wire(of.rate, of.latency.value), around.name
