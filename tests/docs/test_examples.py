"""Every example in the README and in docs/ runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from roofsim.cli import group
from roofsim.reports.docs.__main__ import CONSOLES
from roofsim.reports.docs.console import blocks, commands

ROOT = Path(__file__).resolve().parents[2]
DRAWN = ROOT / "docs" / "gallery.md"
"""Its commands run where the site is built, which shows what they draw; tests/docs/test_gallery.py reads them."""
PAGES = {
    str(p.relative_to(ROOT)): p.read_text("utf-8")
    for p in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    if p != DRAWN
}
COMMANDS = {page: [line for _, block in blocks(text) for line in commands(block)] for page, text in PAGES.items()}
PYTHON = {page: re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S) for page, text in PAGES.items()}


def test_there_are_examples() -> None:
    assert sum(map(len, COMMANDS.values())) >= 6
    assert any(PYTHON.values())


ASKED = [
    " ".join(line.split())
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGES["README.md"], re.M | re.S)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("roofsim ")
]
"""What the README has for its reader's questions."""


def test_the_readme_answers_four_questions_by_a_command() -> None:
    assert [line.split()[1] for line in ASKED] == ["compare", "compare", "advise", "validate"]


@pytest.mark.parametrize("line", ASKED)
def test_an_answer_of_the_readme_is_given(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(group, shlex.split(line)[1:], prog_name="roofsim")
    assert result.exit_code == 0, result.output


def test_commands_to_paste_have_no_comments_which_zsh_takes_for_arguments() -> None:
    shown = [
        (page, block) for page, text in PAGES.items() for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    ]
    assert not [(page, line) for page, block in shown for line in block.splitlines() if re.search(r"(^|\s)#", line)]


def test_the_consoles_of_every_page_are_run_where_pages_are_checked() -> None:
    # `python -m roofsim.reports.docs --check`, in tests/check.py, runs each and compares what it prints
    shown = {page.removeprefix("docs/") for page, lines in COMMANDS.items() if lines}
    assert shown == set(CONSOLES)
    assert not [line for lines in COMMANDS.values() for line in lines if not line.startswith("roofsim ")]


@pytest.mark.parametrize("page", [page for page, blocks in PYTHON.items() if blocks])
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    for block in PYTHON[page]:
        exec(compile(block, page, "exec"), names)
