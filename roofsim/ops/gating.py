"""Gates, norms of heads and mixes of neighbouring tokens around a recurrence."""

from __future__ import annotations

from roofsim.foundation.arith import Number
from roofsim.foundation.cost import Cost
from roofsim.ops.base import Role, operator


@operator("pointwise", Role.GATE)
def product(tokens: Number, *, width: Number, act_bytes: Number) -> Cost:
    """One tensor times another, element by element."""
    return Cost(vector=width * tokens, activations=3 * width * act_bytes * tokens)


@operator("norm", Role.GATED_NORM)
def rms_norm_gate(
    tokens: Number, *, width: Number, norm_weights: Number, weight_bytes: Number, act_bytes: Number
) -> Cost:
    """rms_norm(x) · w · act(z): the norm of every head, then the gate (Gated DeltaNet, arXiv 2412.06464, fig. 1)."""
    return Cost(
        vector=10 * width * tokens, weights=norm_weights * weight_bytes, activations=3 * width * act_bytes * tokens
    )


@operator("norm", Role.GATED_NORM)
def layer_norm_gate(
    tokens: Number, *, width: Number, norm_weights: Number, weight_bytes: Number, act_bytes: Number
) -> Cost:
    """layer_norm(x) · act(z): the layer norm of every head, then the gate (xLSTM 7B, arXiv 2503.13427, fig. 2)."""
    return Cost(
        vector=13 * width * tokens, weights=norm_weights * weight_bytes, activations=3 * width * act_bytes * tokens
    )


@operator("norm", Role.GATED_NORM)
def bonus_norm_gate(tokens: Number, *, width: Number, weight_bytes: Number, act_bytes: Number) -> Cost:
    """(layer_norm(x) + (r · (ρ ⊙ k)) v) ⊙ g of RWKV-7 (arXiv 2503.14456, section 4): norm, bonus and gate.

    The norm is that of every head, r · (ρ ⊙ k) one number per head. Reads x, r, k, v and g.
    """
    return Cost(
        vector=13 * width * tokens,
        weights=3 * width * weight_bytes,
        activations=6 * width * act_bytes * tokens,
    )


@operator("pointwise", Role.MIX)
def token_shift(
    batch: Number, new: Number, *, width: Number, mixes: Number, weight_bytes: Number, act_bytes: Number
) -> Cost:
    """x + (x₋₁ − x) ⊙ μ with the token before, for each of several μ (RWKV, arXiv 2305.13048, section 3.1).

    The last token of each sequence is kept for the next pass.
    """
    elements = batch * new * width
    return Cost(
        vector=(1 + 2 * mixes) * elements,
        weights=mixes * width * weight_bytes,
        activations=(1 + mixes) * elements * act_bytes,
        state=2 * batch * width * act_bytes,
    )


@operator("pointwise", Role.MIX)
def learned_mix(tokens: Number, *, width: Number, mixes: Number, weight_bytes: Number, act_bytes: Number) -> Cost:
    """x + (x₋₁ − x) ⊙ (μ + m) where m is computed: the second mix of RWKV-6 (arXiv 2404.05892, section 4.2).

    Reads x, its neighbour and every m.
    """
    return Cost(
        vector=(1 + 3 * mixes) * width * tokens,
        weights=mixes * width * weight_bytes,
        activations=(2 + 2 * mixes) * width * act_bytes * tokens,
    )


@operator("pointwise", Role.MIX)
def lerp(tokens: Number, *, width: Number, act_bytes: Number) -> Cost:
    """x + (y − x) σ(z): reads all three."""
    return Cost(vector=7 * width * tokens, activations=4 * width * act_bytes * tokens)
