"""What an operator or a kernel costs, before any device is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from operator import attrgetter

from roofsim.foundation.arith import Number
from roofsim.foundation.values import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Work (FLOP) and traffic (bytes).

    `matrix` is work for the matrix unit, `vector` everything element-wise, reducing or transcendental:
    the two run on different hardware. Memory traffic is split by what is moved: `weights` (read once per
    pass), `activations` (read and written between operators), `state` (KV cache and recurrent state,
    read and written). `network` is what leaves for other devices.
    """

    matrix: Number = 0
    vector: Number = 0
    weights: Number = 0
    activations: Number = 0
    state: Number = 0
    network: Number = 0

    @property
    def bytes(self) -> Number:
        """All memory traffic, in bytes."""
        return self.weights + self.activations + self.state

    @property
    def flops(self) -> Number:
        """All work, in FLOP."""
        return self.matrix + self.vector

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(_sum(getattr(self, name), getattr(other, name)) for name in COLUMNS))

    def __mul__(self, times: Number) -> Cost:
        return Cost(*(_product(getattr(self, name), times) for name in COLUMNS))

    __rmul__ = __mul__

    @classmethod
    def total(cls, parts: Sequence[tuple[Number, Cost]]) -> Cost:
        """The sum of costs, each so often; a plain nought takes no part."""
        rows = [(n, _columns(cost)) for n, cost in parts]
        return cls(*(sum([n * row[i] for n, row in rows if not _nought(row[i])]) for i in range(len(COLUMNS))))


COLUMNS = tuple(field.name for field in fields(Cost))
"""The columns of a cost, from which sums, tables and JSON take theirs."""
_columns: Callable[[Cost], tuple[Number, ...]] = attrgetter(*COLUMNS)


def _sum(a: Number, b: Number) -> Number:
    """a + b; a plain nought costs no pass over an array."""
    if _nought(a):
        return b
    return a if _nought(b) else a + b


def _product(a: Number, times: Number) -> Number:
    if _nought(a) or _one(times):
        return a
    return a * times


def _nought(x: Number) -> bool:
    return type(x) is int and x == 0


def _one(x: Number) -> bool:
    return type(x) is int and x == 1
