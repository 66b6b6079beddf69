"""What a logical operator is, and the register of all cost functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.cost import Cost

Kind = Literal["gemm", "attention", "scan", "conv", "norm", "pointwise", "routing", "embedding", "collective"]

CostFunction = Callable[..., Cost]

_REGISTER: dict[CostFunction, Kind] = {}
REGISTER: Mapping[CostFunction, Kind] = MappingProxyType(_REGISTER)
"""Every cost function and the kind of operator that it describes."""


def operator(kind: Kind) -> Callable[[CostFunction], CostFunction]:
    """Register a cost function as an operator of this kind."""

    def register(function: CostFunction) -> CostFunction:
        _REGISTER[function] = kind
        return function

    return register


@dataclass(frozen=True)
class Operator:
    """One step of a layer: a cost function, the sizes it is called with, and what it reads.

    `out` is the size of the result in bytes and `uses` names the operators of the same layer whose
    results it reads (`x` is the residual stream): that is enough to know which tensors are alive.
    """

    name: str
    function: CostFunction
    sizes: Mapping[str, Number]
    out: Number = 0
    uses: tuple[str, ...] = ()
    reported_as: Kind | None = field(default=None)

    @property
    def kind(self) -> Kind:
        """The kind it is reported under."""
        return self.reported_as or _REGISTER[self.function]

    @cached_property
    def cost(self) -> Cost:
        """Its cost when nothing is materialised that need not be."""
        return self.function(**self.sizes)
