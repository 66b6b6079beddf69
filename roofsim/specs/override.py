"""Changing one field of a spec for a what-if: `device.memory.bandwidth=2x`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from roofsim.foundation.errors import InputError, SpecError, UnknownName
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.quantity import Sourced
from roofsim.foundation.schema import Spec, items, place, variant
from roofsim.foundation.units import finite, parse_count
from roofsim.specs.device import DRIVES_PEAKS, Device, with_peaks, with_usable
from roofsim.specs.files import build

S = TypeVar("S", bound=Spec)


def written(value: Any) -> Any:
    """A spec as the mapping that a file would hold: reading it again gives the same spec."""
    if isinstance(value, Sourced):
        number = f"{value.value!r} {value.unit}" if value.unit else value.value
        return {"value": number, "source": value.source} | ({"note": value.note} if value.note else {})
    if isinstance(value, Spec):
        return {name: written(each) for name, each in items(value)}
    if isinstance(value, Mapping):
        return {key: written(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [written(each) for each in value]
    return value


def changed(spec: S, root: str, changes: Sequence[tuple[str, str]]) -> S:
    """`spec` with fields replaced: paths are relative to it, values are quantities, words or factors like 2x.

    Raises UnknownName for a path that is not there and SpecError for a value that cannot be.
    """
    if not changes:
        return spec
    values = written(spec)
    for path, value in changes:
        _set(values, root, path.split("."), value)
    paths = [path.removesuffix(".value") for path, _ in changes]
    follows = isinstance(spec, Device) and "memory.capacity" in paths and "memory.usable" not in paths
    if follows:
        values["memory"]["usable"] = None
    if "sources" in values:
        values["sources"] = {**values["sources"], SOURCE: "given for this run"}
    try:
        made = build(type(spec), values, "--set")
    except SpecError as error:
        raise SpecError([p.replace("--set: ", f"--set {root}.", 1) for p in error.problems]) from None
    if follows:
        made = _usable_follows(spec, made)
    return _peaks_follow(spec, made, paths) if isinstance(spec, Device) else made


def _usable_follows(old: Any, new: Any) -> Any:
    """The same share of another capacity is usable."""
    with_old = variant(new, memory=variant(new.memory, usable=old.memory.usable))
    return with_usable(with_old, new.memory.capacity.value / old.memory.capacity.value)


def _peaks_follow(old: Any, new: Any, paths: Sequence[str]) -> Any:
    """Peaks change as clock and units do, but those that are given themselves; raises InputError without a clock."""
    factor = 1.0
    for name in DRIVES_PEAKS:
        if name in paths:
            if getattr(old, name) is None:
                raise InputError(
                    f"--set device.{name}: {old.id} states none, so what its peaks would be cannot be said; set them: "
                    f"{', '.join(f'device.peak.matrix.{dtype}' for dtype in old.peak.matrix)}"
                )
            factor *= getattr(new, name).value / getattr(old, name).value
    keep = [path.removeprefix("peak.") for path in paths if path.startswith("peak.")]
    return new if factor == 1 else with_peaks(new, factor, keep)


def _set(values: Any, root: str, path: Sequence[str], value: str) -> None:
    *way, last = path
    node, seen = values, root
    for step in way:
        node = _step(node, step, seen)
        seen = f"{seen}.{step}"
    if path[:-1] == ["parameters"] and last in PARAMETERS:
        # a device need not state what it leaves to the prior
        node = values["parameters"] = {
            last: {"value": PARAMETERS[last].prior, "source": SOURCE},
            **values["parameters"],
        }
    old = _step(node, last, seen)
    key: Any = place(node, last) if isinstance(node, list) else last
    if old is None and re.match(r"[+-]?[\d.]", value):
        # a field that the file leaves out: a quantity, unless it is a plain number
        node[key] = _new(value, f"{seen}.{last}")
        return
    if isinstance(old, dict) and "value" in old:
        node[key] = {
            **old,
            "value": _scaled(old["value"], value, f"{seen}.{last}"),
            "note": f"set to {value}",
        }
    elif isinstance(old, dict | list):
        inside = old if isinstance(old, dict) else range(len(old))
        raise InputError(f"--set {seen}.{last}: is a group; name a field of it ({', '.join(map(str, inside))})")
    else:
        node[key] = _plain(old, value, f"{seen}.{last}")


def _new(value: str, where: str) -> Any:
    """A value where none is: a quantity, which ends in its unit, a count or a plain number."""
    counted = value[-1:] in COUNTED
    if re.search(r"[A-Za-z]$", value) and not counted:
        return {"value": value, "source": SOURCE}
    try:
        number = finite(parse_count(value) if counted else value)
    except ValueError as error:
        raise InputError(f"--set {where}: {error}") from None
    return int(number) if re.fullmatch(r"[+-]?\d+[kKM]?", value) else number


SOURCE = "--set"
"""The key under which a changed spec lists that a number was given on the command line."""


def _step(node: Any, step: str, seen: str) -> Any:
    if isinstance(node, list):
        at = place(node, step)
        if at is None:
            kinds = [each.get("kind", str(i)) if isinstance(each, dict) else str(i) for i, each in enumerate(node)]
            raise UnknownName(f"--set {seen}", step, kinds)
        return node[at]
    if not isinstance(node, dict) or step not in node:
        raise UnknownName(f"--set {seen}", step, node if isinstance(node, dict) else [])
    return node[step]


def _scaled(old: Any, value: str, where: str) -> Any:
    if not value.endswith(("x", "X")):
        return value
    number, _, unit = str(old).partition(" ")
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", value[:-1]):
        raise InputError(f"--set {where}: '{value}' is not a factor; write it like 2x or 0.5x")
    return f"{finite(number) * float(value[:-1])!r} {unit}".strip()


COUNTED = ("k", "K", "M")
"""How a count such as 4k ends."""


def _plain(old: Any, value: str, where: str) -> Any:
    """`value` in the type that the field has now."""
    try:
        if isinstance(old, bool):
            return {"true": True, "false": False}[value.lower()]
        if isinstance(old, int | float):
            scaled = _scaled(old, value, where)
            number = finite(parse_count(scaled) if scaled[-1:] in COUNTED else scaled)
            return int(number) if number == int(number) and isinstance(old, int) else number
    except (KeyError, ValueError, OverflowError):
        raise InputError(f"--set {where}: '{value}' is not like the '{old}' that is there") from None
    return value
