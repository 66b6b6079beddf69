"""What holds for every model that ships, before any device is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofsim import library
from roofsim.foundation.cost import COLUMNS, Cost
from roofsim.foundation.schema import variant
from roofsim.model.architecture import Architecture
from roofsim.model.part import Part
from roofsim.model.step import Latents, Logits, Pass, Precision
from roofsim.ops import gemm, pointwise
from roofsim.specs.workload import workload

MODELS = sorted((library.architecture(name) for name in library.names("models")), key=lambda m: m.total_parameters)
SMALLEST = {model.family: model for model in reversed(MODELS)}
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
every_family = pytest.mark.parametrize("model", SMALLEST.values(), ids=lambda model: model.id)
BYTES = Precision(weights=1, activations=1, cache=1, state=1)


def costs(model: Architecture, p: Pass) -> Iterator[tuple[object, Cost]]:
    return ((each.function, row.count * each.cost) for row in model.rows(p) for each in row.operators)


def total(model: Architecture, p: Pass) -> Cost:
    return sum((cost for _, cost in costs(model, p)), start=Cost())


def decode(context: int, batch: int = 1, precision: Precision = BYTES) -> Pass:
    return Pass(batch, 1, context, precision, "last", "decode")


@every_model
def test_the_parameters_are_exactly_those_published(model: Architecture) -> None:
    assert model.published_parameters
    assert model.total_parameters == sum(model.parameters.values())
    assert model.published_parameters.agrees(model.total_parameters)


@every_model
def test_the_layout_names_every_layer_and_no_other(model: Architecture) -> None:
    assert set(model.counts) == set(model.layers)
    assert sum(row.count for row in model.rows(Pass(1, 1, 0))) == model.depth + 2


def shared(part: Part, model: Architecture) -> Mapping[str, int]:
    return {name: sum(kinds.values()) for name, kinds in part.shared_parameters(model.d_model).items()}


@every_family
@pytest.mark.parametrize("bytes_per", [0.53125, 1, 2])
def test_a_decode_step_reads_every_parameter_once_but_looks_rows_up_in_tables(
    model: Architecture, bytes_per: float
) -> None:
    """All active parameters, a shared block at each of its uses, and of every table but a tied one a row per token.

    A tied embedding is read whole, as the LM head, and once more for the row of the token. Sinks and the scale of
    each expert, one number per head or expert, are left out.
    """
    uses = sum(count * sum(shared(part, model).values()) for part, count in model.parts())
    once = sum({name: size for part, _ in model.parts() for name, size in shared(part, model).items()}.values())
    small = sum(n * (sinks(part) + scales(part)) for part, n in model.parts())
    tables = small + model.parameters["position"] + (0 if model.tied_embeddings else model.parameters["embedding"])
    rows = model.d_model * (2 if model.positions else 1)
    for part, n in model.parts():
        if part.kind == "layer_embedding":
            tables, rows = tables + n * part.vocab * part.width, rows + n * part.width
    expected = model.active_parameters - once + uses - tables + rows
    read = total(model, decode(100, precision=Precision(weights=bytes_per))).weights
    assert read == pytest.approx(bytes_per * expected, rel=1e-12)


def sinks(part: Part) -> int:
    return part.heads if getattr(part, "sinks", False) else 0


def scales(part: Part) -> int:
    moe = getattr(part, "moe", part)
    return moe.experts if getattr(moe, "normed_input", False) else 0


@every_family
@pytest.mark.parametrize("latents", ["expanded", "absorbed"])
@pytest.mark.parametrize("name", ["bf16", "int4-g128", "q3_k_m", "q4_k_m"])
def test_a_pass_that_uses_every_expert_reads_the_bytes_that_are_held(
    model: Architecture, name: str, latents: Latents
) -> None:
    """But for look-ups in tables, and shared blocks at each of their uses.

    Within a thousandth: operators read the norm of a head for each head, and no operator reads attention sinks.
    """
    precision = workload(weight_format=name).precision("fp32", model)
    p = Pass(1, 10**6, 0, precision, latents=latents)
    read = sum(cost.weights for function, cost in costs(model, p) if function is not pointwise.embedding)
    looked_up = {"embedding", *(table for part, _ in model.parts() for table in part.tables)}
    held = {m: m.count * m.weights * precision.of(m.operator) for m in model.inventory.matrices}
    tables = sum(size for m, size in held.items() if m.operator in looked_up)
    expected = model.weight_bytes(precision) - tables - model.parameters["position"] * precision.vectors
    if any(part.shares("x") for part, _ in model.parts()):
        assert read > expected
    else:
        assert read == pytest.approx(expected, rel=1e-3)


@every_family
def test_the_matrices_of_a_model_are_nearly_all_of_its_parameters(model: Architecture) -> None:
    matrices = sum(m.count * m.weights for m in model.inventory.matrices)
    assert 0.98 * model.total_parameters < matrices < model.total_parameters
    for bytes_per in (0.5, 3):
        every = dict.fromkeys({"weights", "vectors"}, bytes_per)
        assert model.weight_bytes(Precision(bytes_per, stored=every)) == model.total_parameters * bytes_per


@every_family
@pytest.mark.parametrize("context", [0, 1, 200])
def test_a_decode_step_reads_and_writes_recurrent_states_and_reads_the_cache(model: Architecture, context: int) -> None:
    constant, held, grown = (
        sum(n * part.state_bytes(c, BYTES) for part, n in model.parts()) for c in (0, context, context + 1)
    )
    assert total(model, decode(context)).state >= 2 * constant + (held - constant) + (grown - held)


@every_family
def test_state_grows_steadily_until_windows_are_full_and_never_shrinks(model: Architecture) -> None:
    tokens = np.arange(0, 100_000, 500)
    held = np.broadcast_to(model.state_bytes(tokens, BYTES), tokens.shape)
    growth = np.diff(held)
    assert (growth >= 0).all()
    assert (np.diff(growth) <= 0).all()
    assert model.attends == (growth[0] > 0)


@every_family
@settings(max_examples=20)
@given(batch=st.integers(2, 64), new=st.integers(1, 4000), context=st.integers(0, 4000))
def test_cost_is_linear_in_the_batch_with_the_weights_read_once(
    model: Architecture, batch: int, new: int, context: int
) -> None:
    one, many = (list(costs(model, Pass(b, new, context, BYTES))) for b in (1, batch))
    for (function, cost), (_, grown) in zip(one, many, strict=True):
        times = batch if function is pointwise.embedding else 1
        if function is gemm.expert_linear:  # more tokens touch more experts
            assert cost.weights <= grown.weights <= batch * cost.weights * (1 + 1e-12)
            times = grown.weights / cost.weights
        for column in ("matrix", "vector", "activations", "state"):
            assert getattr(grown, column) == pytest.approx(batch * getattr(cost, column), rel=1e-12)
        assert grown.weights == pytest.approx(times * cost.weights, rel=1e-12)


@every_family
def test_prefill_does_the_matrix_work_of_the_decode_steps_it_replaces(model: Architecture) -> None:
    """With chunks of one token."""
    layers = {name: tuple(unchunked(part) for part in layer) for name, layer in model.layers.items()}
    stepwise = variant(model, layers=layers)
    prefill = total(stepwise, Pass(1, 60, 40, BYTES))
    steps = [total(stepwise, decode(40 + i)) for i in range(60)]
    assert prefill.matrix == pytest.approx(sum(step.matrix for step in steps), rel=1e-12)
    assert prefill.vector == pytest.approx(sum(step.vector for step in steps), rel=1e-12)


def unchunked(part: Part) -> Part:
    """The part with a chunk of one token wherever it scans in chunks."""
    if hasattr(part, "chunk"):
        return variant(part, chunk=1)
    if hasattr(part, "ssm"):
        return variant(part, ssm=unchunked(part.ssm))
    return part


@every_family
@pytest.mark.parametrize("size", ["batch", "new", "context"])
@settings(max_examples=20)
@given(batch=st.integers(1, 16), new=st.integers(1, 5000), context=st.integers(0, 5000), more=st.integers(1, 5000))
def test_no_cost_falls_when_a_pass_grows(
    model: Architecture, size: str, batch: int, new: int, context: int, more: int
) -> None:
    small = {"batch": batch, "new": new, "context": context}
    before, after = (total(model, Pass(**p, precision=BYTES)) for p in (small, {**small, size: small[size] + more}))
    for column in COLUMNS:
        if column == "state" or size != "context" or not cut_in_chunks(model):
            assert 0 <= getattr(before, column) <= getattr(after, column) * (1 + 1e-12), column


def cut_in_chunks(model: Architecture) -> bool:
    """A token that begins a chunk sees only itself: more context, less work."""
    return any(getattr(part, "chunk", None) and part.kind == "attention" for part, _ in model.parts())


@every_family
@pytest.mark.parametrize("logits", ["all", "last"])
def test_a_pass_of_arrays_costs_what_each_of_its_numbers_costs(model: Architecture, logits: Logits) -> None:
    batch, new, context = np.array([1.0, 2, 7]), np.array([1.0, 255, 5000]), np.array([0.0, 3000, 12])
    together = total(model, Pass(batch, new, context, BYTES, logits))
    for i in range(3):
        alone = total(model, Pass(int(batch[i]), int(new[i]), int(context[i]), BYTES, logits))
        for column in COLUMNS:
            assert np.broadcast_to(getattr(together, column), 3)[i] == pytest.approx(getattr(alone, column), rel=1e-12)


@every_family
def test_a_window_longer_than_the_sequence_changes_nothing(model: Architecture) -> None:
    wide = {
        name: tuple(variant(part, window=10**6) if getattr(part, "window", 0) is None else part for part in layer)
        for name, layer in model.layers.items()
    }
    same = variant(model, layers=wide)
    assert total(same, Pass(1, 50, 50, BYTES)) == total(model, Pass(1, 50, 50, BYTES))
    assert same.state_bytes(1000, BYTES) == model.state_bytes(1000, BYTES)
