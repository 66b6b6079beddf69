"""What one of several ranks has of a part: a smaller part, and what ranks exchange, both written down by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counting.rows import ACT, PASS, TOKENS
from roofsim.model.split import Split
from roofsim.model.step import Pass
from roofsim.ops import collective

TP2 = Split(tp=2)
SQUARES = 4 * TOKENS
"""Bytes of a sum of squares in fp32 for every new token."""


@dataclass(frozen=True)
class Exchange:
    """A collective: its name, what comes right before it, bytes of the payload, its ranks and their distance."""

    name: str
    after: str
    payload: float
    function: Callable[..., Any] = collective.all_reduce
    ranks: int = 2
    stride: int = 1


@dataclass(frozen=True)
class Rank:
    """A part and a split; the part that a rank has then, what is exchanged inside, and after it.

    `state` are bytes that a rank holds after four tokens beyond those of the smaller part.
    """

    whole: Mapping[str, Any]
    own: Mapping[str, Any]
    exchanges: Sequence[Exchange] = ()
    joins: Callable[..., Any] | None = collective.all_reduce
    split: Split = TP2
    p: Pass = PASS
    state: float = 0


GQA = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 3}
JOINED = {**GQA, "d_in": 20}
GROUPED = {"kind": "mamba2", "heads": 4, "head_dim": 3, "d_state": 5, "chunk": 2}
DELTA = {"kind": "gated_delta", "key_heads": 2, "value_heads": 4, "key_dim": 3, "value_dim": 5}
MLA = {"kind": "mla", "heads": 4, "kv_rank": 6, "q_rank": 7, "nope_dim": 4, "rope_dim": 2, "v_dim": 5, "bias": True}
HYMBA = {"kind": "hymba", "heads": 4, "kv_heads": 2, "head_dim": 3, "d_inner": 8, "d_state": 5, "dt_rank": 2}
GATED = {"kind": "gated_mlp", "width": 6, "bias": True, "lora_rank": 1}
ROUTED = {"kind": "moe", "experts": 4, "top_k": 2, "width": 6}
EXPERTS = {**ROUTED, "shared_width": 4, "shared_gate": True}
STREAM = 10 * ACT * TOKENS
"""Bytes of the residual stream."""


def of(fields: Mapping[str, Any], **sizes: Any) -> dict[str, Any]:
    return {**fields, **sizes}


RANKS = {
    "attention": Rank(
        of(GQA, qkv_bias=True, out_bias=True, sinks=True),
        of(GQA, heads=2, kv_heads=1, qkv_bias=True, out_bias=True, sinks=True),
    ),
    "keys on two ranks": Rank(GQA, of(GQA, heads=1, kv_heads=1), split=Split(tp=4)),
    "normed over the width": Rank(
        of(GQA, qk_norm="width", out_norm=True, output_gate=True),
        of(GQA, heads=2, kv_heads=1, qk_norm="width", out_norm=True, output_gate=True),
        [Exchange("qk_sums", "v_proj", 2 * SQUARES), Exchange("out_sums", "output_gate", SQUARES)],
    ),
    "latents": Rank(MLA, of(MLA, heads=2)),
    "both kinds": Rank(
        HYMBA, of(HYMBA, heads=2, kv_heads=1, d_inner=4),
        [
            Exchange("x_join", "x_proj", (2 + 5 + 5) * ACT * TOKENS),
            Exchange("branch_sums", "scan", 2 * SQUARES),
        ],
    ),
    "side by side": Rank(
        {"kind": "parallel", "attention": GQA, "ssm": of(GROUPED, groups=2)},
        {"kind": "parallel", "attention": of(GQA, heads=2, kv_heads=1), "ssm": of(GROUPED, heads=2, groups=1)},
    ),
    "shared block": Rank(
        {"kind": "shared_block", "block": "A", "attention": JOINED, "mlp": GATED},
        {"kind": "shared_block", "block": "A", "attention": of(JOINED, heads=2, kv_heads=1), "mlp": of(GATED, width=3)},
        [Exchange("attn_join", "o_proj", STREAM), Exchange("mlp_join", "down_proj", STREAM)],
        joins=None,
    ),
    "mamba1": Rank(
        {"kind": "mamba1", "d_inner": 6, "d_state": 4, "dt_rank": 2, "bias": True},
        {"kind": "mamba1", "d_inner": 3, "d_state": 4, "dt_rank": 2, "bias": True},
        [Exchange("x_join", "x_proj", (2 + 4 + 4) * ACT * TOKENS)],
    ),
    "mamba1, heads": Rank(
        {"kind": "mamba1", "d_inner": 8, "d_state": 4, "dt_rank": 2, "mamba_heads": 4},
        {"kind": "mamba1", "d_inner": 4, "d_state": 4, "dt_rank": 2, "mamba_heads": 2},
    ),
    "mamba2": Rank(of(GROUPED, groups=2), of(GROUPED, heads=2, groups=1)),
    "mamba2, a group on two ranks": Rank(
        of(GROUPED, groups=2), of(GROUPED, heads=1, groups=1), [Exchange("gate_sums", "scan", SQUARES)],
        split=Split(tp=4),
    ),
    "mamba2 without norm": Rank(of(GROUPED, gated_norm=False), of(GROUPED, gated_norm=False, heads=2)),
    "gated_delta": Rank(DELTA, of(DELTA, key_heads=1, value_heads=2)),
    "kda": Rank({"kind": "kda", "heads": 2, "head_dim": 3}, {"kind": "kda", "heads": 1, "head_dim": 3}),
    "lightning": Rank(
        {"kind": "lightning", "heads": 2, "head_dim": 3}, {"kind": "lightning", "heads": 1, "head_dim": 3},
        [Exchange("norm_sums", "output_gate", SQUARES)],
    ),
    "mlstm": Rank(
        {"kind": "mlstm", "heads": 2, "qk_dim": 3, "v_dim": 4, "bias": True},
        {"kind": "mlstm", "heads": 1, "qk_dim": 3, "v_dim": 4, "bias": True},
    ),
    "rg_lru": Rank({"kind": "rg_lru", "heads": 2, "head_dim": 3}, {"kind": "rg_lru", "heads": 1, "head_dim": 3}),
    "short_conv": Rank({"kind": "short_conv", "channels": 6}, {"kind": "short_conv", "channels": 3}),
    # the last token, of all ten channels, is on both ranks
    "rwkv4": Rank({"kind": "rwkv4", "width": 10}, {"kind": "rwkv4", "width": 5}, state=5 * ACT),
    "rwkv5": Rank(
        {"kind": "rwkv5", "heads": 2, "head_dim": 5}, {"kind": "rwkv5", "heads": 1, "head_dim": 5}, state=5 * ACT
    ),
    "rwkv6": Rank(
        {"kind": "rwkv6", "heads": 2, "head_dim": 5}, {"kind": "rwkv6", "heads": 1, "head_dim": 5}, state=5 * ACT
    ),
    "rwkv7": Rank(
        {"kind": "rwkv7", "heads": 2, "head_dim": 5, "decay_rank": 2, "rate_rank": 3, "gate_rank": 4, "value_rank": 1},
        {"kind": "rwkv7", "heads": 1, "head_dim": 5, "decay_rank": 2, "rate_rank": 3, "gate_rank": 4, "value_rank": 1},
        state=5 * ACT,
    ),
    "mlp": Rank(
        {"kind": "mlp", "width": 6, "bias": True, "activation_weights": 2},
        {"kind": "mlp", "width": 3, "bias": True, "activation_weights": 2},
    ),
    "gated": Rank(
        of(GATED, inner_norm=True), of(GATED, width=3, inner_norm=True), [Exchange("inner_sums", "gate", SQUARES)]
    ),
    "channel mix without receptance": Rank(
        {"kind": "rwkv_mlp", "d_in": 10, "width": 6, "receptance": False},
        {"kind": "rwkv_mlp", "d_in": 10, "width": 3, "receptance": False},
    ),
    "looked up": Rank(
        {"kind": "layer_embedding", "width": 4, "vocab": 7}, {"kind": "layer_embedding", "width": 4, "vocab": 4},
        [Exchange("layer_embedding_join", "layer_embedding", 4 * ACT * TOKENS)], joins=None,
    ),
    "draft input": Rank({"kind": "draft_input"}, {"kind": "draft_input"}, joins=None),
    "experts, each divided": Rank(EXPERTS, of(EXPERTS, width=3, shared_width=2)),
    "dense and experts": Rank(
        {"kind": "dense_and_moe", "mlp": GATED, "moe": ROUTED},
        {"kind": "dense_and_moe", "mlp": of(GATED, width=3), "moe": of(ROUTED, width=3)},
        [Exchange("dense_join", "down_proj", STREAM), Exchange("moe_join", "combine", STREAM)], joins=None,
    ),
}  # fmt: skip
