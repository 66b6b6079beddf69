"""llama.cpp of 2026 on CUDA: which kernels a graph becomes, and what they move.

Read from the graphs (src/models/*.cpp), from the choice of kernels for products (ggml-cuda.cu,
`ggml_cuda_mul_mat`), from what is fused (`ggml_cuda_try_fuse`), and from ssm-scan.cu, ssm-conv.cu and concat.cu.
Activations are fp32 throughout; states are gathered, joined with the new tokens, and copied back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import log

from roofsim.foundation.arith import Number, at_least, ceil, maximum, minimum, single
from roofsim.foundation.cost import Cost
from roofsim.lowering import fused, ggml, serving
from roofsim.lowering.kernels import FP16, FP32, Class, Kernel, Lowered, Situation, launched, piece, tiny
from roofsim.model.weights import bytes_per_weight
from roofsim.ops import attention, conv, gating, gemm, pointwise, recurrence, routing, scan
from roofsim.ops.base import CostFunction, Operator, Role
from roofsim.ops.pairs import causal_pairs

TILED_ROWS, BLOCK_ROWS, BLOCK_DEPTH = 16, 32, 64
"""Rows up to which weights in fp16 are multiplied without cuBLAS, and what of these has to divide them: the rows of a
block, and what a warp takes of each at once (`ggml_cuda_should_use_mmf`)."""
TILE_ROWS, TILE_COLUMNS, TILE_DEPTH = 128, 128, 256
"""Rows of weights and of activations in a tile of products on quantised weights, and what it takes of them in one
step (I, the largest J and K_vram of mmq-config-ampere.cuh)."""
TILE_STEP, WIDE_TILE = 8, 48
"""Steps in which tiles are narrower than that; twice as large beyond `WIDE_TILE` columns."""
COPIED = 1 / 2
"""Time to bring eight bits (q8_0) into a tile as they are, relative to fewer, which are masked, shifted and scaled.

Read by hand from prompts of three models in q8_0 and q4_k_m on an H100 (h100_llamacpp.csv).
"""
Q8_1 = 36 / 32
"""Bytes per element of activations that are quantised for a product: 32 bytes, a scale and a sum."""
SEQUENTIAL_TOKENS = 128
"""Tokens up to which a recurrence with one decay per head goes token by token (SSM_SSD_MIN_TOKENS)."""
CHUNK = 256
"""Tokens of a chunk beyond that (SSM_SSD_CHUNK_SIZE)."""
BY_SEQUENCE = (Role.SEQUENCE_PROJECTION, Role.SEQUENCE_OUT, Role.SCAN_IN, Role.STATE_PARAMETERS, Role.SCAN_OUT)
"""Products that graphs make in three dimensions, a matrix for each sequence: of short convolutions, selective scans."""
TILED_TOKENS, TILED_TOKENS_NARROW, WIDE_EXPERT = 128, 512, 1024
"""Tokens up to which experts in fp16 are one kernel, if they have more than `WIDE_EXPERT` results, and if not."""
AS_THEY_ARE = (bytes_per_weight("q8_0"), bytes_per_weight("q4_0"))
"""Bytes per element of caches that the vector kernel is compiled for beside 16 bits (GGML_CUDA_FA_QUANTS)."""
VERIFIED = 3
"""Tokens of a sequence from which on attention is by tiles (`Q->ne[1] <= 2` in `ggml_cuda_get_best_fattn_kernel`)."""
VECTOR_WIDTH, WIDE_HEAD, SHARED_HEADS, SHARED_KEYS = 64, 256, 4, 8192
"""Widths of heads for which there is a vector kernel are multiples, up to the widest; where more heads share a key, it
is not used at that width or from so many keys on, unless the cache is in blocks."""
RING = 256
"""Cells of which a window's cache has a multiple (src/ of llama.cpp: kv-cache-iswa)."""
THREADS = 128
"""Threads of a block in the kernels for states."""
HEAD_WAITS, CHANNEL_WAITS, COLUMN_WAITS = 2 * 3 / 2, 3 * 3 / 2, 1 * 3 / 2
"""Waits for the cache of a token in a scan, counted in the source (ssm-scan.cu, gated_delta_net.cu). With a decay per
head Δ is read, and after its exponentials x, B and C; with one per channel B and C for all threads, Δ, and x; by the
delta rule all at once. The arithmetic between, exponentials, barriers and sums over a warp, is taken as half of it."""
DELTA_FLOPS = 7
"""Per element of a state: what a key reads, the decay and what is written, and what a query reads."""


def linear(o: Operator, s: Situation) -> Lowered:
    """One product and its bias, which is a sum of its own from two rows on.

    In a gated layer's step of one row, gate, up and the activation are one kernel.
    """
    z = o.sizes
    several = at_least(z["tokens"], 2)
    product = _quantised(o, s, several) if float(z["weight_bytes"]) < FP16 else _half(o, s, several)
    bias = piece("bias", "strided", z["tokens"] * z["d_out"], 2 * FP32, count=several * z["bias"])
    return Lowered(launched(*product, bias))


def _rows(o: Operator, like: Class, tokens: Number) -> Kernel:
    """A kernel that reads the weights as they are stored."""
    z = o.sizes
    cost = replace(o.function(**{**z, "tokens": tokens}), activations=(z["d_in"] + z["d_out"]) * FP32 * tokens)
    return Kernel(o.name, like, cost)


def _by_sequence(o: Operator, like: Class) -> Kernel:
    """A step of a product in three dimensions: a row for each sequence, which reads all weights."""
    product = _rows(o, like, o.sizes["tokens"])
    return replace(product, cost=replace(product.cost, weights=o.sizes["tokens"] * product.cost.weights))


def _half(o: Operator, s: Situation, several: Number) -> tuple[Kernel, ...]:
    """One row by vectors, up to 16 by tiles, more by cuBLAS with activations converted to fp16 and back.

    Back ends without such a library multiply fp32 activations in kernels of their own, from nine rows on by tiles.
    Several rows take no more time than they would with the kernels for many, as quantised ones.
    """
    z = o.sizes
    tokens, converts = z["tokens"], s.runtime.matrix_library.converts
    if o.role in BY_SEQUENCE and s.p.phase == "decode":
        return (_by_sequence(o, "vector_product"),)
    joined, many = o.role is Role.FFN_GATE, at_least(tokens, (TILED_ROWS if converts else ggml.VECTOR_ROWS) + 1)
    if converts and (float(z["d_out"]) % BLOCK_ROWS or float(z["d_in"]) % BLOCK_DEPTH):
        many = several
    product = replace(_rows(o, "gemm", tokens), fill=fused.fill(o))
    product = replace(product, whole=_whole(s, z["d_in"] * z["d_out"], 1, tokens))
    by_library = launched(
        piece("to fp16", "strided", tokens * z["d_in"], FP32 + FP16, count=converts),
        product,
        piece("to fp32", "strided", tokens * z["d_out"], FP32 + FP16, count=converts),
    )
    tiles = replace(_rows(o, "row_product", tokens), count=several - many, instead=by_library)
    if converts:
        tiles = replace(tiles, blocks=z["d_out"] / BLOCK_ROWS)
    return (
        replace(_rows(o, "vector_product", tokens), count=1 - several, joined=joined),
        tiles,
        *(replace(each, count=many) for each in by_library),
    )


def _quantised(o: Operator, s: Situation, several: Number) -> tuple[Kernel, ...]:
    """Activations to q8_1, then vectors or, from nine rows on, tiles for the int8 unit and a sum of their parts.

    Back ends whose tiles are in fp16 unpack to that, and take activations as they are.
    Whatever the rows, each weight is unpacked at least once, as for one row. Few rows take no more time than they
    would in the kernels for many: the back end changes over where it is told to, not where it pays.
    """
    z = o.sizes
    tokens, library = z["tokens"], s.runtime.matrix_library
    many = at_least(tokens, ggml.VECTOR_ROWS + 1)
    one, by_tiles = _rows(o, "packed_product", 1), library.tiles
    if o.role in BY_SEQUENCE and s.p.phase == "decode":
        to_blocks = piece("to q8_1", "stream", tokens * z["d_in"], FP32 + Q8_1, 3, count=by_tiles == "int8")
        return to_blocks, _by_sequence(o, "packed_product")
    if library.dequantises_from is not None:
        copied = at_least(tokens, library.dequantises_from)
        return launched(
            piece("to q8_1", "stream", tokens * z["d_in"], FP32 + Q8_1, 3, count=1 - copied),
            replace(_rows(o, "packed_product", tokens), count=1 - copied), *_copied(o, tokens, copied),
        )  # fmt: skip
    if by_tiles == "fp16":
        product = replace(_rows(o, "gemm", tokens), unit="fp16", beneath=one, fill=fused.fill(o))
        product = replace(product, whole=_whole(s, z["d_in"] * z["d_out"], 1, tokens))
        few = replace(_rows(o, "packed_product", tokens), instead=(product,))
        return replace(few, count=1 - many), replace(product, count=many)
    columns = _columns(tokens, z["d_out"])
    tiles = replace(
        _tiled(_rows(o, "quantised_tiles", tokens), o, ceil(tokens / TILE_COLUMNS), columns, z["d_out"]),
        beneath=one, cuts=ceil(z["d_in"] / TILE_DEPTH), sums=TILE_ROWS * columns * FP32,
    )  # fmt: skip
    parts = tiny("sum of parts")
    vectors = replace(_rows(o, "packed_product", tokens), instead=(tiles, parts))
    joined = o.role is Role.FFN_GATE
    return (
        piece("to q8_1", "stream", tokens * z["d_in"], FP32 + Q8_1, 3, count=several if joined else 1),
        replace(vectors, count=1 - several, joined=joined),
        replace(vectors, count=several - many),
        replace(tiles, count=many),
        replace(parts, count=many),
    )


def _copied(o: Operator, tokens: Number, count: Number) -> tuple[Kernel, ...]:
    """A copy of weights in fp16, activations to that, the library's product, and results back to fp32."""
    z = o.sizes
    weights = z["d_in"] * z["d_out"]
    copy = Cost(weights=weights * z["weight_bytes"], activations=weights * FP16)
    moved = (weights + (z["d_in"] + z["d_out"]) * tokens) * FP16
    product = Kernel(o.name, "gemm", Cost(matrix=o.cost.matrix, activations=moved), count, fused.fill(o), unit="fp16")
    return (
        Kernel("weights to fp16", "strided", copy, count),
        piece("to fp16", "strided", tokens * z["d_in"], FP32 + FP16, count=count),
        product,
        piece("to fp32", "strided", tokens * z["d_out"], FP32 + FP16, count=count),
    )


def _whole(s: Situation, weights: Number, matrices: Number, rows: Number, uneven: bool = False) -> Number | None:
    """FLOP of whole tiles of rows with so many matrices of `weights` each, `rows` a matrix; None where they are cut.

    Rows may differ from matrix to matrix (`uneven`).
    """
    most = s.runtime.matrix_library.tile_rows
    if most is None:
        return None
    tiles = fused.uneven_tiles(rows, most) if uneven else ceil(rows / most)
    return 2 * weights * matrices * most * tiles


def _tiled(product: Kernel, o: Operator, across: Number, columns: Number, width: Number) -> Kernel:
    """The product in so many tiles across, each of which is computed whole and unpacks its weights first."""
    z = o.sizes
    column = 2 * TILE_ROWS * TILE_DEPTH * ceil(z["d_in"] / TILE_DEPTH)
    return replace(
        product, unit="int8", tiles=across * ceil(width / TILE_ROWS), tile=columns * column,
        unpacking=column * (COPIED if float(z["weight_bytes"]) > 1 else 1),
    )  # fmt: skip


def _columns(tokens: Number, width: Number) -> Number:
    """Columns of a tile: the narrowest of those that leave as few tiles across as the widest (`mul_mat_q_switch_J`).

    Weights whose last tile is not full have but five widths, each twice the one before.
    """
    most = ceil(tokens / ceil(tokens / TILE_COLUMNS))
    if float(width) % TILE_ROWS:
        doubled: Number = sum(2**n * at_least(most, 2**n * TILE_STEP + 1) for n in range(4))
        return TILE_STEP * (1 + doubled)
    step = TILE_STEP * (1 + at_least(most, WIDE_TILE + 1))
    columns: Number = step * ceil(most / step)
    return columns


def experts(o: Operator, s: Situation) -> Lowered:
    """The products of the chosen experts: gate and up one each, but one of both in a step of one token."""
    z = o.sizes
    halves = 2 if o.role is Role.EXPERT_IN else 1
    rows, width = z["tokens"] * z["top_k"], z["d_out"] / halves
    each = replace(o.cost * (1 / halves), activations=(z["d_in"] + width) * FP32 * rows)
    touched = _touched(z["tokens"], z["experts"], z["top_k"], s)
    each = replace(each, weights=touched / gemm.experts_touched(z["tokens"], z["experts"], z["top_k"]) * each.weights)
    split = _packed_experts if float(z["weight_bytes"]) < FP16 else _half_experts
    return Lowered(launched(*split(o, s, each, halves, width, touched)))


def _touched(tokens: Number, experts: Number, top_k: Number, s: Situation) -> Number:
    """Distinct experts that any token chooses, some more often than others: E (1 − (1 + c² m)^(−1/c²)).

    How often an expert is chosen goes by a gamma distribution with a standard deviation of c of its mean; m is −n
    ln(1 − k/E), so that with c = 0 it is what tokens that choose evenly touch.
    """
    policy = s.runtime.parallel.expert_spread
    if policy is None or not policy.value or float(top_k) == float(experts):
        return gemm.experts_touched(tokens, experts, top_k)
    square = policy.value**2
    mean = -tokens * log(1 - float(top_k) / float(experts))
    return maximum(experts * (1 - (1 + square * mean) ** (-1 / square)), top_k)


def _packed_experts(
    o: Operator, s: Situation, each: Cost, halves: int, width: Number, touched: Number
) -> tuple[Kernel, ...]:
    """Few tokens by vectors, a matrix for every token and expert; more by tiles, sorted by expert.

    Tokens that chose the same expert find its rows in the cache: blocks go through the rows for all of them at once.

    A tile is as wide as if all tokens chose the same expert (`ncols_opt`). None is cut: all experts, chosen or not,
    count as tiles that fill the rounds of the units.
    """
    z = o.sizes
    rows = z["tokens"] * z["top_k"]
    several, many = at_least(z["tokens"], 2), at_least(z["tokens"], s.runtime.matrix_library.expert_rows + 1)
    matrix = z["d_in"] * width * z["weight_bytes"]
    once = minimum(touched, rows)
    read, shared = replace(each, weights=once * matrix), (rows - once) * matrix
    inputs = z["tokens"] if o.role is Role.EXPERT_IN else rows
    mean = rows / touched
    columns = _columns(z["tokens"], width)
    across = touched * fused.uneven_tiles(mean, columns)
    tiles = _tiled(Kernel(o.name, "quantised_tiles", each), o, across, columns, width)
    int8 = s.runtime.matrix_library.tiles == "int8"
    if not int8:
        tiles = Kernel(o.name, "gemm", each, fill=fused.fill(o), unit="fp16")
        tiles = replace(tiles, whole=_whole(s, z["d_in"] * width, touched, mean, uneven=True))
    sorts, sums = tiny("sort by expert"), tiny("sum of parts", int8)
    few = Kernel(o.name, "packed_product", read, (several - many) * halves, again=shared)
    return (
        piece("to q8_1", "stream", inputs * z["d_in"], FP32 + Q8_1, 3, count=int8 + int8 * several * (halves - 1)),
        Kernel(o.name, "packed_product", read * halves, 1 - several),
        replace(few, instead=(sorts, tiles, sums)),
        *(replace(k, count=k.count * many * halves) for k in (sorts, tiles, sums)),
    )  # fmt: skip


def _half_experts(
    o: Operator, s: Situation, each: Cost, halves: int, width: Number, touched: Number
) -> tuple[Kernel, ...]:
    """Tiles of 16 rows as far as these are told to, sorted by expert from 17 tokens on; each reads its weights.

    Beyond, rows are gathered by expert and put back, and every expert that has any goes to cuBLAS for itself.
    """
    z = o.sizes
    rows = z["tokens"] * z["top_k"]
    across = fused.uneven_tiles(rows / touched, TILED_ROWS)
    most = TILED_TOKENS if float(width) > WIDE_EXPERT else TILED_TOKENS_NARROW
    together = Kernel(o.name, "row_product", each, halves)
    looped: Number = 0
    if s.runtime.matrix_library.converts:
        looped = halves * at_least(z["tokens"], most + 1)
        blocks = touched * across * width / BLOCK_ROWS
        together = replace(together, count=halves - looped, blocks=blocks, again=(across - 1) * each.weights)
    return (
        tiny("sort by expert", (halves - looped) * at_least(z["tokens"], TILED_ROWS + 1)),
        together,
        piece("gather", "strided", rows * z["d_in"], FP32 + FP16, count=looped),
        Kernel(o.name, "gemm", each * (1 / touched), looped * touched, fill=fused.fill(o)),
        piece("to fp32", "strided", rows / touched * width, FP32 + FP16, count=looped * touched),
        piece("put back", "strided", rows * width, 2 * FP32, count=looped),
    )


def choice(o: Operator, s: Situation) -> Lowered:
    """Softmax, the best experts, their weights and the bound of these, one kernel (topk-moe.cu)."""
    scores = o.sizes["tokens"] * o.sizes["experts"]
    return Lowered((piece("choose", "stream", scores, FP32, 6),))


def combination(o: Operator, s: Situation) -> Lowered:
    """What experts made times its weight, summed up in one kernel (moe-weighted-reduction.cu)."""
    z = o.sizes
    elements = z["tokens"] * z["width"]
    return Lowered((piece("combine", "stream", elements, (z["top_k"] + 1) * FP32, 2 * z["top_k"]),))


def norm(o: Operator, s: Situation) -> Lowered:
    """The norm with its weight."""
    return Lowered((piece("norm", "stream", o.sizes["tokens"] * o.sizes["width"], 2 * FP32, 4),))


def layer_norm(o: Operator, s: Situation) -> Lowered:
    """The norm, then weight and bias."""
    elements = o.sizes["tokens"] * o.sizes["width"]
    return Lowered((
        piece("norm", "stream", elements, 2 * FP32, 4), piece("weight and bias", "strided", elements, 2 * FP32, count=2)
    ))  # fmt: skip


def gated_activation(o: Operator, s: Situation) -> Lowered:
    """The activation and the product; a part of the product before it where there is one token."""
    z = o.sizes
    several = at_least(minimum(z["tokens"], s.p.tokens), 2)  # rows of experts are more than tokens
    return Lowered(launched(piece("gate", "stream", z["tokens"] * z["width"], 3 * FP32, 5, count=several)))


def state_gate(o: Operator, s: Situation) -> Lowered:
    """The gate taken out of the product, the activation, and the norm with its weight."""
    elements = o.sizes["tokens"] * o.sizes["width"]
    return Lowered((
        piece("contiguous", "strided", elements, 2 * FP32), piece("gate", "stream", elements, 3 * FP32, 5),
        *norm(o, s).kernels,
    ))  # fmt: skip


def product(o: Operator, s: Situation) -> Lowered:
    """Two tensors, or parts of one, multiplied."""
    return Lowered((piece("product", "strided", o.sizes["tokens"] * o.sizes["width"], 3 * FP32),))


def cache_append(o: Operator, s: Situation) -> Lowered:
    """Values, converted into the cache; keys are, by the kernel that turns them, but to blocks by one of their own."""
    z = o.sizes
    if float(z["cache_bytes"]) < FP16:
        return ggml.cache_append(o, s)
    new = s.p.tokens * z["width"] / 2
    return Lowered((Kernel("append", "strided", Cost(activations=new * FP32, state=2 * new * z["cache_bytes"])),))


def add(o: Operator, s: Situation) -> Lowered:
    """The sum."""
    return Lowered((piece("add", "strided", o.sizes["tokens"] * o.sizes["width"], 3 * FP32),))


def causal_attention(o: Operator, s: Situation) -> Lowered:
    """Flash attention and the sum of its parts; before it, of several sequences, how far the mask lets each tile see.

    Of one sequence that is not asked (from 1,024 tokens on it would be): each query of a piece scores all keys, which
    units share out among them where there are fewer tiles of queries than units (`launch_fattn`, stream_k).
    Kernels for many queries read fp16: what a cache holds otherwise is copied to that first, keys and values each.
    A step reads all cells of a window's cache, which has room for a piece of a prompt beside the window.
    """
    z = o.sizes
    several, visible = at_least(z["batch"], 2), _cells(o, s)
    more: Number = 1
    if s.p.phase == "decode":
        more = visible / (minimum(z["context"], z["window"] - 1) + z["new"])
    cost = replace(o.cost, matrix=o.cost.matrix * more, vector=o.cost.vector * more, state=o.cost.state * more)
    kernel, held, copy = replace(fused.kernel(o), cost=cost), cost.state, _copy(o, s) * more
    before: tuple[Kernel, ...] = ()
    if not single(copy) or copy:
        before = (Kernel("to fp16", "strided", Cost(activations=copy, state=held) * (1 / 2), 2),)
        kernel = replace(kernel, cost=replace(cost, activations=cost.activations + copy, state=0))
        held = copy
    if s.p.phase == "decode":
        apart = _each_head(o, s, visible, several) * (1 - at_least(z["new"], VERIFIED))
        others = z["heads"] / z["kv_heads"] - 1
        kernel = replace(fused.in_parts(kernel, o), again=apart * others * held)
        blocks = z["batch"] * z["kv_heads"] * (1 + apart * others)
        parts = replace(tiny("sum of parts"), blocks=blocks, parts=visible / fused.KEYS)
    else:
        parts = tiny("sum of parts")
        mean = causal_pairs(z["new"], z["context"], z["window"]) / z["new"]
        all_keys = maximum(fused.FEWEST * z["kv_heads"] / (z["new"] * z["heads"]), 1) * visible / mean
        kernel = replace(
            kernel, spread=several * kernel.spread + (1 - several) * fused.in_parts(kernel, o).spread,
            padding=several * kernel.padding + (1 - several) * all_keys,
        )  # fmt: skip
    return Lowered(launched(*before, tiny("mask", several), kernel, parts), copy)


def _cells(o: Operator, s: Situation) -> Number:
    """Cells of the cache that are in use: of a window's, a ring, as many as it has (llama.cpp: kv-cache-iswa)."""
    z = o.sizes
    ring = z["window"] + (s.runtime.memory.chunk or z["new"])
    return minimum(z["context"] + z["new"], RING * ceil(ring / RING))


def _by_vectors(o: Operator) -> bool:
    """Whether there is a vector kernel for such heads."""
    width = float(o.sizes["qk_dim"])
    return not width % VECTOR_WIDTH and width <= WIDE_HEAD


def _copy(o: Operator, s: Situation) -> Number:
    """Bytes of keys and values in fp16 to which a cache is copied: of 16 bits, or read by vector kernels, it is not."""
    size = float(o.sizes["cache_bytes"])
    read = s.p.phase == "decode" and size in AS_THEY_ARE and _by_vectors(o)
    if size == FP16 or read or not s.runtime.attention.converts_cache:
        return 0
    return o.cost.state / o.sizes["cache_bytes"] * FP16


def _each_head(o: Operator, s: Situation, visible: Number, several: Number) -> Number:
    """1 where keys are read for every query head, else 0 (`ggml_cuda_get_best_fattn_kernel`).

    In blocks they are in any step, else in that of one sequence on newer devices.
    """
    z = o.sizes
    if not _by_vectors(o):
        return 0
    if float(z["cache_bytes"]) < FP16 and s.runtime.attention.converts_cache:
        return 1
    if not s.each_head:
        return 0
    if float(z["heads"]) <= SHARED_HEADS * float(z["kv_heads"]):
        return 1 - several
    wide = float(z["qk_dim"]) == WIDE_HEAD
    return 0 if wide else (1 - at_least(visible, SHARED_KEYS)) * (1 - several)


def convolution(o: Operator, s: Situation) -> Lowered:
    """States gathered, joined with the new tokens row by row, the last ones copied back, and the convolution.

    The join has a block of threads for every channel of every sequence, whose tokens lie far apart.
    """
    z = o.sizes
    batch, new, channels = z["batch"], z["new"], z["channels"]
    held = batch * channels * (z["width"] - 1) * FP32
    elements = batch * new * channels
    return Lowered((
        Kernel("gather", "strided", Cost(activations=held, state=held)),
        Kernel("join", "strided", Cost(activations=2 * (elements * FP32 + held)), blocks=batch * channels,
               steps=ceil(new / THREADS)),
        Kernel("keep", "strided", Cost(activations=held, state=held)),
        Kernel(o.name, "stream", Cost(vector=o.cost.vector, weights=o.cost.weights, activations=2 * elements * FP32)),
    ))  # fmt: skip


def ssd_scan(o: Operator, s: Situation) -> Lowered:
    """Up to 128 tokens one after the other, a warp for each row of the state; more in chunks, by cuBLAS."""
    z = o.sizes
    tokens, inner = z["batch"] * z["new"], z["heads"] * z["head_dim"]
    chunked = at_least(z["new"], SEQUENTIAL_TOKENS + 1)
    state = z["batch"] * inner * z["d_state"] * FP32
    moved = tokens * (2 * inner + 2 * z["groups"] * z["d_state"] + z["heads"]) * FP32
    before = piece("step", "strided", tokens * z["heads"], 2 * FP32, count=2)
    one_by_one = Kernel(
        o.name, "scan", Cost(vector=9 * tokens * inner * z["d_state"], activations=moved, state=2 * state),
        count=1 - chunked, blocks=z["batch"] * inner / (THREADS / 32), waits=HEAD_WAITS * z["new"],
    )  # fmt: skip
    after = (
        Kernel("keep", "stream", Cost(state=2 * state)),
        piece("skip", "strided", tokens * inner, 2 * FP32), piece("add", "strided", tokens * inner, 3 * FP32),
    )  # fmt: skip
    return Lowered(launched(before, one_by_one, *_chunks(o, chunked), *after))


def _chunks(o: Operator, chunked: Number) -> tuple[Kernel, ...]:
    """Decays and first states, then for each chunk what the products read, four products a sequence, and a scaling.

    Prepared are B and x · Δ in fp16, C in fp32 and, in fp16, the decayed scores of every head; scores themselves, B
    and C are those of a group. The product inside a chunk is added to what came from the states.
    """
    z = o.sizes
    batch, heads, n = z["batch"], z["heads"], z["d_state"]
    inner = heads * z["head_dim"]
    times = ceil(z["new"] / CHUNK)
    length = z["new"] / times
    state = inner * n * FP32
    scores, both = z["groups"] * length * FP32, 2 * z["groups"] * n * FP32
    prepared = heads * (length * FP16 + n * (FP16 + FP32)) + inner * FP16
    read = inner * FP32 + both + scores + 2 * heads * FP32
    loops = chunked * times

    def multiplied(name: str, matrix: Number, moved: Number) -> Kernel:
        return Kernel(name, "gemm", Cost(matrix=matrix, activations=moved), loops * batch, unit="fp32")

    return (
        Kernel("decay", "scan", Cost(activations=3 * batch * z["new"] * heads * FP32), chunked),
        Kernel("first state", "stream", Cost(state=2 * batch * state), chunked),
        multiplied("scores", 2 * length * length * n * z["groups"], length * (both + scores)),
        piece("prepare", "strided", batch * length, read + prepared, 4 * heads * length, count=loops),
        multiplied("from states", 2 * length * inner * n, length * (heads * n + inner) * FP32 + state),
        multiplied(
            "inside", 2 * length * length * inner, length * (heads * length + inner) * FP16 + 2 * length * inner * FP32
        ),
        Kernel("scale", "stream", Cost(activations=2 * batch * state), loops),
        multiplied("states", 2 * length * inner * n, length * heads * (n + z["head_dim"]) * FP16 + 2 * state),
    )


def selective_scan(o: Operator, s: Situation) -> Lowered:
    """Token after token, 128 channels in a block."""
    z = o.sizes
    tokens, inner = z["batch"] * z["new"], z["d_inner"]
    elements, state = tokens * inner, z["batch"] * inner * z["d_state"] * FP32
    moved = tokens * (3 * inner + 2 * z["groups"] * z["d_state"]) * FP32
    cost = Cost(vector=o.cost.vector, weights=o.cost.weights, activations=moved, state=2 * state)
    return Lowered((
        piece("step", "strided", elements, 2 * FP32),
        Kernel(o.name, "scan", cost, blocks=z["batch"] * inner / THREADS, waits=CHANNEL_WAITS * z["new"]),
        Kernel("keep", "stream", Cost(state=2 * state)),
        piece("skip", "strided", elements, 2 * FP32), piece("add", "strided", elements, 3 * FP32),
        piece("contiguous", "strided", elements, 2 * FP32), piece("gate", "stream", elements, 3 * FP32, 5),
    ))  # fmt: skip


def delta_rule(o: Operator, s: Situation) -> Lowered:
    """Token after token, a warp for each column of a state, which is gathered before and copied back after.

    Before it β and the decay, four kernels on a number for each head, and the norms of queries and keys.
    """
    z = o.sizes
    tokens, elements = z["batch"] * z["new"], z["heads"] * z["qk_dim"] * z["v_dim"]
    keys, state = tokens * z["key_heads"] * z["qk_dim"], z["batch"] * elements * FP32
    moved = (2 * keys + tokens * z["heads"] * (2 * z["v_dim"] + z["gates"])) * FP32
    cost = Cost(vector=DELTA_FLOPS * tokens * elements, activations=moved, state=2 * state)
    columns = z["batch"] * z["heads"] * z["v_dim"]
    return Lowered((
        piece("gates", "strided", tokens * z["heads"], 2 * FP32, count=4),
        piece("normalise", "stream", keys, 2 * FP32, 3, count=1 + z["keys"]),
        Kernel("gather", "stream", Cost(state=2 * state)),
        Kernel(o.name, "scan", cost, blocks=columns / (THREADS / 32), waits=COLUMN_WAITS * z["new"]),
        Kernel("keep", "stream", Cost(state=2 * state)),
    ))  # fmt: skip


RULES: dict[CostFunction, Callable[[Operator, Situation], Lowered]] = {
    gemm.linear: linear,
    gemm.expert_linear: experts,
    routing.route: choice,
    routing.combine: combination,
    pointwise.rms_norm: norm,
    pointwise.layer_norm: layer_norm,
    pointwise.gated_activation: gated_activation,
    pointwise.gated_rms_norm: state_gate,
    gating.product: product,
    pointwise.add: add,
    attention.rotary: ggml.rotary,
    attention.cache_append: cache_append,
    attention.causal_attention: causal_attention,
    conv.causal_conv1d: convolution,
    conv.short_conv1d: convolution,
    scan.ssd_scan: ssd_scan,
    scan.selective_scan: selective_scan,
    recurrence.delta_rule: delta_rule,
}


def lower(operator: Operator, situation: Situation) -> Lowered:
    """The kernels of one operator; what has no rule here as a serving engine runs it."""
    return RULES.get(operator.function, serving.lower)(operator, situation)
