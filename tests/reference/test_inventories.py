"""The matrices of toy networks and the bytes that formats store them in, counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from roofsim.model.architecture import Architecture, Published, describe_part
from roofsim.model.recurrent import head_linear
from roofsim.model.step import Pass, Precision
from roofsim.model.weights import Inventory, Matrix, bytes_per_weight, multiplied, stored
from roofsim.specs.files import build

MLP: dict[str, Any] = {"kind": "mlp", "width": 6}
GQA: dict[str, Any] = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 3}
SSM: dict[str, Any] = {"kind": "mamba2", "heads": 4, "head_dim": 3, "d_state": 5, "groups": 2, "chunk": 2}
MOE: dict[str, Any] = {"kind": "moe", "experts": 5, "top_k": 2, "width": 3}
LATENT: dict[str, Any] = {"kind": "mla", "heads": 3, "kv_rank": 6, "nope_dim": 4, "rope_dim": 2, "v_dim": 5}


def network(*parts: Any, **changes: Any) -> Architecture:
    base = {
        "name": "toy", "family": "toy", "d_model": 10, "vocab": 7, "tied_embeddings": True,
        "layers": {"one": list(parts)}, "layout": [{"repeat": 2, "of": ["one"]}], "sources": {"here": "made up"},
    }  # fmt: skip
    return build(Architecture, {**base, **changes}, "toy.yaml")


def matrices(model: Architecture) -> dict[str, tuple[int, int, int]]:
    """Count, weights and row of each by its operator."""
    found = {m.operator: (m.count, m.weights, m.row) for m in model.inventory.matrices}
    assert len(found) == len(model.inventory.matrices)
    return found


# --- matrices ---


def test_every_layer_has_its_own_matrices_with_their_biases() -> None:
    model = network(GQA | {"qkv_bias": True}, MLP)
    assert matrices(model) == {
        "lm_head": (1, 70, 10), "q_proj": (2, 12 * 11, 10), "k_proj": (2, 6 * 11, 10), "v_proj": (2, 6 * 11, 10),
        "o_proj": (2, 10 * 12, 12), "up_proj": (2, 60, 10), "down_proj": (2, 60, 6),
    }  # fmt: skip
    assert (model.inventory.queries_per_key, model.inventory.experts) == (2, 0)


def test_a_table_that_is_not_tied_is_a_matrix_of_its_own() -> None:
    assert matrices(network(MLP, tied_embeddings=False))["embedding"] == (1, 70, 10)
    narrow = matrices(network(MLP, tied_embeddings=False, embedding_width=4))
    assert narrow["embedding"] == narrow["lm_head"] == (1, 28, 4)
    assert (narrow["embedding_up"], narrow["embedding_down"]) == ((1, 40, 4), (1, 40, 10))


def test_experts_and_heads_have_a_matrix_each() -> None:
    model = network(MOE)
    assert matrices(model) == {
        "lm_head": (1, 70, 10), "router": (2, 50, 10), "experts_up": (2, 5 * 10 * 6, 10),
        "experts_down": (2, 5 * 3 * 10, 3),
    }  # fmt: skip
    assert (model.inventory.queries_per_key, model.inventory.experts) == (1, 5)
    # the gates of each of two heads of six channels
    gated = matrices(network({"kind": "rg_lru", "heads": 2, "head_dim": 6}))
    assert gated["input_gate"] == gated["recurrent_gate"] == (2, 2 * 6 * 6, 6)
    # keys of four and values of five for each of three heads, out of latents of six
    assert matrices(network(LATENT))["kv_b_proj"] == (2, 6 * 3 * 9, 6)


def test_the_most_queries_of_a_key_and_the_most_experts_count() -> None:
    model = network(
        GQA, MOE, layers={"one": [GQA, MOE], "two": [GQA | {"kv_heads": 1}, MOE | {"experts": 8}]},
        layout=[{"repeat": 1, "of": ["one", "two"]}],
    )  # fmt: skip
    assert (model.inventory.queries_per_key, model.inventory.experts) == (4, 8)


def test_weights_take_what_their_matrix_does_and_the_rest_what_vectors_do() -> None:
    model = network(MLP)  # two layers of 2 · 60, a tied table, two norms in layers and one at the end
    sizes: dict[str, Any] = {"up_proj": 1 / 2, "lm_head": 3, "vectors": 4}
    assert model.weight_bytes(Precision(weights=1, stored=sizes)) == 2 * 60 / 2 + 2 * 60 * 1 + 70 * 3 + 3 * 10 * 4
    assert model.weight_bytes(Precision(weights=2)) == 2 * (2 * 120 + 70 + 30)


def test_a_matrix_of_every_head_may_be_stored_as_that_of_another_operator() -> None:
    p = Pass(2, 3, 4, Precision(weights=2, stored={"own": 4, "other": 8}))
    assert head_linear(p, "own", 2, 3, 5, "x").sizes["weight_bytes"] == 4
    assert head_linear(p, "own", 2, 3, 5, "x", matrix="other").sizes["weight_bytes"] == 8
    assert head_linear(p, "own", 2, 3, 5, "x", matrix="none").sizes["weight_bytes"] == 2


# --- what a network is ---


def test_what_is_kept_of_the_past_says_what_kind_of_network_it_is() -> None:
    kinds = {"transformer": (GQA, MLP), "ssm": (SSM,), "hybrid": (SSM, GQA)}
    for kind, parts in kinds.items():
        assert network(*parts).kind == kind
        assert network(*parts).attends == (kind != "ssm")
    # of a window of two, one token is kept beside the newest
    assert [network(GQA | {"window": w}).attends for w in (2, 3)] == [False, True]


def test_a_published_number_is_compared_as_it_is_rounded() -> None:
    exact, rounded = (Published(value=1_230_000, digits=d, source="here") for d in (None, 3))
    assert [exact.agrees(n) for n in (1_230_000, 1_230_001)] == [True, False]
    assert [rounded.agrees(n) for n in (1_225_001, 1_230_001, 1_234_999, 1_236_000)] == [True, True, True, False]


def test_whole_caches_are_those_without_a_window_and_nothing_else_changes() -> None:
    cut = network(GQA | {"window": 4}, MLP)
    whole = cut.with_whole_caches()
    held = 2 * 2 * 6 * 2  # two layers, keys and values of two heads of three, two bytes
    assert [cut.state_bytes(n, Precision()) for n in (3, 9)] == [3 * held, 3 * held]
    assert [whole.state_bytes(n, Precision()) for n in (3, 9)] == [3 * held, 9 * held]
    assert whole.with_whole_caches() is whole
    assert network(MLP).with_whole_caches() == network(MLP)
    both = {"kind": "parallel", "attention": GQA | {"window": 4}, "ssm": SSM}
    inner = network(both).with_whole_caches().layers["one"][0]
    assert inner.attention.windowed_cache is False
    assert inner.ssm == network(both).layers["one"][0].ssm


def test_a_part_is_described_by_what_differs_from_its_defaults() -> None:
    part = network(GQA | {"window": 4}).layers["one"][0]
    assert describe_part(part) == "attention(heads=4, kv_heads=2, head_dim=3, window=4)"


# --- formats ---


@pytest.mark.parametrize(
    ("name", "row", "bits"),
    [
        ("bf16", None, 16), ("fp4", None, 4), ("q8_0", 64, 8 + 16 / 32), ("q8_0", 40, 16), ("q4_k", 256, 4.5),
        ("q4_k", 288, 5 + 16 / 32), ("q6_k", 272, 16), ("int4-g64", 100, 4 + 20 / 64),
        ("int8-channel", 10, 8 + 16 / 10), ("int8-channel", None, 8), ("fp8-block128", 10, 8 + 32 / 16384),
        ("nf4-double", None, 4 + 8 / 64 + 32 / 256 / 64),
    ],
)  # fmt: skip
def test_bits_are_those_of_a_weight_and_its_part_of_a_scale(name: str, row: int | None, bits: float) -> None:
    assert 8 * bytes_per_weight(name, row) == bits


def of(fmt: str, operator: str, layers: int, queries: int = 1, experts: int = 0) -> float:
    """Bits per weight of the matrices of one operator, one in each layer."""
    return 8 * stored(fmt, "bf16", Inventory((Matrix(operator, layers, 512, 256),), queries, experts))[operator]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("fmt", "operator", "layers", "bits"),
    [
        # the first and last eighth and every third between: 0, 1 | 4, 7, 10, 13 | 14, 15
        ("q4_k_m", "v_proj", 16, 4.5 + 2.0625 * 8 / 16),
        # an eighth of three is none and seven are two, in whole layers: the last alone
        ("q4_k_m", "down_proj", 3, 4.5 + 2.0625 * 1 / 3),
        # 0, 1 | 4, 7, 10, 13, 16 | 19, 20, 21
        ("q4_k_m", "v_proj", 22, 4.5 + 2.0625 * 10 / 22),
        # the first sixteenth in five bits, others in four
        ("q3_k_m", "down_proj", 32, 4.5 + 2 / 32), ("q3_k_m", "down_proj", 15, 4.5), ("q3_k_m", "v_proj", 8, 4.75),
        ("q3_k_m", "o_proj", 8, 4.5), ("q3_k_s", "v_proj", 8, 3.4375), ("q3_k_l", "down_proj", 8, 5.5),
        # the first eighth, the first four
        ("q4_k_s", "down_proj", 16, 4.5 + 2 / 16), ("q4_k_s", "down_proj", 15, 4.5 + 1 / 15),
        ("q4_k_s", "v_proj", 16, 4.5 + 4 / 16), ("q4_k_s", "k_proj", 16, 4.5),
        ("q2_k", "v_proj", 4, 3.4375), ("q2_k", "q_proj", 4, 2.625),
    ],
)  # fmt: skip
def test_mixes_of_llama_cpp_give_some_layers_more_bits(fmt: str, operator: str, layers: int, bits: float) -> None:
    assert of(fmt, operator, layers) == pytest.approx(bits)


def test_keys_and_values_take_more_where_four_queries_share_them_or_eight_experts_follow() -> None:
    assert [of("q2_k", "v_proj", 4, q) for q in (3, 4)] == [3.4375, 4.5]
    assert [of("q4_k_s", "k_proj", 4, 1, e) for e in (7, 8, 9)] == [4.5, 8.5, 4.5]
    # the output takes five bits then, where others take no more than four
    assert [of(fmt, "o_proj", 4, 1, 8) for fmt in ("q4_k_s", "q5_k_s", "q2_k", "q8_0")] == [5.5, 5.5, 5.5, 8.5]
    assert [of(fmt, "o_proj", 4, 1, 8) for fmt in ("q6_k", "q4_0")] == [6.5625, 4.5]


def test_matrices_of_two_widths_weigh_by_their_weights() -> None:
    two = (Matrix("up_proj", 3, 512, 256), Matrix("up_proj", 1, 1000, 100))  # rows of 100 fit no block: 16 bits
    found = stored("q4_k_s", "bf16", Inventory(two))
    assert found["up_proj"] * 8 == pytest.approx((3 * 512 * 4.5 + 1000 * 16) / (3 * 512 + 1000))


def test_what_is_no_matrix_of_a_layer_is_kept_or_not_as_formats_say() -> None:
    nothing = Inventory()
    kinds = ("weights", "embedding", "layer_embedding", "lm_head", "vectors", "router")
    for fmt, bits in (
        ("q4_k_m", (4.5, 4.5, 4.5, 6.5625, 32, 32)), ("q8_0", (8.5, 8.5, 8.5, 8.5, 32, 32)),
        ("awq-int4", (4.15625, 16, 16, 16, 16, 16)), ("fp32", (32,) * 6),
    ):  # fmt: skip
        found = stored(fmt, "bf16", nothing)
        assert tuple(8 * found[kind] for kind in kinds) == bits  # type: ignore[operator]


def test_where_experts_alone_are_quantised_the_rest_is_kept_and_multiplied_as_it_is() -> None:
    sparse = Inventory((Matrix("experts_up", 2, 512, 256), Matrix("q_proj", 2, 512, 256)), 1, 4)
    dense = Inventory((Matrix("q_proj", 2, 512, 256),))
    found = stored("mxfp4", "bf16", sparse)
    assert (8 * found["experts_up"], 8 * found["q_proj"], 8 * found["weights"]) == (4.25, 16, 16)
    assert 8 * stored("mxfp4", "bf16", dense)["q_proj"] == 4.25
    assert multiplied("mxfp4", "fp4", sparse) == {"weights": "weights_only", "experts_up": "fp4"}
    kept = dict.fromkeys(("router", "shared_gate", "lm_head", "embedding"), "weights_only")
    assert multiplied("mxfp4", "fp4", dense) == {"weights": "fp4", **kept}
    own = multiplied("q8_0", "int8", dense)
    assert (own["weights"], own["router"], "lm_head" in own) == ("int8", "weights_only", False)
