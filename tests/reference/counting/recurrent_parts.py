"""Recurrent mixers: operators, tensors and state, written down by hand at toy sizes."""

from __future__ import annotations

from collections.abc import Sequence

from counting.rows import (
    ACT,
    STATE,
    VECTOR,
    Case,
    Row,
    Shape,
    blocks,
    each,
    filters,
    gated_norm,
    matrix,
    norm,
    recurrent,
    shift,
)
from roofsim.ops import gating, pointwise, recurrence, scan


def constant(*held: tuple[Shape, float]):  # type: ignore[no-untyped-def]
    """Tensors that do not grow."""
    return lambda context: held


MAMBA1 = {"kind": "mamba1", "d_inner": 6, "d_state": 4, "dt_rank": 2}
SELECTED = {"d_inner": 6, "d_state": 4, "groups": 1}
MAMBA1_STATE = constant(((6, 4), STATE), ((6, 4), ACT))
MAMBA1_REST: list[Shape] = [(6, 4), (12, 10), (10, 6), (6, 2), (6,), (6, 4), (6,), (10, 6)]
"""Filters, in, Δ B C, Δ and its bias, A, D, out."""
SELECTIVE = Case(
    MAMBA1 | {"bias": True},
    [
        matrix("in_proj", 10, 12, "x", bias=1),
        filters(6, 4, "in_proj"),
        matrix("x_proj", 6, 2 + 4 + 4, "conv"),
        matrix("dt_proj", 2, 6, "x_proj", kind="scan"),
        recurrent(scan.selective_scan, 6, "in_proj", "conv", "x_proj", "dt_proj", **SELECTED),
        matrix("out_proj", 6, 10, "scan", bias=1),
    ],
    {"ssm": [*MAMBA1_REST, (6,), (12,), (10,)]},
    MAMBA1_STATE,
)


def with_norms(*, learned: bool) -> Case:
    """Δ, B and C are normed; Python holds what they were made of until the scan."""
    made = ("x_proj", "dt_norm", "b_norm", "c_norm", "dt_proj")
    return Case(
        MAMBA1 | {"conv_bias": False, "norms": "learned" if learned else "plain"},
        [
            matrix("in_proj", 10, 12, "x"),
            filters(6, 4, "in_proj", bias=0),
            matrix("x_proj", 6, 10, "conv"),
            norm("dt_norm", 2, "x_proj", weighted=learned),
            norm("b_norm", 4, "x_proj", weighted=learned),
            norm("c_norm", 4, "x_proj", weighted=learned),
            matrix("dt_proj", 2, 6, "dt_norm", kind="scan"),
            recurrent(scan.selective_scan, 6, "in_proj", "conv", *made, **SELECTED),
            matrix("out_proj", 6, 10, "scan"),
        ],
        {"ssm": [*MAMBA1_REST, *([(2,), (4,), (4,)] if learned else [])]},
        MAMBA1_STATE,
    )


OF_HEADS = Case(
    MAMBA1 | {"mamba_heads": 2},
    [
        matrix("in_proj", 10, 12, "x"),
        filters(6, 4, "in_proj"),
        blocks("x_proj", 2, 3, 10, "conv", kind="scan"),
        blocks("dt_proj", 2, 2, 3, "x_proj", kind="scan"),
        recurrent(scan.selective_scan, 6, "in_proj", "conv", "x_proj", "dt_proj", d_inner=6, d_state=4, groups=2),
        matrix("out_proj", 6, 10, "scan"),
    ],
    {"ssm": [(6, 4), (6,), (12, 10), (2, 10, 3), (2, 3, 2), (6,), (6, 4), (6,), (10, 6)]},
    MAMBA1_STATE,
)

MAMBA2 = {"kind": "mamba2", "heads": 4, "head_dim": 3, "d_state": 5, "groups": 2, "chunk": 2}
DUAL = {"heads": 4, "head_dim": 3, "d_state": 5, "groups": 2, "chunk": 2}
MAMBA2_STATE = (((12, 5), STATE), ((12 + 10 + 10, 4), ACT))
MAMBA2_REST: list[Shape] = [(48, 10), (32, 4), (4,), (4,), (4,), (10, 12)]
"""In (x, B, C twice: gate and channels; Δ), filters, A, D, Δ's bias, out."""


def dual(prefix: str, gate: Row, *, bias: int, conv_bias: int) -> list[Row]:
    return [
        matrix("in_proj", 10, 12 + 12 + 10 + 10 + 4, "x", bias=bias),
        filters(32, 4, "in_proj", bias=conv_bias),
        recurrent(scan.ssd_scan, 12, "in_proj", "conv", **DUAL),
        gate,
        matrix("out_proj", 12, 10, "ssm_gate", bias=bias),
    ]


STATE_SPACE_DUAL = Case(
    MAMBA2 | {"bias": True},
    dual(
        "", each("ssm_gate", pointwise.gated_rms_norm, 12, "scan", "in_proj", weight_bytes=VECTOR), bias=1, conv_bias=1
    ),
    {"ssm": [*MAMBA2_REST, (48,), (32,), (12,), (10,)]},
    constant(*MAMBA2_STATE),
)
WITHOUT_NORM = Case(
    MAMBA2 | {"gated_norm": False, "conv_bias": False},
    dual("", each("ssm_gate", pointwise.gated_activation, 12, "scan", "in_proj"), bias=0, conv_bias=0),
    {"ssm": MAMBA2_REST},
    constant(*MAMBA2_STATE),
)

DELTA = {"kind": "gated_delta", "key_heads": 2, "value_heads": 4, "key_dim": 3, "value_dim": 5}


def gated_delta(*, joined: bool) -> Case:
    """Queries and keys of 6, values and gate of 20, two gates of the rule for each of four heads."""
    if joined:
        made = [matrix("in_proj_qkvz", 10, 6 + 6 + 20 + 20, "x"), matrix("in_proj_ba", 10, 4 + 4, "x")]
        source, z, gates = "in_proj_qkvz", "in_proj_qkvz", ["in_proj_ba"]
    else:
        widths = {"in_proj_qkv": 6 + 6 + 20, "in_proj_z": 20, "in_proj_b": 4, "in_proj_a": 4}
        made = [matrix(name, 10, width, "x") for name, width in widths.items()]
        source, z, gates = "in_proj_qkv", "in_proj_z", ["in_proj_b", "in_proj_a"]
    sizes = {"key_heads": 2, "heads": 4, "qk_dim": 3, "v_dim": 5, "keys": 1, "gates": 2, "chunk": 64}
    return Case(
        DELTA | {"joined": joined},
        [
            *made,
            filters(32, 4, source, bias=0),
            recurrent(recurrence.delta_rule, 20, "conv", *gates, **sizes),
            gated_norm(gating.rms_norm_gate, 20, 5, "scan", z),
            matrix("out_proj", 20, 10, "output_norm"),
        ],
        # in, gates, filters, decay and its bias, norm, out
        {"ssm": [(52, 10), (8, 10), (32, 4), (4,), (4,), (5,), (10, 20)]},
        constant(((4, 3, 5), STATE), ((32, 4), ACT)),
    )


KIMI = Case(
    {"kind": "kda", "heads": 2, "head_dim": 3},
    [
        matrix("q_proj", 10, 6, "x"),
        matrix("k_proj", 10, 6, "x"),
        matrix("v_proj", 10, 6, "x"),
        filters(18, 4, "q_proj", "k_proj", "v_proj", bias=0),
        matrix("f_a_proj", 10, 3, "x"),
        matrix("f_b_proj", 3, 6, "f_a_proj"),
        matrix("b_proj", 10, 2, "x"),
        recurrent(
            recurrence.delta_rule, 6, "conv", "f_b_proj", "b_proj",
            key_heads=2, heads=2, qk_dim=3, v_dim=3, keys=1, gates=3 + 1, chunk=64,
        ),
        matrix("g_a_proj", 10, 3, "x"),
        matrix("g_b_proj", 3, 6, "g_a_proj"),
        gated_norm(gating.rms_norm_gate, 6, 3, "scan", "g_b_proj"),
        matrix("o_proj", 6, 10, "output_norm"),
    ],
    # q k v, their filters, decay of two ranks with its scale per head and bias, learning rate, gate, norm, out
    {"ssm": [(18, 10), (18, 4), (3, 10), (6, 3), (2,), (6,), (2, 10), (3, 10), (6, 3), (3,), (10, 6)]},
    constant(((2, 3, 3), STATE), ((18, 4), ACT)),
)  # fmt: skip
LIGHTNING = Case(
    {"kind": "lightning", "heads": 2, "head_dim": 3},
    [
        matrix("qkv_proj", 10, 18, "x"),
        each("qkv_activation", pointwise.activation, 18, "qkv_proj"),
        recurrent(
            recurrence.linear_attention, 6, "qkv_activation",
            state=ACT, heads=2, qk_dim=3, v_dim=3, gates=0, chunk=256,
        ),
        matrix("output_gate", 10, 6, "x"),
        gated_norm(gating.rms_norm_gate, 6, 6, "scan", "output_gate"),
        matrix("out_proj", 6, 10, "output_norm"),
    ],
    {"ssm": [(18, 10), (6, 10), (6,), (10, 6)]},
    constant(((2, 3, 3), ACT)),
)  # fmt: skip


def matrix_lstm(*, bias: int) -> Case:
    biases: Sequence[Shape] = [(6,), (6,), (8,), (8,), (8,), (10,)] if bias else []
    return Case(
        {"kind": "mlstm", "heads": 2, "qk_dim": 3, "v_dim": 4, "bias": bool(bias)},
        [
            matrix("q_proj", 10, 6, "x", bias=bias),
            matrix("k_proj", 10, 6, "x", bias=bias),
            matrix("v_proj", 10, 8, "x", bias=bias),
            matrix("o_gate", 10, 8, "x", bias=bias),
            matrix("i_gate", 10, 2, "x", bias=1),
            matrix("f_gate", 10, 2, "x", bias=1),
            each("i_gate_cap", pointwise.soft_cap, 2, "i_gate"),
            each("f_gate_cap", pointwise.soft_cap, 2, "f_gate"),
            recurrent(
                recurrence.mlstm, 8, "q_proj", "k_proj", "v_proj", "i_gate_cap", "f_gate_cap",
                state=ACT, heads=2, qk_dim=3, v_dim=4, chunk=64,
            ),
            gated_norm(gating.layer_norm_gate, 8, 16 if bias else 8, "scan", "o_gate"),
            matrix("out_proj", 8, 10, "output_norm", bias=bias),
        ],
        {"ssm": [(6, 10), (6, 10), (8, 10), (8, 10), (2, 10), (2,), (2, 10), (2,), (8,), (10, 8), *biases]},
        constant(((2, 3, 4), ACT), ((2, 3), ACT), ((2,), ACT)),
    )  # fmt: skip


GRIFFIN = Case(
    {"kind": "rg_lru", "heads": 2, "head_dim": 3},
    [
        matrix("linear_y", 10, 6, "x", bias=1),
        matrix("linear_x", 10, 6, "x", bias=1),
        filters(6, 4, "linear_x", held=3),
        blocks("input_gate", 2, 3, 3, "conv", kind="scan"),
        blocks("recurrent_gate", 2, 3, 3, "conv", kind="scan"),
        recurrent(recurrence.rg_lru, 6, "conv", "input_gate", "recurrent_gate", channels=6),
        each("output_gate", pointwise.gated_activation, 6, "linear_y", "scan"),
        matrix("linear_out", 6, 10, "output_gate", bias=1),
    ],
    # both in, filters, both gates, Λ, out
    {
        "ssm": [
            (6, 10), (6,), (6, 10), (6,), (6, 4), (6,), (2, 3, 3), (2, 3), (2, 3, 3), (2, 3), (6,), (10, 6), (10,),
        ]
    },
    constant(((6,), STATE), ((6, 3), ACT)),
)  # fmt: skip


def gated_convolution(*, bias: int) -> Case:
    biases: Sequence[Shape] = [(18,), (6,), (10,)] if bias else []
    return Case(
        {"kind": "short_conv", "channels": 6, "bias": bool(bias)},
        [
            matrix("in_proj", 10, 18, "x", bias=bias),
            each("input_gate", gating.product, 6, "in_proj"),
            filters(6, 3, "input_gate", bias=bias, held=3),
            each("output_gate", gating.product, 6, "in_proj", "conv"),
            matrix("out_proj", 6, 10, "output_gate", bias=bias),
        ],
        {"ssm": [(18, 10), (6, 3), (10, 6), *biases]},
        constant(((6, 3), ACT)),
    )


SQUARE: Shape = (10, 10)
VECTORS: Shape = (10,)
RWKV4 = Case(
    {"kind": "rwkv4", "width": 10},
    [
        shift("token_shift", 3),
        matrix("key", 10, 10, "token_shift"),
        matrix("value", 10, 10, "token_shift"),
        matrix("receptance", 10, 10, "token_shift"),
        recurrent(recurrence.wkv4, 10, "key", "value", channels=10),
        each("output_gate", pointwise.gated_activation, 10, "receptance", "scan"),
        matrix("output", 10, 10, "output_gate"),
    ],
    # matrices; mixes, decay and bonus
    {"ssm": [*[SQUARE] * 4, *[VECTORS] * (3 + 1 + 1)]},
    constant(((10,), STATE), ((10,), STATE), ((10,), STATE), ((10,), ACT)),
)
HEADS = {"heads": 2, "qk_dim": 5, "v_dim": 5}
WKV_STATE = constant(((2, 5, 5), STATE), ((10,), ACT))


def after_the_mixes(source: str, *decay: str, gates: int) -> list[Row]:
    return [
        *(matrix(name, 10, 10, source) for name in ("receptance", "key", "value", "gate")),
        recurrent(recurrence.wkv, 10, "receptance", "key", "value", *decay, gates=gates, chunk=64, **HEADS),
        gated_norm(gating.layer_norm_gate, 10, 20, "scan", "gate"),
        matrix("output", 10, 10, "output_norm"),
    ]


RWKV5 = Case(
    {"kind": "rwkv5", "heads": 2, "head_dim": 5},
    [shift("token_shift", 4), *after_the_mixes("token_shift", gates=0)],
    # matrices; mixes, decay, bonus, norm and its bias
    {"ssm": [*[SQUARE] * 5, *[VECTORS] * (4 + 1 + 1 + 2)]},
    WKV_STATE,
)
RWKV6 = Case(
    {"kind": "rwkv6", "heads": 2, "head_dim": 5, "mix_rank": 3, "decay_rank": 4},
    [
        shift("token_shift", 1),
        matrix("mix_a", 10, 5 * 3, "token_shift"),
        each("mix_activation", pointwise.activation, 15, "mix_a"),
        blocks("mix_b", 5, 3, 10, "mix_activation"),
        Row(
            "mixes", gating.learned_mix,
            {"tokens": 6, "width": 10, "mixes": 5, "weight_bytes": VECTOR, "act_bytes": ACT},
            5 * 10 * ACT * 6, ("x", "mix_b"), "pointwise",
        ),
        matrix("decay_a", 10, 4, "mixes"),
        each("decay_activation", pointwise.activation, 4, "decay_a"),
        matrix("decay_b", 4, 10, "decay_activation"),
        *after_the_mixes("mixes", "decay_b", gates=5),
    ],
    # matrices, low-rank ones; the first mix and five, decay, bonus, norm and its bias
    {"ssm": [*[SQUARE] * 5, (15, 10), (5, 10, 3), (4, 10), (10, 4), *[VECTORS] * (1 + 5 + 1 + 1 + 2)]},
    WKV_STATE,
)  # fmt: skip


def rwkv7(value_rank: int) -> Case:
    value, shared, of_values = "value", [], []
    if value_rank:
        value = "value_mix"
        shared = [
            matrix("share_a", 10, value_rank, "token_shift"),
            matrix("share_b", value_rank, 10, "share_a", bias=1),
            each("value_mix", gating.lerp, 10, "value", "share_b"),
        ]
        of_values = [(value_rank, 10), (10, value_rank), VECTORS]
    return Case(
        {
            "kind": "rwkv7", "heads": 2, "head_dim": 5, "decay_rank": 2, "rate_rank": 3, "gate_rank": 4,
            "value_rank": value_rank,
        },
        [
            shift("token_shift", 6),
            *(matrix(name, 10, 10, "token_shift") for name in ("receptance", "key", "value")),
            matrix("decay_a", 10, 2, "token_shift"),
            each("decay_activation", pointwise.activation, 2, "decay_a"),
            matrix("decay_b", 2, 10, "decay_activation", bias=1),
            matrix("rate_a", 10, 3, "token_shift"),
            matrix("rate_b", 3, 10, "rate_a", bias=1),
            matrix("gate_a", 10, 4, "token_shift"),
            each("gate_activation", pointwise.activation, 4, "gate_a"),
            matrix("gate_b", 4, 10, "gate_activation"),
            *shared,
            recurrent(
                recurrence.delta_rule, 10, "receptance", "key", value, "decay_b", "rate_b",
                key_heads=2, keys=2, gates=5 + 5, chunk=16, **HEADS,
            ),
            each(
                "output_norm", gating.bonus_norm_gate, 10, "scan", "receptance", "key", value, "gate_b",
                weight_bytes=VECTOR,
            ),
            matrix("output", 10, 10, "output_norm"),
        ],
        {
            # matrices; decay and rate with a bias each, gate; six mixes, three of keys and bonus, norm and its bias
            "ssm": [
                *[SQUARE] * 4, (2, 10), (10, 2), VECTORS, (3, 10), (10, 3), VECTORS, (4, 10), (10, 4), *of_values,
                *[VECTORS] * (6 + 3 + 2),
            ]
        },
        WKV_STATE,
    )  # fmt: skip


CASES = {
    "mamba1": SELECTIVE,
    "mamba1, learned norms": with_norms(learned=True),
    "mamba1, plain norms": with_norms(learned=False),
    "mamba1, heads": OF_HEADS,
    "mamba2": STATE_SPACE_DUAL,
    "mamba2 without norm": WITHOUT_NORM,
    "gated_delta": gated_delta(joined=False),
    "gated_delta, joined": gated_delta(joined=True),
    "kda": KIMI,
    "lightning": LIGHTNING,
    "mlstm": matrix_lstm(bias=0),
    "mlstm, biases": matrix_lstm(bias=1),
    "rg_lru": GRIFFIN,
    "short_conv": gated_convolution(bias=0),
    "short_conv, biases": gated_convolution(bias=1),
    "rwkv4": RWKV4,
    "rwkv5": RWKV5,
    "rwkv6": RWKV6,
    "rwkv7": rwkv7(0),
    "rwkv7, shared values": rwkv7(1),
}
