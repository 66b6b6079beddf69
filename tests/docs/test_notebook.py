"""Notebooks in git hold no outputs, use what is public, and let their cells say the numbers.

That their cells run is seen where the documentation is built, with `tools/run_notebooks.py`.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import roofsim

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
ABSOLUTE = re.compile(r"(?<![\w./:<])(?:/(?:home|root|tmp|usr|work|opt|mnt|var|Users)/|[A-Za-z]:\\\\)")
QUOTED = re.compile(r"`[^`]*`|\]\([^)]*\)|\barXiv [\d.]+|^```.*?^```", re.M | re.S)
"""What a text may say without a cell: code, the targets of links, the name of a paper."""
NUMBER = re.compile(r"(?<![\w.\-])\d[\d,.]*\d(?![\w-])")
THIRD = {"matplotlib", "numpy", "pandas"}
"""What a notebook may import beside the standard library and roofsim: what `.[studies]` installs."""

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def tool() -> Any:
    """tools/run_notebooks.py as a module."""
    spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "tools" / "run_notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sources(path: Path, kind: str) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def test_the_notebooks_are_those_that_the_readme_of_their_folder_names() -> None:
    named = re.findall(r"^\| \[(\w+)\]\((\w+)\.ipynb\)", (FOLDER / "README.md").read_text(encoding="utf-8"), re.M)
    assert sorted(file for _, file in named) == [path.stem for path in NOTEBOOKS]
    assert all(shown == file for shown, file in named)


@each_notebook
def test_git_holds_no_outputs_no_counts_and_nothing_of_an_editor(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tools = tool()
    assert text == tools.text_of(tools.stripped(json.loads(text))), (
        f"{path.name}: run `python tools/run_notebooks.py --strip`"
    )
    assert json.loads(text)["metadata"]["language_info"] == {"name": "python"}


def test_stripping_takes_out_what_running_adds() -> None:
    tools = tool()
    cell = {"cell_type": "code", "id": "a", "metadata": {"tags": ["x"]}, "source": ["1\n", "2"], "execution_count": 3}
    run = {"cells": [{**cell, "outputs": [{"output_type": "stream"}]}], "metadata": {"language_info": {"version": "3"}}}
    kept = tools.stripped(run)
    assert kept["cells"][0] == {**cell, "metadata": {}, "execution_count": None, "outputs": []}
    assert kept["metadata"] == tools.METADATA
    assert tools.stripped(kept) == kept


@each_notebook
def test_cells_are_python_that_uses_public_names_only(path: Path) -> None:
    for number, source in enumerate(sources(path, "code"), 1):
        tree = ast.parse(source, f"{path.name}, cell {number}")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert node.module is not None
                modules = [node.module]
            else:
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                first, _, rest = module.partition(".")
                assert first in sys.stdlib_module_names | THIRD | {"roofsim"}, module
                assert first != "roofsim" or not rest, f"{module} is not public; docs/python.md says what is"
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "roofsim":
                assert node.attr in roofsim.__all__, f"roofsim.{node.attr}"
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "roofsim.plots":
                assert callable(getattr(roofsim.plots, node.attr)), node.attr


@each_notebook
def test_nothing_of_a_machine_is_in_a_notebook(path: Path) -> None:
    assert not ABSOLUTE.findall(path.read_text(encoding="utf-8"))


@each_notebook
def test_numbers_of_a_text_are_what_its_cells_are_given_and_none_of_what_they_print(path: Path) -> None:
    given = {re.sub("[,_]", "", number) for number in re.findall(r"\d[\d,._]*\d", " ".join(sources(path, "code")))}
    said = NUMBER.findall(QUOTED.sub(" ", " ".join(sources(path, "markdown"))))
    assert not [number for number in said if number.replace(",", "") not in given]


@each_notebook
def test_links_of_a_notebook_lead_somewhere(path: Path) -> None:
    for source in sources(path, "markdown"):
        for target in re.findall(r"\]\(([^)#]+)", source):
            assert target.startswith("https://") or (FOLDER / target).is_file(), target


def test_a_page_has_text_code_what_was_printed_tables_and_figures() -> None:
    cells = [
        {"cell_type": "markdown", "source": "See [x](../docs/x.md)."},
        {
            "cell_type": "code",
            "source": "f()",
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "1 s\n"},
                {"output_type": "execute_result", "data": {"text/html": "<p>a</p>\n\n<p>b</p>", "text/plain": "X"}},
                {"output_type": "display_data", "data": {"image/png": "aGk=", "text/plain": "<Figure 1>"}},
            ],
        },
    ]
    named = [_Named(cell) for cell in cells]
    text, figures = tool().page(_Named({"cells": named}), "n")
    assert text.split("\n\n") == [
        "See [x](../docs/x.md).", "```python\nf()\n```", "```text\n1 s\n```", "<p>a</p>\n<p>b</p>",
        "![Figure 1 of n](n_files/1.png)\n",
    ]  # fmt: skip
    assert figures == {"n_files/1.png": b"hi"}


class _Named(dict[str, Any]):
    """A mapping whose entries are attributes, as nbformat's nodes are."""

    def __getattr__(self, name: str) -> Any:
        found = self[name]
        return [_Named(each) for each in found] if name == "outputs" else found
