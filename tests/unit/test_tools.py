"""What the scripts of tools/ do that measure, as far as it needs no device."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from roofsim.measure.runs import Case, runs

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def test_what_a_process_was_at_when_it_died_is_written_down_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(TOOLS)
    tool = importlib.import_module("measure_h100")
    case, path = Case("Qwen2.5-0.5B", "decode", "bf16", 8, 512, mode="eager"), str(tmp_path / "my.csv")
    tool.place(path).write_text(json.dumps({"device": "H200", "row": case.row("failed", 1.0, "logits=last")}))
    assert not tool.write_failure(path, "process ended with -9")
    found = runs("H200", Path(path).read_text(encoding="utf-8"))
    assert found.cases == {case: "failed"}
    assert found.rows[0]["note"] == "logits=last;process ended with -9"
