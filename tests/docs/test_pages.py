"""The pages of docs/ are complete and linked; that they are up to date is a check of its own (tests/check.py)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from roofsim import library
from roofsim.cli import modules
from roofsim.engine.passes import BOUNDS
from roofsim.engine.roofline import machine, terms
from roofsim.foundation.cost import COLUMNS, Cost
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.schema import variant
from roofsim.lowering.kernels import Class, Kernel
from roofsim.model.meanings import MEANINGS
from roofsim.model.part import PARTS, Part
from roofsim.model.step import Latents, Pass, Precision
from roofsim.ops.base import REGISTER
from roofsim.prediction.metrics import METRICS
from roofsim.reports.docs import __main__ as docs
from roofsim.reports.docs import console, kernels, markdown, order, parts

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def headings(page: str) -> list[str]:
    return [line.lstrip("#").strip() for line in page.splitlines() if re.match(r"#+ ", line)]


def test_a_stale_page_is_named_with_the_command_that_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docs, "PAGES", {"one.md": lambda: iter(["# One"]), "two.md": lambda: iter(["# Two"])})
    monkeypatch.setattr(docs, "CONSOLES", ())
    assert docs.main([], tmp_path) == 0
    assert docs.main(["--check"], tmp_path) == 0
    (tmp_path / "two.md").write_text("old", encoding="utf-8")
    capsys.readouterr()
    assert docs.main(["--check"], tmp_path) == 1
    said = capsys.readouterr().err
    assert "two.md" in said
    assert docs.COMMAND in said
    assert "one.md" not in said
    assert (tmp_path / "two.md").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("arguments", [["--chekc"], ["--check", "cli"]])
def test_other_arguments_are_refused(arguments: list[str], tmp_path: Path) -> None:
    assert docs.main(arguments, tmp_path) == 2


def test_a_console_is_filled_with_what_its_commands_print_and_cut_where_it_was_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "run", lambda line, folder: f"1 {line}\n2\n3")
    page = "a\n```console\n$ roofsim a\nold\n…\n$ roofsim b\n```\nb\n"
    filled = "a\n```console\n$ roofsim a\n1 roofsim a\n…\n$ roofsim b\n1 roofsim b\n2\n3\n```\nb\n"
    assert console.filled(page) == filled
    assert console.filled(filled) == filled


def test_the_consoles_of_a_page_share_a_folder_with_the_files_that_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "run", lambda line, folder: Path(folder, "mine.yaml").read_text(encoding="utf-8"))
    file = "```yaml mine.yaml\na: {}\n```\n"
    page = f"{file.format(1)}```console\n$ roofsim a\n```\n{file.format(2)}```console\n$ roofsim b\n```\n"
    filled = console.filled(page)
    assert filled == page.replace("$ roofsim a", "$ roofsim a\na: 1\n").replace("$ roofsim b", "$ roofsim b\na: 2\n")


def test_a_command_that_fails_stops_the_page() -> None:
    with pytest.raises(RuntimeError, match="exit code 2"):
        console.run_all(["roofsim predict no-such-model -d orin"])


def documented() -> Iterator[tuple[str, str]]:
    """The page and the heading that each thing must have."""
    yield from (("cli.md", f"roofsim {name}") for name in modules())
    yield from (("formulas.md", function.__name__) for function in REGISTER)
    yield from ((f"mixers/{kind}.md", kind) for kind in PARTS)
    yield from (("parameters.md", name) for name in PARAMETERS)
    for kind, page in (("hardware", "devices.md"), ("hardware/hosts", "devices.md"), ("models", "models.md"),
                       ("runtimes", "runtimes.md"), ("hardware/clusters", "clusters.md")):  # fmt: skip
        yield from ((page, name) for name in library.names(kind))


def test_everything_that_can_be_added_in_one_place_has_a_section() -> None:
    missing = [(page, name) for page, name in documented() if name not in headings(text(page))]
    assert not missing


def test_every_symbol_has_a_row() -> None:
    rows = [line for page in ("formulas.md", "parameters.md") for line in text(page).splitlines() if line[:1] == "|"]
    signs = [sign for sign, _ in SYMBOLS.values()] + [p.symbol for p in PARAMETERS.values()]
    cells = [markdown.inline(markdown.symbol(sign)) for sign in signs]
    assert not [cell for cell in cells if sum(cell in row for row in rows) != 1]


@pytest.mark.parametrize("kind", PARTS)
def test_every_field_of_a_part_has_a_meaning(kind: str) -> None:
    assert not re.findall(rf"^\| `\w+` \|.*\| {parts.UNKNOWN} \|$", text(f"mixers/{kind}.md"), re.MULTILINE)


def test_no_meaning_is_left_over_from_a_field_that_is_gone() -> None:
    fields = {(kind, name) for kind, part in PARTS.items() for name in parts.fields_of(part)}
    assert set(MEANINGS) <= {name for _, name in fields} | {f"{kind}.{name}" for kind, name in fields}


def size(name: str, inside: str) -> object:
    """The symbol of a field, of a part inside another if `inside` names it."""
    return markdown.symbol(markdown.named(name) + (f"__{inside}" if inside else ""))


def values(part: Part, inside: str = "") -> dict[object, object]:
    """The value of every symbol of a part."""
    found: dict[object, object] = {}
    for name, info in parts.fields_of(type(part)).items():
        value = getattr(part, name)
        found |= values(value, name) if parts.part_of(info) else {size(name, inside): value}
    return found


def as_given(made: Part, part: Part, inside: str = "") -> Part:
    """The symbolic part with the switches of a real one, and with the optional sizes that it gives."""
    given: dict[str, object] = {}
    for name, info in parts.fields_of(type(part)).items():
        value = getattr(part, name)
        if parts.part_of(info):
            given[name] = as_given(getattr(made, name), value, name)
        elif isinstance(value, bool):
            given[name] = int(value)
        elif isinstance(value, str) or value == 0:
            given[name] = value  # a choice, or a size that says that something is not there
        elif parts.left_out(name, info) and isinstance(value, int):
            given[name] = info.default if value == info.default else size(name, inside)
    return variant(made, **given)


@pytest.mark.parametrize("model", library.names("models"))
def test_the_printed_parameters_of_a_part_are_its_numbers(model: str) -> None:
    a = library.architecture(model)
    for part, _ in a.parts():
        d_model = markdown.symbol("d_model")
        printed = parts.own_parameters(as_given(parts.construct(type(part)), part), d_model)
        known = {d_model: a.d_model} | {each: value for each, value in values(part).items() if isinstance(value, int)}
        numbers = [markdown.SYMPY.sympify(n).subs(known) for n in printed.values()]
        assert numbers == list(parts.own_parameters(part, a.d_model).values())


REAL = {
    (type(part), repr(part)): (a, part)
    for a in map(library.architecture, library.names("models"))
    for part, _ in a.parts()
}
ONE_OF_EACH = {type(part).__name__: (a, part) for a, part in reversed(list(REAL.values()))}


@pytest.mark.parametrize("latents", ["expanded", "absorbed"])
@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_the_printed_costs_of_an_operator_are_its_numbers(name: str, latents: Latents) -> None:
    a, part = ONE_OF_EACH[name]
    made = as_given(parts.construct(type(part)), part)
    known = {markdown.symbol("d_model"): a.d_model} | {
        each: value for each, value in values(part).items() if isinstance(value, int)
    }
    of_pass = {"batch": 3, "new": 700, "context": 300, "weight_bytes": 1, "act_bytes": 2, "cache_bytes": 4,
               "state_bytes": 8}  # fmt: skip
    known |= {markdown.symbol(markdown.named(each)): value for each, value in of_pass.items()}
    p = Pass(3, 700, 300, Precision(1, 2, 4, 8), latents=latents)
    printed, counted = parts.operators(made, latents), part.operators(p, a.d_model)
    assert [o.name for o in printed] == [o.name for o in counted]
    named = {sign: expression for expression, sign in parts.shared().items()}
    for symbolic, real in zip(printed, counted, strict=True):
        for column in COLUMNS:
            number = parts.column(symbolic, column).subs(named).subs(known)
            assert float(number) == pytest.approx(getattr(real.cost, column), rel=1e-9), (real.name, column)


@pytest.mark.parametrize("like", get_args(Class))
def test_the_printed_terms_of_a_class_of_kernel_are_its_numbers(like: Class) -> None:
    m = machine(library.device("jetson-orin-nano-8gb"), library.host("desktop"), "bf16")
    of_machine = {SYMBOLS[name][0]: getattr(m, name) for name in
                  ("matrix_rate", "vector_rate", "bandwidth", "cache", "units", "clock")}  # fmt: skip
    of_kernel = {"matrix": 3e12, "vector": 7e9, "weights": 5e8, "activations": 2e8, "state": 3e7, "fill": 1e4}
    known = {PARAMETERS[name].symbol: value for name, value in m.parameters.items()} | of_machine
    known |= {kernels.OF_KERNEL[name][0]: value for name, value in of_kernel.items()}
    fill = of_kernel.pop("fill")
    found = terms(Kernel("", like, Cost(**of_kernel), fill=fill), m)
    printed = [each.subs({markdown.symbol(sign): value for sign, value in known.items()})
               for each in kernels.terms_of(like)]  # fmt: skip
    assert [float(each) for each in printed] == pytest.approx(
        [found.compute, found.filling, found.memory, found.fixed], rel=1e-9
    )


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    return {markdown.anchor(heading) for heading in headings(page.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        name, _, place = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not place or place in anchors(target), link


def test_the_order_has_every_page_once() -> None:
    assert order.missing() == []
    paths = [path for page in order.pages() for path in (page.path, *order.listed(page))]
    assert len(set(paths)) == len(paths)
    assert not [path for path in paths if not (DOCS / path).is_file()]


def test_a_page_that_the_order_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "decisions").mkdir()
    for name in ("index.md", "model.md", "forgotten.md", "decisions/999-forgotten.md"):
        (tmp_path / name).write_text("", encoding="utf-8")
    assert order.missing(tmp_path) == ["decisions/999-forgotten.md", "forgotten.md"]


def test_what_a_page_lists_it_links_to() -> None:
    for page in order.pages():
        assert {os.path.normpath(link) for link in links(DOCS / page.path)} >= set(order.listed(page))


def test_a_page_ends_with_a_link_to_the_next_one_once() -> None:
    first, second, third = order.pages()[3:6]
    once = order.leading(first.path, "# One\n")
    assert once == f"# One\n\nNext: [{second.title}]({second.path}).\n"
    assert order.leading(first.path, once) == once
    assert order.leading(second.path, once) == f"# One\n\nNext: [{third.title}]({third.path}).\n"
    assert order.plain(once) == order.leading(order.pages()[-1].path, once) == "# One\n"


def test_the_glossary_speaks_of_every_metric_and_bound_and_of_nothing_that_the_code_does_not() -> None:
    rows = [line.split(" | ") for line in text("glossary.md").splitlines() if line.startswith("| ")]
    words = {word for row in rows for word in re.findall(r"`([^`]+)`", row[1])}
    assert {metric.figure for metric in METRICS.values()} <= words
    assert all(bound in " ".join(row[2] for row in rows) for bound in BOUNDS)
    code = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / "roofsim").rglob("*.py"))
    assert not [word for word in words if word.rpartition(".")[2].partition("@")[0] not in code]


def test_decisions_are_numbered_once() -> None:
    numbers = [page.name[:3] for page in DECISIONS]
    assert len(set(numbers)) == len(numbers)
    titled = [(number, said[1]) for number, page in zip(numbers, DECISIONS, strict=True)
              if (said := re.match(r"# (\d+): ", page.read_text(encoding="utf-8")))]  # fmt: skip
    assert titled
    assert all(number == said for number, said in titled)


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_is_half_a_page_of_context_choice_and_measurement(page: Path) -> None:
    said = page.read_text(encoding="utf-8")
    assert headings(said)[1:] == ["Context", "Choice", "Measured"]
    assert len(said.splitlines()) <= 40
