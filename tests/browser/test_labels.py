"""Texts of the charts: each has a place of its own, inside its chart, whatever is shown and however wide."""

from __future__ import annotations

import itertools

from browsing import PHONE

SCREENS = ({"width": 1280, "height": 900}, PHONE)
HOLDS_NONE = "models=Llama-3.1-70B,mamba2-780m&device=raspberry-pi-5&runtime=llama.cpp"
STATES = (
    "models=Qwen2.5-0.5B,mamba2-780m",
    "models=Qwen2.5-0.5B,mamba2-780m&figure=total_time&along=batch",
    "models=Qwen2.5-0.5B,mamba2-780m,Falcon-H1-0.5B,Llama-3.1-70B",
    "models=Qwen2.5-0.5B,mamba2-780m,Falcon-H1-0.5B,Llama-3.1-70B&figure=energy&runtime=llama.cpp",
    HOLDS_NONE,
)
GO = "(state) => { delete document.documentElement.dataset.rested; location.hash = state; }"
DRAWN = """() => document.documentElement.dataset.rested && !document.querySelector('.moving')
  && +document.querySelector('#crossover svg').getAttribute('width')
    === Math.floor(document.querySelector('#crossover .figure').clientWidth)"""
MISPLACED = """() => [...document.querySelectorAll('.figure svg')].flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('text')]
    .filter((text) => text.textContent.trim() && !text.closest('[aria-label="tip"]'))
    .map((text) => [text.textContent, text.getBoundingClientRect()]);
  const where = svg.closest('.panel').id;
  const beyond = (box) => Math.max(frame.left - box.left, box.right - frame.right, frame.top - box.top,
    box.bottom - frame.bottom);
  const outside = texts.filter(([, box]) => beyond(box) > 1)
    .map(([said, box]) => `${where}: '${said}' leaves the chart by ${beyond(box).toFixed(1)} px`);
  const SLACK = 1.5; // pixels that the boxes of two lines of text may share: letters do not fill them
  const share = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > SLACK
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2 * SLACK;
  const over = texts.flatMap(([said, box], i) => texts.slice(i + 1).filter(([, other]) => share(box, other))
    .map(([other]) => `${where}: '${said}' on '${other}'`));
  // of the crossover: curves that go through words
  const group = (line) => line.closest('g[aria-label=line]').getAttribute('stroke-width');
  const curves = where !== 'crossover' ? [] : [...svg.querySelectorAll('g[aria-label=line] path')]
    .filter((line) => group(line) > 1);
  const points = curves.flatMap((line) => Array.from({length: Math.floor(line.getTotalLength() / 4)}, (_, i) =>
    line.getPointAtLength(4 * i)));
  const through = texts.filter(([, box]) => points.some(({x, y}) => x > box.left - frame.left + 2
    && x < box.right - frame.left - 2 && y > box.top - frame.top + 2 && y < box.bottom - frame.top - 2))
    .map(([said]) => `${where}: a curve goes through '${said}'`);
  return [...outside, ...over, ...through];
})"""


def test_no_text_of_a_chart_is_cut_or_stands_on_another(opened):
    page = opened()
    found = {}
    for scheme, size in itertools.product(("light", "dark"), SCREENS):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        for state in STATES:
            page.evaluate(GO, state)
            page.wait_for_function(DRAWN)
            assert page.evaluate("document.documentElement.dataset.theme") == scheme
            found[f"{scheme}, {size['width']} px, {state}"] = page.evaluate(MISPLACED)
    assert {where: wrong for where, wrong in found.items() if wrong} == {}


def test_a_list_is_wide_enough_for_what_is_chosen_in_it(opened):
    page = opened("#" + STATES[0])
    cut = """[...document.querySelectorAll('.choices select')].filter((select) => {
      const pen = document.createElement('canvas').getContext('2d');
      pen.font = getComputedStyle(select).font;
      return pen.measureText(select.selectedOptions[0].textContent).width > select.clientWidth - 20;
    }).map((select) => `${select.id}: ${select.selectedOptions[0].textContent}`)"""
    assert page.evaluate(cut) == []
