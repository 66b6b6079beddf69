"""A serving engine's kernels: products joined, sums fused with norms, caches written in place, attention paged.

As vLLM's model code arranges them: one product for queries, keys and values, one for gate and up, one kernel
for sum and norm, for the rotation in place and for the gated activation; state-space layers with mamba_ssm's scan.
"""

from __future__ import annotations

from dataclasses import replace

from roofsim.foundation.cost import Cost
from roofsim.lowering import fused
from roofsim.lowering.eager import decay, ssd_kernels
from roofsim.lowering.kernels import Kernel, Lowered, Situation, piece, tiny
from roofsim.ops import gemm, pointwise, recurrence, scan
from roofsim.ops.base import Operator, Role

JOINED = (Role.KEY, Role.VALUE, Role.FFN_UP)
"""Products that are columns of the one before them."""


def lower(operator: Operator, situation: Situation) -> Lowered:
    """The kernels of one operator."""
    z = operator.sizes
    if operator.function is gemm.linear:
        product = fused.kernel(operator)
        return Lowered((replace(product, fill=0, joined=True),) if operator.role in JOINED else (product,))
    if operator.function in (pointwise.rms_norm, pointwise.layer_norm):
        elements = z["tokens"] * z["width"]
        moved = Cost(vector=5 * elements, activations=4 * elements * z["act_bytes"])
        return Lowered((Kernel("add and norm", "stream", moved),))
    if operator.role is Role.RESIDUAL:
        return Lowered(())
    if fused.LIKE.get(operator.function) == "attention" and situation.p.phase == "decode":
        return Lowered((fused.kernel(operator), Kernel("sum of splits", "stream", Cost())))
    if operator.function is scan.ssd_scan:
        if situation.p.phase == "decode":
            return Lowered((replace(fused.kernel(operator), like="stream", triton=True),))
        return Lowered((decay(1), *ssd_kernels(operator)))
    if operator.function is recurrence.delta_rule and situation.p.phase == "prefill":
        keys = z["batch"] * z["new"] * z["key_heads"] * z["qk_dim"]
        normalised = piece("normalise", "stream", keys, 2 * z["act_bytes"], 3, count=1 + z["keys"])
        return Lowered((normalised, tiny("decay"), fused.kernel(operator)))
    if operator.function in (scan.selective_scan, recurrence.delta_rule) and situation.p.phase == "decode":
        return Lowered((replace(fused.kernel(operator), like="stream", triton=True),))
    return fused.lower(operator, situation)
