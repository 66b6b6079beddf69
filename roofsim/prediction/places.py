"""Where the variables of a compiled request stand: fields of the workload and of the specs, by their paths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.quantity import Sourced
from roofsim.foundation.schema import Spec, assembled, place, variant
from roofsim.prediction.setup import Setup
from roofsim.specs.device import DRIVES_PEAKS, with_peaks, with_usable
from roofsim.specs.workload import Workload

COUNTS = ("batch", "prompt", "generate")
"""Variables that are whole numbers."""

SPECS = {
    "device": "device",
    "cluster": "cluster",
    "cost": "terms",
    "host": "host",
    "runtime": "runtime",
    "model": "architecture",
}
"""The first step of a path, and the part of a setup that it leads into."""
PEAK = "device.peak."
"""How the paths of peaks begin."""


def placed(s: Setup, w: Workload, variables: Mapping[str, Any]) -> tuple[Setup, Workload]:
    """The setup and the workload with variables in the place of numbers; raises InputError for a wrong path."""
    w = variant(w, **{name: x for name, x in variables.items() if name in COUNTS})
    for path, x in variables.items():
        if path in COUNTS:
            continue
        root, _, rest = path.partition(".")
        if root in ("parameters", "calibration") and rest:
            if rest not in PARAMETERS:
                raise UnknownName("parameters", rest, PARAMETERS)
            s = replace(s, parameters={**s.parameters, rest: x})
        elif root in SPECS and rest:
            part = getattr(s, SPECS[root])
            if part is None:
                raise InputError(f"{path}: there is no {root}")
            made = with_value(part, rest.split("."), x, path)
            if root == "device" and rest in DRIVES_PEAKS:
                own = [p.removeprefix(PEAK) for p in variables if p.startswith(PEAK)]
                made = with_peaks(made, x / getattr(part, rest).value, own)
            if path == "device.memory.capacity" and "device.memory.usable" not in variables:
                made = with_usable(made, x / part.memory.capacity.value)
            stated = parameter_at(path)
            over = {**s.parameters, stated: x} if stated and stated in s.fitted else s.parameters
            s = replace(s, parameters=over, **{SPECS[root]: made})
        else:
            raise UnknownName("variables", path, [*COUNTS, *(f"{each}." for each in (*SPECS, "parameters"))])
    return s, w


def parameter_at(path: str) -> str | None:
    """The calibratable parameter that a device or a host states at a path; what is asked for there wins over a fit."""
    if path == "host.dispatch":
        return "dispatch"
    name = path.removeprefix("device.parameters.").removesuffix(".value")
    return name if name in PARAMETERS else None


def number_at(s: Setup, path: str) -> tuple[float, str]:
    """The number at a path, and its unit; no number where the field is empty. Raises InputError for what is none."""
    root, _, rest = path.partition(".")
    if root == "parameters":
        if rest not in PARAMETERS:
            raise UnknownName("parameters", rest, PARAMETERS)
        return float(s.machine(s.device.default_dtype).parameters[rest]), ""
    if root not in SPECS:
        raise UnknownName("fields", path, [*(f"{each}." for each in SPECS), "parameters."])
    node: Any = getattr(s, SPECS[root])
    seen, owner = root, None
    for step in rest.split("."):
        if isinstance(node, tuple):
            at = place(node, step)
            found: Any = {step: node[at]} if at is not None else dict.fromkeys(steps(node))
        else:
            held = {each.name: getattr(node, each.name) for each in fields(node)} if is_dataclass(node) else {}
            found = node if isinstance(node, Mapping) else held
        if step not in found:
            raise UnknownName(seen, step, found)
        owner, node, seen = node, found[step], f"{seen}.{step}"
    if node is None and (kind := _left_out(owner, rest.rpartition(".")[2])):
        return math.nan, kind.unit
    number = math.nan if node is None else getattr(node, "value", node)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InputError(f"{path}: is not a number")
    return float(number), getattr(node, "unit", "")


def steps(parts: tuple[Any, ...]) -> list[str]:
    """The steps that lead into the parts of a layer, or into a list."""
    return [getattr(each, "kind", str(i)) for i, each in enumerate(parts)]


def with_value(node: Any, path: list[str], value: Any, whole: str) -> Any:
    """A copy of a spec with another number at a path; nothing checks it, since it may be a variable."""
    if not path:
        if isinstance(getattr(node, "value", None), int | float):
            return variant(node, value=value)
        if isinstance(node, int | float) and not isinstance(node, bool):
            return value
        raise InputError(f"{whole}: is not a number that can vary")
    step, *rest = path
    if isinstance(node, Mapping):
        if step not in node:
            raise UnknownName(whole, step, node)
        return {**node, step: with_value(node[step], rest, value, whole)}
    if isinstance(node, tuple):
        at = place(node, step)
        if at is None:
            raise UnknownName(whole, step, steps(node))
        return tuple(with_value(x, rest, value, whole) if i == at else x for i, x in enumerate(node))
    names = [each.name for each in fields(node)] if is_dataclass(node) else []
    if step not in names:
        raise UnknownName(whole, step, names)
    now = getattr(node, step)
    if now is None and not rest and (kind := _left_out(node, step)):
        return variant(node, **{step: assembled(kind, value=value)})
    return variant(node, **{step: with_value(now, rest, value, whole)})


def _left_out(owner: Any, field: str) -> type[Sourced] | None:
    """What kind of number a field would hold that its file leaves out; None if it is no number."""
    from roofsim.foundation.described import hints, types

    kinds = types(hints(type(owner)).get(field)) if isinstance(owner, Spec) else ()
    return next((each for each in kinds if isinstance(each, type) and issubclass(each, Sourced)), None)
