"""95 % intervals of predictions: what the parameters of a calibration may be off by, and what the model misses.

Delta method on logarithms. The variance of log y is gᵀ C g + σ²: g are the derivatives of log y by the parameters
on their scale without limits, C their covariance, σ the scatter of that kind of figure on held-out rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from roofsim.engine.derivative import gradient
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.schema import variant
from roofsim.prediction.compiled import compiled
from roofsim.prediction.fitted import outside
from roofsim.prediction.limits import limits_of
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.request import predict_request, settled
from roofsim.prediction.results import Prediction
from roofsim.prediction.setup import Setup
from roofsim.runs.program import HOST_MATTERS, Array
from roofsim.specs.calibration import NORMAL_95, Calibration, interval
from roofsim.specs.workload import Workload

FIGURES: Mapping[str, tuple[str, tuple[str, str]]] = {
    **{row.interval: (row.figure, row.measured) for row in METRICS.values() if not row.inverse},
    "device_time": ("prefill.device_time", ("device_time_s", "prefill")),
    "decode_device_time": ("decode.device_time", ("device_time_s", "decode")),
}
"""Figures with intervals, as the prediction calls them, and the kind of measurement whose scatter they have."""


def predict_with_intervals(s: Setup, w: Workload) -> Prediction:
    """As `predict_request`; with a calibration also intervals, and what lies beyond its data."""
    w = settled(s, w)
    result = predict_request(s, w)
    if s.calibration is None:
        return result
    said = (*result.assumptions, *outside(s, w))
    return replace(result, intervals=intervals(s, w, result), assumptions=said)


def intervals(s: Setup, w: Workload, p: Prediction) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each figure of a request for whose kind the calibration has data."""
    c = _calibration(s)
    waits = {"ttft": p.prefill, "tpot": p.decode}
    host = {name: float(each.host_time) > HOST_MATTERS * float(each.device_time) for name, each in waits.items()}
    known = [name for name in FIGURES if scatter(c, FIGURES[name][1]) is not None]
    values, slopes = logs(s, w, [FIGURES[name][0] for name in known])
    spread = covariance(s, tuple(slopes[0]) if slopes else ())
    variances = {name: _quadratic(list(by.values()), spread) for name, by in zip(known, slopes, strict=True)}
    found = {}
    for name, value in zip(known, values, strict=True):
        sigma = scatter(c, FIGURES[name][1], host.get(name, False)) or 0.0
        found[name] = interval(float(value), variances[name] + sigma**2)
    at = dict(zip(known, values, strict=True))
    for wall, device in (("ttft", "device_time"), ("tpot", "decode_device_time")):
        if {wall, device} <= set(found):
            # no clock shows less than the device works
            found[wall] = (max(found[wall][0], min(found[device][0], float(at[wall]))), found[wall][1])
    if "total" in found:
        found |= _request(p, variances["total"], c, host)
        del found["total"]
    if "peak" in found:
        found |= _limits(s, w, found["peak"][1] / float(at["peak"]))
    return found


def logs(s: Setup, w: Workload, figures: Sequence[str]) -> tuple[list[Any], list[dict[str, Any]]]:
    """Figures, and the derivatives of their logarithms by the parameters that the user has not set.

    The derivatives are on the parameters' scale without limits; a prompt that is an array gives arrays.
    """
    parameters = {name: x for name, x in s.machine(w.dtype).parameters.items() if name not in s.parameters}
    values = {f"parameters.{name}": float(x) for name, x in parameters.items()}
    over = (*values, "prompt")
    function = compiled(s, variant(w, prompt=1), tuple(figures), over).function
    found, slopes = [], []
    for out in function.outputs.values():
        value, by = gradient(function.graph, out, {**values, "prompt": w.prompt})
        found.append(value)
        steps = {name: PARAMETERS[name].stretch(float(x)) for name, x in parameters.items()}
        slopes.append({name: by[f"parameters.{name}"] * step / value for name, step in steps.items()})
    return found, slopes


def _quadratic(slopes: Sequence[Any], spread: Array) -> float:
    """The variance that parameters with a covariance give a figure with these derivatives."""
    row = np.array(slopes, dtype=float)
    return float(max(row @ spread @ row, 0.0))


def covariance(s: Setup, names: Sequence[str]) -> Array:
    """Covariance of parameters on their scale without limits; the prior's where the calibration does not hold."""
    c = _calibration(s)
    place = {name: i for i, name in enumerate(c.covariance.names) if name in s.fitted}
    found = np.diag([PARAMETERS[name].free_spread ** 2 for name in names])
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            if a in place and b in place:
                high, low = max(place[a], place[b]), min(place[a], place[b])
                found[i, j] = c.covariance.lower[high][low]
    return found


def scatter(c: Calibration, measured: tuple[str, str], host: bool = False) -> float | None:
    """The scatter of a kind of measurement, None if the calibration has no data of such a kind."""
    found = c.scatter_of(*measured, host)
    return found.sigma if found else None


def _request(
    p: Prediction, variance: float, c: Calibration, host: Mapping[str, bool]
) -> dict[str, tuple[float, float]]:
    """The whole request: prefill and steps, whose scatters are taken to go together."""
    share = float(p.request.ttft / p.request.total_time)
    first, step = (scatter(c, FIGURES[name][1], host[name]) or 0 for name in ("ttft", "tpot"))
    variance += (share * first + (1 - share) * step) ** 2
    return {
        "total_time": interval(float(p.request.total_time), variance),
        "tokens_per_second": interval(float(p.request.tokens_per_second), variance),
    }


def _limits(s: Setup, w: Workload, factor: float) -> dict[str, tuple[float, float]]:
    """The longest prompt and the largest batch if every peak were larger, or smaller, by a factor."""
    less, more = (limits_of(s, w, room) for room in (1 / factor, factor))
    return {name: (float(getattr(less, name)), float(getattr(more, name))) for name in ("max_prompt", "max_batch")}


def limits_within(s: Setup, w: Workload) -> dict[str, tuple[float, float]]:
    """95 % intervals of the longest prompt and the largest batch; none if the calibration has no data on memory."""
    figure, measured = FIGURES["peak"]
    spread = scatter(_calibration(s), measured)
    if spread is None:
        return {}
    _, (slopes,) = logs(s, w, [figure])
    variance = _quadratic(list(slopes.values()), covariance(s, tuple(slopes)))
    return _limits(s, w, interval(1.0, variance + spread**2)[1])


def _calibration(s: Setup) -> Calibration:
    if s.calibration is None:
        raise ValueError("intervals need a calibration")
    return s.calibration


def span_of_crossing(
    a: Setup, b: Setup, w: Workload, metric: str, at: int, lengths: Sequence[int]
) -> tuple[int, int] | None:
    """The lengths around a crossing at which the order of two models is not certain at 95 %; None without data.

    There the difference of both logarithms is within its own interval (Fieller's argument for a ratio of one).
    """
    row = METRICS[metric]
    shown = METRICS[row.inverse] if row.inverse else row
    if scatter(_calibration(a), shown.measured) is None:
        return None
    lengths = sorted({*lengths, at})
    w = variant(w, prompt=np.array(lengths, dtype=float))
    which = "decode" if shown.measured[1] == "decode" else "prefill"
    sides, spread = [], np.zeros(len(lengths))
    for s in (a, b):
        (value,), (by,) = logs(s, w, [shown.figure])
        sides.append((np.log(value), {name: np.broadcast_to(x, len(lengths)) for name, x in by.items()}))
        one = variant(w, prompt=1)
        times = compiled(s, one, (f"{which}.host_time", f"{which}.device_time"), ("prompt",))
        host, device = times(prompt=w.prompt).values()
        spread += [(scatter(_calibration(s), shown.measured, bool(x)) or 0) ** 2 for x in host > HOST_MATTERS * device]
    (first, by_a), (second, by_b) = sides
    steep = np.stack([by_a[name] - by_b[name] for name in by_a], axis=1)
    variance = np.einsum("ij,jk,ik->i", steep, covariance(a, tuple(by_a)), steep) + spread
    near = np.abs(first - second) <= NORMAL_95 * np.sqrt(variance)
    low = high = lengths.index(at)
    while low > 0 and near[low - 1]:
        low -= 1
    while high < len(lengths) - 1 and near[high + 1]:
        high += 1
    return lengths[low], lengths[high]
