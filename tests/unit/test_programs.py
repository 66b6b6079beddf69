"""Programs that are run: how they end, and what they leave behind."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from roofsim.measure.programs import Ended, lines


@pytest.mark.parametrize(
    ("code", "said", "out_of_memory", "reason"),
    [
        (1, "main: error: failed to load model\nlast", False, "ended with 1: main: error: failed to load model"),
        (1, "CUDA error: out of memory", True, "ended with 1: CUDA error: out of memory"),
        (-9, "", True, "killed by SIGKILL: said nothing"),
        (137, "a shell\nsays so", True, "killed by SIGKILL: says so"),
        (-11, "here", False, "killed by SIGSEGV: here"),
        (134, "GGML_ASSERT(n > 0) failed", False, "killed by SIGABRT: GGML_ASSERT(n > 0) failed"),
        (255, "usage", False, "ended with 255: usage"),
    ],
)
def test_an_end_says_whether_memory_ran_out_and_why(code: int, said: str, out_of_memory: bool, reason: str) -> None:
    ended = Ended(code, said, killed=False)
    assert ended.out_of_memory == out_of_memory
    assert ended.reason == reason


def alive(number: int) -> bool:
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


STARTS = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); {then}"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to look for processes in")
@pytest.mark.parametrize(("then", "limit"), [("import time; time.sleep(60)", 1.5), ("sys.exit(1)", 50.0)])
def test_what_a_program_started_does_not_outlive_it(then: str, limit: float) -> None:
    begun, printed = time.monotonic(), list[int]()
    with pytest.raises(Ended):
        printed.extend(map(int, lines([sys.executable, "-c", STARTS.format(then=then)], until=begun + limit)))
    assert time.monotonic() - begun < 20
    while alive(printed[0]) and time.monotonic() - begun < 20:  # a signal takes its time on a busy machine
        time.sleep(0.05)
    assert not alive(printed[0])
