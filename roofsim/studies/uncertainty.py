"""95 % intervals of predictions: what the parameters of a calibration may be off by, and what the model misses.

Delta method on logarithms. The variance of log y is gᵀ C g + σ²: g are the derivatives of log y by the parameters
on their scale without limits, C their covariance, σ the scatter of that kind of figure on held-out rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.quantity import Bytes
from roofsim.foundation.schema import variant
from roofsim.prediction.fitted import outside
from roofsim.prediction.request import Metric, Prediction, Setup, fits, footprint, largest, predict_request, samples
from roofsim.runs.program import HOST_MATTERS, Array, Program
from roofsim.runs.targets import Jobs, Target
from roofsim.specs.calibration import NORMAL_95, Calibration, interval
from roofsim.specs.workload import Workload

KIND: Mapping[str, tuple[str, str]] = {
    "ttft": ("latency_s", "prefill"),
    "tpot": ("latency_s", "decode"),
    "device_time": ("device_time_s", "prefill"),
    "decode_device_time": ("device_time_s", "decode"),
    "energy": ("energy_j", "prefill"),
    "total": ("latency_s", "prefill"),
    "peak": ("peak_mem_bytes", "prefill"),
}
"""The kind of measurement whose scatter a predicted figure has."""


def predict_with_intervals(s: Setup, w: Workload) -> Prediction:
    """As `predict_request`; with a calibration also intervals, and what lies beyond its data."""
    result = predict_request(s, w)
    if s.calibration is None:
        return result
    said = (*result.assumptions, *outside(s, w))
    return replace(result, intervals=intervals(s, w, result), assumptions=said)


def intervals(s: Setup, w: Workload, p: Prediction) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each figure of a request for whose kind the calibration has data."""
    c = _calibration(s)
    w = variant(w, logits=w.logits or s.runtime.logits)
    jobs = Jobs()
    figures = targets(s, w, jobs)
    waits = {"ttft": p.prefill, "tpot": p.decode}
    host = {name: bool(each.host_time > HOST_MATTERS * each.device_time) for name, each in waits.items()}
    known = [name for name in figures if scatter(c, name) is not None]
    slopes = Slopes.of(s, w, [figures[name] for name in known], jobs)
    values = {
        "ttft": p.request.ttft, "tpot": p.request.tpot, "device_time": p.prefill.device_time,
        "decode_device_time": p.decode.device_time, "energy": p.request.energy, "peak": p.memory.peak,
        "total": p.request.total_time,
    }  # fmt: skip
    found = {}
    for i, name in enumerate(known):
        spread = scatter(c, name, host.get(name, False)) or 0.0
        found[name] = interval(float(values[name]), slopes.variance(i) + spread**2)
    for wall, device in (("ttft", "device_time"), ("tpot", "decode_device_time")):
        if {wall, device} <= set(found):
            # no clock shows less than the device works
            found[wall] = (max(found[wall][0], min(found[device][0], float(values[wall]))), found[wall][1])
    if "total" in found:
        found |= _request(p, slopes.variance(known.index("total")), c, host)
        del found["total"]
    if "peak" in known:
        found |= _limits(s, w, found["peak"][1] / float(values["peak"]))
    return found


def targets(s: Setup, w: Workload, jobs: Jobs) -> dict[str, Target]:
    """What each figure of a request is a sum over."""
    steps = max(w.generate - 1, 0)
    pieces = s.pieces(w)
    mean = [(share, s.decode(w, done)) for share, done in samples(steps)]
    whole = [*pieces, *((share * steps, p) for share, p in mean)] if steps else list(pieces)
    held = footprint(s, w)
    return {
        "ttft": jobs.target(s, "wall", pieces, w.dtype),
        "tpot": jobs.target(s, "wall", mean, w.dtype),
        "device_time": jobs.target(s, "device", pieces, w.dtype),
        "decode_device_time": jobs.target(s, "device", [(1, s.decode(w))], w.dtype),
        "energy": jobs.target(s, "energy", whole, w.dtype),
        "total": jobs.target(s, "wall", whole, w.dtype),
        "peak": Target("memory", constant=float(held.peak - held.workspace)),
    }


@dataclass(frozen=True, slots=True)
class Slopes:
    """Derivatives of the logarithms of figures by parameters, and the covariance of those parameters."""

    names: tuple[str, ...]
    slopes: Array
    covariance: Array

    @classmethod
    def of(cls, s: Setup, w: Workload, figures: Sequence[Target], jobs: Jobs) -> Slopes:
        """Derivatives of these figures; parameters that the user has set are certain."""
        program = Program(figures, jobs, s.device, s.host, s.runtime)
        values = {name: float(value) for name, value in s.machine(w.dtype).parameters.items()}
        names = tuple(name for name in values if name not in s.parameters)
        return cls(names, program.slopes(values, names), covariance(s, names))

    def variance(self, i: int) -> float:
        """Variance of the logarithm of one figure that is due to the parameters."""
        return float(max(self.slopes[i] @ self.covariance @ self.slopes[i], 0.0))


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


def scatter(c: Calibration, figure: str, host: bool = False) -> float | None:
    """The scatter of a kind of figure, None if the calibration has no data of such a kind."""
    metric, phase = KIND[figure]
    found = c.scatter_of(metric, phase, host)
    return found.sigma if found else None


def _request(
    p: Prediction, variance: float, c: Calibration, host: Mapping[str, bool]
) -> dict[str, tuple[float, float]]:
    """The whole request: prefill and steps, whose scatters are taken to go together."""
    share = float(p.request.ttft / p.request.total_time)
    first, step = (scatter(c, name, host[name]) or 0 for name in ("ttft", "tpot"))
    variance += (share * first + (1 - share) * step) ** 2
    return {
        "total_time": interval(float(p.request.total_time), variance),
        "tokens_per_second": interval(float(p.request.tokens_per_second), variance),
    }


def _limits(s: Setup, w: Workload, factor: float) -> dict[str, tuple[float, float]]:
    """The longest prompt and the largest batch if every peak were larger, or smaller, by a factor."""
    bounds = {}
    for name, field in (("max_prompt", "prompt"), ("max_batch", "batch")):
        ends = [_largest(_scaled(s, size), w, field) for size in (1 / factor, factor)]
        bounds[name] = (float(ends[0]), float(ends[1]))
    return bounds


def limits_within(s: Setup, w: Workload) -> dict[str, tuple[float, float]]:
    """95 % intervals of the longest prompt and the largest batch; none if the calibration has no data on memory."""
    c = _calibration(s)
    spread = scatter(c, "peak")
    if spread is None:
        return {}
    jobs = Jobs()
    w = variant(w, logits=w.logits or s.runtime.logits)
    slopes = Slopes.of(s, w, [targets(s, w, jobs)["peak"]], jobs)
    return _limits(s, w, interval(1.0, slopes.variance(0) + spread**2)[1])


def _largest(s: Setup, w: Workload, field: str) -> int:
    return largest(lambda n: fits(s, variant(w, **{field: n})))


def _scaled(s: Setup, factor: float) -> Setup:
    """The setup on a device with more or less memory."""
    room: dict[str, Any] = {"capacity": _times(s.device.memory.capacity, factor)}
    if s.device.memory.usable:
        room["usable"] = _times(s.device.memory.usable, factor)
    return replace(s, device=variant(s.device, memory=variant(s.device.memory, **room)))


def _times(size: Bytes, factor: float) -> Bytes:
    return variant(size, value=size.value * factor)


def _calibration(s: Setup) -> Calibration:
    if s.calibration is None:
        raise ValueError("intervals need a calibration")
    return s.calibration


FIGURE: Mapping[Metric, str] = {
    "ttft": "ttft", "tpot": "tpot", "memory": "peak", "energy": "energy", "total": "total", "throughput": "total",
}  # fmt: skip
"""The figure that each metric of a comparison is; throughput goes with the time of the request."""


def span_of_crossing(
    a: Setup, b: Setup, w: Workload, metric: Metric, at: int, lengths: Sequence[int]
) -> tuple[int, int] | None:
    """The lengths around a crossing at which the order of two models is not certain at 95 %; None without data.

    There the difference of both logarithms is within its own interval (Fieller's argument for a ratio of one).
    """
    figure = FIGURE[metric]
    if scatter(_calibration(a), figure) is None:
        return None
    lengths = sorted({*lengths, at})
    values = {name: float(value) for name, value in a.machine(w.dtype).parameters.items()}
    names = tuple(name for name in values if name not in a.parameters)
    logs, slopes, spread = [], [], np.zeros(len(lengths))
    for s in (a, b):
        jobs = Jobs()
        works = [variant(w, prompt=n, logits=w.logits or s.runtime.logits) for n in lengths]
        program = Program([targets(s, each, jobs)[figure] for each in works], jobs, s.device, s.host, s.runtime)
        logs.append(np.log(program.predict(values)))
        slopes.append(program.slopes(values, names))
        waiting = program.host_bound(values)
        spread += [(scatter(_calibration(s), figure, bool(h)) or 0) ** 2 for h in waiting]
    steep = slopes[0] - slopes[1]
    variance = np.einsum("ij,jk,ik->i", steep, covariance(a, names), steep) + spread
    near = np.abs(logs[0] - logs[1]) <= NORMAL_95 * np.sqrt(variance)
    low = high = lengths.index(at)
    while low > 0 and near[low - 1]:
        low -= 1
    while high < len(lengths) - 1 and near[high + 1]:
        high += 1
    return lengths[low], lengths[high]
