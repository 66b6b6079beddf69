"""What holds for recurrences in chunks: they compute what the recurrence does, with the work that is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofsim.foundation.cost import Cost
from roofsim.ops import recurrence

SMALL = st.integers(1, 6)
SIZES = {"heads": SMALL, "qk_dim": SMALL, "v_dim": SMALL, "act_bytes": st.just(1), "state_bytes": st.just(1)}
CHUNKED: dict[Callable[..., Cost], dict[str, st.SearchStrategy[Any]]] = {
    recurrence.linear_attention: SIZES | {"gates": SMALL},
    recurrence.mlstm: SIZES,
    recurrence.wkv: SIZES | {"gates": SMALL, "weight_bytes": st.just(1)},
    recurrence.delta_rule: SIZES
    | {"gates": SMALL, "key_heads": SMALL, "keys": st.sampled_from([1, 2]), "weight_bytes": st.just(1)},
}
every_recurrence = pytest.mark.parametrize("function", CHUNKED, ids=lambda function: function.__name__)
every_chunk = given(
    new=st.integers(1, 12), chunk=st.integers(1, 8), qk_dim=SMALL, v_dim=SMALL, seed=st.integers(0, 2**32 - 1)
)


class Counter:
    """Products of two vectors or of a number and a vector, 2 FLOP per multiply-add."""

    def __init__(self) -> None:
        self.flops = 0

    def dot(self, a: np.ndarray, b: np.ndarray) -> Any:
        self.flops += 2 * a.size
        return a @ b

    def outer(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        self.flops += 2 * a.size * b.size
        return np.outer(a, b)

    def read(self, state: np.ndarray, a: np.ndarray) -> np.ndarray:
        self.flops += 2 * state.size
        return a @ state

    def scaled(self, weight: float, a: np.ndarray) -> np.ndarray:
        self.flops += 2 * a.size
        return weight * a


def drawn(seed: int, new: int, *widths: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=(new, width)) for width in widths]


@every_chunk
def test_linear_attention_in_chunks_is_the_recurrence_with_the_products_counted(
    new: int, chunk: int, qk_dim: int, v_dim: int, seed: int
) -> None:
    q, k, v = drawn(seed, new, qk_dim, qk_dim, v_dim)
    state, expected = np.zeros((qk_dim, v_dim)), []
    for t in range(new):
        state = state + np.outer(k[t], v[t])
        expected.append(q[t] @ state)

    count, state, results = Counter(), np.zeros((qk_dim, v_dim)), []
    for start in range(0, new, chunk):
        rows = range(start, min(start + chunk, new))
        for t in rows:
            inside = [count.scaled(count.dot(q[t], k[j]), v[j]) for j in range(start, t + 1)]
            results.append(count.read(state, q[t]) + sum(inside))
        for t in rows:
            state = state + count.outer(k[t], v[t])
    np.testing.assert_allclose(results, expected, rtol=1e-9, atol=1e-9)
    sizes = {"heads": 1, "qk_dim": qk_dim, "v_dim": v_dim, "act_bytes": 1, "state_bytes": 1}
    assert recurrence.linear_attention(1, new, gates=0, chunk=chunk, **sizes).matrix == count.flops


@every_chunk
@pytest.mark.parametrize("keys", [1, 2])
@settings(max_examples=50)
def test_a_delta_rule_in_chunks_is_the_recurrence_with_the_products_counted(
    keys: int, new: int, chunk: int, qk_dim: int, v_dim: int, seed: int
) -> None:
    """S = S + b (aᵀS) + k vᵀ; with one key b is k, and v and a carry its learning rate."""
    q, k, b, a, v = drawn(seed, new, qk_dim, qk_dim, qk_dim, qk_dim, v_dim)
    a = -a / 4
    if keys == 1:
        b = k
    state, expected = np.zeros((qk_dim, v_dim)), []
    for t in range(new):
        state = state + np.outer(b[t], a[t] @ state) + np.outer(k[t], v[t])
        expected.append(q[t] @ state)

    count, state, results = Counter(), np.zeros((qk_dim, v_dim)), []
    for start in range(0, new, chunk):
        rows = range(start, min(start + chunk, new))
        # what each token adds along b: W of it depends on the state before the chunk, U of it does not
        w: dict[int, np.ndarray] = {}
        u: dict[int, np.ndarray] = {}
        for t in rows:
            removed = {j: count.dot(a[t], b[j]) for j in range(start, t)}
            w[t] = a[t] + sum(count.scaled(removed[j], w[j]) for j in removed)
            u[t] = sum((count.scaled(removed[j], u[j]) for j in removed), start=np.zeros(v_dim))
            if keys == 1:
                u[t] = u[t] + v[t]
            else:
                u[t] = u[t] + sum(count.scaled(count.dot(a[t], k[j]), v[j]) for j in removed)
        added = {t: u[t] + count.read(state, w[t]) for t in rows}
        for t in rows:
            seen = range(start, t + 1)
            result = count.read(state, q[t]) + sum(count.scaled(count.dot(q[t], b[j]), added[j]) for j in seen)
            if keys == 2:
                result = result + sum(count.scaled(count.dot(q[t], k[j]), v[j]) for j in seen)
            results.append(result)
        for t in rows:
            state = state + count.outer(b[t], added[t])
            if keys == 2:
                state = state + count.outer(k[t], v[t])
    np.testing.assert_allclose(results, expected, rtol=1e-7, atol=1e-7)
    sizes = {"qk_dim": qk_dim, "v_dim": v_dim, "weight_bytes": 1, "act_bytes": 1, "state_bytes": 1}
    cost = recurrence.delta_rule(1, new, key_heads=1, heads=1, keys=keys, gates=2, chunk=chunk, **sizes)
    assert cost.matrix == count.flops


@every_recurrence
@given(data=st.data(), new=st.integers(1, 300), chunk=st.integers(1, 300), more=st.integers(1, 300))
def test_a_longer_chunk_scores_more_pairs_and_moves_fewer_states(
    function: Callable[..., Cost], data: st.DataObject, new: int, chunk: int, more: int
) -> None:
    sizes = data.draw(st.fixed_dictionaries(CHUNKED[function]))
    short, long = (function(2, new, chunk=size, **sizes) for size in (chunk, chunk + more))
    assert long.matrix >= short.matrix
    assert long.activations <= short.activations
    assert long.state == short.state


@every_recurrence
@given(data=st.data(), new=st.integers(1, 300), more=st.integers(0, 10_000))
def test_a_chunk_longer_than_the_sequence_changes_nothing(
    function: Callable[..., Cost], data: st.DataObject, new: int, more: int
) -> None:
    sizes = data.draw(st.fixed_dictionaries(CHUNKED[function]))
    assert function(2, new, chunk=new, **sizes) == function(2, new, chunk=new + more, **sizes)
