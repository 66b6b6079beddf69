"""What is alive at each operator and the peak of a pass, worked out by hand: each tensor has a digit of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from roofsim import library
from roofsim.engine.memory import Memory, moments, peak, timeline
from roofsim.foundation.schema import checked, variant
from roofsim.lowering.kernels import Lowered
from roofsim.lowering.step import LoweredRow
from roofsim.model.architecture import Architecture, Row
from roofsim.model.step import Pass, Precision
from roofsim.ops import pointwise
from roofsim.ops.base import Operator, Role
from roofsim.specs.files import build
from roofsim.specs.runtime import AttentionPolicy, MemoryPolicy, Runtime

ONE = Pass(1, 1, 0, Precision(activations=1))
"""One token of one byte per element: the stream is as many bytes as the model is wide."""
Step = tuple[str, int, tuple[str, ...]] | tuple[str, int, tuple[str, ...], Mapping[str, Any]]


ROLES = {
    "attn_norm": Role.BRANCH_NORM, "mlp_norm": Role.BRANCH_NORM, "o_proj": Role.ATTENTION_OUT,
    "down_proj": Role.FFN_OUT, "conv": Role.CONVOLUTION, "lm_head": Role.LOGITS, "logits_scale": Role.LOGITS_SCALE,
    "residual": Role.RESIDUAL, "norm": Role.PART_NORM,
}  # fmt: skip


def role(name: str) -> Role | None:
    """What an operator of the tests is for."""
    return ROLES.get(name.rstrip("_12"))


def row(layer: str, *steps: Step) -> LoweredRow:
    """Operators by name, bytes of the result and what they read; then what the lowering says."""
    operators = tuple(Operator(name, pointwise.add, {}, out, uses, acts_as=role(name)) for name, out, uses, *_ in steps)
    return LoweredRow(Row(layer, 1, operators), tuple(Lowered((), **(dict(*more))) for _, _, _, *more in steps))


def live(*rows: LoweredRow, d_model: int = 1, keeps: int | None = None) -> dict[str, float]:
    return {f"{m.layer}.{m.operator}": m.live for m in moments(rows, ONE, d_model, keeps)}


def test_a_result_lives_from_its_operator_to_the_last_that_reads_it() -> None:
    layer = row(
        "layer",
        ("a", 10, ("x",)),
        ("b", 200, ("a",)),
        ("c", 3000, ("a", "b")),
        ("d", 40000, ("c",)),
        ("residual_1", 1, ("x", "d")),
    )
    assert live(layer) == {
        "layer.a": 1 + 10,
        "layer.b": 1 + 10 + 200,
        "layer.c": 1 + 10 + 200 + 3000,
        "layer.d": 1 + 3000 + 40000,
        "layer.residual_1": 1 + 40000 + 1,
    }


def test_a_result_that_nothing_reads_dies_at_once() -> None:
    layer = row("layer", ("spare", 10, ("x",)), ("residual_1", 1, ("x",)))
    assert live(layer) == {"layer.spare": 1 + 10, "layer.residual_1": 1 + 1}


def test_scratch_lives_with_its_operator_and_a_wider_result_is_what_lives_on() -> None:
    layer = row(
        "layer",
        ("conv", 10, ("x",), {"temporary": 200}),
        ("b", 3000, ("conv",), {"out": 7000}),
        ("c", 1, ("b",), {"holds": (Role.CONVOLUTION, Role.ROTARY)}),
    )
    assert live(layer) == {"layer.conv": 1 + 10 + 200, "layer.b": 10 + 7000, "layer.c": 10 + 7000 + 1}


def test_the_stream_of_a_layer_is_as_wide_as_its_last_result() -> None:
    # an fp32 stream of two bytes more: in this layer, and of what its head reads
    layer = row("layer", ("a", 10, ("x",)), ("residual_1", 1, ("x", "a"), {"out": 3}))
    head = row("head", ("final_norm", 100, ("x",)), ("lm_head", 2000, ("final_norm",)))
    assert live(layer, head) == {
        "layer.a": 3 + 10,
        "layer.residual_1": 3 + 10 + 3,
        "head.final_norm": 3 + 100,
        "head.lm_head": 100 + 2000,
    }


def test_the_embedding_has_no_stream_yet_and_the_head_no_other_than_it_gets() -> None:
    first = row("embedding", ("embedding", 4, ()), ("scale", 50, ("embedding",)))
    head = row("head", ("final_norm", 100, ("x",)))
    assert live(first, head, d_model=4, keeps=2) == {
        "embedding.embedding": 4,
        "embedding.scale": 4 + 50,
        "head.final_norm": 4 + 100,
    }


def test_code_that_keeps_embeddings_keeps_inputs_until_their_part_or_layer_returns() -> None:
    layer = row(
        "layer",
        ("norm_1", 10, ("x",)),
        ("up", 200, ("norm_1",)),
        ("down", 3000, ("up",)),
        ("residual_1", 1, ("x", "down")),
        ("norm_2", 50000, ("residual_1",)),
        ("next", 600000, ("norm_2",)),
        ("residual_2", 1, ("residual_1", "next")),
    )
    kept = 2 * 3
    assert live(layer, d_model=3, keeps=2) == {
        "layer.norm_1": kept + 1 + 10,
        "layer.up": kept + 1 + 10 + 200,
        "layer.down": kept + 1 + 10 + 200 + 3000,  # its part holds its input until it returns
        "layer.residual_1": kept + 1 + 3000 + 1,
        "layer.norm_2": kept + 1 + 1 + 50000,  # the layer holds x
        "layer.next": kept + 1 + 1 + 50000 + 600000,
        "layer.residual_2": kept + 1 + 1 + 600000 + 1,
    }


def test_other_code_keeps_no_input_that_is_read_no_more() -> None:
    layer = row("layer", ("norm_1", 10, ("x",)), ("up", 200, ("norm_1",)), ("residual_1", 1, ("x", "up")))
    longer = row(
        "layer", ("norm_1", 10, ("x",)), ("up", 200, ("norm_1",)), ("down", 3000, ("up",)), ("residual_1", 1, ("down",))
    )
    assert live(layer) == {"layer.norm_1": 1 + 10, "layer.up": 1 + 10 + 200, "layer.residual_1": 1 + 200 + 1}
    assert live(longer)["layer.down"] == 200 + 3000


def test_parts_inside_a_shared_block_hold_their_inputs_until_they_return() -> None:
    block = row(
        "block",
        ("attn_norm", 10, ("x",)),
        ("q_proj", 200, ("attn_norm",)),
        ("o_proj", 3000, ("q_proj",)),
        ("mlp_norm", 40000, ("o_proj",)),
        ("up_proj", 500000, ("mlp_norm",)),
        ("down_proj", 6000000, ("up_proj",)),
    )
    held = live(block, keeps=1)
    assert held["block.o_proj"] == 10 + 200 + 3000 + 1  # the last is the copy of the embeddings
    assert held["block.mlp_norm"] == 3000 + 40000 + 1
    assert held["block.down_proj"] == 40000 + 500000 + 6000000 + 1
    without = live(block)
    assert without["block.o_proj"] == 200 + 3000
    assert without["block.down_proj"] == 500000 + 6000000


def test_what_the_logits_take_of_the_head_is_told() -> None:
    head = row(
        "head",
        ("final_norm", 10, ("x",)),
        ("lm_head", 200, ("final_norm",)),
        ("logits_scale", 3000, ("lm_head",)),
        ("logits_soft_cap", 40000, ("logits_scale",)),
    )
    found = [(m.operator, m.live, m.scores) for m in moments([head], ONE, 1)]
    assert found == [
        ("final_norm", 1 + 10, 0),
        ("lm_head", 10 + 200, 200),
        ("logits_scale", 200 + 3000, 200 + 3000),
        ("logits_soft_cap", 3000 + 40000, 200 + 3000),
    ]
    layer = row("layer", ("o_proj", 200, ("x",)))
    assert [m.scores for m in moments([layer], ONE, 1)] == [0]


def architecture(**changes: Any) -> Architecture:
    values = {
        "name": "toy", "family": "toy", "d_model": 8, "vocab": 3, "tied_embeddings": True, "norm": "rms_no_weights",
        "layers": {"one": [{"kind": "attention", "heads": 2, "kv_heads": 1, "head_dim": 2, "rotary": False}]},
        "layout": [{"repeat": 1, "of": ["one"]}], "sources": {"here": "made up"}, "prefix_tokens": 1, **changes,
    }  # fmt: skip
    return build(Architecture, values, "toy.yaml")


WEIGHTS = 3 * 8 + 8 + 2 * (4 * 8) + 2 * (2 * 8)
"""Table, prefix, q and o, k and v."""
P = Pass(2, 4, 6, Precision(weights=3, activations=5, cache=7))
HELD = 2 * (6 + 4) * 4 * 7
"""Keys and values of two elements each for the ten tokens of two sequences, the learned one among them."""
STREAM = 2 * 4 * 8 * 5
CELLS = 2 * 4 * 10
"""Of a mask: for each of two sequences, four queries and ten keys."""


def runtime(**changes: Any) -> Runtime:
    return variant(library.runtime("ideal"), **changes)


def memory_of(rows: list[LoweredRow], p: Pass, workspace: int = 0, **changes: Any) -> Memory:
    model, stack = architecture(), runtime(**changes)
    return peak(model, stack, timeline(model, stack, rows, p, p.batch), p, workspace)


def parts(rows: list[LoweredRow], workspace: int = 0, **changes: Any) -> dict[str, Any]:
    memory = memory_of(rows, P, workspace, **changes)
    names = ("weights", "state", "activations", "logits", "masks", "workspace", "peak", "reserved", "binding")
    return {name: getattr(memory, name) for name in names}


LAYER = row("one", ("a", 10_000, ("x",)), ("residual_1", STREAM, ("x", "a")))
HEAD = row("head", ("final_norm", 100, ("x",)), ("lm_head", 5_000, ("final_norm",)))
LARGE_HEAD = row("head", ("final_norm", 100, ("x",)), ("lm_head", 50_000, ("final_norm",)))


def test_the_peak_is_weights_state_and_the_most_that_is_alive() -> None:
    live = STREAM + 10_000 + STREAM
    assert parts([LAYER, HEAD], workspace=77) == {
        "weights": 3 * WEIGHTS, "state": HELD, "activations": live, "logits": 0, "masks": 0, "workspace": 77,
        "peak": 3 * WEIGHTS + HELD + live + 77, "reserved": 3 * WEIGHTS + HELD + live + 77,
        "binding": "one: residual_1",
    }  # fmt: skip


def test_at_the_head_the_logits_are_told_apart() -> None:
    found = parts([LAYER, LARGE_HEAD])
    assert (found["activations"], found["logits"], found["binding"]) == (100, 50_000, "head: lm_head")
    assert found["peak"] == 3 * WEIGHTS + HELD + 50_100


def test_a_call_that_returns_no_cache_holds_none() -> None:
    found = parts([LAYER, HEAD], implementation="mamba_ssm", call="plain")
    assert found["state"] == 0
    assert found["peak"] == 3 * WEIGHTS + STREAM + 10_000 + STREAM
    assert parts([LAYER, HEAD], implementation="mamba_ssm", call="generate")["state"] == HELD
    assert parts([LAYER, HEAD], implementation="transformers", call="plain")["state"] == HELD


def masks(build_bytes: int) -> dict[str, Any]:
    return {"attention": AttentionPolicy(mask="always", mask_bytes=2, mask_build_bytes=build_bytes)}


def test_a_mask_is_kept_through_the_layers_and_gone_at_the_head() -> None:
    found = parts([LAYER, HEAD], **masks(6))
    assert (found["masks"], found["state"], found["binding"]) == (2 * CELLS, HELD, "one: residual_1")
    assert found["peak"] == 3 * WEIGHTS + HELD + STREAM + 10_000 + STREAM + 2 * CELLS
    assert found["activations"] == STREAM + 10_000 + STREAM
    at_the_head = parts([LAYER, LARGE_HEAD], **masks(6))
    assert (at_the_head["masks"], at_the_head["peak"]) == (0, 3 * WEIGHTS + HELD + 50_100)


def test_building_a_mask_can_be_the_peak_before_there_is_a_cache() -> None:
    found = parts([LAYER, HEAD], **masks(1000))
    assert (found["masks"], found["state"], found["activations"]) == (1000 * CELLS, 0, STREAM)
    assert (found["peak"], found["binding"]) == (3 * WEIGHTS + 1000 * CELLS + STREAM, "building the mask")


@pytest.mark.parametrize("build_bytes", [6, 150, 1000])
@pytest.mark.parametrize("head", [HEAD, LARGE_HEAD, row("head", ("lm_head", 50, ("x",)))])
def test_an_array_of_lengths_has_the_peak_of_each(build_bytes: int, head: LoweredRow) -> None:
    lengths = np.array([0.0, 6.0, 500.0])
    many = memory_of([LAYER, head], Pass(2, 4, lengths, P.precision), **masks(build_bytes))
    for index, context in enumerate(lengths):
        one = memory_of([LAYER, head], Pass(2, 4, context, P.precision), **masks(build_bytes))
        for name in ("state", "activations", "logits", "masks", "peak", "reserved"):
            assert np.broadcast_to(getattr(many, name), 3)[index] == pytest.approx(getattr(one, name)), (name, context)


@pytest.mark.parametrize(("slack", "context", "reserved"), [(0, 0, 1), (0.25, 0, 1.25), (0, 4096, 1), (0.5, 4096, 1.5)])
def test_the_process_reserves_the_slack_of_its_allocator_and_a_context(
    slack: float, context: int, reserved: float
) -> None:
    policy: Any = {"fragmentation": slack}
    if context:
        policy["context"] = {"value": f"{context} B", "source": "made up"}
    found = parts([LAYER, HEAD], memory=checked(MemoryPolicy, policy))
    assert found["reserved"] == reserved * found["peak"] + context
