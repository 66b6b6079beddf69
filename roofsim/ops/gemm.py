"""Linear layers."""

from __future__ import annotations

from roofsim.arith import Number
from roofsim.cost import Cost
from roofsim.ops.base import operator


@operator("gemm")
def linear(
    tokens: Number, *, d_in: Number, d_out: Number, bias: Number, weight_bytes: Number, act_bytes: Number
) -> Cost:
    """y = x Wᵀ + b for every token: 2 FLOP per weight and token; `bias` is 1 or 0."""
    return Cost(
        matrix=2 * d_in * d_out * tokens,
        vector=bias * d_out * tokens,
        weights=(d_in + bias) * d_out * weight_bytes,
        activations=(d_in + d_out) * act_bytes * tokens,
    )
