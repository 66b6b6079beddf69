"""95 % intervals of predictions: what the parameters may be off by, and what the model misses beyond that.

Delta method on logarithms. The variance of log y is gᵀ C g + σ²: g are the derivatives of log y by the parameters on
their scale without limits, C their covariance, σ the scatter of that kind of figure on rows that were held out. Both
are those of the calibration; what it has no data of, and all without one, are those of the population that the device
and the runtime belong to. No NumPy here: `predict` starts without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import exp, isfinite, log, sqrt
from typing import Any

from roofsim.engine.derivative import gradient
from roofsim.engine.dual import Dual, relative
from roofsim.foundation.arith import Number, single
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.schema import variant
from roofsim.prediction.compiled import compiled
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.fitted import reach, unsure
from roofsim.prediction.limits import limits_of
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.setup import Setup, computed_in
from roofsim.specs.calibration import HOST_MATTERS, interval
from roofsim.specs.workload import Workload

Interval = tuple[float, float]

FIGURES: Mapping[str, tuple[str, tuple[str, str]]] = {
    **{row.interval: (row.figure, row.measured) for row in METRICS.values() if not row.mixed},
    "device_time": ("prefill.device_time", ("device_time_s", "prefill")),
    "decode_device_time": ("decode.device_time", ("device_time_s", "decode")),
}
"""Figures with intervals, as the prediction calls them, and the kind of measurement whose scatter they have."""


def intervals(s: Setup, w: Workload, known: Evaluation | None = None) -> dict[str, Interval]:
    """The 95 % interval of each figure of a request, for numbers; `known` is its evaluation, if there is one."""
    s = unsure(s, reach(s, w))
    e = (known or Evaluation(s, w)).under(with_slopes(s, w))
    waits = {"ttft": e.prefill, "tpot": e.decode}
    host = {name: float(each.host_time) > HOST_MATTERS * float(each.device_time) for name, each in waits.items()}
    values = {name: figure(path)(e) for name, (path, _) in FIGURES.items()}
    sigma = {name: scatter(s, measured, host.get(name, False)) for name, (_, measured) in FIGURES.items()}
    found = {name: within(s, x, sigma[name]) for name, x in values.items()}
    for wall, device in (("ttft", "device_time"), ("tpot", "decode_device_time")):
        # no clock shows less than the device works
        found[wall] = (max(found[wall][0], min(found[device][0], float(values[wall]))), found[wall][1])
    # the whole request: prefill and steps, whose scatters are taken to go together
    share = float(values["ttft"]) / float(e.total_time)
    both = share * sigma["ttft"] + (1 - share) * sigma["tpot"]
    found |= {"total_time": within(s, e.total_time, both), "tokens_per_second": within(s, e.tokens_per_second, both)}
    steps = scatter(s, ("energy_j", "decode"))
    found |= _costs(s, e, (sigma["ttft"], sigma["tpot"], both), (sigma["energy"], steps, sigma["energy"]))
    return found | _limits(s, w, found["peak"][1] / float(values["peak"]))


Three = tuple[float, float, float]


def _costs(s: Setup, e: Evaluation, timed: Three, drawn: Three) -> dict[str, Interval]:
    """The intervals of costs: what of each is of seconds is off as times are, what is of joules as energies are.

    `timed` and `drawn` are the scatters of times and energies of prefill, steps and the whole request. Prices are taken
    as they are.
    """
    phases = (
        ("input", (e.prefill.time, e.prefill.energy)), ("output", e.step), ("request", (e.total_time, e.energy)),
    )  # fmt: skip
    found = {}
    for (name, (time, energy)), by_time, by_energy in zip(phases, timed, drawn, strict=True):
        for kind, of in (("usd", e.rates.dollars), ("joules", e.rates.wall), ("co2", e.rates.kilograms)):
            whole, still = float(of(time, energy)), float(of(time, 0.0))
            if field := COSTS.get((kind, name)):
                share = still / whole if whole else 1.0
                x = e.cost.request if field == "cost" else getattr(e.cost, field)
                found[field] = within(s, x, share * by_time + (1 - share) * by_energy)
    return found


COSTS: Mapping[tuple[str, str], str] = {
    ("usd", "request"): "cost",
    **{("usd", tokens): f"usd_per_million_{tokens}" for tokens in ("input", "output")},
    ("joules", "input"): "joules_per_input_token", ("joules", "output"): "joules_per_token",
    **{("co2", tokens): f"co2_per_million_{tokens}" for tokens in ("input", "output")},
}  # fmt: skip
"""Figures of cost by what is counted, and of what."""


def within(s: Setup, x: Number, sigma: float) -> Interval:
    """The 95 % interval of a number that carries its slopes, of a kind of figure with this scatter.

    What takes no time, since it is done in the kernel of another operator, takes none for certain.
    """
    if not float(x):
        return 0.0, 0.0
    return interval(float(x), float(variance(s, relative(x))) + sigma**2)


def reaching(x: float, ends: Interval, others: Iterable[float]) -> Interval:
    """The interval of a figure that may also be each of `others`, for reasons of their own.

    What is not known of how a thing was done is independent of what is not known of the machine: distances on the
    scale of logarithms add up as squares do, on either side. Each other value counts as an end of 95 %.
    """
    if not (x > 0 and ends[0] > 0 and isfinite(ends[1])):
        return ends
    below, above = log(x / ends[0]) ** 2, log(ends[1] / x) ** 2
    for other in others:
        if 0 < other < x:
            below += log(x / other) ** 2
        elif other > x and isfinite(other):
            above += log(other / x) ** 2
    return x / exp(sqrt(below)), x * exp(sqrt(above))


def with_slopes(s: Setup, w: Workload) -> Setup:
    """The setup with parameters that carry their slopes by their own values on the scale without limits.

    Those that the user has set are certain. So do those of a processor beside the device, and the link between them.
    """
    made = replace(s, parameters={**s.parameters, **_carrying(s, w.dtype)})
    if s.offload is None:
        return made
    beside = s.offload.beside
    if beside:
        own = _carrying(beside, computed_in(beside.device, w.dtype), BESIDE)
        beside = replace(beside, parameters={**beside.parameters, **own})
    return replace(made, offload=replace(s.offload, beside=beside, faster=Dual(1, {LINK: 1.0})))


BESIDE, LINK = "beside.", "link"
"""How the slopes by parameters of the processor beside a device are called, and that by the rate of the link."""
LINK_SPREAD = 0.2
"""The standard deviation of the logarithm of the rate that copies reach: 95 % are then from 0.4 to 0.9 of a link, which
holds what was seen of pageable and of pinned memory (sources in `runtimes/`)."""


def _carrying(s: Setup, dtype: str, called: str = "") -> dict[str, Number]:
    """Parameters that are not set, each with its slope by itself under its name behind what they are `called`."""
    found = {name: float(x) for name, x in s.machine(dtype).parameters.items() if name not in s.parameters}
    return {name: Dual(x, {called + name: PARAMETERS[name].stretch(x)}) for name, x in found.items()}


def logs(s: Setup, w: Workload, name: str) -> tuple[Any, dict[str, Any]]:
    """A figure over an array of prompts, and the derivatives of its logarithm that are not nought, as `with_slopes`."""
    parameters = {name: float(x) for name, x in s.machine(w.dtype).parameters.items() if name not in s.parameters}
    values: dict[str, Any] = {"prompt": w.prompt, **{f"parameters.{each}": x for each, x in parameters.items()}}
    function = compiled(s, variant(w, prompt=1), (name,), tuple(values)).function
    value, by = gradient(function.graph, function.outputs[name], values)
    moving = {name: slope for name in parameters if not _nought(slope := by[f"parameters.{name}"])}
    return value, {name: x * PARAMETERS[name].stretch(parameters[name]) / value for name, x in moving.items()}


def _nought(x: Number) -> bool:
    return single(x) and float(x) == 0


def variance(s: Setup, slopes: Mapping[str, Number]) -> Number:
    """The variance that parameters give a logarithm with these derivatives, numbers or arrays.

    A processor beside the device is another machine, whose parameters go with none of the device's.
    """
    if s.offload and any(name == LINK or name.startswith(BESIDE) for name in slopes):
        own = {name: x for name, x in slopes.items() if name != LINK and not name.startswith(BESIDE)}
        of_link = slopes.get(LINK, 0.0) * LINK_SPREAD
        known_of = variance(s, own) + of_link * of_link
        beside = {name.removeprefix(BESIDE): x for name, x in slopes.items() if name.startswith(BESIDE)}
        return known_of + variance(s.offload.beside, beside) if s.offload.beside else known_of
    c, expected = s.calibration, s.priors
    known = s.fitted.keys() & set(c.covariance.names) if c else set()
    total: Number = c.covariance.variance({name: x for name, x in slopes.items() if name in known}) if c else 0.0
    for name, slope in slopes.items():
        if name not in known:
            off = slope * (expected.shown * expected.spreads[name])
            total = total + off * off
    return total


def scatter(s: Setup, measured: tuple[str, str], host: bool = False) -> float:
    """The scatter of a kind of measurement: the calibration's, else the population's."""
    own = s.calibration.scatter_of(*measured, host) if s.calibration else None
    return own.sigma if own else s.priors.scatter_of(*measured, host)


def _limits(s: Setup, w: Workload, factor: float) -> dict[str, Interval]:
    """The longest prompt and the largest batch if every peak were larger, or smaller, by a factor."""
    less, more = (limits_of(s, w, room) for room in (1 / factor, factor))
    return {name: (float(getattr(less, name)), float(getattr(more, name))) for name in ("max_prompt", "max_batch")}


def limits_within(s: Setup, w: Workload) -> dict[str, Interval]:
    """95 % intervals of the longest prompt and the largest batch."""
    s = unsure(s, reach(s, w))
    path, measured = FIGURES["peak"]
    peak = figure(path)(Evaluation(with_slopes(s, w), w))
    return _limits(s, w, within(s, peak, scatter(s, measured))[1] / float(peak))
