"""Whatever can be added in one place is used, named and complete."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, get_args

import pytest

from roofsim import library
from roofsim.adapters.published.read import adapters
from roofsim.engine.roofline import Machine
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.foundation.parameters import PARAMETERS, Parameter, priors
from roofsim.foundation.schema import items
from roofsim.foundation.units import UNITS
from roofsim.lowering import eager, fused
from roofsim.lowering import step as lowering
from roofsim.model.part import PARTS, Part
from roofsim.model.split import Split
from roofsim.model.step import Pass
from roofsim.ops import attention, collective  # noqa: F401 - collectives are between models
from roofsim.ops.base import REGISTER, Kind, Role
from roofsim.prediction.evaluation import FIGURES, Evaluation
from roofsim.prediction.setup import setup
from roofsim.prediction.symbols import LINKS
from roofsim.specs.workload import workload

MODELS = [library.architecture(name) for name in library.names("models")]
RUNTIMES = [library.runtime(name) for name in library.names("runtimes")]
WHAT_IF = {attention.block_sparse_attention}
"""Operators that no published model runs: attention's `block` and `blocks` are for what-ifs."""
EXCHANGES = {function for function, kind in REGISTER.items() if kind == "collective"}
"""Operators that stand between the devices among which a model is divided."""
DRAFT = {"draft_input"}
"""Kinds of part that only heads have which draft for a model; they are made from it, not read from a file."""
USED = {each.function for model in MODELS for row in model.rows(Pass(1, 1, 0)) for each in row.operators}


@pytest.mark.parametrize("function", REGISTER, ids=lambda function: function.__name__)
def test_every_operator_is_run_by_a_shipped_model_and_every_size_of_it_has_a_symbol(function: object) -> None:
    assert function in USED | WHAT_IF | EXCHANGES
    assert set(inspect.signature(function).parameters) <= set(SYMBOLS)
    assert REGISTER[function] in get_args(Kind)
    assert inspect.getdoc(function)


def test_every_operator_of_every_model_is_registered() -> None:
    assert set(REGISTER) >= USED


def parts(part: Part) -> list[Part]:
    inside = (each for _, each in items(part))
    return [part, *(each for field in inside if isinstance(field, Part) for each in parts(field))]


@pytest.mark.parametrize("kind", PARTS)
def test_every_kind_of_part_is_used_by_a_shipped_model_and_says_what_it_is(kind: str) -> None:
    used = {each.kind for model in MODELS for part, _ in model.parts() for each in parts(part)}
    assert kind in used | DRAFT
    assert inspect.getdoc(PARTS[kind])


def test_two_parts_of_one_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="two parts are called 'mlp'"):
        type("Another", (PARTS["mlp"],), {"__annotations__": {}})
    assert PARTS["mlp"].__name__ == "Mlp"


def test_every_lowering_that_a_runtime_names_is_there() -> None:
    named = {runtime.lowering for runtime in RUNTIMES}
    named |= {library.facts(runtime.implementation, model.family).lowering for runtime in RUNTIMES for model in MODELS}
    assert all(callable(lowering.module(name).lower) for name in named if name)


def test_every_implementation_is_named_and_every_family_in_it_is_one_that_is_shipped_or_read() -> None:
    families = {model.family for model in MODELS} | set(adapters())
    known = {name: library.implementation(name) for name in library.names(library.IMPLEMENTATIONS)}
    named = {runtime.implementation for runtime in RUNTIMES} | {each.based_on for each in known.values()}
    assert set(known) <= named
    for name, each in known.items():
        assert set(each.families) <= families, name
        run_by = {facts["run_by"].value for facts in each.families.values() if "run_by" in facts}
        assert run_by <= set(known), name


def test_every_role_is_that_of_an_operator_of_a_shipped_model_and_says_what_it_means() -> None:
    passes = (Pass(1, 1, 0), Pass(1, 1, 0, latents="expanded"))
    roles = {each.role for model in MODELS for p in passes for row in model.rows(p) for each in row.operators}
    assert {role for role in Role if role.meaning} - roles == {
        Role.EXPERT,
        Role.COLLECTIVE,
        Role.DISPATCH,
    }  # experts' products are the first or last, and one device exchanges nothing


def test_every_rule_of_a_lowering_is_for_a_registered_operator() -> None:
    assert {*fused.LIKE, *eager.RULES} <= set(REGISTER)


def test_no_two_names_share_a_symbol() -> None:
    symbols = Counter([symbol for symbol, _ in SYMBOLS.values()] + [row.symbol for row in PARAMETERS.values()])
    assert [symbol for symbol, times in symbols.items() if times > 1] == []


def test_every_symbol_is_a_size_of_an_operator_or_a_number_of_the_machine_or_the_length() -> None:
    sizes = {name for function in REGISTER for name in inspect.signature(function).parameters}
    assert set(SYMBOLS) <= sizes | set(inspect.signature(Machine).parameters) | set(LINKS) | {"length"}


@pytest.mark.parametrize("row", PARAMETERS.values(), ids=lambda row: row.name)
def test_a_prior_lies_within_its_limits_and_says_what_it_means_and_why(row: Parameter) -> None:
    assert row.low <= row.prior <= row.high
    assert row.unit in UNITS
    assert row.scope in ("device", "host", "runtime")
    assert row.meaning
    assert row.source
    assert priors()[row.name] == row.prior


@pytest.mark.parametrize(
    "row", [row for row in PARAMETERS.values() if row.name.endswith("_efficiency")], ids=lambda row: row.name
)
def test_no_efficiency_may_be_calibrated_above_its_peak(row: Parameter) -> None:
    # these are relative to the vector peak, and the roofline stops them at the matrix peak
    beyond = ("ssd", "masked_attention", "narrow_masked", "quantised", "block", "repacked")
    assert row.high <= 1 or row.name.removesuffix("_efficiency") in beyond


class Watched(dict[str, float]):
    """Parameters that remember which of them were read."""

    read: ClassVar[set[str]] = set()

    def __getitem__(self, name: str) -> float:
        self.read.add(name)
        return super().__getitem__(name)


def test_every_parameter_decides_something(
    covering_stacks: Sequence[tuple[str, str]], stacks: Sequence[tuple[str, str]]
) -> None:
    several = [setup("llama-3.1-8b", "h100-sxm", "vllm", split=Split(tp=8))]
    for s in (*several, *(setup(model, "rtx-4090", runtime) for model, runtime in (*covering_stacks, *stacks))):
        if Watched.read == set(PARAMETERS):
            break
        runtime = s.runtime.id
        formats = ("bf16", *(["q4_0", "q8_0"] if "llama" in runtime else []))
        for w in (*(workload(prompt=100, weight_format=each) for each in formats), workload(prompt=100, dtype="fp32")):
            e = Evaluation(s, w)
            watched = replace(e.stack.machine, parameters=Watched(e.stack.machine.parameters))
            vars(e)["stack"] = replace(e.stack, machine=watched)
            for figure in FIGURES.values():
                figure(e)
    assert Watched.read == set(PARAMETERS)
