"""Attention under a mask in eager PyTorch: kernels that score every pair, and the masks that they take.

Read from PyTorch 2.6 (sdp_utils.cpp, attention.cpp, mem_eff_attention/kernels/cutlassF.h, flex_attention.py); the small
kernels of a mask of blocks are as its trace on a processor has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from roofsim.foundation.arith import Number, at_least, ceil
from roofsim.foundation.cost import Cost
from roofsim.lowering import fused
from roofsim.lowering.kernels import COPIED, JOINED, Class, Kernel, Lowered, Situation, brought, indexed, piece, tiny
from roofsim.ops.base import Operator

QUERY_TILE = 64
"""Queries per block of the memory-efficient kernel (`fmha_cutlassF_bf16_aligned_64x64_rf_sm80`, for heads wider than 64
`64x128_rf_sm80`)."""
KEY_TILE = 64
"""Keys of a tile there for heads of at most as many elements; wider ones have tiles of twice as many."""
KEY_CLOCKS = 109, 79
"""Clocks that a block by itself takes for a key, in narrow and in wide tiles: 55 and 40 ns at 1.98 GHz (an H100,
docs/decisions/013)."""
ALIGNED = 8
"""Elements of which the rows of a mask have a multiple (`mem_eff_alignment`)."""
COPIES = ("repeat heads", "contiguous", "merge heads")
"""What the library launches around its call of SDPA."""


def repeat_heads(elements: Number, heads: Number, kv_heads: Number, byte: Number) -> Kernel:
    """Keys, then values, of one head each copied to every query head: found by index and written for each of them."""
    half = elements / 2
    copy = Cost(activations=half * heads * byte, state=half * kv_heads * byte)
    return Kernel("repeat heads", "strided", copy, 2, indexed=COPIED * half * heads)


def library_attention(o: Operator, s: Situation, flash: Kernel, mask: Number) -> Iterator[Kernel]:
    """cuDNN's: the same kernel reads the mask too; few heads in a step have their keys split, summed in a second."""
    z = o.sizes
    cost = flash.cost + Cost(activations=mask)
    yield replace(flash, name="attention with a mask", cost=cost, count=s.masked)
    if s.p.phase == "decode":
        few = 1 - at_least(z["batch"] * z["heads"], s.runtime.attention.splits_blocks + 1)
        yield brought("sum of splits", few * s.masked)


def memory_efficient_attention(o: Operator, s: Situation, flash: Cost, mask: Number) -> Iterator[Kernel]:
    """The memory-efficient kernel: all pairs in whole tiles, and the mask's bytes once for every head.

    A mask whose rows are not aligned is copied into one whose are, filled before. A block goes through the keys tile by
    tile, however fast the device computes with many of them.
    """
    z = o.sizes
    seen = z["context"] + z["new"]
    uneven = s.masked * at_least(ALIGNED * ceil(seen / ALIGNED), seen + 1)
    yield Kernel("fill aligned mask", "stream", Cost(activations=mask), uneven)
    yield Kernel("copy mask", "strided", Cost(activations=2 * mask), uneven)
    wide = int(float(z["qk_dim"]) > KEY_TILE)
    tile = KEY_TILE * (1 + wide)
    keys = ceil(seen / tile) * tile
    blocks = z["batch"] * z["heads"] * ceil(z["new"] / QUERY_TILE)
    pairs = blocks * QUERY_TILE * keys
    cost = Cost(
        matrix=2 * (z["qk_dim"] + z["v_dim"]) * pairs,
        vector=6 * pairs,
        activations=flash.activations + z["heads"] * mask,
        state=flash.state,
    )
    like: Class = "masked_attention" if wide else "narrow_masked_attention"
    yield Kernel("masked attention", like, cost, s.masked, blocks=blocks, clocks=KEY_CLOCKS[wide] * keys)


def flex_attention(o: Operator, s: Situation) -> Lowered:
    """Published code that calls flex_attention on keys and values of every head, under a mask that each layer makes.

    Where values are as wide as several heads, each part is attended to by a call of its own, and the results joined.
    Where a cache is handed in, flash attention is called instead: in a step, in layers without a window, and in others
    for a prompt within it. The mask made for the length that the model was trained with, which serves prompts of 8,065
    to 8,192 tokens, is left out.
    """
    z = o.sizes
    heads, a, byte = z["heads"], z["act_bytes"], z["cache_bytes"]
    windowed, first = o.held is not None, s.p.phase == "prefill"
    keys = z["batch"] * (z["new"] + (z["context"] if o.held is None else o.held)) * (z["qk_dim"] + z["v_dim"])
    results = z["batch"] * z["new"] * heads * z["v_dim"]
    parts = z["v_dim"] / z["qk_dim"]
    one = fused.kernel(replace(o, sizes={**z, "kv_heads": heads, "v_dim": z["qk_dim"]}))
    read = replace(one.cost, state=0, activations=one.cost.activations + one.cost.state)
    kernels: list[Kernel] = [repeat_heads(keys, heads, z["kv_heads"], byte)]
    joined = indexed("join parts", results, 2 * a, work=JOINED)
    if not first:
        return Lowered((*kernels, replace(one, cost=read, count=parts), joined), keys * heads * byte)
    queries = z["batch"] * z["new"] * heads * z["qk_dim"]
    kernels.append(indexed("contiguous", queries, 2 * a, work=COPIED))
    flexes = 1 if s.runtime.call == "plain" else at_least(z["new"], z["window"] + 1)
    pairs = (z["context"] + z["new"]) ** 2
    kernels += (replace(each, count=each.count * flexes) for each in block_mask(pairs, windowed))
    kernels.append(replace(one, cost=read, count=parts * (1 - flexes)))
    kernels.append(replace(one, cost=read, count=parts * flexes, triton=True))
    kernels.append(joined)
    kernels.append(indexed("merge heads", results, 2 * a, count=flexes, work=COPIED))
    # what is compared with the window is in eight bytes, beside what was found before and what comes of it
    building = pairs * (10 if windowed else 4) * flexes
    return Lowered(tuple(kernels), keys * heads * byte + queries * a + building)


def block_mask(pairs: Number, windowed: bool) -> Iterator[Kernel]:
    """`create_block_mask` as it runs without being compiled: every test for every pair, then sums over blocks.

    Causal, within the window, or a learned token before the prompt; what is alike for all pairs is found by index.
    """
    yield indexed("causal", pairs, 1, count=2)
    yield piece("start from true or false", "strided", pairs, 2, count=3 if windowed else 2)
    if windowed:
        yield indexed("distance", pairs, 8)
        yield piece("within the window", "stream", pairs, 9)
        yield piece("and", "stream", pairs, 3)
    yield indexed("and before the prompt", pairs, 2)
    yield piece("or", "stream", pairs, 3)
    yield piece("fill padded", "stream", pairs, 1)
    yield piece("pad", "strided", pairs, 2)
    yield piece("sum over blocks", "strided", pairs, 1)
    # 54 and 53 small operators, of them two constants of the host; each of four sorts is three kernels
    yield tiny("blocks", 60 if windowed else 59)
