"""Channel mixers, and parts made of parts: operators and tensors, written down by hand at toy sizes."""

from __future__ import annotations

from dataclasses import replace

from counting.rows import (
    ACT,
    CACHE,
    STATE,
    STORED,
    TOKENS,
    VECTOR,
    WEIGHT,
    Case,
    Row,
    Shape,
    append,
    each,
    filters,
    matrix,
    norm,
    recurrent,
    row,
    scores,
    shift,
)
from roofsim.ops import attention, gemm, pointwise, routing, scan


def dense(*, bias: int) -> Case:
    return Case(
        {"kind": "mlp", "width": 6, "bias": bool(bias), "activation_weights": 2},
        [
            matrix("up_proj", 10, 6, "x", bias=bias),
            each("activation", pointwise.activation, 6, "up_proj"),
            matrix("down_proj", 6, 10, "activation", bias=bias),
        ],
        {"mlp": [(6, 10), (10, 6), (2,), *([(6,), (10,)] if bias else [])]},
    )


GATED = Case(
    {"kind": "gated_mlp", "width": 6, "inner_norm": True, "bias": True},
    [
        matrix("gate_proj", 10, 6, "x", bias=1),
        matrix("up_proj", 10, 6, "x", bias=1),
        each("gate", pointwise.gated_activation, 6, "gate_proj", "up_proj"),
        norm("inner_norm", 6, "gate"),
        matrix("down_proj", 6, 10, "inner_norm", bias=1),
    ],
    {"mlp": [(6, 10), (6,), (6, 10), (6,), (6,), (10, 6), (10,)]},
)
FUSED = Case(
    {"kind": "gated_mlp", "width": 6, "fused": True},
    [
        matrix("gate_up_proj", 10, 12, "x"),
        each("gate", pointwise.gated_activation, 6, "gate_up_proj"),
        matrix("down_proj", 6, 10, "gate"),
    ],
    {"mlp": [(12, 10), (10, 6)]},
)
ADAPTED = Case(
    {"kind": "gated_mlp", "width": 6, "lora_rank": 2},
    [
        matrix("gate_proj", 10, 6, "x"),
        matrix("up_proj", 10, 6, "x"),
        matrix("lora_a", 10, 2, "x"),
        matrix("lora_b", 2, 12, "lora_a"),
        each("lora", pointwise.add, 12, "gate_proj", "up_proj", "lora_b"),
        each("gate", pointwise.gated_activation, 6, "lora"),
        matrix("down_proj", 6, 10, "gate"),
    ],
    {"mlp": [(12, 10), (10, 6), (2, 10), (12, 2)]},
)


def experts(name: str, d_in: int, d_out: int, *uses: str, bias: int = 0) -> Row:
    """Four experts, of which a token uses two."""
    sizes = {"tokens": TOKENS, "experts": 4, "top_k": 2, "d_in": d_in, "d_out": d_out, "bias": bias}
    byte = STORED.get(name, WEIGHT)
    return row(name, gemm.expert_linear, 2 * d_out, *uses, **sizes, weight_bytes=byte, act_bytes=ACT)


def chosen(function: object, uses: str = "experts_up") -> Row:
    """An activation of what two experts of width three made of every token."""
    return row("experts_act", function, 2 * 3, uses, tokens=2 * TOKENS, width=3, act_bytes=ACT)  # type: ignore[arg-type]


ROUTE = row("route", routing.route, 2, "router", tokens=TOKENS, experts=4, act_bytes=ACT)


def combine(width: int) -> Row:
    sizes = {"tokens": TOKENS, "top_k": 2, "width": width, "act_bytes": ACT}
    return row("combine", routing.combine, width, "experts_down", "route", **sizes)


EXPERT: list[Shape] = [(3, 10), (3,), (3, 10), (3,), (10, 3), (10,)]
GATED_EXPERTS = Case(
    {
        "kind": "moe", "experts": 4, "top_k": 2, "width": 3, "expert_bias": True, "router_bias": True,
        "shared_width": 5, "shared_gate": True, "shared_bias": True,
    },
    [
        matrix("router", 10, 4, "x", bias=1),
        ROUTE,
        experts("experts_up", 10, 6, "x", "route", bias=1),
        chosen(pointwise.gated_activation),
        experts("experts_down", 3, 10, "experts_act", bias=1),
        combine(10),
        matrix("shared_gate_proj", 10, 5, "x", bias=1),
        matrix("shared_up_proj", 10, 5, "x", bias=1),
        each("shared_act", pointwise.gated_activation, 5, "shared_gate_proj", "shared_up_proj"),
        matrix("shared_down_proj", 5, 10, "shared_act", bias=1),
        matrix("shared_gate", 10, 1, "x"),
        each("shared_scale", pointwise.scale, 10, "shared_down_proj", "shared_gate"),
        each("shared_sum", pointwise.add, 10, "combine", "shared_scale"),
    ],
    {"moe": [(4, 10), (4,), *EXPERT * 4, (5, 10), (5,), (5, 10), (5,), (10, 5), (10,), (1, 10)]},
    idle=EXPERT * 2,
)  # fmt: skip
IN_A_LATENT = Case(
    {
        "kind": "moe", "experts": 4, "top_k": 2, "width": 3, "gated": False, "latent": 6, "latent_bias": True,
        "normed_input": True, "shared_width": 5, "shared_bias": True, "expert_bias": True,
    },
    [
        norm("router_norm", 10, "x"),
        matrix("router", 10, 4, "router_norm"),
        ROUTE,
        matrix("latent_down", 10, 6, "x", bias=1),
        experts("experts_up", 6, 3, "latent_down", "route", bias=1),
        chosen(pointwise.activation),
        experts("experts_down", 3, 6, "experts_act", bias=1),
        combine(6),
        matrix("latent_up", 6, 10, "combine", bias=1),
        matrix("shared_up_proj", 10, 5, "x", bias=1),
        each("shared_act", pointwise.activation, 5, "shared_up_proj"),
        matrix("shared_down_proj", 5, 10, "shared_act", bias=1),
        each("shared_sum", pointwise.add, 10, "latent_up", "shared_down_proj"),
    ],
    {
        "moe": [
            (10,), (4,), (4, 10), (6, 10), (6,), (10, 6), (10,), *[(3, 6), (3,), (6, 3), (6,)] * 4,
            (5, 10), (5,), (10, 5), (10,),
        ]
    },
    idle=[(3, 6), (3,), (6, 3), (6,)] * 2,
)  # fmt: skip
IN_A_LATENT_WITHOUT_BIASES = Case(
    {"kind": "moe", "experts": 4, "top_k": 2, "width": 3, "latent": 6},
    [
        matrix("router", 10, 4, "x"),
        ROUTE,
        matrix("latent_down", 10, 6, "x"),
        experts("experts_up", 6, 6, "latent_down", "route"),
        chosen(pointwise.gated_activation),
        experts("experts_down", 3, 6, "experts_act"),
        combine(6),
        matrix("latent_up", 6, 10, "combine"),
    ],
    {"moe": [(4, 10), (6, 10), (10, 6), *[(3, 6), (3, 6), (6, 3)] * 4]},
    idle=[(3, 6), (3, 6), (6, 3)] * 2,
)
BARE: list[Shape] = [(3, 10), (3, 10), (10, 3)]
DENSE_AND_EXPERTS = Case(
    {
        "kind": "dense_and_moe",
        "mlp": {"kind": "gated_mlp", "width": 6},
        "moe": {"kind": "moe", "experts": 4, "top_k": 2, "width": 3},
    },
    [
        matrix("gate_proj", 10, 6, "x"),
        matrix("up_proj", 10, 6, "x"),
        each("gate", pointwise.gated_activation, 6, "gate_proj", "up_proj"),
        matrix("down_proj", 6, 10, "gate"),
        norm("dense_norm", 10, "down_proj"),
        norm("moe_norm", 10, "x"),
        matrix("router", 10, 4, "moe_norm"),
        ROUTE,
        experts("experts_up", 10, 6, "moe_norm", "route"),
        chosen(pointwise.gated_activation),
        experts("experts_down", 3, 10, "experts_act"),
        combine(10),
        norm("combine_norm", 10, "combine"),
        each("branches_sum", pointwise.add, 10, "dense_norm", "combine_norm"),
    ],
    {"mlp": [(6, 10), (6, 10), (10, 6)], "moe": [(4, 10), *BARE * 4], "norm": [(10,)] * 3},
    idle=BARE * 2,
)
LOOKED_UP = Case(
    {"kind": "layer_embedding", "width": 4, "vocab": 7},
    [
        each("layer_embedding", pointwise.embedding, 4, weight_bytes=STORED["layer_embedding"]),
        matrix("layer_input_proj", 10, 4, "x"),
        norm("layer_input_norm", 4, "layer_input_proj"),
        each("layer_input", pointwise.add, 4, "layer_embedding", "layer_input_norm"),
        matrix("layer_gate", 10, 4, "x"),
        each("layer_gated", pointwise.gated_activation, 4, "layer_gate", "layer_input"),
        matrix("layer_out", 4, 10, "layer_gated"),
        norm("layer_out_norm", 10, "layer_out"),
    ],
    {"layer_embedding": [(7, 4), (4, 10), (4, 10), (10, 4)], "norm": [(10,)]},
    shared={"layer_input_norm": {"norm": [(4,)]}},
)


def channel_mix(*, receptance: bool) -> Case:
    gate = [
        matrix("channel_receptance", 10, 10, "channel_shift"),
        each("channel_gate", pointwise.gated_activation, 10, "channel_receptance", "channel_value"),
    ]
    return Case(
        {"kind": "rwkv_mlp", "d_in": 10, "width": 6, "receptance": receptance},
        [
            shift("channel_shift", 2 if receptance else 1),
            matrix("channel_key", 10, 6, "channel_shift"),
            each("activation", pointwise.activation, 6, "channel_key"),
            matrix("channel_value", 6, 10, "activation"),
            *(gate if receptance else []),
        ],
        {"mlp": [(6, 10), (10, 6), (10,), *([(10, 10), (10,)] if receptance else [])]},
        lambda context: [((10,), ACT)],
    )


GQA = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 3}
SSD = {"kind": "mamba2", "heads": 4, "head_dim": 3, "d_state": 5, "chunk": 2}


def prefixed(label: str, rows: list[Row]) -> list[Row]:
    """The rows of a branch: what they read is the input or the branch's own."""
    return [
        replace(
            each, name=f"{label}.{each.name}", uses=tuple(use if use == "x" else f"{label}.{use}" for use in each.uses)
        )
        for each in rows
    ]


SIDE_BY_SIDE = Case(
    {"kind": "parallel", "attention": GQA, "ssm": SSD},
    [
        *prefixed("ssm", [
            matrix("in_proj", 10, 12 + 12 + 5 + 5 + 4, "x"),
            filters(22, 4, "in_proj"),
            recurrent(scan.ssd_scan, 12, "in_proj", "conv", heads=4, head_dim=3, d_state=5, groups=1, chunk=2),
            each("ssm_gate", pointwise.gated_rms_norm, 12, "scan", "in_proj", weight_bytes=VECTOR),
            matrix("out_proj", 12, 10, "ssm_gate"),
        ]),
        *prefixed("attn", [
            matrix("q_proj", 10, 12, "x"),
            matrix("k_proj", 10, 6, "x"),
            matrix("v_proj", 10, 6, "x"),
            each("rotary", attention.rotary, 18, "q_proj", "k_proj"),
            append(12, "rotary", "v_proj"),
            scores(4, 2, 3, 3, "rotary", "v_proj"),
            matrix("o_proj", 12, 10, "attention"),
        ]),
        each("sum", pointwise.add, 10, "ssm.out_proj", "attn.o_proj"),
    ],
    {
        "attention": [(12, 10), (6, 10), (6, 10), (10, 12)],
        "ssm": [(38, 10), (22, 4), (22,), (4,), (4,), (4,), (12,), (10, 12)],
    },
    lambda context: [((context, 12), CACHE), ((12, 5), STATE), ((22, 4), ACT)],
)  # fmt: skip


def adapted(name: str, d_in: int, width: int, source: str) -> list[Row]:
    """A projection and its adapter of rank two."""
    return [
        matrix(name, d_in, width, source),
        matrix(f"{name}_lora_a", d_in, 2, source),
        matrix(f"{name}_lora_b", 2, width, f"{name}_lora_a"),
        each(f"{name}_lora", pointwise.add, width, name, f"{name}_lora_b"),
    ]


SHARED = {
    "kind": "shared_block", "block": "A", "attention": {**GQA, "d_in": 20, "lora_rank": 2},
    "mlp": {"kind": "gated_mlp", "width": 6, "lora_rank": 1},
}  # fmt: skip
SHARED_BLOCK = Case(
    SHARED,
    [
        each("join", pointwise.concat, 20, "x"),
        norm("attn_norm", 20, "join"),
        *adapted("q_proj", 20, 12, "attn_norm"),
        *adapted("k_proj", 20, 6, "attn_norm"),
        *adapted("v_proj", 20, 6, "attn_norm"),
        each("rotary", attention.rotary, 18, "q_proj_lora", "k_proj_lora"),
        append(12, "rotary", "v_proj_lora"),
        scores(4, 2, 3, 3, "rotary", "v_proj_lora"),
        matrix("o_proj", 12, 10, "attention"),
        norm("mlp_norm", 10, "o_proj"),
        matrix("gate_proj", 10, 6, "mlp_norm"),
        matrix("up_proj", 10, 6, "mlp_norm"),
        matrix("lora_a", 10, 1, "mlp_norm"),
        matrix("lora_b", 1, 12, "lora_a"),
        each("lora", pointwise.add, 12, "gate_proj", "up_proj", "lora_b"),
        each("gate", pointwise.gated_activation, 6, "lora"),
        matrix("down_proj", 6, 10, "gate"),
        matrix("block_out", 10, 10, "down_proj"),
    ],
    {
        "attention": [(2, 20), (12, 2), (2, 20), (6, 2), (2, 20), (6, 2), (10, 10)],
        "mlp": [(1, 10), (12, 1)],
    },
    lambda context: [((context, 12), CACHE)],
    shared={
        "A": {
            "attention": [(12, 20), (6, 20), (6, 20), (10, 12)],
            "mlp": [(6, 10), (6, 10), (10, 6)],
            "norm": [(20,), (10,)],
        }
    },
)

DRAFT_INPUT = Case(
    {"kind": "draft_input", "inputs": 3},
    [
        norm("input_norm", 10, "x"),
        each("join", pointwise.concat, 30, "x", "input_norm"),
        matrix("input_proj", 30, 10, "join"),
    ],
    {"mlp": [(10, 30)], "norm": [(10,)]},
)

CASES = {
    "input of a draft head": DRAFT_INPUT,
    "mlp": dense(bias=0),
    "mlp, biases": dense(bias=1),
    "gated": GATED,
    "fused": FUSED,
    "adapted": ADAPTED,
    "gated experts": GATED_EXPERTS,
    "experts in a latent": IN_A_LATENT,
    "experts in a latent without biases": IN_A_LATENT_WITHOUT_BIASES,
    "dense and experts": DENSE_AND_EXPERTS,
    "looked up": LOOKED_UP,
    "channel mix": channel_mix(receptance=True),
    "channel mix without receptance": channel_mix(receptance=False),
    "side by side": SIDE_BY_SIDE,
    "shared block": SHARED_BLOCK,
}
