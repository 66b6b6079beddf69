"""One request: predicted, or compiled."""

from __future__ import annotations

from collections.abc import Sequence

from roofsim.api import checked
from roofsim.api.asked import Asked
from roofsim.api.results import Prediction
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
from roofsim.prediction.compiled import Compiled
from roofsim.prediction.request import compile_request
from roofsim.prediction.setup import DEFAULT_RUNTIME


def predict(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, *, prompt: Counts = 1024,
    batch: Counts = 1, generate: Counts = 128, dtype: str | None = None, weights: str | None = None,
    cache: str | None = None, logits: Logits | None = None, host: HostLike = None,
    calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
    tp: int = 1, pp: int = 1, ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None,
    offload: str | None = None,
    price: Quantity | None = None, lifetime: Quantity | None = None, electricity: Quantity | None = None,
    carbon: Quantity | None = None, utilisation: float | None = None, overhead: float | None = None,
) -> Prediction:  # fmt: skip
    """Predict time, memory and energy of a request.

    `prompt`, `batch` and `generate` are counts, or several that broadcast (a list, a range, an array, text such as
    "1k..64k*2"); then every figure is an array, without operators, limits and intervals. `weights` and `cache` are the
    formats of weights and KV cache (`weight_format` and `cache_dtype` are other names of them), `calibration` is one by
    name or path, "auto" for the shipped one that fits device and runtime, or "none"; with `transfer` it may be of
    others. `set` changes fields for a what-if, as --set does. `tp`, `pp`, `ep`, `dp` and `cp` divide the model among
    devices of the `cluster` (docs/several.md). `offload` says what lies in the memory of the host: "auto" (the fastest
    division that fits), "layers=20", "experts=cpu", "stream=10GiB", "cache" or several with a + (docs/offload.md).
    `price` ("2.5USD/h", "1599USD"), `lifetime`, `electricity`, `carbon`, `utilisation` and `overhead` are the terms of
    its cost (docs/cost.md). Raises InputError for what cannot be used.
    """
    given = checked.terms(set, price=price, lifetime=lifetime, electricity=electricity, carbon=carbon,
                          utilisation=utilisation, overhead=overhead)  # fmt: skip
    return Prediction.of(Asked(
        model, device, runtime, prompt, batch, generate, dtype, weights, cache, logits, host, calibration, transfer,
        given, weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster,
        offload,
    ))  # fmt: skip


def compile(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, *,
    figures: str | Sequence[str] = ("ttft", "tpot", "memory", "energy"),
    over: str | Sequence[str] = ("prompt", "batch"),
    numba: bool = False, prompt: int | str = 1024, batch: int | str = 1, generate: int | str = 128,
    dtype: str | None = None, weights: str | None = None, cache: str | None = None, logits: Logits | None = None,
    host: HostLike = None, calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
    tp: int = 1, pp: int = 1, ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None,
) -> Compiled:  # fmt: skip
    """Compile figures of a request into one function of the numbers named in `over`.

    `over` are prompt, batch and generate, and paths into the specs such as `device.memory.bandwidth`,
    `device.peak.matrix.bf16`, `host.dispatch`, `runtime.host.work` or `parameters.gemm_efficiency`; the rest is as for
    `predict`. With `numba` (an extra) arrays take a quarter of the time, after a second of compiling. Sizes of a model
    that vary are taken to differ from each other: as many heads of keys as of queries is another kernel. Raises
    InputError for names and values that cannot be used.
    """
    asked = Asked(model, device, runtime, prompt, batch, generate, dtype, weights, cache, logits, host, calibration,
                  transfer, set, weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster)  # fmt: skip
    s = asked.setup()
    machine_code = checked.flag("numba", numba)
    return compile_request(
        s, asked.single(s.device), checked.names("figures", figures), checked.names("over", over), numba=machine_code
    )
