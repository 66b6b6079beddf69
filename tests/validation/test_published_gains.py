"""Gains that others measured, which nothing was fitted to: the page has every row, and some are computed here."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("gains_page", ROOT / "tools" / "gains_page.py")
tool = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
DRAFTS, INSIDE = tool.rows(tool.DRAFTS), tool.rows(tool.INSIDE)


def test_the_page_has_every_row():
    said = tool.PAGE.read_text(encoding="utf-8")
    assert all(
        f"{row['draft']}, {row['tree'] or row['drafted'] + ' drafted'}, {row['acceptance']} |" in said for row in DRAFTS
    )
    assert said.count("\n| qwen38-mtp") == sum(row["source"] == "qwen38-mtp" for row in DRAFTS)
    assert all(f"| {row['prompt']} + {row['generate']} | {row['batch']} |" in said for row in INSIDE)


def test_drafts_gain_what_was_measured_within_their_interval_but_one():
    inside = 0
    for row in (DRAFTS[place] for place in (3, 4, 7, 16, 17)):
        ours, (low, high), _ = tool.speedup(row)
        measured = float(row["tokens_per_second"]) / float(row["tokens_per_second_without"])
        assert ours == pytest.approx(measured, rel=0.15)
        inside += low < measured < high
    assert inside >= 4


def test_both_phases_inside_a_device_gain_what_was_measured():
    bullet = [tool.gain(row, tool.APART) for row in INSIDE if row["source"].startswith("Bullet")]
    assert sum(bullet) / len(bullet) == pytest.approx(1.26, rel=0.1)
    assert max(bullet) == pytest.approx(1.55, rel=0.1)
