"""The site's tools: what is staged, and what is found wrong with built pages. CI builds the site itself."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_site = tool("check_site")
site_pictures = tool("site_pictures")
build_site = tool("build_site")

GOOD = '<a href="two.html#there">2</a> <a href="https://example.org/x">out</a> <img src="figure.svg"> <p id="here">'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "one.html").write_text(GOOD + '<a href="#here">1</a><link rel="stylesheet" href="style.css">', "utf-8")
    (tmp_path / "two.html").write_text('<h1 id="there">2</h1>', "utf-8")
    (tmp_path / "figure.svg").write_text("<svg></svg>", "utf-8")
    (tmp_path / "style.css").write_text("a { background: url(figure.svg) } b { background: url(data:x) }", "utf-8")
    return tmp_path


def test_a_site_whose_links_hold_has_no_problems(site: Path) -> None:
    assert check_site.problems(site) == []
    assert check_site.main([str(site)]) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('<a href="three.html">3</a>', "one.html: three.html is not there"),
        ('<a href="two.html#nowhere">3</a>', "one.html: two.html#nowhere has no such anchor"),
        ('<a href="#nowhere">3</a>', "one.html: #nowhere has no such anchor"),
        ('<img src="lost.png">', "one.html: lost.png is not there"),
        ('<script src="https://cdn.example.org/m.js"></script>', "one.html: fetches https://cdn.example.org/m.js"),
        ('<link rel="stylesheet" href="//fonts.example.org/f">', "one.html: fetches //fonts.example.org/f"),
        ("<style>@import 'https://example.org/x.css';</style>", "one.html: fetches https://example.org/x.css"),
        ('<p style="background: url(http://example.org/x)">', "one.html: fetches http://example.org/x"),
        ('<a href="file:///etc/passwd">4</a>', "one.html: file:///etc/passwd is no link into the site (file)"),
    ],
)
def test_a_link_into_nothing_or_a_picture_from_the_network_is_named(site: Path, wrong: str, said: str) -> None:
    with (site / "one.html").open("a", encoding="utf-8") as page:
        page.write(wrong)
    assert check_site.problems(site) == [said]
    assert check_site.main([str(site)]) == 1


def test_style_sheets_are_looked_at_too(site: Path) -> None:
    (site / "style.css").write_text("a { background: url('lost.svg') } @import url(https://example.org/y);", "utf-8")
    assert check_site.problems(site) == ["style.css: lost.svg is not there", "style.css: fetches https://example.org/y"]


def test_a_link_that_is_called_as_a_file_is_called_as_its_page() -> None:
    title = next(page.title for page in build_site.order.pages() if page.path == "model.md")
    assert build_site.for_the_site("see [model.md](../model.md#time)") == f"see [{title}](../model.md#time)"
    assert build_site.for_the_site("[what](model.md) and [new.md](new.md)") == "[what](model.md) and [new.md](new.md)"


def test_navigation_is_the_order(tmp_path: Path) -> None:
    build_site.stage(tmp_path / "source")
    build_site.navigate(tmp_path / "source" / "docs")
    index = (tmp_path / "source" / "docs" / "index.md").read_text(encoding="utf-8")
    shown = [line for line in index.splitlines() if line.endswith(">") and not line.startswith("<")]
    assert shown == [f"{page.title} <{page.path.removesuffix('.md')}>" for page in build_site.order.pages()]
    assert "decisions/001-traced-closed-forms" in (tmp_path / "source/docs/decisions.md").read_text(encoding="utf-8")
    assert "Next: [" not in (tmp_path / "source" / "docs" / "model.md").read_text(encoding="utf-8")


def test_below_a_console_stand_the_figures_and_pages_of_its_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(site_pictures, "run", ran.append)
    text = (
        "```yaml mine.yaml\na: 1\n```\n```console\n$ roofsim a\nsaid\n$ roofsim b --plot x.png -q\n```\nand\n"
        "```console\n$ roofsim c -o page.html\n```\n```console\n$ roofsim d\n```\n"
    )
    made = site_pictures.with_pictures(text, "page", tmp_path)
    light, dark = (str(tmp_path / f"page-2-{theme}.svg") for theme in ("light", "dark"))
    assert ran == [
        ["a"],
        ["b", "--plot", light, "-q", "--theme", "light"],
        ["b", "--plot", dark, "-q", "--theme", "dark"],
        ["c", "-o", str(tmp_path / "page-3.html")],
    ]
    alt = ":alt: x, as the command above draws it"
    assert [line for line in made.splitlines() if line not in text.splitlines() and line] == [
        f"```{{image}} {tmp_path.name}/page-2-light.svg", ":class: only-light", alt,
        f"```{{image}} {tmp_path.name}/page-2-dark.svg", ":class: only-dark", alt,
        f'<p><a href="{tmp_path.name}/page-3.html">Open page.html</a></p>',
    ]  # fmt: skip
    assert site_pictures.with_pictures("```console\n$ roofsim d\n```\n", "page", tmp_path).endswith("d\n```\n")
    assert len(ran) == 4
