"""Attention in its published varieties: operators, tensors and cache, written down by hand at toy sizes."""

from __future__ import annotations

from dataclasses import replace

from counting.rows import (
    ACT,
    BATCH,
    CACHE,
    CONTEXT,
    NEW,
    PASS,
    STATE,
    STORED,
    VECTOR,
    Case,
    Row,
    Shape,
    append,
    blocks,
    each,
    filters,
    matrix,
    norm,
    recurrent,
    row,
    scores,
)
from roofsim.ops import attention, pointwise, scan

GQA = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 3}


def cached(*widths: int, last: int | None = None):  # type: ignore[no-untyped-def]
    """Tensors of some widths for every token held, the `last` of them if there is a limit."""

    def held(context: int) -> list[tuple[Shape, float]]:
        kept = context if last is None else len(range(context)[-last:] if last else [])
        return [((kept, width), CACHE) for width in widths]

    return held


PLAIN = Case(
    GQA | {"qkv_bias": True},
    [
        matrix("q_proj", 10, 12, "x", bias=1),
        matrix("k_proj", 10, 6, "x", bias=1),
        matrix("v_proj", 10, 6, "x", bias=1),
        each("rotary", attention.rotary, 18, "q_proj", "k_proj"),
        append(12, "rotary", "v_proj"),
        scores(4, 2, 3, 3, "rotary", "v_proj"),
        matrix("o_proj", 12, 10, "attention"),
    ],
    {"attention": [(12, 10), (12,), (6, 10), (6,), (6, 10), (6,), (10, 12)]},
    cached(6, 6),
)
NARROW_VALUES = Case(
    GQA | {"v_dim": 2, "window": 3, "qk_norm": "head", "out_bias": True, "alibi": True, "rotary": False, "sinks": True},
    [
        matrix("q_proj", 10, 12, "x"),
        matrix("k_proj", 10, 6, "x"),
        matrix("v_proj", 10, 4, "x"),
        norm("q_norm", 3, "q_proj", heads=4),
        norm("k_norm", 3, "k_proj", heads=2),
        append(10, "k_norm", "v_proj", held=2),
        # scale, maximum, exponential, sum, rescale; slope times distance, added
        scores(4, 2, 3, 2, "q_norm", "k_norm", "v_proj", flops=5 + 2, held=2, window=3),
        matrix("o_proj", 8, 10, "attention", bias=1),
    ],
    {"attention": [(12, 10), (6, 10), (4, 10), (3,), (3,), (10, 8), (10,), (4,)]},
    cached(6, 4, last=2),
)
FUSED = Case(
    GQA
    | {"fused_qkv": True, "lora_rank": 2, "window": 3, "windowed_cache": False, "qk_norm": "width", "rotary_dim": 2},
    [
        matrix("qkv_proj", 10, 24, "x"),
        matrix("qkv_proj_lora_a", 10, 2, "x"),
        matrix("qkv_proj_lora_b", 2, 24, "qkv_proj_lora_a"),
        each("qkv_proj_lora", pointwise.add, 24, "qkv_proj", "qkv_proj_lora_b"),
        norm("q_norm", 12, "qkv_proj_lora"),
        norm("k_norm", 6, "qkv_proj_lora"),
        each("rotary", attention.rotary, 12, "q_norm", "k_norm"),
        append(12, "rotary", "qkv_proj_lora"),
        scores(4, 2, 3, 3, "rotary", "qkv_proj_lora", window=3),
        matrix("o_proj", 12, 10, "attention"),
    ],
    {"attention": [(24, 10), (2, 10), (24, 2), (12,), (6,), (10, 12)]},
    cached(6, 6),
)
SHARED_KEYS = Case(
    GQA | {"k_is_v": True, "v_norm": True, "output_gate": True, "chunk": 3, "out_norm": True, "soft_cap": True},
    [
        matrix("q_proj", 10, 24, "x"),
        matrix("k_proj", 10, 6, "x"),
        norm("v_norm", 3, "k_proj", heads=2, weighted=False),
        each("rotary", attention.rotary, 18, "q_proj", "k_proj"),
        append(12, "rotary", "v_norm", held=2),
        # divide, hyperbolic tangent (five), multiply
        scores(4, 2, 3, 3, "rotary", "v_norm", function=attention.chunked_attention, flops=5 + 7, held=2, chunk=3),
        each("output_gate", pointwise.gated_activation, 12, "attention", "q_proj"),
        norm("out_norm", 12, "output_gate"),
        matrix("o_proj", 12, 10, "out_norm"),
    ],
    {"attention": [(24, 10), (6, 10), (12,), (10, 12)]},
    cached(6, 6, last=2),
)
GATED_NARROW = Case(
    GQA | {"v_dim": 2, "output_gate": True, "out_norm": True},
    [
        matrix("q_proj", 10, 12 + 8, "x"),
        matrix("k_proj", 10, 6, "x"),
        matrix("v_proj", 10, 4, "x"),
        each("rotary", attention.rotary, 18, "q_proj", "k_proj"),
        append(10, "rotary", "v_proj"),
        scores(4, 2, 3, 2, "rotary", "v_proj"),
        each("output_gate", pointwise.gated_activation, 8, "attention", "q_proj"),
        norm("out_norm", 8, "output_gate"),
        matrix("o_proj", 8, 10, "out_norm"),
    ],
    {"attention": [(20, 10), (6, 10), (4, 10), (8,), (10, 8)]},
    cached(6, 4),
)
BORROWED = Case(
    GQA | {"reuses_kv": True, "qk_norm": "plain", "block": 2, "blocks": 2},
    [
        matrix("q_proj", 10, 12, "x"),
        norm("q_norm", 3, "q_proj", heads=4, weighted=False),
        each("rotary", attention.rotary, 12, "q_norm"),
        scores(4, 2, 3, 3, "rotary", function=attention.block_sparse_attention, block=2, blocks=2),
        matrix("o_proj", 12, 10, "attention"),
    ],
    {"attention": [(12, 10), (10, 12)]},
)
REPEATED = Case(
    GQA | {"repeated_cache": True, "qk_norm": "heads", "d_in": 8, "rotary": False, "window": 1},
    [
        matrix("q_proj", 8, 12, "x"),
        matrix("k_proj", 8, 6, "x"),
        matrix("v_proj", 8, 6, "x"),
        norm("q_norm", 12, "q_proj"),
        norm("k_norm", 6, "k_proj"),
        append(24, "k_norm", "v_proj", held=0),
        scores(4, 4, 3, 3, "q_norm", "k_norm", "v_proj", held=0, window=1),
        matrix("o_proj", 12, 10, "attention"),
    ],
    {"attention": [(12, 8), (6, 8), (6, 8), (12,), (6,), (10, 12)]},
    cached(12, 12, last=0),
)
BORROWED_AND_NORMED = Case(
    GQA | {"reuses_kv": True, "qk_norm": "head", "rotary": False, "d_in": 8, "lora_rank": 2, "qkv_bias": True},
    [
        matrix("q_proj", 8, 12, "x", bias=1),
        matrix("q_proj_lora_a", 8, 2, "x"),
        matrix("q_proj_lora_b", 2, 12, "q_proj_lora_a"),
        each("q_proj_lora", pointwise.add, 12, "q_proj", "q_proj_lora_b"),
        norm("q_norm", 3, "q_proj_lora", heads=4),
        scores(4, 2, 3, 3, "q_norm"),
        matrix("o_proj", 12, 10, "attention"),
    ],
    {"attention": [(12, 8), (12,), (2, 8), (12, 2), (3,), (10, 12)]},
)
BORROWED_WIDTH = Case(
    GQA | {"reuses_kv": True, "qk_norm": "width", "rotary": False},
    [
        matrix("q_proj", 10, 12, "x"),
        norm("q_norm", 12, "q_proj"),
        scores(4, 2, 3, 3, "q_norm"),
        matrix("o_proj", 12, 10, "attention"),
    ],
    {"attention": [(12, 10), (12,), (10, 12)]},
)

MLA = {"kind": "mla", "heads": 3, "kv_rank": 6, "nope_dim": 4, "rope_dim": 2, "v_dim": 5}
LATENT = {"batch": BATCH, "new": NEW, "context": CONTEXT, "act_bytes": ACT, "cache_bytes": CACHE}


def absorbed(*uses: str, window: int = NEW + CONTEXT) -> list[Row]:
    """Queries of four elements into the latents of six, attention there, and out to values of five."""
    sizes = {**LATENT, "heads": 3, "kv_rank": 6, "rope_dim": 2, "pair_flops": 5, "window": window}
    byte = STORED["kv_b_proj"]
    return [
        blocks("q_absorb", 3, 4, 6, "q_proj", byte=byte),
        row("attention", attention.latent_attention, 3 * 6, *uses, "q_absorb", "kv_a_norm", **sizes),
        blocks("v_absorb", 3, 6, 5, "attention", byte=byte),
    ]


LATENTS = Case(
    MLA | {"bias": True},
    [
        matrix("q_proj", 10, 18, "x"),
        matrix("kv_a_proj", 10, 8, "x", bias=1),
        norm("kv_a_norm", 6, "kv_a_proj"),
        each("rotary", attention.rotary, 8, "q_proj", "kv_a_proj"),
        append(8, "kv_a_norm", "rotary"),
        *absorbed("q_proj", "rotary"),
        matrix("o_proj", 15, 10, "v_absorb", bias=1),
    ],
    {"attention": [(18, 10), (8, 10), (8,), (6,), (3, 4 + 5, 6), (10, 15), (10,)]},
    cached(6, 2),
)
INDEXED = Case(
    MLA | {"q_rank": 7, "bias": True, "index_heads": 2, "index_dim": 3, "index_top_k": 5},
    [
        matrix("q_a_proj", 10, 7, "x", bias=1),
        norm("q_a_norm", 7, "q_a_proj"),
        matrix("q_proj", 7, 18, "q_a_norm"),
        matrix("kv_a_proj", 10, 8, "x", bias=1),
        norm("kv_a_norm", 6, "kv_a_proj"),
        each("rotary", attention.rotary, 8, "q_proj", "kv_a_proj"),
        append(11, "kv_a_norm", "rotary"),
        matrix("index_q_proj", 7, 6, "q_a_norm"),
        matrix("index_k_proj", 10, 3, "x"),
        each("index_norm", pointwise.layer_norm, 3, "index_k_proj", bias=1, weight_bytes=VECTOR),
        matrix("index_weights", 10, 2, "x"),
        row(
            "index_scores", attention.index_scores, 5, "index_q_proj", "index_norm", "index_weights",
            **LATENT, heads=2, qk_dim=3,
        ),
        *absorbed("q_proj", "rotary", window=5),
        matrix("o_proj", 15, 10, "v_absorb", bias=1),
    ],
    {
        "attention": [
            (7, 10), (7,), (7,), (18, 7), (8, 10), (8,), (6,), (3, 4 + 5, 6), (10, 15), (10,),
            (6, 7), (3, 10), (3,), (3,), (2, 10),
        ]
    },
    cached(6, 2, 3),
)  # fmt: skip
EXPANDED = Case(
    MLA | {"rotary": False, "index_top_k": 5},
    [
        matrix("q_proj", 10, 18, "x"),
        matrix("kv_a_proj", 10, 8, "x"),
        norm("kv_a_norm", 6, "kv_a_proj"),
        append(8, "kv_a_norm", "kv_a_proj"),
        # keys (4) and values (5) of three heads for all seven tokens of two sequences
        replace(
            matrix("kv_b_proj", 6, 27, "kv_a_norm"),
            sizes={**matrix("kv_b_proj", 6, 27).sizes, "tokens": 14},
            out=27 * ACT * 14,
        ),
        scores(3, 3, 6, 5, "q_proj", "kv_a_proj", "kv_b_proj", window=5),
        matrix("o_proj", 15, 10, "attention"),
    ],
    {"attention": [(18, 10), (8, 10), (6,), (3, 4 + 5, 6), (10, 15)]},
    cached(6, 2),
    p=replace(PASS, latents="expanded"),
)

HYMBA = {"kind": "hymba", "heads": 4, "kv_heads": 2, "head_dim": 3, "d_inner": 8, "d_state": 5, "dt_rank": 2}


def both_kinds(*, reused: bool) -> list[Row]:
    """Attention with values of two elements beside a selective scan of eight channels, after the projection."""
    turned = 12 if reused else 18
    window = NEW + CONTEXT if reused else 5
    return [
        matrix("in_proj", 10, 8 + 8 + 12 + (0 if reused else 6 + 4), "x"),
        each("rotary", attention.rotary, turned, "in_proj"),
        *([] if reused else [append(10, "rotary", "in_proj", held=4)]),
        scores(4, 2, 3, 2, "rotary", "in_proj", held=None if reused else 4, window=window),
        filters(8, 4, "in_proj"),
        matrix("x_proj", 8, 2 + 5 + 5, "conv"),
        norm("dt_norm", 2, "x_proj"),
        norm("b_norm", 5, "x_proj"),
        norm("c_norm", 5, "x_proj"),
        matrix("dt_proj", 2, 8, "dt_norm", kind="scan"),
        recurrent(
            scan.selective_scan, 8, "in_proj", "conv", "b_norm", "c_norm", "dt_proj", d_inner=8, d_state=5, groups=1
        ),
        norm("attention_norm", 8, "attention"),
        norm("scan_norm", 8, "scan"),
        each("mean", pointwise.add, 8, "attention_norm", "scan_norm"),
        matrix("out_proj", 8, 10, "mean"),
    ]


def hymba_tensors(projected: int) -> dict[str, list[Shape]]:
    """Projections in and out, filters, Δ B C and their norm, Δ, A, D, the norm of the scan; that of attention."""
    scanned: list[Shape] = [
        (projected, 10), (10, 8), (8, 4), (8,), (12, 8), (12,), (8, 2), (8,), (8, 5), (8,), (8,),
    ]  # fmt: skip
    return {"ssm": scanned, "attention": [(8,)]}


def hymba_state(*cache: tuple[Shape, float]) -> list[tuple[Shape, float]]:
    return [*cache, ((8, 5), STATE), ((8, 4), ACT)]


BOTH_KINDS = Case(
    HYMBA | {"window": 5},
    both_kinds(reused=False),
    hymba_tensors(38),
    lambda context: hymba_state(((min(context, 4), 6), CACHE), ((min(context, 4), 4), CACHE)),
)
WITHOUT_KEYS = Case(
    HYMBA | {"reuses_kv": True}, both_kinds(reused=True), hymba_tensors(28), lambda context: hymba_state()
)

CASES = {
    "plain": PLAIN,
    "narrow values": NARROW_VALUES,
    "fused": FUSED,
    "shared keys": SHARED_KEYS,
    "gated, narrow values": GATED_NARROW,
    "borrowed": BORROWED,
    "borrowed and normed": BORROWED_AND_NORMED,
    "borrowed, normed over the width": BORROWED_WIDTH,
    "repeated": REPEATED,
    "latents": LATENTS,
    "indexed": INDEXED,
    "expanded": EXPANDED,
    "both kinds": BOTH_KINDS,
    "without keys": WITHOUT_KEYS,
}
