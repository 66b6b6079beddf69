"""Recurrent mixers in eager PyTorch: what transformers launches for them, beside and around fused kernels.

Counted operator by operator on the modelling code of transformers 5.23; where that calls flash-linear-attention, the
kernels are those of its 0.6.0. A cost function that is not listed here has no code in transformers: one fused kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from roofsim.foundation.arith import ceil, minimum
from roofsim.foundation.cost import Cost
from roofsim.lowering import fused
from roofsim.lowering.kernels import FP32, Kernel, Lowered, Situation, keeps_state, norm_pieces, piece, tiny
from roofsim.ops import conv, gating, recurrence
from roofsim.ops.base import CostFunction, Operator, Role
from roofsim.ops.pairs import chunk_pairs


def short_conv1d(o: Operator, s: Situation) -> Lowered:
    """The kernel of causal_conv1d, with a copy of its last inputs in prefill.

    Written out it is padded and convolved, or joined, multiplied and summed for one token.
    """
    z = o.sizes
    kernel = replace(fused.kernel(o), like="strided")
    if "convolution" not in s.facts.written_out:
        return Lowered((kernel, tiny("state", 2)) if keeps_state(s) else (kernel,))
    elements, a = z["batch"] * z["new"] * z["channels"], z["act_bytes"]
    if s.p.phase == "decode":
        return Lowered((kernel, tiny("product, sum, bias", 3)))
    return Lowered((piece("pad", "strided", elements, 2 * a), kernel), elements * a)


def delta_rule(o: Operator, s: Situation) -> Lowered:
    """Gates, the kernels of flash-linear-attention, and the copy of the new state into the cache.

    Gated DeltaNet has a decay per head, KDA (more than two gates a head) one per key channel. A rule with two keys is
    not in transformers.
    """
    z = o.sizes
    if z["keys"] != 1:
        return fused.lower(o, s)
    tokens, a = z["batch"] * z["new"], z["act_bytes"]
    per_channel = float(z["gates"]) > 2
    decays = tokens * z["heads"] * (z["gates"] - 1)
    state = z["batch"] * z["heads"] * z["qk_dim"] * z["v_dim"] * z["state_bytes"]
    if per_channel:
        gates = (
            tiny("decay and its bias", 4),
            piece("softplus", "stream", decays, 2 * FP32, count=8),
            tiny("learning rate"),
        )
    else:
        gates = (tiny("decay", 3), piece("softplus", "stream", decays, 2 * FP32, count=4), tiny("learning rate"))
    copy = Kernel("state", "stream", Cost(state=2 * state))
    kernels = (*joined(o), *gates)
    if s.p.phase == "decode":
        return Lowered((*kernels, replace(fused.kernel(o), like="stream", triton=True), copy))
    queries, values = tokens * z["key_heads"] * z["qk_dim"], tokens * z["heads"] * z["v_dim"]
    copies = (tiny("state"), copy) if keeps_state(s) else ()
    states = z["batch"] * ceil(z["new"] / z["chunk"]) * z["heads"] * z["qk_dim"] * z["v_dim"]
    # decays, the system and its solution for keys and values, new values, and the states of all chunks
    temporary = decays * FP32 + (tokens * z["heads"] * (z["qk_dim"] + z["chunk"]) + 2 * values + states) * a
    split = (
        piece("contiguous", "strided", queries, 2 * a, count=2),
        piece("contiguous", "strided", values, 2 * a),
    )
    rule = chunked_kernels(o, per_channel)
    return Lowered((*kernels, *split, *rule, *copies), temporary)


def joined(o: Operator) -> tuple[Kernel, ...]:
    """Copies that take queries, keys, values and gates out of one product, and join the first three again."""
    if o.role is not Role.SPLIT_RECURRENCE:
        return ()
    z = o.sizes
    tokens, a = z["batch"] * z["new"], z["act_bytes"]
    queries, values = tokens * z["key_heads"] * z["qk_dim"], tokens * z["heads"] * z["v_dim"]
    return (
        piece("split heads", "strided", queries, 2 * a, count=2),
        piece("split heads", "strided", values, 2 * a, count=2),
        tiny("split gates", 2),
        piece("join", "strided", 2 * queries + values, 2 * a),
    )


def chunked_kernels(o: Operator, per_channel: bool) -> tuple[Kernel, ...]:
    """The Triton kernels of `chunk_gated_delta_rule` and `chunk_kda`; together they do the operator's matrix work.

    Two of l2norm, the running sum of decays, the scores of keys and the triangular system (KDA: in two kernels, the
    scores of queries among them), its two products, the states, the results.
    """
    z = o.sizes
    heads, qk, v, a = z["heads"], z["qk_dim"], z["v_dim"], z["act_bytes"]
    tokens = z["batch"] * z["new"]
    queries, keys, values = tokens * z["key_heads"] * qk, tokens * heads * qk, tokens * heads * v
    decays = tokens * heads * (z["gates"] - 1) * FP32
    pairs = z["batch"] * chunk_pairs(z["new"], z["chunk"])
    below = pairs - tokens
    state = heads * qk * v
    states = z["batch"] * ceil(z["new"] / z["chunk"]) * state * a
    scores = tokens * heads * z["chunk"] * a
    held = 2 * z["batch"] * state * z["state_bytes"]
    system = Cost(matrix=2 * below * z["key_heads"] * qk, activations=queries * a + decays + scores)
    asked = Cost(matrix=2 * pairs * z["key_heads"] * qk, activations=2 * queries * a + decays + scores)
    solved = Cost(matrix=2 * below * heads * (qk + v), activations=2 * (keys + values) * a + scores)
    passing = Cost(matrix=4 * tokens * state, activations=(2 * keys + 2 * values) * a + decays + states, state=held)
    results = Cost(
        matrix=2 * pairs * heads * v + 2 * tokens * state, activations=(queries + 2 * values) * a + decays + states
    )
    named = {"scores of queries": asked, "keys": system} if per_channel else {"keys": system}
    if not per_channel:
        results = results + asked
    named |= {"new values": solved, "states": passing, "results": results}
    return (
        piece("l2norm", "stream", queries, 2 * a, 3, count=2),
        piece("cumsum", "stream", tokens * heads * (z["gates"] - 1), 2 * FP32),
        piece("clear", "stream", tokens * heads * z["chunk"], a, 0),
        *(Kernel(name, "ssd", cost, triton=True) for name, cost in named.items()),
    )


def linear_attention(o: Operator, s: Situation) -> Lowered:
    """Written out: thirteen kernels per block, four of them products of whole squares; a token has seven."""
    if "linear_attention" not in s.facts.written_out:
        return fused.lower(o, s)
    z = o.sizes
    heads, qk, v, a = z["heads"], z["qk_dim"], z["v_dim"], z["act_bytes"]
    state = z["batch"] * heads * qk * v
    step = Cost(vector=state, state=2 * state * z["state_bytes"])
    if s.p.phase == "decode":
        products = Cost(matrix=2 * state, state=state * z["state_bytes"])
        return Lowered(
            (
                tiny("decay", 2),
                Kernel("products", "gemm", products, 2),
                Kernel("state", "stream", step, 2),
                tiny("join"),
            )
        )
    size = minimum(z["chunk"], z["new"])
    blocks = ceil(z["new"] / size)
    rows = z["batch"] * z["new"] / blocks * heads
    square = rows * size
    each = Cost(
        matrix=(2 * square * (qk + v) + 4 * rows * qk * v) / 4,
        activations=(2 * square + 2 * rows * (qk + v) + 2 * state) / 4 * a,
    )
    kernels = (
        Kernel("products", "gemm", each, 4 * blocks),
        piece("mask", "strided", square, 3 * a, count=blocks),
        piece("decay", "strided", rows * qk, 2 * a, count=2 * blocks),
        piece("sum", "stream", rows * v, 3 * a, count=blocks),
        Kernel("state", "stream", step, 2 * blocks),
        tiny("decay of the block", 3 * blocks),
        piece("join", "strided", rows * blocks * v, 2 * a, count=2),
        tiny("state"),
    )
    return Lowered(kernels, square * a * 2)


def mlstm(o: Operator, s: Situation) -> Lowered:
    """Written out: 17 kernels per whole chunk that pass the state on, 30 for each token that is left.

    50 more work on all chunks at once; a step alone has 33. The new states are copied into the cache (3).
    """
    if "mlstm" not in s.facts.written_out:
        return fused.lower(o, s)
    z = o.sizes
    heads, qk, v, a = z["heads"], z["qk_dim"], z["v_dim"], z["act_bytes"]
    state = z["batch"] * heads * qk * v
    update = Cost(vector=state, state=2 * state * z["state_bytes"])
    copy = Kernel("state", "stream", update, 1)
    if s.p.phase == "decode":
        products = Cost(matrix=2 * state, activations=state * FP32)
        step = Kernel("state step", "stream", Cost(vector=state, activations=2 * state * FP32), 5)
        return Lowered(
            (Kernel("products", "gemm", products, 2), step, tiny("gates and normaliser", 26), copy, tiny("state", 2))
        )
    chunks = ceil((z["new"] + 1) / z["chunk"]) - 1
    left = z["new"] - chunks * z["chunk"]
    rows = z["batch"] * chunks * z["chunk"] * heads
    square = rows * z["chunk"]
    across = Cost(
        matrix=(2 * square * (qk + v) + 4 * rows * qk * v) / 3,
        activations=(2 * square + rows * (2 * qk + 2 * v) + chunks * state) / 3 * FP32,
    )
    kernels = (
        Kernel("products", "gemm", across, 3),
        piece("squares", "stream", square, 2 * FP32, count=9),
        piece("rows", "strided", rows * (qk + v) / 2, 2 * a, count=12),
        tiny("gates and normaliser", 26),
        Kernel("state step", "stream", Cost(vector=state, activations=2 * state * FP32), 5 * chunks),
        tiny("gates of a chunk", 12 * chunks),
        Kernel("token step", "stream", Cost(vector=state, activations=2 * state * FP32), 7 * left),
        tiny("gates of a token", 23 * left),
        copy,
        tiny("state", 2),
    )
    return Lowered(kernels, 2 * square * FP32 + chunks * state * FP32)


def rg_lru(o: Operator, s: Situation) -> Lowered:
    """Written out: a loop over tokens, six kernels each, after 22 on all of them; 23 for one token."""
    if "rg_lru" not in s.facts.written_out:
        return fused.lower(o, s)
    z = o.sizes
    tokens, a = z["batch"] * z["new"], z["act_bytes"]
    if s.p.phase == "decode":
        return Lowered((fused.kernel(o), tiny("gates", 22)))
    step = Cost(vector=z["batch"] * z["channels"], activations=2 * z["batch"] * z["channels"] * FP32)
    gates = piece("gates", "stream", tokens * z["channels"], 3 * a, count=22)
    return Lowered((gates, Kernel("token step", "stream", step, 6 * z["new"])), 4 * tokens * z["channels"] * a)


def wkv4(o: Operator, s: Situation) -> Lowered:
    """Written out in 34 steps for one token; a prompt has the CUDA kernel, its decay, states joined and copied."""
    if "wkv4" not in s.facts.written_out:
        return fused.lower(o, s)
    if s.p.phase == "decode":
        return Lowered((fused.kernel(o), tiny("steps", 33)))
    return Lowered((tiny("decay", 2), tiny("state"), fused.kernel(o), tiny("state", 3)))


def token_shift(o: Operator, s: Situation) -> Lowered:
    """Written out: two products, a difference and a sum for every mix, and the last token kept."""
    if "token_shift" not in s.facts.written_out:
        return fused.lower(o, s)
    z = o.sizes
    elements, a = z["batch"] * z["new"] * z["width"], z["act_bytes"]
    mixes: tuple[Kernel, ...] = (
        piece("mix", "strided", elements, 8 * a / 3, count=3 * z["mixes"]),
        tiny("1 - mix", z["mixes"]),
        tiny("state"),
    )
    if s.p.phase == "decode":
        return Lowered(mixes)
    return Lowered((piece("shift", "strided", elements, 2 * a), tiny("state"), *mixes), 2 * elements * a)


def rms_norm_gate(o: Operator, s: Situation) -> Lowered:
    """The norm in fp32 and the gate: twelve kernels if heads share the norm, ten if they do not."""
    z = o.sizes
    elements, a = z["tokens"] * z["width"], z["act_bytes"]
    norm = norm_pieces(elements, a, in_fp32=True)
    if z["norm_weights"] == z["width"]:
        gate = (piece("gate", "stream", elements, 2 * a, 4), piece("product", "stream", elements, 3 * a))
        return Lowered((*norm, *gate), 2 * FP32 * elements)
    gate_in_fp32 = (
        piece("gate to fp32", "strided", elements, a + FP32),
        piece("gate", "stream", elements, 2 * FP32, 4),
        piece("product", "stream", elements, 3 * FP32),
        piece("from fp32", "stream", elements, FP32 + a),
    )
    return Lowered((*norm, *gate_in_fp32), 3 * FP32 * elements)


def layer_norm_gate(o: Operator, s: Situation) -> Lowered:
    """Written out: the norm of heads in fp32, its weight, the gate and their product, eleven kernels."""
    if "head_norm" not in s.facts.written_out:
        return fused.lower(o, s)
    elements, a = o.sizes["tokens"] * o.sizes["width"], o.sizes["act_bytes"]
    pieces = (
        piece("to fp32", "strided", elements, a + FP32),
        piece("mean", "strided", elements, FP32),
        piece("centre", "strided", elements, 2 * FP32),
        piece("variance", "strided", elements, FP32, 3),
        tiny("rsqrt(variance + eps)", 2),
        piece("scale", "strided", elements, 2 * FP32),
        piece("from fp32", "stream", elements, FP32 + a),
        piece("weight", "strided", elements, 2 * a),
        piece("gate", "stream", elements, 2 * a, 4),
        piece("product", "stream", elements, 3 * a),
    )
    return Lowered(pieces, 3 * FP32 * elements)


RULES: dict[CostFunction, Callable[[Operator, Situation], Lowered]] = {
    conv.short_conv1d: short_conv1d,
    recurrence.delta_rule: delta_rule,
    recurrence.linear_attention: linear_attention,
    recurrence.mlstm: mlstm,
    recurrence.rg_lru: rg_lru,
    recurrence.wkv4: wkv4,
    gating.token_shift: token_shift,
    gating.rms_norm_gate: rms_norm_gate,
    gating.layer_norm_gate: layer_norm_gate,
}
