"""A study that is killed at any moment goes on to the same file: `ROOFSIM_KILLS=20` for more than a few times."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

SCRIPT = Path(__file__).with_name("killed.py")
KILLS = int(os.environ.get("ROOFSIM_KILLS", "1"))


def count(parts: Path) -> int:
    """The parts that are there; the folder may go while we look."""
    try:
        return sum(name.startswith("part-") for name in os.listdir(parts))
    except FileNotFoundError:
        return 0


def run(output: Path, more: int | None = None, later: float = 0) -> bool:
    """Whether the study was ended by us, so many seconds after it had so many more parts."""
    parts = output.with_name(f"{output.name}.parts")
    before = count(parts)
    process = subprocess.Popen([sys.executable, str(SCRIPT), str(output)], env=os.environ | {"PYTHONWARNINGS": "error"})
    while more is not None and process.poll() is None:
        if count(parts) >= before + more:
            time.sleep(later)
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    code = process.wait()
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("name", ["study.csv", "study.parquet"])
def test_a_killed_study_goes_on_to_the_same_file(tmp_path, name):
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow", reason="Parquet needs the extra `studies`")
    (tmp_path / "whole").mkdir()
    whole = tmp_path / "whole" / name
    assert not run(whole)
    random, killed = Random(0), 0
    for i in range(KILLS):
        (tmp_path / str(i)).mkdir()
        output = tmp_path / str(i) / name
        while run(output, random.randint(1, 8), random.random() / 20):
            killed += 1
            assert not output.exists() or output.read_bytes() == whole.read_bytes()
        assert output.read_bytes() == whole.read_bytes()
        assert [each.name for each in output.parent.iterdir()] == [name]
    assert killed > 0
