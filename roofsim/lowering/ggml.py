"""llama.cpp's kernels: activations in fp32, products on quantised weights, little fused.

Read from the graphs that llama.cpp builds (`llm_build_norm`, `llm_build_kv`, `llm_build_ffn`) and from the CUDA back
end's choice of kernels for products (ggml-cuda.cu, `ggml_cuda_mul_mat`): up to eight rows by matrix-vector kernels that
read the weights as they are stored, more by tiles on quantised weights, or by cuBLAS on a copy in fp16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from roofsim.foundation.arith import Number, at_least, single
from roofsim.foundation.cost import Cost
from roofsim.lowering import fused, serving
from roofsim.lowering.kernels import FP32, Class, Kernel, Lowered, Situation, piece
from roofsim.ops import attention, gemm, pointwise
from roofsim.ops.base import CostFunction, Operator

FP16 = 2
VECTOR_ROWS = 8
"""Rows of activations up to which a product is done by the matrix-vector kernels (MMVQ_MAX_BATCH_SIZE)."""


def linear(o: Operator, s: Situation) -> Lowered:
    """One product; a copy of quantised weights in fp16 before it where the back end hands it to cuBLAS."""
    z = o.sizes
    tokens, quantised = z["tokens"], z["weight_bytes"] < FP16
    product = replace(fused.kernel(o), cost=replace(o.cost, activations=(z["d_in"] + z["d_out"]) * FP32 * tokens))
    rows = replace(product, like="quantised_product" if quantised else "stream", fill=0)
    many = at_least(tokens, VECTOR_ROWS + 1)
    if single(many) and not many:
        return Lowered((rows,))
    few = () if single(many) else (replace(rows, count=1 - many),)
    threshold = s.runtime.matrix_library.dequantises_from
    if threshold is None or not quantised:
        return Lowered((*few, replace(product, count=many)))
    weights = z["d_in"] * z["d_out"]
    copied = at_least(tokens, threshold)
    copy = Kernel("to fp16", "stream", Cost(weights=weights * z["weight_bytes"], activations=weights * FP16), copied)
    moved = product.cost.activations + copied * weights * FP16
    work = replace(product.cost, weights=(1 - copied) * product.cost.weights, activations=moved)
    return Lowered((*few, copy, replace(product, cost=work, count=many)), copied * weights * FP16)


def norm(o: Operator, s: Situation) -> Lowered:
    """The norm, then the product with its weight."""
    elements = o.sizes["tokens"] * o.sizes["width"]
    return Lowered((piece("norm", "stream", elements, 2 * FP32, 3), piece("weight", "stream", elements, 2 * FP32)))


def gated_activation(o: Operator, s: Situation) -> Lowered:
    """The activation, then the product."""
    elements = o.sizes["tokens"] * o.sizes["width"]
    return Lowered((piece("act", "stream", elements, 2 * FP32, 5), piece("product", "stream", elements, 3 * FP32)))


def rotary(o: Operator, s: Situation) -> Lowered:
    """Queries, then keys."""
    return Lowered((piece("rope", "stream", o.sizes["tokens"] * o.sizes["width"] / 2, 2 * FP32, 3, count=2),))


def cache_append(o: Operator, s: Situation) -> Lowered:
    """Keys, then values, converted into the cache."""
    z = o.sizes
    new = s.p.tokens * z["width"] / 2
    return Lowered((Kernel("append", "strided", Cost(activations=new * FP32, state=new * z["cache_bytes"]), 2),))


def add(o: Operator, s: Situation) -> Lowered:
    """The sum."""
    return Lowered((piece("add", "stream", o.sizes["tokens"] * o.sizes["width"], 3 * FP32),))


def causal_attention(o: Operator, s: Situation) -> Lowered:
    """Flash attention, or written out: scores of all pairs in fp32, masked softmax, conversion, product with V."""
    z = o.sizes
    if s.runtime.attention.kernel == "flash":
        return Lowered((fused.kernel(o),))
    seen, qk, v = z["context"] + z["new"], z["qk_dim"], z["v_dim"]
    pairs: Number = z["batch"] * z["new"] * seen * z["heads"]
    held = z["batch"] * seen * z["kv_heads"] * z["cache_bytes"]
    rows = z["batch"] * z["new"] * z["heads"] * FP32
    # every query head reads its keys and values for itself; what is read again may still be in the cache
    again = held * (z["heads"] / z["kv_heads"] - 1)
    scores = Cost(matrix=2 * pairs * qk, activations=pairs * FP32 + (rows + again) * qk, state=held * qk)
    values = Cost(matrix=2 * pairs * v, activations=pairs * FP16 + (rows + again) * v, state=held * v)
    like: Class = "stream" if s.p.phase == "decode" else "gemm"
    kernels = (
        Kernel("scores", like, scores),
        piece("softmax", "stream", pairs, 2 * FP32, 5),
        piece("to fp16", "stream", pairs, FP32 + FP16),
        Kernel("values", like, values),
        piece("merge heads", "strided", rows / FP32 * z["v_dim"], 2 * FP32),
    )
    return Lowered(kernels, pairs * (FP32 + FP16))


RULES: dict[CostFunction, Callable[[Operator, Situation], Lowered]] = {
    gemm.linear: linear,
    pointwise.rms_norm: norm,
    pointwise.layer_norm: norm,
    pointwise.gated_activation: gated_activation,
    pointwise.add: add,
    attention.rotary: rotary,
    attention.cache_append: cache_append,
    attention.causal_attention: causal_attention,
}


def lower(operator: Operator, situation: Situation) -> Lowered:
    """The kernels of one operator; state-space layers as a serving engine runs them."""
    return RULES.get(operator.function, serving.lower)(operator, situation)
