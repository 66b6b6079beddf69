"""Operators that several recurrent mixers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roofsim.foundation.arith import Number
from roofsim.model.part import elementwise
from roofsim.model.step import Pass
from roofsim.ops import gating, gemm
from roofsim.ops.base import CostFunction, Operator, Role


def recurrence(
    p: Pass, function: CostFunction, width: int, *uses: str, sizes: Mapping[str, Number], acts_as: Role | None = None
) -> Operator:
    """The operator of a recurrence that yields `width` elements per new token; its state as `p` says by default."""
    common = {
        "batch": p.batch,
        "new": p.new,
        "act_bytes": p.precision.activations,
        "state_bytes": p.precision.state,
    }
    return Operator("scan", function, {**common, **sizes}, p.activation_bytes(width), uses, acts_as=acts_as)


def head_linear(
    p: Pass, name: str, heads: int, d_in: int, d_out: int, *uses: str, matrix: str = "", **options: Any
) -> Operator:
    """The operator of a linear layer that every head has for its own part of the input.

    `matrix` names the operator as whose matrix it is stored, if that is another one.
    """
    sizes = {
        "tokens": p.tokens,
        "heads": heads,
        "d_in": d_in,
        "d_out": d_out,
        "weight_bytes": p.precision.of(matrix or name),
        "act_bytes": p.precision.activations,
    }
    return Operator(name, gemm.head_linear, sizes, p.activation_bytes(heads * d_out), uses, **options)


def shift(p: Pass, name: str, width: int, mixes: int) -> Operator:
    """The operator of a token shift of the part's input."""
    sizes = {
        "batch": p.batch,
        "new": p.new,
        "width": width,
        "mixes": mixes,
        "weight_bytes": p.precision.vectors,
        "act_bytes": p.precision.activations,
    }
    return Operator(name, gating.token_shift, sizes, p.activation_bytes(mixes * width), ("x",))


def output_norm(p: Pass, function: CostFunction, width: int, norm_weights: int, *uses: str) -> Operator:
    """The operator of a norm of every head with its gate; heads may share its `norm_weights`."""
    return elementwise(p, "output_norm", function, width, *uses, weights=True, norm_weights=norm_weights)
