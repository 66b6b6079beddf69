"""A step of several groups of sequences on toy networks, counted by hand: what sees all tokens, what each group."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from counting.launches import FP32, GATED, GQA, PREFILL, SSM, STEP, network, runtime
from counting.rows import ACT, CACHE, STORED, VECTOR, WEIGHT, D

from roofsim import library
from roofsim.engine.passes import ahead_work, serving_work
from roofsim.lowering.kernels import Kernel
from roofsim.lowering.step import lower
from roofsim.model.architecture import Architecture
from roofsim.model.split import Split
from roofsim.model.step import Pass, together
from roofsim.ops.base import Operator
from roofsim.specs.runtime import Runtime

DELTA = {"kind": "gated_delta", "key_heads": 2, "value_heads": 4, "key_dim": 3, "value_dim": 3, "chunk": 64}
LATENT = {"kind": "mla", "heads": 3, "kv_rank": 5, "nope_dim": 3, "rope_dim": 2, "v_dim": 4}
LAST = replace(PREFILL, logits="last")
"""Two prompts of which three tokens go through, after four."""
MIXED = together([replace(STEP, logits="last"), LAST])
"""Beside them two sequences that hold six and get one more: eight tokens in all."""
NO_GRAPHS: dict[str, Any] = {"host": {"captured": None}}


def operators(model: Architecture, p: Pass) -> dict[str, list[Operator]]:
    """The operators of a pass by their names."""
    found: dict[str, list[Operator]] = {}
    for row in model.rows(p):
        for each in row.operators:
            found.setdefault(each.name, []).append(each)
    return found


def launched(model: Architecture, stack: Runtime, p: Pass, name: str, device: str | None = None) -> list[Kernel]:
    """The kernels of an operator in a pass, those of all groups one after the other."""
    rows = lower(model, stack, p, library.device(device) if device else None)
    return [k for row in rows for o, found in row if o.name == name for k in found.kernels if k.count]


def test_what_goes_token_by_token_sees_all_tokens_and_reads_its_weights_once() -> None:
    found = operators(network(GQA, GATED), MIXED)
    tokens = 2 * 3 + 2 * 1
    for name, d_in, d_out in (("q_proj", D, 12), ("o_proj", 12, D), ("gate_proj", D, 6), ("down_proj", 6, D)):
        (one,) = found[name]
        assert one.group is None
        assert one.cost.matrix == 2 * tokens * d_in * d_out
        assert one.cost.weights == d_in * d_out * WEIGHT
        assert one.out == tokens * d_out * ACT
    (norm,) = found["norm_1"]
    assert (norm.cost.activations, norm.cost.weights) == (2 * tokens * D * ACT, D * VECTOR)
    (scores,) = found["lm_head"]
    assert scores.cost.matrix == 2 * (2 + 2) * D * 7  # the last token of each of four sequences
    assert scores.cost.weights == D * 7 * STORED["lm_head"]


def test_what_goes_by_sequences_is_there_for_each_group() -> None:
    prompts, single = operators(network(GQA), MIXED)["attention"]
    assert (prompts.group, single.group) == (0, 1)
    assert prompts.cost.matrix == 4 * 4 * 3 * 2 * (5 + 6 + 7)
    assert single.cost.matrix == 4 * 4 * 3 * 2 * 7
    assert prompts.cost.state == single.cost.state == 2 * 7 * 2 * (3 + 3) * CACHE
    written = operators(network(GQA), MIXED)["cache_append"]
    assert [each.cost.state for each in written] == [2 * 3 * 12 * CACHE, 2 * 1 * 12 * CACHE]


def test_ranks_exchange_what_all_groups_made_at_once() -> None:
    (sums,) = operators(network(GQA).sharded(Split(tp=2)), MIXED)["join_1"]
    assert (sums.group, sums.sizes["payload"]) == (None, (2 * 3 + 2 * 1) * D * ACT)


def test_latents_are_expanded_for_prompts_and_absorbed_for_single_tokens() -> None:
    absorbed = replace(STEP, latents="absorbed", logits="last")
    expanded = replace(LAST, latents="expanded")
    found = operators(network(LATENT), together([absorbed, expanded]))
    (keys,), (queries,) = found["kv_b_proj"], found["q_absorb"]
    assert keys.cost.matrix == 2 * (2 * 7) * 5 * 3 * (3 + 4)  # all that the two prompts hold
    assert queries.cost.matrix == 2 * (2 * 1) * 3 * 3 * 5
    assert [each.group for each in found["attention"]] == [0, 1]
    assert list(found).index("kv_b_proj") < list(found).index("attention") < list(found).index("v_absorb")


def test_one_launch_takes_caches_and_attention_of_all_sequences() -> None:
    stack = runtime("vllm", **NO_GRAPHS)
    for name in ("attention", "cache_append"):
        first, *others = launched(network(GQA), stack, MIXED, name)
        assert not first.joined
        assert all(each.joined for each in others)
    _, queries, *_ = launched(network(GQA), stack, MIXED, "attention")
    assert queries.cost.state == 2 * 7 * 2 * 6 * CACHE


def test_single_tokens_beside_prompts_have_a_tile_for_each_head_in_flash_attention_2() -> None:
    """Two tokens with four heads each, which see seven keys; of 64 rows one is wanted, of 7 + 64 keys seven."""
    stack = runtime("vllm", **NO_GRAPHS)
    prompts, single = launched(network(GQA), stack, MIXED, "attention", "a100-sxm-80gb")
    assert (single.blocks, single.rows, single.spread, single.joined) == (2 * 4, 1, 1, True)
    assert single.padding == pytest.approx(64 * (7 + 64) / 7)
    assert prompts == launched(network(GQA), stack, LAST, "attention", "a100-sxm-80gb")[0]
    # not in a step without prompts, nor where kernels are others
    alone = replace(STEP, logits="last")
    assert [k.name for k in launched(network(GQA), stack, alone, "attention", "a100-sxm-80gb")][1] == "attention"
    other = runtime("vllm", **NO_GRAPHS, attention={"one_call": False})
    for on, found in (("mi300x", stack), ("h100-sxm", stack), ("a100-sxm-80gb", other)):
        assert all(k.padding < 64 for k in launched(network(GQA), found, MIXED, "attention", on)[1:])
    # a window or a chunk of four ends after four keys; of chosen blocks the tile is that of all seven
    for limit, keys in (({"window": 4}, 4), ({"window": 9}, 7), ({"chunk": 4}, 4), ({"block": 4, "blocks": 2}, 7)):
        *_, single = launched(network(GQA | limit), stack, MIXED, "attention", "a100-sxm-80gb")
        assert single.padding == pytest.approx(64 * (keys + 64) / keys), limit


def test_attention_with_sinks_has_tiles_of_16_rows_where_flash_attention_2_would_run() -> None:
    """Of an A100; heads of two key heads are grouped by two, and a tile takes as long as one of 64 rows."""
    model, stack = network(GQA | {"sinks": True}), runtime("vllm", **NO_GRAPHS)

    def found(p: Pass, device: str = "a100-sxm-80gb") -> list[Kernel]:
        return launched(model, stack, p, "attention", device)

    # 96 tokens behind 1,000: 192 rows are whole tiles, and the last one of keys is half full of 1,048.5
    (long,) = found(Pass(2, 96, 1000, LAST.precision, logits="last"))
    assert (long.blocks, long.rows, long.triton) == (2 * 2, 2 * 96, True)
    assert long.padding == pytest.approx(4 * (1048.5 + 64) / 1048.5)
    # six rows of three tokens in a tile of 16, and two of one token
    prompts, single = found(MIXED)
    assert prompts.padding == pytest.approx(64 / 6 * (6 + 64) / 6)
    assert (single.blocks, single.rows, single.spread, single.padding) == (2 * 2, 2, 1, 64 / 2)
    assert prompts.triton
    assert single.triton
    # steps without prompts split keys, Hopper has FlashAttention-3
    whole, summed = found(replace(STEP, context=1023, logits="last"))
    assert (whole.spread, whole.padding, whole.triton, summed.name) == (8, 1, True, "sum of splits")
    assert (summed.like, summed.triton) == ("stream", True)
    assert not any(k.triton for k in found(MIXED, "h100-sxm"))
    apart = runtime("vllm", **NO_GRAPHS, attention={"one_call": False})
    assert not any(k.triton for k in launched(model, apart, MIXED, "attention", "a100-sxm-80gb"))


def test_state_space_layers_run_prompts_and_single_tokens_apart() -> None:
    stack = runtime("vllm", **NO_GRAPHS)
    kernels = launched(network(SSM), stack, MIXED, "scan")
    assert [k.name for k in kernels][-1] == "scan"
    assert len(kernels) == 1 + 5 + 1  # the state, five of the chunked scan, one update
    assert not any(k.joined for k in kernels)
    assert kernels[-1].cost.state == 2 * 2 * 4 * 3 * 5 * 11  # two sequences' states, read and written
    assert len(launched(network(SSM), stack, MIXED, "conv")) == 2
    latent = launched(network(LATENT), stack, MIXED, "attention")
    assert not any(k.joined for k in latent)


def test_tokens_beside_prompts_are_convolved_as_prompts_are() -> None:
    """Blocks of up to eight tokens of each sequence, for 256 channels; 12 of x and twice ten of B and C."""
    found = launched(network(SSM), runtime("vllm", **NO_GRAPHS), MIXED, "conv")
    assert sorted((k.blocks, k.indexed, k.waits, k.uses) for k in found) == [
        (2, 2 * 1 * 32 / 2, 4 + 1, 1), (2, 2 * 3 * 32 / 2, 4 + 3, 1),
    ]  # fmt: skip


def test_tokens_beside_prompts_are_updates_of_the_delta_rule() -> None:
    model, stack = network(DELTA, family="qwen3_next"), runtime("vllm", **NO_GRAPHS)
    (scan,) = {o.name for row in model.rows(MIXED) for o in row.operators if o.function.__name__ == "delta_rule"}
    prompts, found = launched(model, stack, LAST, scan), launched(model, stack, MIXED, scan)
    assert found[: len(prompts)] == prompts
    assert [k.name for k in prompts] == ["states and layout", "normalise", "decay", scan]
    assert [(k.name, k.like, k.joined) for k in found[len(prompts) :]] == [
        ("states and layout", "stream", False), (scan, "stream", False),
    ]  # fmt: skip


def test_groups_of_a_phase_share_their_launches() -> None:
    stack = runtime("vllm", **NO_GRAPHS)
    both = together([replace(STEP, context=6), replace(STEP, context=9)])
    kernels = launched(network(SSM), stack, both, "scan")
    assert [k.joined for k in kernels] == [False, True]
    longer, shorter = (o.cost.state for o in operators(network(GQA), both)["attention"])
    assert (longer, shorter) == (2 * 10 * 12 * CACHE, 2 * 7 * 12 * CACHE)


def test_a_step_with_prompts_is_launched_as_a_prefill_is() -> None:
    stack = runtime("vllm")
    replayed = {k.replayed for k in launched(network(GQA), stack, MIXED, "q_proj")}
    between = {k.replayed for k in launched(network(GQA), stack, MIXED, "attention")}
    assert (replayed, between) == ({1}, {0})
    # eight tokens, which is a graph's size; with one sequence more it is padded to sixteen, which are no sequence's
    nine = together([replace(STEP, batch=3), LAST])
    for p, tokens in ((MIXED, 8), (nine, 16)):
        (norm, *_) = launched(network(GQA), stack, p, "norm_1")
        assert norm.cost.activations == 4 * tokens * D * ACT
    assert [k.cost.state for k in launched(network(GQA), stack, nine, "cache_append")] == [
        2 * 3 * 12 * CACHE, 3 * 12 * CACHE,
    ]  # fmt: skip


def test_the_host_works_for_prompts_that_begin() -> None:
    stack = runtime("vllm", host={"step_work": 10, "request_work": 3, "ahead_work": 40, "sequence_work": 2})
    assert serving_work(stack, MIXED) == 10 + 2 * 3
    assert serving_work(stack, together([STEP, replace(LAST, begins=0)])) == 10
    assert serving_work(stack, together([STEP, replace(STEP, context=9)])) == 10
    assert ahead_work(stack, together([STEP, replace(STEP, context=9)])) == 40 + 4 * 2
    assert ahead_work(stack, MIXED) is None


def test_positions_that_go_on_are_those_that_are_scored() -> None:
    """Of a piece that ends no prompt none goes on; two single tokens do, in rows of their own after the last mixer."""
    piece = replace(PREFILL, logits="last", scored=0)
    ends = replace(PREFILL, logits="last", scored=1, new=2)
    found = operators(network(GQA, GATED), together([piece, ends, replace(STEP, logits="last")]))
    (gate,), (scores,) = found["gate_proj"], found["lm_head"]
    assert gate.often == scores.often == 1
    assert gate.sizes["tokens"] == scores.sizes["tokens"] == 2 + 2
    (queries,) = found["q_proj"]
    assert queries.sizes["tokens"] == 2 * 3 + 2 * 2 + 2
    (none,) = operators(network(GQA, GATED), together([piece, replace(piece, new=1)]))["lm_head"]
    assert (none.often, none.sizes["tokens"]) == (0, 2 + 2)


def test_places_that_a_cache_has_spare_are_attended_to_in_single_tokens_alone() -> None:
    stack = runtime("transformers-5-static", spare=64)
    prompts, single = [o for row in lower(network(GQA), stack, MIXED) for o, _ in row if o.name == "attention"]
    assert (prompts.sizes["context"], single.sizes["context"]) == (4, 6 + 64)


def test_equal_groups_are_one_whatever_their_order() -> None:
    half = replace(STEP, batch=1)
    assert together([half, LAST, half]) == together([LAST, STEP]) == together([STEP, LAST])
    assert together([STEP]) is STEP
    assert together([half, half]) == STEP
    assert MIXED.phase == "prefill"
    assert MIXED.tokens == 8
    assert [each.batch * each.new for each in MIXED.groups] == [6, 2]
    assert together([STEP, replace(STEP, logits="last")]).beside
    assert replace(STEP, batch=1, padding=3).tokens + 1 == together([half, replace(half, padding=3)]).tokens


def test_fp32_of_a_scan_beside_single_tokens_is_that_of_the_prompts() -> None:
    stack = runtime("vllm", **NO_GRAPHS)
    cumsum = launched(network(SSM), stack, MIXED, "scan")[1]
    assert cumsum.cost.activations == 2 * 3 * 4 * ACT + 2 * 2 * 3 * 4 * FP32


@pytest.mark.parametrize("part", [GQA, SSM, LATENT, GATED])
def test_a_single_group_is_the_plain_pass(part: dict[str, Any]) -> None:
    model = network(part)
    assert model.rows(together([LAST])) == model.rows(LAST)
    assert lower(model, runtime("vllm"), together([STEP])) == lower(model, runtime("vllm"), STEP)
