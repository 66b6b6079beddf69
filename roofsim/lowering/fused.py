"""The ideal: every operator is one kernel that moves nothing twice."""

from __future__ import annotations

from dataclasses import replace

from roofsim.foundation.arith import Number, at_least, maximum, minimum
from roofsim.lowering.kernels import Class, Kernel, Lowered, Situation
from roofsim.ops import attention, conv, gemm, pointwise, recurrence, scan
from roofsim.ops.base import CostFunction, Operator

LIKE: dict[CostFunction, Class] = {
    gemm.linear: "gemm",
    gemm.expert_linear: "gemm",
    gemm.head_linear: "gemm",
    attention.causal_attention: "attention",
    attention.chunked_attention: "attention",
    attention.block_sparse_attention: "attention",
    attention.latent_attention: "attention",
    attention.index_scores: "gemm",
    scan.ssd_scan: "ssd",
    scan.selective_scan: "scan",
    recurrence.linear_attention: "ssd",
    recurrence.mlstm: "ssd",
    recurrence.wkv: "ssd",
    recurrence.delta_rule: "delta",
    recurrence.rg_lru: "scan",
    recurrence.wkv4: "scan",
    conv.causal_conv1d: "stream",
    conv.short_conv1d: "stream",
    pointwise.embedding: "stream",
}


TILE = 64
"""Queries of a tile in FlashAttention-2's kernels on a paged cache (`kBlockM`, flash_fwd_launch_template.h)."""
KEYS = 128
"""Keys of a block there (`kBlockN` at head width 128): no part of a split has fewer."""


def lower(operator: Operator, situation: Situation) -> Lowered:
    """One kernel with the operator's own cost."""
    return Lowered((kernel(operator),))


def kernel(operator: Operator) -> Kernel:
    """The fused kernel of an operator."""
    like = LIKE.get(operator.function, "stream")
    whole = Kernel(operator.name, like, operator.cost, fill=fill(operator))
    if operator.function is attention.latent_attention:
        return _tiles_of_latents(whole, operator)
    if like == "attention":
        return _tiles(whole, operator)
    return _chunks(whole, operator) if like == "delta" else whole


def _tiles(whole: Kernel, o: Operator) -> Kernel:
    """A block for every tile of queries of every head; for one token, for every key head, its keys cut where it pays.

    A tile of few queries takes the time of a whole one, but for one token other kernels are used.
    """
    z = o.sizes
    new, several = z["new"], at_least(z["new"], 2)
    seen = minimum(z["context"], z.get("window", z.get("chunk", z["context"] + 1)) - 1) + new
    return replace(
        whole,
        blocks=z["batch"] * (several * z["heads"] * maximum(new / TILE, 1) + (1 - several) * z["kv_heads"]),
        splits=several + (1 - several) * maximum(seen / KEYS, 1),
        padding=several * maximum(TILE / new, 1) + 1 - several,
    )


def _tiles_of_latents(whole: Kernel, o: Operator) -> Kernel:
    """All heads of a token share its latents, so that they and their tokens fill tiles together."""
    z = o.sizes
    rows, several = z["new"] * z["heads"], at_least(z["new"], 2)
    seen = minimum(z["context"] + z["new"], z["window"])
    return replace(
        whole,
        blocks=z["batch"] * maximum(rows / TILE, 1),
        splits=several + (1 - several) * maximum(seen / KEYS, 1),
        padding=maximum(TILE / rows, 1),
    )


def _chunks(whole: Kernel, o: Operator) -> Kernel:
    """A block for every head goes through its chunks one after the other; a short one takes the time of a full one."""
    z = o.sizes
    several = at_least(z["new"], 2)
    return replace(
        whole,
        blocks=z["batch"] * z["heads"],
        padding=several * maximum(z["chunk"] / z["new"], 1) + 1 - several,
    )


def fill(operator: Operator) -> Number:
    """Matrix work, in FLOP per unit of Hockney's n½, that stands for a device that is not yet full.

    A product of M × K by K × N takes as long as one with h more output elements: 2 K per unit of h.
    """
    sizes = operator.sizes
    if operator.function is attention.index_scores:
        return 2 * sizes["qk_dim"]
    if LIKE.get(operator.function) == "gemm":
        return 2 * sizes["d_in"]
    return 0
