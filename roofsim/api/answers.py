"""What fits, and why a figure is what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Self

from roofsim.api import checked
from roofsim.api.asked import Asked
from roofsim.api.results import OfOne, as_engine, metric_value
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
from roofsim.foundation.cost import COLUMNS
from roofsim.foundation.values import dataclass
from roofsim.prediction import results
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.setup import DEFAULT_RUNTIME
from roofsim.studies import explain as explaining
from roofsim.studies import limits as limiting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.table import Table
    from roofsim.reports.theme import Theme


@dataclass(frozen=True, repr=False)
class LimitsResult(OfOne, limiting.LimitsResult):
    """What fits: `limits` with their 95 % `intervals`, and memory `at` lengths."""

    lengths: tuple[int, ...] | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, asked: Asked, lengths: Sequence[int] | None) -> Self:
        """The limits that were asked for."""
        s, w = asked.case()
        found = limiting.limits(s, w, lengths)
        return cls(**results.columns(found), asked=asked, on=s, lengths=None if lengths is None else tuple(lengths))

    def _again(self, asked: Asked) -> Self:
        return self.of(asked, self.lengths)

    def _short(self) -> str:
        most = self.limits
        return f"{self._where}: longest prompt {most.max_prompt:,}, largest batch {most.max_batch:,}"

    def _data(self) -> Mapping[str, Any]:
        return limiting.LimitsResult.to_dict(self)

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.limits import limits_tables

        return limits_tables(self, *self._names)

    def _records(self) -> Table:
        from roofsim.reports.limits import limits_records

        return limits_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """Memory by part over length."""
        from roofsim.api import plots

        return plots.limits(self, theme=theme)


@dataclass(frozen=True, repr=False)
class Explanation(OfOne, explaining.Explanation):
    """A figure as a polynomial in the prompt length, what moves it, and the regimes over length."""

    @classmethod
    def of(cls, asked: Asked, metric: str) -> Self:
        """The explanation that was asked for."""
        s = asked.setup()
        return cls(**results.columns(explaining.explain(s, asked.single(s.device), metric)), asked=asked, on=s)

    def _again(self, asked: Asked) -> Self:
        return self.of(asked, self.metric)

    def _short(self) -> str:
        form = " + ".join(f"({term}) N^{k}" if k else term for k, term in enumerate(self.terms))
        said = f"{self.metric} {metric_value(self.metric, self.value)} at {self.length:,} tokens"
        return f"{self._where}: {said}" + (f", {form}" if len(form) <= LONG else "")

    def _data(self) -> Mapping[str, Any]:
        return as_engine(self, explaining.Explanation).to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.explain import explain_tables

        return explain_tables(self, *self._names)

    def _records(self) -> Table:
        from roofsim.reports.explain import explain_records

        return explain_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """The metric over length with its regimes, and what moves it here."""
        from roofsim.api import plots

        return plots.explain(self, theme=theme)

    def latex(self) -> dict[str, dict[str, str]]:
        """The cost formulas of the model's operators as LaTeX: by operator, then by column."""
        from roofsim.reports.explain import formula_data

        found = formula_data(self.functions, latex=True)
        return {each["operator"]: {c: each[c] for c in COLUMNS if each[c] != "0"} for each in found}


LONG = 80
"""Letters of a formula that still goes into a line."""


def limits(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, *, lengths: Counts | None = None,
    prompt: int | str = 1024, batch: int | str = 1, generate: int | str = 128, dtype: str | None = None,
    weights: str | None = None, cache: str | None = None, logits: Logits | None = None, host: HostLike = None,
    calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
    tp: int = 1, pp: int = 1, ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None,
    offload: str | None = None,
) -> LimitsResult:  # fmt: skip
    """Say what fits: the longest prompt at this batch, the largest batch at this prompt, memory at `lengths`.

    Without lengths, those of powers of two up to the longest prompt. The rest is as for `predict`. Raises InputError.
    """
    asked = Asked(model, device, runtime, prompt, batch, generate, dtype, weights, cache, logits, host, calibration,
                  transfer, set, weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster, offload)  # fmt: skip
    return LimitsResult.of(asked, None if lengths is None else checked.counts("lengths", lengths))


def explain(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, *, metric: str = "ttft",
    prompt: int | str = 1024, batch: int | str = 1, generate: int | str = 128, dtype: str | None = None,
    weights: str | None = None, cache: str | None = None, logits: Logits | None = None, host: HostLike = None,
    calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
    tp: int = 1, pp: int = 1, ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None,
) -> Explanation:  # fmt: skip
    """Say why a figure is what it is: as a polynomial in the prompt length that holds around `prompt`, and its pulls.

    `metric` is one of ttft, tpot, memory, energy, throughput and total, the rest as for `predict`. Raises InputError.
    """
    asked = Asked(model, device, runtime, prompt, batch, generate, dtype, weights, cache, logits, host, calibration,
                  transfer, set, weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster)  # fmt: skip
    return Explanation.of(asked, checked.one_of("metric", metric, METRICS))
