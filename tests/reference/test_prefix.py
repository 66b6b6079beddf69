"""A shared prefix against counts by hand: blocks as vLLM logs them, what a hit computes, what is held once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roofsim.engine.passes import run_pass
from roofsim.foundation.errors import InputError
from roofsim.model.step import Pass
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import chosen
from roofsim.prediction.request import settled
from roofsim.prediction.setup import setup
from roofsim.serving.open import Steps
from roofsim.serving.prefix import Prefix, Shared
from roofsim.serving.server import Server
from roofsim.serving.steady import closed, open_loop
from roofsim.specs.workload import workload

EXACT = pytest.approx


def asked(model: str, shared: int, hit_rate: float = 1.0, runtime: str = "vllm", **words: object) -> Shared:
    s = chosen(setup(model, "h100-sxm", runtime), "auto")
    return Shared(s, settled(s, workload(**{"prompt": 4096, "dtype": "bf16", **words})), Prefix(shared, hit_rate))


@pytest.mark.parametrize(
    ("model", "cache", "tokens"),
    [
        ("Qwen3.5-4B", None, 528),  # vllm-project/vllm issue 40696
        ("Qwen3.5-27B", None, 784),  # log of vLLM 0.19.1: "Setting attention block size to 784 tokens"
        ("Qwen3.5-35B-A3B", None, 1056),  # log of vLLM with Qwen3_5MoeForConditionalGeneration
        ("Qwen3.5-4B", "fp8", 1056),  # half the bytes of keys: twice the tokens
        ("Llama-3.1-8B", None, 16),
        ("mamba2-1.3b", None, 16),
    ],
)
def test_a_block_of_a_hybrid_has_as_many_tokens_as_a_state_has_room_for(model, cache, tokens) -> None:
    assert asked(model, 0, cache_dtype=cache).block == tokens


def test_a_hit_reuses_whole_blocks_but_for_the_last_token() -> None:
    assert asked("Llama-3.1-8B", 1000).reused == 62 * 16
    assert asked("Llama-3.1-8B", 15).reused == 0
    assert asked("Llama-3.1-8B", 4096).reused == 4080  # the last token is computed, and with it its block
    assert asked("Llama-3.1-8B", 4096, prompt=4097).reused == 4096
    assert asked("Qwen3.5-27B", 1000).reused == 784
    assert asked("Llama-3.1-8B", 992, 0.25).left == 4096 - 0.25 * 992


def test_nothing_is_saved_where_nothing_is_found() -> None:
    for x in (asked("Llama-3.1-8B", 1000, 0.0), asked("Qwen3.5-27B", 700, 1.0)):
        e = Evaluation(x.s, x.w)
        assert x.ttft == float(e.prefill.time)
        assert x.left == 4096
        assert x.each(4100) == float(x.s.architecture.state_bytes(4100, x.precision))


def test_time_to_the_first_token_is_that_of_what_is_left() -> None:
    x = asked("Llama-3.1-8B", 1000, 0.75)
    p = Pass(1, 4096 - 992, 992, x.precision, "last", latents="expanded", scored=None)
    hit = float(run_pass(x.s.stack("bf16"), p).time)
    assert float(x.hit.time) == EXACT(hit, rel=1e-12)
    assert x.copied == 0
    assert x.ttft == EXACT(0.25 * float(Evaluation(x.s, x.w).prefill.time) + 0.75 * hit)


def test_keys_are_held_once() -> None:
    x = asked("Llama-3.1-8B", 1000, 0.5)
    token = 32 * 2 * 8 * 128 * 2
    assert x.keys == x.held_once == 992 * token
    assert x.snapshot == 0
    assert x.each(5000) == (5000 - 0.5 * 992) * token
    assert x.sequences(10e9, 5000) == EXACT((10e9 - 992 * token) / ((5000 - 496) * token))
    none = replace(x, prefix=Prefix(1000, 0.0))
    assert none.sequences(10e9, 5000) == EXACT(10e9 / (5000 * token))
    assert x.sequences(1.0, 5000) == 0
    assert "snapshot" not in x.words


def test_a_hybrid_keeps_a_snapshot_of_its_states_and_copies_it() -> None:
    x = asked("Qwen3.5-27B", 2000, 1.0)
    channels = 2 * 16 * 128 + 48 * 128
    states = 48 * (48 * 128 * 128 * 4 + channels * 4 * 2)  # fp32 states, four inputs of a convolution
    keys = 16 * 2 * 4 * 256 * 2 * 1568  # two blocks
    assert x.snapshot == states
    assert (x.keys, x.held_once) == (keys, keys + states)
    assert "and a snapshot of states" in x.words
    assert "snapshot" not in asked("Qwen3.5-27B", 700, 1.0).words  # less than a block
    m = x.s.machine("bf16")
    assert x.copied == EXACT(2 * states / (float(m.bandwidth) * m["memory_efficiency"]))
    assert x.ttft == EXACT(float(x.hit.time) + x.copied)
    assert x.each(4096) == 16 * 2 * 4 * 256 * 2 * (4096 - 1568) + states


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(InputError, match=r"hit rate: 1\.5 is not a share"):
        Prefix(10, 1.5)
    with pytest.raises(InputError, match="prefix: -1 is not a number of tokens"):
        Prefix(-1)
    with pytest.raises(InputError, match="5,000 tokens are more than the 4,096 of a prompt"):
        asked("Llama-3.1-8B", 5000)
    with pytest.raises(InputError, match="keeps no pages"):
        asked("Llama-3.1-8B", 1000, runtime="transformers-5-eager")


def served(hit_rate: float | None, model: str = "Llama-3.1-8B") -> Server:
    s = chosen(setup(model, "h100-sxm", "vllm"), "auto")
    prefix = None if hit_rate is None else Prefix(3072, hit_rate)
    return Server(s, workload(prompt=4096, generate=128, dtype="bf16"), prefix=prefix)


def test_a_server_whose_requests_find_nothing_is_a_server_without_a_prefix() -> None:
    plain, none = served(None), served(0.0)
    for ask in (lambda server: closed(server, 16), lambda server: open_loop(server, 3.0)):
        one, other = ask(plain), ask(none)
        assert (one.itl, one.ttft, one.rate, one.kv, one.intervals) == (
            other.itl, other.ttft, other.rate, other.kv, other.intervals,
        )  # fmt: skip
    assert any("are found in the cache by 0 of the requests" in said for said in closed(none, 1).assumptions)


def test_a_server_computes_what_is_left_of_prompts_on_top_of_what_was_found() -> None:
    server, token = served(0.5), 32 * 2 * 8 * 128 * 2
    assert server.prompt == 4096 - 1536
    assert server.whole == 4096
    loop = server.loop(16)
    piece = server.passes(loop)[1]
    assert loop.prompt == 2560
    assert piece.new == loop.new[1]
    assert piece.context == 1536 + (2560 - loop.new[1]) / 2
    room, each = served(None).room.free, served(None).room.mean
    assert (server.room.free, server.room.mean) == (room - 3072 * token, each - 1536 * token)
    assert server.cache(3).sequences == int((room - 3072 * token) // (each - 1536 * token))
    steps = Steps(server)
    assert (steps.prompt, steps.held) == (2560, 4096 + 63)
    assert steps.pieces(0.25) == (1, 640, 1536 + (2560 - 640) / 2)
    assert steps.pieces(2.5) == (2.5, 2560, 1536)
    assert steps.pieces(0)[0] == 0
    assert closed(server, 16).rate > closed(served(None), 16).rate
