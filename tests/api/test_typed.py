"""The public API is typed: a file of every function passes `mypy --strict`, and no signature says `Any`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import roofsim
from roofsim.api import words

PUBLIC = {name: getattr(roofsim, name) for name in roofsim.__all__}
FUNCTIONS = {name: each for name, each in PUBLIC.items() if inspect.isfunction(each)}
CLASSES = {name: each for name, each in PUBLIC.items() if inspect.isclass(each)}
USED = Path(__file__).with_name("every_function.py")

OF_NUMBERS = ("Workload.batch", "Workload.prompt", "Workload.generate")
"""Fields that hold a number, an array or a traced number of the engine."""


def annotations(name: str, of: Any) -> Iterator[tuple[str, str]]:
    for argument, said in inspect.get_annotations(of).items():
        if "ClassVar" not in str(said):
            yield f"{name}.{argument}", str(said)


def own(kind: type) -> Iterator[tuple[str, FunctionType]]:
    """The public methods and properties of a class, each from where it is inherited."""
    for name in {each for base in kind.__mro__ if base.__module__.startswith("roofsim") for each in vars(base)}:
        found = inspect.getattr_static(kind, name)
        made = next((x for x in (getattr(found, a, None) for a in ("func", "fget", "__func__")) if x), found)
        if isinstance(made, FunctionType) and (not name.startswith("_") or name == "__call__"):
            yield name, made


def signatures() -> Iterator[tuple[str, str]]:
    for name, each in PUBLIC.items():
        if inspect.isfunction(each):
            yield from annotations(name, each)
        elif inspect.isclass(each):
            for base in each.__mro__:
                if base.__module__.startswith("roofsim"):
                    yield from ((at, said) for at, said in annotations(name, base) if "._" not in at)
            for method, made in own(each):
                yield from annotations(f"{name}.{method}", made)
        elif isinstance(each, ModuleType):
            for function, made in vars(each).items():
                if inspect.isfunction(made):
                    yield from annotations(f"{name}.{function}", made)
    for name, alias in vars(words).items():
        if isinstance(alias, str) and name[0].isupper():
            yield name, alias


def test_no_public_signature_says_any() -> None:
    found = {name: said for name, said in signatures() if re.search(r"\bAny\b", said)}
    assert set(found) == set(OF_NUMBERS)


def test_every_signature_is_looked_at() -> None:
    seen = dict(signatures())
    assert len(seen) > 300
    assert {"predict.prompt", "Prediction.to_dict.return", "Swept.study", "plots.save.path", "Counts"} <= set(seen)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_names_each_of_its_arguments(name: str) -> None:
    kinds = {each.kind for each in inspect.signature(FUNCTIONS[name]).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds


OF_REQUESTS = (
    "predict", "limits", "explain", "compile", "sensitivity", "crossover", "search", "sampling", "speculate",
    "simulate", "step_time", "reload",
)  # fmt: skip
SHARED = ("dtype", "weights", "cache", "logits", "host", "calibration", "transfer", "set", "weight_format",
          "cache_dtype", "generate", "batch")  # fmt: skip


@pytest.mark.parametrize("word", SHARED)
def test_a_word_means_the_same_in_every_function_on_one_request(word: str) -> None:
    every = [inspect.signature(FUNCTIONS[name]).parameters for name in OF_REQUESTS]
    said = [each[word] for each in every if word not in ("batch", "generate") or word in each]
    assert len({each.default for each in said}) == 1
    assert len({each.annotation for each in said} - {"Counts"}) == 1


OF_STUDIES = ("compare", "sweep", "pareto", "advise")


@pytest.mark.parametrize("word", ["dtype", "weights", "cache", "logits", "host", "calibration", "set"])
def test_a_word_means_the_same_in_every_study(word: str) -> None:
    said = [inspect.signature(FUNCTIONS[name]).parameters[word] for name in OF_STUDIES]
    assert len({(each.default, each.annotation) for each in said}) == 1


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES])
def test_everything_public_is_used_in_the_file_that_mypy_reads(name: str) -> None:
    assert re.search(rf"\broofsim\.{name}\b", USED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", ["one_model", "shown", "listed", "refused"])
def test_what_mypy_reads_runs(part: str, used: Any) -> None:
    asked: Callable[[], object] = getattr(used, part)
    if part == "shown":
        pytest.importorskip("pandas")
    assert asked()


def test_what_mypy_reads_of_studies_runs(tmp_path: Path, used: Any) -> None:
    assert used.several_models(tmp_path)
    head, *rows = (tmp_path / "study.csv").read_text(encoding="utf-8").splitlines()
    assert head.startswith("model,device,prompt,ttft [s],energy [J],per_token")
    assert len(rows) == 3
    assert [each.name for each in tmp_path.iterdir()] == ["study.csv"]


def test_figures_are_drawn_and_saved(tmp_path: Path, used: Any) -> None:
    figures = used.drawn(tmp_path)
    assert all(each._repr_png_().startswith(b"\x89PNG") for each in figures[:1])
    assert (tmp_path / "roofline.png").stat().st_size > 0


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_on_the_page(name: str) -> None:
    assert re.search(rf"roofsim\.{name}\(|`{name}(\(\))?`", PAGE)


OF_ROWS = ("crossings", "ratios", "chosen", "figures", "intervals", "refused", "Swept")
"""What rows of results have."""


def test_every_result_is_on_the_page_with_what_it_has() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.*) \|$", PAGE, re.M)
    assert {name for name, _, _ in rows} <= set(FUNCTIONS)
    assert {kind for _, kind, _ in rows} == {name for name, each in CLASSES.items() if "api" in each.__module__} | {
        "Compiled",
        "StepTime",
    }
    for _, kind, has in rows:
        for name in re.findall(r"`(\w+)", has):
            known = {*dir(CLASSES[kind]), *CLASSES[kind].__dataclass_fields__}
            assert name in known or name in (
                "crossings",
                "ratios",
                "chosen",
                "figures",
                "intervals",
                "refused",
                "Swept",
            )


def test_dir_lists_what_is_public() -> None:
    assert dir(roofsim) == sorted(roofsim.__all__)
    assert all(getattr(roofsim, name) is not None for name in dir(roofsim))


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'predct'"):
        roofsim.predct  # type: ignore[attr-defined]  # noqa: B018
