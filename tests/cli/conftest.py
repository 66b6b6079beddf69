"""Running the command line inside the test process, in a folder of its own."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from roofsim.cli import group

# what the examples in the help read
RUNS = """\
device,model,phase,op,batch,prompt_len,metric,value
RTX 4090,Qwen2.5-0.5B,prefill,e2e,1,1024,latency_s,0.0143
RTX 4090,Qwen2.5-0.5B,decode,e2e,1,1024,latency_s,0.0130
RTX 4090,Qwen2.5-0.5B,prefill,e2e,1,4096,latency_s,0.0462
RTX 4090,Qwen2.5-0.5B,decode,e2e,1,4096,latency_s,0.0124
RTX 4090,Qwen2.5-0.5B,prefill,e2e,1,8192,latency_s,0.0909
RTX 4090,Qwen2.5-0.5B,decode,e2e,1,8192,latency_s,0.0124
"""

Run = Callable[..., Result]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder; nothing in the environment decides how wide or colourful tables are."""
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "ROOFSIM_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def attempt(here: Path) -> Run:
    """Run one command line, whatever comes of it; what is no exit is a defect and raised."""

    def run(line: str, *arguments: str) -> Result:
        result = CliRunner().invoke(group, [*shlex.split(line), *arguments], prog_name="roofsim")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def roofsim(attempt: Run) -> Callable[..., str]:
    """Run one command line that must succeed; what it printed."""

    def run(line: str, *arguments: str) -> str:
        result = attempt(line, *arguments)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture
def data(roofsim: Callable[..., str]) -> Callable[..., Any]:
    """The JSON that a command line prints."""
    return lambda line, *arguments: json.loads(roofsim(line, *arguments, "-f", "json"))


def contents(folder: Path) -> Mapping[str, bytes]:
    """Every file below a folder with what it holds, links with where they lead, others as empty."""
    return {str(path.relative_to(folder)): held(path) for path in sorted(folder.rglob("*"))}


def held(path: Path) -> bytes:
    """What a file holds, or where a link leads."""
    if path.is_symlink():
        return os.fsencode(os.readlink(path))
    return path.read_bytes() if path.is_file() else b""


@pytest.fixture
def refused(attempt: Run, here: Path) -> Callable[..., str]:
    """Run a command line that must be refused as wrong input; its message."""

    def run(line: str, *arguments: str) -> str:
        before = contents(here)
        result = attempt(line, *arguments)
        assert result.exit_code == 2, f"exit code {result.exit_code}, printed {result.stdout[:200]!r}"
        assert result.stdout == "", "a refusal prints nothing on stdout"
        assert contents(here) == before, "a refusal writes nothing"
        message = result.stderr
        assert "Error: " in message
        assert "Traceback" not in message
        assert "Warning" not in message
        _, _, said = message.partition("Error: ")
        assert said.strip(), "a refusal says why"
        return message

    return run


@pytest.fixture
def examples(here: Path) -> Callable[..., list[str]]:
    """The examples in the help of a command, as lines for `roofsim`; the files that they read are there."""

    def lines(*command: str) -> list[str]:
        (here / "runs.csv").write_text(RUNS, encoding="utf-8")
        text = CliRunner().invoke(group, [*command, "--help"], prog_name="roofsim", terminal_width=200).stdout
        found = [line.partition("Example: ")[2] for line in text.splitlines() if line.startswith("  Example: ")]
        assert found, "the help shows no example"
        assert all(line.startswith("roofsim ") for line in found)
        return [line.removeprefix("roofsim ") for line in found]

    return lines


@pytest.fixture(scope="session", autouse=True)
def _figures_need_no_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Matplotlib's font cache is made once for all tests, and not in the user's home."""
    os.environ.setdefault("MPLCONFIGDIR", str(tmp_path_factory.getbasetemp().parent / "matplotlib"))
