"""What docs/validation.md says of our own files is what `validate` says of them now."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from pathlib import Path

import pytest

from roofsim import library
from roofsim.studies.validate import validate

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
OWN = sorted((ROOT / "data").glob("*.csv"))


def lines(section: str) -> list[list[str]]:
    """The cells of a table below a heading, without its head."""
    body = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines() if line[:1] == "|"]
    return rows[2:]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_the_page_says_what_validate_says(path):
    shown = {
        (cells[0], cells[1], cells[2]): (cells[3], cells[4], cells[5])
        for section in ("Whole models", "Single operators")
        for cells in lines(section)
        if cells[-1].startswith(f"[{path.stem}]")
    }
    found = {
        (s.runtime, s.device, f"{s.phase} {s.metric}"): (f"{s.rows:,}", f"{s.median_error:.1%}", f"{s.bias:.1%}")
        for s in validate(str(path)).scores
    }
    assert shown == found, "write the page again: python tools/validation_page.py FOLDER"


def test_every_file_of_ours_is_on_the_page_with_what_is_not_scored():
    for path in OWN:
        section = PAGE.partition(f"\n## {path.name}\n")[2].partition("\n## ")[0]
        total = len(path.read_text(encoding="utf-8").splitlines()) - 1
        scored, figures = re.search(r"([\d,]+) of ([\d,]+) rows scored", section).groups()
        reasons = section.partition("**Rows that are not scored**")[2].partition("**")[0]
        left = [int(n.replace(",", "")) for n in re.findall(r"^\| ([\d,]+) \|", reasons, re.MULTILINE)]
        assert int(figures.replace(",", "")) == total
        assert int(scored.replace(",", "")) + sum(left) == total


def test_the_first_table_has_a_line_for_every_stack_and_device():
    glance = {(cells[0], cells[1]) for cells in lines("At a glance")}
    assert glance == {(cells[0], cells[1]) for cells in lines("Whole models")}
    assert len(glance) > 1


@pytest.mark.parametrize("cells", lines("Whole models") + lines("Single operators"), ids=lambda c: " ".join(c[:3]))
def test_a_verdict_follows_from_the_numbers_beside_it(cells):
    bounds = {"exact": 1, "good": 10, "fair": 20, "rough": 35, "do not trust": float("inf")}
    words, few = cells[-2], int(cells[3].replace(",", "")) < 5
    assert (words == "few rows") == few
    if not few:
        size = float(cells[4].rstrip("%"))
        plain = words.partition(";")[0]
        below = max((bound for bound in bounds.values() if bound < bounds[plain]), default=0)
        assert below - 0.05 <= size <= bounds[plain] + 0.05


@pytest.fixture(scope="module")
def tools():
    """The module that writes the page."""
    sys.path.append(str(ROOT / "tools"))
    try:
        spec = importlib.util.spec_from_file_location("validation_page", ROOT / "tools" / "validation_page.py")
        page = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(page)
    finally:
        sys.path.remove(str(ROOT / "tools"))
    return page


@pytest.mark.parametrize(
    ("rows", "error", "coverage", "said"),
    [
        (4, 0.5, 0.1, "(50%)"), (5, 0.5, 0.88, "**do not trust** 50%"), (5, 0.1, math.nan, "**good** 10%"),
        (5, 0.2, 0.67, "**fair** 20%, intervals hold 67%"),
    ],
)  # fmt: skip
def test_a_cell_says_where_intervals_hold_too_few(tools, rows, error, coverage, said):
    assert tools.judged(rows, error, f"{error:.0%}", coverage) == said


def test_devices_and_software_that_nobody_measured_have_a_line_for_each_class_that_was_left_out(tools):
    known = library.population()
    rows = tools.elsewhere(known).rows
    passes = [
        g for g in known.groups if any(x.phase in ("prefill", "decode") and x.metric.endswith("_s") for x in g.left_out)
    ]
    assert len(rows) == len(passes)  # not those of single operators alone
    line = next(row for row in rows if row[0] == "NVIDIA gpu" and "vllm" in row[1])
    (group,) = (g for g in known.groups if (g.devices, g.runtimes) == ("NVIDIA gpu", "serving"))
    (decode,) = (x for x in group.left_out if (x.of, x.phase, x.metric) == ("device", "decode", "latency_s"))
    assert f"{decode.median_error:.0%} ({decode.bias:+.0%})" in line[3]
