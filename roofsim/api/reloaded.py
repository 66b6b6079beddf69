"""From which length on a cache that was kept is loaded faster than it is computed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
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
    RuntimeLike,
)
from roofsim.foundation.values import dataclass
from roofsim.prediction.results import columns
from roofsim.serving import USUAL_RUNTIME
from roofsim.studies import reload as reloading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.table import Table
    from roofsim.reports.theme import Theme


@dataclass(frozen=True, repr=False)
class Reloaded(OfOne, reloading.Reload):
    """Loading against computing again: `turns` by memory, times and bytes `at` lengths, `values` over `lengths`."""

    _given: tuple[Sequence[str], Sequence[int]] = field(kw_only=True, compare=False)

    @classmethod
    def of(cls, asked: Asked, given: tuple[Sequence[str], Sequence[int]]) -> Self:
        """What was asked for; `given` are memories and lengths."""
        s = asked.setup()
        found = reloading.reload(s, asked.single(s.device), *given)
        return cls(**columns(found), asked=asked, on=s, _given=given)

    def _again(self, asked: Asked) -> Self:
        return self.of(asked, self._given)

    def _short(self) -> str:
        turns = (f"{t.tier} from {t.length:,}" if t.length else f"{t.tier} never" for t in self.turns)
        return f"{self._where}: loading is faster from {', '.join(turns)}"

    def _data(self) -> Mapping[str, Any]:
        return as_engine(self, reloading.Reload).to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.reload import reload_tables

        return reload_tables(self, *self._names)

    def _records(self) -> Table:
        from roofsim.reports.reload import reload_records

        return reload_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """The time to the first token over the length, computed and loaded from each memory."""
        from roofsim.api import plots

        return plots.reload(self, theme=theme)


def reload(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = USUAL_RUNTIME, *,
    tiers: str | Sequence[str] = (), lengths: Counts | None = None, batch: int | str = 1, dtype: str | None = None,
    weights: str | None = None, cache: str | None = None, logits: Logits | None = None, host: HostLike = None,
    calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
    tp: int = 1, pp: int = 1, ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None,
) -> Reloaded:  # fmt: skip
    """Say from which length on loading what a sequence holds is faster than computing it again.

    `tiers` are "host", "disk", "remote" or rates such as "25GB/s", all that are known if it is empty; `lengths` are
    listed. The rest is as for `predict`. Raises InputError.
    """
    asked = Asked(model, device, runtime, 1024, batch, 1, dtype, weights, cache, logits, host, calibration, transfer,
                  set, weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster)  # fmt: skip
    shown = reloading.LENGTHS if lengths is None else sorted({*checked.counts("lengths", lengths)})
    return Reloaded.of(asked, (checked.names("tiers", tiers), shown))
