"""A device with a runtime: numbers by calibration, what intervals are made of, what goes with what is dragged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isclose, isfinite
from typing import Any

from roofsim import library
from roofsim.foundation.errors import InputError
from roofsim.foundation.parameters import PARAMETERS
from roofsim.model.architecture import Architecture
from roofsim.prediction.fitted import NONE, chosen, doubted
from roofsim.prediction.intervals import FIGURES as WITH_INTERVALS
from roofsim.prediction.intervals import scatter
from roofsim.prediction.places import number_at
from roofsim.prediction.setup import Setup
from roofsim.prediction.spoken import words
from roofsim.prediction.what_if import what_if
from roofsim.prediction.words import basis_of
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime
from roofsim.web.choices import combined, named, on
from roofsim.web.numbers import COSTS, LEVELS, NUMBERS, numbers

PRICE = "cost.price_per_hour"
LINKS = tuple(f"cluster.links.{level}.bandwidth" for level in LEVELS)


def shipped(s: Setup) -> list[str]:
    """The shipped calibrations of a device with a runtime."""
    return [name for name, stack in library.stacks().items() if stack == (s.device.id, s.runtime.id)]


def stack_of(models: Sequence[Architecture], device: Device, runtime: Runtime) -> dict[str, Any] | None:
    """The numbers of a device with a runtime, by calibration."""
    for model in models:
        try:
            s = combined(model, device, runtime)
        except InputError:
            continue
        own = on(runtime, device)
        return {
            "runtime": named(own), "title": own.name, "host": s.host.name if s.host else None,
            "calibrations": {name: _calibration(chosen(s, name), device) for name in (*shipped(s), NONE)},
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
        "knobs": {path: found for path, _, _ in knobs([device]) if (found := _moved(s, path, device, now))},
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


def knobs(devices: Sequence[Device]) -> list[tuple[str, str, str]]:
    """What can be dragged: paths as --set has them, in words, with units."""
    dtypes = dict.fromkeys([each.default_dtype for each in devices if each.default_dtype in each.peak.matrix])
    if any("fp8" in each.peak.matrix for each in devices):
        dtypes["fp8"] = None
    paths = [
        ("device.memory.bandwidth", "B/s"),
        *((f"device.peak.matrix.{dtype}", "FLOP/s") for dtype in dtypes),
        ("device.peak.vector.fp32", "FLOP/s"),
        ("device.memory.capacity", "B"),
        ("device.cache.last_level", "B"),
        ("host.dispatch", "s"),
        *((path, "B/s") for path in LINKS if any(library.standing(each) for each in devices)),
        (PRICE, "USD/h"),
        ("parameters.gemm_efficiency", ""),
        ("parameters.memory_efficiency", ""),
        ("parameters.tensor_kernel_time", "s"),
    ]
    return [(path, words(path), unit) for path, unit in paths]


def _moved(s: Setup, path: str, device: Device, now: Mapping[str, float]) -> list[Any] | None:
    """The number at a path, which of the numbers that functions take go with it, and which of those are certain then.

    None where there is none. Parameters have limits, so that half of one is tried; what follows is what changes by the
    same factor. Rent contains electricity, whoever paid for that before: what goes with it is set anew, to so much for
    each dollar an hour, which is said last.
    """
    if path == PRICE:
        rented = numbers(what_if(s, [f"{path}=1USD/h"]), device.default_dtype)
        each = [rented[name] for name in COSTS]
        price = now[COSTS[0]] / each[0]
        return [price, [NUMBERS.index(name) for name in COSTS], [], each] if isfinite(price) else None
    if path in LINKS:
        around = s.cluster or library.standing(device)
        if around is None or path != LINKS[around.per_node == 1]:
            return None
        s = replace(s, cluster=around)
    try:
        changed = what_if(s, [f"{path}=0.5x"])
    except InputError:
        return None
    made = numbers(changed, device.default_dtype)
    moved = [i for i, name in enumerate(NUMBERS) if now[name] and isclose(made[name], now[name] / 2)]
    certain = [NUMBERS.index(f"parameters.{name}") for name in changed.parameters]
    if not moved:
        return None
    said = number_at(s, path)[0] if path in LINKS else now[NUMBERS[moved[0]]]  # of links a part is reached
    return [said, moved, certain]
