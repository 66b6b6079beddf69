"""The ideal: every operator is one kernel that moves nothing twice."""

from __future__ import annotations

from dataclasses import replace

from roofsim.foundation.arith import Number, at_least, ceil, maximum, minimum, single
from roofsim.foundation.cost import Cost
from roofsim.lowering.kernels import Class, Kernel, Lowered, Situation, piece
from roofsim.model.step import Pass, Product
from roofsim.model.weights import ACTIVATION_BYTES
from roofsim.ops import attention, conv, gemm, pointwise, recurrence, scan
from roofsim.ops.base import CostFunction, Operator
from roofsim.ops.pairs import causal_pairs

QUANTISE_FLOPS = 4
"""Size, the largest, product with the scale, limit: what quantising an element takes."""

COPIED_FROM = {"copied_from_2": 2, "copied_from_9": 9}
"""Rows from which on weights are unpacked to a copy: bitsandbytes 0.45 (`matmul_4bit`), GGUF in transformers 5.17
(`MAX_GEMV_ROWS`)."""

TILE = 128
"""Rows and columns of a tile of a product on narrower units."""
FEW_ROWS = 64
"""Rows up to which such a product has tiles as small as any."""

FEW_LOOKED_UP = 16
"""Rows up to which a look-up takes them one after the other (`index_select_out_cuda_impl` in Indexing.cu)."""

BESIDE = 640
"""Inputs in whose time a tile of DeepGEMM waits for its first data and writes its results: 4 % off at most over ten
published products of 512 to 16,384 inputs (`data/published/deepgemm.csv`, tests/validation/test_deepgemm.py)."""

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
FEWEST = 64
"""Rows of queries whose time an attention kernel takes at least (`kBlockM` in FlashAttention-2 on a paged cache)."""
KEYS = 128
"""Keys of a tile there (`kBlockN` at head width 128): no part of a split has fewer."""


def lower(operator: Operator, situation: Situation) -> Lowered:
    """One kernel with the operator's own cost, on the unit that computes it."""
    return Lowered((product(operator, situation.p),))


def product(operator: Operator, p: Pass) -> Kernel:
    """The fused kernel; a product on the unit of a narrower dtype reads activations that were quantised to it."""
    plain, unit = kernel(operator), unit_of(operator, p)
    if unit is None:
        return plain
    z = operator.sizes
    narrower = z["act_bytes"] - ACTIVATION_BYTES[unit]
    moved = plain.cost.activations - rows(operator) * z["d_in"] * narrower
    return replace(plain, cost=replace(plain.cost, activations=moved), unit=unit)


def computed(operator: Operator, p: Pass) -> Product:
    """How a linear layer is computed, of experts or not; products of other kinds are as activations are."""
    linear = operator.function in (gemm.linear, gemm.expert_linear)
    return p.precision.product(operator.name) if linear else "weights_only"


def unit_of(operator: Operator, p: Pass) -> str | None:
    """The dtype whose matrix unit does its products, None if it is that of activations."""
    how = computed(operator, p)
    return how if how in ACTIVATION_BYTES else None


def products(operator: Operator, p: Pass, inputs: Number) -> tuple[tuple[Kernel, ...], Number]:
    """The kernels of a linear layer, the product last, and the bytes that they need beside its result.

    Before a product on narrower units, `inputs` rows are quantised. Few rows on weights that a kernel
    unpacks go to a kernel that reads them as they are, more to a product that reads the copy.
    """
    z, unit, last = operator.sizes, unit_of(operator, p), product(operator, p)
    if unit:
        elements, narrow = inputs * z["d_in"], ACTIVATION_BYTES[unit]
        quantise = piece("quantise", "strided", elements, z["act_bytes"] + narrow, QUANTISE_FLOPS)
        return (quantise, *tiled(operator, last, p)), elements * narrow
    least = COPIED_FROM.get(computed(operator, p))
    if least is None or operator.function is not gemm.linear:
        return (last,), 0
    weights, many = z["d_in"] * z["d_out"], at_least(z["tokens"], least)
    copy = weights * z["act_bytes"]
    cost = last.cost
    moved = replace(
        cost, weights=(1 - many) * cost.weights, activations=cost.activations + many * copy
    )  # fmt: skip
    unpack = Kernel("unpack", "strided", Cost(weights=weights * z["weight_bytes"], activations=copy), many)
    return (unpack, replace(last, cost=moved)), many * copy


def tiled(operator: Operator, product: Kernel, p: Pass) -> tuple[Kernel, ...]:
    """A product on a narrower unit, from 65 rows on in tiles that go round by round, since their sums are not split.

    Tiles of 128 × 128, up to 128 rows of 64 × 128 (vLLM's CUTLASS kernels for sm90, scaled_mm_sm90_fp8_dispatch.cuh;
    those for sm100 have 256 × 128 for two units).
    """
    if operator.function is not gemm.linear:
        return (product,)
    z = operator.sizes
    many, wide = at_least(z["tokens"], FEW_ROWS + 1), at_least(z["tokens"], TILE + 1)
    if single(many) and not many:
        return (product,)
    down = (1 - wide) * ceil(z["tokens"] / (TILE / 2)) + wide * ceil(z["tokens"] / TILE)
    work = (1 + wide) * TILE * TILE * whole_inputs(operator, p)
    tiles = replace(product, fill=0, tiles=down * ceil(z["d_out"] / TILE), tile=work)
    if single(many):
        return (tiles,)
    return replace(product, count=1 - many), replace(tiles, count=many)


def whole_inputs(o: Operator, p: Pass) -> Number:
    """Inputs of a tile, and what it takes beside its products, where a kernel is DeepGEMM's, in further inputs."""
    own: Number = o.sizes["d_in"]
    return own + BESIDE if p.precision.scaled and unit_of(o, p) else own


def rows(operator: Operator) -> Number:
    """Rows that a product multiplies: tokens, each for as many experts as it goes to."""
    return operator.sizes["tokens"] * operator.sizes.get("top_k", 1)


def kernel(operator: Operator) -> Kernel:
    """The fused kernel of an operator."""
    like = LIKE.get(operator.function, "stream")
    whole = Kernel(operator.name, like, operator.cost, fill=fill(operator))
    if like == "attention":
        return _tiles(whole, operator)
    return _chunks(whole, operator) if like == "delta" else whole


def looked_up(o: Operator) -> Kernel:
    """PyTorch's index_select: a block for 128 columns waits for the number of a row and for the row.

    Up to 16 rows it takes one after the other (`indexSelectSmallIndex`), more go to blocks of their own.
    """
    z = o.sizes
    several = at_least(z["tokens"], FEW_LOOKED_UP + 1)
    rows = several * z["tokens"] + 1 - several
    return replace(kernel(o), blocks=rows * ceil(z["width"] / 128), waits=2 * z["tokens"] / rows)


def _tiles(whole: Kernel, o: Operator) -> Kernel:
    """A block for rows that see the same keys, queries of all heads that share them, which is cut into tiles.

    A tile of few rows takes the time of a whole one, and the last block, which sees all, more than the mean; for one
    token other kernels are used, which cut its keys into parts.
    """
    z = o.sizes
    new, several = z["new"], at_least(z["new"], 2)
    # heads that share one latent are as those that share a key
    key_heads = z.get("kv_heads", 1)
    rows = new * z["heads"] / key_heads
    last, mean = last_sees(o), causal_pairs(new, z["context"], most_seen(o)) / new
    return replace(
        whole,
        blocks=z["batch"] * key_heads,
        rows=rows,
        spread=several * mean / last + (1 - several) * maximum(last / KEYS, 1),
        padding=several * maximum(FEWEST / rows, 1) * (mean + KEYS / 2) / mean + 1 - several,
    )


def in_parts(whole: Kernel, o: Operator) -> Kernel:
    """The same of a kernel that cuts keys into parts for several tokens too, as those that verify what was drafted."""
    return replace(whole, spread=maximum(last_sees(o) / KEYS, 1))


def most_seen(o: Operator) -> Number:
    """Keys that a query sees at most: those of its window or chunk, or all that there are."""
    z = o.sizes
    return z.get("window", z.get("chunk", z["context"] + z["new"]))


def last_sees(o: Operator) -> Number:
    """Keys that the last query of a sequence sees."""
    return minimum(o.sizes["context"] + o.sizes["new"], most_seen(o))


def uneven_tiles(rows: Number, height: Number) -> Number:
    """Tiles of `height` rows for so many on average: where they differ, the last of several tiles is half full."""
    return maximum(rows / height + 1 / 2, 1)


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
