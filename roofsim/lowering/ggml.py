"""llama.cpp's kernels: activations in fp32, products on quantised weights, little fused.

Read from the graphs that llama.cpp builds (`llm_build_norm`, `llm_build_kv`, `llm_build_ffn`) and from the CUDA back
end's choice of kernels for products (ggml-cuda.cu, `ggml_cuda_mul_mat`): up to eight rows by matrix-vector kernels that
read the weights as they are stored, more by tiles on quantised weights, or by cuBLAS on a copy in fp16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from roofsim.foundation.arith import Number, at_least, maximum, single
from roofsim.foundation.cost import Cost
from roofsim.lowering import fused, serving
from roofsim.lowering.kernels import FP16, FP32, Class, Kernel, Lowered, Situation, piece
from roofsim.ops import attention, gemm, pointwise
from roofsim.ops.base import CostFunction, Operator

VECTOR_ROWS = 8
"""Rows of activations up to which a product is done by the matrix-vector kernels (MMVQ_MAX_BATCH_SIZE)."""


def linear(o: Operator, s: Situation) -> Lowered:
    """One product; a copy of quantised weights in fp16 before it where the back end hands it to cuBLAS.

    Whatever the rows, each weight is unpacked at least once, as for one row. Few rows take no more time than they
    would in the kernels for many: the back end changes over where it is told to, not where it pays.
    """
    tokens = o.sizes["tokens"]
    rows, one = _rows(o, tokens), _rows(o, 1)
    many = at_least(tokens, VECTOR_ROWS + 1)
    products, temporary = _tiles(o, s, one)
    if not single(many):
        few = replace(rows, count=1 - many, instead=products)
        return Lowered((few, *(replace(each, count=each.count * many) for each in products)), many * temporary)
    return Lowered(products, temporary) if many else Lowered((replace(rows, instead=products),))


def _rows(o: Operator, tokens: Number) -> Kernel:
    """The matrix-vector kernel, which reads the weights as they are stored."""
    like: Class = "packed_product" if float(o.sizes["weight_bytes"]) < FP16 else "row_product"
    return Kernel(o.name, like, _cost(o, tokens))


def _tiles(o: Operator, s: Situation, one: Kernel) -> tuple[tuple[Kernel, ...], Number]:
    """The kernels for many rows, and the bytes that they need beside their results."""
    z = o.sizes
    product = replace(fused.kernel(o), cost=_cost(o, z["tokens"]))
    threshold = s.runtime.matrix_library.dequantises_from
    if threshold is None or not float(z["weight_bytes"]) < FP16:
        return (replace(product, beneath=one),), 0
    weights = z["d_in"] * z["d_out"]
    copied = at_least(maximum(z["tokens"], VECTOR_ROWS + 1), threshold)
    moved = Cost(weights=weights * z["weight_bytes"], activations=weights * FP16)
    copy = Kernel("to fp16", "strided", moved, copied, beneath=one)
    moved = replace(product.cost, weights=(1 - copied) * product.cost.weights)
    moved = replace(moved, activations=product.cost.activations + copied * weights * FP16)
    return (copy, replace(product, cost=moved)), copied * weights * FP16


def _cost(o: Operator, tokens: Number) -> Cost:
    """The cost of a product of so many rows of fp32."""
    cost = o.function(**{**o.sizes, "tokens": tokens})
    return replace(cost, activations=(o.sizes["d_in"] + o.sizes["d_out"]) * FP32 * tokens)


def norm(o: Operator, s: Situation) -> Lowered:
    """The norm, then the product with its weight."""
    elements = o.sizes["tokens"] * o.sizes["width"]
    return Lowered((piece("norm", "stream", elements, 2 * FP32, 3), piece("weight", "stream", elements, 2 * FP32)))


def gated_activation(o: Operator, s: Situation) -> Lowered:
    """The activation, then the product."""
    elements = o.sizes["tokens"] * o.sizes["width"]
    return Lowered((piece("act", "stream", elements, 2 * FP32, 5), piece("product", "stream", elements, 3 * FP32)))


def rotary(o: Operator, s: Situation) -> Lowered:
    """Queries, then keys; by the CUDA back end of 2026 these go into the cache on the way."""
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
