"""What the functions of the page are of: models, devices, runtimes, calibrations, and every number that they take."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from roofsim.explore.selection import kinds
from roofsim.foundation.errors import InputError
from roofsim.foundation.units import show
from roofsim.foundation.version import __version__
from roofsim.model.architecture import Architecture
from roofsim.prediction.fitted import chosen
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.setup import Setup
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import Workload, workload
from roofsim.web.choices import Choices, combined, named, on
from roofsim.web.functions import function
from roofsim.web.numbers import VARIABLES, numbers

Step = Callable[[int, int], None]


def page_data(choices: Choices, command: str, step: Step) -> dict[str, Any]:
    """Everything that the page reads; `step` is told how many combinations are done of how many."""
    texts: dict[str, int] = {}
    cases: dict[str, Any] = {}
    size = len(choices.models) * len(choices.devices) * len(choices.runtimes)
    for model in choices.models:
        for device in choices.devices:
            for runtime in choices.runtimes:
                cases[f"{named(model)}|{named(device)}|{named(runtime)}"] = _case(model, device, runtime, texts)
                step(len(cases), size)
    return {
        "about": {
            "version": __version__, "command": command, "made": datetime.now(UTC).date().isoformat(), "notes": [],
        },
        "variables": list(VARIABLES),
        "figures": [
            {"name": _plain_name(m.figure), "figure": m.figure, "label": m.words, "unit": m.unit or "tokens/s",
             "better": "more" if m.higher else "less"}
            for m in METRICS.values()
        ],
        "models": [_model(each) for each in choices.models],
        "devices": [_device(each) for each in choices.devices],
        "runtimes": [{"name": named(each), "title": each.name} for each in choices.runtimes],
        "stacks": {
            f"{named(device)}|{named(runtime)}": stack
            for device in choices.devices
            for runtime in choices.runtimes
            if (stack := _stack(choices.models, device, runtime))
        },
        "cases": cases,
        "texts": list(texts),
    }  # fmt: skip


def _plain_name(figure: str) -> str:
    return figure.removeprefix("memory.peak") or "memory"


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


def _case(model: Architecture, device: Device, runtime: Runtime, texts: dict[str, int]) -> dict[str, Any]:
    """The functions of a combination by formats, or why it cannot be run."""
    try:
        s = combined(model, device, runtime)
        w = _request(s)
        return {"functions": {"": texts.setdefault(function(s, w).javascript(), len(texts))}}
    except InputError as error:
        return {"lacks": str(error)}


def _request(s: Setup, weights: str | None = None, cache: str | None = None) -> Workload:
    from roofsim.prediction.request import settled

    return settled(s, workload(dtype=s.device.default_dtype, weight_format=weights, cache_dtype=cache))


def _stack(models: tuple[Architecture, ...], device: Device, runtime: Runtime) -> dict[str, Any] | None:
    """The numbers of a device with a runtime, by calibration."""
    for model in models:
        try:
            s = combined(model, device, runtime)
        except InputError:
            continue
        found = {}
        for name in ("auto", "none"):
            fitted = chosen(s, name)
            found[fitted.calibration_name or "none"] = [
                x if isfinite(x) else None for x in numbers(fitted, device.default_dtype).values()
            ]
        return {"runtime": named(on(runtime, device)), "calibrations": found}
    return None
