"""The README's figure is what its command draws."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from roofsim.cli import group

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KEPT = ROOT / "docs" / "figures" / "crossover.svg"


def command(name: str) -> str:
    """The line of the block that follows `<!-- command: NAME -->`."""
    found = re.search(rf"^<!-- command: {name} -->\n```sh\n(.*?)\n```$", README, re.M | re.S)
    assert found, name
    return found[1]


def texts(svg: str) -> set[str]:
    return set(re.findall(r"<text[^>]*>([^<]+)</text>", svg))


def test_the_figure_of_the_readme_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command("figure"))
    assert program == ".venv/bin/roofsim"
    result = CliRunner().invoke(group, arguments, prog_name="roofsim")
    assert result.exit_code == 0, result.output
    (made,) = tmp_path.iterdir()
    assert texts(made.read_text(encoding="utf-8")) == texts(KEPT.read_text(encoding="utf-8")), (
        f"docs/figures/{KEPT.name} is stale: run `{command('figure').replace(made.name, f'docs/figures/{KEPT.name}')}`"
    )


def test_the_readme_opens_with_that_figure_before_anything_else_is_said() -> None:
    title, figure = README.split("\n\n")[:2]
    assert title == "# roofsim"
    assert re.fullmatch(r"!\[[^\]]+\]\(docs/figures/crossover\.svg\)", figure)


def test_the_commands_that_ci_reads_are_there() -> None:
    assert {"try", "test", "measure"} <= set(re.findall(r"^<!-- command: (\w+) -->$", README, re.M))
