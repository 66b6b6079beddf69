"""What holds for every registered cost function, whatever its sizes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import astuple, fields
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from roofsim.engine.symbolic import cost_expressions
from roofsim.foundation.cost import Cost
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.model import architecture  # noqa: F401 - loads the operators of models
from roofsim.ops import attention, collective, gemm, pairs, scan  # noqa: F401 - collectives are between models
from roofsim.ops.base import REGISTER

COLUMNS = [each.name for each in fields(Cost)]
RANGES = {
    "batch": st.integers(1, 64),
    "new": st.integers(1, 5000),
    "context": st.integers(0, 20_000),
    "tokens": st.integers(1, 100_000),
    "window": st.integers(1, 30_000),
    "bias": st.integers(0, 1),
    "experts": st.integers(6000, 8192),  # never fewer than a token uses, not even when those grow
    "top_k": st.integers(1, 64),
}
WIDTH, BYTES = st.integers(1, 8192), st.sampled_from([0.5, 0.53125, 1, 2, 4])


def named(functions: list[Callable[..., Cost]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("function", functions, ids=lambda function: function.__name__)


def names(function: Callable[..., Cost]) -> list[str]:
    return list(inspect.signature(function).parameters)


def sizes(function: Callable[..., Cost]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {name: RANGES.get(name, BYTES if name.endswith("_bytes") else WIDTH) for name in names(function)}
    )


@cache
def expressions(function: Callable[..., Cost]) -> dict[str, Any]:
    return cost_expressions(function)


FUNCTIONS = list(REGISTER)
WITH_BATCH = [f for f in FUNCTIONS if "batch" in names(f)]
WITH_TOKENS = [f for f in FUNCTIONS if "tokens" in names(f)]
WITH_NEW = [f for f in FUNCTIONS if "new" in names(f)]


@named(FUNCTIONS)
@settings(max_examples=20)  # SymPy's substitution takes milliseconds
@given(data=st.data())
def test_symbol_number_and_array_agree(function: Callable[..., Cost], data: st.DataObject) -> None:
    given_sizes = data.draw(sizes(function))
    number = function(**given_sizes)
    array = function(**{name: np.array([[size], [size]], float) for name, size in given_sizes.items()})
    symbols = {sp.Symbol(SYMBOLS[name][0], positive=True): size for name, size in given_sizes.items()}
    for column in COLUMNS:
        value = getattr(number, column)
        assert float(expressions(function)[column].subs(symbols)) == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(getattr(array, column), np.full((2, 1), value), rtol=1e-12)


@named(FUNCTIONS)
def test_the_formula_has_no_symbol_but_its_sizes(function: Callable[..., Cost]) -> None:
    known = {SYMBOLS[name][0] for name in names(function)}
    for expression in expressions(function).values():
        assert {symbol.name for symbol in expression.free_symbols} <= known


@named(FUNCTIONS)
@given(data=st.data())
def test_no_cost_is_negative_and_none_falls_when_a_size_grows(
    function: Callable[..., Cost], data: st.DataObject
) -> None:
    small = data.draw(sizes(function))
    # a longer chunk trades states for pairs, a longer block the choice of blocks for pairs; a token that begins a chunk
    # or block of attention sees nothing of it but itself
    cut = (attention.chunked_attention, attention.block_sparse_attention)
    varies = {"chunk", "block"} | ({"context"} if function in cut else set())
    grown = data.draw(st.sampled_from([name for name in small if name not in varies]))
    more = 1 - small["bias"] if grown == "bias" else data.draw(st.integers(1, 5000))
    before, after = astuple(function(**small)), astuple(function(**{**small, grown: small[grown] + more}))
    for column, a, b in zip(COLUMNS, before, after, strict=True):
        assert 0 <= a <= b * (1 + 1e-12), (column, grown)


@named(WITH_BATCH)
@given(data=st.data(), times=st.integers(2, 100))
def test_cost_is_linear_in_the_batch_and_the_weights_are_read_once(
    function: Callable[..., Cost], data: st.DataObject, times: int
) -> None:
    one = data.draw(sizes(function))
    cost, many = function(**one), function(**{**one, "batch": times * one["batch"]})
    for column in COLUMNS:
        factor = 1 if column == "weights" else times
        assert getattr(many, column) == pytest.approx(factor * getattr(cost, column), rel=1e-12)


@named(WITH_TOKENS)
@given(data=st.data(), times=st.integers(2, 100))
def test_cost_is_linear_in_the_tokens_and_the_weights_are_read_once_unless_looked_up(
    function: Callable[..., Cost], data: st.DataObject, times: int
) -> None:
    one = data.draw(sizes(function))
    cost, many = function(**one), function(**{**one, "tokens": times * one["tokens"]})
    for column in COLUMNS:
        if function is gemm.expert_linear and column == "weights":
            continue  # more tokens touch more experts
        factor = 1 if column == "weights" and REGISTER[function] != "embedding" else times
        assert getattr(many, column) == pytest.approx(factor * getattr(cost, column), rel=1e-12)


@named(WITH_NEW)
@given(data=st.data(), new=st.integers(1, 200))
def test_prefill_costs_the_flops_of_the_decodes_it_replaces(
    function: Callable[..., Cost], data: st.DataObject, new: int
) -> None:
    whole = {**data.draw(sizes(function)), "new": new}
    if "chunk" in whole:
        whole["chunk"] = 1
    steps = [
        function(**{**whole, "new": 1, **({"context": whole["context"] + i} if "context" in whole else {})})
        for i in range(new)
    ]
    assert function(**whole).matrix == pytest.approx(sum(step.matrix for step in steps), rel=1e-12)
    assert function(**whole).vector == pytest.approx(sum(step.vector for step in steps), rel=1e-12)


@given(data=st.data(), more=st.integers(0, 10_000))
def test_a_window_as_long_as_the_sequence_is_full_attention(data: st.DataObject, more: int) -> None:
    full = data.draw(sizes(attention.causal_attention))
    full["window"] = full["context"] + full["new"]
    pairs = full["batch"] * sum(full["context"] + i + 1 for i in range(full["new"]))
    cost = attention.causal_attention(**full)
    assert attention.causal_attention(**{**full, "window": full["window"] + more}) == cost
    assert cost.matrix == pytest.approx(2 * pairs * full["heads"] * (full["qk_dim"] + full["v_dim"]), rel=1e-12)


@given(new=st.integers(1, 300), context=st.integers(0, 300), window=st.integers(1, 400))
def test_pairs_are_what_counting_them_gives(new: int, context: int, window: int) -> None:
    counted = sum(min(context + i + 1, window) for i in range(new))
    assert pairs.causal_pairs(new, context, window) == counted


@given(data=st.data(), more=st.integers(0, 10_000))
def test_a_chunk_as_long_as_the_sequence_is_the_quadratic_form(data: st.DataObject, more: int) -> None:
    whole = data.draw(sizes(scan.ssd_scan))
    whole["chunk"] = whole["new"]
    cost = scan.ssd_scan(**whole)
    assert scan.ssd_scan(**{**whole, "chunk": whole["new"] + more}) == cost
    tokens, d_inner = whole["batch"] * whole["new"], whole["heads"] * whole["head_dim"]
    pairs = tokens * (whole["new"] + 1) / 2
    quadratic = 2 * pairs * (whole["groups"] * whole["d_state"] + d_inner)
    assert cost.matrix == pytest.approx(quadratic + 4 * tokens * d_inner * whole["d_state"], rel=1e-12)


@given(new=st.integers(1, 2000), chunk=st.integers(1, 600))
def test_chunk_pairs_are_what_counting_them_gives(new: int, chunk: int) -> None:
    counted = sum(i % chunk + 1 for i in range(new))
    assert pairs.chunk_pairs(new, chunk) == counted


@given(data=st.data(), more=st.integers(1, 500))
def test_a_longer_chunk_scores_more_pairs_and_moves_fewer_states(data: st.DataObject, more: int) -> None:
    small = data.draw(sizes(scan.ssd_scan))
    short, long = scan.ssd_scan(**small), scan.ssd_scan(**{**small, "chunk": small["chunk"] + more})
    assert long.matrix >= short.matrix * (1 - 1e-12)
    assert long.activations <= short.activations * (1 + 1e-12)


@given(data=st.data())
def test_a_step_of_a_recurrence_reads_and_writes_its_whole_state(data: st.DataObject) -> None:
    for function in (scan.ssd_scan, scan.selective_scan):
        step = {**data.draw(sizes(function)), "new": 1}
        channels = step["d_inner"] if "d_inner" in step else step["heads"] * step["head_dim"]
        assert function(**step).state == 2 * step["batch"] * channels * step["d_state"] * step["state_bytes"]


@given(data=st.data())
def test_a_decode_step_reads_every_key_and_value_that_it_sees(data: st.DataObject) -> None:
    step = {**data.draw(sizes(attention.causal_attention)), "new": 1}
    seen = min(step["context"], step["window"] - 1) + 1
    width = step["kv_heads"] * (step["qk_dim"] + step["v_dim"])
    assert attention.causal_attention(**step).state >= step["batch"] * seen * width * step["cache_bytes"]
