"""What holds for every kind of mixer and channel mixer, whatever its sizes. A new kind adds one row of examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as columns_of
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from roofsim.foundation.cost import Cost
from roofsim.foundation.schema import items, variant
from roofsim.model import architecture  # noqa: F401 - loads every part
from roofsim.model.mixers.attention import Attention
from roofsim.model.part import PARTS, Part
from roofsim.model.step import Pass, Precision

COLUMNS = [each.name for each in columns_of(Cost)]
D_MODEL = 12
ONE, SWITCH = st.integers(1, 9), st.booleans()
HEADS = {"heads": st.just(4), "kv_heads": st.sampled_from([1, 2, 4]), "head_dim": st.sampled_from([2, 6])}
SSD = {"heads": st.sampled_from([2, 4]), "head_dim": ONE, "d_state": ONE, "groups": st.sampled_from([1, 2])}
SSD |= {"chunk": ONE, "conv_bias": SWITCH, "gated_norm": SWITCH}
WKV = {"heads": st.just(3), "head_dim": st.just(D_MODEL // 3), "chunk": ONE}  # as wide as the model


def nested(kind: str, fields: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind), **fields})


GATED_MLP = {"width": ONE, "fused": SWITCH, "bias": SWITCH, "lora_rank": st.integers(0, 3)}
MOE = {"experts": st.integers(4, 9), "top_k": st.integers(1, 4), "width": ONE, "gated": SWITCH}
EXAMPLES: Mapping[str, Mapping[str, st.SearchStrategy[Any]]] = {
    "attention": HEADS | {"window": st.none() | ONE, "qkv_bias": SWITCH, "out_bias": SWITCH, "rotary": SWITCH},
    "mla": {
        "heads": ONE, "kv_rank": ONE, "q_rank": st.none() | ONE, "nope_dim": ONE, "rope_dim": ONE, "v_dim": ONE,
    },
    "hymba": HEADS | {"d_inner": st.sampled_from([8, 16]), "d_state": ONE, "dt_rank": ONE, "reuses_kv": SWITCH},
    "parallel": {"attention": nested("attention", HEADS), "ssm": nested("mamba2", SSD)},
    "shared_block": {
        "block": st.just("A"),
        "attention": nested("attention", HEADS | {"d_in": st.just(2 * D_MODEL), "lora_rank": st.integers(0, 3)}),
        "mlp": nested("gated_mlp", {"width": ONE, "fused": SWITCH, "lora_rank": st.integers(0, 3)}),
    },
    "mamba1": {
        "d_inner": st.sampled_from([4, 6]), "d_state": ONE, "dt_rank": ONE, "conv_bias": SWITCH, "bias": SWITCH,
        "norms": st.sampled_from(["none", "learned", "plain"]),
    },
    "mamba2": SSD,
    "gated_delta": {
        "key_heads": st.sampled_from([1, 2]), "value_heads": st.sampled_from([2, 4]), "key_dim": ONE,
        "value_dim": ONE, "d_conv": ONE, "chunk": ONE, "joined": SWITCH,
    },
    "kda": {"heads": ONE, "head_dim": ONE, "d_conv": ONE, "chunk": ONE},
    "lightning": {"heads": ONE, "head_dim": ONE, "chunk": ONE},
    "mlstm": {"heads": ONE, "qk_dim": ONE, "v_dim": ONE, "chunk": ONE, "bias": SWITCH},
    "short_conv": {"channels": ONE, "d_conv": ONE, "bias": SWITCH},
    "rg_lru": {"heads": ONE, "head_dim": ONE, "d_conv": ONE},
    "rwkv4": {"width": st.just(D_MODEL)},
    "rwkv5": WKV,
    "rwkv6": WKV | {"mix_rank": ONE, "decay_rank": ONE},
    "rwkv7": WKV | {"decay_rank": ONE, "rate_rank": ONE, "gate_rank": ONE, "value_rank": st.integers(0, 3)},
    "mlp": {"width": ONE, "bias": SWITCH},
    "gated_mlp": GATED_MLP,
    "moe": MOE,
    "dense_and_moe": {"mlp": nested("gated_mlp", {"width": ONE}), "moe": nested("moe", MOE)},
    "layer_embedding": {"width": ONE, "vocab": ONE},
    "draft_input": {"inputs": ONE},
    "rwkv_mlp": {"d_in": st.just(D_MODEL), "width": ONE, "receptance": SWITCH},
}  # fmt: skip
LOOKED_UP = ("layer_embedding",)
"""Kinds with tables of which a token reads a row."""
ROUTED = ("moe", "dense_and_moe")
"""Kinds that read more of their weights when there are more tokens."""
BYTES = Precision(weights=1, activations=1, cache=1, state=1)

few = settings(max_examples=40)  # each of them makes a part, which takes a millisecond
every_kind = pytest.mark.parametrize("kind", EXAMPLES)
SIZES = st.integers(1, 12)


def parts(kind: str) -> st.SearchStrategy[Part]:
    return nested(kind, EXAMPLES[kind]).map(lambda fields: PARTS[kind](**fields))


def total(part: Part, p: Pass) -> Cost:
    return sum((each.cost for each in part.operators(p, D_MODEL)), start=Cost())


def stepwise(part: Part) -> Part:
    """The part with chunks of one token; the chunks that attention sees are no matter of computing."""
    if isinstance(part, Attention):
        return part
    inside = {name: stepwise(each) for name, each in items(part) if isinstance(each, Part)}
    chunk = {"chunk": 1} if hasattr(part, "chunk") else {}
    return variant(part, **inside, **chunk)


def number_of_parameters(part: Part) -> int:
    shared = part.shared_parameters(D_MODEL).values()
    return sum(sum(kinds.values()) for kinds in (part.parameters(D_MODEL), *shared))


def test_every_kind_has_a_row_of_examples() -> None:
    assert set(EXAMPLES) == set(PARTS)


@every_kind
@few
@given(data=st.data(), batch=st.integers(1, 3), new=SIZES, context=st.integers(0, 12))
def test_prefill_does_the_work_of_the_steps_it_replaces(
    kind: str, data: st.DataObject, batch: int, new: int, context: int
) -> None:
    part = stepwise(data.draw(parts(kind)))
    prefill = total(part, Pass(batch, new, context, BYTES))
    steps = sum((total(part, Pass(batch, 1, context + i, BYTES)) for i in range(new)), start=Cost())
    assert prefill.matrix == pytest.approx(steps.matrix, rel=1e-12)
    assert prefill.vector == pytest.approx(steps.vector, rel=1e-12)


@every_kind
@few
@given(data=st.data(), bytes_per=st.sampled_from([0.53125, 1, 2]), context=st.integers(0, 12))
def test_a_step_reads_every_parameter_that_it_uses_once(
    kind: str, data: st.DataObject, bytes_per: float, context: int
) -> None:
    part = data.draw(parts(kind))
    used = number_of_parameters(part) - part.idle_parameters(D_MODEL)
    read = total(part, Pass(1, 1, context, Precision(weights=bytes_per))).weights
    if kind in LOOKED_UP:
        assert 0 < read <= used * bytes_per
    else:
        assert read == pytest.approx(used * bytes_per, rel=1e-12)


@every_kind
@few
@given(data=st.data(), batch=st.integers(1, 3), context=st.integers(0, 12))
def test_a_step_reads_and_writes_its_constant_state_and_reads_what_has_grown(
    kind: str, data: st.DataObject, batch: int, context: int
) -> None:
    part = data.draw(parts(kind))
    precision = Precision(weights=1, activations=2, cache=3, state=5)
    constant, held = (part.state_bytes(c, precision) for c in (0, context))
    moved = total(part, Pass(batch, 1, context, precision)).state
    assert moved >= batch * (2 * constant + (held - constant))
    if part.state_bytes(1, precision) == constant and kind not in ("attention", "hymba", "parallel", "shared_block"):
        assert moved == pytest.approx(batch * 2 * constant, rel=1e-12)


@every_kind
@few
@given(data=st.data(), times=st.integers(2, 50), new=SIZES, context=st.integers(0, 12))
def test_cost_is_linear_in_the_batch_and_the_weights_are_read_once(
    kind: str, data: st.DataObject, times: int, new: int, context: int
) -> None:
    part = data.draw(parts(kind))
    one, many = (total(part, Pass(batch, new, context, BYTES)) for batch in (1, times))
    for column in COLUMNS:
        if column != "weights":
            assert getattr(many, column) == pytest.approx(times * getattr(one, column), rel=1e-12)
    if kind in (*ROUTED, *LOOKED_UP):
        assert one.weights <= many.weights <= times * one.weights
    else:
        assert many.weights == one.weights


@every_kind
@settings(max_examples=10)  # SymPy takes milliseconds for every operator
@given(data=st.data(), batch=st.integers(1, 3), new=SIZES, context=st.integers(0, 12))
def test_symbol_number_and_array_agree(kind: str, data: st.DataObject, batch: int, new: int, context: int) -> None:
    part = data.draw(parts(kind))
    number = total(part, Pass(batch, new, context, BYTES))
    array = total(part, Pass(*(np.array([[size], [size]], float) for size in (batch, new, context)), BYTES))
    names = sp.symbols("B T S", positive=True)
    symbolic = total(part, Pass(*names, BYTES))
    at = dict(zip(names, (batch, new, context), strict=True))
    for column in COLUMNS:
        value = getattr(number, column)
        np.testing.assert_allclose(np.broadcast_to(getattr(array, column), (2, 1)), value, rtol=1e-9)
        assert float(sp.sympify(getattr(symbolic, column)).subs(at)) == pytest.approx(value, rel=1e-9)


@every_kind
@given(data=st.data())
def test_operators_have_names_of_their_own_and_read_what_came_before(kind: str, data: st.DataObject) -> None:
    known = {"x"}
    for each in data.draw(parts(kind)).operators(Pass(2, 3, 4), D_MODEL):
        assert each.name not in known
        assert set(each.uses) <= known, each.name
        known.add(each.name)
