"""The ideal: every operator is one kernel that moves nothing twice."""

from __future__ import annotations

from roofsim.foundation.arith import Number
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
    recurrence.delta_rule: "ssd",
    recurrence.rg_lru: "scan",
    recurrence.wkv4: "scan",
    conv.causal_conv1d: "stream",
    conv.short_conv1d: "stream",
    pointwise.embedding: "stream",
}


def lower(operator: Operator, situation: Situation) -> Lowered:
    """One kernel with the operator's own cost."""
    return Lowered((kernel(operator),))


def kernel(operator: Operator) -> Kernel:
    """The fused kernel of an operator."""
    like = LIKE.get(operator.function, "stream")
    return Kernel(operator.name, like, operator.cost, fill=fill(operator))


def fill(operator: Operator) -> Number:
    """Matrix work, in FLOP per unit of Hockney's n½, that stands for a device that is not yet full.

    A product of M × K by K × N takes as long as one with h more output elements: 2 K per unit of h. Causal
    attention takes as long as one with h more keys, half of them seen: (d_qk + d_v) per query, head and unit.
    """
    sizes = operator.sizes
    if operator.function is attention.index_scores:
        return 2 * sizes["qk_dim"]
    if LIKE.get(operator.function) == "gemm":
        return 2 * sizes["d_in"]
    if operator.function is attention.latent_attention:
        return sizes["batch"] * sizes["new"] * sizes["heads"] * (2 * sizes["kv_rank"] + sizes["rope_dim"])
    if LIKE.get(operator.function) == "attention":
        return sizes["batch"] * sizes["new"] * sizes["heads"] * (sizes["qk_dim"] + sizes["v_dim"])
    return 0
