"""Fields of other tools' outputs: numbers that are checked and name where they stand, and runs that state part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from roofsim.foundation.units import MAX_COUNT, finite, whole
from roofsim.runs.reading import Run

N = TypeVar("N", int, float)


def count(data: Mapping[str, Any], name: str, default: int | None = None, least: int = 0, most: int = MAX_COUNT) -> int:
    """A whole number; `default`, if there is one, where the file has none. Raises KeyError, ValueError."""
    value = data[name] if default is None else data.get(name)
    if default is not None and (value is None or value == ""):
        return default
    return stated(whole, name, value, least, most)


def number(data: Mapping[str, Any], name: str) -> float:
    """A number; raises KeyError, ValueError."""
    return stated(finite, name, data[name])


def stated(read: Callable[..., N], name: str, *given: Any) -> N:
    """What `read` makes of it; its ValueError names the field."""
    try:
        return read(*given)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def run(**fields: Any) -> Run:
    """A run with what is known; the rest is empty."""
    empty: dict[str, Any] = dict.fromkeys(Run._fields, "") | dict.fromkeys(("batch", "prompt", "context", "generated"))
    return Run(**(empty | {"line": 0, "op": "e2e", **fields}))
