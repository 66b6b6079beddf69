"""The page of `roofsim report` in a browser: on a wide screen, a phone and paper, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browsing import DESKTOP, PHONE


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    from click.testing import CliRunner

    from roofsim.cli import group

    file = tmp_path_factory.mktemp("report") / "report.html"
    line = ["report", "Llama-3.1-70B", "-d", "orin", "--against", "mamba2-2.7b", "-o", str(file), "-q"]
    done = CliRunner().invoke(group, line)
    assert done.exit_code == 0, done.output
    return file.as_uri()


@pytest.fixture
def opened(browser: Any, report: str) -> Iterator[Callable[..., Any]]:
    """Opens the page; what the console says, or anything that it asks the network for, fails."""
    wrong: list[str] = []
    contexts = []

    def open_(size: dict[str, int] = DESKTOP, **options: Any) -> Any:
        context = browser.new_context(viewport=size, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text))
        page.on("request", lambda asked: asked.url != report and wrong.append(f"asks for {asked.url}"))
        page.goto(report)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


SIZES = {"wide": DESKTOP, "phone": PHONE}


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen_but_what_scrolls_by_itself(opened, size):
    page = opened(size=SIZES[size])
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= SIZES[size]["width"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_and_each_figure_is_drawn_once(opened, scheme, size):
    page = opened(size=SIZES[size], color_scheme=scheme)
    assert page.evaluate(CONTRASTS) >= 4.5
    shown = page.evaluate(
        "[...document.querySelectorAll('figure')].map("
        "f => [...f.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().height > 100).length)"
    )
    assert shown
    assert set(shown) == {1}


def test_paper_is_light(opened):
    page = opened(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.querySelector('.roofsim')).backgroundColor")
    page.emulate_media(media="print", color_scheme="dark")
    light = page.evaluate("getComputedStyle(document.querySelector('.roofsim')).backgroundColor")
    assert (dark, light) == ("rgb(21, 24, 29)", "rgb(255, 255, 255)")
    assert page.evaluate(CONTRASTS) >= 4.5


CONTRASTS = """() => {
  const parts = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = colour => parts(colour).map(x => x / 255)
    .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => {
    const own = getComputedStyle(e).backgroundColor;
    return own !== 'rgba(0, 0, 0, 0)' || !e.parentElement ? own : ground(e.parentElement);
  };
  const ratio = e => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const texts = [...document.querySelectorAll('.roofsim *')].filter(e => !e.closest('svg')
    && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
  return Math.min(...texts.map(ratio));
}"""
"""The smallest contrast between a text and what is behind it (WCAG 2.2)."""
