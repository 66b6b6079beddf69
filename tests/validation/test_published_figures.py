"""Figures of published studies of many devices, which nothing was fitted to, are met as far as the page says."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))  # the page is made by two of them
spec = importlib.util.spec_from_file_location("published_page", ROOT / "tools" / "published_page.py")
tool = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
ROWS = tool.rows()
AIMED = [row for row in ROWS if row.within]


@pytest.mark.parametrize("row", AIMED, ids=lambda row: f"{row.study} {row.figure} {row.cluster} {row.batch}")
def test_a_figure_is_met_or_the_page_says_why_not(row):
    error = tool.ours(row) / float(row.published) - 1
    assert abs(error) <= float(row.within) or row.study in tool.REASONS


def test_exchanges_of_experts_are_as_measured():
    """DeepEP's kernels for steps on 16 to 128 H800: within 20 %, though no link was fitted to them."""
    for row in ROWS:
        if row.study == "deepep":
            assert tool.FIGURES[row.figure][1](tool.asked(row)) == pytest.approx(float(row.published), rel=0.2)


def test_exchanges_of_prompts_are_as_measured():
    """DeepEP's kernels for prompts on 8 to 64 H800: within 20 %, within 5 % where the network bounds them."""
    for row in ROWS:
        if row.study == "deepep-normal":
            within = 0.05 if int(row.batch) >= 32 else 0.2
            assert tool.ours(row) == pytest.approx(float(row.published), rel=within)


def test_every_row_has_a_source_and_a_title_and_says_whether_it_was_read():
    assert {row.study for row in ROWS} == set(tool.TITLES)
    assert {row.read for row in ROWS} <= {"yes", "summary", "memory"}
    assert all(row.source and row.where for row in ROWS)


def test_the_page_has_the_rows_and_words_of_the_file():
    """Numbers of ours apart, which move with what is learnt."""
    said, made = (re.sub(r"[-+]?[\d.,]+ ?(%|[num]?s|tokens/s)?", "", text) for text in (
        tool.PAGE.read_text(encoding="utf-8"), tool.page(ROWS)
    ))  # fmt: skip
    assert said == made, "write it again: python tools/published_page.py"
