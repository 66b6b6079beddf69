"""The page of the command line, and consoles that show what their commands print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

PACKAGE = Path(__file__).resolve().parents[3]
PLAIN = {"COLUMNS": "80", "TERM": "dumb", "PYTHONUTF8": "1"}
COLOUR = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
CUT = "…"
"""The last line of an answer that is not shown whole."""


def run(line: str, folder: str) -> str:
    """What `roofsim ...` prints in a folder, 80 columns wide and without colour; raises RuntimeError if it fails."""
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {name: value for name, value in os.environ.items() if name not in COLOUR}
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
    """As `run`, a few at a time in a folder that is empty."""
    with tempfile.TemporaryDirectory() as folder:
        return at_once(lambda line: run(line, folder), lines)


def at_once(function: Callable[[S], T], values: Iterable[S]) -> list[T]:
    """What a function makes of values, a few at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, values))


def cli() -> Iterator[str]:
    """The help of every command."""
    yield "# Command line"
    yield (
        "What `roofsim --help` and `roofsim COMMAND --help` say. Exit codes: 0 done, 2 wrong input (a message on "
        "stderr, nothing written), 1 a defect of roofsim."
    )
    (listed,) = run_all(["roofsim --help"])
    names = re.findall(r"^  ([a-z][a-z-]*)  ", listed.partition("Commands:")[2], re.MULTILINE)
    for name, text in zip(["", *names], [listed, *run_all([f"roofsim {n} --help" for n in names])], strict=True):
        yield f"## {f'roofsim {name}'.strip()}"
        yield f"```text\n{text}\n```"


def listed(command: str) -> str:
    """The table of the command that lists all specs of a kind, without its title."""
    (text,) = run_all([f"roofsim {command} --format markdown"])
    return text.partition("\n\n")[2]


BLOCK = re.compile(r"(?<=^```)(console|\w+ ([\w.-]+))\n(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)
"""A console, or a file with its name behind the language, up to the fence that ends it."""


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The consoles of a page in order, and the files that stand between them: the name of a file, or none, and text.

    A file is a block whose first line has its name behind the language.
    """
    yield from ((match[2] or "", match[3]) for match in BLOCK.finditer(text))


def commands(block: str) -> list[str]:
    """The commands of a console."""
    return [line[2:] for line in block.split("\n") if line.startswith("$ ")]


def filled(text: str) -> str:
    """A page with its consoles filled anew, in one folder. An answer that ends in … stays cut after as many lines."""
    with tempfile.TemporaryDirectory() as folder:

        def fill(match: re.Match[str]) -> str:
            head, name, body = match.groups()
            if name:
                Path(folder, name).write_text(body, encoding="utf-8")
                return match[0]
            rows: list[str] = []
            for part in re.split(r"^(?=\$ )", body, flags=re.MULTILINE)[1:]:
                command, *old = part.rstrip("\n").split("\n")
                new = run(command[2:], folder).split("\n")
                rows += [command, *([*new[: len(old) - 1], CUT] if old[-1:] == [CUT] else new)]
            return f"{head}\n" + "\n".join(rows) + "\n"

        return BLOCK.sub(fill, text)
