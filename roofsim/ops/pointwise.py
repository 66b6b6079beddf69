"""Norms, activations, sums and look-ups: a few FLOP per element, bound by memory."""

from __future__ import annotations

from roofsim.foundation.arith import Number
from roofsim.foundation.cost import Cost
from roofsim.ops.base import Role, operator


@operator("norm", Role.NORM)
def rms_norm(tokens: Number, *, width: Number, weight_bytes: Number, act_bytes: Number) -> Cost:
    """x / rms(x) · w: square, sum, scale, weight."""
    return Cost(vector=4 * width * tokens, weights=width * weight_bytes, activations=2 * width * act_bytes * tokens)


@operator("norm", Role.NORM)
def layer_norm(tokens: Number, *, width: Number, bias: Number, weight_bytes: Number, act_bytes: Number) -> Cost:
    """(x − mean) / std · w + b: two reductions, two products, one sum, and one more with a bias."""
    return Cost(
        vector=(6 + bias) * width * tokens,
        weights=(1 + bias) * width * weight_bytes,
        activations=2 * width * act_bytes * tokens,
    )


@operator("norm", Role.GATED_NORM)
def gated_rms_norm(tokens: Number, *, width: Number, weight_bytes: Number, act_bytes: Number) -> Cost:
    """rms_norm(x · silu(z)) of Mamba-2: reads x and the gate z, writes one result."""
    return Cost(vector=10 * width * tokens, weights=width * weight_bytes, activations=3 * width * act_bytes * tokens)


@operator("pointwise", Role.ACTIVATION)
def activation(tokens: Number, *, width: Number, act_bytes: Number) -> Cost:
    """SiLU or GELU of every element: 5 FLOP (scale, exponential, sum, divide, product)."""
    return Cost(vector=5 * width * tokens, activations=2 * width * act_bytes * tokens)


@operator("pointwise", Role.GATE)
def gated_activation(tokens: Number, *, width: Number, act_bytes: Number) -> Cost:
    """act(gate) · up (Shazeer 2020, arXiv 2002.05202): reads both, writes one."""
    return Cost(vector=6 * width * tokens, activations=3 * width * act_bytes * tokens)


@operator("pointwise", Role.SUM)
def add(tokens: Number, *, width: Number, act_bytes: Number) -> Cost:
    """The sum of two tensors, such as the residual connection."""
    return Cost(vector=width * tokens, activations=3 * width * act_bytes * tokens)


@operator("pointwise", Role.SOFT_CAP)
def soft_cap(tokens: Number, *, width: Number, act_bytes: Number) -> Cost:
    """c · tanh(x / c) of every element: divide, hyperbolic tangent (five), multiply."""
    return Cost(vector=7 * width * tokens, activations=2 * width * act_bytes * tokens)


@operator("pointwise", Role.SCALE)
def scale(tokens: Number, *, width: Number, act_bytes: Number) -> Cost:
    """Every element times one number."""
    return Cost(vector=width * tokens, activations=2 * width * act_bytes * tokens)


@operator("pointwise", Role.JOIN)
def concat(tokens: Number, *, width: Number, act_bytes: Number) -> Cost:
    """Tensors joined to `width` elements per token: read and written once, no work."""
    return Cost(activations=2 * width * act_bytes * tokens)


@operator("embedding", Role.LOOKUP)
def embedding(tokens: Number, *, width: Number, weight_bytes: Number, act_bytes: Number) -> Cost:
    """One row of a table per token: only the rows looked up are read."""
    return Cost(weights=width * weight_bytes * tokens, activations=width * act_bytes * tokens)
