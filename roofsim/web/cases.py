"""The combinations of a page: for each its functions by formats of weights and cache, or why it cannot be run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.lowering.step import mask_from
from roofsim.model.architecture import Architecture
from roofsim.prediction.fitted import AUTO, NONE, Doubt, chosen, doubt, reach
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import assumptions, cautions
from roofsim.spaces.advise import STACKS
from roofsim.spaces.executors import left_to_the_first, processors
from roofsim.specs.calibration import Reach
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import Workload, workload
from roofsim.web.choices import Choices, combined, named, on
from roofsim.web.functions import Functions
from roofsim.web.stacks import shipped

Step = Callable[[int, int], None]

CACHES = ("fp8", "q8_0", "q4_0")
"""Encodings of a KV cache that are offered beside the dtype of activations, where a runtime keeps them."""

Cases = dict[str, dict[str, Any]]


def every_case(choices: Choices, step: Step) -> tuple[Cases, Functions]:
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
        step(sum(name.count("|") == 2 for name in cases), each * len(alone))
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
    cases: Cases = {}
    for model, device, runtime in product(choices.models, choices.devices, choices.runtimes):
        name = f"{named(model)}|{named(device)}|{named(runtime)}"
        cases[name] = _case(model, device, runtime, choices.weights, functions)
        if "lacks" not in cases[name]:
            cases |= {
                f"{name}|{tp}": _case(model, device, runtime, choices.weights, functions, tp)
                for tp in choices.counts(on(runtime, device)) if tp > 1
            }  # fmt: skip
    functions.forget()
    return cases, functions


def request_of(s: Setup, weights: str | None = None, cache: str | None = None, **counts: int) -> Workload:
    """A request in the device's own dtype and in these formats."""
    return settled(s, workload(dtype=s.device.default_dtype, weight_format=weights, cache_dtype=cache, **counts))


def _case(
    model: Architecture, device: Device, runtime: Runtime, weights: tuple[str, ...], functions: Functions, tp: int = 1
) -> dict[str, Any]:
    """The requests of a combination by formats of weights and cache, or why it cannot be run."""
    try:
        s = combined(model, device, runtime, tp)
        auto = chosen(s, AUTO)
        assumptions(auto, request_of(auto), one_length=False)  # which refuses what no host launches
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
    for name in shipped(s):
        known = chosen(s, name)
        for own, weights in formats.items():
            for cache in _caches(s):
                read = known.formats(request_of(s, weights, cache), asked.kinds)
                r = Reach(None, None, asked.model, asked.kinds, *read)
                if each := doubt(known, r):
                    found.setdefault(name, {}).setdefault(own, {})[cache] = each
    return found


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
