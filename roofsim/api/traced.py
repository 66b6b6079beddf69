"""Kernels that a profiler saw beside predicted ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from roofsim.api import checked
from roofsim.api.asked import Asked
from roofsim.api.shown import Shown
from roofsim.api.words import AnyPath, CalibrationLike, Changes, DeviceLike, HostLike, Logits, ModelLike, RuntimeLike
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.prediction.results import columns
from roofsim.prediction.setup import DEFAULT_RUNTIME
from roofsim.runs.traces import read_trace
from roofsim.studies import kernels

if TYPE_CHECKING:
    from roofsim.model.step import Phase
    from roofsim.reports.table import Table

PHASES: Sequence[Phase] = ("prefill", "decode")


@dataclass(frozen=True, repr=False)
class Traced(Shown, kernels.Compared):
    """A trace beside a prediction: `groups` of kernels, `pairs` of launches and predicted ones, what is `unpaired`."""

    names: tuple[str, str] = field(kw_only=True)

    def _short(self) -> str:
        return f"{self.file}: kernels of a {self.phase} {self.measured:.4g} s, predicted {self.predicted:.4g} s"

    def _data(self) -> Mapping[str, Any]:
        data = kernels.Compared.to_dict(self)
        data.pop("names", None)
        return data

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.kernels import kernel_tables

        return kernel_tables(self, *self.names)

    def _records(self) -> Table:
        from roofsim.reports.kernels import kernel_records

        return kernel_records(self)


def validate_trace(
    trace: AnyPath, model: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, *,
    phase: Phase = "prefill", passes: int | None = None, prompt: int | str = 1024, batch: int | str = 1,
    generate: int | str = 128, dtype: str | None = None, weights: str | None = None, cache: str | None = None,
    logits: Logits | None = None, host: HostLike = None, calibration: CalibrationLike = "none", transfer: bool = False,
    set: Changes = (), weight_format: str | None = None, cache_dtype: str | None = None,
) -> Traced:  # fmt: skip
    """Hold the kernels in a trace of PyTorch's profiler (Chrome JSON) against the predicted ones of such a pass.

    `phase` is what was traced, `passes` how often where the trace has no ProfilerStep; times are seconds of one pass.
    Kernels are told apart by what they are for, and paired with predicted ones in their order where there are as many.
    `calibration` is as for `predict`, but none unless it is asked for. Raises InputError.
    """
    asked = Asked(model, device, runtime, prompt, batch, generate, dtype, weights, cache, logits, host, calibration,
                  transfer, set, weight_format, cache_dtype)  # fmt: skip
    word = checked.text("phase", phase)
    if word not in PHASES:
        raise InputError(f"phase: {checked.shown(phase)} is none; prefill or decode")
    times = None if passes is None else checked.count("passes", passes)
    s = asked.setup()
    found = kernels.compare_kernels(
        read_trace(checked.path("trace", trace)), s, asked.single(s.device), PHASES[PHASES.index(phase)], times
    )
    return Traced(**columns(found), names=(s.device.name, s.runtime.name))
