"""The page of the command line, and consoles that show what their commands print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[3]
PLAIN = {"COLUMNS": "80", "TERM": "dumb", "PYTHONUTF8": "1"}
COLOUR = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
CUT = "…"
"""The last line of an answer that is not shown whole."""


def run(line: str) -> str:
    """What `roofsim ...` prints, 80 columns wide and without colour; raises RuntimeError if it fails."""
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {name: value for name, value in os.environ.items() if name not in COLOUR}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(line)],
            cwd=folder,
            env=kept | PLAIN | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{line}: exit code {done.returncode}\n{done.stdout.rstrip()}")
    return "\n".join(row.rstrip() for row in done.stdout.rstrip().split("\n"))


def run_all(lines: Sequence[str]) -> list[str]:
    """As `run`, a few at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(run, lines))


def cli() -> Iterator[str]:
    """The help of every command."""
    yield "# Command line"
    yield (
        "What `roofsim --help` and `roofsim COMMAND --help` say. Exit codes: 0 done, 2 wrong input (a message on "
        "stderr, nothing written), 1 a defect of roofsim."
    )
    listed = run("roofsim --help")
    names = re.findall(r"^  ([a-z][a-z-]*)  ", listed.partition("Commands:")[2], re.MULTILINE)
    for name, text in zip(["", *names], [listed, *run_all([f"roofsim {n} --help" for n in names])], strict=True):
        yield f"## {f'roofsim {name}'.strip()}"
        yield f"```text\n{text}\n```"


def listed(command: str) -> str:
    """The table of the command that lists all specs of a kind, without its title."""
    return run(f"roofsim {command} --format markdown").partition("\n\n")[2]


_CONSOLE = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """The commands of all consoles of a page."""
    return [line[2:] for block in _CONSOLE.findall(text) for line in block.split("\n") if line.startswith("$ ")]


def filled(text: str) -> str:
    """A page with its consoles filled anew. An answer that ends in … stays cut after as many lines."""
    answers = iter(run_all(commands(text)))

    def fill(match: re.Match[str]) -> str:
        rows: list[str] = []
        for block in re.split(r"^(?=\$ )", match[1], flags=re.MULTILINE)[1:]:
            command, *old = block.rstrip("\n").split("\n")
            new = next(answers).split("\n")
            rows += [command, *([*new[: len(old) - 1], CUT] if old[-1:] == [CUT] else new)]
        return "\n".join(rows) + "\n"

    return _CONSOLE.sub(fill, text)
