"""Eager PyTorch: what transformers launches for each operator of toy networks, written down launch by launch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from counting.launches import (
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

from roofsim.foundation.schema import variant
from roofsim.lowering import eager
from roofsim.lowering.step import lower
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass
from roofsim.ops.base import Role
from roofsim.specs.runtime import Runtime

NEW, OLD = "transformers-5-eager", "transformers-4.52-eager"
EVERY = TOKENS * D
"""Elements of the stream."""
STEPS = 2 * D
"""Those of a step."""


def rms_norm(elements: float, weighted: bool = True) -> Expected:
    """x → fp32, x², mean, + ε and root, x · root, → back, · weight."""
    pieces = [
        each("strided", elements, ACT, FP32),
        each("stream", elements, FP32, FP32),
        each("strided", elements, FP32, 0),
        tiny(2),
        each("strided", elements, FP32, FP32),
        each("stream", elements, FP32, ACT),
        each("strided", elements, ACT, ACT),
    ]
    return Expected(pieces if weighted else pieces[:-1], temporary=2 * FP32 * elements)


def product(d_in: int, **more: Any) -> Own:
    return Own("gemm", fill=2 * d_in, **more)


def test_norms_are_written_out_in_fp32() -> None:
    model = network(GQA | {"qk_norm": "plain"}, MLP)
    expected = {
        "norm_1": rms_norm(EVERY),
        "q_norm": rms_norm(TOKENS * 12, weighted=False),
        "final_norm": rms_norm(EVERY),
    }
    check(model, runtime(NEW), PREFILL, expected)
    check(network(MLP, norm="layer"), runtime(NEW), PREFILL, {"norm_1": [Own("stream")]})


@pytest.mark.parametrize(
    ("family", "name", "prefill", "decode"),
    [("llama", NEW, 10, 10), ("gpt_neo", NEW, 12, 12), ("gpt_neo", OLD, 6, 5), ("zamba2", OLD, 95, 17)],
)
def test_a_pass_begins_with_a_look_up_and_the_small_work_of_positions(
    family: str, name: str, prefill: int, decode: int
) -> None:
    model = network(MLP, family=family, positions=9)
    check(model, runtime(name), PREFILL, {"embedding": [Own("stream"), tiny(prefill)]})
    check(model, runtime(name), STEP, {"embedding": [Own("stream"), tiny(decode)]})
    check(model, runtime(name), STEP, {"position_embedding": [Own("stream")]})


@pytest.mark.parametrize(("limit", "clears"), [(72, 1), (73, 0)])
def test_a_large_product_of_a_prefill_clears_a_buffer_first(limit: int, clears: int) -> None:
    stack = runtime(NEW, matrix_library={"clears_from": limit})
    check(network(GQA), stack, PREFILL, {"q_proj": [product(10), *[tiny()] * clears]})  # 6 tokens · 12
    check(network(GQA), runtime(NEW, matrix_library={"clears_from": 1}), STEP, {"q_proj": [product(10)]})
    check(network(GQA), runtime(NEW, matrix_library={"clears_from": None}), PREFILL, {"q_proj": [product(10)]})


@pytest.mark.parametrize(("limit", "splits"), [(12, 1), (13, 0), (None, 0)])
def test_a_step_splits_products_of_many_inputs_and_no_more_outputs(limit: int | None, splits: int) -> None:
    stack = runtime(NEW, matrix_library={"splits_from": limit})
    expected = {"o_proj": [product(12), *[tiny()] * splits], "q_proj": [product(10)]}
    check(network(GQA), stack, STEP, expected)
    check(network(GQA), stack, PREFILL, {"o_proj": [product(12)]})
    check(network({**GQA, "heads": 2}), runtime(NEW, matrix_library={"splits_from": 6}), STEP, {"o_proj": [product(6)]})


def test_a_rotation_is_two_products_a_negated_half_joined_and_a_sum_for_queries_and_for_keys() -> None:
    half = TOKENS * 18 / 2
    rotated = [
        each("strided", half, ACT, ACT, count=4, indexed=1),
        each("strided", half / 2, ACT, ACT, count=2, indexed=1),
        each("strided", half, ACT, ACT, count=2, indexed=5 / 3),
        each("stream", half, 2 * ACT, ACT, count=2),
    ]
    check(network(GQA), runtime(NEW), PREFILL, {"rotary": Expected(rotated, temporary=2 * half * ACT)})
    joined = each("strided", half, ACT, ACT, count=2, indexed=5 / 3)
    check(
        network(GQA, family="phi3"), runtime(NEW), PREFILL,
        {
            "rotary": Expected([*rotated, joined], temporary=2 * half * ACT),
            # four heads of width three are put side by side again
            "attention": [tiled(4), each("strided", TOKENS * 12, ACT, ACT, indexed=3 / 4), tiny()],
        },
    )  # fmt: skip
    merged = each("strided", TOKENS * 8, ACT, ACT, indexed=3 / 4)  # of values of two elements
    narrow = network(GQA | {"v_dim": 2}, family="phi3")
    check(narrow, runtime(NEW), PREFILL, {"attention": [tiled(4), merged, tiny()]})
    # those of one token lie side by side however they are laid out
    for family in ("phi3", "llama"):
        check(network(GQA, family=family), runtime(NEW), STEP, {"attention": [of_a_token(4, 2), tiny()]})


def appended(held: int, new: int) -> list[Launch]:
    """Keys, then values, of six elements each: what was held is read, and written with what is new.

    Convention: the library keeps its cache in the dtype of the activations, so that what is new is read in that of the
    cache.
    """
    state = (held * 6 + (held + new) * 6) * CACHE
    return [Launch("strided", 2, activations=new * 6 * CACHE, state=state)]


def test_a_cache_is_concatenated_or_written_in_place() -> None:
    model = network(GQA)
    check(model, runtime(NEW), PREFILL, {"cache_append": appended(2 * 4, 2 * 3)})
    check(model, runtime(NEW), STEP, {"cache_append": appended(2 * 6, 2)})
    check(model, runtime(OLD), PREFILL, {"cache_append": []})  # the first time there is nothing to join
    check(model, runtime(OLD), STEP, {"cache_append": appended(2 * 6, 2)})
    for cache in ("static", "paged"):
        for p in (PREFILL, STEP):
            check(model, runtime(NEW, cache=cache), p, {"cache_append": [Own("strided", part=1 / 2, count=2)]})


@pytest.mark.parametrize("limit", [{"window": 3}, {"chunk": 3}])
def test_what_a_window_or_chunk_no_longer_holds_is_neither_joined_nor_repeated(limit: dict[str, int]) -> None:
    model = network(GQA | limit)
    check(model, runtime(NEW), STEP, {"cache_append": appended(2 * 2, 2)})  # the last two, and the new one
    check(model, runtime(NEW), Pass(2, 3, 1, PRECISION), {"cache_append": appended(2 * 1, 2 * 3)})
    both = network(GQA | limit | {"windowed_cache": False})
    check(both, runtime(NEW), STEP, {"cache_append": appended(2 * 6, 2)})
    copies = 2 * 3 * 4 * 6 * CACHE
    attended = of_a_token(4, 4, instead={"state": 0.0, "activations": 2 * 4 * 6 * ACT + copies})
    check(model, runtime(OLD), STEP, {"attention": Expected([repeated(3), attended], temporary=copies)})


def test_attention_is_one_kernel_and_in_a_step_a_sum_of_splits() -> None:
    model = network(GQA)
    check(model, runtime(NEW), PREFILL, {"attention": [tiled(4), tiny()]})  # what cuDNN counts in is cleared
    check(model, runtime(NEW, attention={"plans": False}), PREFILL, {"attention": [tiled(4)]})
    check(model, runtime(NEW), STEP, {"attention": [of_a_token(4, 2), tiny()]})
    unsplit = runtime(NEW, attention={"splits_decode": False})
    check(model, unsplit, STEP, {"attention": [of_a_token(4, 2)]})


def test_on_a_processor_a_step_goes_over_the_keys_of_a_query_in_a_loop() -> None:
    """Seven keys of two sequences, four heads of width six; a prompt goes in tiles as on a GPU."""
    model, stack = network(GQA), runtime("transformers-5-cpu")
    check(model, stack, PREFILL, {"attention": [tiled(4)]})
    check(model, stack, STEP, {"attention": [Own("row_attention", blocks=2 * 4)]})


def repeated(seen: int) -> Launch:
    """Keys, then values, of three elements each: read once for two heads, found and written for four."""
    written = 2 * seen * 4 * 3
    return Launch("strided", 2, activations=written * CACHE, state=2 * seen * 2 * 3 * CACHE, indexed=3 / 4 * written)


def test_heads_are_repeated_and_queries_made_contiguous_where_the_library_does_so() -> None:
    copies = 2 * 7 * 4 * 6 * CACHE
    reading = {"state": 0.0}
    contiguous = each("strided", 2 * 3 * 4 * 3, ACT, ACT, indexed=3 / 4)
    expected = [repeated(7), contiguous, tiled(4, 4, more=copies, instead=None)]
    check(network(GQA), runtime(OLD), STEP, {"attention": Expected(
        [repeated(7), of_a_token(4, 4, instead={**reading, "activations": 2 * 4 * 6 * ACT + copies})],
        temporary=copies,
    )})  # fmt: skip
    expected[-1] = tiled(4, 4, instead={**reading, "activations": 2 * 3 * 4 * 6 * ACT + copies})
    expected.append(contiguous)  # what the kernel returns is laid out as the queries are
    check(
        network(GQA), runtime(OLD), PREFILL,
        {"attention": Expected(expected, temporary=copies + 2 * 3 * 4 * 3 * ACT)},
    )  # fmt: skip
    alike = network({**GQA, "kv_heads": 4})
    check(alike, runtime(OLD), STEP, {"attention": [of_a_token(4, 4)]})
    # heads that share nothing are not repeated: keys and values of seven are made contiguous instead
    held = each("strided", 2 * 7 * 4 * 3, CACHE, CACHE, count=2, indexed=3 / 4)
    plain = Expected([contiguous, held, tiled(4, 4), contiguous], temporary=2 * 3 * 4 * 3 * ACT)
    check(alike, runtime(OLD), PREFILL, {"attention": plain})


MASKED = GQA | {"declared_window": 7, "v_dim": 2}


def masked(new: int, context: int, tiles: int, keys: int = 64, **columns: float) -> list[Launch]:
    """All pairs of whole tiles of 64 queries and 64 keys; 2 bytes of mask for every pair and head.

    Blocks of one head each take 109 clocks a key at least. Rows of seven or a hundred numbers are filled and copied to
    some of a multiple of eight first.
    """
    pairs = 2 * 4 * tiles * 64 * keys
    mask = 2 * new * (context + new) * 2
    queries = 2 * new * 4 * (3 + 2) * ACT
    kernel = Launch(
        "narrow_masked_attention", matrix=pairs * (2 * 3 + 2 * 2), vector=6 * pairs,
        activations=queries + 4 * mask + columns.get("read", 0), state=columns.get("state", 0),
        blocks=2 * 4 * tiles, clocks=109 * keys,
    )  # fmt: skip
    aligned = [Launch("stream", activations=mask), Launch("strided", activations=2 * mask)]
    return [*aligned, kernel] if (context + new) % 8 else [kernel]


def copied(seen: int) -> Launch:
    """Keys of three and values of two elements, in two kernels alike: read once for two heads, written for four."""
    written = 2 * seen * 4 * 5 / 2
    return Launch("strided", 2, activations=written * CACHE, state=written / 2 * CACHE, indexed=3 / 4 * written)


def test_with_a_mask_every_pair_is_scored_in_tiles_and_the_mask_read_for_every_head() -> None:
    copies = 2 * 7 * 4 * 5 * CACHE
    both = copied(7)
    contiguous = each("strided", 2 * 3 * 4 * 3, ACT, ACT, indexed=3 / 4)
    padded = 2 * 3 * 7 * 2
    found = [both, contiguous, *masked(3, 4, 1, read=copies)]
    on_the_side = copies + 2 * 3 * 4 * 3 * ACT + padded
    check(network(MASKED), runtime(OLD), PREFILL, {"attention": Expected(found, temporary=on_the_side)})
    held = 2 * 7 * 2 * 5 * CACHE
    alike = network(MASKED | {"kv_heads": 4})
    check(alike, GROUPED, PREFILL, {"attention": masked(3, 4, 1, state=2 * held)})
    for new, context, tiles, keys in ((64, 64, 1, 128), (65, 35, 2, 128), (96, 4, 2, 128), (60, 4, 1, 64)):
        held = 2 * (new + context) * 2 * 5 * CACHE
        long = {"attention": masked(new, context, tiles, keys, state=2 * held)}
        check(alike, GROUPED, Pass(2, new, context, PRECISION), long)
    shorter = network(MASKED | {"declared_window": 8})
    check(shorter, GROUPED, PREFILL, {"attention": [tiled(4)]})
    splitting = runtime(OLD, attention={"kv_heads": "grouped", "splits_decode": True, "mask_padded": False})
    check(alike, splitting, STEP, {"attention": masked(1, 6, 1, state=2 * 7 * 4 * 5 * CACHE)})
    # what cuDNN counts in is cleared where it attends, not under a mask
    planning = variant(GROUPED, attention=variant(GROUPED.attention, plans=True))
    check(alike, planning, PREFILL, {"attention": masked(3, 4, 1, state=2 * 7 * 4 * 5 * CACHE)})
    check(shorter, planning, PREFILL, {"attention": [tiled(4), tiny()]})
    # heads that share keys cannot share them under a mask
    grouped = Expected([copied(7), *masked(1, 6, 1, read=copies)], temporary=copies)
    check(network(MASKED), splitting, STEP, {"attention": grouped})


STATIC = "transformers-5-static"
SPARE = {"spare": 3}
"""Three places more than the six that are held and the one that is new."""


@pytest.mark.parametrize("name", [STATIC, f"{STATIC}-eager"])
def test_a_static_cache_is_attended_to_whole_under_a_mask_with_heads_repeated(name: str) -> None:
    stack = runtime(name, **SPARE)
    copies = 2 * 10 * 4 * 6 * CACHE
    numbers = [tiny(2), each("strided", 2 * 10, 1, ACT, indexed=1)]  # 0 and −∞, then the choice of one for each place
    mask = 2 * 10 * ACT
    queries = 2 * 4 * 6 * ACT
    kept = Launch("attention", matrix=2 * 4 * 10 * 12, vector=5 * 2 * 4 * 10, activations=queries + copies + mask,
                  blocks=2 * 4, rows=1)  # fmt: skip
    places = [tiny(3), Own("strided", part=1 / 2, count=2)]  # counted, moved on, added to, and two copies
    expected = {"cache_append": places, "attention": Expected([repeated(10), *numbers, kept, tiny()], temporary=copies)}
    check(network(GQA), stack, STEP, expected, "h100-sxm")
    # eight heads of both sequences are split, more than `splits_blocks` are not
    unsplit = runtime(name, **SPARE, attention={"splits_blocks": 7})
    check(network(GQA), unsplit, STEP, {"attention": Expected([repeated(10), *numbers, kept], temporary=copies)},
          "h100-sxm")  # fmt: skip
    just = runtime(name, **SPARE, attention={"splits_blocks": 8})
    check(network(GQA), just, STEP, expected, "h100-sxm")
    # where PyTorch does not prefer cuDNN, all pairs of a tile of queries are scored, the mask read for each head
    pairs = 2 * 4 * 64 * 64
    scored = Launch(
        "narrow_masked_attention", matrix=pairs * 12, vector=6 * pairs, activations=queries + copies + 4 * mask,
        blocks=2 * 4, clocks=109 * 64,
    )  # fmt: skip
    aligned = [Launch("stream", activations=mask), Launch("strided", activations=2 * mask)]
    for device in ("rtx-4090", None):
        elsewhere = Expected([repeated(10), *numbers, *aligned, scored], temporary=copies)
        check(network(GQA), stack, STEP, {"attention": elsewhere}, device)


def test_a_prefill_into_a_static_cache_has_no_mask() -> None:
    alone = {"attention": [tiled(4, context=0, last=3)]}
    check(network(GQA), runtime(STATIC), Pass(2, 3, 0, PRECISION), alone, "h100-sxm")
    started = {"embedding": [Own("stream"), tiny(10)]}
    check(network(GQA), runtime(STATIC), Pass(2, 3, 0, PRECISION), started)


def test_a_step_with_a_static_cache_begins_with_its_mask_where_there_is_attention() -> None:
    check(network(GQA), runtime(STATIC), STEP, {"embedding": [Own("stream"), tiny(9), tiny(7)]})
    check(network(SSM), runtime(STATIC), STEP, {"embedding": [Own("stream"), tiny(9)]})
    check(network(SSM, family="mamba2"), runtime(STATIC), STEP, {"embedding": [Own("stream")]})
    # a state is what it is, whatever cache there is beside it
    for kernels in ("scan", "conv"):
        assert launched(network(SSM), STATIC, kernels) == launched(network(SSM), NEW, kernels)


def launched(model: Architecture, name: str, operator: str) -> Any:
    """The kernels of an operator in a step."""
    return [lowered.kernels for row in lower(model, runtime(name), STEP) for o, lowered in row if o.name == operator]


@pytest.mark.parametrize(("limit", "clears"), [(7, 1), (8, 0), (None, 0)])
def test_a_step_clears_a_buffer_before_a_product_of_many_outputs(limit: int | None, clears: int) -> None:
    stack = runtime(NEW, matrix_library={"clears_width": limit, "splits_from": None})
    check(network(GQA), stack, STEP, {"lm_head": [product(10), *[tiny()] * clears]})


GROUPED = runtime(OLD, attention={"kv_heads": "grouped", "copies_queries": False, "mask_padded": False})


def test_for_an_array_of_lengths_each_leaves_the_flash_kernel_with_its_mask() -> None:
    stack = runtime(OLD, attention={"splits_decode": True})
    lengths = np.array([2.0, 6.0, 200.0])
    for phase in ("prefill", "decode"):
        many = attention_of(Pass(2, 3, lengths, PRECISION, phase=phase), stack)
        for index, context in enumerate(lengths):
            one = attention_of(Pass(2, 3, context, PRECISION, phase=phase), stack)
            for key, values in many.items():
                assert np.broadcast_to(values, 3)[index] == pytest.approx(one.get(key, 0)), (key, context)


def attention_of(p: Pass, stack: Runtime) -> dict[tuple[str, str], Any]:
    """Counts and columns of the kernels of attention by class, and what is needed on the side."""
    found: dict[tuple[str, str], Any] = {}
    for row in lower(network(MASKED), stack, p):
        for operator, lowered in row:
            if operator.name != "attention":
                continue
            found["side", "temporary"] = lowered.temporary
            for k in lowered.kernels:
                for column in ("matrix", "vector", "activations", "state"):
                    found[k.like, column] = found.get((k.like, column), 0) + k.count * getattr(k.cost, column)
                found[k.like, "count"] = found.get((k.like, "count"), 0) + k.count
    return found


@pytest.mark.parametrize(
    ("width", "like", "tile", "clocks"),
    [
        (200, "masked_attention", 128, 79), (65, "masked_attention", 128, 79),
        (64, "narrow_masked_attention", 64, 109),
    ],
)  # fmt: skip
def test_wide_heads_have_tiles_of_twice_as_many_keys(width: int, like: str, tile: int, clocks: int) -> None:
    model = network(
        {"kind": "attention", "heads": 1, "kv_heads": 1, "head_dim": width, "v_dim": 100, "declared_window": 7}
    )
    stack = runtime(OLD, attention={"copies_queries": False, "mask_padded": False})
    pairs, mask = 2 * 64 * tile, 2 * 3 * 7 * 2
    kernel = Launch(
        like, matrix=pairs * 2 * (width + 100), vector=6 * pairs,
        activations=2 * 3 * (width + 100) * ACT + mask, state=2 * 7 * (width + 100) * CACHE,
        blocks=2, clocks=clocks * tile,
    )  # fmt: skip
    aligned = [Launch("stream", activations=mask), Launch("strided", activations=2 * mask)]
    check(model, stack, PREFILL, {"attention": [*aligned, kernel]})


@pytest.mark.parametrize(("rows", "whole"), [(6, None), (5, 10), (4, 8), (3, 6), (2, 6), (None, None)])
def test_products_of_more_rows_than_a_tile_take_whole_tiles(rows: int | None, whole: int | None) -> None:
    stack = runtime(OLD, matrix_library={"tile_rows": rows})
    # six rows of ten inputs and twelve outputs
    work = None if whole is None else 2 * 10 * 12 * whole
    check(network(GQA), stack, PREFILL, {"q_proj": [product(10, whole=work)]})
    check(network(SSM, family="mamba2"), stack, PREFILL, {"lm_head": [product(10, whole=work and 2 * 10 * 7 * whole)]})
    check(network(GQA), stack, STEP, {"q_proj": [product(10)]})


HYMBA = {"kind": "hymba", "heads": 4, "kv_heads": 2, "head_dim": 3, "d_inner": 24, "d_state": 5, "dt_rank": 2}


def of_blocks(pairs: int, windowed: bool) -> list[Launch]:
    """A mask of blocks: each test for every pair by itself, in bytes of bools, the distance in eight."""
    one = [
        each("strided", pairs, 0, 1, count=2, indexed=1),
        each("strided", pairs, 1, 1, count=3 if windowed else 2),
    ]
    window = [
        each("strided", pairs, 0, 8, indexed=1),
        each("stream", pairs, 8, 1),
        each("stream", pairs, 2, 1),
    ]
    rest = [
        each("strided", pairs, 1, 1, indexed=1),
        each("stream", pairs, 2, 1),
        each("stream", pairs, 0, 1),
        each("strided", pairs, 1, 1),
        each("strided", pairs, 1, 0),
        tiny(60 if windowed else 59),
    ]
    return [*one, *(window if windowed else []), *rest]


@pytest.mark.parametrize("window", [None, 5, 6, 7])
def test_hymba_attends_twice_under_a_mask_of_blocks_that_each_layer_makes(window: int | None) -> None:
    """Four heads of three for queries and keys and six for values, which are two calls; two sequences."""
    first = Pass(2, 7, 0, PRECISION)
    read, queries, results = 2 * 7 * 9 * 4, 2 * 7 * 12, 2 * 7 * 24
    seen = min(7, window or 7)
    pairs = 2 * 4 * sum(min(i, seen) for i in range(1, 8))
    mean = pairs / (2 * 4 * 7)
    call = Launch(
        "attention", 2, matrix=4 * 3 * pairs, vector=5 * pairs,
        activations=2 * queries * ACT + 2 * 7 * 4 * 6 * CACHE, blocks=2 * 4, rows=7, spread=mean / seen,
        padding=64 / 7 * (mean + 64) / mean,
    )  # fmt: skip
    heads = Launch("strided", 2, activations=read / 2 * CACHE, state=read / 4 * CACHE, indexed=3 / 4 * read / 2)
    copied = each("strided", queries, ACT, ACT, indexed=3 / 4)
    joined, merged = (each("strided", results, ACT, ACT, indexed=work) for work in (5 / 3, 3 / 4))
    compiled = replace(call, triton=True)
    made = of_blocks(7 * 7, window is not None)
    on_the_side = read * CACHE + queries * ACT
    building = 7 * 7 * (10 if window else 4)
    model = network(HYMBA | ({"window": window} if window else {}), family="hymba")
    expected = Expected([heads, copied, *made, compiled, joined, merged], temporary=on_the_side + building)
    check(model, runtime(OLD), first, {"attention": expected})
    # handed a cache, only a prompt longer than its window is masked so
    cached = Expected([heads, copied, call, joined], temporary=on_the_side)
    handed = runtime(OLD, call="generate")
    check(model, handed, first, {"attention": expected if window in (5, 6) else cached})


@pytest.mark.parametrize(("window", "held"), [(None, 6), (5, 4)])
def test_a_step_of_hymba_calls_flash_attention_twice_on_what_is_held(window: int | None, held: int) -> None:
    read, seen = 2 * (held + 1) * 9 * 4, held + 1
    pairs = 2 * 4 * seen
    call = Launch(
        "attention", 2, matrix=4 * 3 * pairs, vector=5 * pairs,
        activations=2 * 2 * 12 * ACT + 2 * seen * 4 * 6 * CACHE, blocks=2 * 4, rows=1,
    )  # fmt: skip
    heads = Launch("strided", 2, activations=read / 2 * CACHE, state=read / 4 * CACHE, indexed=3 / 4 * read / 2)
    joined = each("strided", 2 * 24, ACT, ACT, indexed=5 / 3)
    model = network(HYMBA | ({"window": window} if window else {}), MLP, family="hymba")
    expected = Expected([heads, call, joined], temporary=read * CACHE)
    check(model, runtime(OLD), STEP, {"attention": expected, "embedding": [Own("stream"), tiny()]})


def test_hymba_keeps_nothing_of_a_plain_call_and_its_logits_in_fp32() -> None:
    model = network(HYMBA, MLP, family="hymba")
    handed = runtime(OLD, call="generate")
    states = {"conv": 2, "scan": 2}
    for stack, kept in ((runtime(OLD), 0), (handed, 1)):
        for row in lower(model, stack, PREFILL):
            for operator, lowered in row:
                if operator.name in states:
                    copies = sum(k.count for k in lowered.kernels if k.name == "state")
                    assert copies == kept * states[operator.name]
    logits = [product(10), each("strided", TOKENS * 7, ACT, FP32)]
    expected = {"lm_head": Expected(logits, temporary=TOKENS * 7 * FP32), "embedding": [Own("stream"), tiny(5)]}
    check(model, runtime(OLD), PREFILL, expected)
    assert lowered_of(model, PREFILL, "norm_1")[-1].count == 8  # a table of rotations, and ones for an only expert


def test_gpt_neo_writes_attention_out_in_fp32() -> None:
    # the library keeps its cache in the dtype of the activations

    def written(new: int) -> list[Launch | Own]:
        pairs = 2 * new * 7 * 4
        queries, keys = 2 * new * 4 * 3, 2 * 7 * 4 * 3
        return [
            each("strided", (queries + keys) / 2, ACT, FP32, count=2),
            Launch("stream", vector=2 * 3 * pairs, activations=(queries + keys + pairs) * FP32),
            tiny(),
            each("strided", pairs, 2 * FP32, 1),  # scores, mask of bools, scores
            each("strided", pairs, 2 * FP32, ACT),
            each("stream", pairs, FP32, FP32, flops=5),
            each("stream", pairs, FP32, ACT),
            Launch("gemm", matrix=2 * 2 * pairs, activations=pairs * ACT, state=2 * 7 * 4 * 2 * ACT),
        ]

    model = network(GQA | {"kv_heads": 4, "v_dim": 2}, family="gpt_neo")
    merged = each("strided", 2 * 3 * 4 * 2, ACT, ACT, indexed=3 / 4)
    prefill = Expected([*written(3), merged], temporary=2 * 2 * 3 * 7 * 4 * FP32)
    check(model, runtime(NEW), PREFILL, {"attention": prefill})
    check(model, runtime(NEW), STEP, {"attention": Expected(written(1), temporary=2 * 2 * 1 * 7 * 4 * FP32)})


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize(("p", "new", "seen"), [(PREFILL, 3, 7), (STEP, 1, 7)])
def test_phi_3_scores_every_pair_in_the_dtype_of_activations(p: Pass, new: int, seen: int, kv_heads: int) -> None:
    pairs, queries, keys = 2 * 4 * new * seen, 2 * 4 * new, 2 * 4 * seen
    copied = kv_heads == 2
    read = [{"activations" if copied else "state": keys * width * CACHE} for width in (3, 2)]
    both = keys * 5 / 2
    heads = Launch("strided", 2, activations=both * CACHE, state=both / 2 * CACHE, indexed=3 / 4 * both)
    written = [(queries * 3 + pairs) * ACT, (pairs + queries * 2) * ACT]
    scores, product = (
        Launch("gemm", matrix=2 * pairs * width, activations=out + moved.get("activations", 0),
               state=moved.get("state", 0))
        for width, out, moved in zip((3, 2), written, read, strict=True)
    )  # fmt: skip
    expected = [
        *([heads] if copied else []),
        scores,
        each("stream", pairs, ACT, ACT),
        each("strided", pairs, ACT, ACT),
        each("stream", pairs, ACT, FP32, flops=5),
        each("stream", pairs, FP32, ACT),
        product,
        *([each("strided", queries * 2, ACT, ACT, indexed=3 / 4)] if new > 1 else []),
    ]
    # the masked scores, their softmax and what it is rounded to, beside the copies of keys and values
    held = pairs * (2 * ACT + FP32) + (keys * 5 * CACHE if copied else 0)
    model = network(GQA | {"kv_heads": kv_heads, "v_dim": 2}, MLP, family="phi3")
    found = {"attention": Expected(expected, temporary=held)}
    check(model, runtime(OLD), p, found | {"embedding": [Own("stream"), tiny()]})
    assert lowered_of(model, p, "norm_1")[-1].count == 9  # each layer makes its table of rotations


def test_hymba_sums_its_branches_across_rows_of_time_and_halves_the_sum() -> None:
    model = network(
        {"kind": "hymba", "heads": 4, "kv_heads": 2, "head_dim": 3, "d_inner": 8, "d_state": 5, "dt_rank": 2}
    )
    for p, like, elements in ((PREFILL, "transpose", TOKENS * 8), (STEP, "stream", 2 * 8)):
        halved = [each(like, elements, 2 * ACT, ACT), each("stream", elements, ACT, ACT)]
        norms = {name: rms_norm(elements * width / 8) for name, width in (("dt_norm", 2), ("b_norm", 5), ("c_norm", 5))}
        check(model, runtime(OLD), p, {"mean": halved} | norms)


def lowered_of(model: Architecture, p: Pass, operator: str) -> Any:
    """The kernels of an operator under the older library."""
    return next(lowered.kernels for row in lower(model, runtime(OLD), p) for o, lowered in row if o.name == operator)


def test_activations_are_one_kernel_or_as_many_as_their_formula_has_steps() -> None:
    elements = TOKENS * 6
    expected = {"activation": [each("stream", elements, ACT, ACT, flops=5)]}
    check(network(MLP), runtime(NEW), PREFILL, expected)
    two = {"activation": [each("stream", elements, ACT, ACT, count=2)]}
    check(network(MLP, family="nemotron_h"), runtime(NEW), PREFILL, two)
    eight = Expected([each("stream", elements, ACT, ACT, count=8)], temporary=2 * elements * ACT)
    check(network(MLP, family="gpt_neo"), runtime(NEW), PREFILL, {"activation": eight})
    gated = [each("stream", elements, ACT, ACT, flops=5), each("stream", elements, 2 * ACT, ACT)]
    check(network(GATED), runtime(NEW), PREFILL, {"gate": gated})
    check(network(GATED), runtime(NEW), STEP, {"gate": [
        each("stream", 12, ACT, ACT, flops=5), each("stream", 12, 2 * ACT, ACT),
    ]})  # fmt: skip


def test_a_cap_on_logits_is_three_kernels_and_a_sum_one() -> None:
    expected = {
        "logits_soft_cap": [each("stream", TOKENS * 7, ACT, ACT, count=3)],
        "residual_1": [each("stream", EVERY, 2 * ACT, ACT)],
        "lm_head": [product(10)],
    }
    check(network(MLP, logits_soft_cap=True), runtime(NEW), PREFILL, expected)


@pytest.mark.parametrize("family", ["mamba", "mamba2"])
def test_mamba_keeps_its_stream_and_its_logits_in_fp32(family: str) -> None:
    expected = {
        "residual_1": Expected(
            [each("strided", EVERY, FP32 + ACT, FP32), each("stream", EVERY, FP32, ACT, flops=1)], out=EVERY * FP32
        ),
        "lm_head": Expected([product(10), each("strided", TOKENS * 7, ACT, FP32)], temporary=TOKENS * 7 * FP32),
    }
    expected |= {"in_proj": [product(10)], "add_positions": [Own("stream")]}
    check(network(SSM, family=family, positions=9), runtime(NEW), PREFILL, expected)


@pytest.mark.parametrize("new", [1, 3, 4])
@pytest.mark.parametrize(("name", "family", "copies"), [(NEW, "mamba2", 2), (NEW, "bamba", 2), (OLD, "zamba2", 1)])
def test_a_chunked_scan_is_five_kernels_between_the_decay_and_the_copy_of_the_state(
    new: int, name: str, family: str, copies: int
) -> None:
    kernels, states = chunked_scan(new)
    p = Pass(2, new, 4, PRECISION)
    scan = Expected([tiny(3), *kernels, tiny(copies)], temporary=states * (FP32 + ACT))
    check(network(SSM, family=family), runtime(name), p, {"scan": scan, "conv": [Own("strided"), tiny(2)]})


def test_a_step_of_a_scan_is_one_update() -> None:
    expected = {"scan": [tiny(3), Own("stream", triton=True)], "conv": [Own("strided")]}
    check(network(SSM, family="mamba2"), runtime(NEW), STEP, expected)


def test_the_gate_of_a_scan_is_normed_in_fp32_or_a_part_of_its_step() -> None:
    elements = TOKENS * 12
    pieces = [
        each("strided", elements, ACT, FP32),
        each("strided", elements, ACT, FP32),
        each("stream", elements, FP32, FP32, flops=5),
        each("stream", elements, 2 * FP32, FP32),
        *rms_norm(elements).launches[1:],
    ]
    normed = Expected(pieces, temporary=(3 * FP32 - ACT) * elements)
    check(network(SSM, family="mamba2"), runtime(NEW), PREFILL, {"ssm_gate": normed})
    plain = network(SSM | {"gated_norm": False}, family="mamba2")
    gated = [each("stream", elements, ACT, ACT, flops=5), each("stream", elements, 2 * ACT, ACT)]
    check(plain, runtime(NEW), PREFILL, {"ssm_gate": gated})
    check(plain, runtime(NEW), STEP, {"ssm_gate": []})


def test_a_selective_scan_copies_its_inputs_into_rows_of_time() -> None:
    rows = [
        each("transpose", TOKENS * 6, ACT, ACT, count=3),  # u, Δ and the gate
        each("transpose", TOKENS * 4, ACT, ACT, count=2),  # B and C
    ]
    ungated = TOKENS * 6 * ACT
    side = (3 * TOKENS * 6 + 2 * TOKENS * 4) * ACT
    prefill = Expected([tiny(3), tiny(2), *rows, Own("scan", more=ungated), tiny(2)], temporary=side)
    model = network(SELECTIVE, family="falcon_mamba")
    check(model, runtime(NEW), PREFILL, {"scan": prefill})
    check(model, runtime(NEW), STEP, {"scan": [tiny(3), tiny(), Own("stream", triton=True)]})


def test_heads_of_a_selective_scan_are_split_scanned_one_by_one_and_joined() -> None:
    model = network(SELECTIVE | {"mamba_heads": 2}, family="zamba")
    split = each("strided", TOKENS * 6, ACT, ACT, count=2)
    launches = [
        split, tiny(3), tiny(3),
        each("transpose", TOKENS * 3, ACT, ACT, count=6),
        each("transpose", TOKENS * 4, ACT, ACT, count=4),
        Own("scan", part=1 / 2, count=2, more=2 * TOKENS * 3 * ACT),
        tiny(3),
    ]  # fmt: skip
    side = (3 * TOKENS * 6 + 2 * 2 * TOKENS * 4) * ACT
    check(model, runtime(NEW), PREFILL, {"scan": Expected(launches, temporary=side)})
    step = [
        each("strided", 2 * 6, ACT, ACT, count=2), tiny(3), tiny(), Own("stream", part=1 / 2, count=2, triton=True),
    ]  # fmt: skip
    check(model, runtime(NEW), STEP, {"scan": step})


FALCON = {"kind": "parallel", "attention": GQA, "ssm": SSM | {"groups": 1}}


def scaled(like: str, elements: float, count: int = 1) -> Launch:
    """One product with a constant."""
    return each(like, elements, ACT, ACT, count=count)


def test_falcon_h1_multiplies_by_constants_around_its_projections() -> None:
    model = network(FALCON, GATED, family="falcon_h1")
    projected = 12 + 12 + 5 + 5 + 4
    expected = {
        "ssm.in_proj": [product(10), scaled("stream", TOKENS * 10), scaled("strided", TOKENS * projected)],
        "ssm.out_proj": [product(12), scaled("stream", TOKENS * 10, 2)],
        "attn.q_proj": [product(10)],
        "attn.k_proj": [product(10), scaled("strided", TOKENS * 6)],
        "attn.o_proj": [product(12), scaled("stream", TOKENS * 10)],
        "gate_proj": [product(10), scaled("strided", TOKENS * 6)],
        "up_proj": [product(10)],
        "down_proj": [product(6), scaled("stream", TOKENS * 10)],
    }
    check(model, runtime(NEW), PREFILL, expected)


def test_falcon_h1_returns_no_cache_unless_given_one() -> None:
    model = network(FALCON, family="falcon_h1")
    kernels = [*lone_group(chunked_scan(3)[0])]
    side = chunked_scan(3)[1] * (FP32 + ACT)
    prefill = {
        "ssm.scan": Expected([tiny(3), *kernels], temporary=side),
        "ssm.conv": [Own("strided")],
        "norm_1": rms_norm(EVERY),
    }
    check(model, runtime(OLD), PREFILL, prefill)
    handed = {"ssm.scan": Expected([tiny(3), *kernels, tiny(2)], temporary=side)}
    check(model, runtime(NEW), PREFILL, handed | {"ssm.conv": [Own("strided"), tiny(2)]})
    step = {"norm_1": Expected([*rms_norm(STEPS).launches, tiny(2)], temporary=2 * FP32 * STEPS)}
    check(model, runtime(OLD), STEP, step | {"ssm.scan": [tiny(3), Own("stream", triton=True)]})


def lone_group(kernels: list[Launch]) -> list[Launch]:
    """The kernels with B and C for one group in place of two."""
    first, state, passing, scores, scan = kernels
    b, squares = TOKENS * 5 * ACT, 4 * 2 * 2 * FP32
    return [
        first,
        replace(state, activations=state.activations - b),
        passing,
        replace(scores, matrix=scores.matrix / 2, activations=scores.activations - 2 * b - squares),
        replace(scan, activations=scan.activations - b - squares),
    ]


EXPERTS = {"kind": "moe", "experts": 4, "top_k": 2, "width": 3}
ROWS = 2 * TOKENS


def filled(elements: float) -> Launch:
    """Nought where a mask of rows says so: two bytes of an element move, found by index."""
    return each("strided", elements, ACT, ACT, indexed=1)


@pytest.mark.parametrize(("tokens", "at_once"), [(TOKENS, True), (2048, True), (2049, False)])
def test_experts_are_one_grouped_product_on_sorted_tokens(tokens: int, at_once: bool) -> None:
    """Two choices of a token: up to 4,096 are sorted by one block, more by each of eight bytes, of which there are two
    whole numbers each read and written."""
    rows = 2 * tokens
    sort = [tiny(4)] if at_once else [each("stream", rows, 16, 16, count=8), tiny(13)]
    expected = {
        "route": [tiny(4), tiny()],
        "experts_up": [
            tiny(), *sort, tiny(7), tiny(2), each("stream", rows * 10, ACT, ACT), filled(rows * 10),
            tiny(), product(10), each("stream", rows * 6, ACT, ACT), filled(rows * 6),
        ],
        "experts_act": [
            each("strided", rows * 3, ACT, ACT, flops=5, indexed=1), each("strided", rows * 3, 2 * ACT, ACT, indexed=1)
        ],
        "experts_down": [tiny(), product(3), each("stream", rows * 10, ACT, ACT), filled(rows * 10)],
        "combine": [
            each("strided", rows * 10, ACT, ACT, indexed=1), tiny(2), each("stream", rows * 10, ACT, ACT),
            each("strided", rows * 10, ACT, 0),
        ],
    }  # fmt: skip
    check(network(EXPERTS), runtime(NEW), PREFILL if tokens == TOKENS else Pass(1, tokens, 0, PRECISION), expected)


@pytest.mark.parametrize(("rows", "in_one", "by_bytes"), [(4096, 4, 0), (4097, 0, 8)])
def test_up_to_4096_choices_are_sorted_at_once(rows: int, in_one: int, by_bytes: int) -> None:
    counts = {k.name: k.count for k in eager.sorted_rows(rows, 10, ACT)}
    assert (counts["sort in one block"], counts["sort by a byte"]) == (in_one, by_bytes)


@pytest.mark.parametrize(("tokens", "kernels", "calls"), [(1, 5 + 20 + 2 + 4 + 5, 27), (4096, 5 + 37 + 2 + 4 + 5, 27)])
def test_python_calls_a_library_once_whatever_that_launches(tokens: int, kernels: int, calls: int) -> None:
    """To fp32, the best, softmax, back; sort, divide, two gathers, whole numbers, counts, sums, two comparisons, fill,
    product, copy, fill; activation, product; product, copy, fill; weight, range, place, gather, sum: 27 calls.

    Beside them the best are put in order, a sort makes 4 or 21 more kernels, counts, sums and products one each.
    """
    rows = lower(network(EXPERTS), runtime(NEW), Pass(1, tokens, 0, PRECISION))
    experts = ("route", "experts_up", "experts_act", "experts_down", "combine")
    found = [k for row in rows for o, lowered in row if o.name in experts for k in lowered.kernels]
    assert sum(k.count for k in found) == kernels
    assert sum(k.count * (1 - k.replayed) for k in found) == calls


@pytest.mark.parametrize(("p", "name", "of"), [(PREFILL, "attention", 1), (STEP, "attention", 1), (STEP, "o_proj", 1)])
def test_what_cudnn_and_cublas_launch_beside_a_kernel_comes_with_its_call(p: Pass, name: str, of: int) -> None:
    stack = runtime(NEW, matrix_library={"splits_from": 12})
    found = [
        k for row in lower(network(GQA), stack, p) for o, lowered in row if o.name == name for k in lowered.kernels
    ]
    assert [k.replayed for k in found if k.count] == [0, *[1] * of]


def test_granite_multiplies_what_is_added_and_has_one_matrix_for_gate_and_up() -> None:
    """Four kernels for the shared MLP where others launch five; a buffer is cleared for both halves together."""
    model = network(EXPERTS | {"shared_width": 4}, family="granitemoehybrid")
    stack = runtime(NEW, matrix_library={"clears_from": 8 * TOKENS})
    joined = Own("gemm", fill=20, joined=True)
    expected = {
        "embedding": [Own("stream"), each("stream", EVERY, ACT, ACT), tiny(2)],
        "shared_gate_proj": [product(10), tiny()],
        "shared_up_proj": [joined],
        "shared_act": [
            each("strided", TOKENS * 4, ACT, ACT, flops=5, indexed=1),
            each("strided", TOKENS * 4, 2 * ACT, ACT, indexed=1),
        ],
        "residual_1": [Own("stream"), each("stream", EVERY, ACT, ACT)],
    }  # fmt: skip
    check(model, stack, PREFILL, expected)
    fewer = runtime(NEW, matrix_library={"clears_from": 8 * TOKENS + 1})
    check(model, fewer, PREFILL, {"shared_gate_proj": [product(10)], "shared_up_proj": [joined]})
    least = runtime(NEW, matrix_library={"clears_from": 1})
    check(model, least, PREFILL, {"shared_gate_proj": [product(10), tiny()], "shared_up_proj": [joined]})
    # queries have a matrix of their own
    both = network(GQA, EXPERTS | {"shared_width": 4}, family="granitemoehybrid")
    for limit, clears in ((12 * TOKENS, 1), (12 * TOKENS + 1, 0)):
        stack = runtime(NEW, matrix_library={"clears_from": limit})
        check(both, stack, PREFILL, {"q_proj": [product(10), *[tiny()] * clears]})


def test_experts_in_a_loop_are_launched_one_by_one_as_far_as_any_token_chose_them() -> None:
    touched = 4 * (1 - (1 / 2) ** 6)  # each of six tokens leaves half of the experts
    rows = ROWS / touched * 10
    expected = {
        "route": [tiny(4), tiny(), tiny(4)],
        "experts_up": [
            tiny(touched), each("strided", rows, ACT, ACT, count=touched),
            Own("gemm", fill=20, part=1 / touched, count=touched),
        ],
        "experts_down": [Own("gemm", fill=6, part=1 / touched, count=touched), tiny(2 * touched)],
        "combine": [Launch("strided", vector=ROWS * 10, activations=ROWS * 10 * 5 * ACT, joined=True)],
    }  # fmt: skip
    check(network(EXPERTS), runtime(OLD), PREFILL, expected)


def test_what_a_runtime_fuses_by_role_or_by_the_role_of_its_kind_is_one_kernel() -> None:
    one, out = {"norm_1": [Own("stream")]}, {"norm_1": rms_norm(EVERY)}
    last = {"final_norm": rms_norm(EVERY)}
    check(network(MLP), runtime(NEW, fused=(Role.NORM,)), PREFILL, one | {"final_norm": [Own("stream")]})
    check(network(MLP), runtime(NEW, fused=(Role.PART_NORM,)), PREFILL, one | last)
    check(network(MLP), runtime(NEW, fused=(Role.GATED_NORM,)), PREFILL, out | last)
