"""What the functions of the page are of: models, devices, runtimes, formats, calibrations, with all their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from math import isclose, isfinite
from typing import Any

from roofsim import library
from roofsim.explore.advise import STACKS
from roofsim.explore.executors import left_to_the_first, processors
from roofsim.explore.selection import kinds
from roofsim.foundation.errors import InputError
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.units import MAX_COUNT, show
from roofsim.foundation.version import __version__
from roofsim.lowering.step import mask_from
from roofsim.model.architecture import Architecture
from roofsim.model.weights import CACHE_BYTES
from roofsim.prediction.fitted import AUTO, NONE, Doubt, chosen, doubt, doubted, reach
from roofsim.prediction.intervals import FIGURES as WITH_INTERVALS
from roofsim.prediction.intervals import scatter
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.places import COUNTS
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup
from roofsim.prediction.what_if import what_if
from roofsim.prediction.words import basis_of, cautions
from roofsim.specs.calibration import HOST_MATTERS, NORMAL_95, Reach
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import Workload, workload
from roofsim.studies.crossover import LONGEST, POINTS, SHORTEST
from roofsim.web.choices import Choices, combined, named, on
from roofsim.web.functions import OF_OPERATOR, OUTPUTS, Functions
from roofsim.web.numbers import NUMBERS, VARIABLES, numbers

Step = Callable[[int, int], None]

CACHES = ("fp8", "q8_0", "q4_0")
"""Encodings of a KV cache that are offered beside the dtype of activations, where a runtime keeps them."""
START = ("Qwen2.5-0.5B", "mamba2-780m", "Falcon-H1-0.5B")
"""The models that a page opens with, if it has them: the kinds of the paper."""


def page_data(choices: Choices, step: Step) -> tuple[dict[str, Any], Functions]:
    """What the page reads beside the functions, and these; `step` is told how many combinations are done of how many.

    Raises InputError if nothing can be run.
    """
    cases, functions = _cases(choices, step)
    if all("lacks" in each for each in cases.values()):
        raise InputError(f"none of these can be run: {next(iter(cases.values()))['lacks']}")
    pairs = [(device, runtime) for device in choices.devices for runtime in choices.runtimes]
    stacks = {f"{named(d)}|{named(r)}": found for d, r in pairs if (found := _stack(choices.models, d, r))}
    return {
        "about": _about(choices),
        "variables": VARIABLES,
        "outputs": OUTPUTS,
        "of_operator": OF_OPERATOR,
        "numbers": NUMBERS,
        "parameters": {
            name: {"low": row.low, "high": row.high, "unit": row.unit, "meaning": row.meaning}
            for name, row in PARAMETERS.items()
        },
        "figures": [
            {
                "name": "memory" if m.name == "memory" else m.figure, "figure": m.figure, "label": m.words,
                "unit": m.unit or "tokens/s", "better": "more" if m.higher else "less", "interval": m.interval,
            }
            for m in METRICS.values()
        ],
        "intervals": {name: path for name, (path, _) in WITH_INTERVALS.items()},
        "constants": {
            "normal_95": NORMAL_95, "host_matters": HOST_MATTERS, "most": MAX_COUNT,
            "shortest": SHORTEST, "longest": LONGEST, "points": POINTS,
        },
        "models": [_model(each) for each in choices.models],
        "devices": [_device(each) for each in choices.devices],
        "runtimes": [{"name": named(each), "title": each.name} for each in choices.runtimes],
        "knobs": [{"path": path, "label": label, "unit": unit} for path, label, unit in _knobs(choices.devices)],
        "cache_bytes": dict(CACHE_BYTES),
        "stacks": stacks,
        "cases": cases,
        "requests": list(functions.requests),
        "operators": functions.operators,
    }, functions  # fmt: skip


Cases = dict[str, dict[str, Any]]


def _cases(choices: Choices, step: Step) -> tuple[Cases, Functions]:
    """Every combination by its name: the numbers of its requests by formats, or why it cannot be run."""
    alone = [replace(choices, models=(model,)) for model in choices.models]
    each = len(choices.devices) * len(choices.runtimes)
    cases: Cases = {}
    functions = Functions()
    for found, more in _of_models(alone, processors() if each * len(alone) > FEW else 1):
        numbers = functions.add(more)
        for case in found.values():
            for caches in case.get("formats", {}).values():
                caches.update({name: x if isinstance(x, str) else numbers[x] for name, x in caches.items()})
        cases |= found
        step(len(cases), each * len(alone))
    return cases, functions


FEW = 16
"""So many combinations are compiled before other processes are started for them."""


def _of_models(alone: Sequence[Choices], processes: int) -> Iterator[tuple[Cases, Functions]]:
    """The combinations of each model in order, by several processes where there are many."""
    if processes == 1 or len(alone) == 1:
        yield from map(_of_model, alone)
        return
    pool = ProcessPoolExecutor(processes, initializer=left_to_the_first)
    try:
        yield from pool.map(_of_model, alone)
    finally:
        pool.shutdown(cancel_futures=True)


def _of_model(choices: Choices) -> tuple[Cases, Functions]:
    """The combinations of one model."""
    functions = Functions()
    cases = {
        f"{named(model)}|{named(device)}|{named(runtime)}": _case(model, device, runtime, choices.weights, functions)
        for model in choices.models
        for device in choices.devices
        for runtime in choices.runtimes
    }
    functions.forget()
    return cases, functions


def _about(choices: Choices) -> dict[str, Any]:
    models = [named(each) for each in choices.models]
    start = [name for name in START if name in models] or models[:2]
    return {
        "version": __version__, "command": choices.command, "made": datetime.now(UTC).date().isoformat(), "notes": [],
        "start": {
            "models": start, "device": named(choices.devices[0]), "runtime": named(choices.runtimes[0]),
            **{name: getattr(Workload(), name) for name in COUNTS},
        },
    }  # fmt: skip


def _model(a: Architecture) -> dict[str, Any]:
    return {
        "name": named(a), "title": a.name, "family": kinds(a)[-1], "parameters": a.total_parameters,
        "active": a.active_parameters, "window": a.window or None, "positions": a.positions or None,
        "notes": list(a.notes),
    }  # fmt: skip


def _device(d: Device) -> dict[str, Any]:
    return {
        "name": named(d), "title": d.name, "capacity": float(d.memory.capacity.value), "usable": float(d.capacity),
        "dtype": d.default_dtype, "dtypes": {unit: rate.value for unit, rate in d.peak.matrix.items()},
        "vector": d.peak.vector["fp32"].value, "bandwidth": d.memory.bandwidth.value,
        "says": f"{show(float(d.memory.capacity.value), 'B')}, {show(float(d.memory.bandwidth.value), 'B/s')}",
    }  # fmt: skip


def request_of(s: Setup, weights: str | None = None, cache: str | None = None, **counts: int) -> Workload:
    """A request in the device's own dtype and in these formats."""
    return settled(s, workload(dtype=s.device.default_dtype, weight_format=weights, cache_dtype=cache, **counts))


def _case(
    model: Architecture, device: Device, runtime: Runtime, weights: tuple[str, ...], functions: Functions
) -> dict[str, Any]:
    """The requests of a combination by formats of weights and cache, or why it cannot be run."""
    try:
        s = combined(model, device, runtime)
        auto = chosen(s, AUTO)
    except InputError as error:
        return {"lacks": str(error)}
    asked = (None, *weights) if weights else STACKS.get(s.runtime.id, (None,))
    formats: dict[str, dict[str, int | str]] = {}
    for each in asked:
        own = each or (model.stored and "stored") or device.default_dtype
        formats[own] = dict(_by_cache(s, each, functions))
    if all(isinstance(found, str) for each in formats.values() for found in each.values()):
        return {"lacks": next(str(found) for each in formats.values() for found in each.values())}
    return {
        "formats": formats, "auto": auto.calibration_name or NONE,
        "masks": mask_from(s.architecture, s.runtime) - s.architecture.prefix_tokens,
        "doubts": doubts(s, dict(zip(formats, asked, strict=True))),
        "cautions": list(cautions(s, request_of(s), one_length=False)),
    }  # fmt: skip


def doubts(s: Setup, formats: Mapping[str, str | None]) -> dict[str, dict[str, dict[str, Doubt]]]:
    """What is in doubt of a request by calibration and formats of weights and cache, where something is.

    That is at lengths and batches that were measured; the page looks at those.
    """
    found: dict[str, dict[str, dict[str, Doubt]]] = {}
    asked = reach(s, request_of(s))
    for name in _known(s):
        known = chosen(s, name)
        for own, weights in formats.items():
            for cache in _caches(s):
                read = known.formats(request_of(s, weights, cache), asked.kinds)
                r = Reach(None, None, asked.model, asked.kinds, *read)
                if each := doubt(known, r):
                    found.setdefault(name, {}).setdefault(own, {})[cache] = each
    return found


def _known(s: Setup) -> list[str]:
    """The shipped calibrations of a device with a runtime."""
    return [name for name, stack in library.stacks().items() if stack == (s.device.id, s.runtime.id)]


def _caches(s: Setup) -> tuple[str, ...]:
    """Encodings of a cache that are offered, that of activations first."""
    own = s.device.default_dtype
    return (own, *(name for name in CACHES if s.runtime.caches is None or name in s.runtime.caches))


def _by_cache(s: Setup, weights: str | None, functions: Functions) -> Iterator[tuple[str, int | str]]:
    """By encoding of the cache: the request, or why there is none."""
    for each in _caches(s):
        try:
            w = request_of(s, weights, each)
            s.precision(w)  # what cannot be kept or multiplied is refused here
            yield each, functions.of(s, w)
        except InputError as error:
            yield each, str(error)


def _stack(models: tuple[Architecture, ...], device: Device, runtime: Runtime) -> dict[str, Any] | None:
    """The numbers of a device with a runtime, by calibration."""
    for model in models:
        try:
            s = combined(model, device, runtime)
        except InputError:
            continue
        own = on(runtime, device)
        return {
            "runtime": named(own), "title": own.name, "host": s.host.name if s.host else None,
            "calibrations": {name: _calibration(chosen(s, name), device) for name in (*_known(s), NONE)},
        }  # fmt: skip
    return None


def _calibration(s: Setup, device: Device) -> dict[str, Any]:
    """The numbers under a calibration, and what its intervals are made of."""
    c, now, order = s.calibration, numbers(s, device.default_dtype), list(PARAMETERS)
    known = s.fitted.keys() & set(c.covariance.names) if c else set()
    covariance: dict[str, Any] = {}
    if c and known:
        at = [i for i, name in enumerate(c.covariance.names) if name in known]
        covariance = {
            "of": [order.index(c.covariance.names[i]) for i in at],
            "lower": [[c.covariance.lower[i][j] for j in at[: n + 1]] for n, i in enumerate(at)],
        }
    return {
        "name": s.calibration_name, "title": basis_of(s),
        "numbers": [x if isfinite(x) else None for x in now.values()],
        "covariance": covariance, **beside(s), "doubted": beside(doubted(s, "rates")),
        "covered": {"batch": c.covered.batch, "prompt": c.covered.tokens} if c else None,
        "knobs": {path: found for path, _, _ in _knobs([device]) if (found := _moved(s, path, device, now))},
    }  # fmt: skip


def beside(s: Setup) -> dict[str, Any]:
    """What intervals are made of beside the covariance of a fit: spreads of what was not fitted, scatter of figures."""
    c, expected = s.calibration, s.priors
    known = s.fitted.keys() & set(c.covariance.names) if c else set()
    return {
        "spreads": [0 if name in known else expected.shown * expected.spreads[name] for name in PARAMETERS],
        "scatter": {
            name: [scatter(s, measured, host) for host in (False, True)]
            for name, (_, measured) in WITH_INTERVALS.items()
        },
    }  # fmt: skip


def _knobs(devices: Any) -> list[tuple[str, str, str]]:
    """What can be dragged: paths as --set has them, in words, with units."""
    dtypes = dict.fromkeys([each.default_dtype for each in devices if each.default_dtype in each.peak.matrix])
    if any("fp8" in each.peak.matrix for each in devices):
        dtypes["fp8"] = None
    return [
        ("device.memory.bandwidth", "memory bandwidth", "B/s"),
        *((f"device.peak.matrix.{dtype}", f"matrix peak, {dtype}", "FLOP/s") for dtype in dtypes),
        ("device.peak.vector.fp32", "vector peak, fp32", "FLOP/s"),
        ("device.memory.capacity", "memory", "B"),
        ("device.cache.last_level", "last-level cache", "B"),
        ("host.dispatch", "host time to launch a kernel", "s"),
        ("parameters.gemm_efficiency", "efficiency of matrix products", ""),
        ("parameters.memory_efficiency", "efficiency of memory", ""),
        ("parameters.tensor_kernel_time", "fixed time of a kernel", "s"),
    ]


def _moved(s: Setup, path: str, device: Device, now: Mapping[str, float]) -> list[Any] | None:
    """The number at a path, and which of the numbers that functions take go with it; None where there is none.

    Parameters have limits, so that half of one is tried; what follows is what changes by the same factor.
    """
    try:
        made = numbers(what_if(s, [f"{path}=0.5x"]), device.default_dtype)
    except InputError:
        return None
    moved = [i for i, name in enumerate(NUMBERS) if now[name] and isclose(made[name], now[name] / 2)]
    return [now[NUMBERS[moved[0]]], moved] if moved else None
