"""Linear layers."""

from __future__ import annotations

from roofsim.foundation.arith import Number
from roofsim.foundation.cost import Cost
from roofsim.ops.base import Role, operator


@operator("gemm", Role.PROJECTION)
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


def experts_touched(tokens: Number, experts: Number, top_k: Number) -> Number:
    """Distinct experts that at least one of `tokens` tokens chooses, if each chooses evenly: E (1 − (1 − k/E)ⁿ)."""
    return experts * (1 - (1 - top_k / experts) ** tokens)


@operator("gemm", Role.EXPERT)
def expert_linear(
    tokens: Number,
    *,
    experts: Number,
    top_k: Number,
    d_in: Number,
    d_out: Number,
    bias: Number,
    weight_bytes: Number,
    act_bytes: Number,
) -> Cost:
    """A linear layer of `experts`, of which every token uses `top_k` (Shazeer et al. 2017, arXiv 1701.06538).

    The weights of an expert are read once per pass if any token chose it.
    """
    rows = top_k * tokens
    return Cost(
        matrix=2 * d_in * d_out * rows,
        vector=bias * d_out * rows,
        weights=experts_touched(tokens, experts, top_k) * (d_in + bias) * d_out * weight_bytes,
        activations=(d_in + d_out) * act_bytes * rows,
    )


@operator("gemm", Role.PROJECTION)
def head_linear(
    tokens: Number, *, heads: Number, d_in: Number, d_out: Number, weight_bytes: Number, act_bytes: Number
) -> Cost:
    """A linear layer of every head on its own part of the input: a block-diagonal matrix."""
    return Cost(
        matrix=2 * heads * d_in * d_out * tokens,
        weights=heads * d_in * d_out * weight_bytes,
        activations=heads * (d_in + d_out) * act_bytes * tokens,
    )
