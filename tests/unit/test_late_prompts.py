"""What a step is left of the prompts of a batch, against a scheduler that hands out tokens one sequence at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from roofsim.engine.passes import run_pass
from roofsim.foundation.schema import variant
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.steps import late, pieces, samples
from roofsim.specs.workload import Workload, workload

MOST = 16384


def served(**policy: object) -> Setup:
    s = setup("Qwen2.5-0.5B", "h100-sxm", "vllm")
    return replace(s, runtime=variant(s.runtime, memory=variant(s.runtime.memory, **policy)))


def asked(batch: float, prompt: float, generate: int = 1) -> Workload:
    return workload(batch=batch, prompt=prompt, generate=generate, dtype="bf16", logits="last")


def scheduled(batch: int, prompt: int) -> list[tuple[int, int]]:
    """Tokens of prompts and sequences that decode in each step until all prompts are through, in order of arrival."""
    left, steps = [prompt] * batch, []
    while any(left):
        room, of_prompts, decoding = MOST, 0, 0
        for i in range(batch):
            if not left[i]:
                decoding, room = decoding + 1, room - 1
        for i in range(batch):
            taken = min(left[i], room)
            left[i], room, of_prompts = left[i] - taken, room - taken, of_prompts + taken
        steps.append((of_prompts, decoding))
    return steps


@pytest.mark.parametrize(
    ("batch", "prompt", "tokens"),
    [
        (32, 1024, 16 + 32),  # half of them decode beside the second piece
        (64, 1024, 16 + 32 + 48 + 64),
        (128, 512, 32 + 64 + 96 + 128),  # more than any graph of 256
        (8, 8192, 2 + 4 + 6 + 8),
        (256, 256, 64 + 128 + 192 + 256),
    ],
)
def test_sequences_that_decode_push_the_last_tokens_of_prompts_into_a_step_more(
    batch: int, prompt: int, tokens: int
) -> None:
    ((times, p),) = late(served(), asked(batch, prompt))
    assert (times, p.batch, p.context, p.phase, p.begins) == (1, batch, prompt, "prefill", 0)
    assert p.tokens == pytest.approx(tokens)
    steps = scheduled(batch, prompt)
    of_prompts, decoding = steps[-1]
    assert len(steps) == batch * prompt / MOST + 1
    # that a sequence is cut by the end of a step, and decodes a step later, is left out
    assert tokens == pytest.approx(of_prompts + decoding, abs=2 * len(steps))


@pytest.mark.parametrize(
    ("batch", "prompt"),
    [(1, 65536), (8, 1024), (16, 1024), (24, 1024), (40, 1000), (12, 2048), (2, 12000), (2, 100)],
)
def test_where_there_is_room_in_the_last_piece_no_step_is_added(batch: int, prompt: int) -> None:
    assert len(scheduled(batch, prompt)) == np.ceil(batch * prompt / MOST)
    assert sum(times for times, _ in late(served(), asked(batch, prompt))) == 0


@pytest.mark.parametrize("policy", [{"mixed": False}, {"chunk": None}])
def test_a_stack_that_runs_prompts_by_themselves_has_no_such_step(policy: dict[str, object]) -> None:
    assert late(served(**policy), asked(64, 1024)) == ()


def test_each_turn_of_a_batch_has_a_step_of_its_own() -> None:
    (one,), (two,) = late(served(), asked(128, 256)), late(served(), asked(256, 256), 2)
    assert one[0] == 1
    assert two == (2, one[1])


def test_an_array_of_batches_has_the_step_of_each() -> None:
    batches = np.array([2.0, 16.0, 32.0, 64.0])
    ((times, p),) = late(served(), asked(batches, 1024.0))
    assert times.tolist() == [0, 0, 1, 1]
    assert p.tokens[2:].tolist() == [48, 160]


def test_the_mean_of_the_steps_of_a_request_has_it_among_them() -> None:
    s, w = served(), asked(64, 1024, generate=33)
    e = Evaluation(s, w)
    plain = Evaluation(served(mixed=False), w)
    ((_, p),) = late(s, w)
    more = run_pass(e.stack, p)
    assert e.step[0] == pytest.approx(plain.step[0] + more.time / 32)
    assert e.step[1] == pytest.approx(plain.step[1] + more.energy / 32)
    assert sum(share for share, _ in samples(32)) == pytest.approx(1)
    assert e.decode == plain.decode


def test_pieces_have_whole_tokens_where_those_of_a_sequence_are_not():
    """17.5 prompts of 117 tokens side by side make 2,048: four pieces of 512, and none of what a last bit leaves."""
    s = setup("mamba2-780m", "rtx-4090", "llama.cpp")
    found = pieces(s, workload(batch=137, prompt=117))
    assert [p.tokens for _, p in found] == [512, 512, 512, 512]
    assert sum(times * p.new * p.batch for times, p in found) == pytest.approx(137 * 117)
