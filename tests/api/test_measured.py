"""Fitting and validating from Python: the same records as the command line writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import roofsim
from roofsim import library
from roofsim.cli import group
from roofsim.fitting.simulation import Stack, design, values_of

pytestmark = pytest.mark.xdist_group("calibrate")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, used: Any) -> Path:
    """Rows that the model made for an H100."""
    stack = Stack(library.device(used.MEASURED), library.runtime(used.STACK), library.host("h100-vm"))
    rows = [row for row in design((used.MODEL,), (1024, 8192, 65536), (1,)) if row.metric == "latency_s"]
    lines = ["gpu,model,phase,batch_size,seq_len,context,metric,value,note"]
    for i, (row, value) in enumerate(zip(rows, values_of(stack, rows, {}), strict=True)):
        size = f"{row.batch},{row.prompt},{row.context}"
        lines.append(f"H100 SXM 80GB,{row.model},{row.phase},{size},{row.metric},{value * (1 + 0.02 * (i % 3 - 1))},")
    path = tmp_path_factory.mktemp("runs") / "runs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_what_mypy_reads_runs(runs: Path, tmp_path: Path, used: Any) -> None:
    fit, score, trace = used.measured(runs, tmp_path / "fitted.yaml")
    assert fit.startswith("Calibrated(h100-sxm with transformers-5-eager: ")
    assert score.startswith("Validated(")
    assert trace.startswith("Traced(trace.json: kernels of a prefill 0.0001 s")


def test_the_records_are_those_of_the_command_line(runs: Path) -> None:
    pytest.importorskip("pandas")
    score = roofsim.validate(runs, where="phase == 'prefill'")
    line = ["validate", str(runs), "--where", "phase == 'prefill'", "-f", "json"]
    assert score.to_dict() == json.loads(CliRunner().invoke(group, line).stdout)
    assert len(score.to_pandas()) == len(score.rows) == 3
    assert "Worst rows" in score._repr_html_()
