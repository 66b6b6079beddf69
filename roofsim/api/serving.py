"""Serving: requests as they arrive, and the time of a step for those who simulate themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Self

from roofsim.api import checked
from roofsim.api.asked import Asked
from roofsim.api.choices import seed_of
from roofsim.api.results import OfOne, as_engine
from roofsim.api.speculated import Chances, drafts_given
from roofsim.api.words import (
    AnyPath,
    CalibrationLike,
    Changes,
    ClusterLike,
    DeviceLike,
    HostLike,
    Logits,
    ModelLike,
    Quantity,
    RuntimeLike,
)
from roofsim.foundation.values import dataclass
from roofsim.prediction.results import columns
from roofsim.serving import USUAL_RUNTIME, simulation
from roofsim.serving.simulation import Load
from roofsim.serving.states import Rollback
from roofsim.serving.step import StepTime

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.table import Table
    from roofsim.reports.theme import Theme


@dataclass(frozen=True, repr=False)
class Simulation(OfOne, simulation.Simulation):
    """Requests that were served one event after the other: `result` has each of them, and their times and levels."""

    _given: Mapping[str, object] = field(kw_only=True, compare=False)

    @classmethod
    def of(cls, asked: Asked, given: Mapping[str, object]) -> Self:
        """What was asked for; `given` is what the engine takes beside setup and workload."""
        s = asked.setup()
        more: dict[str, Any] = dict(given)
        w, drafts, load = asked.single(s.device), more.pop("drafts"), more["load"]
        on = drafts.on(s, w, load.users or 1) if drafts else None
        found = simulation.simulate(s, w, more.pop("load"), drafts=on, **more)
        return cls(**columns(found), asked=asked, on=s, _given=given)

    def _again(self, asked: Asked) -> Self:
        return self.of(asked, self._given)

    def _short(self) -> str:
        r = self.result
        first = "" if r.ttft is None else f": TTFT {r.ttft.mean:.3g} s in the mean"
        return f"{self._where}, {len(r.requests):,} requests {self.load.said}{first}"

    def _data(self) -> Mapping[str, Any]:
        return as_engine(self, simulation.Simulation).to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.simulate import simulation_tables

        return simulation_tables(self, *self._names)

    def _records(self) -> Table:
        from roofsim.reports.simulate import simulation_records

        return simulation_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """The spread of times, and requests in the engine over time."""
        from roofsim.api import plots

        return plots.simulate(self, theme=theme)


def step_time(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = USUAL_RUNTIME, *, dtype: str | None = None,
    weights: str | None = None, cache: str | None = None, logits: Logits | None = None, host: HostLike = None,
    calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
    tp: int = 1, pp: int = 1, ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None,
) -> StepTime:  # fmt: skip
    """Compile the time of one step of a serving engine, for simulators: some microseconds a question.

    `t.batch([(new, held), ...])` are the seconds of a step of such sequences, `t.of(decodes, held, pieces, new,
    context)` its seconds and joules, also of arrays; `t([(sequences, new, held), ...])` does not sum groups up.
    `t.sglang()` is a predictor for SGLang's simulator. The rest is as for `predict`. Raises InputError.
    """
    asked = Asked(model, device, runtime, 1024, 1, 128, dtype, weights, cache, logits, host, calibration, transfer, set,
                  weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster)  # fmt: skip
    s = asked.setup()
    return StepTime(s, asked.single(s.device))


def simulate(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = USUAL_RUNTIME, *, rate: float | None = None,
    users: int | str | None = None, trace: AnyPath | None = None, cv: float | None = None, on: Quantity | None = None,
    off: Quantity | None = None, think: Quantity = 0.0, speed: float = 1.0, requests: int | str | None = None,
    spread: float = 0.0, prefix: int | str = 0, hit_rate: float | None = None, seed: int = 0,
    tokens: int | str | None = None,
    sequences: int | str | None = None, prompt: int | str = 1024, generate: int | str = 128, dtype: str | None = None,
    weights: str | None = None, cache: str | None = None, logits: Logits | None = None, host: HostLike = None,
    calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
    tp: int = 1, pp: int = 1, ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None,
    draft: ModelLike | None = None, accept: Chances | None = None, draft_tokens: int | str | None = None,
    tree: str | None = None, draft_weights: str | None = None, rollback: Rollback = "copies",
    draft_overhead: Quantity = 0.0,
) -> Simulation:  # fmt: skip
    """Serve requests as they arrive, event by event; needs the extra `serving`.

    They come at a `rate` (Poisson, or with another coefficient of variation `cv`, or in periods of `on` seconds with
    `off` seconds between), are asked by `users` who each `think` after an answer, or are those of a `trace` at some
    `speed`. `requests` is how many (1,000 unless given), `spread` how far lengths are from `prompt` and `generate`,
    `prefix` the tokens with which all prompts begin, which a share `hit_rate` of the requests finds in the cache,
    `seed` which are drawn. A step has as many `tokens`, and there are as many `sequences` at once, as the runtime says
    unless they are given. With a `draft` steps verify drafted tokens, of which as many are accepted as is drawn (the
    words are those of `speculate`). The rest is as for `predict`. Raises InputError.
    """
    numbers = {"rate": rate, "cv": cv, "spread": spread, "hit_rate": hit_rate, "speed": speed}
    times = {"on": on, "off": off, "think": think}
    load = Load(
        users=None if users is None else checked.count("users", users),
        trace=None if trace is None else str(checked.path("trace", trace)),
        requests=None if requests is None else checked.count("requests", requests),
        prefix=checked.count("prefix", prefix, 0),
        seed=seed_of(seed),
        **{name: checked.number(name, value, nought=True) for name, value in numbers.items() if value is not None},
        **{name: checked.number(name, value, "s", nought=True) for name, value in times.items() if value is not None},
    )
    given = {
        "load": load,
        "tokens": None if tokens is None else checked.count("tokens", tokens),
        "sequences": None if sequences is None else checked.count("sequences", sequences),
        "drafts": drafts_given(draft, accept, draft_tokens, tree, draft_weights, rollback, draft_overhead),
    }  # fmt: skip
    asked = Asked(model, device, runtime, prompt, 1, generate, dtype, weights, cache, logits, host, calibration,
                  transfer, set, weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster)  # fmt: skip
    return Simulation.of(asked, given)
