"""Whole networks of toy size against rows and tensors written down by hand: embedding, norms, residuals, head."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from counting.rows import (
    ACT,
    BATCH,
    CACHE,
    CONTEXT,
    PASS,
    PRECISION,
    STATE,
    STORED,
    TOKENS,
    VECTOR,
    WEIGHT,
    Row,
    Shape,
    each,
    elements,
    matrix,
    norm,
    rows_of,
)

from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass, Precision
from roofsim.ops import pointwise
from roofsim.specs.files import build

MLP = {"kind": "mlp", "width": 6}
GQA = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 3, "rotary": False}
BASE: dict[str, Any] = {
    "name": "toy",
    "family": "toy",
    "d_model": 10,
    "vocab": 7,
    "tied_embeddings": True,
    "layers": {"one": [MLP]},
    "layout": [{"repeat": 2, "of": ["one"]}],
    "sources": {"here": "made up"},
}
MLP_TENSORS: list[Shape] = [(6, 10), (10, 6)]
GQA_TENSORS: list[Shape] = [(12, 10), (6, 10), (6, 10), (10, 12)]
LAST = 1 / 3
"""Of three new tokens one is the last of its sequence."""


def network(**changes: Any) -> Architecture:
    return build(Architecture, {**BASE, **changes}, "toy.yaml")


def rows(model: Architecture, p: Pass = PASS) -> dict[str, list[Row]]:
    return {each.layer: rows_of(each.operators) for each in model.rows(p)}


def table(byte: float, width: int = 10, name: str = "embedding") -> Row:
    return each(name, pointwise.embedding, width, weight_bytes=byte)


def layer_norm(name: str, *uses: str, bias: int, weighted: bool = True) -> Row:
    return each(name, pointwise.layer_norm, 10, *uses, bias=bias, weight_bytes=VECTOR if weighted else 0)


def residual(number: int, *uses: str) -> Row:
    return each(f"residual_{number}", pointwise.add, 10, *uses)


def mlp(source: str) -> list[Row]:
    return [
        matrix("up_proj", 10, 6, source),
        each("activation", pointwise.activation, 6, "up_proj"),
        matrix("down_proj", 6, 10, "activation"),
    ]


def of_last(row: Row) -> Row:
    """The operator on the last token of each sequence alone."""
    return replace(row, sizes={**row.sizes, "tokens": BATCH}, out=row.out * BATCH / TOKENS)


def test_a_plain_network_is_a_table_normed_branches_and_a_head_on_the_same_table() -> None:
    assert rows(network()) == {
        "embedding": [table(STORED["lm_head"])],
        "one": [norm("norm_1", 10, "x"), *mlp("norm_1"), residual(1, "x", "down_proj")],
        "head": [norm("final_norm", 10, "x"), matrix("lm_head", 10, 7, "final_norm")],
    }
    assert [(each.layer, each.count) for each in network().rows(PASS)] == [("embedding", 1), ("one", 2), ("head", 1)]


def test_the_head_may_score_the_last_token_of_each_sequence_alone() -> None:
    p = replace(PASS, logits="last")
    model = network(embedding_width=4, lm_head_bias=True, logits_scaled=True, logits_soft_cap=True)
    assert rows(model, p)["head"] == [
        norm("final_norm", 10, "x"),
        of_last(matrix("embedding_down", 10, 4, "final_norm")),
        of_last(matrix("lm_head", 4, 7, "embedding_down", bias=1)),
        of_last(each("logits_scale", pointwise.scale, 7, "lm_head")),
        of_last(each("logits_soft_cap", pointwise.soft_cap, 7, "lm_head")),
    ]


@pytest.mark.parametrize(
    ("learned", "change", "scored"),
    [
        (0, {}, 3), (1, {}, 2), (2, {}, 1), (3, {}, 1), (1, {"phase": "decode"}, 3), (1, {"logits": "last"}, 1),
    ],
)  # fmt: skip
def test_learned_tokens_before_a_prompt_are_not_scored(learned: int, change: dict[str, Any], scored: int) -> None:
    p = replace(PASS, **change)
    whole = matrix("lm_head", 10, 7, "final_norm")
    (*_, head) = rows(network(prefix_tokens=learned), p)["head"]
    assert head == replace(whole, sizes={**whole.sizes, "tokens": BATCH * scored}, out=whole.out * scored / 3)


def test_an_embedding_may_be_narrow_scaled_placed_and_normed() -> None:
    model = network(
        tied_embeddings=False, embedding_width=4, embedding_scaled=True, positions=8, embedding_norm=True, norm="layer"
    )
    assert rows(model)["embedding"] == [
        table(STORED["embedding"], 4),
        matrix("embedding_up", 4, 10, "embedding"),
        each("embedding_scale", pointwise.scale, 10, "embedding_up"),
        table(VECTOR, name="position_embedding"),
        each("add_positions", pointwise.add, 10, "embedding_scale", "position_embedding"),
        layer_norm("embedding_norm", "add_positions", bias=1),
    ]


@pytest.mark.parametrize(
    ("kind", "expected", "vectors"),
    [
        ("rms", norm("final_norm", 10, "x"), 1),
        ("rms_no_weights", norm("final_norm", 10, "x", weighted=False), 0),
        ("layer", layer_norm("final_norm", "x", bias=1), 2),
        ("layer_no_bias", layer_norm("final_norm", "x", bias=0), 1),
        ("layer_no_weights", layer_norm("final_norm", "x", bias=0, weighted=False), 0),
    ],
)
def test_a_norm_learns_a_scale_and_a_bias_or_one_of_them_or_none(kind: str, expected: Row, vectors: int) -> None:
    model = network(norm=kind)
    assert rows(model)["head"][0] == expected
    assert model.parameters["norm"] == vectors * 10 * (2 + 1)  # two layers and the last one


@pytest.mark.parametrize(
    ("position", "expected", "norms"),
    [
        (
            "before",
            [
                norm("norm_1", 10, "x"), *mlp("norm_1"), residual(1, "x", "down_proj"),
                norm("norm_2", 10, "residual_1"),
            ],
            2,
        ),
        (
            "after",
            [*mlp("x"), norm("post_norm_1", 10, "down_proj"), residual(1, "x", "post_norm_1")],
            2,
        ),
        (
            "both",
            [
                norm("norm_1", 10, "x"), *mlp("norm_1"), norm("post_norm_1", 10, "down_proj"),
                residual(1, "x", "post_norm_1"), norm("norm_2", 10, "residual_1"),
            ],
            4,
        ),
    ],
)  # fmt: skip
def test_norms_stand_before_or_after_a_part_or_both(position: str, expected: list[Row], norms: int) -> None:
    model = network(layers={"one": [MLP, GQA]}, norm_position=position, final_norm=False)
    assert rows(model)["one"][: len(expected)] == expected
    assert rows(model)["head"][0] == matrix("lm_head", 10, 7, "x")
    assert model.parameters["norm"] == norms * 10 * 2


@pytest.mark.parametrize(("shared", "norms"), [(True, 1), (False, 2)])
def test_parallel_branches_read_the_input_through_one_norm_or_two(shared: bool, norms: int) -> None:
    model = network(layers={"one": [GQA, MLP]}, parallel_residual=True, shared_norm=shared)
    found = rows(model)["one"]
    second = "norm_1" if shared else "norm_2"
    assert found[:2] == [norm("norm_1", 10, "x"), matrix("q_proj", 10, 12, "norm_1")]
    assert found[-4 - (norms - 1) :] == [
        *([] if shared else [norm("norm_2", 10, "x")]),
        *mlp(second),
        residual(2, "residual_1", "down_proj"),
    ]
    assert residual(1, "x", "o_proj") in found
    assert model.parameters["norm"] == norms * 10 * 2 + 10


BLOCK = {
    "kind": "shared_block",
    "block": "A",
    "attention": {**GQA, "d_in": 20},
    "mlp": {"kind": "gated_mlp", "width": 6},
}
BLOCK_TENSORS: list[Shape] = [(12, 20), (6, 20), (6, 20), (10, 12), (6, 10), (6, 10), (10, 6), (20,), (10,)]


def test_a_part_without_a_norm_reads_the_stream_and_has_no_learned_norm() -> None:
    model = network(layers={"one": [BLOCK, MLP]}, norm_position="both")
    found = rows(model)["one"]
    assert found[0] == each("join", pointwise.concat, 20, "x")
    assert residual(1, "x", "block_out") in found
    assert norm("norm_2", 10, "residual_1") in found
    # post and before of the MLP in both layers, the last one, and those inside the block
    assert model.parameters["norm"] == 2 * 2 * 10 + 10 + 20 + 10


EXPERTS = {"kind": "moe", "experts": 4, "top_k": 1, "width": 3}
SSM = {"kind": "mamba2", "heads": 4, "head_dim": 3, "d_state": 5}
SSM_TENSORS: list[Shape] = [(38, 10), (22, 4), (22,), (4,), (4,), (4,), (12,), (10, 12)]
WHOLE: dict[str, Any] = {
    "tied_embeddings": False,
    "embedding_width": 4,
    "positions": 8,
    "spare_positions": 2,
    "prefix_tokens": 3,
    "embedding_norm": True,
    "lm_head_bias": True,
    "layers": {"a": [GQA, EXPERTS], "b": [SSM, MLP], "c": [BLOCK]},
    "layout": [{"repeat": 2, "of": ["a", "b", "b"]}, {"repeat": 3, "of": ["c"]}],
}


def test_parameters_are_the_elements_of_all_tensors_those_of_a_shared_block_once() -> None:
    model = network(**WHOLE)
    norms = (2 * 2 + 4 * 2 + 2) * 10  # before every part but the block, of the embedding, the last
    expert: list[Shape] = [(3, 10), (3, 10), (10, 3)]
    assert dict(model.counts) == {"a": 2, "b": 4, "c": 3}
    assert model.depth == 9
    assert {kind: number for kind, number in model.parameters.items() if number} == {
        "embedding": 7 * 4,
        "embedding_projection": 4 * 10 + 10 * 4,
        "position": (8 + 2 + 3) * 10,
        "lm_head": 7 * 4 + 7,
        "norm": norms + 20 + 10,
        "attention": 2 * elements(GQA_TENSORS) + elements(BLOCK_TENSORS[:4]) + 3 * 100,
        "moe": 2 * (elements(expert * 4) + 40),
        "ssm": 4 * elements(SSM_TENSORS),
        "mlp": 4 * elements(MLP_TENSORS) + elements(BLOCK_TENSORS[4:7]),
    }
    assert model.total_parameters == sum(model.parameters.values())
    assert model.active_parameters == model.total_parameters - 2 * 3 * elements(expert)
    assert network().parameters["lm_head"] == 0


def test_what_a_sequence_holds_is_the_sum_over_its_layers_the_learned_prefix_included() -> None:
    model = network(**WHOLE)
    cache = (2 + 3) * (CONTEXT + 3) * (6 + 6) * CACHE
    assert model.state_bytes(CONTEXT, PRECISION) == cache + 4 * (12 * 5 * STATE + 22 * 4 * ACT)
    assert (model.kind, network(layers={"one": [GQA]}).kind, network(layers={"one": [SSM]}).kind) == (
        "hybrid", "transformer", "ssm",
    )  # fmt: skip


def test_matrices_are_listed_once_for_every_layer_and_once_for_a_shared_block() -> None:
    model = network(**WHOLE)
    found = {(m.operator, m.weights, m.row): m.count for m in model.inventory.matrices}
    assert found == {
        ("embedding", 28, 4): 1, ("embedding_up", 40, 4): 1, ("embedding_down", 40, 10): 1, ("lm_head", 7 * 5, 4): 1,
        ("q_proj", 120, 10): 2, ("k_proj", 60, 10): 2, ("v_proj", 60, 10): 2, ("o_proj", 120, 12): 2 + 1,
        ("router", 40, 10): 2, ("experts_up", 4 * 60, 10): 2, ("experts_down", 4 * 30, 3): 2,
        ("in_proj", 380, 10): 4, ("out_proj", 120, 12): 4, ("up_proj", 60, 10): 4 + 1, ("down_proj", 60, 6): 4 + 1,
        ("q_proj", 240, 20): 1, ("k_proj", 120, 20): 1, ("v_proj", 120, 20): 1, ("gate_proj", 60, 10): 1,
        ("block_out", 100, 10): 3,
    }  # fmt: skip
    assert (model.inventory.queries_per_key, model.inventory.experts) == (2, 4)
    assert (network().inventory.queries_per_key, network().inventory.experts) == (1, 0)


def test_a_table_of_a_layer_is_a_matrix_of_its_own() -> None:
    model = network(layers={"one": [{"kind": "layer_embedding", "width": 4, "vocab": 7}]})
    found = {(m.operator, m.weights, m.row): m.count for m in model.inventory.matrices}
    assert found["layer_embedding", 28, 4] == 2
    assert found["lm_head", 70, 10] == 1
    assert "embedding" not in {name for name, *_ in found}


def test_bytes_of_weights_are_those_of_every_matrix_and_of_what_is_none() -> None:
    model = network(tied_embeddings=False)
    assert model.weight_bytes(Precision(weights=WEIGHT)) == WEIGHT * (70 + 2 * 120 + 70 + 3 * 10)
    stored = STORED["embedding"] * 70 + STORED["lm_head"] * 70 + WEIGHT * 2 * 120 + VECTOR * 3 * 10
    assert model.weight_bytes(PRECISION) == stored
    assert network().weight_bytes(PRECISION) == stored - STORED["embedding"] * 70


def test_a_window_that_is_declared_and_switched_off_is_the_smallest_of_all_layers() -> None:
    layers = {"one": [{**GQA, "declared_window": 5}, {**GQA, "declared_window": 4}, GQA]}
    assert network(layers=layers).declared_window() == 4
    assert network().declared_window() is None
