"""What one rank has of every part and network: sizes, exchanges, tensors and state, written down by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from counting.rank_parts import DELTA, EXPERTS, GQA, GROUPED, MLA, RANKS, ROUTED, TP2, Exchange, of
from counting.rows import ACT, BATCH, CONTEXT, NEW, PASS, PRECISION, STATE, STORED, TOKENS, WEIGHT, D, rows_of

from roofsim.foundation.errors import InputError
from roofsim.foundation.extremes import largest, places
from roofsim.foundation.schema import checked
from roofsim.model.ffn.moe import busiest
from roofsim.model.part import PARTS, Part
from roofsim.model.split import Split
from roofsim.model.step import Pass, Routing, together
from roofsim.ops import collective
from roofsim.ops.base import Operator


def made(fields) -> Part:  # type: ignore[no-untyped-def]
    return checked(PARTS[fields["kind"]], fields)


def exchanges(operators: list[Operator]) -> list[Exchange]:
    """The collectives among operators, each with what stands before it."""
    found, before = [], ""
    for each in operators:
        if each.kind == "collective":
            size = each.sizes
            found.append(Exchange(each.name, before, size["payload"], each.function, size["ranks"], size["stride"]))
        before = each.name
    return found


def test_every_kind_of_part_is_divided() -> None:
    assert {rank.whole["kind"] for rank in RANKS.values()} | {"rwkv_mlp"} == set(PARTS)


@pytest.mark.parametrize("name", RANKS)
def test_a_rank_has_a_smaller_part_and_what_is_exchanged(name: str) -> None:
    case = RANKS[name]
    rank, own = made(case.whole).sharded(case.split), made(case.own)
    operators = list(rank.operators(case.p, D))
    assert exchanges(operators) == list(case.exchanges)
    if name != "looked up":  # of whose table it reads the rows of some tokens
        expected = rows_of(own.operators(case.p, D))
        names = {each.name for each in case.exchanges}
        got = rows_of([each for each in operators if each.kind != "collective"])
        assert [replace(each, uses=tuple(use for use in each.uses if use not in names)) for each in got] == expected
    assert rank.parameters(D) == own.parameters(D)
    assert rank.shared_parameters(D) == own.shared_parameters(D)
    assert rank.idle_parameters(D) == own.idle_parameters(D)
    assert rank.state_bytes(4, PRECISION) == own.state_bytes(4, PRECISION) + case.state
    assert rank.joins is case.joins


@pytest.mark.parametrize("name", RANKS)
def test_one_rank_has_all_and_to_divide_twice_is_to_divide_by_the_product(name: str) -> None:
    case = RANKS[name]
    whole = made(case.whole)
    assert whole.sharded(Split()) is whole
    assert whole.sharded(Split(dp=2, pp=3)) is whole
    if case.split == Split(tp=4):
        assert whole.sharded(TP2).sharded(TP2) == whole.sharded(case.split)


def test_a_table_is_read_for_the_tokens_whose_rows_a_rank_has() -> None:
    case = RANKS["looked up"]
    (table, *_) = made(case.whole).sharded(TP2).operators(PASS, D)
    assert table.sizes["weight_bytes"] == STORED["layer_embedding"] / 2
    assert made(case.whole).sharded(TP2).tables == {"layer_embedding": (4, 4)}


def test_a_gated_channel_mix_gates_the_share_of_a_rank_which_is_gathered() -> None:
    rank = made({"kind": "rwkv_mlp", "d_in": 10, "width": 6}).sharded(TP2)
    operators = {each.name: each for each in rank.operators(PASS, D)}
    scatter = Exchange("channel_scatter", "channel_value", 10 * ACT * TOKENS, collective.reduce_scatter)
    assert exchanges(list(operators.values())) == [scatter]
    assert operators["channel_key"].sizes["d_out"] == 3
    assert operators["channel_receptance"].sizes["d_out"] == 5
    assert operators["channel_gate"].sizes["width"] == 5
    assert rank.joins is collective.all_gather
    assert rank.parameters(D) == {"mlp": 10 * 3 + 3 * 10 + 10 * 5 + 2 * 10}
    assert rank.state_bytes(4, PRECISION) == 10 * ACT


# context parallelism: two ranks of a prompt have 1.5 of the three tokens, as if (3 − 1.5) / 2 more were held

CP2 = Split(cp=2, tp=2)
RINGS = {
    "keys and values": (GQA, 6, "cache_append"),
    "latents": (MLA, 6 + 2, "cache_append"),
}


@pytest.mark.parametrize("name", RINGS)
def test_keys_of_all_tokens_go_around_the_ranks_of_a_prompt(name: str) -> None:
    fields, width, after = RINGS[name]
    share = replace(PASS, new=1.5, context=4.75)
    (ring,) = exchanges(list(made(fields).sharded(CP2).operators(share, D)))
    payload = BATCH * (NEW + CONTEXT) * width * ACT
    assert ring == Exchange("kv_ring", after, payload, collective.all_gather, 2, 2)


def test_of_a_window_what_the_ranks_see_goes_around() -> None:
    share = replace(PASS, new=1.5, context=4.75)
    rank = made(of(GQA, window=2)).sharded(Split(cp=2))
    (ring,) = exchanges(list(rank.operators(share, D)))
    assert ring.payload == BATCH * 2 * (1 + 1.5) * 12 * ACT


def test_in_decode_what_ranks_made_of_their_caches_is_added_up() -> None:
    decode = Pass(BATCH, 1, 3, PRECISION, phase="decode")
    (added,) = exchanges(list(made(GQA).sharded(CP2).operators(decode, D)))
    # two heads of three elements and their denominators in fp32
    assert added == Exchange("attention_sum", "attention", BATCH * 2 * (3 * ACT + 4), collective.all_reduce, 2, 2)
    for form, width in (("absorbed", 6), ("expanded", 5)):
        (added,) = exchanges(list(made(MLA).sharded(CP2).operators(replace(decode, latents=form), D)))
        assert added.payload == BATCH * 2 * (width * ACT + 4)
        assert added.after == "attention"


STATES = {
    "gated_delta": (DELTA, (2 * 5 * 3) * STATE + (3 + 3 + 10) * 4 * ACT, "scan"),
    "mamba2": (of(GROUPED, gated_norm=False), (6 * 5) * STATE + (6 + 10) * 4 * ACT, "scan"),
    "mamba1": ({"kind": "mamba1", "d_inner": 6, "d_state": 4, "dt_rank": 2}, 3 * 4 * STATE + 3 * 4 * ACT, "scan"),
    "kda": ({"kind": "kda", "heads": 2, "head_dim": 3}, 3 * 3 * STATE + 3 * 3 * 4 * ACT, "scan"),
    "lightning": ({"kind": "lightning", "heads": 2, "head_dim": 3}, 3 * 3 * ACT, "scan"),
    "mlstm": ({"kind": "mlstm", "heads": 2, "qk_dim": 3, "v_dim": 4}, (12 + 3 + 1) * ACT, "scan"),
    "rg_lru": ({"kind": "rg_lru", "heads": 2, "head_dim": 3}, 3 * STATE + 3 * 3 * ACT, "scan"),
    "short_conv": ({"kind": "short_conv", "channels": 6}, 3 * 3 * ACT, "conv"),
    "rwkv4": ({"kind": "rwkv4", "width": 10}, 3 * 5 * STATE + 10 * ACT, "scan"),
    "rwkv6": ({"kind": "rwkv6", "heads": 2, "head_dim": 5}, 5 * 5 * STATE + 10 * ACT, "scan"),
    "rwkv7": (RANKS["rwkv7"].whole, 5 * 5 * STATE + 10 * ACT, "scan"),
    "hymba": (RANKS["both kinds"].whole, 4 * 5 * STATE + 4 * 4 * ACT, "scan"),
}


@pytest.mark.parametrize("name", STATES)
def test_states_of_the_shares_of_a_prompt_are_gathered_and_those_of_decode_are_not(name: str) -> None:
    fields, state, after = STATES[name]
    rank = made(fields).sharded(CP2)
    found = {each.name: each for each in exchanges(list(rank.operators(PASS, D)))}
    assert found["state_gather"] == Exchange("state_gather", after, 2 * BATCH * state, collective.all_gather, 2, 2)
    decode = replace(PASS, phase="decode", new=1)
    assert "state_gather" not in {each.name for each in exchanges(list(rank.operators(decode, D)))}


# experts: four, of which a token uses two

STEP = replace(PASS, phase="decode")
WIDE = {"kind": "moe", "experts": 8, "top_k": 2, "width": 6, "expert_bias": True}


def test_experts_of_a_layer_go_to_its_ranks_and_their_results_are_summands() -> None:
    """Four ranks of a layer and two places for experts: four whole experts each, of half the width."""
    rank = made(WIDE).sharded(Split(tp=4, ep=2))
    operators = {each.name: each for each in rank.operators(PASS, D)}
    chosen = busiest(TOKENS, 8, 2, 4, 2)
    for name, d_in, d_out in (("experts_up", 10, 6), ("experts_down", 3, 10)):
        sizes = {"tokens": TOKENS, "experts": 4, "top_k": chosen, "d_in": d_in, "d_out": d_out, "bias": 1}
        byte = STORED.get(name, WEIGHT)
        assert dict(operators[name].sizes) == {**sizes, "weight_bytes": byte, "act_bytes": ACT}
        assert operators[name].out == pytest.approx(TOKENS * chosen * d_out * ACT)
    assert operators["experts_act"].sizes["tokens"] == TOKENS * chosen
    assert operators["experts_act"].sizes["width"] == 3
    assert operators["combine"].sizes == {"tokens": TOKENS, "top_k": chosen, "width": 10, "act_bytes": ACT}
    assert operators["router"].sizes["d_out"] == operators["route"].sizes["experts"] == 8
    assert exchanges(list(operators.values())) == []
    assert rank.joins is collective.all_reduce
    expert = 10 * 3 + 3 + 10 * 3 + 3 + 3 * 10 + 10
    assert rank.parameters(D) == {"moe": 8 * 10 + 4 * expert}
    assert rank.idle_parameters(D) == 3 * expert


def test_tokens_go_to_experts_of_other_groups_and_back() -> None:
    """Ranks of a layer send a half of its tokens each; four groups of two ranks have the experts, one a rank."""
    rank = made(WIDE).sharded(Split(tp=2, dp=4, ep=8))
    operators = {each.name: each for each in rank.operators(STEP, D)}
    chosen = busiest(4 * TOKENS, 8, 2, 1, 8)
    for name in ("experts_up", "experts_down"):
        assert operators[name].sizes["tokens"] == 4 * TOKENS * chosen
        assert operators[name].sizes["experts"] == operators[name].sizes["top_k"] == 1
    assert operators["experts_act"].sizes["tokens"] == 4 * TOKENS * chosen
    payload = TOKENS / 2 * 2 * 10 * ACT
    assert exchanges(list(operators.values())) == [
        Exchange("dispatch", "route", payload, collective.all_to_all, 8),
        Exchange("collect", "experts_down", payload, collective.all_to_all, 8),
    ]
    assert operators["dispatch"].out == pytest.approx(4 * TOKENS * chosen * 10 * ACT)
    assert operators["collect"].out == payload
    assert operators["dispatch"].uses == ("x", "route")
    assert operators["experts_up"].uses == ("dispatch", "route")
    assert operators["combine"].uses == ("collect", "route")
    assert operators["combine"].sizes == {"tokens": TOKENS / 2, "top_k": 2, "width": 10, "act_bytes": ACT}
    assert rank.joins is collective.all_gather
    assert made(of(EXPERTS, shared_width=4)).sharded(Split(tp=2, dp=2, ep=4)).joins is collective.all_reduce
    assert made(WIDE).sharded(Split(dp=8, ep=8)).joins is None


def test_tokens_are_sent_as_their_product_takes_them_and_results_as_they_are() -> None:
    eights = replace(PRECISION, products={"weights": "fp8"})
    rank = made(WIDE).sharded(Split(dp=4, ep=4))
    operators = {each.name: each for each in rank.operators(replace(STEP, precision=eights), D)}
    assert operators["dispatch"].sizes["payload"] == TOKENS * 2 * 10
    assert operators["collect"].sizes["payload"] == TOKENS * 2 * 10 * ACT
    assert operators["dispatch"].out == pytest.approx(4 * TOKENS * busiest(4 * TOKENS, 8, 2, 2, 4) * 10)


def test_a_padded_step_sends_what_pads_it_too() -> None:
    rank = made(WIDE).sharded(Split(tp=2, dp=2, ep=4))
    operators = {each.name: each for each in rank.operators(replace(STEP, padding=2), D)}
    assert operators["dispatch"].sizes["payload"] == (TOKENS + 2) / 2 * 2 * 10 * ACT
    chosen = busiest(2 * (TOKENS + 2), 8, 2, 2, 4)
    assert operators["experts_up"].sizes["tokens"] == pytest.approx(2 * (TOKENS + 2) * chosen)
    assert operators["combine"].sizes["tokens"] == (TOKENS + 2) / 2


def test_a_prompt_sends_a_token_once_to_each_rank_that_has_experts_of_it_and_results_back_the_same_way() -> None:
    """Eight experts in four groups, three of them open to a token, which chooses four; a rank has one expert."""
    rank = made(of(WIDE, top_k=4, expert_groups=4, group_limit=3)).sharded(Split(dp=8, ep=8))
    operators = {each.name: each for each in rank.operators(PASS, D)}
    choice = {"experts": 8, "expert_groups": 4, "group_limit": 3, "top_k": 4}
    for name, before in (("dispatch", "route"), ("collect", "experts_down")):
        sizes = {"payload": TOKENS * 10 * ACT, "ranks": 8, "stride": 1, "copies": pytest.approx(4)}
        assert dict(operators[name].sizes) == {**sizes, **choice}
        assert Exchange(name, before, TOKENS * 10 * ACT, collective.to_experts, 8) in exchanges(
            list(operators.values())
        )
    assert operators["dispatch"].out == pytest.approx(8 * TOKENS * busiest(8 * TOKENS, 8, 4, 1, 8) * 10 * ACT)
    assert operators["collect"].out == TOKENS * 4 * 10 * ACT


def test_single_tokens_go_to_experts_with_those_of_prompts_in_the_same_step() -> None:
    rank = made(WIDE).sharded(Split(dp=4, ep=4))
    apart = Routing(apart=True)
    mixed = together([replace(STEP, new=1, routing=apart), replace(PASS, routing=apart)])
    prompts, steps = mixed.groups
    assert (prompts.phase, steps.phase) == ("prefill", "decode")
    for group, tokens in ((prompts, TOKENS), (steps, BATCH)):
        (dispatch,) = (o for o in rank.operators(group, D) if o.name == "dispatch")
        assert (dispatch.function, dispatch.sizes["payload"]) == (collective.to_experts, tokens * 10 * ACT)
    (alone,) = (o for o in rank.operators(replace(STEP, routing=apart), D) if o.name == "dispatch")
    assert alone.function is collective.all_to_all


def test_where_tokens_are_gathered_each_rank_has_those_of_all_and_hands_back_sums() -> None:
    rank = made(of(WIDE, latent=4)).sharded(Split(tp=2, dp=2, ep=4))
    operators = {each.name: each for each in rank.operators(replace(PASS, routing=Routing(gathered=True)), D)}
    of_all, chosen = 2 * TOKENS, busiest(2 * TOKENS, 8, 2, 2, 4)
    assert exchanges(list(operators.values())) == [
        Exchange("dispatch", "latent_down", of_all * 4 * ACT, collective.all_gather, 4),
        Exchange("collect", "combine", of_all * 4 * ACT, collective.reduce_scatter, 4),
    ]
    assert operators["dispatch"].out == of_all * 4 * ACT
    assert operators["collect"].out == TOKENS / 2 * 4 * ACT
    for name in ("experts_up", "experts_down"):
        assert (operators[name].sizes["tokens"], operators[name].sizes["top_k"]) == (of_all, pytest.approx(chosen))
    assert operators["experts_act"].sizes["tokens"] == pytest.approx(of_all * chosen)
    assert operators["combine"].sizes == {"tokens": of_all, "top_k": chosen, "width": 4, "act_bytes": ACT}
    assert operators["combine"].uses == ("experts_down", "route")
    assert (operators["latent_up"].sizes["tokens"], operators["latent_up"].uses) == (TOKENS / 2, ("collect",))
    assert rank.joins is collective.all_gather


@pytest.mark.parametrize("bins", [1, 2, 4, 8])
def test_places_of_the_experts_of_a_token_are_those_of_all_its_choices(bins: int) -> None:
    """Eight experts in four groups of which two are open, three are chosen: every choice, each as likely."""
    touched = [
        len({expert * bins // 8 for expert in chosen})
        for open_to in combinations(range(4), 2)
        for chosen in combinations([e for e in range(8) if e // 2 in open_to], 3)
    ]
    assert places(bins, 8, 4, 2, 3) == pytest.approx(np.mean(touched))


def test_ranks_that_share_a_prompt_send_tokens_to_experts_and_have_the_same_ones_in_a_step() -> None:
    """Two ranks of a layer, two that share each sequence: experts on all four, or those of two groups on eight."""
    rank = made(WIDE).sharded(Split(tp=2, cp=2, ep=4))
    prompt = {each.name: each for each in rank.operators(PASS, D)}
    assert prompt["dispatch"].sizes["payload"] == TOKENS / 2 * 10 * ACT
    assert prompt["experts_up"].sizes["tokens"] == 2 * TOKENS * busiest(2 * TOKENS, 8, 2, 2, 4)
    (join,) = rank.join(PASS, "join_2", D, "combine")
    assert (join.function, join.sizes["ranks"]) == (collective.all_gather, 2)
    step = {each.name: each for each in rank.operators(STEP, D)}
    assert exchanges(list(step.values())) == []
    assert step["experts_up"].sizes["tokens"] == step["combine"].sizes["tokens"] == TOKENS
    (join,) = rank.join(STEP, "join_2", D, "combine")
    assert dict(join.sizes) == {"payload": TOKENS * 10 * ACT, "ranks": 4, "stride": 1}
    assert join.function is collective.all_reduce
    more = made(WIDE).sharded(Split(cp=2, dp=4, ep=8))
    step = {each.name: each for each in more.operators(STEP, D)}
    assert step["dispatch"].sizes["payload"] == TOKENS / 2 * 2 * 10 * ACT
    assert step["combine"].sizes["tokens"] == TOKENS / 2
    (join,) = more.join(STEP, "join_2", D, "combine")
    assert (join.function, join.sizes["ranks"]) == (collective.all_gather, 2)
    assert list(more.join(PASS, "join_2", D, "combine")) == []
    few = made(WIDE).sharded(Split(tp=2, cp=2, ep=2))
    assert [each.sizes["ranks"] for each in few.join(STEP, "join_2", D, "combine")] == [2]


def test_places_without_groups_or_across_them_are_those_of_any_choice() -> None:
    touched = [len({expert // 2 for expert in chosen}) for chosen in combinations(range(6), 2)]
    assert places(3, 6, 1, 1, 2) == places(3, 6, 2, 1, 2) == pytest.approx(np.mean(touched))
    assert places(1, 6, 1, 1, 6) == 1


def test_experts_work_at_the_width_of_their_latent_and_that_is_sent() -> None:
    rank = made(of(WIDE, latent=4)).sharded(Split(tp=2, dp=2, ep=4))
    operators = {each.name: each for each in rank.operators(STEP, D)}
    assert operators["dispatch"].sizes["payload"] == TOKENS / 2 * 2 * 4 * ACT
    assert operators["dispatch"].uses == ("latent_down", "route")
    assert operators["latent_up"].sizes["tokens"] == TOKENS / 2
    assert operators["latent_down"].sizes["tokens"] == TOKENS


def test_experts_that_do_not_go_round_are_on_several_ranks() -> None:
    rank = made(of(WIDE, experts=7)).sharded(Split(dp=4, ep=4))
    assert rank.parameters(D) == {"moe": 7 * 10 + 2 * (10 * 6 + 6 + 10 * 6 + 6 + 6 * 10 + 10)}


@pytest.mark.parametrize(
    ("tokens", "experts", "top_k", "ranks"),
    [(1, 256, 8, 8), (16, 256, 8, 32), (64, 256, 8, 64), (256, 8, 2, 2), (64, 64, 6, 8), (64, 8, 2, 8), (2, 8, 4, 8)],
)
def test_the_busiest_rank_has_as_many_choices_as_in_a_draw(tokens: int, experts: int, top_k: int, ranks: int) -> None:
    """Tokens that choose experts evenly, drawn 400 times; the mean of the largest load has an error of 1 to 2 %."""
    chance = np.random.default_rng(1)
    chosen = chance.random((400, tokens, experts)).argsort(axis=-1)[..., :top_k] // (experts // ranks)
    largest_loads = [np.bincount(each.ravel(), minlength=ranks).max() for each in chosen]
    expected = tokens * busiest(tokens, experts, top_k, experts // ranks, ranks)
    assert expected == pytest.approx(np.mean(largest_loads), rel=0.04)


@pytest.mark.parametrize(("spread", "held", "ranks"), [(0.3, 8, 8), (0.6, 16, 16), (1.28, 8, 32), (1.28, 32, 8)])
def test_the_busiest_rank_of_experts_that_are_chosen_more_or_less_often(spread: float, held: int, ranks: int) -> None:
    """Log-normal shares, drawn 2,000 times, of many tokens: chance adds nothing. The error of the mean is 1 to 3 %."""
    chance, wide = np.random.default_rng(1), np.log(1 + spread**2) ** 0.5
    shares = chance.lognormal(-(wide**2) / 2, wide, (2000, ranks, held)).sum(axis=-1)
    over = np.mean(shares.max(axis=-1)) / held - 1
    expected = busiest(1e12, ranks * held, 8, held, ranks, spread) * ranks / 8 - 1
    assert expected == pytest.approx(over, rel=0.15)


def test_the_busiest_rank_of_uneven_experts_by_hand() -> None:
    """Shares with c = 1/2 on two experts each: c² μ² / 2 = μ² / 8 and c⁴ (3 + c²) μ³ / 4 = 13 μ³ / 256."""
    first, second = largest(4)
    mean = 2 / 4
    by_chance = mean * 6 / 7 / 10
    varied, third = by_chance + mean**2 / 8, by_chance / 10 + 13 / 256 * mean**3
    by_hand = mean + first * varied**0.5 + (second - 1) / 6 * third / varied
    assert busiest(10, 8, 2, 2, 4, 0.5) == pytest.approx(by_hand)
    assert busiest(10, 8, 2, 2, 4, 0) == busiest(10, 8, 2, 2, 4) < by_hand
    assert busiest(10, 8, 2, 2, 4, 50) == 2


def test_the_busiest_rank_by_hand() -> None:
    """Two normals: 1/√π, and 1; eight: 1.4236 (Harter 1961, table 1)."""
    assert largest(2) == pytest.approx((np.pi**-0.5, 1), rel=1e-9)
    assert largest(8)[0] == pytest.approx(1.42360, rel=1e-5)
    first, second = largest(8)
    mean, spread = 64 * 8 / 8, 64 * 8 / 8 * (256 - 8) / 255
    assert 64 * busiest(64, 256, 8, 32, 8) == pytest.approx(mean + first * spread**0.5 + (second - 1) / 6)
    assert busiest(1, 8, 2, 1, 8) == 1  # two experts of one token are on two ranks
    assert busiest(1, 256, 1, 4, 64) == 1
    assert busiest(np.array([64.0]), 256, 8, 32, 8) == pytest.approx([busiest(64, 256, 8, 32, 8)])
    assert busiest(3, 1, 1, 1, 1) == 1


def test_sizes_that_ranks_cannot_share_are_refused() -> None:
    refused = {
        r"heads 4 is not divisible by tp 3": (GQA, Split(tp=3)),
        r"kv_heads 4 is neither divisible by tp 6 nor divides it": (of(GQA, heads=12, kv_heads=4), Split(tp=6)),
        r"groups 2 is neither divisible by tp 3 nor divides it": (of(GROUPED, heads=6, groups=2), Split(tp=3)),
        r"d_in 9 is not divisible by tp 2": ({"kind": "rwkv_mlp", "d_in": 9, "width": 6}, TP2),
        r"shared_width 4 is not divisible by tp 3": (EXPERTS, Split(tp=3, ep=3)),
        r"ep 8 is more than the 4 experts of a layer": (EXPERTS, Split(dp=8, ep=8)),
        r"ep 2 neither divides tp 3 nor is a multiple of it": (ROUTED, Split(tp=3, dp=2, ep=2)),
        r"ep 3 neither divides tp × cp 2 nor is a multiple of it": (EXPERTS, Split(cp=2, dp=3, ep=3)),
    }  # fmt: skip
    within = made(EXPERTS).sharded(Split(tp=2, cp=2, ep=2))
    assert within.parameters(D) == {"moe": 10 * 4 + 2 * 3 * 10 * 6 + 3 * 10 * 2 + 10}
    for message, (fields, split) in refused.items():
        with pytest.raises(InputError, match=message):
            made(fields).sharded(split)
