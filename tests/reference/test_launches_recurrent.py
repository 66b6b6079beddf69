"""Recurrent mixers in eager PyTorch: what is launched for each on toy sizes, written down launch by launch."""

from __future__ import annotations

from typing import Any

import pytest
from counting.launches import FP32, PREFILL, STEP, Expected, Launch, Own, check, each, network, runtime, tiny
from counting.rows import ACT, PRECISION, STATE, TOKENS

from roofsim.model.step import Pass

EAGER = runtime("transformers-5-eager")


def checked(part: dict[str, Any], family: str, prefill: dict[str, Any], step: dict[str, Any]) -> None:
    model = network(part, family=family)
    check(model, EAGER, PREFILL, prefill)
    check(model, EAGER, STEP, step)


def test_a_short_convolution_is_one_kernel_and_a_copy_of_its_inputs() -> None:
    part = {"kind": "short_conv", "channels": 6}
    checked(part, "lfm2", {"conv": [Own("strided"), tiny(2)]}, {"conv": [Own("strided")]})


def test_griffin_pads_and_loops_over_tokens() -> None:
    part = {"kind": "rg_lru", "heads": 2, "head_dim": 3}
    elements = TOKENS * 6
    gates = each("stream", elements, 2 * ACT, ACT, count=22)
    token = Launch("stream", 6 * 3, vector=2 * 6, activations=2 * 6 * (FP32 + FP32))
    prefill = {
        "conv": Expected([each("strided", elements, ACT, ACT), Own("strided")], temporary=elements * ACT),
        "scan": Expected([gates, token], temporary=4 * elements * ACT),
        "input_gate": [Own("gemm", fill=2 * 3)],
    }
    step = {"conv": [Own("strided"), tiny(3)], "scan": [Own("scan"), tiny(22)]}
    checked(part, "recurrent_gemma", prefill, step)


DELTA = {"kind": "gated_delta", "key_heads": 2, "value_heads": 4, "key_dim": 3, "value_dim": 5, "chunk": 2}
# chunks of two: each token scores itself, the second of a chunk the first as well; two sequences
PAIRS, BELOW, CHUNKS = 2 * (1 + 2 + 1), 2 * 1, 2 * 2


@pytest.mark.parametrize(("new", "below", "chunks"), [(3, 2 * 1, 2 * 2), (4, 2 * 2, 2 * 2), (5, 2 * 2, 2 * 3)])
def test_a_gated_delta_rule_is_four_triton_kernels_that_do_its_products(new: int, below: int, chunks: int) -> None:
    tokens = 2 * new
    pairs = tokens + below
    q, k, v = tokens * 2 * 3, tokens * 4 * 3, tokens * 4 * 5
    decays, squares = tokens * 4, tokens * 4 * 2 * ACT
    state = 4 * 3 * 5
    states = chunks * state * ACT
    prefill = [
        each("strided", q, ACT, ACT, count=2),  # out of one product: queries and keys, values and gate, gates
        each("strided", v, ACT, ACT, count=2),
        tiny(2),
        each("strided", 2 * q + v, ACT, ACT),  # and joined for the convolution
        tiny(3),
        each("stream", decays, FP32, FP32, count=4),
        tiny(),
        each("strided", q, ACT, ACT, count=2),
        each("strided", v, ACT, ACT),
        each("stream", q, ACT, ACT, flops=3, count=2),
        each("stream", decays, FP32, FP32),
        each("stream", tokens * 4 * 2, 0, ACT, flops=0),
        # keys with keys; the system solved for keys and values; states; scores, and results of pairs and of states
        Launch("ssd", matrix=2 * below * 2 * 3, activations=q * ACT + decays * FP32 + squares, triton=True),
        Launch("ssd", matrix=2 * below * 4 * (3 + 5), activations=2 * (k + v) * ACT + squares, triton=True),
        Launch(
            "ssd", matrix=2 * 2 * tokens * state, activations=2 * (k + v) * ACT + decays * FP32 + states,
            state=2 * 2 * state * STATE, triton=True,
        ),
        Launch(
            "ssd", matrix=2 * pairs * 2 * 3 + 2 * pairs * 4 * 5 + 2 * tokens * state,
            activations=(2 * q + q + 2 * v) * ACT + 2 * decays * FP32 + squares + states, triton=True,
        ),
        tiny(),
        Launch("stream", state=2 * 2 * state * STATE),
    ]  # fmt: skip
    side = decays * FP32 + (tokens * 4 * (3 + 2) + 2 * v + chunks * state) * ACT
    step = [
        each("strided", 2 * 6, ACT, ACT, count=2), each("strided", 2 * 20, ACT, ACT, count=2), tiny(2),
        each("strided", 2 * (6 + 6 + 20), ACT, ACT), tiny(3), each("stream", 2 * 4, FP32, FP32, count=4), tiny(),
        Own("stream", blocks=2 * 4, triton=True), Launch("stream", state=2 * 2 * state * STATE),
    ]  # fmt: skip
    part = DELTA | {"joined": True}
    p, joined = Pass(2, new, 4, PRECISION), network(part, family="qwen3_next")
    check(joined, EAGER, p, {"scan": Expected(prefill, temporary=side)})
    check(joined, EAGER, STEP, {"scan": step})
    apart = network(DELTA, family="qwen3_5")
    check(apart, EAGER, p, {"scan": Expected(prefill[4:], temporary=side)})


def test_kimi_delta_attention_has_a_decay_for_every_channel() -> None:
    part = {"kind": "kda", "heads": 2, "head_dim": 3, "chunk": 2}
    width = TOKENS * 2 * 3  # of queries, keys, values and decays alike
    squares, state = TOKENS * 2 * 2 * ACT, 2 * 3 * 3
    states = CHUNKS * state * ACT
    prefill = [
        tiny(4),
        each("stream", width, FP32, FP32, count=8),
        tiny(),
        each("strided", width, ACT, ACT, count=2),
        each("strided", width, ACT, ACT),
        each("stream", width, ACT, ACT, flops=3, count=2),
        each("stream", width, FP32, FP32),
        each("stream", TOKENS * 2 * 2, 0, ACT, flops=0),
        Launch("ssd", matrix=2 * PAIRS * 2 * 3, activations=2 * width * ACT + width * FP32 + squares, triton=True),
        Launch("ssd", matrix=2 * BELOW * 2 * 3, activations=width * ACT + width * FP32 + squares, triton=True),
        Launch("ssd", matrix=2 * BELOW * 2 * (3 + 3), activations=2 * 2 * width * ACT + squares, triton=True),
        Launch(
            "ssd", matrix=2 * 2 * TOKENS * state, activations=4 * width * ACT + width * FP32 + states,
            state=2 * 2 * state * STATE, triton=True,
        ),
        Launch(
            "ssd", matrix=2 * PAIRS * 2 * 3 + 2 * TOKENS * state,
            activations=3 * width * ACT + width * FP32 + states, triton=True,
        ),
        tiny(),
        Launch("stream", state=2 * 2 * state * STATE),
    ]  # fmt: skip
    side = width * FP32 + (TOKENS * 2 * (3 + 2) + 2 * width + CHUNKS * state) * ACT
    step = [
        tiny(4), each("stream", 2 * 6, FP32, FP32, count=8), tiny(), Own("stream", blocks=2 * 2, triton=True),
        Launch("stream", state=2 * 2 * state * STATE),
    ]  # fmt: skip
    joined = each("strided", TOKENS * 18, ACT, ACT)
    checked(
        part, "kimi_linear",
        {"scan": Expected(prefill, temporary=side), "conv": [joined, Own("strided"), tiny(2)]},
        {"scan": step, "conv": [each("strided", 2 * 18, ACT, ACT), Own("strided")]},
    )  # fmt: skip


def test_two_keys_have_no_code_in_the_library_and_run_as_one_kernel() -> None:
    part = {"kind": "rwkv7", "heads": 2, "head_dim": 5, "decay_rank": 2, "rate_rank": 3, "gate_rank": 4}
    prefill = {"scan": [Own("delta", blocks=2 * 2, padding=16 / 3)]}  # in chunks of 16
    checked(part, "rwkv7", prefill, {"scan": [Own("delta", blocks=2 * 2)], "output_norm": [Own("stream")]})


@pytest.mark.parametrize(("new", "size", "blocks"), [(3, 2, 2), (4, 2, 2), (5, 2, 3), (1, 1, 1)])
def test_lightning_attention_loops_over_blocks(new: int, size: int, blocks: int) -> None:
    part = {"kind": "lightning", "heads": 2, "head_dim": 3, "chunk": 2}
    state = 2 * 2 * 3 * 3
    rows = 2 * new / blocks * 2  # of a block: those of both sequences and heads
    square = rows * size
    update = Launch("stream", 2 * blocks, vector=state, state=2 * state * ACT)
    whole = 2 * square * (3 + 3) + 2 * 2 * rows * 3 * 3
    touched = 2 * square + 2 * rows * (3 + 3) + 2 * state
    prefill = [
        Launch("gemm", 4 * blocks, matrix=whole / 4, activations=touched / 4 * ACT),
        each("strided", square, 2 * ACT, ACT, count=blocks),
        each("strided", rows * 3, ACT, ACT, count=2 * blocks),
        each("stream", rows * 3, 2 * ACT, ACT, count=blocks),
        update,
        tiny(3 * blocks),
        each("strided", 2 * new * 2 * 3, ACT, ACT, count=2),
        tiny(),
    ]
    model = network(part, family="minimax")
    check(model, EAGER, Pass(2, new, 4, PRECISION), {"scan": Expected(prefill, temporary=2 * square * ACT)})
    step = [
        tiny(2), Launch("gemm", 2, matrix=2 * state, state=state * ACT),
        Launch("stream", 2, vector=state, state=2 * state * ACT), tiny(),
    ]  # fmt: skip
    check(model, EAGER, STEP, {"scan": step})


@pytest.mark.parametrize(("new", "chunks", "left"), [(3, 1, 1), (4, 2, 0), (1, 0, 1), (5, 2, 1)])
def test_xlstm_loops_over_whole_chunks_and_the_tokens_that_are_left(new: int, chunks: int, left: int) -> None:
    part = {"kind": "mlstm", "heads": 2, "qk_dim": 3, "v_dim": 4, "chunk": 2}
    state = 2 * 2 * 3 * 4
    rows = 2 * chunks * 2 * 2
    square = rows * 2
    matrix = 2 * square * (3 + 4) + 2 * 2 * rows * 3 * 4
    touched = 2 * square + rows * (2 * 3 + 2 * 4) + chunks * state
    updated = Launch("stream", vector=state, activations=2 * state * FP32)
    kept = Launch("stream", vector=state, state=2 * state * ACT)

    def times(count: float) -> list[Launch]:
        return [Launch("stream", count, vector=updated.vector, activations=updated.activations)] if count else []

    prefill = [
        Launch("gemm", 3, matrix=matrix / 3, activations=touched / 3 * FP32),
        each("stream", square, FP32, FP32, count=9),
        each("strided", rows * (3 + 4) / 2, ACT, ACT, count=12),
        tiny(26),
        *times(5 * chunks),
        *([tiny(12 * chunks)] if chunks else []),
        *times(7 * left),
        *([tiny(23 * left)] if left else []),
        kept,
        tiny(2),
    ]
    side = 2 * square * FP32 + chunks * state * FP32
    model = network(part, family="xlstm")
    check(model, EAGER, Pass(2, new, 4, PRECISION), {"scan": Expected(prefill, temporary=side)})
    step = [
        Launch("gemm", 2, matrix=2 * state, activations=state * FP32), *times(5), tiny(26), kept, tiny(2),
    ]  # fmt: skip
    check(model, EAGER, STEP, {"scan": step})


def test_rwkv_has_a_kernel_for_a_prefill_and_single_steps_for_one_token() -> None:
    part = {"kind": "rwkv4", "width": 10}
    elements = TOKENS * 10

    def mixes(tokens: int) -> list[Launch | Own]:
        # for each of three mixes two products (two tensors each) and a sum (four in all): eight thirds a kernel
        return [Launch("strided", 9, vector=tokens * 10, activations=tokens * 10 * 8 * ACT / 3), tiny(3), tiny()]

    shifted = [each("strided", elements, ACT, ACT), tiny(), *mixes(TOKENS)]
    checked(
        part, "rwkv",
        {
            "token_shift": Expected(shifted, temporary=2 * elements * ACT),
            "scan": [tiny(2), tiny(), Own("scan"), tiny(3)],
        },
        {"token_shift": mixes(2), "scan": [Own("scan"), tiny(33)]},
    )  # fmt: skip
    checked(
        {"kind": "rwkv5", "heads": 2, "head_dim": 5}, "rwkv5",
        {"token_shift": [Own("stream")], "scan": [Own("ssd")], "output_norm": [Own("stream")]}, {},
    )  # fmt: skip


def normed(elements: int) -> list[Launch | Own]:
    """A norm in fp32; convention: the weight reads fp32 and writes the dtype of the activations, and so does `back`."""
    return [
        each("strided", elements, ACT, FP32),
        each("stream", elements, FP32, FP32),
        each("strided", elements, FP32, 0),
        tiny(2),
        each("strided", elements, FP32, FP32),
        each("strided", elements, FP32, ACT),
        each("stream", elements, FP32, ACT),
    ]


def test_the_norm_of_heads_is_gated_in_fp32_where_heads_share_it_and_else_in_the_dtype_of_activations() -> None:
    elements = TOKENS * 20
    shared = [
        *normed(elements),
        each("strided", elements, ACT, FP32),
        each("stream", elements, FP32, FP32, flops=4),
        each("stream", elements, 2 * FP32, FP32),
        each("stream", elements, FP32, ACT),
    ]
    model = network(DELTA, family="qwen3_5")
    check(model, EAGER, PREFILL, {"output_norm": Expected(shared, temporary=3 * FP32 * elements)})
    elements = TOKENS * 6
    own = [
        *normed(elements),
        each("stream", elements, ACT, ACT, flops=4),
        each("stream", elements, 2 * ACT, ACT),
    ]
    lightning = network({"kind": "lightning", "heads": 2, "head_dim": 3}, family="minimax")
    check(lightning, EAGER, PREFILL, {"output_norm": Expected(own, temporary=2 * FP32 * elements)})


def test_xlstm_writes_its_norm_of_heads_out() -> None:
    elements = TOKENS * 8
    pieces = [
        each("strided", elements, ACT, FP32),
        each("strided", elements, FP32, 0),
        each("strided", elements, FP32, FP32),
        each("strided", elements, FP32, 0, flops=3),
        tiny(2),
        each("strided", elements, FP32, FP32),
        each("stream", elements, FP32, ACT),
        each("strided", elements, ACT, ACT),
        each("stream", elements, ACT, ACT, flops=4),
        each("stream", elements, 2 * ACT, ACT),
    ]
    part = {"kind": "mlstm", "heads": 2, "qk_dim": 3, "v_dim": 4}
    check(
        network(part, family="xlstm"), EAGER, PREFILL,
        {"output_norm": Expected(pieces, temporary=3 * FP32 * elements), "i_gate_cap": [
            each("stream", TOKENS * 2, ACT, ACT, count=3),
        ]},
    )  # fmt: skip
