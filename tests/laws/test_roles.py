"""What a lowering makes of a model follows from roles and facts: not from names of operators, and not from Python."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import roofsim.lowering
from roofsim import library
from roofsim.foundation.schema import assembled, items, variant
from roofsim.lowering import eager
from roofsim.lowering import step as lowering
from roofsim.lowering.kernels import Situation
from roofsim.model.architecture import Architecture, Row
from roofsim.model.part import PARTS
from roofsim.model.step import Pass
from roofsim.ops.base import Operator, Role
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.steps import decode, prefill
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import workload

MODELS = library.names("models")
RUNTIMES = {name: library.runtime(name) for name in library.names("runtimes")}
FAMILIES = sorted({library.architecture(name).family for name in MODELS})
PROMPT = 40_000
PASSES = (Pass(1, 512, 0), Pass(1, 1, 600))


class Renamed(Architecture):
    """An architecture whose operators have other names."""

    def rows(self, p: Pass) -> tuple[Row, ...]:
        return tuple(replace(row, operators=tuple(map(renamed, row.operators))) for row in super().rows(p))


def other_name(name: str) -> str:
    return f"x_{name}_x"


def renamed(o: Operator) -> Operator:
    uses = tuple(use if use == "x" else other_name(use) for use in o.uses)
    return replace(o, name=other_name(o.name), uses=uses)


def figures(s: Setup) -> dict[str, Any]:
    done = Evaluation(s, workload(prompt=PROMPT, batch=2))
    return {"memory": done.memory, "request": done.request, "prefill": done.prefill, "decode": done.decode}


def named(model: Architecture) -> set[tuple[str, Role]]:
    """The operators of a model, as a lowering could tell them apart by name."""
    return {(o.name, o.role) for p in PASSES for row in model.rows(p) for o in row.operators}


@pytest.fixture(scope="module")
def telling() -> dict[str, Architecture]:
    """Models that together have every operator that any has, those of most operators first."""
    found, seen = {}, set()
    known = {name: library.architecture(name) for name in MODELS}
    for name, operators in sorted(
        ((name, named(each)) for name, each in known.items()), key=lambda each: -len(each[1])
    ):
        if not operators <= seen:
            found[name] = known[name]
            seen |= operators
    return found


@pytest.mark.parametrize("name", RUNTIMES)
def test_other_names_of_operators_change_nothing(name: str, telling: dict[str, Architecture]) -> None:
    runtime = RUNTIMES[name]
    for model, known in telling.items():
        if runtime.supports and known.family not in runtime.supports:
            continue
        other = assembled(Renamed, **dict(items(known)))
        plain, others = (figures(setup(each, "h100-sxm", runtime)) for each in (known, other))
        layer, operator, last = plain["memory"].binding.partition(": ")
        binding = f"{layer}: {other_name(last)}" if operator else layer
        assert {**plain, "memory": replace(plain["memory"], binding=binding)} == others, model


def words(family: str) -> re.Pattern[str]:
    """A family as it may be spelled in a text: `falcon_h1` is Falcon-H1."""
    return re.compile(r"\b" + "[-_. ]?".join(re.findall(r"[a-z]+|\d+", family)) + r"\b", re.IGNORECASE)


LOWERINGS = sorted(Path(roofsim.lowering.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", LOWERINGS, ids=lambda path: path.stem)
def test_no_lowering_names_a_family_of_models(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("llama.cpp", "")  # software, not the family
    assert [family for family in FAMILIES if words(family).search(text)] == []


def kernels(s: Setup, p: Pass) -> dict[tuple[str, str], tuple[Role, Any]]:
    return {
        (row.row.layer, o.name): (o.role if not o.is_one_of((Role.NORM,)) else Role.NORM, lowered)
        for row in lowering.lower(s.architecture, s.runtime, p)
        for o, lowered in row
    }


@pytest.mark.parametrize("model", ["Qwen2.5-0.5B", "Qwen3-30B-A3B", "Zamba2-1.2B", "mamba2-780m"])
def test_eager_with_fused_norms_is_a_file_and_differs_in_norms_alone(model: str, tmp_path: Path) -> None:
    path = tmp_path / "fused-norms.yaml"
    text = library.names("runtimes")["transformers-5-eager"].read_text(encoding="utf-8")
    path.write_text(f"{text}\nfused: [norm]\n", encoding="utf-8")
    one, other = (setup(model, "h100-sxm", name) for name in ("transformers-5-eager", str(path)))
    w = workload(prompt=1024)
    for p in (prefill(one, w), decode(one, w)):
        before, after = kernels(one, p), kernels(other, p)
        assert {key for key in before if before[key] != after[key]} == {
            key for key, (role, _) in before.items() if role is Role.NORM
        }
    eager_norms, fused_norms = (Evaluation(s, w) for s in (one, other))
    assert fused_norms.prefill.kernels < eager_norms.prefill.kernels
    assert fused_norms.decode.kernels < eager_norms.decode.kernels
    assert fused_norms.memory.peak <= eager_norms.memory.peak


def test_every_role_can_be_fused_and_then_all_is_one_kernel_each() -> None:
    s = setup("Qwen3-30B-A3B", "h100-sxm", "transformers-5-eager")
    fused = variant(s.runtime, fused=tuple(Role))
    rows = lowering.lower(s.architecture, fused, prefill(s, workload()))
    assert {len(lowered.kernels) for row in rows for o, lowered in row if o.role is not Role.EMBEDDING} == {1}


def test_a_role_that_is_not_there_is_told_which_there_are(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    values = yaml.safe_load(library.names("runtimes")["ideal"].read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**values, "fused": ["normes"]}), encoding="utf-8")
    with pytest.raises(library.SpecError, match=r"fused\.0: .*'norm'.*not 'normes'"):
        library.runtime(str(path))


LIGHTNING = {"kind": "lightning", "heads": 4, "head_dim": 16}


def counted(family: str, **fields: Any) -> float:
    part = PARTS[fields["kind"]](**fields)
    p = Pass(1, 4096, 0)
    s = Situation(RUNTIMES["transformers-5-eager"], p, library.facts("transformers", family))
    return sum(k.count for o in part.operators(p, 64) if o.role is Role.RECURRENCE for k in eager.lower(o, s).kernels)


@pytest.mark.parametrize(
    ("family", "part"),
    [
        ("minimax", LIGHTNING),
        ("xlstm", {"kind": "mlstm", "heads": 2, "qk_dim": 32, "v_dim": 64}),
        ("recurrent_gemma", {"kind": "rg_lru", "heads": 4, "head_dim": 16}),
        ("rwkv", {"kind": "rwkv4", "width": 64}),
    ],
)
def test_a_loop_in_one_family_s_code_is_not_inherited_with_its_cost_function(family: str, part: dict[str, Any]) -> None:
    assert counted(family, **part) > 1
    assert counted("a family that no file names", **part) == 1


def test_a_lowering_that_hands_on_to_another_keeps_what_is_known_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    delegating = ModuleType("roofsim.lowering.delegating")
    delegating.lower = lambda o, s: eager.lower(o, s)  # type: ignore[attr-defined]
    known = lowering.module
    monkeypatch.setattr(lowering, "module", lambda name: delegating if name == "delegating" else known(name))
    for model in ("Qwen2.5-0.5B", "Zamba2-1.2B", "Falcon-H1-0.5B", "GPT-Neo-125M"):
        for name in ("transformers-5-eager", "transformers-4.52-eager"):
            s = setup(model, "rtx-4090", name)
            s = replace(s, parameters=s.machine("bf16").parameters)  # priors go by the name of a lowering
            other = replace(s, runtime=variant(s.runtime, lowering="delegating"))
            assert figures(s) == figures(other)


def test_a_situation_does_not_know_the_family() -> None:
    assert " ".join(field.name for field in fields(Situation)) == (
        "runtime p facts masked cudnn captured each_head units one_call step"
    )


def test_facts_at_a_version_stand_in_place_of_those_that_they_are_based_on() -> None:
    old, new = (library.facts(name, "gpt_neo") for name in ("transformers-4.52", "transformers"))
    assert (old.once_kernels, new.once_kernels) == ({"prefill": 6, "decode": 5}, {"prefill": 12, "decode": 12})
    assert old.written_out == new.written_out == ("attention",)
    assert library.facts("transformers-4.52", "mamba") == library.facts("mamba_ssm", "mamba")


def wrong(tmp_path: Path, **values: Any) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", "sources": {"code": "read"}, **values}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"families": {"opt": {"kept": {"value": 1, "source": "code"}}}}, r"families\.opt: kept: no such field"),
        ({"families": {"opt": {"fp32_stream": {"value": 7, "source": "code"}}}}, r"families\.opt: fp32_stream: "),
        ({"every": {"fp32_stream": {"value": True, "source": "book"}}}, "source 'book' is not in sources"),
        ({"every": {"fp32_stream": {"source": "code"}}}, r"every\.fp32_stream\.value: is missing"),
        ({"based_on": "transformers-4.52"}, "'transformers-4.52' is based on another itself"),
    ],
)
def test_a_wrong_fact_is_told_where_it_is(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(library.SpecError, match=message):
        library.implementation(wrong(tmp_path, **values))


def test_a_runtime_may_name_an_implementation_by_its_path(tmp_path: Path) -> None:
    path = wrong(tmp_path, based_on="transformers", every={"kept_embeddings": {"value": 3, "source": "code"}})
    runtime: Runtime = variant(RUNTIMES["transformers-5-eager"], implementation=path)
    assert lowering.keeps(library.architecture("Qwen2.5-0.5B"), runtime) == 3
    assert lowering.keeps(library.architecture("Zamba2-1.2B"), runtime) == 2
