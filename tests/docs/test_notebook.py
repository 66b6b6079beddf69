"""The notebooks are executed, run anywhere, and say what their cells print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
ABSOLUTE = re.compile(r"(?<![\w./:<])(?:/(?:home|root|tmp|usr|work|opt|mnt|var|Users)/|[A-Za-z]:\\\\)")
NUMBER = re.compile(r"(?<![\w.\-])\d(?:[\d,.]*\d)(?![\w-])")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def printed(path: Path) -> Iterator[str]:
    for cell in cells(path, "code"):
        yield from ("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@each_notebook
def test_every_cell_was_executed_in_order_and_none_failed(path: Path) -> None:
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [o for cell in code for o in cell["outputs"] if o["output_type"] == "error" or o.get("name") == "stderr"]


@each_notebook
def test_the_figures_are_stored(path: Path) -> None:
    drawn = [cell for cell in cells(path, "code") if "".join(cell["source"]).rpartition("\n")[2].startswith("Drawn(")]
    assert drawn
    assert all(any("image/png" in output.get("data", {}) for output in cell["outputs"]) for cell in drawn)


@each_notebook
def test_no_path_of_a_machine_and_no_date_is_stored(path: Path) -> None:
    whole = json.loads(path.read_text(encoding="utf-8"))
    for cell in whole["cells"]:
        assert not cell["metadata"]
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
    assert not ABSOLUTE.findall(json.dumps(whole, ensure_ascii=False))


@each_notebook
def test_every_number_in_the_text_is_printed_by_a_cell(path: Path) -> None:
    known = NUMBER.findall(re.sub(r"(?<!\w)-(?=\d)|(?<=\d)[x%]", " ", "\n".join(printed(path))))
    said = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    text = re.sub(r"`[^`]*`|\barXiv [\d.]+|×", " ", said)
    assert not [number for number in NUMBER.findall(text) if number not in known]


@each_notebook
def test_the_cells_run_without_the_measured_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROOFSIM_DATA", raising=False)
    names: dict[str, object] = {"__name__": "notebook"}
    with matplotlib.rc_context({"backend": "Agg"}):
        for i, cell in enumerate(cells(path, "code"), 1):
            exec(compile("".join(cell["source"]), f"{path.name}, cell {i}", "exec"), names)
    said = capsys.readouterr().out
    assert "not set" in said or "ROOFSIM_DATA" not in path.read_text(encoding="utf-8")
