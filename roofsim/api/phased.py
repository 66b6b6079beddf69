"""How prefill and decode share devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Self

from roofsim.api import checked
from roofsim.api.asked import Asked
from roofsim.api.results import OfOne, as_engine
from roofsim.api.words import (
    CalibrationLike,
    Changes,
    ClusterLike,
    Counts,
    DeviceLike,
    HostLike,
    Logits,
    ModelLike,
    Quantity,
    RuntimeLike,
)
from roofsim.foundation.values import dataclass
from roofsim.prediction.results import columns
from roofsim.serving import USUAL_RUNTIME
from roofsim.serving import phases as sharing
from roofsim.serving.choices import choices, possible
from roofsim.serving.slo import promises

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.table import Table
    from roofsim.reports.theme import Theme


@dataclass(frozen=True, repr=False)
class Phased(OfOne, sharing.Phases):
    """What layouts of prefill and decode answer: `rows` by length of prompts with `intervals`, `crossings`."""

    _given: Mapping[str, object] = field(kw_only=True, compare=False)

    @classmethod
    def of(cls, asked: Asked, given: Mapping[str, object]) -> Self:
        """What was asked for; `given` is what the engine takes beside setup and workload."""
        more: dict[str, Any] = dict(given)
        made, refused = possible(choices(more["ways"]), lambda split: replace(asked, **split).setup())
        setups = [s for _, s in made]
        s = setups[0]
        wire, linked = sharing.wire_of(s, more["link"])
        found = sharing.phases(setups, asked.single(s.device), more["prompts"], more["slo"], wire, linked, refused)
        return cls(**columns(found), asked=asked, on=s, _given=given)

    def _again(self, asked: Asked) -> Self:
        return self.of(asked, self._given)

    def _short(self) -> str:
        best = ", ".join(f"{row.prompt:,} {row.best}" for row in self.rows[:4])
        return f"{self._where}: best by length of prompts {best}"

    def _data(self) -> Mapping[str, Any]:
        return as_engine(self, sharing.Phases).to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.phases import phases_tables

        return phases_tables(self, *self._names)

    def _records(self) -> Table:
        from roofsim.reports.phases import phases_records

        return phases_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """Goodput of each layout over the length of prompts."""
        from roofsim.api import plots

        return plots.phases(self, theme=theme)


def phases(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = USUAL_RUNTIME, *, prompt: Counts = "512..8k*4",
    slo: str = "ttft=1s,itl=50ms", link: Quantity | None = None, tp: Counts = 1, pp: Counts = 1, ep: Counts = 1,
    dp: Counts = 1, cp: Counts = 1, cluster: ClusterLike = None,
    generate: int | str = 128, dtype: str | None = None, weights: str | None = None, cache: str | None = None,
    logits: Logits | None = None, host: HostLike = None, calibration: CalibrationLike = "auto", transfer: bool = False,
    set: Changes = (), weight_format: str | None = None, cache_dtype: str | None = None,
) -> Phased:  # fmt: skip
    """Compare prefill and decode in mixed steps, side by side inside each device, and on pools apart.

    The most requests a second and device that keep what is promised (`slo`: "ttft=1s,itl=50ms", "itl.p95=50ms"), at
    each length of `prompt`. Pools hand over what a prompt holds on a `link` ("25GB/s"), or as the nodes of a `cluster`
    are linked. Of several ways to divide the model (`tp`, `pp`, `ep`, `dp`, `cp`) each layout and either pool has its
    best. The rest is as for `predict`. Raises InputError.
    """
    given = {
        "prompts": checked.counts("prompt", prompt),
        "slo": promises(checked.text("slo", slo)),
        "link": None if link is None else checked.number("link", link, "B/s"),
        "ways": checked.ways(tp=tp, pp=pp, ep=ep, dp=dp, cp=cp),
    }  # fmt: skip
    asked = Asked(model, device, runtime, 1024, 1, generate, dtype, weights, cache, logits, host, calibration, transfer,
                  set, weight_format, cache_dtype, cluster=cluster)  # fmt: skip
    return Phased.of(asked, given)
