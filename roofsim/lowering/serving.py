"""A serving engine's kernels: products joined, sums fused with norms, caches written in place, attention paged.

As vLLM's model code arranges them: one product for queries, keys and values, one for gate and up, one kernel
for sum and norm, for the rotation in place and for the gated activation; state-space layers with mamba_ssm's scan.
"""

from __future__ import annotations

from dataclasses import replace

from roofsim.foundation.arith import at_least, ceil, maximum, minimum, single
from roofsim.foundation.cost import Cost
from roofsim.lowering import fused
from roofsim.lowering.eager import multipliers, ssd_kernels
from roofsim.lowering.kernels import FP32, Kernel, Lowered, Situation, piece, tiny
from roofsim.model.step import Pass, Phase
from roofsim.model.weights import ACTIVATION_BYTES
from roofsim.ops import attention, conv, gemm, pointwise, recurrence, scan
from roofsim.ops.base import Operator, Role
from roofsim.ops.pairs import causal_pairs
from roofsim.specs.runtime import Runtime

JOINED = (Role.KEY, Role.VALUE, Role.FFN_UP)
"""Products that are columns of the one before them."""

BETWEEN = (
    Role.CACHE, Role.ATTENTION, Role.INDEX, Role.CONVOLUTION, Role.RECURRENCE, Role.STATE_GATE, Role.GATED_NORM,
    Role.ATTENTION_OUT, Role.SEQUENCE_PROJECTION, Role.SEQUENCE_OUT, Role.SEQUENCE_GATE, Role.SCAN_IN,
    Role.STATE_PARAMETERS, Role.SCAN_OUT,
)  # fmt: skip
"""What is launched between two graphs of a prefill (`splitting_ops` of vLLM), and what begins the next graph.

Layers with a selective scan or a short convolution are there whole, of chunked scans convolution and scan alone.
"""
SPLIT_BELOW = 8 / 5
"""Blocks a unit from which on FlashAttention-2 does not split keys: 0.8 of two a unit (`num_splits_heuristic`)."""
CONVOLVED = 8
"""Tokens that a block of a short convolution takes one after the other (`BLOCK_M` in vLLM's causal_conv1d.py)."""
SMALL = 16
"""Rows of queries of a tile of Triton's attention, for up to 16 heads of a key head (`BLOCK_M`)."""
SAMPLING = (Role.LOGITS, Role.LOGITS_SCALE)
"""What comes after the last graph."""


def takes_all(operator: Operator) -> bool:
    """Whether one launch takes all sequences of a step, pieces of prompts and single tokens alike.

    vLLM 0.23: so does the kernel that writes to the cache, and FlashAttention, which is handed where each sequence
    begins (v1/attention/backends/flash_attn.py). Latent attention, state-space layers and the delta rule run the two
    apart (mla/common.py, the mixers of state-space layers, `split_non_spec` in gdn/qwen_gdn_linear_attn.py).
    """
    if operator.function is attention.cache_append:
        return True
    return fused.LIKE.get(operator.function) == "attention" and operator.function is not attention.latent_attention


def _quantised_apart(operator: Operator, unit: str | None, runtime: Runtime) -> bool:
    """Whether quantising the input of a product takes a kernel of its own.

    vLLM 0.19, config/vllm.py: norms and activations quantise to fp8 on their way (`fuse_norm_quant`,
    `fuse_act_quant`), attention does not; activations quantise to fp4 as well, int8 is always apart.
    """
    if runtime.quantises == "apart":
        return True
    if unit == "fp8":
        return operator.role is Role.ATTENTION_OUT
    return unit != "fp4" or operator.role is not Role.FFN_OUT


def lower(operator: Operator, situation: Situation) -> Lowered:
    """The kernels of one operator, those of graphs replayed."""
    lowered = kernels(operator, situation)
    between = (situation.step or situation.p.phase) == "prefill" and operator.is_one_of(BETWEEN)
    if operator.role is Role.LOGITS:
        lowered = replace(lowered, kernels=(*lowered.kernels, *greedy_sampling(operator)))
    if between or operator.role in SAMPLING or (single(situation.captured) and not situation.captured):
        return lowered
    return replace(lowered, kernels=tuple(replace(each, replayed=situation.captured) for each in lowered.kernels))


def greedy_sampling(o: Operator) -> tuple[Kernel, ...]:
    """The rows of the last tokens taken out, scores in fp32, the best of each row, and its number converted twice."""
    scores = o.sizes["tokens"] * o.sizes["d_out"]
    return (
        tiny("last tokens"),
        piece("scores to fp32", "strided", scores, o.sizes["act_bytes"] + FP32),
        piece("best", "strided", scores, FP32),
        tiny("number", 2),
    )


def sorted_by_expert(o: Operator) -> tuple[Kernel, ...]:
    """What puts tokens in the order of their experts, in whole tiles of each, before the first products.

    vLLM 0.23, fused_moe.py: not where at most a quarter of the experts is asked for; csrc/moe/moe_align_sum_kernels.cu:
    in one kernel for less than 1,024 rows of at most 64 experts, else in two.
    """
    if o.role is not Role.EXPERT_IN:
        return ()
    z = o.sizes
    rows, few = fused.rows(o), int(float(z["experts"]) <= 64)
    often = at_least(4 * rows, z["experts"] + 1)
    return (tiny("sort by expert", often * (2 - few * (1 - at_least(rows, 1024)))),)


def in_tiles(o: Operator, product: Kernel, p: Pass) -> Kernel:
    """A product of experts whose tiles are of one expert each, computed whole (`get_default_config` in fused_moe.py).

    From 1,024 tokens on tiles are 256 wide (most of the files in its configs/ for Hopper and Blackwell), those of
    blocks of eight bits 64 high. Tiles beside each other load the same rows, those one below the other the same
    weights, from the last-level cache; DeepGEMM's, to which such blocks go on several ranks, load them for two at a
    time.
    """
    z, unit = o.sizes, fused.unit_of(o, p)
    blocks = bool(p.precision.scaled) and unit == "fp8"
    many, deep = at_least(z["tokens"], 65), blocks and p.routing.apart
    high = 16 * (1 + at_least(z["tokens"], 33) + 2 * at_least(z["tokens"], 97) + 4 * at_least(z["tokens"], 513))
    wide = 64 * (1 + many)
    if blocks and not deep:
        high, wide = 16 * (1 + 3 * many), fused.TILE
    elif not deep:
        wide = wide + 128 * at_least(z["tokens"], 1024)
    touched = gemm.experts_touched(z["tokens"], z["experts"], z["top_k"])
    each = fused.uneven_tiles(fused.rows(o) / touched, high)
    across = ceil(z["d_out"] / wide)
    tiles, tile = touched * each * across, 2 * high * wide * fused.whole_inputs(o, p)
    byte = ACTIVATION_BYTES.get(unit or "", z["act_bytes"])
    again = 0 if deep else (across - 1) * fused.rows(o) * z["d_in"] * byte + (each - 1) * product.cost.weights
    # four bits go to kernels of Marlin and others
    return replace(product, fill=0, tiles=tiles, tile=tile, triton=float(z["weight_bytes"]) >= 1, again=again)


def attention_kernels(operator: Operator, s: Situation) -> tuple[Kernel, ...]:
    """Attention of a step and the sum over parts of its keys, which FlashAttention-2 has of grouped heads alone.

    Its csrc/flash_attn/flash_api.cpp (mha_varlen_fwd): heads of a key head become rows of queries, for which queries of
    several sequences are copied, and the result copied back; keys beyond one tile are split where blocks would fill
    less than 0.8 of two on each unit.
    """
    whole, z = paged(operator, s.runtime), operator.sizes
    if s.one_call and s.units is not None and operator.role is Role.SINKS:
        return in_small_tiles(whole, operator, s)
    if s.p.phase == "prefill":
        return (*joined_keys(operator), whole)
    summed = Kernel("sum of splits", "stream", Cost())
    if s.units is None or "kv_heads" not in z:
        return fused.in_parts(whole, operator), summed
    if s.one_call and s.step == "prefill":
        return (alone(whole, operator),)
    if z["heads"] == z["kv_heads"]:
        return (replace(whole, spread=1),)
    blocks = z["batch"] * z["kv_heads"]
    split = at_least(operator.sizes["context"], fused.KEYS) * (1 - at_least(blocks, SPLIT_BELOW * s.units))
    queries, results = (z["batch"] * z["heads"] * z[width] for width in ("qk_dim", "v_dim"))
    return (
        piece("queries regrouped", "strided", queries, 2 * z["act_bytes"], count=at_least(z["batch"], 2)),
        whole,
        replace(summed, count=split),
        piece("results regrouped", "strided", results, 2 * z["act_bytes"]),
    )


def alone(whole: Kernel, o: Operator) -> Kernel:
    """FlashAttention-2 of single tokens in one call with prompts: each head of each token has a tile of its own.

    Heads are grouped and keys split only where no sequence has more than one token (`seqlenq_ngroups_swapped` in
    mha_varlen_fwd). Of the rows of a tile one is wanted, and the last tile of keys is half full.
    """
    z = o.sizes
    last = fused.last_sees(o)
    tiles = fused.FEWEST * (last + fused.KEYS / 2) / last
    return replace(whole, blocks=z["batch"] * z["heads"], rows=1, spread=1, padding=tiles)


def in_small_tiles(whole: Kernel, o: Operator, s: Situation) -> tuple[Kernel, ...]:
    """Attention with sinks, which FlashAttention-2 has not: Triton's, with tiles of 16 queries, heads grouped.

    vLLM 0.23, triton_unified_attention.py: keys are split in steps without prompts alone. A tile loads as many keys as
    one of 64 rows, and is taken to need as long: prompts of a 20B on an A100 take 3.8 times what they would in
    those (`data/published/served.csv`).
    """
    rows = 1 if whole.rows is None else whole.rows
    small = maximum(SMALL / rows, 1) * fused.FEWEST / SMALL
    if s.p.phase == "prefill":
        return (replace(whole, padding=whole.padding * small / maximum(fused.FEWEST / rows, 1), triton=True),)
    if s.step == "prefill":
        return (replace(whole, spread=1, padding=small, triton=True),)
    return replace(fused.in_parts(whole, o), triton=True), Kernel("sum of splits", "stream", Cost(), triton=True)


def joined_keys(o: Operator) -> tuple[Kernel, ...]:
    """What lays the two parts of expanded keys side by side: the shared one, which is turned, behind that of each head.

    `_concat_k_nope_k_pe` in vLLM's mla/common.py, `k[..., : nope] = k_nope` in SGLang's forward_mha.py.
    """
    if o.role is not Role.EXPANDED:
        return ()
    z = o.sizes
    keys = z["batch"] * (z["context"] + z["new"]) * z["kv_heads"] * z["qk_dim"]
    return (piece("keys joined", "strided", keys, 2 * z["act_bytes"]),)


def rows_of_time(o: Operator, p: Pass) -> tuple[Kernel, ...]:
    """What goes before a selective scan: its constants to fp32 and, in a prefill, all that it reads to rows of time.

    vLLM 0.23, mamba_mixer.py: the convolution leaves tokens side by side, and `selective_scan_fn` copies its
    result, the step, the gate, B and C for that. D goes to fp32 with the bias of the step in a prefill alone.
    """
    if p.phase == "decode":
        return (tiny("to fp32"),)
    z = o.sizes
    tokens, a = z["batch"] * z["new"], z["act_bytes"]
    return (
        tiny("to fp32", 2),
        piece("to rows", "transpose", tokens * z["d_inner"], 2 * a, count=3),
        piece("to rows", "transpose", tokens * z["d_state"], 2 * a, count=2),
    )


def handed_over(o: Operator, products: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
    """The last product of a layer that is one operation of its own to the compiler, which copies its result out.

    vLLM 0.23, mamba_mixer.py and short_conv.py (`output[...] = `); a short convolution first joins what it
    made of steps and of prompts (`torch.vstack`), though there is but one of them.
    """
    z, a = o.sizes, o.sizes["act_bytes"]
    out = piece("result", "stream", z["tokens"] * z["d_out"], 2 * a)
    if o.role is Role.SCAN_OUT:
        return (*products, out)
    if o.role is Role.SEQUENCE_OUT:
        return (piece("joined", "stream", z["tokens"] * z["d_in"], 2 * a), *products, out)
    return products


def experts_in(o: Operator, p: Pass) -> tuple[Kernel, ...]:
    """What stands before the first product of experts where tokens came from other ranks, quantised already.

    Those of DeepEP's kernels for prompts are copied to the rows of their experts (`ep_scatter` in SGLang's
    ep_moe/kernels.py and vLLM's deep_gemm_utils.py), those of the kernels for steps lie there.
    """
    if p.routing.gathered:
        return sorted_by_expert(o)
    if p.phase == "decode":
        return ()
    byte = ACTIVATION_BYTES.get(p.precision.product(o.name), o.sizes["act_bytes"])
    return (piece("rows by expert", "strided", fused.rows(o) * o.sizes["d_in"], 2 * byte),)


def paged(operator: Operator, runtime: Runtime) -> Kernel:
    """Fused attention; of pages, what lies together are the keys of one, or its values, or its latents."""
    whole, z = fused.kernel(operator), operator.sizes
    if runtime.cache != "paged" or runtime.memory.in_a_row:
        return whole
    latent = "kv_rank" in z
    width = z["kv_rank"] + z["rope_dim"] if latent else z["kv_heads"] * (z["qk_dim"] + z["v_dim"]) / 2
    return replace(whole, pieces=whole.cost.state / (runtime.memory.block * width * z["cache_bytes"]))


def convolution(o: Operator, phase: Phase) -> Kernel:
    """A short convolution: a step writes results over its inputs; of prompts blocks take some tokens one by one.

    Where its sequence is, where that begins, where its state is, and the state: a block waits for each
    (`_causal_conv1d_fwd_kernel`). Its 128 threads take two channels each, whose places they work out once.
    """
    z, whole = o.sizes, replace(fused.kernel(o), triton=True)
    if phase == "decode":
        return replace(whole, uses=2)
    blocks = z["batch"] * ceil(z["new"] / CONVOLVED) * ceil(z["channels"] / 256)
    places = z["batch"] * z["new"] * z["channels"] / 2
    return replace(whole, blocks=blocks, indexed=places, waits=4 + minimum(z["new"], CONVOLVED))


def delta_step(o: Operator) -> Kernel:
    """A step of a gated delta rule: a block for 32 values of every head reads its part of the state and writes it back.

    It waits for the place of the state, for keys and queries, and for the state (`packed_decode` in fla's
    fused_recurrent.py).
    """
    z = o.sizes
    blocks = z["batch"] * z["heads"] * ceil(z["v_dim"] / 32)
    return replace(fused.kernel(o), like="stream", triton=True, blocks=blocks, waits=3, uses=2)


def kernels(operator: Operator, situation: Situation) -> Lowered:
    """The kernels of one operator."""
    z = operator.sizes
    if operator.function is gemm.linear:
        products, copied = fused.products(operator, situation.p, z["tokens"])
        unit = products[-1].unit
        if operator.role in JOINED:
            if unit:  # the input was quantised for the product that it is part of, whose tiles they share
                products, copied = (fused.product(operator, situation.p),), 0
            return Lowered((*(replace(each, fill=0, joined=True) for each in products),), copied)
        apart = _quantised_apart(operator, unit, situation.runtime)
        around = (*handed_over(operator, products if apart else products[1:]), *multipliers(operator, situation))
        return Lowered(around, copied if apart else 0)
    if operator.function is gemm.expert_linear:
        # tokens are quantised before they go to experts, what experts made of them row by row
        rows = z["tokens"] if operator.role is Role.EXPERT_IN else fused.rows(operator)
        (*before, product), copied = fused.products(operator, situation.p, rows)
        if operator.role is Role.EXPERT_IN and situation.p.routing.apart:
            return Lowered((*experts_in(operator, situation.p), in_tiles(operator, product, situation.p)))
        return Lowered((*before, *sorted_by_expert(operator), in_tiles(operator, product, situation.p)), copied)
    sent = situation.p.routing.apart and not situation.p.routing.gathered
    if operator.role is Role.COMBINE and sent and situation.p.phase == "prefill":
        # results of a rank's experts are added up by token there (`ep_gather`), those of ranks as they come in
        results = z["tokens"] * z["top_k"] * z["width"]
        return Lowered((piece("results by token", "strided", results, 2 * z["act_bytes"], 2),))
    of_stream = operator.role is Role.PART_NORM or "x" in operator.uses
    if operator.function in (pointwise.rms_norm, pointwise.layer_norm) and of_stream:
        elements = z["tokens"] * z["width"]
        moved = Cost(vector=5 * elements, activations=4 * elements * z["act_bytes"])
        return Lowered((Kernel("add and norm", "stream", moved, uses=2),))
    if operator.role is Role.RESIDUAL:
        return Lowered(())
    if fused.LIKE.get(operator.function) == "attention":
        return Lowered(attention_kernels(operator, situation))
    if operator.function is attention.index_scores:
        scores = z["batch"] * causal_pairs(z["new"], z["context"], z["context"] + z["new"])
        scored = fused.kernel(operator)
        written = replace(scored.cost, activations=scored.cost.activations + scores * FP32)
        return Lowered((replace(scored, cost=written, unit="fp8"), piece("chosen", "strided", scores, FP32)))
    if operator.function in (conv.causal_conv1d, conv.short_conv1d):
        return Lowered((convolution(operator, situation.step or situation.p.phase),))
    if operator.function is pointwise.gated_rms_norm:
        return Lowered((replace(fused.kernel(operator), triton=True),))
    if operator.function is attention.rotary:
        return Lowered((replace(fused.kernel(operator), uses=2),))  # in place
    if operator.function is pointwise.embedding:
        return Lowered((fused.looked_up(operator),))
    if operator.function is scan.ssd_scan:
        if situation.p.phase == "decode":
            return Lowered((replace(fused.kernel(operator), like="stream", triton=True),))
        return Lowered((tiny("state"), *ssd_kernels(operator)))
    if operator.function is recurrence.delta_rule:
        beside = tiny("states and layout", situation.facts.scan_kernels.get(situation.p.phase, 0))
        around = (beside,) if beside.count else ()
        if situation.p.phase == "decode":
            return Lowered((*around, delta_step(operator)))
        keys = z["batch"] * z["new"] * z["key_heads"] * z["qk_dim"]
        normalised = piece("normalise", "stream", keys, 2 * z["act_bytes"], 3, count=1 + z["keys"])
        return Lowered((*around, normalised, tiny("decay"), fused.kernel(operator)))
    if operator.function is scan.selective_scan:
        whole = fused.kernel(operator)
        step = replace(whole, like="stream", triton=True)
        return Lowered((*rows_of_time(operator, situation.p), step if situation.p.phase == "decode" else whole))
    return fused.lower(operator, situation)
