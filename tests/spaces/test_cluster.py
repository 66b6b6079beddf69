"""The same study on a Dask cluster, bit for bit, also if a worker is lost on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from roofsim.foundation.errors import InputError
from roofsim.spaces import cluster
from roofsim.spaces.sweep import study, swept, write

distributed = pytest.importorskip("distributed", reason="Dask needs the extra `distributed`")
parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs the extra `studies`")

AXES = {"model": "mamba2-130m,Hymba-1.5B", "device": "orin", "runtime": "llama.cpp", "batch": range(1, 301)}
pytestmark = pytest.mark.filterwarnings("ignore")  # what Dask and Tornado warn of is theirs


def asked(prompts: range):
    return study({**AXES, "prompt": prompts}, figures=["ttft", "memory_peak"])


def test_a_cluster_of_its_own_writes_the_same_folder_of_parquet_files(tmp_path):
    made = asked(range(1000, 1500))
    assert made.space.parts > 2
    here, there = tmp_path / "here", tmp_path / "there"
    write(made, here, workers=1)
    write(made, there, engine="dask", workers=2)
    names = sorted(each.name for each in here.iterdir())
    assert names == sorted(each.name for each in there.iterdir())
    assert len(names) == made.space.parts
    for name in names:
        assert (here / name).read_bytes() == (there / name).read_bytes()
    assert parquet.read_table(there).num_rows == made.space.size


def test_a_worker_that_is_killed_loses_nothing(tmp_path):
    made = asked(range(1000, 2500))
    expected = swept(made, workers=1)
    killed: list[int] = []

    def progress(done: int, size: int) -> None:
        if not killed:
            killed.append(workers[0].pid)
            os.kill(workers[0].pid, signal.SIGKILL)

    with scheduler_and_workers(2) as (address, workers):
        found = swept(made, engine="dask", scheduler=address, progress=progress)
        assert workers[0].wait(10) == -signal.SIGKILL
    assert killed
    for a, b in zip(expected.parts, found.parts, strict=True):
        assert np.array_equal(a.values, b.values, equal_nan=True)
        assert a.refused == b.refused


def test_a_scheduler_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(cluster, "ANSWERS", "1s")
    with pytest.raises(InputError, match=r"--scheduler tcp://127\.0\.0\.1:9: no scheduler answers there"):
        swept(asked(range(1000, 1010)), engine="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(InputError, match="is of --engine dask"):
        swept(asked(range(1000, 1010)), scheduler="tcp://127.0.0.1:9")


@contextlib.contextmanager
def scheduler_and_workers(count: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers, each a process of its own, on loopback."""
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [subprocess.Popen([*dask, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], **quiet)]
    try:
        for _ in range(count):
            command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
            started.append(subprocess.Popen([*command, "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"], **quiet))
        with distributed.Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)
        time.sleep(0.1)
        yield address, started[1:]
    finally:
        for each in started:
            each.terminate()
        for each in started:
            try:
                each.wait(10)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()
