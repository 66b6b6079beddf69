"""How prefill and decode share devices: in mixed steps, side by side on each, or on pools apart; what each answers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from roofsim import library
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.intervals import intervals
from roofsim.prediction.limits import largest
from roofsim.prediction.request import settled
from roofsim.prediction.results import columns, interval_basis, plain
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import assumptions, cautions
from roofsim.serving.apart import AS_PREDICTED, Apart, Pools, Slow, Wire, batch_within, most_promised, step_promised
from roofsim.serving.inside import SHARES, Beside, Inside
from roofsim.serving.slo import Promise, find
from roofsim.serving.steady import Server
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
    that answers most.
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


@dataclass(frozen=True, slots=True)
class Phases:
    """Both phases laid out in three ways, over lengths of prompts; SI units.

    `crossings` are the lengths at which another layout becomes the best, with its name.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": SCHEMA, "model": self.model, "device": self.device, "runtime": self.runtime,
            "calibration": self.calibration, "generate": self.workload.generate,
            "slo": {f"{p.time}.{p.figure}": p.seconds for p in self.slo},
            "link": {"rate": self.link, "latency": self.latency, "name": self.linked},
            "rows": [{**columns(row), "intervals": plain(row.intervals)} for row in self.rows],
            "crossings": [{"prompt": at, "best": best} for at, best in self.crossings],
            "cautions": list(self.cautions), "assumptions": list(self.assumptions),
            "basis": interval_basis(self.calibration),
        }  # fmt: skip


def phases(
    s: Setup, w: Workload, prompts: Sequence[int], slo: Sequence[Promise], wire: Wire, linked: str = ""
) -> Phases:
    """What each layout answers at these lengths of prompts. Raises InputError for requests that decode nothing."""
    if s.runtime.server is None:
        raise Unsupported(f"{s.runtime.id} serves no requests that come and go; vllm does")
    if not slo:
        raise InputError("--slo: what is promised? Write it like ttft=1s,itl=50ms; without, a queue has no end")
    w = variant(settled(s, w), batch=1, logits="last")
    lengths = sorted(set(prompts))
    rows = tuple(laid(s, variant(w, prompt=n), slo, wire) for n in lengths)
    crossings = []
    for before, after in pairwise(rows):
        if before.best != after.best:
            crossings.append((_turn(s, w, slo, wire, before, after), after.best))
    one = variant(w, prompt=lengths[-1])
    said = (
        "requests come independently of each other", f"each generates {w.generate:,} tokens",
        "inside a device units are divided at no cost, and bandwidth as both ask for it",
        f"what a prompt holds goes at {wire.rate / 1e9:.3g} GB/s once it is done",
        *assumptions(s, one)[1:],
    )  # fmt: skip
    return Phases(
        s.model_name, s.device.id, s.runtime.id, w, tuple(slo), wire.rate, wire.latency, linked, rows,
        tuple(crossings), said, cautions(s, one), s.calibration_name,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Found:
    """What the layouts answer, with what the pools and the sharing are that do."""

    mixed: tuple[float, Interval]
    inside: tuple[Beside | None, float]
    pools: Pools

    @property
    def rates(self) -> dict[str, float]:
        """By the name of the layout."""
        return {"mixed": self.mixed[0], "inside": self.inside[1], "apart": self.pools.goodput}

    @property
    def best(self) -> str:
        """The layout that answers most."""
        return max(LAYOUTS, key=lambda name: self.rates[name]) if any(self.rates.values()) else NONE


NONE = "none"
"""Said where no layout keeps what is promised."""


def found(s: Setup, w: Workload, slo: Sequence[Promise], wire: Wire) -> _Found:
    """What each layout answers at the length of the workload's prompts."""
    apart = Apart(s, w, wire)
    return _Found(_mixed(s, w, slo), beside(Inside(s, w), apart, slo), apart.pools(slo))


def laid(s: Setup, w: Workload, slo: Sequence[Promise], wire: Wire) -> Laid:
    """The same with intervals."""
    apart, inside, here, ends = Apart(s, w, wire), Inside(s, w), found(s, w, slo, wire), _slow(s, w)
    (at, rate), pools = here.inside, here.pools
    shares = [at.share] if at else SHARES
    of = {
        "mixed": here.mixed[1],
        "inside": _ordered(*(beside(inside, apart, slo, end, shares)[1] for end in ends), rate),
        "apart": _ordered(*(apart.pools(slo, end).goodput for end in ends), pools.goodput),
    }
    return Laid(
        int(w.prompt), here.mixed[0], rate, pools.goodput, at.share if at else 0.0, pools.prefill_share, pools.moved,
        pools.transfer, here.best, of,
    )  # fmt: skip


def beside(
    inside: Inside, apart: Apart, slo: Sequence[Promise], slow: Slow = AS_PREDICTED, shares: Sequence[float] = SHARES
) -> tuple[Beside | None, float]:
    """The share of units and the batch at which both phases on one device answer most, and what they answer.

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
                rate = min(rates(batch))
                if rate > most:
                    best, most = inside.at(share, batch), rate
    return best, most


def _mixed(s: Setup, w: Workload, slo: Sequence[Promise]) -> tuple[float, Interval]:
    """What mixed steps answer, with its interval; nothing where they cannot keep what is promised."""
    try:
        rate = find(Server(s, w), slo, "rate")
    except InputError:
        return 0.0, (0.0, 0.0)
    return rate.value, rate.interval


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


def _turn(s: Setup, w: Workload, slo: Sequence[Promise], wire: Wire, before: Laid, after: Laid) -> int:
    """The length between two at which the best layout becomes another, to within 5 %."""
    low, high = before.prompt, after.prompt
    while high - low > max(high / 20, 1):
        middle = (low + high) // 2
        if found(s, variant(w, prompt=middle), slo, wire).best == before.best:
            low = middle
        else:
            high = middle
    return high


def wire_of(s: Setup, link: float | None = None, cluster: str | None = None) -> tuple[Wire, str]:
    """The link between pools, and what it is called: of so many bytes a second, or as nodes of a cluster are linked.

    Pools within a node have its own link; where there are several nodes, that between them is taken. Raises InputError
    for both.
    """
    if link is not None:
        if cluster is not None:
            raise InputError("--link, --cluster: are two ways to say it; give one of them")
        return Wire(link), ""
    found = library.cluster(cluster) if cluster is not None else library.cluster_of(s.device)
    of = found.links.between or found.links.node
    if of is None:
        raise InputError(f"{found.id}: its devices are not linked; say how fast with --link 25GB/s")
    return Wire(of.rate, of.latency.value), found.name
