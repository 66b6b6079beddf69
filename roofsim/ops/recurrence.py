"""Recurrences of linear attention, of delta rules and of single channels."""

from __future__ import annotations

from roofsim.foundation.arith import Number, ceil
from roofsim.foundation.cost import Cost
from roofsim.ops.base import Role, operator
from roofsim.ops.pairs import chunk_pairs

RG_LRU_FLOPS = 23
"""Vector FLOP per token and channel of the RG-LRU (De et al. 2024, arXiv 2402.19427, eq. 1 to 4).

Two gates of sum and sigmoid (10), a = exp(c r softplus(Λ)) (3), √(1 − a²) (3), the gated input (2), aₜ hₜ₋₁ + x (2),
the pair-wise combination of the parallel scan (3).
"""
WKV4_FLOPS = 23
"""Vector FLOP per token and channel of the WKV of RWKV-4, with a running maximum (Peng et al. 2023, section 3.1).

Output: u + k, maximum, two differences and exponentials, numerator (3), denominator (2), quotient: 12. New state:
w + maximum, maximum, two differences and exponentials, numerator (3), denominator (2): 11.
"""


@operator("scan", Role.RECURRENCE)
def linear_attention(
    batch: Number,
    new: Number,
    *,
    heads: Number,
    qk_dim: Number,
    v_dim: Number,
    gates: Number,
    chunk: Number,
    act_bytes: Number,
    state_bytes: Number,
) -> Cost:
    """Linear attention with decay, Sₜ = diag(aₜ) Sₜ₋₁ + kₜvₜᵀ and oₜ = Sₜᵀqₜ, in chunks (Yang et al. 2023, GLA,
    arXiv 2312.06635, section 4; Qin et al. 2024, Lightning Attention-2, arXiv 2401.04658, algorithm 1).

    Inside a chunk Q Kᵀ and its product with V over the causal pairs; between chunks the state, built from K and V
    and read by Q. Vector work: the mask of every pair, four FLOP for each decay that is computed and one product
    with it for each element of Q and K, decay and sum of the state of every chunk, which goes through memory once
    out and once back.
    """
    tokens = batch * new
    pairs = batch * chunk_pairs(new, chunk)
    chunks = batch * ceil(new / chunk)
    state = heads * qk_dim * v_dim
    return Cost(
        matrix=2 * pairs * heads * (qk_dim + v_dim) + 4 * tokens * state,
        vector=pairs * heads + tokens * heads * (2 * qk_dim + 4 * gates) + 2 * chunks * state,
        activations=tokens * heads * (2 * qk_dim + 2 * v_dim + gates) * act_bytes
        + 2 * (chunks - batch) * state * state_bytes,
        state=2 * batch * state * state_bytes,
    )


@operator("scan", Role.RECURRENCE)
def mlstm(
    batch: Number,
    new: Number,
    *,
    heads: Number,
    qk_dim: Number,
    v_dim: Number,
    chunk: Number,
    act_bytes: Number,
    state_bytes: Number,
) -> Cost:
    """mLSTM: linear attention with an input and a forget gate per head, and its normaliser (Beck et al. 2024,
    arXiv 2405.04517, eq. 19 to 27; in chunks: xLSTM 7B, arXiv 2503.13427).

    The normaliser nₜ = fₜ nₜ₋₁ + iₜ kₜ is one more column of the state, summed, decayed and read on the vector
    unit; with it goes the running maximum of the gates. Results are divided by it.
    """
    tokens = batch * new
    pairs = batch * chunk_pairs(new, chunk)
    sizes = {"heads": heads, "qk_dim": qk_dim, "v_dim": v_dim, "chunk": chunk, "act_bytes": act_bytes}
    return linear_attention(batch, new, gates=2, state_bytes=state_bytes, **sizes) + Cost(
        vector=pairs * heads + tokens * heads * (4 * qk_dim + v_dim + 3),
        state=2 * batch * heads * (qk_dim + 1) * state_bytes,
    )


@operator("scan", Role.RECURRENCE)
def wkv(
    batch: Number,
    new: Number,
    *,
    heads: Number,
    qk_dim: Number,
    v_dim: Number,
    gates: Number,
    chunk: Number,
    weight_bytes: Number,
    act_bytes: Number,
    state_bytes: Number,
) -> Cost:
    """WKV of RWKV-5 and RWKV-6: linear attention with a decay per channel, constant or computed (Peng et al. 2024,
    arXiv 2404.05892, section 4).

    A learned bonus takes the place of the decay for the current token: one product per key channel. It and the
    decay (its constant part) are the weights.
    """
    sizes = {"heads": heads, "qk_dim": qk_dim, "v_dim": v_dim, "gates": gates, "chunk": chunk}
    return linear_attention(batch, new, act_bytes=act_bytes, state_bytes=state_bytes, **sizes) + Cost(
        vector=batch * new * heads * qk_dim, weights=2 * heads * qk_dim * weight_bytes
    )


@operator("scan", Role.RECURRENCE)
def delta_rule(
    batch: Number,
    new: Number,
    *,
    key_heads: Number,
    heads: Number,
    qk_dim: Number,
    v_dim: Number,
    keys: Number,
    gates: Number,
    chunk: Number,
    weight_bytes: Number,
    act_bytes: Number,
    state_bytes: Number,
) -> Cost:
    """Gated delta rule: Sₜ = (I − βₜkₜkₜᵀ) diag(aₜ) Sₜ₋₁ + βₜkₜvₜᵀ and oₜ = Sₜᵀqₜ, in chunks (Yang et al. 2024,
    arXiv 2412.06464, eq. 10 and section 3.3; a decay per channel: Kimi Linear, arXiv 2510.26692, eq. 1).

    With two `keys` per token the one that is removed is not the one that is written (RWKV-7, arXiv 2503.14456,
    section 4). Inside a chunk: K Kᵀ below the diagonal and Q Kᵀ on and below it, once per key head and key; the
    triangular system solved for the new values and for the keys that read the state; Q Kᵀ times the values.
    Between chunks each key reads or writes the state, a second one does both. Vector work: Q and K normalised (3
    per element) and multiplied by decays, six FLOP per gate value, its exponential included, the mask of every
    pair, decay and sum of the state of every chunk, which stays on the chip from one chunk to the next (FlashInfer's
    and FlashKDA's kernels). Every gate value has a learned constant.
    """
    tokens = batch * new
    pairs = batch * chunk_pairs(new, chunk)
    below = pairs - tokens
    chunks = batch * ceil(new / chunk)
    state = heads * qk_dim * v_dim
    scores = 2 * keys * (pairs + below) * key_heads * qk_dim
    solve = 2 * below * heads * (qk_dim + keys * v_dim)
    return Cost(
        matrix=scores + solve + 2 * keys * pairs * heads * v_dim + (4 + 2 * keys) * tokens * state,
        vector=keys * (pairs + below) * heads
        + tokens * (3 * (1 + keys) * key_heads * qk_dim + heads * (2 * (1 + keys) * qk_dim + v_dim + 6 * gates))
        + 2 * chunks * state,
        weights=heads * gates * weight_bytes,
        activations=tokens * (2 * key_heads * qk_dim + heads * (2 * v_dim + gates)) * act_bytes,
        state=2 * batch * state * state_bytes,
    )


@operator("scan", Role.RECURRENCE)
def rg_lru(
    batch: Number, new: Number, *, channels: Number, weight_bytes: Number, act_bytes: Number, state_bytes: Number
) -> Cost:
    """RG-LRU: hₜ = aₜ hₜ₋₁ + √(1 − aₜ²) (iₜ xₜ) (De et al. 2024, Griffin, arXiv 2402.19427, eq. 1 to 4).

    Fused in one pass over the sequence. Reads x and what the two gates are made of, writes h; its weights are Λ and
    the biases of the gates. All of it is vector work.
    """
    elements = batch * new * channels
    return Cost(
        vector=RG_LRU_FLOPS * elements,
        weights=3 * channels * weight_bytes,
        activations=4 * elements * act_bytes,
        state=2 * batch * channels * state_bytes,
    )


@operator("scan", Role.RECURRENCE)
def wkv4(
    batch: Number, new: Number, *, channels: Number, weight_bytes: Number, act_bytes: Number, state_bytes: Number
) -> Cost:
    """WKV of RWKV-4: a mean of values with weights exp(k) that decay (Peng et al. 2023, arXiv 2305.13048, section 3.1).

    Fused in one pass over the sequence. Reads k and v, writes the mean; its weights are decay and bonus, its state
    numerator, denominator and largest exponent. All of it is vector work.
    """
    elements = batch * new * channels
    return Cost(
        vector=WKV4_FLOPS * elements,
        weights=2 * channels * weight_bytes,
        activations=3 * elements * act_bytes,
        state=6 * batch * channels * state_bytes,
    )
