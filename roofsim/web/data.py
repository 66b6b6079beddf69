"""What the functions of the page are of: models, devices, runtimes, formats, calibrations, with all their numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.units import MAX_COUNT, show
from roofsim.foundation.version import __version__
from roofsim.model.architecture import Architecture
from roofsim.model.weights import CACHE_BYTES
from roofsim.prediction.intervals import FIGURES as WITH_INTERVALS
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.places import COUNTS
from roofsim.spaces.selection import kinds
from roofsim.specs.calibration import HOST_MATTERS, NORMAL_95
from roofsim.specs.device import Device
from roofsim.specs.workload import Workload
from roofsim.studies.crossover import LONGEST, POINTS, SHORTEST
from roofsim.web.cases import Step, every_case
from roofsim.web.choices import TP, Choices, named
from roofsim.web.functions import OF_OPERATOR, OUTPUTS, Functions
from roofsim.web.numbers import NUMBERS, VARIABLES
from roofsim.web.stacks import knobs, stack_of

START = ("Qwen2.5-0.5B", "mamba2-780m", "Falcon-H1-0.5B")
"""The models that a page opens with, if it has them: the kinds of the paper."""


OF_TOKENS = {"cost": "usd_per_million"}
"""Metrics of a request that the page has of tokens, a constant times them."""
WORDS = {"cost": "price of a million output tokens", "memory": "peak memory of a device"}


def page_data(choices: Choices, step: Step) -> tuple[dict[str, Any], Functions]:
    """What the page reads beside the functions, and these; `step` is told how many combinations are done of how many.

    Raises InputError if nothing can be run.
    """
    cases, functions = every_case(choices, step)
    if all("lacks" in each for each in cases.values()):
        raise InputError(f"none of these can be run: {next(iter(cases.values()))['lacks']}")
    pairs = [(device, runtime) for device in choices.devices for runtime in choices.runtimes]
    stacks = {f"{named(d)}|{named(r)}": found for d, r in pairs if (found := stack_of(choices.models, d, r))}
    return {
        "about": _about(choices),
        "variables": VARIABLES,
        "outputs": OUTPUTS,
        "of_operator": list(OF_OPERATOR),
        "numbers": NUMBERS,
        "parameters": {
            name: {"low": row.low, "high": row.high, "unit": row.unit, "meaning": row.meaning}
            for name, row in PARAMETERS.items()
        },
        "figures": [
            {
                "name": "memory" if m.name == "memory" else OF_TOKENS.get(m.name, m.figure),
                "figure": OF_TOKENS.get(m.name, m.figure), "label": WORDS.get(m.name, m.words),
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
        "knobs": [{"path": path, "label": label, "unit": unit} for path, label, unit in knobs(choices.devices)],
        "cache_bytes": dict(CACHE_BYTES),
        "tp": list(choices.tp or TP),
        "stacks": stacks,
        "cases": cases,
        "requests": list(functions.requests),
        "operators": functions.operators,
    }, functions  # fmt: skip


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
