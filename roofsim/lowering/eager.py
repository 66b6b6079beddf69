"""Eager PyTorch as the transformers library writes it: a kernel for nearly every line of Python.

The kernels are those that the library's own modelling code launches for bf16 tensors on CUDA, read from its
source and traced operator by operator (transformers 4.52.3, 4.53.0 and 5.17.0). fp32 intermediates of the
norms, copies for repeated heads, and concatenated caches are where most of the traffic comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from roofsim.foundation.arith import Number, at_least, ceil, maximum, single
from roofsim.foundation.cost import Cost
from roofsim.lowering import fused, masked, recurrent
from roofsim.lowering.kernels import (
    COPIED,
    FP32,
    JOINED,
    Kernel,
    Lowered,
    Situation,
    brought,
    indexed,
    keeps_state,
    norm_pieces,
    piece,
    tiny,
)
from roofsim.ops import attention, conv, gemm, pointwise, routing, scan
from roofsim.ops.base import CostFunction, Operator, Role

SORTED_AT_ONCE = 4096
"""Elements that PyTorch sorts in one block (`should_use_small_sort`)."""
INDEX = 8
"""Bytes of a whole number in PyTorch: an expert, a place."""


def rms_norm(o: Operator, s: Situation) -> Lowered:
    """Eight kernels, seven without weights; two fp32 copies of the input live at once."""
    elements = o.sizes["tokens"] * o.sizes["width"]
    pieces = norm_pieces(elements, o.sizes["act_bytes"])
    return Lowered(pieces if o.sizes["weight_bytes"] else pieces[:-1], 2 * FP32 * elements)


def gated_rms_norm(o: Operator, s: Situation) -> Lowered:
    """As the norm, after x · silu(z) in fp32: eleven kernels."""
    elements, a = o.sizes["tokens"] * o.sizes["width"], o.sizes["act_bytes"]
    gate = (
        piece("gate to fp32", "strided", elements, a + FP32),
        piece("silu", "stream", elements, 2 * FP32, 5),
        piece("gate", "stream", elements, 3 * FP32),
    )
    first, *rest = norm_pieces(elements, a)
    # three fp32 tensors are alive at the product, before there is a result
    return Lowered((first, *gate, *rest), (3 * FP32 - a) * elements, holds=(Role.CONVOLUTION,))


def gated_activation(o: Operator, s: Situation) -> Lowered:
    """The activation, then the product; the gate of a state-space layer is part of its decode kernel."""
    if o.role is Role.STATE_GATE and s.p.phase == "decode":
        return Lowered(())
    elements, a = o.sizes["tokens"] * o.sizes["width"], o.sizes["act_bytes"]
    if len(o.uses) == 1 or s.facts.joins_gate:
        # halves of what one product made are views, whose elements are found by index
        return Lowered((indexed("activation", elements, 2 * a, 5), indexed("product", elements, 3 * a)))
    pieces = (piece("activation", "stream", elements, 2 * a, 5), piece("product", "stream", elements, 3 * a))
    return Lowered(pieces)


def activation(o: Operator, s: Situation) -> Lowered:
    """One kernel, or as many as the family's code takes."""
    elements, a = o.sizes["tokens"] * o.sizes["width"], o.sizes["act_bytes"]
    count = s.facts.activation_kernels
    step = piece("activation step", "stream", elements, 2 * a, 5 if count == 1 else 1, count)
    return Lowered((step,), 2 * elements * a if count > 2 else 0)


def soft_cap(o: Operator, s: Situation) -> Lowered:
    """Quotient, hyperbolic tangent, product."""
    return Lowered((piece("cap", "stream", o.sizes["tokens"] * o.sizes["width"], 2 * o.sizes["act_bytes"], count=3),))


def rotary(o: Operator, s: Situation) -> Lowered:
    """x · cos + rotate_half(x) · sin, for queries and for keys: product, negate, join, product, sum."""
    half, a = o.sizes["tokens"] * o.sizes["width"] / 2, o.sizes["act_bytes"]
    pieces: tuple[Kernel, ...] = (
        indexed("product", half, 2 * a, count=4),
        indexed("negate half", half / 2, 2 * a, count=2),
        indexed("join halves", half, 2 * a, count=2, work=JOINED),
        piece("sum", "stream", half, 3 * a, count=2),
    )
    if s.facts.joins_rotary:
        # the rotated part of each head with the part that is not, even if that is empty
        pieces = (*pieces, indexed("join parts", half, 2 * a, count=2, work=JOINED))
    return Lowered(pieces, 2 * half * a)


def cache_append(o: Operator, s: Situation) -> Lowered:
    """Concatenate keys and values to what is there: everything is read and written again.

    A cache that is laid out beforehand takes the new ones in place; transformers' own first counts them, adds the
    places that are taken, and adds the new ones to those.
    """
    if s.runtime.cache != "concat":
        places = (tiny("places", 3),) if s.runtime.cache == "indexed" else ()
        return Lowered((*places, replace(fused.kernel(o), like="strided", cost=o.cost * (1 / 2), count=2)))
    width, byte = o.sizes["width"], o.sizes["cache_bytes"]
    new = s.p.tokens * width
    if s.p.phase == "prefill" and not s.runtime.attention.copies_first_cache:
        return Lowered(())
    held = s.p.batch * (s.p.context if o.held is None else o.held) * width
    moved = Cost(activations=new / 2 * byte, state=(held + new / 2) * byte)
    return Lowered((Kernel("append", "strided", moved, 2),))


def causal_attention(o: Operator, s: Situation) -> Lowered:
    """SDPA: flash without a mask; with one, a kernel that scores every pair and reads the mask for every head.

    Keys and values that the cache holds are first repeated for every query head where the library does so, as it
    must under a mask. The switch follows the mask, which may depend on the length.
    """
    if "attention" in s.facts.written_out:
        return unfused_attention(o, s)
    if "plain_attention" in s.facts.written_out:
        return plain_attention(o, s)
    if "flex_attention" in s.facts.written_out:
        return masked.flex_attention(o, s)
    z = o.sizes
    heads, kv_heads, a, byte = z["heads"], z["kv_heads"], z["act_bytes"], z["cache_bytes"]
    width = z["qk_dim"] + z["v_dim"]
    seen = z["context"] + z["new"]
    keys = z["batch"] * (z["new"] + (z["context"] if o.held is None else o.held)) * width
    queries = z["batch"] * z["new"] * heads
    kernels: list[Kernel] = []
    temporary: Number = 0
    with_mask = not single(s.masked) or bool(s.masked)
    repeated = heads != kv_heads and (with_mask or s.runtime.attention.kv_heads == "repeated")
    if repeated:
        kernels.append(masked.repeat_heads(keys, heads, kv_heads, byte))
        temporary = keys * heads * byte
    if s.p.phase == "prefill" and s.runtime.attention.copies_queries:
        kernels.append(indexed("contiguous", queries * z["qk_dim"], 2 * a, work=COPIED))
        temporary = temporary + queries * z["qk_dim"] * a
        if not repeated:
            # keys and values too, with nothing joined before them: the cache, which counts apart, holds what was copied
            kernels.append(indexed("contiguous", keys * kv_heads / 2, 2 * byte, count=2, work=COPIED))
    flash = fused.kernel(replace(o, sizes={**z, "kv_heads": heads}) if repeated else o)
    if repeated:
        cost = replace(flash.cost, state=0, activations=flash.cost.activations + keys * heads * byte)
        flash = replace(flash, cost=cost)
    if s.p.phase == "decode" and s.runtime.host.mode == "inline":
        # on a processor a thread goes over the keys of a query of one head at a time (docs/decisions/079)
        flash = Kernel(flash.name, "row_attention", flash.cost, blocks=z["batch"] * heads)
    kernels.append(replace(flash, count=1 - s.masked))
    if s.p.phase == "prefill" and s.runtime.attention.copies_queries:
        # what flash attention returns is laid out as the queries are
        kernels.append(indexed("merge heads", queries * z["v_dim"], 2 * a, count=1 - s.masked, work=COPIED))
    elif s.p.phase == "prefill" and s.facts.joins_rotary:
        # queries that were joined are laid out by head, and so is what they attended to
        kernels.append(indexed("merge heads", queries * z["v_dim"], 2 * a, work=COPIED))
    if s.p.phase == "prefill" and s.runtime.attention.plans:
        kernels.append(brought("clear", 1 - s.masked))  # of what cuDNN counts in
    if s.p.phase == "decode" and s.runtime.attention.splits_decode:
        kernels.append(brought("sum of splits", 1 - s.masked))
    if not with_mask:
        return Lowered(tuple(kernels), temporary)
    mask = z["batch"] * z["new"] * seen * s.runtime.attention.mask_bytes
    if s.runtime.attention.mask_bytes == 1:
        kernels.append(tiny("0 and -inf", 2 * s.masked))
        kernels.append(indexed("mask to numbers", z["batch"] * z["new"] * seen, 1 + a, count=s.masked))
        mask = mask * a
    if s.runtime.attention.mask_padded:
        temporary = temporary + s.masked * mask
    if s.cudnn:
        return Lowered((*kernels, *masked.library_attention(o, s, flash, mask)), temporary)
    return Lowered((*kernels, *masked.memory_efficient_attention(o, s, flash.cost, mask)), temporary)


def unfused_attention(o: Operator, s: Situation) -> Lowered:
    """Scores of all pairs in fp32 on the vector unit, mask, softmax, conversion, then the product with V."""
    z = o.sizes
    heads, a = z["heads"], z["act_bytes"]
    seen = z["context"] + z["new"]
    pairs = z["batch"] * z["new"] * seen * heads
    rows = z["batch"] * (z["new"] + seen) * heads * z["qk_dim"]
    scores = Cost(vector=2 * pairs * z["qk_dim"], activations=(rows + pairs) * FP32)
    out = Cost(matrix=2 * pairs * z["v_dim"], activations=pairs * a, state=z["batch"] * seen * heads * z["v_dim"] * a)
    kernels: tuple[Kernel, ...] = (
        piece("to fp32", "strided", rows / 2, a + FP32, count=2),
        Kernel("scores", "stream", scores),
        tiny("constant"),
        piece("causal", "strided", pairs, 2 * FP32 + 1),
        piece("mask", "strided", pairs, 2 * FP32 + a),
        piece("softmax", "stream", pairs, 2 * FP32, 5),
        piece("from fp32", "stream", pairs, FP32 + a),
        Kernel("product", "gemm", out),
    )
    if s.p.phase == "prefill":
        merge = indexed("merge heads", z["batch"] * z["new"] * heads * z["v_dim"], 2 * a, work=COPIED)
        kernels = (*kernels, merge)
    return Lowered(kernels, 2 * pairs * FP32)


def plain_attention(o: Operator, s: Situation) -> Lowered:
    """`eager_attention_forward`: scores of all pairs in the dtype of activations, scaled and masked, a softmax in fp32.

    Before the second product there are the masked scores, their softmax and its copy in the dtype of activations.
    """
    z = o.sizes
    heads, kv_heads, a, byte = z["heads"], z["kv_heads"], z["act_bytes"], z["cache_bytes"]
    keys = z["batch"] * (z["context"] + z["new"])
    pairs, queries = keys * z["new"] * heads, z["batch"] * z["new"] * heads
    width = z["qk_dim"] + z["v_dim"]
    copied = heads != kv_heads
    held = keys * heads * byte
    read = "activations" if copied else "state"
    kernels: tuple[Kernel, ...] = (
        *([masked.repeat_heads(keys * width, heads, kv_heads, byte)] if copied else []),
        Kernel("scores", "gemm", Cost(matrix=2 * pairs * z["qk_dim"], activations=(queries * z["qk_dim"] + pairs) * a)
               + Cost(**{read: held * z["qk_dim"]})),
        piece("scale", "stream", pairs, 2 * a),
        piece("mask", "strided", pairs, 2 * a),
        piece("softmax", "stream", pairs, a + FP32, 5),
        piece("from fp32", "stream", pairs, FP32 + a),
        Kernel("product", "gemm", Cost(matrix=2 * pairs * z["v_dim"], activations=(pairs + queries * z["v_dim"]) * a)
               + Cost(**{read: held * z["v_dim"]})),
    )  # fmt: skip
    if s.p.phase == "prefill":
        kernels = (*kernels, indexed("merge heads", queries * z["v_dim"], 2 * a, work=COPIED))
    return Lowered(kernels, (held * width if copied else 0) + pairs * (2 * a + FP32))


def causal_conv1d(o: Operator, s: Situation) -> Lowered:
    """The kernel of causal_conv1d, and in prefill the copy of its last inputs into the state.

    Inputs that several products make are joined before.
    """
    kernels: tuple[Kernel, ...] = (replace(fused.kernel(o), like="strided"),)
    if len(o.uses) > 1:
        elements = o.sizes["batch"] * o.sizes["new"] * o.sizes["channels"]
        kernels = (piece("join", "strided", elements, 2 * o.sizes["act_bytes"]), *kernels)
    return Lowered((*kernels, tiny("state", 2)) if keeps_state(s) else kernels)


def ssd_kernels(o: Operator) -> tuple[Kernel, ...]:
    """The five Triton kernels of mamba_ssm's chunked scan; states go through memory once in fp32.

    `_chunk_cumsum`, `_chunk_state`, `_state_passing`, `_bmm_chunk`, `_chunk_scan` of mamba_ssm 2.2.4.
    """
    z = o.sizes
    heads, d_state, groups, chunk, a = z["heads"], z["d_state"], z["groups"], z["chunk"], z["act_bytes"]
    d_inner = heads * z["head_dim"]
    tokens = z["batch"] * z["new"]
    chunks = z["batch"] * ceil(z["new"] / chunk)
    states = chunks * d_inner * d_state
    steps = tokens * heads * FP32
    scores = chunks * chunk * chunk * groups * FP32
    # the products are of whole chunks, however short the sequence
    padded = z["batch"] * maximum(z["new"], chunk)
    causal = padded * (chunk + 1) / 2
    return (
        Kernel("chunk_cumsum", "stream", Cost(activations=tokens * heads * a + 2 * steps), triton=True),
        Kernel(
            "chunk_state",
            "ssd",
            Cost(
                matrix=2 * padded * d_inner * d_state,
                activations=tokens * (d_inner + groups * d_state) * a + 2 * steps + states * FP32,
            ),
            triton=True,
        ),
        Kernel(
            "state_passing",
            "strided",
            Cost(
                vector=2 * states,
                activations=states * (FP32 + a),
                state=2 * z["batch"] * d_inner * d_state * FP32,
            ),
            triton=True,
        ),
        Kernel(
            "bmm_chunk",
            "ssd",
            Cost(
                matrix=2 * padded * chunk * groups * d_state,
                activations=2 * tokens * groups * d_state * a + scores,
            ),
            triton=True,
        ),
        Kernel(
            "chunk_scan",
            "ssd",
            Cost(
                matrix=2 * causal * d_inner + 2 * padded * d_inner * d_state,
                vector=3 * causal * heads,
                activations=scores + tokens * (2 * d_inner + groups * d_state) * a + 2 * steps + states * a,
            ),
            triton=True,
        ),
    )


def decay(count: Number = 3) -> Kernel:
    """A = −exp(log A) in fp32: convert, exponential, negate."""
    return tiny("decay", count)


def ssd_scan(o: Operator, s: Situation) -> Lowered:
    """Prefill: the chunked scan, and the state copied into the cache. Decode: one update of the state."""
    z = o.sizes
    if s.p.phase == "decode":
        return Lowered((decay(), replace(fused.kernel(o), like="stream", triton=True)))
    chunks = z["batch"] * ceil(z["new"] / z["chunk"])
    states = chunks * z["heads"] * z["head_dim"] * z["d_state"]
    # fp32 states are set to nought and copied, others converted in one step
    copies = (tiny("state", 2 if s.runtime.state == "fp32" else 1),) if keeps_state(s) else ()
    return Lowered((decay(), *ssd_kernels(o), *copies), states * (FP32 + z["act_bytes"]))


def selective_scan(o: Operator, s: Situation) -> Lowered:
    """Prefill: Δ, the gate, B and C are copied into rows of time, then one CUDA kernel. Decode: one update.

    Groups are scanned one by one and joined.
    """
    z = o.sizes
    a, tokens, groups = z["act_bytes"], z["batch"] * z["new"], float(z["groups"])
    inner = z["d_inner"] / groups
    whole = fused.kernel(o)
    kernel = replace(whole, cost=whole.cost * (1 / groups), count=groups)
    copy = piece("split or join heads", "strided", tokens * z["d_inner"], 2 * a, count=2)
    around = (copy,) if groups > 1 else ()
    if s.p.phase == "decode":
        return Lowered((*around, decay(), tiny("to fp32"), replace(kernel, like="stream", triton=True)))
    kernels: tuple[Kernel, ...] = (
        *around,
        decay(),
        tiny("to fp32", 1 + groups),
        piece("to rows", "transpose", tokens * inner, 2 * a, count=3 * groups),
        piece("to rows", "transpose", tokens * z["d_state"], 2 * a, count=2 * groups),
        writes_ungated(kernel, tokens * inner * a),
        *((tiny("state", 3 if groups > 1 else 2),) if keeps_state(s) else ()),
    )
    return Lowered(kernels, tokens * (3 * z["d_inner"] + 2 * groups * z["d_state"]) * a)


def writes_ungated(kernel: Kernel, more: Number) -> Kernel:
    """The scan kernel, which also writes its result before the gate."""
    return replace(kernel, cost=kernel.cost + Cost(activations=more))


def add(o: Operator, s: Situation) -> Lowered:
    """The sum; into an fp32 stream, with the conversion of the stream for what reads it next."""
    z = o.sizes
    if o.role is Role.BRANCH_MEAN:
        return Lowered(tuple(mean_of_branches(z["tokens"] * z["width"], z["act_bytes"], s)))
    if not (s.facts.fp32_stream and o.role is Role.RESIDUAL):
        return fused.lower(o, s)
    elements, a = z["tokens"] * z["width"], z["act_bytes"]
    kernels = (piece("add", "strided", elements, 2 * FP32 + a), piece("stream to bf16", "stream", elements, FP32 + a))
    return Lowered(kernels, out=elements * FP32)


def mean_of_branches(elements: Number, a: Number, s: Situation) -> Iterator[Kernel]:
    """Their sum, which reads what a selective scan left in rows of time across those rows, and its half."""
    yield piece("sum", "transpose" if s.p.phase == "prefill" else "stream", elements, 3 * a)
    yield piece("half", "stream", elements, 2 * a)


def linear(o: Operator, s: Situation) -> Lowered:
    """One product, with what the matrix library adds around it, and what the family's code does to its ends."""
    library, z = s.runtime.matrix_library, o.sizes
    (*before, product), copied = fused.products(o, s.p, z["tokens"])
    product, width = whole_tiles(product, o, s), z["d_out"]
    if s.facts.joins_gate and o.is_one_of((Role.FFN_GATE, Role.FFN_UP)):
        product = replace(product, joined=o.role is Role.FFN_UP)
        width = 0 if o.role is Role.FFN_UP else 2 * width
    kernels = [*before, product]
    if (
        s.p.phase == "decode"
        and library.splits_from
        and float(z["d_in"]) >= max(library.splits_from, float(z["d_out"]))
    ):
        kernels.append(brought("sum of splits"))
    elif s.p.phase == "decode" and library.clears_width and float(z["d_out"]) >= library.clears_width:
        kernels.append(brought("clear"))
    elif s.p.phase == "prefill" and library.clears_from:
        kernels.append(brought("clear", at_least(z["tokens"] * width, library.clears_from)))
    if not (s.facts.fp32_logits and o.role is Role.LOGITS):
        return Lowered(tuple(kernels), copied)
    # the logits and their fp32 copy are alive at once
    scores = z["tokens"] * z["d_out"]
    return Lowered((*kernels, piece("logits to fp32", "strided", scores, z["act_bytes"] + FP32)), scores * FP32)


def whole_tiles(product: Kernel, o: Operator, s: Situation) -> Kernel:
    """A product of more rows than the library's tiles have takes the time of whole tiles."""
    tokens, rows = o.sizes["tokens"], s.runtime.matrix_library.tile_rows
    if rows is None or product.unit:
        return product
    many = at_least(tokens, rows + 1)
    if single(many) and not many:
        return product
    return replace(product, whole=product.cost.matrix * (1 + many * (ceil(tokens / rows) * rows / tokens - 1)))


def multipliers(o: Operator, s: Situation) -> Iterator[Kernel]:
    """Products with a constant around an operator, where the family's code has them."""
    if (times := s.facts.multipliers.get(o.role)) is None:
        return
    z, a = o.sizes, o.sizes["act_bytes"]
    inputs, results = (z["tokens"] * z[name if name in z else "width"] for name in ("d_in", "d_out"))
    if times.inputs:
        yield piece("multiplier", "stream", inputs, 2 * a, count=times.inputs)
    if times.results:
        yield piece("multiplier", "stream", results, 2 * a, count=times.results)
    if times.views:
        yield piece("multiplier", "strided", results, 2 * a, count=times.views)


def route(o: Operator, s: Situation) -> Lowered:
    """Scores to fp32, the best in two kernels, softmax, conversion; for a loop over experts a mask of each."""
    choice = (tiny("choice", 4), brought("order of the best"))
    return Lowered((*choice, tiny("mask", 4)) if s.runtime.experts == "loop" else choice)


def expert_linear(o: Operator, s: Situation) -> Lowered:
    """One grouped product of all experts; or, in a loop, one for each expert that any token chose.

    In the loop the tokens of an expert are searched and gathered before its first product, and their results are
    weighted and added after its last.
    """
    z, rows = o.sizes, fused.rows(o)
    products, copied = fused.products(o, s.p, rows)
    first, a = o.role is Role.EXPERT_IN, z["act_bytes"]
    if s.runtime.experts == "grouped":
        product = (brought("addresses"), *products, *without_sentinels(rows * z["d_out"], a))
        return Lowered((*sorted_rows(rows, z["d_in"], a), *product) if first else product, copied)
    gathered = piece("gather rows", "strided", rows * z["d_in"], 2 * a)
    touched = gemm.experts_touched(z["tokens"], z["experts"], z["top_k"])
    kernels = (tiny("find tokens"), gathered, *products) if first else (*products, tiny("weight and add", 2))
    return Lowered(tuple(replace(each, cost=each.cost * (1 / touched), count=each.count * touched) for each in kernels))


def sorted_rows(rows: Number, width: Number, a: Number) -> tuple[Kernel, ...]:
    """Choices in the order of their experts, and the tokens of each (`grouped_mm_experts_forward`).

    PyTorch sorts few choices in one block, with three copies and a range of numbers around it; more by their eight
    bytes, one pass each, with as many buffers cleared and six small kernels (CUB). Tokens and weights are found by two
    gathers after a division; five small kernels of three calls count the choices of each expert and add them up, one
    tells choices that are no expert's, and one limits them. What was gathered for those is filled with nought.
    """
    many = at_least(rows, SORTED_AT_ONCE + 1)
    return (
        tiny("sort"),
        brought("sort in one block", 4 * (1 - many)),
        replace(piece("sort by a byte", "stream", rows, 2 * (INDEX + INDEX), count=8 * many), replayed=1),
        brought("around the sort", 13 * many),
        tiny("tokens, weights, offsets", 7),
        brought("counts, sums", 2),
        piece("gather rows", "stream", rows * width, 2 * a),
        indexed("fill", rows * width, 2 * a),
    )


def without_sentinels(elements: Number, a: Number) -> tuple[Kernel, ...]:
    """A copy of a result, in which what belongs to no expert is filled with nought."""
    return piece("copy", "stream", elements, 2 * a), indexed("fill", elements, 2 * a)


def combine(o: Operator, s: Situation) -> Lowered:
    """Weighted, put back in order and summed; in a loop, weighted and added expert by expert."""
    z, a = o.sizes, o.sizes["act_bytes"]
    rows = z["tokens"] * z["top_k"] * z["width"]
    if s.runtime.experts == "grouped":
        weighted, back = indexed("weight", rows, 2 * a), piece("gather back", "stream", rows, 2 * a)
        return Lowered((weighted, tiny("order", 2), back, piece("sum", "strided", rows, a)))
    moved = piece("weight and add", "strided", rows, 5 * a)
    return Lowered((replace(moved, joined=True),))  # launched by the loop


RULES: dict[CostFunction, Callable[[Operator, Situation], Lowered]] = {
    gemm.linear: linear,
    gemm.expert_linear: expert_linear,
    routing.route: route,
    routing.combine: combine,
    pointwise.rms_norm: rms_norm,
    pointwise.gated_rms_norm: gated_rms_norm,
    pointwise.gated_activation: gated_activation,
    pointwise.activation: activation,
    pointwise.soft_cap: soft_cap,
    pointwise.add: add,
    attention.rotary: rotary,
    attention.cache_append: cache_append,
    attention.causal_attention: causal_attention,
    attention.chunked_attention: causal_attention,
    attention.block_sparse_attention: causal_attention,
    conv.causal_conv1d: causal_conv1d,
    scan.ssd_scan: ssd_scan,
    scan.selective_scan: selective_scan,
    **recurrent.RULES,
}


def lower(operator: Operator, situation: Situation) -> Lowered:
    """The kernels of one operator, with products by a constant around it."""
    lowered = RULES.get(operator.function, fused.lower)(operator, situation)
    times = tuple(multipliers(operator, situation))
    return replace(lowered, kernels=(*lowered.kernels, *times)) if times else lowered
