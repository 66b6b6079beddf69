from __future__ import annotations

import pytest

from roofsim.engine.memory import moments
from roofsim.foundation.schema import variant
from roofsim.lowering.kernels import Lowered
from roofsim.lowering.step import LoweredRow
from roofsim.model.architecture import Row
from roofsim.model.step import Pass, Precision
from roofsim.ops import pointwise
from roofsim.ops.base import Operator, Role
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.setup import setup
from roofsim.specs.workload import workload

STREAM = 10  # bytes of the residual stream: one token, five elements of two bytes
ONE_TOKEN = Pass(1, 1, 0)


def row(layer: str, *operators: tuple[str, int, tuple[str, ...]], roles=(), **lowered: object) -> LoweredRow:
    acts_as = dict(roles)
    made = tuple(
        Operator(name, pointwise.add, {}, out, uses, acts_as=acts_as.get(name)) for name, out, uses in operators
    )
    return LoweredRow(Row(layer, 1, made), tuple(Lowered((), **lowered) for _ in made))


def live(*rows: LoweredRow) -> dict[str, float]:
    return {moment.operator: moment.live for moment in moments(rows, ONE_TOKEN, 5)}


def test_a_result_lives_from_its_operator_to_its_last_use() -> None:
    layer = row(
        "mlp", ("up", 100, ("x",)), ("act", 200, ("up",)), ("down", STREAM, ("act",)), ("add", STREAM, ("x", "down"))
    )
    assert live(layer) == {"up": STREAM + 100, "act": STREAM + 300, "down": STREAM + 200 + STREAM, "add": 3 * STREAM}


def test_code_that_keeps_embeddings_keeps_the_input_of_a_layer_and_of_its_parts_too() -> None:
    layer = row(
        "mlp",
        ("norm_1", 20, ("x",)),
        ("up", 100, ("norm_1",)),
        ("down", STREAM, ("up",)),
        ("residual_1", STREAM, ("down",)),
        roles={"norm_1": Role.PART_NORM, "residual_1": Role.RESIDUAL},
    )
    kept = {moment.operator: moment.live for moment in moments([layer], ONE_TOKEN, 5, keeps=2)}
    embeddings = 2 * STREAM
    assert kept == {
        "norm_1": embeddings + STREAM + 20,
        "up": embeddings + STREAM + 20 + 100,
        "down": embeddings + STREAM + 20 + 100 + STREAM,
        "residual_1": embeddings + STREAM + STREAM + STREAM,
    }


def test_a_result_that_nothing_reads_dies_at_once() -> None:
    layer = row("mlp", ("spare", 1000, ("x",)), ("out", STREAM, ("x",)))
    assert live(layer) == {"spare": STREAM + 1000, "out": STREAM + STREAM}


def test_what_an_operator_needs_on_the_side_lives_while_it_runs() -> None:
    layer = row("mlp", ("norm", 100, ("x",)), ("down", STREAM, ("norm",)), temporary=7)
    assert live(layer) == {"norm": STREAM + 100 + 7, "down": 100 + STREAM + 7}


def test_a_scope_may_hold_what_nothing_reads_any_more() -> None:
    layer = row("mlp", ("up", 100, ("x",)), ("act", 200, ("up",)), ("down", STREAM, ("act",)),
                roles={"up": Role.FFN_UP}, holds=(Role.FFN_UP,))  # fmt: skip
    assert live(layer) == {"up": STREAM + 100, "act": 300, "down": 100 + 200 + STREAM}


def test_a_runtime_may_write_a_wider_result() -> None:
    assert live(row("mlp", ("add", STREAM, ("x",)), out=4 * STREAM))["add"] == 4 * STREAM + 4 * STREAM


def test_before_the_embedding_there_is_no_stream() -> None:
    assert live(row("embedding", ("embedding", STREAM, ()))) == {"embedding": STREAM}


def test_the_logits_are_told_apart_in_the_head() -> None:
    head = row(
        "head", ("norm", STREAM, ("x",)), ("scores", 1000, ("norm",)), ("scale", 1000, ("scores",)),
        roles={"scores": Role.LOGITS, "scale": Role.LOGITS_SCALE},
    )  # fmt: skip
    scores = [moment.scores for moment in moments([head], ONE_TOKEN, 5)]
    assert scores == [0, 1000, 2000]


@pytest.mark.parametrize("prompt", [1, 2000, 40_000])
def test_the_parts_add_up_to_the_peak(stack: tuple[str, str], prompt: int) -> None:
    model, runtime = stack
    memory = Evaluation(setup(model, "rtx-4090", runtime), workload(prompt=prompt, batch=2)).memory
    parts = (memory.weights, memory.state, memory.activations, memory.logits, memory.masks, memory.workspace)
    assert min(parts) >= 0
    assert sum(parts) == pytest.approx(memory.peak, rel=1e-12)
    assert memory.weights < memory.peak <= memory.reserved
    assert memory.binding


@pytest.mark.parametrize("fmt", ["bf16", "q4_0", "int4-g128", "fp32"])
def test_weights_are_held_in_the_format_they_are_stored_in(fmt: str) -> None:
    s = setup("Llama-3.2-1B", "rtx-4090", "ideal")
    held = Evaluation(s, workload(weight_format=fmt)).memory.weights
    assert held == s.architecture.weight_bytes(workload(weight_format=fmt).precision("fp32", s.architecture))
    if fmt in ("bf16", "fp32"):
        assert held == s.architecture.total_parameters * {"bf16": 2, "fp32": 4}[fmt]


def test_scores_of_the_last_position_need_less_than_those_of_all() -> None:
    s = setup("Llama-3.2-1B", "rtx-4090", "transformers-5-eager")
    last, every = (Evaluation(s, workload(prompt=8192, logits=logits)).memory for logits in ("last", "all"))
    assert (last.logits, every.logits) == (0, 2 * 8192 * s.architecture.vocab)
    assert last.peak < every.peak
    assert every.binding == "head: lm_head"


def test_a_context_and_the_slack_of_the_allocator_are_reserved_on_top_of_the_peak() -> None:
    s = setup("mamba-130m", "rtx-4090", "ideal")
    policy = variant(s.runtime.memory, fragmentation=0.5)
    slack = setup("mamba-130m", "rtx-4090", variant(s.runtime, memory=policy))
    assert Evaluation(slack, workload()).memory.reserved == 1.5 * Evaluation(s, workload()).memory.peak


def test_a_mask_grows_with_the_square_of_the_length_from_the_declared_window_on() -> None:
    s = setup("Qwen2.5-0.5B", "rtx-4090", "transformers-4.52-eager")
    short, at, long = (Evaluation(s, workload(prompt=n)).memory for n in (32767, 32768, 131072))
    assert (short.masks, at.masks, long.masks) == (0, 0, 6 * 131072**2)
    assert long.binding == "building the mask"


def test_precision_of_the_state_is_that_of_the_runtime() -> None:
    for runtime, bytes_per in (("transformers-4.52-eager", 2), ("transformers-5-eager", 4)):
        s = setup("Zamba2-1.2B", "rtx-4090", runtime)
        held = s.architecture.state_bytes(100, Precision(2, 2, 2, bytes_per))
        assert Evaluation(s, workload(prompt=100)).memory.state == held


def test_a_library_that_grows_every_cache_holds_and_reads_what_windows_hide() -> None:
    w = workload(prompt=16384, generate=1)
    old, new = (
        Evaluation(setup("Mistral-7B-v0.1", "rtx-4090", r), w)
        for r in ("transformers-4.52-eager", "transformers-5-eager")
    )
    each = 2 * 32 * 8 * 128 * 2
    assert old.memory.state == 16384 * each
    assert new.memory.state == 4095 * each  # the next token is one of the window
    assert old.decode.bytes - new.decode.bytes > (16384 - 4096) * each
    hybrid = (
        Evaluation(setup("Gemma-2-2B", "rtx-4090", r), w) for r in ("transformers-4.52-eager", "transformers-5-eager")
    )
    assert len({e.memory.state for e in hybrid}) == 1
