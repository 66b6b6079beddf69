"""Softmax attention over a cache, and the keeping of that cache."""

from __future__ import annotations

from roofsim.arith import Number, maximum, minimum
from roofsim.cost import Cost
from roofsim.ops.base import operator


def causal_pairs(new: Number, context: Number, window: Number) -> Number:
    """How many (query, key) pairs a sequence scores.

    Query i of `new` sees the `context` tokens before the pass and i of the pass itself, at most `window` of
    them. Without a limit that is new · (context + (new + 1) / 2).
    """
    growing = minimum(maximum(window - context, 0), new)
    return growing * (context + (growing + 1) / 2) + (new - growing) * window


@operator("attention")
def causal_attention(
    batch: Number,
    new: Number,
    context: Number,
    *,
    heads: Number,
    kv_heads: Number,
    qk_dim: Number,
    v_dim: Number,
    window: Number,
    act_bytes: Number,
    cache_bytes: Number,
) -> Cost:
    """softmax(QKᵀ)V, fused: scores never leave the chip (Dao et al. 2022, arXiv 2205.14135).

    Five vector FLOP per pair: scale, subtract the maximum, exponential, sum, rescale. The keys and values
    of the tokens that are visible are read once for all queries of a sequence.
    """
    pairs = batch * causal_pairs(new, context, window)
    visible = minimum(context, window) + new
    return Cost(
        matrix=2 * pairs * heads * (qk_dim + v_dim),
        vector=5 * pairs * heads,
        activations=batch * new * heads * (qk_dim + v_dim) * act_bytes,
        state=batch * visible * kv_heads * (qk_dim + v_dim) * cache_bytes,
    )


@operator("attention")
def cache_append(batch: Number, new: Number, *, width: Number, act_bytes: Number, cache_bytes: Number) -> Cost:
    """Write the keys and values of the new tokens, `width` elements each, into the cache."""
    return Cost(activations=batch * new * width * act_bytes, state=batch * new * width * cache_bytes)


@operator("pointwise")
def rotary(tokens: Number, *, width: Number, act_bytes: Number) -> Cost:
    """Rotate queries and keys by their position: 3 FLOP per element (two products, one sum)."""
    return Cost(vector=3 * tokens * width, activations=2 * tokens * width * act_bytes)
