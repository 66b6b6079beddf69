"""The scripts of tools/, which nothing imports: what they take from the package is there."""

from __future__ import annotations

import ast
import importlib
import json
from pathlib import Path

import pytest

from roofsim.measure.runs import Case, runs

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.mark.parametrize("path", sorted(TOOLS.glob("*.py")), ids=lambda path: path.stem)
def test_a_tool_imports_of_the_package_what_there_is(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "roofsim":
            module = importlib.import_module(node.module or "")
            for each in node.names:
                if not hasattr(module, each.name):
                    importlib.import_module(f"{node.module}.{each.name}")


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
