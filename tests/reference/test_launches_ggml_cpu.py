"""What llama.cpp's threads work through on a processor for toy networks, written down node by node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from counting.launches import FP16, FP32, GATED, GQA, MLP, PREFILL, SELECTIVE, SSM, STEP, Launch, each, network, runtime
from counting.launches import check as check_launches
from counting.rows import ACT, CACHE, TOKENS, D

from roofsim.lowering.kernels import Kernel
from roofsim.lowering.step import lower
from roofsim.model.step import Pass, Precision

STACK = runtime("llama.cpp-cpu")
EVERY = TOKENS * D


def check(model: Any, p: Pass, expected: Any) -> None:
    check_launches(model, STACK, p, expected)


def loop(elements: float, reads: float, writes: float, flops: float = 1, count: float = 1) -> Launch:
    return each("loop", elements, reads, writes, flops, count)


def rows_of(rows: int, weights: float, context: int = 4) -> Pass:
    return Pass(1, rows, context, Precision(weights=weights, activations=ACT, cache=CACHE))


def kernels(model: Any, p: Pass, name: str) -> tuple[Kernel, ...]:
    return next(lowered.kernels for row in lower(model, STACK, p) for o, lowered in row if o.name == name)


def product(like: str, rows: int, weights: float, read: int = 1, d_in: int = 10, d_out: int = 6) -> Launch:
    # 32 products, 64 FLOP: eight sums are converted, which takes as long as 16 FLOP, and added up times a scale, 16
    scaling = d_in * d_out * rows if like == "dot_product" else 0
    return Launch(
        like, matrix=2 * d_in * d_out * rows, vector=scaling, weights=read * d_in * d_out * weights,
        activations=(d_in + d_out) * FP32 * rows,
    )  # fmt: skip


@pytest.mark.parametrize("rows", [1, 2, 9])
@pytest.mark.parametrize("weights", [2, 4])
def test_weights_in_half_or_full_precision_meet_activations_in_half_precision(rows: int, weights: int) -> None:
    converted = loop(rows * 10, FP32, FP16, 3)
    check(network(MLP), rows_of(rows, weights), {"up_proj": [converted, product("block_product", rows, weights)]})


@pytest.mark.parametrize(
    ("weights", "width", "rows", "like", "read"),
    [
        # eight bits, and rows of ten in five: by themselves one by one, from two rows on in small tiles
        (34 / 32, 10, 1, "unpacked_product", 1), (34 / 32, 10, 2, "dot_product", 1),
        (34 / 32, 10, 9, "dot_product", 1),
        (22 / 32, 10, 1, "unpacked_product", 1), (22 / 32, 10, 4, "dot_product", 1),
        # blocks of 32 in four bits, and super-blocks of 256: one by one up to three rows
        (18 / 32, 10, 1, "unpacked_product", 1), (18 / 32, 10, 3, "unpacked_product", 3),
        (18 / 32, 10, 4, "repacked_product", 1), (210 / 256, 256, 3, "unpacked_product", 3),
        (210 / 256, 256, 4, "repacked_product", 1), (210 / 256, 512, 9, "repacked_product", 1),
        (1, 256, 4, "dot_product", 1),
    ],
)  # fmt: skip
def test_quantised_weights_meet_blocks_of_eight_bits(
    weights: float, width: int, rows: int, like: str, read: int
) -> None:
    model = network(MLP, d_model=width)
    wanted = product(like, rows, weights, read, width)
    check(model, rows_of(rows, weights), {"up_proj": [loop(rows * width, FP32, 34 / 32, 3), wanted]})
    (found,) = (k for k in kernels(model, rows_of(rows, weights), "up_proj") if k.like == like and k.count)
    assert (found.beneath is not None) == (like != "unpacked_product")
    assert found.unit == ("int8" if like == "dot_product" else None)
    if found.beneath:
        assert (found.beneath.like, found.beneath.cost.weights) == ("unpacked_product", width * 6 * weights)


@pytest.mark.parametrize(
    ("weights", "rows", "like"),
    [
        (18 / 32, 4, "repacked_product"), (18 / 32, 3, "unpacked_product"),
        (17 / 32, 4, "block_product"), (210 / 256, 2, "block_product"), (210 / 256, 1, "unpacked_product"),
        (34 / 32, 2, "dot_product"),
    ],
)  # fmt: skip
def test_k_quants_went_row_by_row_before_there_were_kernels_for_more(weights: float, rows: int, like: str) -> None:
    model = network(MLP, d_model=256)
    old = runtime("llama.cpp-b4384-cpu")
    read = rows if (weights, like) == (18 / 32, "unpacked_product") else 1
    wanted = product(like, rows, weights, read, 256)
    check_launches(model, old, rows_of(rows, weights), {"up_proj": [loop(rows * 256, FP32, 34 / 32, 3), wanted]})
    found = next(k for row in lower(model, old, rows_of(rows, weights)) for o, low in row if o.name == "up_proj"
                 for k in low.kernels if k.like == like and k.count)  # fmt: skip
    assert (found.beneath is None) == (like == "unpacked_product")


def test_for_an_array_of_rows_each_is_multiplied_as_alone() -> None:
    model, lengths = network(MLP), np.array([1.0, 2.0, 3.0, 4.0, 70.0])
    for weights in (18 / 32, 34 / 32, 2):
        many = kernels(model, replace(rows_of(1, weights), new=lengths), "up_proj")
        for index, new in enumerate(lengths):
            alone = {k.like: k for k in kernels(model, rows_of(int(new), weights), "up_proj") if k.count}
            for k in many:
                count = np.broadcast_to(k.count, 5)[index]
                assert bool(count) == (k.like in alone)
                if count:
                    assert np.broadcast_to(k.cost.weights, 5)[index] == pytest.approx(alone[k.like].cost.weights)


def test_a_bias_is_a_node_whatever_the_rows() -> None:
    model = network(MLP | {"bias": True})
    for rows in (1, 3):
        found = kernels(model, rows_of(rows, 2), "up_proj")[-1]
        assert (found.name, found.like, found.count) == ("bias", "loop", 1)
        assert (found.cost.vector, found.cost.activations) == (rows * 6, rows * 6 * 2 * FP32)


def test_each_other_node_is_a_loop() -> None:
    half, new = TOKENS * 18 / 2, TOKENS * 6
    check(network(GQA, GATED), PREFILL, {
        "norm_1": [loop(EVERY, FP32, FP32, 4)],
        "rotary": [loop(half, FP32, FP32, 3, count=2)],
        "cache_append": [Launch("loop", activations=new * FP32, state=2 * new * CACHE)],
        "residual_1": [loop(EVERY, 2 * FP32, FP32)],
        "gate": [loop(TOKENS * 6, 2 * FP32, FP32, 5)],
    })  # fmt: skip
    check(network(GATED), rows_of(1, 2), {"gate": [loop(6, 2 * FP32, FP32, 5)]})


@pytest.mark.parametrize(("held", "parts"), [(6, 0), (255, 0), (256, 1), (600, 1)])
def test_queries_of_a_step_go_one_by_one_over_keys_that_threads_share_in_long_caches(held: int, parts: int) -> None:
    p = replace(STEP, context=held)
    seen = 2 * (held + 1)
    row = Launch(
        "row_attention", matrix=seen * 4 * 2 * 6, vector=5 * seen * 4, activations=2 * 4 * 6 * ACT,
        state=seen * 2 * 6 * CACHE,
    )  # fmt: skip
    check(network(GQA), p, {"attention": [row, *[Launch("loop")] * parts]})


@pytest.mark.parametrize("new", [63, 64, 128])
def test_queries_of_a_prompt_go_in_tiles_of_64_if_there_are_as_many(new: int) -> None:
    p = replace(PREFILL, new=new)
    moved: dict[str, float] = {"activations": 2 * new * 4 * 6 * ACT, "state": 2 * (new + 4) * 2 * 6 * CACHE}
    if new < 64:
        pairs: float = 2 * 4 * (new * 4 + new * (new + 1) / 2)
        check(network(GQA), p, {"attention": [Launch("row_attention", matrix=12 * pairs, vector=5 * pairs, **moved)]})
        return
    # every tile of queries scores its own 64 keys, all the ones before, and the cache: 64 · 64 · (1 + ... + new / 64)
    tiles = new / 64
    pairs = 2 * 4 * (64 * 64 * tiles * (tiles + 1) / 2 + new * 4)
    check(network(GQA), p, {"attention": [
        Launch("block_product", matrix=12 * pairs, **moved), Launch("loop", vector=5 * pairs, joined=True),
    ]})  # fmt: skip


def test_states_are_gathered_joined_and_kept_around_a_convolution_without_vectors() -> None:
    channels = 12 + 2 * 2 * 5
    held, elements = 2 * channels * 3 * FP32, TOKENS * channels  # two sequences, four taps
    moved = Launch("loop", activations=held, state=held)
    join = Launch("scalar_loop", vector=elements, activations=2 * (elements * FP32 + held))
    weights = channels * 5 * 13
    taps = Launch("scalar_loop", vector=8 * elements, weights=weights, activations=2 * elements * FP32)
    activated = [loop(elements, FP32, FP32), loop(elements, FP32, FP32, 4)]
    check(network(SSM, family="mamba2"), PREFILL, {"conv": [moved, join, moved, taps, *activated]})
    short = network({"kind": "short_conv", "channels": 6})
    names = [k.name for k in kernels(short, PREFILL, "conv")]
    assert names == ["gather", "join", "keep", "conv"]


@pytest.mark.parametrize("new", [1, 3])
def test_the_state_of_a_sequence_goes_through_the_cache_at_each_token(new: int) -> None:
    p, tokens, state = replace(PREFILL, new=new), 2 * new, 12 * 5 * FP32
    once = Launch(
        "loop", tokens, vector=5 * 12 * 5, activations=2 * state + (2 * 12 + 2 * 2 * 5 + 4) * FP32, joined=True
    )
    check(network(SSM, family="mamba2"), p, {"scan": [
        loop(tokens * 4, FP32, FP32, count=2), once, Launch("loop"), Launch("loop", state=2 * 2 * state),
        loop(tokens * 12, FP32, FP32), loop(tokens * 12, 2 * FP32, FP32),
    ]})  # fmt: skip


@pytest.mark.parametrize("heads", [1, 3])
def test_decays_of_every_channel_take_an_exponential_for_each_element_of_the_state(heads: int) -> None:
    elements, state = TOKENS * 6, 2 * 6 * 4 * FP32
    model = network(SELECTIVE | {"mamba_heads": heads}, family="mamba")
    scan = Launch(
        "scalar_loop", vector=elements * (9 * 4 + 8), weights=6 * (4 + 2) * 13,
        activations=(3 * elements + 2 * TOKENS * heads * 4) * FP32, state=2 * state,
    )  # fmt: skip
    copied, summed = loop(elements, FP32, FP32), loop(elements, 2 * FP32, FP32)
    kept, gate = Launch("loop", state=2 * state), loop(elements, 2 * FP32, FP32, 5)
    check(model, PREFILL, {"scan": [copied, scan, kept, copied, summed, copied, gate]})


MOE = {"kind": "moe", "experts": 4, "top_k": 2, "width": 3}


@pytest.mark.parametrize(
    ("rows", "like", "read"), [(1, "unpacked_product", 1), (4, "unpacked_product", 2), (8, "repacked_product", 1)]
)
def test_an_expert_takes_its_rows_together_from_four_on(rows: int, like: str, read: float) -> None:
    # four experts, two for each token: half as many rows for each as there are tokens
    touched = 4 * (1 - 0.5**rows)
    wanted = Launch(
        like, matrix=2 * 10 * 6 * 2 * rows, weights=read * touched * 10 * 6 * 18 / 32,
        activations=16 * FP32 * 2 * rows,
    )  # fmt: skip
    check(network(MOE), rows_of(rows, 18 / 32), {"experts_up": [loop(rows * 10, FP32, 34 / 32, 3), wanted]})


def test_experts_are_chosen_weighed_and_summed_one_by_one() -> None:
    check(network(MOE), PREFILL, {
        "route": [loop(TOKENS * 4, FP32, FP32, 5), loop(TOKENS * 4, FP32, FP32), Launch("loop", 4)],
        "combine": [loop(2 * EVERY, FP32, FP32), loop(EVERY, 2 * FP32, FP32)],
    })  # fmt: skip
    of_four = [loop(4 * EVERY, FP32, FP32), loop(EVERY, 2 * FP32, FP32, count=3)]
    check(network(MOE | {"top_k": 4}), PREFILL, {"combine": of_four})


def test_what_three_experts_made_is_summed_up_in_two_nodes() -> None:
    check(network(MOE | {"top_k": 3}), PREFILL, {
        "combine": [loop(3 * EVERY, FP32, FP32), loop(EVERY, 2 * FP32, FP32, count=2)],
    })  # fmt: skip


def test_heads_may_have_values_of_another_width_than_keys() -> None:
    model, p = network(GQA | {"v_dim": 2}), replace(PREFILL, new=64)
    pairs = 2 * 4 * (64 * 64 + 64 * 4)
    moved = {"activations": 2 * 64 * 4 * 5 * ACT, "state": 2 * 68 * 2 * 5 * CACHE}
    check(model, p, {"attention": [
        Launch("block_product", matrix=2 * (3 + 2) * pairs, **moved), Launch("loop", vector=5 * pairs, joined=True),
    ]})  # fmt: skip


def test_attention_without_a_rule_goes_by_queries_in_a_step_alone() -> None:
    latent: dict[str, Any] = {
        "kind": "mla", "heads": 3, "kv_rank": 6, "nope_dim": 4, "rope_dim": 2, "v_dim": 5, "q_rank": 7,
    }  # fmt: skip
    for p, like in ((PREFILL, "block_product"), (STEP, "row_attention")):
        first, *others = kernels(network(latent), p, "attention")
        assert first.like == like
        assert {k.like for k in others} <= {"loop"}
        (absorbed,) = kernels(network(latent), p, "q_absorb")
        assert (absorbed.like, absorbed.fill, absorbed.blocks) == ("block_product", 0, None)
