"""Where a budget binds, in layers: the closed form against bisection, hand counts and the members themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roofsim import library
from roofsim.foundation.units import show
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.fitted import chosen
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup, setup
from roofsim.reports.search import binding_words
from roofsim.spaces.search import search
from roofsim.spaces.share import Binding, binding, with_layers
from roofsim.specs.workload import workload

HYBRID = "mamba2-hybrid:width=1024:depth=24:attention_every=6"
CASES = [
    (HYBRID, "attention", "transformers-4.52-eager"),
    (HYBRID, "attention", "ideal"),
    (HYBRID, "attention", "vllm"),
    ("sliding-window", "attention", "cuda-graph"),
    ("parallel-hybrid:attention_every=3", "hybrid", "vllm"),
]
W = workload(prompt=8192, generate=64, dtype="fp16")


def stack(name: str, runtime: str) -> Setup:
    return chosen(setup(name, "jetson-orin-nano-8gb", runtime))


def at(s: Setup, kind: str, name: str, layers: float) -> float:
    e = Evaluation(replace(s, architecture=with_layers(s.architecture, kind, layers)), settled(s, W))
    return float(figure(name)(e))


def halfway(s: Setup, kind: str, name: str) -> Binding:
    """With a budget that the figure meets within the range in which both kinds of layer are there."""
    ends = [at(s, kind, name, layers) for layers in (1, s.architecture.depth - 1)]
    return binding(s, W, kind, name, sum(ends) / 2)


@pytest.mark.parametrize("name", ["tpot", "ttft", "memory.peak"])
@pytest.mark.parametrize(("member", "kind", "runtime"), CASES)
def test_the_closed_form_is_what_bisection_finds(member: str, kind: str, runtime: str, name: str) -> None:
    s = stack(member, runtime)
    found = halfway(s, kind, name)
    assert found.meetings
    for each in found.meetings:
        if not 1 <= each.layers <= s.architecture.depth - 1:
            continue
        assert each.line
        assert each.line.root == pytest.approx(each.layers, rel=1e-9)
        assert each.line.texts
        # the line is the engine's own figure on both sides of the budget
        for layers in (each.layers * 0.999, each.layers * 1.001):
            assert each.line.base + each.line.slope * layers == pytest.approx(at(s, kind, name, layers), rel=1e-9)


@pytest.mark.parametrize("name", ["tpot", "ttft", "memory.peak"])
@pytest.mark.parametrize(("member", "kind", "runtime"), CASES)
def test_the_numbers_of_layers_that_are_allowed_are_those_that_keep_the_budget(
    member: str, kind: str, runtime: str, name: str
) -> None:
    s = stack(member, runtime)
    found = halfway(s, kind, name)
    values = [at(s, kind, name, n) for n in range(s.architecture.depth + 1)]
    kept = {n for n, value in enumerate(values) if value <= found.budget}
    assert {n for low, high in found.allowed for n in range(low, high + 1)} == kept
    assert found.ends == (values[0], values[-1])
    turns = [n for n in range(s.architecture.depth) if (n in kept) != (n + 1 in kept)]
    assert len(found.meetings) == len(turns)
    assert all(n <= each.layers <= n + 1 for n, each in zip(turns, found.meetings, strict=True))


@pytest.mark.parametrize(("member", "kind", "runtime"), CASES)
def test_at_the_number_that_a_member_has_the_figures_are_its_own(member: str, kind: str, runtime: str) -> None:
    s = stack(member, runtime)
    own = Evaluation(s, settled(s, W))
    for name in ("tpot", "ttft", "memory.peak"):
        made = at(s, kind, name, float(s.architecture.counts[kind]))
        assert made == pytest.approx(float(figure(name)(own)), rel=1e-9)


def test_a_global_layer_in_the_place_of_a_window_holds_the_keys_that_the_window_drops() -> None:
    found = halfway(stack("sliding-window", "ideal"), "attention", "memory.peak")
    kv_heads, head_dim, window = 1, 256, 512
    keys_and_values = 2 * kv_heads * head_dim * 2  # bytes of a token in fp16
    assert found.meetings[0].line
    assert found.meetings[0].line.slope == pytest.approx(keys_and_values * (8192 - (window - 1)))


def test_a_layer_of_attention_in_the_place_of_a_scan_weighs_its_cache_and_its_matrices_more() -> None:
    found = halfway(stack(HYBRID, "ideal"), "attention", "memory.peak")
    width, heads, kv_heads, head_dim = 1024, 8, 2, 128
    attention = width * (2 * heads + 2 * kv_heads) * head_dim
    inner, state, ssm_heads = 2 * width, 128, 32
    channels = inner + 2 * state
    scan = width * (2 * inner + 2 * state + ssm_heads) + inner * width + channels * 5 + 3 * ssm_heads + inner
    held = 2 * kv_heads * head_dim * 2 * 8192 - (inner * state * 4 + channels * 4 * 2)
    assert found.meetings[0].line
    assert found.meetings[0].line.slope == pytest.approx(2 * (attention - scan) + held)


@pytest.mark.parametrize(("factor", "allowed"), [(0.1, ()), (10, ((0, 24),))])
def test_a_budget_beyond_all_is_kept_by_all_or_by_none(factor: float, allowed: tuple[tuple[int, int], ...]) -> None:
    s = stack(HYBRID, "ideal")
    found = binding(s, W, "attention", "tpot", factor * at(s, "attention", "tpot", 12))
    assert found.meetings == ()
    assert found.allowed == allowed


def words(most: int = 1, **more: Any) -> str:
    found = search(
        "mamba2-hybrid:width=1024:depth=24", "jetson-orin-nano-8gb", "ideal",
        over={"attention_every": (6, 0, 1)[:most]}, prompt=8192, generate=64, dtype="fp16", **more,
    )  # fmt: skip
    return "\n".join(binding_words(each, found.bound) for each in found.bindings)


def test_a_search_says_where_its_budgets_bind() -> None:
    s = stack(HYBRID, "ideal")
    budget, none = (at(s, "attention", "tpot", n) for n in (5.5, 0))
    said = words(where=f"tpot <= {budget!r} and memory_peak < 8 GiB")
    assert (
        f"TPOT below {show(budget, 's')}: with at least 6 of 24 layers of attention, from {show(none, 's')} with"
        in said
    )
    assert "The budget is met at 5.50 layers, 22.9%: there it is " in said
    assert "n = (budget - base) / slope = 5.50, with base = " in said
    assert "peak below 8.00 GiB: with any number of layers of attention" in said
    # members with one kind of layer, which have nothing to exchange, do not answer
    assert "(mamba2-hybrid:width=1024:depth=24:attention_every=6, mamba for the rest)" in words(3, where="tpot < 1 s")
    assert "TPOT below 1.00 us: with no number of layers" in words(3, where="tpot < 1 us")
    assert words(where="loss < 9 and tokens_per_second < 1e9") == ""
    assert "energy below 1.00 kJ: with any number" in words(where="energy < 1 kJ")
    assert words() == ""


def test_a_whole_number_that_meets_the_budget_exactly_keeps_it() -> None:
    s = stack(HYBRID, "ideal")
    assert "at least 5 of 24" in words(where=f"memory_peak <= {at(s, 'attention', 'memory.peak', 5)!r}")


def test_one_kind_of_layer_has_nothing_to_exchange() -> None:
    assert library.family("dense").pattern.layers == {"decoder": "otherwise"}
    found = search("dense", "h100-sxm", "ideal", over={"depth": (2, 4)}, where="tpot < 1 s")
    assert found.bindings == ()
