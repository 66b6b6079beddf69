"""mamba_ssm's own models: one fused sum and norm per layer, its own kernels, and little else.

Read from mamba_ssm 2.2.4 (MambaLMHeadModel with `fused_add_norm` and `residual_in_fp32`), as a plain forward
without inference parameters for the prefill and with them for a decode step.
"""

from __future__ import annotations

from dataclasses import replace

from roofsim.foundation.cost import Cost
from roofsim.lowering import fused
from roofsim.lowering.eager import decay, ssd_kernels, whole_tiles, writes_ungated
from roofsim.lowering.kernels import FP32, Kernel, Lowered, Situation, piece
from roofsim.ops import conv, gemm, pointwise, scan
from roofsim.ops.base import Operator


def lower(operator: Operator, situation: Situation) -> Lowered:
    """The kernels of one operator."""
    z, decoding = operator.sizes, situation.p.phase == "decode"
    if operator.function is pointwise.rms_norm:
        # Triton: stream + branch, both in and out, the stream in fp32; the sum of the layer is part of it
        elements = z["tokens"] * z["width"]
        moved = Cost(vector=5 * elements, activations=elements * 2 * (FP32 + z["act_bytes"]))
        return Lowered((Kernel("add and norm", "stream", moved, triton=True),), elements * FP32)
    if operator.function is pointwise.add:
        return Lowered((), out=operator.out)
    if operator.function is pointwise.gated_rms_norm:
        return Lowered((replace(fused.kernel(operator), triton=True),))
    if operator.function is scan.ssd_scan:
        if decoding:
            return Lowered((decay(), replace(fused.kernel(operator), like="stream", triton=True)))
        return Lowered((decay(), *ssd_kernels(operator)))
    if operator.function is scan.selective_scan:
        if decoding:
            return Lowered((decay(2), replace(fused.kernel(operator), like="stream", triton=True)))
        tokens, a = z["batch"] * z["new"], z["act_bytes"]
        rows = piece("to rows", "transpose", tokens * z["d_state"], 2 * a, count=2)
        return Lowered((decay(), rows, writes_ungated(fused.kernel(operator), tokens * z["d_inner"] * a)))
    if operator.function is conv.causal_conv1d:
        return Lowered((replace(fused.kernel(operator), like="strided"),))
    if operator.function is gemm.linear:
        return Lowered((whole_tiles(fused.product(operator, situation.p), operator, situation),))
    return fused.lower(operator, situation)
