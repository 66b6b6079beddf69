"""The page of `roofsim explore` as people use it, in a real browser."""

from __future__ import annotations

import csv
import io
import itertools
import re
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browsing import DESKTOP, PHONE, rest

CHARTS = ("crossover", "roofline", "where", "memory", "tornado", "heat")
PANELS = (*CHARTS, "overview")
TWO = "#models=Qwen2.5-0.5B,mamba2-780m"
FOUR = "#models=Qwen2.5-0.5B,mamba2-780m,Falcon-H1-0.5B,Llama-3.1-70B"


def said(page: Any) -> str:
    return page.inner_text("#headline")


def first_token(page: Any, column: int = 1) -> str:
    return page.inner_text(f"#overview tbody tr:first-child td:nth-of-type({column})")


@pytest.mark.parametrize(
    "state", ["", FOUR, "#models=Llama-3.1-70B&device=raspberry-pi-5&runtime=llama.cpp", "#models="]
)
def test_every_panel_has_something_to_show(opened, state):
    page = opened(state)
    for panel in PANELS:
        assert page.locator(f"#{panel} .figure").inner_text().strip(), panel
    everything = page.locator("body").inner_text()
    assert not re.search(r"NaN|undefined|\[object|cannot be drawn|Infinity", everything)


def test_no_drawn_element_is_without_a_place(opened):
    page = opened(FOUR)
    assert (
        page.evaluate("[...document.querySelectorAll('svg *')].filter(e => /NaN|undefined/.test(e.outerHTML)).length")
        == 0
    )


def test_a_slider_moved_by_key_changes_every_figure_and_the_table(opened):
    page = opened(TWO)
    before = {panel: page.inner_html(f"#{panel} .figure") for panel in PANELS}
    answer = said(page)
    page.focus("#prompt")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    rest(page)
    assert said(page) != answer
    assert [panel for panel in PANELS if page.inner_html(f"#{panel} .figure") == before[panel]] == []


def test_dragging_a_slider_changes_the_charts_before_it_is_let_go(opened):
    page = opened(TWO)
    before = page.inner_html("#where .figure")
    box = page.locator("#prompt").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2, steps=5)
    page.wait_for_timeout(100)
    assert page.inner_html("#where .figure") != before
    page.mouse.up()


def test_a_chart_over_prompts_stays_as_it_is_while_the_prompt_is_dragged_but_for_the_line_of_now(opened):
    page = opened(TWO)
    look = """["crossover", "memory"].map((id) => { const svg = document.querySelector(`#${id} svg`);
      return [svg, Number(svg.querySelector(".now line").getAttribute("x1"))]; })"""
    later, first = page.evaluate(f"""() => new Promise((done) => {{
      const range = document.getElementById("prompt"), found = [];
      const step = () => {{
        found.push({look});
        if (found.length > 12)
          return done([1, 2].map((k) => found.at(-k).map(([svg, x], i) => [svg === found.at(-k - 1)[i][0], x])));
        range.value = Number(range.value) + 4;
        range.dispatchEvent(new Event("input", {{ bubbles: true }}));
        requestAnimationFrame(step);
      }};
      step();
    }})""")
    assert [same for same, _ in later] == [True, True]
    assert all(there >= here for (_, here), (_, there) in zip(first, later, strict=True))
    page.wait_for_timeout(50)
    before = page.evaluate(f"{look}.map(([, x]) => x)")
    rest(page)
    assert page.evaluate(f"{look}.map(([, x]) => x)") == pytest.approx(before, abs=0.5)


def test_devices_that_stand_alone_are_not_asked_how_many_there_are(opened):
    page = opened(TWO)
    assert [each.get_attribute("value") for each in page.locator("#tp option:not([disabled])").all()] == ["1"]
    assert all(each.get_attribute("title") for each in page.locator("#tp option[disabled]").all())


def test_what_is_typed_is_taken_as_people_write_it_and_nonsense_is_marked(opened):
    page = opened(TWO)
    page.fill("#prompt-typed", "32k")
    page.keyboard.press("Enter")
    rest(page)
    assert "prompt=32768" in page.url
    page.fill("#prompt-typed", "much")
    page.keyboard.press("Tab")
    assert page.get_attribute("#prompt-typed", "aria-invalid") == "true"
    assert "prompt=32768" in page.url


def test_the_figures_are_those_of_the_engine(opened):
    page = opened(TWO + "&prompt=4096")
    shown = first_token(page, 2)
    value = page.evaluate(
        "roofsim.predict(roofsim.view.series.request(roofsim.view.state.read(location.hash).state, 'mamba2-780m')).ttft"
    )
    assert shown.startswith(page.evaluate("([v]) => roofsim.view.text.say(v, 's')", [value]))


def test_the_address_restores_the_view(opened):
    page = opened(TWO)
    page.select_option("#add-model", "Falcon-H1-0.5B")
    page.select_option("#runtime", "llama.cpp")
    page.select_option("#crossover-figure", "tpot")
    page.fill("#batch-typed", "4")
    page.keyboard.press("Enter")
    rest(page)
    page.click(".own summary")
    page.locator(".own .slider input[type=range]").first.focus()
    page.keyboard.press("PageUp")
    rest(page)
    again = opened("#" + page.url.partition("#")[2])
    assert "set." in page.url
    assert said(again) == said(page)
    assert again.input_value("#batch-typed") == "4"
    assert again.input_value("#crossover-figure") == "tpot"
    for panel in PANELS:
        assert again.inner_text(f"#{panel} .figure") == page.inner_text(f"#{panel} .figure"), panel


def test_a_model_keeps_its_colour_when_another_goes(opened):
    page = opened(FOUR)
    colour = "document.querySelector('.chips li:last-child .swatch').style.background"
    before = page.evaluate(colour)
    page.click(".chips li:first-child button")
    rest(page)
    assert page.evaluate(colour) == before
    assert page.evaluate(colour) == opened("#" + page.url.partition("#")[2]).evaluate(colour)


def test_what_an_address_has_that_is_not_known_is_said(opened):
    page = opened(TWO + ",nothing-7b&batch=-3&device=abacus")
    for word in ("nothing-7b", "batch=-3", "device=abacus"):
        assert word in said(page)


def test_back_and_a_pasted_address_are_followed(opened):
    page = opened(TWO)
    page.evaluate("location.hash = 'models=Falcon-H1-0.5B&prompt=2048'")
    rest(page)
    assert "Falcon-H1-0.5B" in said(page)
    assert page.input_value("#prompt-typed") == "2k"


def test_everything_is_reached_by_keyboard_and_has_a_name(opened):
    page = opened(TWO)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.ariaLabel || document.activeElement.textContent"
            )
        )
    assert {"add-model", "device", "prompt", "prompt-typed", "crossover-figure", "Save Crossover as SVG"} <= reached
    nameless = page.evaluate("""[...document.querySelectorAll('button, input, select, summary, [tabindex="0"]')]
      .filter(e => !(e.ariaLabel || e.textContent.trim() && e.tagName !== 'SELECT' || e.labels?.length))
      .map(e => e.outerHTML)""")
    assert nameless == []


def test_a_chart_is_described_and_has_a_table_to_step_through(opened):
    page = opened(TWO)
    for panel in CHARTS:
        for chart in page.locator(f"#{panel} .figure svg").all():
            assert len(chart.get_attribute("aria-label")) > 30
        page.focus(f"#{panel} summary")
        page.keyboard.press("Enter")
        table = page.locator(f"#{panel} .values table")
        table.wait_for()
        assert table.locator("th[scope=col]").count() >= 2
        assert table.locator("tbody tr").count() >= 2
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('role')") == "region"


def test_every_panel_is_saved_as_files_that_parse(opened):
    page = opened(TWO)
    for panel, kind in [*itertools.product(CHARTS, ("SVG", "PNG", "CSV")), ("overview", "CSV")]:
        with page.expect_download() as found:
            page.locator(f"#{panel} .files button", has_text=kind).click()
        assert found.value.suggested_filename == f"roofsim-{panel}.{kind.lower()}"
        content = Path(found.value.path()).read_bytes()
        {"SVG": is_svg, "PNG": is_png, "CSV": is_csv}[kind](content)


def is_svg(content: bytes) -> None:
    root = ElementTree.fromstring(content)
    text = "".join(root.itertext())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert re.search(r"Jetson.*batch 1", text)  # what it was computed for
    assert not re.search(rb"NaN|var\(--", content)
    assert len(root.findall(".//{*}path")) + len(root.findall(".//{*}rect")) > 3


def is_png(content: bytes) -> None:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert min(width, height) > 400
    assert len(content) > 10_000


def is_csv(content: bytes) -> None:
    rows = list(csv.reader(io.StringIO(content.decode())))
    assert len(rows) >= 2
    assert {len(row) for row in rows} == {len(rows[0])}
    assert any(re.fullmatch(r"-?[\d.e+-]+", cell) for cell in rows[1])


@pytest.mark.parametrize(("scheme", "size"), list(itertools.product(["light", "dark"], [PHONE, DESKTOP])))
def test_nothing_is_wider_than_the_screen_or_leaves_its_panel(opened, scheme, size):
    page = opened(FOUR, size, color_scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert page.evaluate("document.scrollingElement.scrollWidth") <= size["width"]
    outside = page.evaluate("""[...document.querySelectorAll('.figure svg text')].filter(e => {
      const [a, b] = [e.getBoundingClientRect(), e.closest('.panel').getBoundingClientRect()];
      return a.width && (a.left < b.left || a.right > b.right || a.top < b.top || a.bottom > b.bottom);
    }).map(e => e.textContent)""")
    assert outside == []


def test_the_theme_is_switched_and_stays_in_the_address(opened):
    page = opened(TWO, color_scheme="light")
    page.get_by_role("button", name="Light or dark").click()
    rest(page)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert opened("#" + page.url.partition("#")[2]).evaluate("document.documentElement.dataset.theme") == "dark"


def test_on_paper_there_are_figures_and_no_controls(opened):
    page = opened(TWO, color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("#controls").is_visible()
    assert page.locator("#crossover svg").is_visible()


def test_a_pointer_reads_values(opened):
    page = opened(TWO)
    box = page.locator("#crossover svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(100)
    tip = page.locator('#crossover svg [aria-label="tip"]').inner_html()
    assert re.search(r"Qwen2.5-0.5B: [\d.]+ m?s \[", tip)
    assert "mamba2-780m" in tip


def test_inside_another_page_it_works_without_an_address_of_its_own(address, browser):
    text = Path(address.removeprefix("file://")).read_text()
    page = browser.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_content("<iframe width=1200 height=900></iframe>")
    page.evaluate("(text) => { document.querySelector('iframe').srcdoc = text; }", text)
    inside = page.frame_locator("iframe")
    inside.locator("#overview tbody tr").first.wait_for()
    inside.locator("#prompt").press("ArrowRight")
    inside.locator("#crossover svg").wait_for()
    page.wait_for_timeout(500)
    page.close()
    assert wrong == []


def test_on_a_phone_the_sliders_stay_in_sight_of_every_chart(opened):
    page = opened(TWO, PHONE)
    for panel in PANELS:
        page.locator(f"#{panel}").scroll_into_view_if_needed()
        for slider in ("prompt", "batch", "generate"):
            box = page.locator(f"#{slider}").bounding_box()
            assert 0 <= box["y"] <= PHONE["height"] - box["height"]
            assert 0 <= box["x"] <= PHONE["width"] - box["width"]
