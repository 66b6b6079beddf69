"""What docs/tiers.md says of ratios is what is predicted now, and what it is made of can be read."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
spec: Any = importlib.util.spec_from_file_location("tiers_page", ROOT / "tools" / "tiers_page.py")
tiers: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiers)
PAGE = (ROOT / "docs" / "tiers.md").read_text(encoding="utf-8")


def test_the_page_has_a_line_for_each_row_of_its_files() -> None:
    lines = re.findall(r"^\| (?!figure|model|`--offload`|processor|---).*$", PAGE, re.M)
    files = ("tiers.csv", "offload.csv", "offload_prompts.csv", "memory.csv")
    assert len(lines) == sum(len(tiers.rows(name)) for name in files)
    assert {row["figure"] for row in tiers.rows("tiers.csv")} == set(tiers.FIGURES)


def test_ratios_of_links_and_memory_are_within_what_was_asked() -> None:
    for row in tiers.rows("tiers.csv"):
        if row["figure"] in ("switch", "local_memory"):
            words, _, published, ours, error, verdict = tiers._ratio(row)
            assert f"| {words} |" in PAGE
            assert f"| {published} | {ours} | {error} | {verdict} |" in PAGE
            assert verdict.endswith("met")


def test_a_measured_division_lies_in_its_interval() -> None:
    row = next(row for row in tiers.rows("offload.csv") if row["model"] == "Gemma-3-12B")
    p = tiers.asked(row)
    low, high = p.intervals["tpot"]
    assert low < 1 / tiers.rate_of(row) < high


def test_a_host_of_stated_memory_is_predicted_by_it() -> None:
    row = next(row for row in tiers.rows("offload.csv") if row["source"] == "llama.cpp 4716")
    one = tiers.asked(row).request.tpot
    two = tiers.asked({**row, "memory": str(2 * float(row["memory"]))}).request.tpot
    assert 1.8 < one / two < 2
