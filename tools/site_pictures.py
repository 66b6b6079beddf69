"""What the consoles of a page leave to look at: below each, in the site, stand the figures and pages of its commands.

A command with `--plot FILE` is run again for a figure in each theme, one with `-o FILE.html` for the page.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from contextlib import chdir
from itertools import pairwise
from pathlib import Path

from click.testing import CliRunner

from roofsim.cli import group
from roofsim.reports.docs import console

THEMES = ("light", "dark")
SHOWN = re.compile(r"^\$ .*(?:--plot[ =]|(?:-o|--output)[ =]\S+\.html\b)", re.MULTILINE)
"""A command that leaves something to look at."""


def with_pictures(text: str, name: str, folder: Path) -> str:
    """A page with what its consoles leave, put into `folder` under names that begin with its own.

    The commands run one after the other, as a reader would type them, as far as the last that leaves something.
    """
    blocks = list(console.BLOCK.finditer(text))
    last = max((i for i, block in enumerate(blocks) if SHOWN.search(block[0])), default=-1)
    parts, at = [], 0
    with tempfile.TemporaryDirectory() as place, chdir(place):
        for number, block in enumerate(blocks[: last + 1]):
            _, file, body = block.groups()
            end = block.end() + len("```\n")
            parts, at = [*parts, text[at:end]], end
            if file:
                Path(file).write_text(body, encoding="utf-8")
                continue
            for line in console.commands(body):
                parts += [f"\n{shown}\n" for shown in left(line, f"{name}-{number + 1}", folder)]
    return "".join([*parts, text[at:]])


def left(line: str, name: str, folder: Path) -> list[str]:
    """Runs a command; the blocks that show what it leaves."""
    words = [word for each in shlex.split(line)[1:] for word in re.split(r"(?<=^--plot)=|(?<=^--output)=", each)]
    for option, file in pairwise(words):
        at = words.index(option) + 1
        if option == "--plot":
            paths = {theme: folder / f"{name}-{theme}.svg" for theme in THEMES}
            for theme, path in paths.items():
                run([*words[:at], str(path), *words[at + 1 :], "--theme", theme])
            alike = file.rpartition(".")[0]
            return [picture(path, theme, f"{alike}, as the command above draws it") for theme, path in paths.items()]
        if option in ("-o", "--output") and file.endswith(".html"):
            path = folder / f"{name}.html"
            run([*words[:at], str(path), *words[at + 1 :]])
            return [f'<p><a href="{path.parent.name}/{path.name}">Open {file}</a></p>']
    run(words)
    return []


def picture(path: Path, theme: str, alike: str) -> str:
    """A figure that is shown in one theme."""
    lines = ["```{image} " + f"{path.parent.name}/{path.name}", f":class: only-{theme}", f":alt: {alike}", "```"]
    return "\n".join(lines)


def run(words: list[str]) -> None:
    """Runs a command in this process; raises RuntimeError if it fails."""
    result = CliRunner(env={"COLUMNS": "80"}).invoke(group, words, prog_name="roofsim")
    if result.exit_code:
        raise RuntimeError(f"roofsim {shlex.join(words)}: exit code {result.exit_code}\n{result.output}")
