"""Outputs of other tools as runs: llama-bench, optimum-benchmark, vLLM's benchmarks and start-up logs."""

from __future__ import annotations

from roofsim.runs.reading import Runs, read_csv


def read_runs(path: str, *, skip_bad_rows: bool = False) -> Runs:
    """The runs in a file."""
    return read_csv(path, skip_bad_rows=skip_bad_rows)
