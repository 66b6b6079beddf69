"""The recurrences of state-space models."""

from __future__ import annotations

from roofsim.foundation.arith import Number, ceil, minimum
from roofsim.foundation.cost import Cost
from roofsim.ops.base import Role, operator
from roofsim.ops.pairs import chunk_pairs

SELECTIVE_SCAN_FLOPS = 9
"""Vector FLOP per token, channel and state element of the selective scan.

Discretise: Δ·A, exp, Δ·u·B (3 + the product shared with the output), recur: multiply-add (2), output:
multiply-add with C (2), and the pair-wise combination of the parallel scan (2). Gu & Dao 2023, alg. 2.
"""


@operator("scan", Role.RECURRENCE)
def selective_scan(
    batch: Number,
    new: Number,
    *,
    d_inner: Number,
    d_state: Number,
    groups: Number,
    weight_bytes: Number,
    act_bytes: Number,
    state_bytes: Number,
) -> Cost:
    """Mamba-1: hₜ = exp(ΔₜA) hₜ₋₁ + ΔₜBₜuₜ, yₜ = Cₜhₜ + Du, gated (Gu & Dao 2023, eq. 2 and alg. 2).

    Fused in one pass over the sequence: the state stays on the chip between tokens and is read and written
    once. Reads u, Δ and the gate, B and C of every group, and the weights A, D and Δ's bias; writes y. All of it
    is vector work.
    """
    tokens = batch * new
    return Cost(
        vector=tokens * d_inner * (SELECTIVE_SCAN_FLOPS * d_state + 8),
        weights=d_inner * (d_state + 2) * weight_bytes,
        activations=tokens * (4 * d_inner + 2 * groups * d_state) * act_bytes,
        state=2 * batch * d_inner * d_state * state_bytes,
    )


@operator("scan", Role.RECURRENCE)
def ssd_scan(
    batch: Number,
    new: Number,
    *,
    heads: Number,
    head_dim: Number,
    d_state: Number,
    groups: Number,
    chunk: Number,
    weight_bytes: Number,
    act_bytes: Number,
    state_bytes: Number,
) -> Cost:
    """Mamba-2: the chunked state-space dual (Dao & Gu 2024, arXiv 2405.21060, section 6 and listing 1).

    Inside a chunk the quadratic form, C Bᵀ once per group and its product with x per head, over the causal
    pairs; between chunks the state, built from x and B and read out by C, 2 FLOP each per state element. The
    running state of every chunk goes through memory once out and once back.
    """
    tokens = batch * new
    d_inner = heads * head_dim
    pairs = batch * chunk_pairs(new, chunk)
    chunks = batch * ceil(new / minimum(chunk, new))
    return Cost(
        matrix=2 * pairs * (groups * d_state + d_inner) + 4 * tokens * d_inner * d_state,
        weights=3 * heads * weight_bytes,
        vector=3 * pairs * heads + tokens * (3 * d_inner + 4 * heads) + 2 * chunks * d_inner * d_state,
        activations=tokens * (2 * d_inner + 2 * groups * d_state + heads) * act_bytes
        + 2 * (chunks - batch) * d_inner * d_state * state_bytes,
        state=2 * batch * d_inner * d_state * state_bytes,
    )
