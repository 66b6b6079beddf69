"""What CONTRIBUTING promises to be one place is one: a thing is added there, and everything knows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from roofsim import predict
from roofsim.model.part import PARTS
from roofsim.reports.formats import FORMATS

ROOT = Path(__file__).resolve().parents[2]

METRIC = """
import sys
from types import MappingProxyType
import roofsim.prediction.metrics as metrics

row = metrics.Metric("prefill_energy", "J", "energy of the prefill", "prefill.energy", ("energy_j", "prefill"))
metrics.METRICS = MappingProxyType({**metrics.METRICS, row.name: row})
from roofsim.cli import main

sys.argv = ["roofsim", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("crossover Qwen2.5-0.5B mamba2-780m -d orin -m prefill_energy", "Energy of the prefill on"),
        ("explain mamba2-780m -d orin -m prefill_energy", "Energy of the prefill of mamba2-780m"),
        ("predict Qwen2.5-0.5B -d rtx-4090 --calibration rtx-4090@ssm-scope", "energy of the prefill"),
        ("predict Qwen2.5-0.5B -d rtx-4090 --calibration rtx-4090@ssm-scope -f json", '"prefill_energy": ['),
        ("crossover --help", "prefill_energy"),
    ],
)
def test_a_metric_is_one_row(arguments: str, shown: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", METRIC, *arguments.split()], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert shown in done.stdout


def test_a_device_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "my-card.yaml"
    path.write_text((ROOT / "hardware" / "rtx-4090.yaml").read_text().replace("1008 GB/s", "2016 GB/s"))
    ours, theirs = (predict("Llama-3.1-8B", card, "ideal").request.tpot for card in (str(path), "rtx-4090"))
    assert theirs / 2 < ours < 0.6 * theirs


def test_an_output_format_is_one_function() -> None:
    modules = {function.__module__ for function in FORMATS.values()}
    assert modules == {"roofsim.reports.formats"}
    assert len({function.__name__ for function in FORMATS.values()}) == len(FORMATS)


def test_a_kind_of_layer_is_one_module() -> None:
    for kind, part in PARTS.items():
        assert part.__module__.endswith(f".{kind}")
