from __future__ import annotations

import pytest

from roofsim import library
from roofsim.foundation.errors import SpecError
from roofsim.model.architecture import Architecture, Row, describe_part
from roofsim.model.step import Pass, Precision
from roofsim.ops import gemm, pointwise
from roofsim.specs.files import build

ATTENTION = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 8}
MLP = {"kind": "mlp", "width": 64}
TINY = {
    "name": "tiny",
    "family": "tiny",
    "d_model": 32,
    "vocab": 100,
    "tied_embeddings": True,
    "layers": {"a": [ATTENTION, MLP], "b": [MLP]},
    "layout": [{"repeat": 2, "of": ["a", "b", "b"]}, {"repeat": 1, "of": ["a"]}],
    "sources": {"paper": "none"},
}
# q and o: 32 x 32 each, k and v: 16 x 32 each; up and down: 64 x 32 each; a norm before every part
ATTENTION_WEIGHTS, MLP_WEIGHTS, NORM = 2 * 32 * 32 + 2 * 16 * 32, 2 * 32 * 64, 32


def tiny(**changes: object) -> Architecture:
    return build(Architecture, {**TINY, **changes}, "tiny.yaml")


def operators(rows: tuple[Row, ...], layer: str) -> list[str]:
    return [each.name for row in rows if row.layer == layer for each in row.operators]


def test_layers_count_as_often_as_the_layout_repeats_them() -> None:
    model = tiny()
    assert model.counts == {"a": 3, "b": 4}
    assert model.depth == 7


def test_parameters_are_counted_by_kind() -> None:
    assert {kind: n for kind, n in tiny().parameters.items() if n} == {
        "embedding": 3200,
        "attention": 3 * ATTENTION_WEIGHTS,
        "mlp": 7 * MLP_WEIGHTS,
        "norm": 11 * NORM,
    }


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"tied_embeddings": False}, 100 * 32),
        ({"norm": "layer"}, 11 * NORM),
        ({"positions": 50}, 50 * 32),
        ({"prefix_tokens": 7}, 7 * 32),
        ({"layers": {"a": [{**ATTENTION, "qkv_bias": True}, MLP], "b": [MLP]}}, 3 * 64),
        ({"layers": {"a": [{**ATTENTION, "out_bias": True}, MLP], "b": [MLP]}}, 3 * 32),
        ({"layers": {"a": [{**ATTENTION, "qk_norm": "head"}, MLP], "b": [MLP]}}, 3 * 16),
        ({"layers": {"a": [{**ATTENTION, "lora_rank": 2}, MLP], "b": [MLP]}}, 3 * 2 * (3 * 32 + 64)),
        ({"layers": {"a": [ATTENTION, MLP], "b": [{**MLP, "bias": True}]}}, 4 * (64 + 32)),
        ({"layers": {"a": [ATTENTION, MLP], "b": [{"kind": "gated_mlp", "width": 64}]}}, 4 * 32 * 64),
        (
            {"layers": {"a": [ATTENTION, MLP], "b": [{"kind": "gated_mlp", "width": 64, "lora_rank": 2}]}},
            4 * (32 * 64 + 2 * 160),
        ),
    ],
)
def test_what_a_switch_adds_is_counted(changes: dict[str, object], more: int) -> None:
    assert tiny(**changes).total_parameters - tiny().total_parameters == more


def test_a_block_that_layers_share_is_counted_once_and_run_every_time() -> None:
    shared = {
        "kind": "shared_block",
        "block": "A",
        "attention": {**ATTENTION, "d_in": 64},
        "mlp": {"kind": "gated_mlp", "width": 64},
    }
    once, twice = (tiny(layers={"a": [shared]}, layout=[{"repeat": n, "of": ["a"]}]) for n in (1, 2))
    own = 32 * 32  # the output matrix of each use
    assert twice.total_parameters - once.total_parameters == own
    work = [
        sum(op.cost.matrix * row.count for row in model.rows(Pass(1, 1, 0)) for op in row.operators)
        for model in (once, twice)
    ]
    head = 2 * 32 * 100
    assert work[1] - head == 2 * (work[0] - head)


def test_rows_are_the_embedding_each_kind_of_layer_and_the_head() -> None:
    rows = tiny().rows(Pass(1, 10, 0))
    assert [(row.layer, row.count) for row in rows] == [("embedding", 1), ("a", 3), ("b", 4), ("head", 1)]
    assert operators(rows, "b") == ["norm_1", "up_proj", "activation", "down_proj", "residual_1"]
    assert operators(rows, "head") == ["final_norm", "lm_head"]


def test_every_operator_uses_the_stream_or_an_operator_before_it() -> None:
    for name in library.names("models"):
        for row in library.architecture(name).rows(Pass(1, 10, 0)):
            known = {"x"}
            for each in row.operators:
                assert set(each.uses) <= known, (name, row.layer, each.name)
                assert each.name not in known, (name, row.layer, each.name)
                known.add(each.name)


def test_positions_are_looked_up_and_added() -> None:
    assert operators(tiny(positions=50).rows(Pass(1, 10, 0)), "embedding") == [
        "embedding",
        "position_embedding",
        "add_positions",
    ]


def test_a_layer_norm_model_runs_layer_norms() -> None:
    used = {each.function for row in tiny(norm="layer").rows(Pass(1, 1, 0)) for each in row.operators}
    assert pointwise.layer_norm in used
    assert pointwise.rms_norm not in used


@pytest.mark.parametrize(("logits", "scored"), [("all", 3 * 10), ("last", 3)])
def test_the_head_scores_every_position_or_the_last_of_each_sequence(logits: str, scored: int) -> None:
    head = tiny(logits_scaled=True).rows(Pass(3, 10, 0, logits=logits))[-1]
    sizes = {each.name: each.sizes["tokens"] for each in head.operators}
    assert sizes == {"final_norm": 30, "lm_head": scored, "logits_scale": scored}


def test_the_state_of_a_sequence_is_the_sum_over_its_layers_prefix_included() -> None:
    precision = Precision(cache=1)
    assert tiny().state_bytes(10, precision) == 3 * 10 * 2 * 2 * 8
    assert tiny(prefix_tokens=5).state_bytes(10, precision) == 3 * 15 * 2 * 2 * 8


@pytest.mark.parametrize(("windowed_cache", "held"), [(True, 4), (False, 100)])
def test_a_window_cuts_the_cache_where_the_library_cuts_it(windowed_cache: bool, held: int) -> None:
    part = {**ATTENTION, "window": 5, "windowed_cache": windowed_cache}
    model = tiny(layers={"a": [part, MLP], "b": [MLP]})
    assert model.state_bytes(100, Precision(cache=1)) == 3 * held * 2 * 2 * 8


def test_only_a_model_whose_state_grows_attends() -> None:
    assert tiny().attends
    assert not library.architecture("mamba2-130m").attends
    assert library.architecture("Zamba2-1.2B").attends


def test_the_smallest_window_that_is_declared_and_off_is_known() -> None:
    layers = {"a": [{**ATTENTION, "declared_window": 64}, MLP], "b": [{**ATTENTION, "declared_window": 32}]}
    assert tiny(layers=layers).declared_window() == 32
    assert tiny().declared_window() is None


def test_a_shared_matrix_of_gate_and_up_costs_what_two_cost() -> None:
    p = Pass(2, 7, 0)
    once = [{"repeat": 1, "of": ["a"]}]
    apart, fused = (
        tiny(layers={"a": [{"kind": "gated_mlp", "width": 64, "fused": joined}]}, layout=once)
        for joined in (False, True)
    )
    work = [
        [each.cost for each in model.rows(p)[1].operators if each.function is gemm.linear] for model in (apart, fused)
    ]
    assert [len(each) for each in work] == [3, 2]
    assert sum(c.matrix for c in work[0]) == sum(c.matrix for c in work[1])
    assert sum(c.weights for c in work[0]) == sum(c.weights for c in work[1])


def test_a_part_is_described_by_the_fields_that_are_not_defaults() -> None:
    assert describe_part(tiny().layers["a"][0]) == "attention(heads=4, kv_heads=2, head_dim=8)"
    assert "attention=attention(" in describe_part(library.architecture("Falcon-H1-0.5B").layers["hybrid"][0])


@pytest.mark.parametrize("changes", [{"layers": {}}, {"layout": []}, {"layers": {"a": []}}, {"d_model": 2**40}])
def test_a_model_of_nothing_or_of_the_absurd_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        tiny(**changes)
