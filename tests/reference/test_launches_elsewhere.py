"""What serving engines, mamba_ssm, llama.cpp and the ideal launch for toy networks, written down launch by launch."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log
from typing import Any

import numpy as np
import pytest
from counting.launches import (
    FP16,
    FP32,
    GATED,
    GQA,
    MLP,
    PREFILL,
    SELECTIVE,
    SSM,
    STEP,
    Expected,
    Launch,
    Own,
    check,
    chunked_scan,
    each,
    network,
    of_a_token,
    runtime,
    tiled,
    tiny,
)
from counting.rows import ACT, CACHE, PRECISION, TOKENS, D

from roofsim import library
from roofsim.engine.roofline import machine
from roofsim.foundation.schema import checked
from roofsim.lowering import serving
from roofsim.lowering.kernels import Kernel, Situation
from roofsim.lowering.step import graph_size, keeps, lower, mask_bytes, plans
from roofsim.model.architecture import Architecture
from roofsim.model.part import PARTS
from roofsim.model.split import Split
from roofsim.model.step import Pass, Phase, Precision, Routing
from roofsim.specs.runtime import Runtime

EVERY = TOKENS * D
DELTA = {"kind": "gated_delta", "key_heads": 2, "value_heads": 4, "key_dim": 3, "value_dim": 5, "chunk": 4}


def product(d_in: int) -> Own:
    return Own("gemm", fill=2 * d_in)


def test_a_serving_engine_joins_products_and_sums_with_norms() -> None:
    stack = runtime("vllm", host={"captured": None})
    # stream and branch in, both out in their places
    added = Launch("stream", vector=5 * EVERY, activations=4 * EVERY * ACT, uses=2)
    expected = {
        "norm_1": [added],
        "q_proj": [product(10)],
        "k_proj": [Own("gemm", joined=True)],
        "v_proj": [Own("gemm", joined=True)],
        "rotary": [Own("stream", uses=2)],
        "cache_append": [Own("stream")],
        "attention": [tiled(4)],
        "o_proj": [product(12)],
        "residual_1": [],
        "gate_proj": [product(10)],
        "up_proj": [Own("gemm", joined=True)],
        "gate": [Own("stream")],
        "down_proj": [product(6)],
        "residual_2": [],
        "final_norm": [added],
        # six rows, one after the other, of columns that one block takes
        "embedding": [Own("stream", blocks=1, waits=2 * 6)],
    }
    check(network(GQA, GATED), stack, PREFILL, expected)
    for new, rows in (16, 1), (17, 17), (18, 18):  # from 17 on each has a block of its own
        for width, across in (128, 1), (129, 2), (256, 2), (257, 3):
            looked_up = Own("stream", blocks=rows * across, waits=2 * 16 if rows == 1 else 2)
            check(network(GQA, d_model=width), stack, Pass(1, new, 0, PRECISION), {"embedding": [looked_up]})
    step = {"attention": [of_a_token(4, 2), tiny()], "q_proj": [product(10)]}
    check(network(GQA, GATED), stack, STEP, step)
    check(network(GQA, norm="layer"), stack, PREFILL, {"norm_1": [added]})
    inside = {name: [Own("stream")] for name in ("q_norm", "k_norm")}  # no sum is with these
    check(network(GQA | {"qk_norm": "head"}), stack, PREFILL, {"norm_1": [added], "final_norm": [added], **inside})
    moe = {"kind": "moe", "experts": 4, "top_k": 2, "width": 3, "shared_width": 5}
    shared = {"shared_gate_proj": [product(10)], "shared_up_proj": [Own("gemm", joined=True)]}
    check(network(moe), stack, PREFILL, shared)
    # where nothing gates, nothing is joined
    check(network(moe | {"gated": False}), stack, PREFILL, {"shared_up_proj": [product(10)]})
    check(network(MLP), stack, PREFILL, {"up_proj": [product(10)], "down_proj": [product(6)]})
    check(
        network(moe), stack, PREFILL, {"shared_sum": [Own("stream")], "experts_up": [tiny(), Own("gemm", triton=True)]}
    )


def test_a_serving_engine_takes_the_best_of_the_scores_in_fp32() -> None:
    scores = 2 * 7  # of the last token of each sequence
    sampled = [product(10), tiny(), each("strided", scores, ACT, FP32), each("strided", scores, FP32, 0), tiny(2)]
    for p in (replace(PREFILL, logits="last"), replace(STEP, logits="last")):
        check(network(GQA), runtime("vllm"), p, {"lm_head": sampled})


def test_a_serving_engine_pads_tokens_to_those_of_a_graph_but_no_sequence() -> None:
    stack, padded = runtime("vllm"), 8 * D  # two sequences of three tokens
    added = Launch("stream", vector=5 * padded, activations=4 * padded * ACT, uses=2)
    check(network(GQA, GATED), stack, PREFILL, {"norm_1": [added], "final_norm": [added]})
    kept = {"attention": [Launch("attention", **attended(3, 4))], "cache_append": [Launch("stream", **appended(6))]}
    check(network(GQA, GATED), stack, PREFILL, kept)
    # more than the largest graph: as they are
    beyond = Launch("stream", vector=5 * EVERY, activations=4 * EVERY * ACT, uses=2)
    check(network(GQA, GATED), runtime("vllm", host={"captured": 5}), PREFILL, {"norm_1": [beyond]})
    check(network(GQA, GATED), runtime("vllm", host={"captured": 6}), PREFILL, {"norm_1": [added]})


def attended(new: int, context: int) -> dict[str, float]:
    """Attention of two sequences, four heads that share two, three wide: each sees what is before it, and itself."""
    pairs, mean = 2 * sum(context + i + 1 for i in range(new)), context + (new + 1) / 2
    return {
        "matrix": 4 * pairs * 4 * 3, "vector": 5 * pairs * 4, "activations": 2 * new * 4 * 6 * ACT,
        "state": 2 * (new + context) * 2 * 6 * CACHE, "blocks": 2 * 2, "rows": new * 2,
        "spread": mean / (context + new), "padding": 64 / (new * 2) * (mean + 64) / mean,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("part", "pieces"),
    [
        (GQA, 2 * 2 * 7 / 8),  # keys and values of seven tokens of each of two sequences, in pages of eight
        (GQA | {"v_dim": 1}, 2 * 2 * 7 / 8),
        (GQA | {"window": 4}, 2 * 2 * (3 + 3) / 8),
        (GQA | {"chunk": 4}, 2 * 2 * (3 + 3) / 8),
        ({"kind": "mla", "heads": 3, "kv_rank": 5, "nope_dim": 3, "rope_dim": 2, "v_dim": 4}, 2 * 7 / 8),
    ],
)
def test_a_serving_engine_reads_keys_and_values_page_by_page(part: dict[str, Any], pieces: float) -> None:
    stack = runtime("vllm", memory={"block": 8})
    assert found_pieces(network(part), stack, PREFILL) == {"attention": pytest.approx(pieces)}
    assert found_pieces(network(part), runtime("llama.cpp"), PREFILL) == {}
    # pages that are taken in a row lie together
    assert found_pieces(network(part), runtime("vllm", memory={"in_a_row": True}), PREFILL) == {}
    held = 1 + (6 if "window" not in part and "chunk" not in part else 3)
    step = pieces / 7 * held if "window" not in part and "chunk" not in part else 2 * 2 * held / 8
    assert found_pieces(network(part), stack, STEP) == {"attention": pytest.approx(step)}


def found_pieces(model: Architecture, stack: Runtime, p: Pass) -> dict[str, Any]:
    """The pieces of a cache that operators read."""
    rows = lower(model, stack, p)
    return {o.name: k.pieces for row in rows for o, lowered in row for k in lowered.kernels if k.pieces is not None}


@pytest.mark.parametrize(
    ("tokens", "experts", "top_k", "sorts", "high", "wide"),
    [
        (1, 8, 2, 0, 16, 64),  # two of eight: no more than a quarter
        (2, 8, 2, 1, 16, 64),
        (3, 20, 2, 1, 16, 64),  # six of twenty
        (32, 8, 2, 1, 16, 64),
        (33, 8, 2, 1, 32, 64),
        (64, 128, 2, 2, 32, 64),
        (65, 64, 2, 1, 32, 128),
        (96, 8, 2, 1, 32, 128),
        (97, 8, 2, 1, 64, 128),
        (511, 64, 2, 1, 64, 128),  # 1,022 rows
        (512, 64, 2, 2, 64, 128),
        (513, 64, 2, 2, 128, 128),
    ],
)
def test_a_serving_engine_sorts_tokens_by_expert_and_computes_whole_tiles_of_each(
    tokens: int, experts: int, top_k: int, sorts: int, high: int, wide: int
) -> None:
    part = {"kind": "moe", "experts": experts, "top_k": top_k, "width": 70}
    stack, p = runtime("vllm", host={"captured": None}), Pass(1, tokens, 0, PRECISION)
    rows = lower(network(part), stack, p)
    found = {o.name: [k for k in lowered.kernels if k.count] for row in rows for o, lowered in row}
    names = [k.name for k in found["experts_up"]]
    assert names == ["sort by expert"] * (sorts > 0) + ["experts_up"]
    assert sorts == sum(k.count for k in found["experts_up"][:-1])
    touched = experts * (1 - (1 - top_k / experts) ** tokens)
    of_each = max(1.0, tokens * top_k / touched / high + 0.5)
    for name, d_in, d_out in ("experts_up", 10, 140), ("experts_down", 70, 10):
        product = found[name][-1]
        assert (product.like, product.triton) == ("gemm", True)
        assert product.fill == 0
        assert product.tile == 2 * high * wide * d_in
        assert product.tiles == pytest.approx(touched * of_each * -(-d_out // wide))
    assert [k.name for k in found["experts_down"]] == ["experts_down"]


@pytest.mark.parametrize(("gathered", "phase"), [(False, "prefill"), (False, "decode"), (True, "prefill")])
def test_tokens_of_other_ranks_come_quantised_and_go_to_the_rows_of_their_experts(gathered: bool, phase: Phase) -> None:
    """Four ranks with a half of eight experts each: rows of 16 elements in fp8, and results of 5 choices in 2 bytes."""
    part = checked(PARTS["moe"], {"kind": "moe", "experts": 8, "top_k": 5, "width": 70}).sharded(Split(dp=4, ep=4))
    precision = Precision(weights=1, activations=2, products={"weights": "fp8"})
    p = Pass(3, 7, 0, precision, phase=phase, routing=Routing(apart=True, gathered=gathered))
    operators = {o.name: o for o in part.operators(p, 16)}
    found = {
        name: serving.kernels(operators[name], Situation(library.runtime("vllm"), p)).kernels for name in operators
    }
    rows = operators["experts_up"].sizes["tokens"]
    before = [(k.name, k.cost.activations) for k in found["experts_up"][:-1]]
    if gathered:
        assert [name for name, _ in before] == ["sort by expert"]
    else:
        assert before == ([("rows by expert", pytest.approx(rows * 16 * 2))] if phase == "prefill" else [])
    (combined,) = found["combine"]
    assert combined.name == ("results by token" if phase == "prefill" and not gathered else "combine")
    if combined.name == "results by token":
        assert combined.cost.activations == 21 * 5 * 16 * (2 + 2)
        assert combined.cost.vector == 21 * 5 * 16 * 2
    assert [k.name for k in found["experts_down"]] == ["quantise", "experts_down"]


def test_expanded_keys_are_laid_beside_the_one_that_all_heads_share() -> None:
    """Two sequences of 3 + 5 tokens, four heads with keys of 6 + 2: read and written in two bytes each."""
    mla = {"kind": "mla", "heads": 4, "kv_rank": 10, "q_rank": 5, "nope_dim": 6, "rope_dim": 2, "v_dim": 4}
    part, s = checked(PARTS["mla"], mla), library.runtime("vllm")
    for phase in ("prefill", "decode"):
        p = Pass(2, 5, 3, Precision(), phase=phase, latents="expanded")
        (attends,) = (o for o in part.operators(p, 16) if o.name == "attention")
        first, *others = serving.kernels(attends, Situation(s, p)).kernels
        if phase == "prefill":
            assert (first.name, first.like, first.cost.activations) == ("keys joined", "strided", 2 * 8 * 4 * 8 * 4)
            assert [k.name for k in others] == ["attention"]
        else:
            assert first.name == "attention"


def test_tiles_whose_sums_are_scaled_take_640_inputs_more_on_units_that_scale() -> None:
    part = checked(PARTS["mlp"], {"kind": "mlp", "width": 256})
    for scaled, unit, more in ((0, "fp8", 0), (128, "fp8", 640), (128, None, None)):
        products = {"weights": "fp8" if unit else "weights_only"}
        p = Pass(1, 200, 0, Precision(weights=1, products=products, scaled=scaled))
        (up, *_) = part.operators(p, 512)
        product = serving.kernels(up, Situation(library.runtime("vllm"), p)).kernels[-1]
        assert product.tile == (0 if more is None else 2 * 128 * 128 * (512 + more))
    experts = checked(PARTS["moe"], {"kind": "moe", "experts": 4, "top_k": 2, "width": 96})
    for scaled in (0, 128):
        p = Pass(1, 1000, 0, Precision(weights=1, products={"weights": "fp8"}, scaled=scaled))
        down = {o.name: o for o in experts.operators(p, 64)}["experts_down"]
        product = serving.kernels(down, Situation(library.runtime("vllm"), p)).kernels[-1]
        assert product.tile == 2 * (64 if scaled else 128) * 128 * (96 + 5 * scaled)


def test_tiles_of_experts_load_rows_and_weights_again() -> None:
    """1,000 and 2,000 tokens, each for two of four experts, which all have some; 96 inputs, 320 outputs."""
    z = {"experts": 4, "top_k": 2, "d_in": 96, "d_out": 320, "weight_bytes": 1}
    sent = Routing(apart=True, gathered=False)
    for tokens, unit, scaled, routing, high, wide in (
        (1000, "fp8", 0, Routing(), 128, 128), (2000, "fp8", 0, Routing(), 128, 256),
        (2000, None, 0, Routing(), 128, 256), (2000, "fp8", 128, Routing(), 64, 128),
        (60, "fp8", 128, Routing(), 16, 128),
        (2000, "fp8", 128, sent, 128, 128), (2000, "fp8", 0, sent, 128, 256),
    ):  # fmt: skip
        products = {"weights": unit or "weights_only"}
        p = Pass(1, tokens, 0, Precision(weights=1, products=products, scaled=scaled), routing=routing)
        part = checked(PARTS["moe"], {"kind": "moe", "experts": 4, "top_k": 2, "width": 96})
        down = {o.name: o for o in part.operators(p, 320)}["experts_down"]
        assert {name: down.sizes[name] for name in z} == z
        product = serving.kernels(down, Situation(library.runtime("vllm"), p)).kernels[-1]
        rows, across = 2 * tokens, ceil(320 / wide)
        below = rows / 4 / high + 1 / 2
        assert product.tiles == pytest.approx(4 * below * across)
        loaded = across * rows * 96 * (1 if unit else 2) + below * 4 * 96 * 320
        once = rows * 96 * (1 if unit else 2) + 4 * 96 * 320
        assert product.again == pytest.approx(0 if scaled and routing == sent else loaded - once)


def test_experts_in_four_bits_are_not_launched_through_triton() -> None:
    part, precision = {"kind": "moe", "experts": 8, "top_k": 2, "width": 3}, Precision(weights=1 / 2)
    for bits, through in (precision, False), (replace(precision, weights=1), True):
        rows = lower(network(part), runtime("vllm"), Pass(1, 9, 0, bits))
        found = [
            lowered.kernels[-1]
            for row in rows
            for o, lowered in row
            if o.name.startswith("experts_") and o.kind == "gemm"
        ]
        assert [k.triton for k in found] == [through, through]


def test_flash_attention_2_regroups_the_heads_of_a_step_and_sums_up_what_it_splits() -> None:
    """An A100 has 108 units: with fewer than 172.8 blocks, keys beyond a tile of 128 are split."""
    stack, toy = runtime("vllm", host={"captured": None}), network(GQA | {"v_dim": 2})

    def step(batch: int, context: int) -> Pass:
        return Pass(batch, 1, context, PRECISION, phase="decode")

    def copied(elements: int) -> Launch:
        return each("strided", elements, ACT, ACT)

    def whole(batch: int, spread: float = 1) -> Own:
        return Own("attention", blocks=batch * 2, rows=2, spread=spread)

    for p, launches in (
        (step(2, 127), [copied(2 * 4 * 3), whole(2), copied(2 * 4 * 2)]),
        (step(2, 128), [copied(2 * 4 * 3), whole(2, 129 / 128), tiny(), copied(2 * 4 * 2)]),
        (step(1, 128), [whole(1, 129 / 128), tiny(), copied(4 * 2)]),
        (step(86, 255), [copied(86 * 4 * 3), whole(86, 2), tiny(), copied(86 * 4 * 2)]),
        (step(87, 255), [copied(87 * 4 * 3), whole(87, 2), copied(87 * 4 * 2)]),
        (PREFILL, [tiled(4)]),
    ):
        check(toy, stack, p, {"attention": launches}, "a100-sxm-80gb")
    # heads that share no keys are neither regrouped nor split; FlashAttention-3 takes them as they are
    many = network(GQA | {"kv_heads": 4})
    alone = [Own("attention", blocks=2 * 4, rows=1)]
    check(many, stack, step(2, 1023), {"attention": alone}, "a100-sxm-80gb")
    for device in ("h100-sxm", None):
        check(many, stack, STEP, {"attention": [Own("attention", blocks=2 * 4, rows=1), tiny()]}, device)
        check(toy, stack, STEP, {"attention": [of_a_token(4, 2), tiny()]}, device)
    latent = network({"kind": "mla", "heads": 3, "kv_rank": 6, "nope_dim": 4, "rope_dim": 2, "v_dim": 5})
    check(latent, stack, STEP, {"attention": [of_a_token(3, 1), tiny()]}, "a100-sxm-80gb")
    # another runtime's attention is not that of its device
    common = runtime("vllm", host={"captured": None}, attention={"tiles": "common"})
    check(toy, common, STEP, {"attention": [of_a_token(4, 2), tiny()]}, "a100-sxm-80gb")


def test_a_serving_engine_scores_tokens_in_fp8_and_chooses_them_from_scores_in_fp32() -> None:
    part = {
        "kind": "mla", "heads": 3, "kv_rank": 6, "nope_dim": 4, "rope_dim": 2, "v_dim": 5, "q_rank": 7,
        "index_heads": 2, "index_dim": 3, "index_top_k": 5,
    }  # fmt: skip
    for p, pairs in (PREFILL, 2 * (5 + 6 + 7)), (STEP, 2 * 7):
        scored = Own("gemm", fill=2 * 3, more=pairs * FP32)
        check(network(part), runtime("vllm"), p, {"index_scores": [scored, each("strided", pairs, FP32, 0)]})
        rows = lower(network(part), runtime("vllm"), p)
        found = next(lowered.kernels for row in rows for o, lowered in row if o.name == "index_scores")
        assert [k.unit for k in found] == ["fp8", None]


def appended(tokens: int) -> dict[str, float]:
    """Keys and values of so many tokens, two heads of three each, into the cache."""
    return {"activations": tokens * 12 * ACT, "state": tokens * 12 * CACHE}


@pytest.mark.parametrize(
    ("tokens", "size"),
    [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 16), (255, 256), (256, 256), (257, 272), (272, 272)],
)
def test_graphs_are_made_for_few_tokens_for_every_eight_and_from_256_on_for_every_16(tokens: int, size: int) -> None:
    assert graph_size(tokens) == size
    assert graph_size(np.array([1.0, tokens]))[1] == size


def test_what_a_prefill_launches_beside_its_graphs_is_attention_and_the_end() -> None:
    parts = [GQA, SSM, GATED]
    inside = {"cache_append", "attention", "o_proj", "conv", "scan", "ssm_gate", "lm_head"}
    assert launched(runtime("vllm"), replace(PREFILL, logits="last"), *parts) == inside
    assert launched(runtime("vllm"), replace(STEP, logits="last"), *parts) == {"lm_head"}
    # gated short convolutions and selective scans are between graphs with their projections
    short = {"in_proj", "input_gate", "conv", "output_gate", "out_proj"}
    found = launched(runtime("vllm"), replace(PREFILL, logits="last"), {"kind": "short_conv", "channels": 10}, GATED)
    assert found == short | {"lm_head"}
    found = launched(runtime("vllm"), replace(PREFILL, logits="last"), SELECTIVE, GATED)
    assert found == {"in_proj", "conv", "x_proj", "dt_proj", "scan", "out_proj", "lm_head"}
    # of a delta rule the norm begins the next graph
    found = launched(runtime("vllm"), replace(PREFILL, logits="last"), DELTA, GATED)
    assert found == {"conv", "scan", "output_norm", "lm_head"}
    for stack in (runtime("vllm", host={"captured": None}), runtime("vllm", host={"captured": 5})):
        everything = launched(stack, PREFILL, *parts)
        assert everything > inside | {"norm_1", "q_proj", "rotary", "down_proj", "final_norm", "embedding"}


def test_for_an_array_of_lengths_each_is_replayed_and_padded_as_alone() -> None:
    stack, lengths = runtime("vllm", host={"captured": 6}), np.array([1.0, 3.0, 4.0])  # 2, 6 and 8 tokens
    _, layer, _ = lower(network(GQA, GATED), stack, replace(PREFILL, new=lengths))
    norm = next(k for o, lowered in layer for k in lowered.kernels if o.name == "norm_1")
    assert norm.replayed.tolist() == [1, 1, 0]
    assert norm.cost.vector == pytest.approx(5 * D * np.array([2, 8, 8]))


def launched(stack: Runtime, p: Pass, *parts: Any) -> set[str]:
    """The operators whose kernels the host launches one by one."""
    rows = lower(network(*parts), stack, p)
    found = [(o.name, k.replayed) for row in rows for o, lowered in row for k in lowered.kernels]
    assert {replayed for _, replayed in found} <= {0, 1}
    return {name for name, replayed in found if not replayed}


@pytest.mark.parametrize("new", [1, 3])
def test_a_serving_engine_scans_with_the_kernels_of_mamba_ssm(new: int) -> None:
    stack, p = runtime("vllm"), Pass(2, new, 4, PRECISION)

    # blocks of up to eight tokens, of which both sequences have a few, in pairs of channels: x, B and C, or x alone
    def conv(channels: int) -> dict[str, Any]:
        return {"conv": [Own("stream", blocks=2, indexed=2 * new * channels / 2, waits=4 + new, triton=True)]}

    stepped = {"conv": [Own("stream", uses=2, triton=True)]}
    gated = {"ssm_gate": [Own("stream", triton=True)]}
    check(network(SSM, family="mamba2"), stack, p, {"scan": [tiny(), *chunked_scan(new)[0]]} | conv(32) | gated)
    check(network(SSM, family="mamba2"), stack, STEP, {"scan": [Own("stream", triton=True)]} | stepped | gated)
    # of 2 x new tokens the inputs, steps and gates of 6 channels go to rows, B and C of 4 states; D and a bias to fp32
    rows = [
        tiny(2),
        each("transpose", 2 * new * 6, ACT, ACT, count=3),
        each("transpose", 2 * new * 4, ACT, ACT, count=2),
    ]
    out = {"out_proj": [product(6), each("stream", (8 if new == 3 else 2) * D, ACT, ACT)]}  # six are padded to eight
    check(network(SELECTIVE, family="mamba"), stack, p, {"scan": [*rows, Own("scan")]} | conv(6) | out)
    check(network(SELECTIVE, family="mamba"), stack, STEP, {"scan": [tiny(1), Own("stream", triton=True)]} | stepped)
    for inner, across in (256, 1), (257, 2):
        wide, longer = network(SELECTIVE | {"d_inner": inner}, family="mamba"), Pass(2, 9, 0, PRECISION)
        halves = [Own("stream", blocks=2 * 2 * across, indexed=2 * 9 * inner / 2, waits=4 + 8, triton=True)]
        check(wide, stack, longer, {"conv": halves})


def test_a_serving_engine_joins_and_copies_the_result_of_a_short_convolution() -> None:
    part = {"kind": "short_conv", "channels": 12}
    for p, tokens in ((PREFILL, 6), (STEP, 2)):
        joined, out = each("stream", tokens * 12, ACT, ACT), each("stream", tokens * D, ACT, ACT)
        found = {"in_proj": [product(D)], "input_gate": [Own("stream")], "out_proj": [joined, product(12), out]}
        check(network(part), runtime("vllm", host={"captured": None}), p, found)


def test_a_serving_engine_multiplies_what_goes_into_the_state_space_layers_of_falcon_h1() -> None:
    width = 2 * 4 * 3 + 2 * 2 * 5 + 4  # z and x, B and C of two groups, a step for each head
    scaled = each("stream", TOKENS * width, ACT, ACT)
    stack = runtime("vllm", host={"captured": None})
    check(
        network(SSM, family="falcon_h1"), stack, PREFILL, {"in_proj": [product(D), scaled], "out_proj": [product(12)]}
    )
    check(network(SSM, family="mamba2"), stack, PREFILL, {"in_proj": [product(D)]})


@pytest.mark.parametrize("name", ["mamba-ssm", "transformers-4.52-eager"])
def test_mamba_ssm_fuses_norm_and_sum_with_a_stream_in_fp32(name: str) -> None:
    added = Launch("stream", vector=5 * EVERY, activations=2 * EVERY * (FP32 + ACT), triton=True)
    expected = {
        "norm_1": Expected([added], temporary=EVERY * FP32),
        "in_proj": [product(10)],
        "conv": [Own("strided")],
        "scan": [tiny(3), *chunked_scan(3)[0]],
        "ssm_gate": [Own("stream", triton=True)],
        "residual_1": Expected([], out=EVERY * ACT),
        "lm_head": [product(10)],
    }
    check(network(SSM, family="mamba2"), runtime(name), PREFILL, expected)
    step = {"scan": [tiny(3), Own("stream", triton=True)], "conv": [Own("strided")]}
    check(network(SSM, family="mamba2"), runtime(name), STEP, step)


def test_mamba_ssm_copies_b_and_c_into_rows_and_writes_the_result_before_the_gate() -> None:
    stack, model = runtime("mamba-ssm"), network(SELECTIVE, family="mamba")
    rows = each("transpose", TOKENS * 4, ACT, ACT, count=2)
    check(model, stack, PREFILL, {"scan": [tiny(3), rows, Own("scan", more=TOKENS * 6 * ACT)]})
    check(model, stack, STEP, {"scan": [tiny(2), Own("stream", triton=True)]})


QUANTISED = Precision(weights=1 / 2, activations=ACT, cache=CACHE)
WIDE = Precision(weights=2, activations=ACT, cache=CACHE)


def multiplied(like: str, tokens: int, d_in: int, d_out: int, weights: float, fill: float = 0, **more: Any) -> Launch:
    """A product on fp32 activations."""
    return Launch(
        like, matrix=2 * tokens * d_in * d_out, weights=d_in * d_out * weights,
        activations=tokens * (d_in + d_out) * FP32 + more.get("read", 0), fill=fill,
    )  # fmt: skip


def pass_of(rows: int, weights: float) -> Pass:
    return Pass(1, rows, 4, Precision(weights=weights, activations=ACT, cache=CACHE))


def quantised(rows: int, like: str) -> list[Launch]:
    """Activations to blocks of 32 bytes with a scale and a sum, then the product."""
    to_blocks = each("stream", rows * 10, FP32, 36 / 32, flops=3)
    return [to_blocks, multiplied(like, rows, 10, 6, 1 / 2)]


def test_llama_cpp_multiplies_by_vectors_by_tiles_or_by_the_library() -> None:
    stack = runtime("llama.cpp")
    to_half, back = (each("strided", 17 * width, FP32, FP16) for width in (10, 6))
    expected: dict[tuple[int, float], list[Launch]] = {
        (1, 2): [multiplied("vector_product", 1, 10, 6, 2)],
        (17, 2): [to_half, multiplied("gemm", 17, 10, 6, 2, 20), back],
        (1, 1 / 2): quantised(1, "packed_product"),
        (8, 1 / 2): quantised(8, "packed_product"),
        (9, 1 / 2): [*quantised(9, "quantised_tiles"), tiny()],
    }
    for (rows, weights), launches in expected.items():
        check(network(MLP), stack, pass_of(rows, weights), {"up_proj": launches})


@pytest.mark.parametrize(
    ("d_in", "d_out", "rows", "tiles"),
    [(64, 96, 2, True), (64, 96, 16, True), (64, 96, 17, False), (64, 90, 2, False), (96, 96, 2, False)],
)
def test_llama_cpp_multiplies_few_rows_in_fp16_by_blocks_of_32_rows_that_64_divides_in_depth(
    d_in: int, d_out: int, rows: int, tiles: bool
) -> None:
    by_tiles = [replace(multiplied("row_product", rows, d_in, d_out, 2), blocks=3)]
    product_ = multiplied("gemm", rows, d_in, d_out, 2, 2 * d_in)
    to_half, back = (each("strided", rows * width, *kinds) for width, kinds in ((d_in, (4, 2)), (d_out, (2, 4))))
    model = network({"kind": "mlp", "width": d_out}, d_model=d_in)
    wanted = by_tiles if tiles else [to_half, product_, back]
    check(model, runtime("llama.cpp"), pass_of(rows, 2), {"up_proj": wanted})


def test_llama_cpp_joins_gate_and_up_and_the_activation_in_a_step_of_one_row() -> None:
    stack = runtime("llama.cpp")
    one = replace(multiplied("vector_product", 1, 10, 6, 2), joined=True)
    check(network(GATED), stack, pass_of(1, 2), {"gate_proj": [one], "gate": []})
    joined = replace(multiplied("packed_product", 1, 10, 6, 1 / 2), joined=True)
    check(network(GATED), stack, pass_of(1, 1 / 2), {"up_proj": quantised(1, "packed_product"), "gate_proj": [joined]})


def test_llama_cpp_adds_biases_apart_from_two_rows_on() -> None:
    stack, model = runtime("llama.cpp"), network(GQA | {"qkv_bias": True})
    check(model, stack, pass_of(1, 2), {"k_proj": [Own("vector_product", instead={"activations": 16 * FP32})]})
    bias = each("strided", 2 * 6, FP32, FP32)
    product_ = Own("gemm", fill=20, instead={"activations": 2 * 16 * FP32})
    halves = each("strided", 2 * 10, FP32, FP16), each("strided", 2 * 6, FP16, FP32)
    check(model, stack, pass_of(2, 2), {"k_proj": [halves[0], product_, halves[1], bias]})


def test_an_older_one_unpacks_quantised_weights_before_a_large_product() -> None:
    stack = runtime("llama.cpp-b2824", matrix_library={"dequantises_from": 12})
    p = Pass(1, 12, 0, QUANTISED)
    unpacked = Launch("strided", weights=60 / 2, activations=60 * FP16)
    large = multiplied("gemm", 12, 10, 6, 0, 20, read=60 * FP16)
    check(network(MLP), stack, p, {"up_proj": Expected([unpacked, large], temporary=60 * FP16)})
    check(network(MLP), stack, replace(p, new=11), {"up_proj": [multiplied("gemm", 11, 10, 6, 1 / 2, 20)]})
    check(network(MLP), stack, replace(p, new=8), {"up_proj": [multiplied("packed_product", 8, 10, 6, 1 / 2)]})
    check(network(MLP), stack, Pass(1, 12, 0, WIDE), {"up_proj": [multiplied("gemm", 12, 10, 6, 2, 20)]})


def kernels_of(stack: Runtime, p: Pass, name: str) -> tuple[Kernel, ...]:
    return next(
        lowered.kernels for row in lower(network(MLP), stack, p) for operator, lowered in row if operator.name == name
    )


def shown(kernel: Kernel | None) -> Launch | None:
    """A kernel as a launch."""
    if kernel is None:
        return None
    c = kernel.cost
    return Launch(kernel.like, kernel.count, c.matrix, c.vector, c.weights, c.activations, c.state, kernel.fill)


def test_a_product_of_llama_cpp_unpacks_its_weights_once_and_few_rows_take_no_more_than_many() -> None:
    new, old = runtime("llama.cpp"), runtime("llama.cpp-b2824", matrix_library={"dequantises_from": 9})
    packed = one_row = multiplied("packed_product", 1, 10, 6, 1 / 2)
    unpacked = Launch("strided", weights=60 / 2, activations=60 * FP16)
    _, many, _ = kernels_of(new, Pass(1, 9, 0, QUANTISED), "up_proj")
    assert (shown(many.beneath), many.instead) == (packed, ())
    copy, product = kernels_of(old, Pass(1, 9, 0, QUANTISED), "up_proj")
    assert (shown(copy.beneath), product.beneath, copy.instead) == (one_row, None, ())
    _, few = kernels_of(new, Pass(1, 3, 0, QUANTISED), "up_proj")
    assert few.beneath is None
    assert [shown(each) for each in few.instead] == [multiplied("quantised_tiles", 3, 10, 6, 1 / 2), tiny()]
    assert shown(few.instead[0].beneath) == packed
    # the back end unpacks from nine rows on, so that the kernels for many would be those of nine
    (few,) = kernels_of(old, Pass(1, 3, 0, QUANTISED), "up_proj")
    copy, product = few.instead
    assert (shown(copy), shown(copy.beneath)) == (unpacked, one_row)
    assert shown(product) == multiplied("gemm", 3, 10, 6, 0, 20, read=60 * FP16)
    later = runtime("llama.cpp-b2824", matrix_library={"dequantises_from": 10})
    (few,) = kernels_of(later, Pass(1, 3, 0, QUANTISED), "up_proj")
    assert [each.count for each in few.instead] == [0, 1]


@pytest.mark.parametrize("threshold", [None, 9, 12])
@pytest.mark.parametrize("weights", [1 / 2, 2])
def test_for_an_array_of_lengths_each_is_launched_as_alone(threshold: int | None, weights: float) -> None:
    stack = runtime("llama.cpp-b2824", matrix_library={"dequantises_from": threshold})
    precision = Precision(weights=weights, activations=ACT, cache=CACHE)
    lengths = np.array([1.0, 8.0, 9.0, 11.0, 12.0])

    def totals(new: Any) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for row in lower(network(MLP), stack, Pass(1, new, 0, precision)):
            for operator, lowered in row:
                if operator.name != "up_proj":
                    continue
                found["side"] = {"temporary": lowered.temporary}
                for k in lowered.kernels:
                    each = found.setdefault(k.like, {})
                    for column in ("matrix", "weights", "activations"):
                        each[column] = each.get(column, 0) + k.count * getattr(k.cost, column)
                    each["count"] = each.get("count", 0) + k.count
        return found

    many = totals(lengths)
    for index, new in enumerate(lengths):
        alone = totals(new)
        for like, columns in many.items():
            for column, values in columns.items():
                one = alone.get(like, {}).get(column, 0)
                assert np.broadcast_to(values, 5)[index] == pytest.approx(one), (like, column, new)


def test_llama_cpp_works_in_fp32() -> None:
    elements, half = TOKENS * 6, TOKENS * 18 / 2
    new = TOKENS * 6
    stack = runtime("llama.cpp", attention={"converts_cache": False})
    expected = {
        "norm_1": [each("stream", EVERY, FP32, FP32, flops=4)],
        "rotary": [each("stream", half, FP32, FP32, flops=3, count=2)],
        "cache_append": [Launch("strided", activations=new * FP32, state=2 * new * CACHE)],
        "attention": [tiny(), tiled(4), tiny()],
        "residual_1": [each("strided", EVERY, 2 * FP32, FP32)],
        "gate": [each("stream", elements, 2 * FP32, FP32, flops=5)],
    }
    check(network(GQA, GATED), stack, PREFILL, expected)
    check(network(GQA, GATED), stack, STEP, {"attention": [tiny(), of_a_token(4, 2), replace(tiny(), blocks=2 * 2)]})
    layer = {"norm_1": [each("stream", EVERY, FP32, FP32, flops=4), each("strided", EVERY, FP32, FP32, count=2)]}
    check(network(GQA, norm="layer"), stack, PREFILL, layer)


Q8_0, Q4_0, Q4_1 = 34 / 32, 18 / 32, 20 / 32
"""Bytes per element of a cache: blocks of 32 with an fp16 scale, the last with an fp16 minimum as well."""


HALF = replace(PRECISION, cache=FP16)


def cached(p: Pass, size: float) -> Pass:
    return replace(p, precision=replace(PRECISION, cache=size))


def test_llama_cpp_copies_a_cache_to_fp16_for_kernels_of_many_queries() -> None:
    keys = 2 * 7 * 2 * 3  # two sequences of seven tokens, two heads of three
    as_it_is = [tiny(), tiled(4), tiny()]
    for size in (Q8_0, Q4_1, FP32):
        copied = Launch("strided", 2, activations=keys * FP16, state=keys * size)
        read = tiled(4, instead={"activations": 2 * 3 * 4 * 6 * ACT + 2 * keys * FP16, "state": 0})
        expected = Expected([copied, tiny(), read, tiny()], temporary=2 * keys * FP16)
        check(network(GQA), runtime("llama.cpp"), cached(PREFILL, size), {"attention": expected})
        check(network(GQA), runtime("llama.cpp-vulkan"), cached(PREFILL, size), {"attention": as_it_is})
    check(network(GQA), runtime("llama.cpp"), cached(PREFILL, FP16), {"attention": as_it_is})


@pytest.mark.parametrize(
    ("size", "width", "converted"),
    [(Q8_0, 64, False), (Q4_0, 128, False), (FP16, 96, False), (Q8_0, 96, True), (Q4_1, 64, True), (FP32, 64, True)],
)
def test_llama_cpp_reads_a_cache_as_it_is_for_single_queries_where_there_is_a_kernel(
    size: float, width: int, converted: bool
) -> None:
    rows = lower(network(GQA | {"head_dim": width}), runtime("llama.cpp"), cached(STEP, size))
    (kernels,) = (lowered.kernels for row in rows for operator, lowered in row if operator.name == "attention")
    assert len(kernels) == 3 + converted


@pytest.mark.parametrize("device", [None, "a100-sxm-80gb", "h100-sxm"])
@pytest.mark.parametrize(
    ("size", "width", "others"), [(Q8_0, 64, 4), (Q4_1, 256, 4), (Q8_0, 96, 0), (Q8_0, 320, 0), (FP32, 128, 0)]
)
def test_llama_cpp_reads_keys_in_blocks_for_every_head_whatever_the_device(
    size: float, width: int, others: int, device: str | None
) -> None:
    """Five query heads share a key, and two sequences; what was copied is read in fp16."""
    model = network({"kind": "attention", "heads": 10, "kv_heads": 2, "head_dim": width})
    found = attention_of(model, cached(STEP, size), device)
    elements = 2 * 7 * 2 * 2 * width
    read = elements * (size if size == Q8_0 and width == 64 else FP16)
    assert found["attention"].again == pytest.approx(others * read)
    assert found["sum of parts"].blocks == 2 * 2 * (1 + others)


def test_llama_cpp_puts_keys_into_blocks_of_a_cache_by_a_kernel_of_their_own() -> None:
    new = TOKENS * 6  # elements of the keys, and of the values
    for size, launches in (
        (Q8_0, Launch("strided", 2, activations=new * FP32, state=new * Q8_0)),
        (FP16, Launch("strided", activations=new * FP32, state=2 * new * FP16)),
    ):
        check(network(GQA), runtime("llama.cpp"), cached(PREFILL, size), {"cache_append": [launches]})


def test_an_older_one_works_in_fp32_too_and_applies_weights_apart() -> None:
    elements, half, new = TOKENS * 6, TOKENS * 18 / 2, TOKENS * 6
    stack = runtime("llama.cpp-b2824", attention={"kernel": "flash"})
    norm = [each("stream", EVERY, FP32, FP32, flops=3), each("stream", EVERY, FP32, FP32)]
    expected = {
        "norm_1": norm,
        "rotary": [each("stream", half, FP32, FP32, flops=3, count=2)],
        "cache_append": [Launch("strided", 2, activations=new * FP32, state=new * CACHE)],
        "attention": [tiled(4)],
        "residual_1": [each("stream", EVERY, 2 * FP32, FP32)],
        "gate": [each("stream", elements, FP32, FP32, flops=5), each("stream", elements, 2 * FP32, FP32)],
    }
    check(network(GQA, GATED), stack, PREFILL, expected)
    check(network(GQA, norm="layer"), stack, PREFILL, {"norm_1": norm})
    check(network(SSM, family="mamba2"), stack, STEP, {"scan": [Own("stream", triton=True)]})
    for weights, like in ((2, "row_product"), (1 / 2, "packed_product")):
        check(network(MLP), stack, pass_of(1, weights), {"up_proj": [multiplied(like, 1, 10, 6, weights)]})


def test_llama_cpp_gathers_joins_and_keeps_the_inputs_of_a_convolution() -> None:
    channels = 12 + 2 * 2 * 5
    held, elements = 2 * channels * 3 * FP32, TOKENS * channels  # two sequences, four taps
    moved = Launch("strided", activations=held, state=held)
    check(network(SSM, family="mamba2"), runtime("llama.cpp"), PREFILL, {"conv": [
        moved, Launch("strided", activations=2 * (elements * FP32 + held), blocks=2 * channels), moved,
        Own("stream", instead={"activations": 2 * elements * FP32, "state": 0}),
    ]})  # fmt: skip


@pytest.mark.parametrize("new", [1, 3, 128])
def test_llama_cpp_scans_up_to_128_tokens_one_after_the_other(new: int) -> None:
    p, tokens, state = replace(PREFILL, new=new), 2 * new, 2 * 12 * 5 * FP32
    step, skip = (each("strided", tokens * width, FP32, FP32) for width in (4, 12))
    scan = Launch(
        "scan", vector=9 * tokens * 12 * 5, activations=tokens * (2 * 12 + 2 * 2 * 5 + 4) * FP32, state=2 * state,
        blocks=2 * 12 / 4,  # a warp for each row of the state, four in a block
        waits=3 * new,  # Δ, then x, B and C; half as long again for the arithmetic
    )  # fmt: skip
    model, stack = network(SSM, family="mamba2"), runtime("llama.cpp")
    kept = Launch("stream", state=2 * state)
    summed = each("strided", tokens * 12, 2 * FP32, FP32)
    check(model, stack, p, {"scan": [replace(step, count=2), scan, kept, skip, summed]})


def test_llama_cpp_scans_more_tokens_in_chunks_with_four_products_for_each_sequence() -> None:
    # two sequences of 512 tokens in chunks of 256; four heads of three, two groups of B and C with five elements
    p, stack = replace(PREFILL, new=512), runtime("llama.cpp")
    tokens, state, rows, pairs = 2 * 256, 12 * 5, 256 * 2 * 5, 256 * 256
    step, skip = (each("strided", 2 * 512 * width, FP32, FP32) for width in (4, 12))
    deltas = 2 * 512 * 4 * FP32  # read, written after the softplus, and summed up
    first = Launch("stream", state=2 * 2 * state * FP32)
    scores = Launch("gemm", 4, matrix=2 * pairs * 2 * 5, activations=2 * rows * FP32 + pairs * 2 * FP32)
    read = tokens * 12 * FP32 + 2 * 2 * rows * FP32 + 2 * pairs * 2 * FP32 + 2 * tokens * 4 * FP32
    made = tokens * 12 * FP16 + tokens * 4 * 5 * (FP16 + FP32) + 2 * pairs * 4 * FP16
    prepared = Launch("strided", 2, vector=4 * 2 * pairs * 4, activations=read + made)
    result = 256 * 12 * FP32
    from_states = Launch(
        "gemm", 4, matrix=2 * 256 * 12 * 5, activations=state * FP32 + 256 * 4 * 5 * FP32 + result
    )  # fmt: skip
    inside = Launch(
        "gemm", 4, matrix=2 * pairs * 12, activations=256 * 12 * FP16 + pairs * 4 * FP16 + 2 * result
    )  # fmt: skip
    scaled = Launch("stream", 2, activations=2 * 2 * state * FP32)
    states = Launch(
        "gemm", 4, matrix=2 * 256 * 12 * 5,
        activations=256 * 4 * 5 * FP16 + 256 * 12 * FP16 + 2 * state * FP32,
    )  # fmt: skip
    model = network(SSM, family="mamba2")
    check(model, stack, p, {"scan": [
        replace(step, count=2), Launch("scan", activations=3 * deltas), first, scores, prepared, from_states, inside,
        scaled, states, first, skip, each("strided", 2 * 512 * 12, 2 * FP32, FP32),
    ]})  # fmt: skip
    products = [k for row in lower(model, stack, p) for o, each in row for k in each.kernels if o.name == "scan"]
    assert {k.unit for k in products if k.like == "gemm" and k.count} == {"fp32"}


@pytest.mark.parametrize(("new", "chunks"), [(129, 1), (256, 1), (257, 2), (513, 3)])
def test_llama_cpp_begins_a_chunk_every_256_tokens(new: int, chunks: int) -> None:
    rows = lower(network(SSM, family="mamba2"), runtime("llama.cpp"), replace(PREFILL, new=new))
    kernels = [k for row in rows for o, each in row for k in each.kernels if o.name == "scan" and k.count]
    assert [k.count for k in kernels if k.like == "gemm"] == [2 * chunks] * 4
    assert sum(k.count * k.cost.matrix for k in kernels if k.name == "states") == pytest.approx(2 * 2 * new * 12 * 5)


@pytest.mark.parametrize("heads", [1, 3])
def test_llama_cpp_scans_token_after_token_where_every_channel_has_decays_of_its_own(heads: int) -> None:
    elements, state = TOKENS * 6, 2 * 6 * 4 * FP32
    model, stack = network(SELECTIVE | {"mamba_heads": heads}, family="mamba"), runtime("llama.cpp")
    own = next(o.cost for row in lower(model, stack, PREFILL) for o, _ in row if o.name == "scan")
    scan = Launch(
        "scan", vector=own.vector, weights=own.weights, activations=(3 * elements + 2 * TOKENS * heads * 4) * FP32,
        state=2 * state, blocks=2 * 6 / 128,  # 128 channels in a block
        waits=4.5 * 3,  # B and C, Δ, x; half as long again
    )  # fmt: skip
    once, summed = each("strided", elements, FP32, FP32), each("strided", elements, 2 * FP32, FP32)
    gate = each("stream", elements, 2 * FP32, FP32, flops=5)
    kept = Launch("stream", state=2 * state)
    check(model, stack, PREFILL, {"scan": [once, scan, kept, once, summed, once, gate]})


@pytest.mark.parametrize("new", [1, 3])
def test_llama_cpp_takes_the_delta_rule_token_after_token(new: int) -> None:
    part = {"kind": "gated_delta", "key_heads": 2, "value_heads": 4, "key_dim": 3, "value_dim": 5, "chunk": 4}
    model, stack, tokens, state = network(part), runtime("llama.cpp"), 2 * new, 2 * 4 * 3 * 5 * FP32
    moved = Launch("stream", state=2 * state)
    scan = Launch(
        "scan", vector=7 * tokens * 4 * 3 * 5, activations=tokens * (2 * 2 * 3 + 4 * (2 * 5 + 2)) * FP32,
        state=2 * state, blocks=2 * 4 * 5 / 4,  # a warp for each value of a head, four in a block
        waits=1.5 * new,
    )  # fmt: skip
    check(model, stack, replace(PREFILL, new=new), {"scan": [
        each("strided", tokens * 4, FP32, FP32, count=4), each("stream", tokens * 2 * 3, FP32, FP32, flops=3, count=2),
        moved, scan, moved,
    ]})  # fmt: skip


def test_llama_cpp_takes_the_gate_of_a_scan_out_of_the_product_and_norms_with_a_weight() -> None:
    elements = TOKENS * 12
    model = network(SSM, family="mamba2")
    check(model, runtime("llama.cpp"), PREFILL, {"ssm_gate": [
        each("strided", elements, FP32, FP32), each("stream", elements, 2 * FP32, FP32, flops=5),
        each("stream", elements, FP32, FP32, flops=4),
    ]})  # fmt: skip


def test_llama_cpp_multiplies_the_gates_of_a_short_convolution() -> None:
    gate = each("strided", TOKENS * 6, 2 * FP32, FP32)
    expected = {"input_gate": [gate], "output_gate": [gate]}
    check(network({"kind": "short_conv", "channels": 6}), runtime("llama.cpp"), PREFILL, expected)


@pytest.mark.parametrize(("rows", "launches"), [(1, 0), (2, 1), (3, 1)])
def test_llama_cpp_activates_a_gate_apart_from_two_rows_on(rows: int, launches: int) -> None:
    gate = each("stream", rows * 6, 2 * FP32, FP32, flops=5)
    check(network(GATED), runtime("llama.cpp"), pass_of(rows, 2), {"gate": [gate] * launches})


@pytest.mark.parametrize(("new", "steps"), [(3, 1), (128, 1), (129, 2)])
def test_llama_cpp_joins_128_tokens_of_a_channel_at_a_time(new: int, steps: int) -> None:
    rows = lower(network(SSM, family="mamba2"), runtime("llama.cpp"), replace(PREFILL, new=new))
    (join,) = (k for row in rows for _, each in row for k in each.kernels if k.name == "join")
    assert join.steps == steps


def test_llama_cpp_reads_the_weights_of_a_gated_short_convolution_for_every_sequence_of_a_step() -> None:
    model = network({"kind": "short_conv", "channels": 6})
    for batch in (2, 4, 20):
        read = {"activations": batch * 28 * FP32, "weights": batch * 10 * 18 * 2}
        step = Pass(batch, 1, 6, WIDE, phase="decode")
        check(model, runtime("llama.cpp"), step, {"in_proj": [Own("vector_product", instead=read)]})
        read["weights"] = batch * 10 * 18 / 2
        step = Pass(batch, 1, 6, QUANTISED, phase="decode")
        packed = [each("stream", batch * 10, FP32, 36 / 32, flops=3), Own("packed_product", instead=read)]
        check(model, runtime("llama.cpp"), step, {"in_proj": packed})
        check(model, runtime("llama.cpp-metal"), step, {"in_proj": packed[1:]})
    # other products read their weights once for all sequences
    for p in (Pass(4, 1, 6, QUANTISED, phase="decode"), Pass(1, 4, 6, QUANTISED)):
        check(network(MLP), runtime("llama.cpp"), p, {"up_proj": quantised(4, "packed_product")})
    product_ = [each("strided", 4 * 10, 4, 2), multiplied("gemm", 4, 10, 6, 2, 20), each("strided", 4 * 6, 2, 4)]
    check(network(MLP), runtime("llama.cpp"), Pass(4, 1, 6, WIDE, phase="decode"), {"up_proj": product_})
    check(model, runtime("llama.cpp"), pass_of(1, 2), {"in_proj": [multiplied("vector_product", 1, 10, 18, 2)]})


def attention_of(model: Architecture, p: Pass, device: str | None) -> dict[str, Kernel]:
    on = library.device(device) if device else None
    return {k.name: k for row in lower(model, runtime("llama.cpp"), p, on) for o, low in row for k in low.kernels
            if o.name == "attention"}  # fmt: skip


def test_a_piece_of_one_prompt_scores_all_its_keys_on_llama_cpp() -> None:
    # three queries of two heads for each key see five, six and seven of seven keys, and take the time of 64
    found = attention_of(network(GQA), Pass(1, 3, 4, HALF), "h100-sxm")
    assert list(found) == ["attention", "sum of parts"]
    assert (found["attention"].blocks, found["attention"].rows, found["attention"].spread) == (2, 6, 1)
    assert found["attention"].padding == pytest.approx(64 / 6 * 7 / 6)
    # of 300 tokens the last sees all 300, in the mean they see 150.5; a window of 20 has room for a piece of 512 beside
    # it, in multiples of 256 cells: 768, of which 350 are in use
    whole = attention_of(network(GQA), Pass(1, 300, 0, HALF), None)["attention"]
    assert whole.padding == pytest.approx(300 / 150.5)
    # units share out the keys of a tile by 128, of several sequences what a query sees in the mean
    assert whole.spread == 300 / 128
    assert attention_of(network(GQA), Pass(2, 300, 0, HALF), None)["attention"].spread == pytest.approx(150.5 / 300)
    windowed = attention_of(network(GQA | {"window": 20}), Pass(1, 300, 50, HALF), None)
    assert windowed["attention"].padding == pytest.approx(350 / 20)


@pytest.mark.parametrize(
    ("window", "context", "chunk", "cells"),
    [
        # 20 and a piece of 512 in multiples of 256: three of them; one for a window beside the token of a step alone
        (20, 1000, 512, 768), (20, 100, 512, 101), (20, 767, 512, 768), (20, 1000, None, 256), (256, 1000, 512, 768),
        (257, 5000, 512, 1024), (5000, 1000, 512, 1001),
    ],
)  # fmt: skip
def test_a_step_of_llama_cpp_reads_all_cells_that_a_window_has_room_for(
    window: int, context: int, chunk: int | None, cells: int
) -> None:
    """Keys and values of two heads of three in each of them, which four heads score; of a window of 20 they see 20."""
    stack, p = runtime("llama.cpp", memory={"chunk": chunk}), Pass(1, 1, context, HALF, phase="decode")
    found = {k.name: k for row in lower(network(GQA | {"window": window}), stack, p) for o, low in row
             for k in low.kernels if o.name == "attention"}  # fmt: skip
    cost = found["attention"].cost
    assert cost.state == pytest.approx(cells * 2 * 6 * FP16)
    assert (cost.matrix, cost.vector) == pytest.approx((4 * cells * 4 * 3, 5 * cells * 4))
    assert cost.activations == 4 * 6 * ACT
    assert found["sum of parts"].parts == pytest.approx(cells / 128)
    # copied to fp16, all of them are, keys and values each
    copied = [low for row in lower(network(GQA | {"window": window}), stack, cached(p, FP32)) for o, low in row
              if o.name == "attention"]  # fmt: skip
    assert copied[0].temporary == pytest.approx(cells * 2 * 6 * FP16)
    assert copied[0].kernels[0].cost.state == pytest.approx(cells * 2 * 3 * FP32)


@pytest.mark.parametrize(
    ("device", "heads", "head_dim", "batch", "context", "others"),
    # of two key heads of 64 elements, read by two, four or five query heads each
    [
        ("h100-sxm", 4, 64, 1, 6, 1), ("h100-sxm", 8, 64, 1, 6, 3), ("h100-sxm", 8, 64, 1, 9000, 3),
        ("h100-sxm", 10, 64, 1, 8190, 4), ("h100-sxm", 10, 64, 1, 8191, 0), ("h100-sxm", 8, 256, 1, 9000, 3),
        ("h100-sxm", 10, 256, 1, 6, 0), ("h100-sxm", 10, 128, 1, 6, 4), ("h100-sxm", 4, 320, 1, 6, 0),
        ("h100-sxm", 4, 80, 1, 6, 0), ("h100-sxm", 4, 64, 2, 6, 0), ("a100-sxm-80gb", 4, 64, 1, 6, 0),
        ("rtx-4090", 4, 64, 1, 6, 1), (None, 4, 64, 1, 6, 0),
    ],
)  # fmt: skip
def test_newer_devices_read_the_keys_of_one_sequence_for_every_head(
    device: str | None, heads: int, head_dim: int, batch: int, context: int, others: int
) -> None:
    model = network({"kind": "attention", "heads": heads, "kv_heads": 2, "head_dim": head_dim})
    found = attention_of(model, Pass(batch, 1, context, HALF, phase="decode"), device)
    held = batch * (context + 1) * 2 * 2 * head_dim * FP16
    step, parts = found["attention"], found["sum of parts"]
    assert (step.cost.state, step.again) == (held, others * held)
    assert (parts.blocks, parts.parts) == (batch * 2 * (1 + others), (context + 1) / 128)
    assert ("mask" in found) == (batch > 1)


COLUMN = 2 * 128 * 256
"""FLOP of a row of activations with 128 rows of weights, 256 deep."""


def tile_of(found: Kernel) -> tuple[Any, ...]:
    return found.tiles, found.cuts, found.tile / COLUMN, found.unpacking / COLUMN, found.sums


@pytest.mark.parametrize(
    ("rows", "across", "columns"),
    # 128, 129 and 300 rows as one, two and three tiles, the narrowest that do; half as many widths from 49 columns on
    [(9, 1, 16), (48, 1, 48), (49, 1, 64), (128, 1, 128), (129, 2, 80), (300, 3, 112), (512, 4, 128)],
)
@pytest.mark.parametrize(("d_in", "deep"), [(256, 1), (640, 3)])
def test_llama_cpp_multiplies_quantised_weights_in_whole_tiles(
    rows: int, across: int, columns: int, d_in: int, deep: int
) -> None:
    model = network({"kind": "mlp", "width": 384}, d_model=d_in)
    (up,) = (low for row in lower(model, runtime("llama.cpp"), Pass(1, rows, 0, QUANTISED)) for o, low in row
             if o.name == "up_proj")  # fmt: skip
    assert tile_of(up.kernels[1]) == (3 * across, deep, columns * deep, deep, 128 * columns * FP32)
    assert up.kernels[1].unit == "int8"


@pytest.mark.parametrize(
    ("rows", "across", "columns"),
    [(9, 1, 16), (16, 1, 16), (17, 1, 32), (32, 1, 32), (33, 1, 64), (64, 1, 64), (65, 1, 128), (129, 2, 128)],
)
def test_tiles_of_llama_cpp_have_fewer_widths_where_weights_do_not_fill_the_last(
    rows: int, across: int, columns: int
) -> None:
    _, many, _ = kernels_of(runtime("llama.cpp"), Pass(1, rows, 0, QUANTISED), "up_proj")  # six rows of weights
    assert tile_of(many) == (across, 1, columns, 1, 128 * columns * FP32)


@pytest.mark.parametrize(("weights", "share"), [(210 / 256, 1), (34 / 32, 1 / 2)])
def test_llama_cpp_brings_eight_bits_into_a_tile_in_half_the_time_of_fewer(weights: float, share: float) -> None:
    p = pass_of(300, weights)
    _, many, _ = kernels_of(runtime("llama.cpp"), p, "up_proj")
    assert many.unpacking == share * COLUMN
    (found,) = (k for row in lower(network(MOE), runtime("llama.cpp"), p) for o, low in row for k in low.kernels
                if o.name == "experts_up" and k.like == "quantised_tiles")  # fmt: skip
    assert found.unpacking == share * COLUMN


def test_attention_that_is_written_out_scores_all_pairs_in_memory() -> None:
    def written(new: int, like: str) -> list[Launch]:
        pairs, held = 2 * new * 7 * 8, 2 * 7 * 2 * CACHE
        rows = 2 * new * 8
        # four query heads read the same keys: what three of them read again may come from the cache
        return [
            Launch(
                like, matrix=2 * 3 * pairs, activations=pairs * FP32 + rows * 3 * FP32 + 3 * held * 3, state=held * 3
            ),
            each("stream", pairs, FP32, FP32, flops=5),
            each("stream", pairs, FP32, FP16),
            Launch(
                like, matrix=2 * 2 * pairs, activations=pairs * FP16 + rows * 2 * FP32 + 3 * held * 2, state=held * 2
            ),
            each("strided", rows * 2, FP32, FP32),
        ]

    model, stack = network(GQA | {"heads": 8, "v_dim": 2}), runtime("llama.cpp-b2824")
    side = 2 * 3 * 7 * 8 * (FP32 + FP16)
    check(model, stack, PREFILL, {"attention": Expected(written(3, "gemm"), temporary=side)})
    check(model, stack, STEP, {"attention": Expected(written(1, "stream"), temporary=side / 3)})


def test_the_ideal_is_one_kernel_for_each_operator_that_a_device_not_yet_full_delays() -> None:
    stack = runtime("ideal")
    latent: dict[str, Any] = {
        "kind": "mla", "heads": 3, "kv_rank": 6, "nope_dim": 4, "rope_dim": 2, "v_dim": 5, "q_rank": 7,
        "index_heads": 2, "index_dim": 3, "index_top_k": 5,
    }  # fmt: skip
    check(network(latent), stack, PREFILL, {
        "q_absorb": [Own("gemm", fill=2 * 4)],
        # the three heads of three tokens share a tile; of seven tokens each chooses five, and has five to choose from
        "attention": [Own("attention", blocks=2, rows=9, padding=64 / 9 * 69 / 5)],
        "index_scores": [Own("gemm", fill=2 * 3)],
        "index_norm": [Own("stream")],
    })  # fmt: skip
    check(network(GQA | {"v_dim": 2}), stack, PREFILL, {"attention": [tiled(4)]})
    whole = Own("attention", blocks=2 * 2, rows=3 * 2, padding=64 / 6 * 67 / 3)  # each token sees three
    check(network(GQA | {"chunk": 3}), stack, PREFILL, {"attention": [whole]})
    check(network(SSM), stack, PREFILL, {"scan": [Own("ssd")], "conv": [Own("stream")]})
    check(network(SELECTIVE), stack, PREFILL, {"scan": [Own("scan")]})


def test_queries_fill_tiles_and_the_keys_of_a_token_are_cut_into_parts_of_128() -> None:
    stack = runtime("ideal")
    long = Pass(2, 96, 1000, PRECISION)
    step = Pass(2, 1, 511, PRECISION, phase="decode")

    def filled(key_heads: float, rows: float, mean: float, last: float) -> dict[str, list[Own]]:
        return {
            "attention": [
                Own("attention", blocks=2 * key_heads, rows=rows, spread=mean / last, padding=(mean + 64) / mean)
            ]
        }

    check(network(GQA), stack, long, filled(2, 2 * 96, 1048.5, 1096))
    check(network(GQA), stack, Pass(2, 32, 0, PRECISION), filled(2, 64, 16.5, 32))
    check(network(GQA), stack, Pass(2, 2, 0, PRECISION), {"attention": [tiled(4, context=0, new=2, last=2)]})
    check(network(GQA), stack, step, {"attention": [of_a_token(4, 2, 4)]})
    for limit in ("window", "chunk"):
        check(network(GQA | {limit: 256}), stack, step, {"attention": [of_a_token(4, 2, 2)]})
        check(network(GQA | {limit: 256}), stack, long, filled(2, 2 * 96, 256, 256))
    # blocks of keys are chosen among all that are held
    check(network(GQA | {"block": 16, "blocks": 4}), stack, long, filled(2, 2 * 96, 1048.5, 1096))
    # of 96 tokens the first 50 see themselves and those before, the others 50
    mean = (50 * 51 / 2 + 46 * 50) / 96
    check(network(GQA | {"window": 50}), stack, Pass(2, 96, 0, PRECISION), filled(2, 2 * 96, mean, 50))
    latent = {"kind": "mla", "heads": 3, "kv_rank": 6, "nope_dim": 4, "rope_dim": 2, "v_dim": 5}
    check(network(latent), stack, step, {"attention": [of_a_token(3, 1, 4)]})
    check(network(latent), stack, long, filled(1, 3 * 96, 1048.5, 1096))
    chosen = latent | {"index_heads": 2, "index_dim": 3, "index_top_k": 256, "q_rank": 7}
    check(network(chosen), stack, step, {"attention": [of_a_token(3, 1, 2)]})
    wide = Own("attention", blocks=2, rows=160, spread=4)
    check(network(latent | {"heads": 160}), stack, step, {"attention": [wide]})


def test_a_serving_engine_normalises_before_a_delta_rule_whose_heads_go_through_their_chunks() -> None:
    model, keys = network(DELTA, family="qwen3_5"), TOKENS * 2 * 3
    normalised = each("stream", keys, ACT, ACT, flops=3, count=2)  # queries and keys
    rule = Own("delta", blocks=2 * 4, padding=4 / 3)
    step = Own("stream", blocks=2 * 4, waits=3, uses=2, triton=True)
    check(model, runtime("vllm"), PREFILL, {"scan": [tiny(8), normalised, tiny(), rule]})
    check(model, runtime("vllm"), STEP, {"scan": [tiny(3), step]})
    for values, blocks in (32, 1), (33, 2), (64, 2), (65, 3):  # 32 values for a block
        wide = network(DELTA | {"value_dim": values})
        check(wide, runtime("vllm"), STEP, {"scan": [replace(step, blocks=2 * 4 * blocks)]})
    check(network(DELTA), runtime("vllm"), PREFILL, {"scan": [normalised, tiny(), rule]})
    check(model, runtime("ideal"), STEP, {"scan": [Own("delta", blocks=2 * 4)]})
    check(model, runtime("ideal"), Pass(2, 8, 0, PRECISION), {"scan": [Own("delta", blocks=2 * 4)]})
    check(model, runtime("ideal"), Pass(2, 2, 0, PRECISION), {"scan": [Own("delta", blocks=2 * 4, padding=4 / 2)]})


def test_a_mask_is_built_where_runtime_and_network_say_so_with_a_cell_for_every_query_and_key() -> None:
    cells = 2 * 3 * 7
    declared, plain, scans = network(GQA | {"declared_window": 7}), network(GQA), network(SSM)
    longer = network(GQA | {"declared_window": 8})
    old = runtime("transformers-4.52-eager")
    always = runtime("ideal", attention={"mask": "always"})
    stated = [
        (declared, old, cells), (longer, old, 0), (plain, old, 0), (network(GQA, family="zamba2"), old, cells),
        (plain, always, cells), (scans, always, 0), (declared, runtime("ideal"), 0),
    ]  # fmt: skip
    for model, stack, expected in stated:
        assert mask_bytes(model, stack, PREFILL) == (2 * expected, 6 * expected)
    first = Pass(2, 1, 0, PRECISION)  # from the first token on
    assert mask_bytes(plain, always, first)[0] == mask_bytes(network(GQA, family="zamba2"), old, first)[0] == 2 * 2


def test_embeddings_are_kept_by_the_library_alone_and_twice_by_zamba2() -> None:
    old = runtime("transformers-4.52-eager")
    assert [keeps(network(GQA, family=family), old) for family in ("llama", "zamba2", "mamba2")] == [1, 2, None]
    assert keeps(network(GQA), runtime("ideal")) is None


def test_a_step_plans_attention_once_for_each_shape_of_heads() -> None:
    h100, eager = library.device("h100-sxm"), runtime("transformers-5-eager")
    wide = {"kind": "attention", "heads": 4, "kv_heads": 4, "head_dim": 5, "v_dim": 5}
    one_wider = [{**wide, "heads": 8}, {**wide, "kv_heads": 2}, {**wide, "head_dim": 6}, {**wide, "v_dim": 6}]
    for other in one_wider:
        assert plans(network(wide, other, wide), eager, h100, STEP) == 2
    assert plans(network(wide, *one_wider), eager, h100, STEP) == 5
    assert plans(network(wide, MLP), eager, h100, PREFILL) == 0
    assert plans(network(wide), runtime("vllm"), h100, STEP) == 0
    assert plans(network(wide), eager, library.device("rtx-4090"), STEP) == 0


MOE = {"kind": "moe", "experts": 4, "top_k": 2, "width": 3}


def parts_of_experts(rows: int, like: str, d_in: int, d_out: int, weights: float, times: float) -> Launch:
    """So many equal products of two rows for each token, which read so many bytes of weights each."""
    return Launch(
        like, times, matrix=2 * d_in * d_out * rows, weights=weights, activations=(d_in + d_out) * FP32 * rows
    )


def touched_unevenly(rows: int) -> float:
    """Of four experts, two for a token, which are chosen as often as 1.28 of the mean lets them, by a gamma law."""
    mean = rows * log(2)  # -ln(1 - 2/4) for each
    return max(4 * (1 - (1 + 1.28**2 * mean) ** (-1 / 1.28**2)), 2)


@pytest.mark.parametrize(("rows", "touched"), [(1, 2), (2, 2.0596), (8, 3.024), (100, 3.7785)])
def test_experts_of_llama_cpp_are_chosen_unevenly(rows: int, touched: float) -> None:
    assert touched_unevenly(rows) == pytest.approx(touched, abs=1e-4)
    wide = 2 if rows > 8 else 1 / 2
    found = [k.cost.weights for row in lower(network(MOE), runtime("llama.cpp"), pass_of(rows, wide))
             for o, low in row for k in low.kernels if o.name == "experts_down" and k.cost.weights]  # fmt: skip
    assert found == pytest.approx([touched_unevenly(rows) * 30 * wide])
    # without a spread each is chosen as often
    even = library.runtime("llama.cpp")
    even = replace(even, parallel=replace(even.parallel, expert_spread=None))
    found = [k.cost.weights for row in lower(network(MOE), even, pass_of(rows, wide))
             for o, low in row for k in low.kernels if o.name == "experts_down" and k.cost.weights]  # fmt: skip
    assert found == pytest.approx([4 * (1 - 0.5**rows) * 30 * wide])


def test_all_experts_of_llama_cpp_are_touched_where_each_token_chooses_all() -> None:
    everything = network({**MOE, "top_k": 4})
    found = [k.cost.weights for row in lower(everything, runtime("llama.cpp"), pass_of(1, 1 / 2))
             for o, low in row for k in low.kernels if o.name == "experts_down" and k.cost.weights]  # fmt: skip
    assert found == pytest.approx([4 * 30 / 2])


def test_llama_cpp_multiplies_few_tokens_by_a_matrix_of_every_expert_that_they_chose() -> None:
    def to_blocks(rows: int, width: int, times: int = 1) -> Launch:
        return each("stream", rows * width, FP32, 36 / 32, flops=3, count=times)

    # four experts with ten inputs and two times three results, half a byte each
    one = {
        "experts_up": [to_blocks(1, 10), replace(parts_of_experts(2, "packed_product", 10, 6, 2 * 60 / 2, 1),
                                                 activations=2 * 2 * 13 * FP32)],
        "experts_act": [],
        "experts_down": [to_blocks(2, 3), parts_of_experts(2, "packed_product", 3, 10, 2 * 30 / 2, 1)],
    }  # fmt: skip
    check(network(MOE), runtime("llama.cpp"), pass_of(1, 1 / 2), one)
    # each is read from memory once, and from the cache for every further token that chose it
    read = touched_unevenly(8) * 30 / 2
    eight = {
        "experts_up": [to_blocks(8, 10, 2), parts_of_experts(16, "packed_product", 10, 3, read, 2)],
        "experts_act": [each("stream", 16 * 3, 2 * FP32, FP32, flops=5)],
        "experts_down": [to_blocks(16, 3), parts_of_experts(16, "packed_product", 3, 10, read, 1)],
    }
    check(network(MOE), runtime("llama.cpp"), pass_of(8, 1 / 2), eight)
    again = [k.again for row in lower(network(MOE), runtime("llama.cpp"), pass_of(8, 1 / 2)) for o, low in row
             for k in low.kernels if k.like == "packed_product" and "experts" in o.name]  # fmt: skip
    assert again == pytest.approx([16 * 30 / 2 - read] * 2)
    two = [to_blocks(2, 10, 2), parts_of_experts(4, "packed_product", 10, 3, touched_unevenly(2) * 30 / 2, 2)]
    check(network(MOE), runtime("llama.cpp"), pass_of(2, 1 / 2), {"experts_up": two})


@pytest.mark.parametrize(
    ("rows", "columns", "across"),
    # three rows of weights fill no tile; experts with fewer rows have one tile, others half of one too many
    [(9, 16, 1), (20, 32, 1), (100, 128, 1), (200, 128, 3), (256, 128, 4)],
)
def test_llama_cpp_sorts_more_tokens_by_expert_each_with_tiles_of_its_own(
    rows: int, columns: int, across: float
) -> None:
    touched = touched_unevenly(rows)
    across = 2 * rows / touched / 128 + 1 / 2 if across > 1 else 1
    read = touched * 30 / 2
    launches = [
        each("stream", rows * 10, FP32, 36 / 32, flops=3, count=2), tiny(2),
        parts_of_experts(2 * rows, "quantised_tiles", 10, 3, read, 2), tiny(2),
    ]  # fmt: skip
    check(network(MOE), runtime("llama.cpp"), pass_of(rows, 1 / 2), {"experts_up": launches})
    rows_of_kernels = lower(network(MOE), runtime("llama.cpp"), pass_of(rows, 1 / 2))
    (found,) = (k for row in rows_of_kernels for o, low in row for k in low.kernels
                if o.name == "experts_up" and k.like == "quantised_tiles")  # fmt: skip
    assert tile_of(found)[:4] == pytest.approx((touched * across, 1, columns, 1))
    assert found.sums is None
    assert found.unit == "int8"


@pytest.mark.parametrize(
    ("width", "rows", "looped"), [(3, 16, 0), (3, 17, 0), (3, 512, 0), (3, 513, 1), (1025, 128, 0), (1025, 129, 1)]
)
def test_llama_cpp_takes_experts_in_fp16_together_or_one_after_the_other(width: int, rows: int, looped: int) -> None:
    touched, chosen = touched_unevenly(rows), 2 * rows
    product_ = parts_of_experts(chosen, "row_product", 10, width, touched * 10 * width * 2, 2)
    across = max(chosen / touched / 16 + 1 / 2, 1)  # tiles of 16 rows, the last of several half full
    by_tiles = replace(product_, blocks=touched * across * width / 32)
    together = [*([tiny(2)] if rows > 16 else []), by_tiles]
    alone = [
        each("strided", chosen * 10, FP32, FP16, count=2),
        Launch(
            "gemm", 2 * touched, product_.matrix / touched, 0, 10 * width * 2, product_.activations / touched, fill=20
        ),
        each("strided", chosen / touched * width, FP32, FP16, count=2 * touched),
        each("strided", chosen * width, FP32, FP32, count=2),
    ]  # fmt: skip
    model = network(MOE | {"width": width})
    check(model, runtime("llama.cpp"), pass_of(rows, 2), {"experts_up": alone if looped else together})
    again = [k.again for row in lower(model, runtime("llama.cpp"), pass_of(rows, 2)) for o, low in row
             for k in low.kernels if o.name == "experts_up" and k.like == "row_product"]  # fmt: skip
    assert again == ([] if looped else pytest.approx([(across - 1) * product_.weights]))


def test_llama_cpp_chooses_experts_in_one_kernel_and_sums_them_in_one() -> None:
    check(network(MOE), runtime("llama.cpp"), PREFILL, {
        "route": [Launch("stream", vector=6 * TOKENS * 4, activations=TOKENS * 4 * FP32)],
        "combine": [Launch("stream", vector=4 * EVERY, activations=3 * EVERY * FP32)],
    })  # fmt: skip


def test_llama_cpp_reads_the_projections_of_mamba_1_for_every_sequence_of_a_step() -> None:
    model = network(SELECTIVE, family="mamba")
    step = Pass(4, 1, 6, WIDE, phase="decode")
    for name, d_in, d_out in (("in_proj", 10, 12), ("x_proj", 6, 10), ("dt_proj", 2, 6), ("out_proj", 6, 10)):
        weights = d_in * d_out * 2
        read = {"activations": 4 * (d_in + d_out) * FP32, "weights": 4 * weights}
        check(model, runtime("llama.cpp"), step, {name: [Own("vector_product", instead=read)]})
    wide = 10 + 12 + 2 * 2 * 5 + 12 + 4
    own = Own("gemm", fill=20, instead={"activations": 4 * wide * FP32})
    halves = each("strided", 4 * 10, FP32, FP16), each("strided", 4 * (wide - 10), FP16, FP32)
    check(network(SSM, family="mamba2"), runtime("llama.cpp"), step, {"in_proj": [halves[0], own, halves[1]]})


def in_tiles(launch: Launch, work: float | None) -> Launch:
    """A product that takes the time of whole tiles, if the back end has such."""
    return replace(launch, whole=work)


# Metal has tiles of 32 rows (mul_mm.metal), and takes experts by vectors up to 31 tokens
@pytest.mark.parametrize(("name", "tile", "few_tokens"), [("llama.cpp-metal", 32, 31), ("llama.cpp-vulkan", None, 8)])
def test_other_back_ends_unpack_to_fp16_in_their_tiles_and_convert_nothing(
    name: str, tile: int | None, few_tokens: int
) -> None:
    stack = runtime(name)

    def tiled(rows: int, weights: float, tiles: int) -> Launch:
        return in_tiles(multiplied("gemm", rows, 10, 6, weights, 20), tile and 2 * 60 * tile * tiles)

    expected: dict[tuple[int, float], list[Launch]] = {
        (1, 1 / 2): [multiplied("packed_product", 1, 10, 6, 1 / 2)],
        (8, 1 / 2): [multiplied("packed_product", 8, 10, 6, 1 / 2)],
        (9, 1 / 2): [tiled(9, 1 / 2, 1)],
        (33, 1 / 2): [tiled(33, 1 / 2, 2)],
        (8, 2): [multiplied("row_product", 8, 10, 6, 2)],
        (9, 2): [tiled(9, 2, 1)],
        (64, 2): [tiled(64, 2, 2)],
    }
    for (rows, weights), launches in expected.items():
        check(network(MLP), stack, pass_of(rows, weights), {"up_proj": launches})
    (many,) = (k for k in kernels_of(stack, pass_of(9, 1 / 2), "up_proj") if k.count)
    assert (many.unit, many.unpacking, shown(many.beneath)) == (
        "fp16",
        0,
        multiplied("packed_product", 1, 10, 6, 1 / 2),
    )
    (few,) = (k for k in kernels_of(stack, pass_of(3, 1 / 2), "up_proj") if k.count)
    assert [shown(each) for each in few.instead] == [multiplied("gemm", 3, 10, 6, 1 / 2, 20)]
    assert few.instead[0].whole == (tile and 2 * 60 * tile)
    # 600 ln 2 choices of an expert on average, with a deviation of 1.28 of that
    touched = 4 * (1 - (1 + 1.28**2 * 600 * log(2)) ** (-1 / 1.28**2))
    together = replace(parts_of_experts(1200, "gemm", 10, 3, touched * 30 / 2, 2), fill=20)
    # 1,200 rows of as many experts as any token chose, whose last tile is half full
    together = in_tiles(together, tile and 2 * 30 * touched * tile * (1200 / touched / tile + 1 / 2))
    check(network(MOE), stack, pass_of(600, 1 / 2), {"experts_up": [tiny(2), together]})
    halves = parts_of_experts(1200, "row_product", 10, 3, touched * 60, 2)
    check(network(MOE), stack, pass_of(600, 2), {"experts_up": [tiny(2), halves]})
    (found,) = (k for row in lower(network(MOE), stack, pass_of(600, 1 / 2)) for o, low in row for k in low.kernels
                if o.name == "experts_up" and k.like == "gemm")  # fmt: skip
    assert found.unit == "fp16"
    # 32 choices of one expert each fill no tile of 32 rows, of which each chosen expert has one
    touched = 4 * (1 - (1 + 1.28**2 * 32 * log(4 / 3)) ** (-1 / 1.28**2))
    single = replace(parts_of_experts(32, "gemm", 10, 3, touched * 30 / 2, 2), fill=20)
    single = in_tiles(single, tile and 2 * 30 * touched * tile)
    check(network(MOE | {"top_k": 1}), stack, pass_of(32, 1 / 2), {"experts_up": [tiny(2), single]})
    for tokens, like in ((few_tokens, "packed_product"), (few_tokens + 1, "gemm")):
        kinds = {k.like for row in lower(network(MOE), stack, pass_of(tokens, 1 / 2)) for o, low in row
                 for k in low.kernels if o.name == "experts_up" and k.count and k.cost.matrix}  # fmt: skip
        assert kinds == {like}


def test_sycl_copies_quantised_weights_to_fp16_from_nine_rows_on_and_has_no_tiles_of_int8() -> None:
    stack = runtime("llama.cpp-sycl")
    packed = each("stream", 8 * 10, FP32, 36 / 32, flops=3), multiplied("packed_product", 8, 10, 6, 1 / 2)
    check(network(MLP), stack, pass_of(8, 1 / 2), {"up_proj": packed})
    copied = [
        Launch("strided", weights=60 / 2, activations=60 * FP16), each("strided", 9 * 10, FP32, FP16),
        Launch("gemm", matrix=2 * 9 * 60, activations=(60 + 9 * 16) * FP16, fill=20),
        each("strided", 9 * 6, FP32, FP16),
    ]  # fmt: skip
    check(network(MLP), stack, pass_of(9, 1 / 2), {"up_proj": copied})
    (product,) = (k for k in kernels_of(stack, pass_of(9, 1 / 2), "up_proj") if k.like == "gemm")
    assert product.unit == "fp16"


def test_llama_cpp_on_hip_launches_what_it_does_on_cuda() -> None:
    for rows in (1, 8, 9, 17):
        for weights in (1 / 2, 2):
            one, other = (
                kernels_of(runtime(n), pass_of(rows, weights), "up_proj") for n in ("llama.cpp", "llama.cpp-hip")
            )
            assert one == other


def test_parameters_of_a_runtime_hold_over_those_of_a_device() -> None:
    orin, stack, name = library.device("jetson-orin-nano-8gb"), runtime("llama.cpp-b2824"), "gemm_efficiency"
    assert machine(orin, None, "fp16")[name] == orin.parameters[name].value
    assert machine(orin, None, "fp16", None, stack)[name] == stack.parameters[name].value
    assert machine(orin, None, "fp16", {name: 3}, stack)[name] == 3


@pytest.mark.parametrize("scored", [0, 1 / 4, 1])
def test_scored_positions_alone_go_on_after_the_last_mixer_in_as_many_passes_as_end_in_scores(scored: float) -> None:
    stack = runtime("llama.cpp")
    model = network(GQA, MLP, norm="layer", layout=[{"repeat": 3, "of": ["one"]}])
    p = replace(PREFILL, precision=WIDE, logits="last", scored=scored)
    rows = lower(model, stack, p)
    found = [(row.row.layer, row.row.count) for row in rows]
    assert found == [("embedding", 1), ("one", 2), ("last one", 1), ("head", 1)]
    # the same network where all of two positions go on, one of each sequence
    wide, narrow = (lower(model, stack, replace(p, scored=None, new=new)) for new in (3, 1))
    after = [o.name for o, _ in wide[1]].index("residual_1") + 1  # what follows the mixer and its sum
    for number, (operator, lowered) in enumerate(rows[2]):
        (_, alone), often = (list(wide[1])[number], 1) if number < after else (list(narrow[1])[number], scored)
        assert operator.often == often
        assert lowered.kernels == tuple(replace(k, count=k.count * often) for k in alone.kernels)
    for (_, lowered), (_, alone) in zip(rows[3], wide[2], strict=True):
        assert lowered.kernels == tuple(replace(k, count=k.count * scored) for k in alone.kernels)
    assert [low.kernels for _, low in rows[1]] == [low.kernels for _, low in wide[1]]
    assert {k.count for _, low in wide[1] for k in low.kernels} == {1, 2}


def test_an_array_of_shares_is_taken_for_each() -> None:
    shares = np.array([0, 1 / 4, 1])
    rows = lower(
        network(GQA, MLP, d_model=64, vocab=32), runtime("llama.cpp"),
        replace(PREFILL, precision=WIDE, logits="last", scored=shares),
    )  # fmt: skip
    (logits,) = (low.kernels for o, low in rows[-1] if o.name == "lm_head")
    assert sum(k.count for k in logits) == pytest.approx(shares)


def test_a_layer_that_is_a_mixer_alone_sees_all_positions() -> None:
    model = network(SSM, family="mamba2", layout=[{"repeat": 1, "of": ["one"]}])
    _, last, head = lower(model, runtime("llama.cpp"), replace(PREFILL, scored=1 / 4))
    assert last.row.layer == "last one"
    assert {o.often for o in last.row.operators} == {1}
    assert {o.often for o in head.row.operators} == {1 / 4}
