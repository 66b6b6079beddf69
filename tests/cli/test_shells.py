"""TAB in real shells: each is started on a terminal of its own, reads the script, and is typed at."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from roofsim.cli._shells import SHELLS, script

pty = pytest.importorskip("pty", reason="there are no terminals to make here")

CHECKOUT = Path(__file__).resolve().parents[2]
START = {
    "bash": (["--norc", "--noprofile", "-i"], "roofsim() { printf 'GOT<%s>\\n' \"$*\"; }"),
    "zsh": (["-f", "-i"], "roofsim() { printf 'GOT<%s>\\n' \"$*\"; }"),
    "fish": (["--no-config", "-i"], "function roofsim; printf 'GOT<%s>\\n' \"$argv\"; end"),
}
"""How each shell starts without anybody's settings, and a function that says what was typed after `roofsim`."""
LAUNCH = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Makes a terminal that of the process, and is then the shell."""
PROGRAM = """#!/bin/sh
[ "$_ROOFSIM_COMPLETE" ] || { printf 'GOT<%s>\\n' "$*"; exit; }
exec "{}" -m roofsim "$@"
"""
"""The program, which only completes, and else says what was typed after it."""
PATIENCE = 60.0
"""Seconds until a test gives up; a shell answers in tenths of one."""

TYPED = {
    "roofsim predict x -d orin@max": "predict x -d orin@maxn",
    "./bin/roofsim predict x --device=rtx-309": "predict x --device=rtx-3090",
    "roofsim predict x -d rtx-3090,orin@1": "predict x -d rtx-3090,orin@15w",
    "~/bin/roofsim predict x -d orin --set device.memory.band": "predict x -d orin --set device.memory.bandwidth=",
    "roofsim predict x --set=runtime.attention.mask=al": "predict x --set=runtime.attention.mask=always",
    "roofsim predict dense:width=512:dep": "predict dense:width=512:depth=",
    "roofsim predict QWEN2.5-0.5": "predict QWEN2.5-0.5",  # two begin so, written otherwise: nothing is taken away
    "roofsim predict x -d orin --output=./to": "predict x -d orin --output=./to-write.csv",
}
"""What is typed before a TAB, and what the program gets then. `roofsim` is on no path, as if it were an alias."""


class Terminal:
    """A shell on a terminal."""

    def __init__(self, shell: str, folder: Path) -> None:
        options, answer = START[shell]
        (folder / "script").write_text(script(shell), encoding="utf-8")
        (folder / "to-write.csv").touch()
        program = folder / "bin" / "roofsim"
        program.parent.mkdir()
        program.write_text(PROGRAM.replace("{}", sys.executable), encoding="utf-8")
        program.chmod(0o755)
        environment = {
            **os.environ, "HOME": str(folder), "TERM": "xterm", "PS1": "$ ", "PYTHONPATH": str(CHECKOUT),
            "ROOFSIM_CACHE": str(folder / "cache"),
        }  # fmt: skip
        self.terminal, end = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, shell, *options],
            stdin=end, stdout=end, stderr=end, cwd=folder, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(end)
        self.said = ""
        self.type(f"{answer}; source ./script; printf 'READ''Y\\n'\r")
        self.until("READY")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.terminal, text.encode())

    def until(self, wanted: str) -> str:
        """Wait until the shell has written something; the match of it."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(wanted, self.said)):
            assert time.monotonic() < end, f"no {wanted} in {self.said!r}"
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.said += os.read(self.terminal, 4096).decode(errors="replace")
        self.said = self.said[found.end() :]
        return found[0]


@pytest.fixture(params=list(SHELLS))
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed here")
    made = Terminal(request.param, tmp_path)
    yield made
    made.process.kill()
    made.process.wait()
    os.close(made.terminal)


def test_a_tab_completes_the_line(terminal):
    found = {}
    for line in TYPED:
        terminal.type(f"{line}\t\r")
        found[line] = terminal.until("GOT<.*?>")[4:-1].rstrip()
    assert found == TYPED
