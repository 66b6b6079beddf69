"""llama.cpp of 2026 on a processor: which nodes of the graph its threads work through, and what they move.

Read from ggml-cpu.c (`ggml_compute_forward_mul_mat`, `ggml_cpu_try_fuse_ops`), repack.cpp, llamafile/sgemm.cpp,
tiled/tiled.cpp and ops.cpp. The graph is the one that ggml_cuda lowers; but each node is one loop of all threads with a
barrier after it, and only a norm and its weight are joined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from roofsim.foundation.arith import Number, at_least, maximum
from roofsim.foundation.cost import Cost
from roofsim.lowering import ggml_cuda
from roofsim.lowering.kernels import FP16, FP32, Class, Kernel, Lowered, Situation, launched, piece
from roofsim.ops import attention, conv, gemm, pointwise, routing, scan
from roofsim.ops.base import CostFunction, Operator

Q8 = 34 / 32
"""Bytes per element of activations that are quantised for a product: 32 bytes and a scale."""
SUPERBLOCK = 256
"""Weights of a row that a k-quant packs together; a row that they do not divide is stored in q5_0 or q8_0."""
FOUR_BITS = 4.5 / 8
"""Bytes per weight up to which blocks of 32 are interleaved by eight rows when a model is loaded."""
SCALING = 1 / 2
"""FLOP of the vector unit per FLOP of a block of 32 products: eight sums are converted, and added up times a scale."""
GROUP = 4
"""Rows of activations that interleaved weights meet together; fewer go row by row."""
TILE = 64
"""Queries and keys of a tile of attention (GGML_FA_TILE_Q, GGML_FA_TILE_KV); fewer queries go one by one."""
PADDED = 256
"""Cells by which the part of the cache that is looked at grows; from two of them on, threads share the keys."""
STATE_FLOPS = 5
"""Per element of a state: times the decay, B times x, their sum, and a multiply-add with C."""


def _loop(name: str, elements: Number, moved: Number, flops: Number = 1, count: Number = 1) -> Kernel:
    """An element-wise node that moves `moved` bytes per element."""
    return piece(name, "loop", elements, moved, flops, count)


def linear(o: Operator, s: Situation) -> Lowered:
    """Activations to the type that weights are multiplied in, the product, and its bias, a node of its own."""
    z = o.sizes
    bias = _loop("bias", z["tokens"] * z["d_out"], 2 * FP32, count=z["bias"])
    return Lowered(launched(*_product(o, s, z["tokens"]), bias))


def experts(o: Operator, s: Situation) -> Lowered:
    """The same with the rows that chose an expert, one expert after the other.

    Experts take their rows one by one if there are fewer than interleaved weights meet together.
    """
    z = o.sizes
    return Lowered(_product(o, s, z["tokens"] * z["top_k"] / z["experts"]))


def _product(o: Operator, s: Situation, rows: Number) -> tuple[Kernel, ...]:
    """One product; `rows` is how many rows of activations a weight meets.

    fp16 and blocks with signs (q8_0, q5_0) in small tiles of registers from two rows on, one row by dot products;
    k-quants and four bits by kernels for several rows, which a row by itself does not use. In releases that have
    these for blocks of 32 in four bits alone, k-quants go row by row. Whatever the rows, each weight is unpacked once.
    """
    z = o.sizes
    held = float(z["weight_bytes"])
    moved = (z["d_in"] + z["d_out"]) * FP32 * z["tokens"] * z.get("top_k", 1)
    cost = replace(o.cost, activations=moved)
    if not held < FP16:
        return (_converted(o, FP16), Kernel(o.name, "block_product", cost))
    packed = held <= FOUR_BITS or (held < 1 and float(z["d_in"]) % SUPERBLOCK == 0)
    one = Kernel(o.name, "unpacked_product", cost)
    single_rows = packed and held != FOUR_BITS and s.runtime.matrix_library.repacks == "four_bits"
    if single_rows or not packed:
        several = at_least(rows, 2)
        dots = replace(cost, vector=SCALING * cost.matrix)
        tiles = Kernel(o.name, "dot_product", dots, several, beneath=one, unit="int8")
        if single_rows:
            tiles = Kernel(o.name, "block_product", cost, several, beneath=one)
        return (_converted(o, Q8), replace(one, count=1 - several), tiles)
    several = at_least(rows, GROUP)
    # a row by itself reads and unpacks all the weights again
    alone = replace(cost, weights=cost.weights * maximum(rows, 1))
    return (
        _converted(o, Q8),
        Kernel(o.name, "unpacked_product", alone, 1 - several),
        Kernel(o.name, "repacked_product", cost, several, beneath=one),
    )


def _converted(o: Operator, to: Number) -> Kernel:
    """Activations in the type of the product; threads wait for each other before it, inside the same node."""
    z = o.sizes
    return _loop("convert", z["tokens"] * z["d_in"], FP32 + to, 3)


def causal_attention(o: Operator, s: Situation) -> Lowered:
    """Queries one by one, or in tiles where there are as many as a tile takes, which score the whole of each tile.

    A step over a long cache has its keys shared out among the threads, and their parts summed up after a barrier.
    """
    z = o.sizes
    tiled = at_least(z["new"], TILE)
    beyond = z["batch"] * z["new"] * z["heads"] * (TILE - 1) / 2  # half a tile more keys for every query
    flops = 2 * (z["qk_dim"] + z["v_dim"])
    tiles = replace(o.cost, matrix=o.cost.matrix + beyond * flops, vector=0)
    softmax = Cost(vector=o.cost.vector + beyond * z["pair_flops"])
    parts = at_least(z["context"] + z["new"], PADDED + 1) if s.p.phase == "decode" else 0
    return Lowered(launched(
        Kernel(o.name, "row_attention", o.cost, 1 - tiled),
        Kernel(o.name, "block_product", tiles, tiled),
        Kernel("softmax", "loop", softmax, tiled, joined=True),
        Kernel("sum of parts", "loop", Cost(), parts),
    ))  # fmt: skip


def convolution(o: Operator, s: Situation) -> Lowered:
    """States gathered, joined with the new tokens, the last ones copied back; the convolution, its bias, activation."""
    z = o.sizes
    held = z["batch"] * z["channels"] * (z["width"] - 1) * FP32
    elements = z["batch"] * z["new"] * z["channels"]
    activated = 1 if o.function is conv.causal_conv1d else 0
    taps = Cost(vector=2 * elements * z["width"], weights=o.cost.weights, activations=2 * elements * FP32)
    return Lowered(launched(
        Kernel("gather", "loop", Cost(activations=held, state=held)),
        Kernel("join", "scalar_loop", Cost(vector=elements, activations=2 * (elements * FP32 + held))),
        Kernel("keep", "loop", Cost(activations=held, state=held)),
        Kernel(o.name, "scalar_loop", taps),
        _loop("bias", elements, 2 * FP32, count=z["bias"]), _loop("silu", elements, 2 * FP32, 4, activated),
    ))  # fmt: skip


def ssd_scan(o: Operator, s: Situation) -> Lowered:
    """Token after token, by the vector unit: the state of a sequence goes through the cache at each.

    Before it the steps are copied and get their bias; after it states are kept and what is skipped is added.
    """
    z = o.sizes
    tokens, inner = z["batch"] * z["new"], z["heads"] * z["head_dim"]
    state = inner * z["d_state"] * FP32
    each = Cost(
        vector=STATE_FLOPS * inner * z["d_state"],
        activations=2 * state + (2 * inner + 2 * z["groups"] * z["d_state"] + z["heads"]) * FP32,
    )
    return Lowered((
        _loop("step", tokens * z["heads"], 2 * FP32, count=2),
        Kernel(o.name, "loop", each, tokens, joined=True), Kernel("barrier", "loop", Cost()),
        Kernel("keep", "loop", Cost(state=2 * z["batch"] * state)),
        _loop("skip", tokens * inner, 2 * FP32), _loop("add", tokens * inner, 3 * FP32),
    ))  # fmt: skip


def selective_scan(o: Operator, s: Situation) -> Lowered:
    """The nodes that CUDA has; the scan goes element after element of the state, with an exponential for each."""
    lowered = _as_on_cuda(o, s)
    kernels = tuple(replace(k, like="scalar_loop") if k.name == o.name else k for k in lowered.kernels)
    return replace(lowered, kernels=kernels)


def gated_activation(o: Operator, s: Situation) -> Lowered:
    """The activation and the product, one node whatever the rows."""
    return Lowered((_loop("gate", o.sizes["tokens"] * o.sizes["width"], 3 * FP32, 5),))


def choice(o: Operator, s: Situation) -> Lowered:
    """Softmax over the scores, sorting, the weights of the chosen, their sum, its bound, and the quotient."""
    z = o.sizes
    scores = z["tokens"] * z["experts"]
    return Lowered((
        _loop("softmax", scores, 2 * FP32, 5), _loop("sort", scores, 2 * FP32), Kernel("weights", "loop", Cost(), 4),
    ))  # fmt: skip


def combination(o: Operator, s: Situation) -> Lowered:
    """What experts made times its weight, and one sum for each expert but the first."""
    z = o.sizes
    elements = z["tokens"] * z["width"]
    return Lowered((
        _loop("weigh", elements * z["top_k"], 2 * FP32), _loop("add", elements, 3 * FP32, count=z["top_k"] - 1),
    ))  # fmt: skip


def _as_on_cuda(o: Operator, s: Situation) -> Lowered:
    """The nodes of the graph, which are the same; each a loop with its barrier, nothing of which fills a processor."""
    lowered = ggml_cuda.lower(o, s)
    kernels = tuple(Kernel(k.name, _like(k, s), k.cost, k.count, joined=k.joined) for k in lowered.kernels)
    return replace(lowered, kernels=kernels)


def _like(kernel: Kernel, s: Situation) -> Class:
    if kernel.like == "attention" and s.p.phase == "decode":
        return "row_attention"
    return "block_product" if kernel.like in ("gemm", "attention", "ssd") else "loop"


RULES: dict[CostFunction, Callable[[Operator, Situation], Lowered]] = {
    gemm.linear: linear,
    gemm.expert_linear: experts,
    routing.route: choice,
    routing.combine: combination,
    pointwise.gated_activation: gated_activation,
    attention.causal_attention: causal_attention,
    conv.causal_conv1d: convolution,
    conv.short_conv1d: convolution,
    scan.ssd_scan: ssd_scan,
    scan.selective_scan: selective_scan,
}


def lower(operator: Operator, situation: Situation) -> Lowered:
    """The nodes of one operator; what has no rule here as on CUDA."""
    return RULES.get(operator.function, _as_on_cuda)(operator, situation)
