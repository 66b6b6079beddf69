"""Softmax attention over a cache, and the keeping of that cache."""

from __future__ import annotations

from roofsim.foundation.arith import Number, minimum
from roofsim.foundation.cost import Cost
from roofsim.ops.base import Role, operator
from roofsim.ops.pairs import begun, causal_pairs, chunk_pairs, past_blocks


@operator("attention", Role.ATTENTION)
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
    pair_flops: Number,
    act_bytes: Number,
    cache_bytes: Number,
) -> Cost:
    """softmax(QKᵀ)V, fused: scores never leave the chip (Dao et al. 2022, arXiv 2205.14135).

    `pair_flops` is the vector work per pair and head. The keys and values of the tokens that are visible are
    read once for all queries of a sequence.
    """
    pairs = batch * causal_pairs(new, context, window)
    visible = minimum(context, window - 1) + new
    return Cost(
        matrix=2 * pairs * heads * (qk_dim + v_dim),
        vector=pair_flops * pairs * heads,
        activations=batch * new * heads * (qk_dim + v_dim) * act_bytes,
        state=batch * visible * kv_heads * (qk_dim + v_dim) * cache_bytes,
    )


@operator("attention", Role.ATTENTION)
def chunked_attention(
    batch: Number,
    new: Number,
    context: Number,
    *,
    heads: Number,
    kv_heads: Number,
    qk_dim: Number,
    v_dim: Number,
    chunk: Number,
    pair_flops: Number,
    act_bytes: Number,
    cache_bytes: Number,
) -> Cost:
    """Causal attention inside chunks of the sequence, as in Llama 4: no token sees the chunk before its own.

    At most one chunk less a token is held beside the new tokens, and all that is held is read.
    """
    pairs = batch * (chunk_pairs(context + new, chunk) - chunk_pairs(context, chunk))
    visible = minimum(context, chunk - 1) + new
    return Cost(
        matrix=2 * pairs * heads * (qk_dim + v_dim),
        vector=pair_flops * pairs * heads,
        activations=batch * new * heads * (qk_dim + v_dim) * act_bytes,
        state=batch * visible * kv_heads * (qk_dim + v_dim) * cache_bytes,
    )


@operator("attention", Role.ATTENTION)
def block_sparse_attention(
    batch: Number,
    new: Number,
    context: Number,
    *,
    heads: Number,
    kv_heads: Number,
    qk_dim: Number,
    v_dim: Number,
    block: Number,
    blocks: Number,
    pair_flops: Number,
    act_bytes: Number,
    cache_bytes: Number,
) -> Cost:
    """Mixture of block attention: a query sees its own block and the best of the past ones, `blocks` in all.

    Lu et al. 2025, arXiv 2502.13189, eq. 2 to 6. Of its own block a query sees what is before it. Each query first
    scores the mean key of every block; that is one pair per `block` keys. What all queries of a pass may see is read
    once, what one query cannot see is not.
    """
    past = past_blocks(context + new, block, blocks - 1) - past_blocks(context, block, blocks - 1)
    pairs = batch * (chunk_pairs(context + new, block) - chunk_pairs(context, block) + block * past)
    gate = batch * causal_pairs(new, context, new + context) / block
    visible = minimum(context + new, begun(context, block) + new + block * (blocks - 1) * new)
    return Cost(
        matrix=2 * pairs * heads * (qk_dim + v_dim) + 2 * gate * heads * qk_dim,
        vector=pair_flops * pairs * heads + gate * heads,
        activations=batch * new * heads * (qk_dim + v_dim) * act_bytes,
        state=batch * (visible * (qk_dim + v_dim) + (context + new) / block * qk_dim) * kv_heads * cache_bytes,
    )


@operator("attention", Role.ATTENTION)
def latent_attention(
    batch: Number,
    new: Number,
    context: Number,
    *,
    heads: Number,
    kv_rank: Number,
    rope_dim: Number,
    window: Number,
    pair_flops: Number,
    act_bytes: Number,
    cache_bytes: Number,
) -> Cost:
    """Attention of all heads to one latent per token, its values too (DeepSeek-V2, arXiv 2405.04434, section 2.1.2).

    A score is a product over latent and position, a result a sum of latents. A latent that any query of the pass
    sees is read once; `window` is how many tokens each of them sees.
    """
    pairs = batch * causal_pairs(new, context, window)
    return Cost(
        matrix=2 * pairs * heads * (2 * kv_rank + rope_dim),
        vector=pair_flops * pairs * heads,
        activations=batch * new * heads * (2 * kv_rank + rope_dim) * act_bytes,
        state=batch * minimum(context + new, window * new) * (kv_rank + rope_dim) * cache_bytes,
    )


@operator("attention", Role.INDEX)
def index_scores(
    batch: Number,
    new: Number,
    context: Number,
    *,
    heads: Number,
    qk_dim: Number,
    act_bytes: Number,
    cache_bytes: Number,
) -> Cost:
    """Which tokens a query shall see: Σ w · relu(q · k) over heads that share one key (DeepSeek-V3.2, eq. 1)."""
    pairs = batch * causal_pairs(new, context, context + new)
    return Cost(
        matrix=2 * pairs * heads * (qk_dim + 1),
        vector=pairs * heads,
        activations=batch * new * heads * (qk_dim + 1) * act_bytes,
        state=batch * (context + new) * qk_dim * cache_bytes,
    )


@operator("attention", Role.CACHE)
def cache_append(batch: Number, new: Number, *, width: Number, act_bytes: Number, cache_bytes: Number) -> Cost:
    """Write the keys and values of the new tokens, `width` elements each, into the cache."""
    return Cost(activations=batch * new * width * act_bytes, state=batch * new * width * cache_bytes)


@operator("pointwise", Role.ROTARY)
def rotary(tokens: Number, *, width: Number, act_bytes: Number) -> Cost:
    """Rotate queries and keys by their position: 3 FLOP per element (two products, one sum)."""
    return Cost(vector=3 * tokens * width, activations=2 * tokens * width * act_bytes)
