"""A network on several ranks against rows, tensors and messages written down by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from counting.rows import (
    ACT,
    BATCH,
    CACHE,
    CONTEXT,
    NEW,
    PASS,
    PRECISION,
    STORED,
    TOKENS,
    VECTOR,
    WEIGHT,
    Row,
    each,
    matrix,
    norm,
    rows_of,
)

from roofsim.foundation.cost import Cost
from roofsim.foundation.errors import InputError
from roofsim.model.architecture import Architecture
from roofsim.model.split import Split
from roofsim.model.step import Pass, together
from roofsim.ops import collective, pointwise
from roofsim.ops.base import Operator
from roofsim.specs.files import build

MLP = {"kind": "mlp", "width": 6}
GQA = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 3, "rotary": False}
MOE = {"kind": "moe", "experts": 4, "top_k": 2, "width": 6}
BASE: dict[str, Any] = {
    "name": "toy",
    "d_model": 10,
    "vocab": 7,
    "tied_embeddings": True,
    "layers": {"one": [GQA, MLP]},
    "layout": [{"repeat": 5, "of": ["one"]}],
    "sources": {"here": "made up"},
}
STREAM = 10 * ACT * TOKENS


ALONE = Split()


def network(split: Split = ALONE, **changes: Any) -> Architecture:
    return build(Architecture, {**BASE, **changes}, "toy.yaml").sharded(split)


def exchange(name: str, function: Any, payload: float, ranks: int, *uses: str, out: float = 0, stride: int = 1) -> Row:
    return Row(name, function, {"payload": payload, "ranks": ranks, "stride": stride}, out, uses, "collective")


def names(model: Architecture, p: Pass = PASS) -> dict[str, list[str]]:
    return {row.layer: [operator.name for operator in row.operators] for row in model.rows(p)}


def costs(model: Architecture, p: Pass) -> dict[str, Cost]:
    return {operator.name: operator.cost for row in model.rows(p) for operator in row.operators}


def test_ranks_add_up_after_each_part_and_after_the_embedding_and_gather_the_logits() -> None:
    ranks = {row.layer: rows_of(row.operators) for row in network(Split(tp=2)).rows(PASS)}
    assert ranks["embedding"] == [
        each("embedding", pointwise.embedding, 10, weight_bytes=STORED["lm_head"] / 2),
        exchange("embedding_join", collective.all_reduce, STREAM, 2, "embedding"),
    ]
    *_, out, join, residual = ranks["one"][:9]
    assert out == matrix("o_proj", 6, 10, "attention")
    assert join == exchange("join_1", collective.all_reduce, STREAM, 2, "o_proj")
    assert residual == each("residual_1", pointwise.add, 10, "x", "o_proj")
    assert ranks["one"][9:] == [
        norm("norm_2", 10, "residual_1"),
        matrix("up_proj", 10, 3, "norm_2"),
        each("activation", pointwise.activation, 3, "up_proj"),
        matrix("down_proj", 3, 10, "activation"),
        exchange("join_2", collective.all_reduce, STREAM, 2, "down_proj"),
        each("residual_2", pointwise.add, 10, "residual_1", "down_proj"),
    ]
    logits = 8 * ACT * TOKENS  # seven columns and one of padding
    assert ranks["head"] == [
        norm("final_norm", 10, "x"),
        matrix("lm_head", 10, 4, "final_norm"),
        exchange("logits_gather", collective.all_gather, logits, 2, "lm_head", out=logits),
    ]


def half(row: Row) -> Row:
    """A row that is done for half the tokens."""
    return replace(row, sizes={**row.sizes, "tokens": row.sizes["tokens"] / 2}, out=row.out / 2)


def test_ranks_that_share_the_stream_scatter_sums_and_gather_inputs_with_norms_of_half_the_tokens_between() -> None:
    model = network(Split(tp=2))
    ranks = {row.layer: rows_of(row.operators) for row in model.sharing(caches=False, stream=True).rows(PASS)}
    scatter = (collective.reduce_scatter, STREAM, 2)
    assert ranks["embedding"][1:] == [exchange("embedding_join", *scatter, "embedding", out=STREAM / 2)]
    gather = (collective.all_gather, STREAM, 2)
    assert ranks["one"][:2] == [half(norm("norm_1", 10, "x")), exchange("gather_1", *gather, "norm_1", out=STREAM)]
    assert ranks["one"][2].uses == ("gather_1",)
    assert ranks["one"][-8:] == [
        half(each("residual_1", pointwise.add, 10, "x", "join_1")),
        half(norm("norm_2", 10, "residual_1")),
        exchange("gather_2", *gather, "norm_2", out=STREAM),
        matrix("up_proj", 10, 3, "gather_2"),
        each("activation", pointwise.activation, 3, "up_proj"),
        matrix("down_proj", 3, 10, "activation"),
        exchange("join_2", *scatter, "down_proj", out=STREAM / 2),
        half(each("residual_2", pointwise.add, 10, "residual_1", "join_2")),
    ]
    logits = 8 * ACT * TOKENS
    assert ranks["head"] == [
        half(norm("final_norm", 10, "x")),
        exchange("stream_gather", *gather, "final_norm", out=STREAM),
        matrix("lm_head", 10, 4, "stream_gather"),
        exchange("logits_gather", collective.all_gather, logits, 2, "lm_head", out=logits),
    ]
    padded = model.sharing(caches=False, stream=True).rows(replace(PASS, padding=2))[1].operators[0]
    assert padded.sizes["tokens"] == (TOKENS + 2) / 2


def test_what_ranks_share_is_as_much_as_it_was_and_one_rank_shares_nothing() -> None:
    whole, rank = network(Split(tp=2)), network(Split(tp=2)).sharing(caches=True, stream=True)
    total = [
        sum(row.count * o.cost.network for row in each.rows(PASS) for o in row.operators) for each in (whole, rank)
    ]
    assert total[0] == pytest.approx(total[1])
    assert whole.parameters == rank.parameters
    alone = network()
    assert alone.sharing(caches=True, stream=True) is alone
    assert whole.sharing(caches=False, stream=False) is whole


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"parallel_residual": True}, "a norm stands before each part"), ({"norm_position": "both"}, "a norm stands")],
)
def test_a_stream_is_shared_where_norms_stand_before_parts(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        network(Split(tp=2), **changes).sharing(caches=False, stream=True)


def test_a_stream_is_shared_where_results_are_summands() -> None:
    split, sent = Split(tp=2, dp=2, ep=4), {"one": [GQA, MOE]}
    with pytest.raises(InputError, match="summands alone"):
        network(split, layers=sent).sharing(caches=False, stream=True)


WIDER = {**MLP, "width": 8}


def test_ranks_with_the_same_keys_share_their_tokens() -> None:
    """Four ranks have the same keys. Of 15 tokens and one more each sees four, for the heads of all."""
    rank = network(Split(tp=4), layers={"one": [{**GQA, "kv_heads": 1}, WIDER]}).sharing(caches=True, stream=False)
    step = Pass(BATCH, 1, 15, PRECISION, phase="decode")
    found = {o.name: o for o in rank.rows(step)[1].operators}
    assert found["cache_append"].sizes["width"] == 2 * 3 / 4
    queries = 4 * 3 * ACT * BATCH
    assert rows_of([found["queries_gather"]]) == [
        exchange("queries_gather", collective.all_gather, queries, 4, "q_proj", out=queries)
    ]
    size = found["attention"].sizes
    assert (size["heads"], size["kv_heads"], size["context"], size["new"], size["window"]) == (4, 1, 3, 1, 4)
    assert found["attention"].out == queries
    assert found["attention"].uses == ("queries_gather", "q_proj", "k_proj", "v_proj")
    assert rows_of([found["weights_gather"], found["results_scatter"]]) == [
        exchange("weights_gather", collective.all_gather, 4 * 4 * 4 * BATCH, 4, "attention"),
        exchange(
            "results_scatter", collective.reduce_scatter, queries, 4, "attention", "weights_gather", out=queries / 4
        ),
    ]
    assert found["o_proj"].uses == ("results_scatter",)
    whole = network(layers={"one": [{**GQA, "kv_heads": 1}, WIDER]})
    assert 4 * rank.state_bytes(16, PRECISION) == whole.state_bytes(16, PRECISION)
    assert 4 * found["attention"].cost.state == pytest.approx(
        next(o.cost.state for o in whole.rows(step)[1].operators if o.name == "attention")
    )


def test_what_came_before_a_piece_of_a_prompt_is_gathered_from_those_that_share_it() -> None:
    mla = {"kind": "mla", "heads": 4, "kv_rank": 6, "nope_dim": 4, "rope_dim": 2, "v_dim": 5}
    for part, width in (({**GQA, "kv_heads": 1}, 2 * 3), (mla, 6 + 2)):
        rank = network(Split(tp=2), layers={"one": [part, MLP]}).sharing(caches=True, stream=False)
        p = replace(PASS, latents="expanded")
        found = {o.name: o for o in rank.rows(p)[1].operators}
        assert found["cache_gather"].sizes["payload"] == BATCH * CONTEXT * width * CACHE
        assert found["attention"].sizes["heads"] == 2
        assert found["attention"].sizes["context"] == CONTEXT
        first = {o.name for o in rank.rows(replace(p, context=0))[1].operators}
        assert not {"cache_gather", "queries_gather", "results_scatter"} & first


def test_ranks_share_the_tokens_of_latents_that_all_heads_attend_to() -> None:
    """Two ranks of two heads: latents of 6 and keys of 2 elements. Of nine tokens and one more each sees five."""
    mla = {"kind": "mla", "heads": 4, "kv_rank": 6, "nope_dim": 4, "rope_dim": 2, "v_dim": 5}
    rank = network(Split(tp=2), layers={"one": [mla, MLP]}).sharing(caches=True, stream=False)
    step = Pass(BATCH, 1, 9, PRECISION, phase="decode", latents="absorbed")
    found = {o.name: o for o in rank.rows(step)[1].operators}
    assert found["cache_append"].sizes["width"] == 8 / 2
    assert found["queries_gather"].sizes["payload"] == 4 * 8 * ACT * BATCH
    assert (found["attention"].sizes["heads"], found["attention"].sizes["context"]) == (4, 4)
    assert found["attention"].sizes["window"] == 5
    assert found["attention"].out == 4 * 6 * ACT * BATCH
    assert found["attention"].uses[0] == "queries_gather"
    assert found["results_scatter"].sizes["payload"] == 4 * 6 * ACT * BATCH
    assert found["weights_gather"].sizes["payload"] == 2 * 4 * 4 * BATCH
    assert (found["v_absorb"].uses, found["v_absorb"].sizes["heads"]) == (("results_scatter",), 2)
    assert rank.state_bytes(10, PRECISION) == 5 * 10 * 8 * CACHE / 2
    chosen = {**mla, "q_rank": 5, "index_top_k": 3}
    assert network(Split(tp=2), layers={"one": [chosen, MLP]}).sharing(True, False).state_bytes(10, PRECISION) == (
        5 * 10 * 8 * CACHE
    )


@pytest.mark.parametrize("limit", [{"window": 4}, {"chunk": 4}, {"block": 2, "blocks": 2}, {"repeated_cache": True}])
def test_caches_that_are_cut_or_repeated_are_kept_as_copies(limit: dict[str, Any]) -> None:
    rank = network(Split(tp=4), layers={"one": [{**GQA, "kv_heads": 1, **limit}, WIDER]})
    assert rank.sharing(caches=True, stream=False) is rank


def test_parts_inside_of_others_share_as_well() -> None:
    ssm = {"kind": "mamba2", "heads": 4, "head_dim": 3, "d_state": 5, "chunk": 2, "groups": 4}
    both = {"kind": "parallel", "attention": {**GQA, "kind": "attention", "kv_heads": 1}, "ssm": ssm}
    rank = network(Split(tp=4), layers={"one": [both, WIDER]})
    attention = rank.layers["one"][0].attention
    assert attention.state_bytes(8, PRECISION) == 4 * attention.shared().state_bytes(8, PRECISION)
    assert rank.sharing(True, False).layers["one"][0].attention.sharers == 4


def test_parts_on_the_same_input_are_added_before_ranks_add_them_up() -> None:
    model = network(Split(tp=2), parallel_residual=True, shared_norm=True)
    rows = {row.layer: rows_of(row.operators) for row in model.rows(PASS)}["one"]
    assert rows[-4:] == [
        matrix("down_proj", 3, 10, "activation"),
        each("branches_2", pointwise.add, 10, "o_proj", "down_proj"),
        exchange("join_2", collective.all_reduce, STREAM, 2, "branches_2"),
        each("residual_2", pointwise.add, 10, "x", "branches_2"),
    ]
    assert [row.name for row in rows if row.kind == "collective"] == ["join_2"]
    normed = network(Split(tp=2), parallel_residual=True, norm_position="both")
    assert [name for name in names(normed)["one"] if "join" in name] == ["join_1", "join_2"]


def test_parts_on_the_same_input_are_whole_on_one_rank() -> None:
    assert "branches_2" not in names(network(parallel_residual=True))["one"]


def test_a_norm_after_a_part_needs_all_of_it() -> None:
    ends = names(network(Split(tp=2), norm_position="after"))["one"][-4:]
    assert ends == ["down_proj", "join_2", "post_norm_2", "residual_2"]


def test_only_scored_positions_are_added_up_after_the_last_mixer() -> None:
    scored = Pass(BATCH, NEW, CONTEXT, PRECISION, scored=1)
    rows = {row.layer: {each.name: each for each in row.operators} for row in network(Split(tp=2)).rows(scored)}
    assert rows["last one"]["join_1"].sizes["payload"] == STREAM
    assert rows["last one"]["join_2"].sizes["payload"] == 10 * ACT * BATCH
    beside = network(Split(tp=2), parallel_residual=True)
    last = {each.name: each for row in beside.rows(scored) for each in row.operators if row.layer == "last one"}
    assert last["join_2"].sizes["payload"] == 10 * ACT * BATCH


def test_a_rank_has_its_share_of_the_tensors() -> None:
    """Of 7 rows 4; attention of 2 heads and 1 of keys; half a width; norms, biases and positions whole."""
    tensors = {"embedding": 4 * 10, "position": 5 * 10, "lm_head": 4, "norm": (1 + 10) * 10}
    tensors |= {"attention": 5 * (10 * 6 + 2 * 10 * 3 + 6 * 10), "mlp": 5 * (2 * 10 * 3)}
    rank = network(Split(tp=2), positions=5, lm_head_bias=True)
    assert {kind: number for kind, number in rank.parameters.items() if number} == tensors
    stored = {"lm_head": 4 * 10 + 4, "up_proj": 5 * 30, "o_proj": 5 * 60}
    assert {m.operator: m.count * m.weights for m in rank.matrices if m.operator in stored} == stored
    matrices = tensors["attention"] + tensors["mlp"]
    vectors = (tensors["position"] + tensors["norm"]) * VECTOR
    assert rank.weight_bytes(PRECISION) == (4 * 10 + 4) * STORED["lm_head"] + matrices * WEIGHT + vectors
    assert rank.state_bytes(4, PRECISION) == 5 * 4 * 6 * CACHE
    assert network(Split(tp=4), layers={"one": [GQA]}).state_bytes(4, PRECISION) == rank.state_bytes(4, PRECISION)
    assert network(Split(cp=2)).state_bytes(4, PRECISION) == 5 * 2 * 12 * CACHE


def test_an_untied_rank_has_a_table_and_a_head() -> None:
    rank = network(Split(tp=2), tied_embeddings=False, embedding_width=6)
    found = {m.operator: m.weights for m in rank.matrices}
    assert (found["embedding"], found["lm_head"], found["embedding_up"]) == (4 * 6, 4 * 6, 6 * 10)
    assert rank.parameters["embedding"] == rank.parameters["lm_head"] == 4 * 6
    assert rank.parameters["embedding_projection"] == 2 * 6 * 10


def test_stages_pass_the_stream_on() -> None:
    model = network(Split(tp=2, dp=3, pp=3))
    (stages,) = [row for row in model.rows(PASS) if row.layer == "stages"]
    assert stages.count == 2
    assert rows_of(stages.operators) == [exchange("send", collective.send, STREAM, 3, "x", out=STREAM, stride=6)]
    assert {row.layer: row.count for row in model.rows(PASS)}["one"] == 5


def test_the_fullest_stage_holds_its_layers_and_its_end() -> None:
    """Five layers on two stages: three with the table, then two with the head."""
    whole = network(tied_embeddings=False, positions=3)
    layer = 10 * 12 + 2 * 10 * 6 + 12 * 10 + 2 * 10 * 6 + 2 * 10
    first = whole.stage(Split(pp=2))
    assert first.total_parameters == 3 * layer + 70 + 30
    assert (first.begins, first.ends, first.depth) == (True, False, 3)
    assert [row.layer for row in first.rows(PASS)] == ["embedding", "one", "stages"]
    assert "lm_head" not in {m.operator for m in first.matrices}
    assert first.weight_bytes(PRECISION) == first.weight_bytes(PRECISION)
    assert whole.stage(Split()) is whole
    assert whole.stage(Split(tp=2)) == whole.sharded(Split(tp=2))
    # of six layers on two stages the last is the fuller by a norm
    last = network(layout=[{"repeat": 6, "of": ["one"]}]).stage(Split(pp=2))
    assert last.total_parameters == 3 * layer + 70 + 10
    assert [row.layer for row in last.rows(PASS)] == ["one", "stages", "head"]
    assert {m.operator for m in last.matrices} >= {"lm_head"}
    assert last.state_bytes(4, PRECISION) == 3 * 4 * 12 * CACHE


def test_layers_left_over_go_to_the_stages_before_the_last() -> None:
    kinds = {f"l{i}": [{"kind": "mlp", "width": 1 + i}] for i in range(7)}
    seven = network(layers=kinds, layout=[{"repeat": 1, "of": list(kinds)}], vocab=1)
    assert list(seven.stage(Split(pp=3)).layers) == ["l5", "l6"]  # 2, 3, 2: the last, with widths of 6 and 7
    assert list(seven.stage(Split(pp=2)).layers) == ["l4", "l5", "l6"]  # 4, 3


def test_a_rank_of_a_prompt_computes_its_share_of_queries_and_pairs() -> None:
    whole, rank = network(), network(Split(cp=2))
    all_of_it, share = costs(whole, PASS), costs(rank, PASS)
    assert 2 * share["attention"].matrix == pytest.approx(all_of_it["attention"].matrix)
    assert 2 * share["up_proj"].matrix == all_of_it["up_proj"].matrix
    assert share["up_proj"].weights == all_of_it["up_proj"].weights


def test_a_rank_of_a_step_reads_its_share_of_the_cache() -> None:
    step = Pass(BATCH, 1, 9, PRECISION, phase="decode")
    whole, rank = network(), network(Split(cp=2))
    all_of_it, share = costs(whole, step), costs(rank, step)
    assert 2 * share["attention"].state == pytest.approx(all_of_it["attention"].state)
    assert share["up_proj"] == all_of_it["up_proj"]
    short = Pass(BATCH, 1, 0, PRECISION, phase="decode")
    assert {o.name: o.sizes for o in rank.rows(short)[1].operators}["attention"]["context"] == 0


def test_what_cannot_be_divided_is_told_with_what_can() -> None:
    with pytest.raises(
        InputError, match=r"toy, layer one, attention: heads 4 is not divisible by tp 3; tp can be 1, 2"
    ):
        network(Split(tp=3))
    with pytest.raises(InputError, match=r"ep 2: toy has no experts"):
        network(Split(dp=2, ep=2))
    with pytest.raises(InputError, match=r"pp 6: toy has 5 layers"):
        network(Split(pp=6))
    with pytest.raises(InputError, match=r"ep 8 is more than the 4 experts"):
        network(Split(dp=8, ep=8), layers={"one": [MOE]})


def test_a_split_is_not_read_from_a_file() -> None:
    with pytest.raises(InputError, match="split"):
        build(Architecture, {**BASE, "split": {"tp": 2}}, "toy.yaml")


def test_ranks_exchange_what_all_groups_of_a_step_made_at_once() -> None:
    """A prompt of three tokens beside two steps: of five tokens one sum after each part, and scores of three."""
    step = together([replace(PASS, batch=1), replace(PASS, batch=2, new=1, phase="decode")])
    found = {o.name: o.sizes["payload"] for o in _exchanges(network(Split(tp=2)), replace(step, logits="last"))}
    assert found == {name: 10 * ACT * 5 for name in ("embedding_join", "join_1", "join_2")} | {
        "logits_gather": 8 * ACT * (1 + 2)
    }


def _exchanges(model: Architecture, p: Pass) -> list[Operator]:
    return [each for row in model.rows(p) for each in row.operators if each.kind == "collective"]
