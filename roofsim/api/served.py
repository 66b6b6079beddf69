"""What users of a serving engine see, and how many it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Self

from roofsim.api import checked
from roofsim.api.asked import Asked
from roofsim.api.results import OfOne, as_engine
from roofsim.api.shown import Shown
from roofsim.api.speculated import Chances, drafts_given
from roofsim.api.words import (
    CalibrationLike,
    Changes,
    ClusterLike,
    Counts,
    DeviceLike,
    HostLike,
    ModelLike,
    Quantity,
    RuntimeLike,
    Several,
)
from roofsim.foundation.errors import InputError
from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass
from roofsim.prediction.loop import ENDLESS
from roofsim.prediction.results import columns
from roofsim.prediction.setup import Setup
from roofsim.serving import front as fronts
from roofsim.serving import slo as promising
from roofsim.serving.choices import servers as all_servers
from roofsim.serving.drafting import Drafts
from roofsim.serving.gained import with_gain
from roofsim.serving.prefix import Prefix
from roofsim.serving.served import Served
from roofsim.serving.server import Server
from roofsim.serving.slo import FIND, Find, Largest, Promise
from roofsim.serving.states import Rollback
from roofsim.serving.steady import closed, open_loop
from roofsim.specs.device import Device
from roofsim.specs.workload import Workload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.table import Table
    from roofsim.reports.theme import Theme


@dataclass(frozen=True, slots=True)
class _Asking:
    """The loads that are asked for, and what of them."""

    concurrency: Sequence[int]
    rate: Sequence[float]
    slo: tuple[Promise, ...]
    find: Find | None
    sequences: int | None
    rounds: int | None
    prefix: Prefix | None = None
    drafts: Drafts | None = None


@dataclass(frozen=True, repr=False)
class Serving(OfOne):
    """The steady state of loads, in `rows` (`itl`, `ttft`, `tokens_per_second`, `kv`, `intervals` ...).

    `found` is the largest load that keeps promises, if one was asked for; `row` is the only row, or the first.
    """

    rows: tuple[Served, ...]
    found: Largest | None
    slo: tuple[Promise, ...]
    server: Server = field(kw_only=True, compare=False)
    _given: _Asking = field(kw_only=True, compare=False)

    @classmethod
    def of(cls, asked: Asked, given: _Asking) -> Self:
        """What was asked for."""
        s, w = _case(asked)
        drafts = given.drafts.on(s, w, given.concurrency[0] if given.concurrency else 1) if given.drafts else None
        server = Server(s, w, given.sequences, given.prefix, drafts)
        users, rates = given.concurrency, given.rate
        if users and rates:
            raise InputError("concurrency, rate: are two kinds of load; give one of them")
        if given.rounds and not users:
            raise InputError("rounds: is of users who ask again; give concurrency")
        if given.find:
            if len(users) > 1 or len(rates) > 1:
                raise InputError(f"find: {given.find} is for one load, and several are given")
            found = promising.find(server, given.slo, given.find, users=users[0] if users else None,
                                   rate=rates[0] if rates else None, divide=server.s.split.alone)  # fmt: skip
            of_rate = given.find == "rate" or bool(rates)
            found = replace(found, served=with_gain(found.server, found.served, of_rate))
            return cls(
                (found.served,), found, given.slo, asked=asked, on=found.server.s, server=found.server, _given=given
            )
        rows = [closed(server, n, given.rounds or ENDLESS) for n in users] + [open_loop(server, r) for r in rates]
        if not rows:
            raise InputError("concurrency, rate: which load? Give one of them, or slo with find")
        rows = [with_gain(server, row, bool(rates)) for row in rows]
        return cls(tuple(rows), None, given.slo, asked=asked, on=server.s, server=server, _given=given)

    def _again(self, asked: Asked) -> Self:
        return self.of(asked, self._given)

    @property
    def row(self) -> Served:
        """The steady state of the first load."""
        return self.rows[0]

    def _short(self) -> str:
        if len(self.rows) > 1:
            return f"{self._where}: {len(self.rows)} loads"
        r = self.row
        said = f"{r.concurrency:.4g} users, ITL {show(r.itl['mean'], 's')}, TTFT {show(r.ttft['mean'], 's')}"
        return f"{self._where}: {said}, {r.rate:.4g} requests a second"

    def _data(self) -> Mapping[str, Any]:
        if self.found:
            return self.found.to_dict()
        return self.row.to_dict() if len(self.rows) == 1 else {"rows": [each.to_dict() for each in self.rows]}

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.serve import found_tables, served_tables

        return found_tables([self.found], *self._names) if self.found else served_tables(
            self.rows, *self._names, self.slo
        )  # fmt: skip

    def _records(self) -> Table:
        from roofsim.reports.serve import served_records

        return served_records(self.rows, [self.found] if self.found else [])

    def plot(self, *, theme: Theme = "light") -> Figure:
        """Both times over the load, with what is promised."""
        from roofsim.api import plots

        return plots.serve(self, theme=theme)


@dataclass(frozen=True, repr=False)
class ServingFront(Shown, fronts.Front):
    """Choices of how to serve that nothing beats in all `objectives`: `points`."""

    on: Setup = field(kw_only=True, compare=False)
    workload: Workload = field(kw_only=True, compare=False)
    place: str = field(kw_only=True, compare=False)

    def _short(self) -> str:
        return f"{self.model} on {self.device} with {self.runtime}: {len(self.points)} of {self.looked_at:,} choices"

    def _data(self) -> Mapping[str, Any]:
        return as_engine(self, fronts.Front).to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.serve import front_tables

        return front_tables(self, self.place, self.on.runtime.name)

    def _records(self) -> Table:
        from roofsim.reports.serve import front_records

        return front_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """The first two objectives against each other."""
        from roofsim.api import plots

        return plots.serve_front(self, theme=theme)


def _case(asked: Asked) -> tuple[Setup, Workload]:
    """The setup, with what is asked for in the memory of the host, and the request."""
    s = asked.setup()
    w = asked.single(s.device)
    if asked.offload is None:
        return s, w
    from roofsim.prediction.offload import served

    return served(s, w, checked.text("offload", asked.offload)), w


def _prefix(prefix: object, hit_rate: object) -> Prefix | None:
    """Tokens that prompts share, found by a share of requests; raises InputError."""
    share = checked.number("hit_rate", hit_rate, nought=True)
    if share > 1:
        raise InputError(f"hit_rate: {share:g} is not a share; it lies from 0 to 1")
    return None if prefix is None else Prefix(checked.count("prefix", prefix), share)


def _formats(word: str, value: Several[str] | None) -> list[str | None]:
    """Formats to choose from, None for the usual one; raises InputError."""
    if value is None:
        return [None]
    found = checked.names(word, value)
    if not found:
        raise InputError(f"{word}: at least one is expected")
    return [*found]


def _rates(rate: Several[float] | None) -> list[float]:
    if rate is None:
        return []
    every = rate if isinstance(rate, Sequence) else [rate]
    return [checked.number("rate", each) for each in every]


def serve(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = "vllm", *, concurrency: Counts | None = None,
    rate: Several[float] | None = None, slo: str | None = None, find: Find | None = None,
    sequences: int | None = None, rounds: int | None = None, prefix: int | str | None = None, hit_rate: float = 1.0,
    prompt: int | str = 1024, generate: int | str = 128, dtype: str | None = None, weights: str | None = None,
    cache: str | None = None, host: HostLike = None, calibration: CalibrationLike = "auto", transfer: bool = False,
    set: Changes = (), weight_format: str | None = None, cache_dtype: str | None = None, tp: int = 1, pp: int = 1,
    ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None, offload: str | None = None,
    draft: ModelLike | None = None, accept: Chances | None = None, draft_tokens: int | str | None = None,
    tree: str | None = None, draft_weights: str | None = None, rollback: Rollback = "copies",
    draft_overhead: Quantity = 0.0,
) -> Serving:  # fmt: skip
    """Say what users of a serving engine see, what it makes of a load, and what ends that.

    The load is `concurrency`, users who each ask again as soon as they are answered, or `rate`, requests that come in a
    second; several of either are several rows. With `slo` ("ttft=1s,itl=50ms", "ttft.p95=2s") `find` is the largest
    "concurrency", "rate" or "batch" that keeps it, or the fewest "devices" for a load, divided as is
    best if `tp` and the others are 1. `sequences` are the most at
    once, if not as the runtime's server has it; `rounds` makes it the mean over so many requests of each user, who all
    begin together. `prefix` are the first tokens of prompts that requests share, found in the cache by a share
    `hit_rate` of them. With a `draft`, drafted tokens of every sequence are verified in each step (the words are
    those of `speculate`); what they gain is in `drafts` of a row. The rest is as for `predict`. Raises InputError, for
    a rate above what is answered too.
    """
    given = _Asking(
        [] if concurrency is None else checked.counts("concurrency", concurrency),
        _rates(rate),
        () if slo is None else promising.promises(checked.text("slo", slo)),
        None if find is None else promising.find_named(checked.one_of("find", find, FIND)),
        None if sequences is None else checked.count("sequences", sequences),
        None if rounds is None else checked.count("rounds", rounds),
        _prefix(prefix, hit_rate),
        drafts_given(draft, accept, draft_tokens, tree, draft_weights, rollback, draft_overhead),
    )
    asked = Asked(model, device, runtime, prompt, 1, generate, dtype, weights, cache, None, host, calibration, transfer,
                  set, weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster, offload)  # fmt: skip
    return Serving.of(asked, given)


def serve_front(
    model: ModelLike, device: Several[DeviceLike], runtime: RuntimeLike = "vllm", *,
    weights: Several[str] | None = None, cache: Several[str] | None = None, concurrency: Counts | None = None,
    sequences: Counts | None = None, slo: str | None = None, objectives: Several[str] | None = None,
    prefix: int | str | None = None, hit_rate: float = 1.0,
    prompt: int | str = 1024, generate: int | str = 128, dtype: str | None = None,
    host: HostLike = None, calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    tp: Counts = 1, pp: Counts = 1, ep: Counts = 1, dp: Counts = 1, cp: Counts = 1, cluster: ClusterLike = None,
    offload: str | None = None, draft: ModelLike | None = None, accept: Chances | None = None,
    draft_tokens: int | str | None = None, tree: str | None = None, draft_weights: str | None = None,
    rollback: Rollback = "copies", draft_overhead: Quantity = 0.0,
) -> ServingFront:  # fmt: skip
    """Find the choices of how to serve that nothing beats in tokens per second of a user and of a device.

    All combinations of devices, `weights`, `cache`, `tp`, `pp`, `ep`, `dp`, `cp`, `concurrency` and `sequences` at once
    are looked at, those that keep the `slo` (of means) are kept; what cannot be is in `refused`. With a `draft` each is
    looked at with it and without. Other `objectives` are "usd_per_million", which takes the place of "device" for
    several kinds of device, "energy_per_token", "devices", "itl", "ttft" and "concurrency". The rest is as for `serve`.
    Raises InputError.
    """
    promised = () if slo is None else promising.promises(checked.text("slo", slo))
    users = None if concurrency is None else checked.counts("concurrency", concurrency)
    at_once = None if sequences is None else checked.counts("sequences", sequences)
    wanted = () if objectives is None else fronts.objectives_named(checked.names("objectives", objectives))
    each: dict[str, Sequence[Any]] = {
        "device": checked.specs("device", device, Device),
        **checked.ways(tp=tp, pp=pp, ep=ep, dp=dp, cp=cp),
        "weights": _formats("weights", weights), "cache": _formats("cache", cache),
    }  # fmt: skip
    asked = Asked(model, each["device"][0], runtime, prompt, 1, generate, dtype, host=host, calibration=calibration,
                  transfer=transfer, set=set, cluster=cluster, offload=offload)  # fmt: skip
    servers, refused = all_servers(
        each, lambda chosen: _case(replace(asked, **chosen)), _prefix(prefix, hit_rate),
        drafts_given(draft, accept, draft_tokens, tree, draft_weights, rollback, draft_overhead),
        users[0] if users else 1,
    )  # fmt: skip
    every = users or fronts.usual_users([server for _, server in servers])
    found = fronts.front(servers, every, at_once, promised, refused, wanted)
    first = servers[0][1]
    return ServingFront(**columns(found), on=first.s, workload=first.w, place=fronts.on_what(servers))
