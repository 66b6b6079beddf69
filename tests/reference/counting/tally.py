"""What an enumerator adds to, and the register of enumerators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any


@dataclass
class Tally:
    """The columns of a cost, all nought at first."""

    matrix: float = 0
    vector: float = 0
    weights: float = 0
    activations: float = 0
    state: float = 0
    network: float = 0


Enumerator = Callable[..., None]
Sizes = Mapping[str, Any]

BYTES = {"weight_bytes": [3], "act_bytes": [5], "cache_bytes": [7], "state_bytes": [11]}
"""Bytes per element that differ, so that none is taken for another."""


@dataclass(frozen=True)
class Counted:
    """An enumerator and the sizes at which it is compared with the cost function."""

    enumerator: Enumerator
    sizes: Sequence[Sizes] = field(default_factory=list)

    def __call__(self, **sizes: Any) -> Tally:
        """The counts at some sizes."""
        tally = Tally()
        self.enumerator(tally, **sizes)
        return tally


COUNTED: dict[Callable[..., Any], Counted] = {}


def counts(function: Callable[..., Any], **axes: Sequence[Any]) -> Callable[[Enumerator], Enumerator]:
    """Register the enumerator of a cost function, for all combinations of the sizes given."""

    def register(enumerator: Enumerator) -> Enumerator:
        COUNTED[function] = Counted(enumerator, list(combinations(function, axes)))
        return enumerator

    return register


def combinations(function: Callable[..., Any], axes: Mapping[str, Sequence[Any]]) -> Iterator[Sizes]:
    """Every choice of one value from each axis; bytes per element are added where the function takes them."""
    code = function.__code__
    taken = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    given = {name: values for name, values in BYTES.items() if name in taken} | dict(axes)
    for values in product(*given.values()):
        yield dict(zip(given, values, strict=True))
