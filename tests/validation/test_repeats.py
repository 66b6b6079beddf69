"""How far measured times of a pass lie apart, as tools/repeats.py tells."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from roofsim.runs.importers import read_runs

ROOT = Path(__file__).resolve().parents[2]
HEADER = "source,device,framework,model,phase,op,batch,prompt_len,context_len,gen_len,metric,value,note\n"


@pytest.fixture(scope="module")
def repeats():
    spec = importlib.util.spec_from_file_location("repeats", ROOT / "tools" / "repeats.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def step(length: int, metric: str, value: float, note: str = "", op: str = "e2e") -> str:
    return f"a,H100,eager,Qwen2.5-0.5B,decode,{op},1,{length},{length},0,{metric},{value},{note}\n"


def test_a_pass_that_was_measured_twice_and_steps_that_launch_the_same(repeats, tmp_path):
    """Steps of 0.08, 0.1 and 0.05 s; 12 J at 100 W took 0.12 s. One that was contended, and one without a device time,
    say nothing."""
    rows = [
        step(512, "energy_j", 12, "mean_power_W=100"), step(512, "energy_j", 99),
        *(line for length, value in ((512, 0.08), (1024, 0.1), (2048, 0.05)) for line in (
            step(length, "latency_s", value), step(length, "device_time_s", 0.01, op="forward_gpu_busy"))),
        step(4096, "latency_s", 0.3, "host_contended=1"), step(4096, "device_time_s", 0.01, op="forward_gpu_busy"),
        step(8192, "latency_s", 0.1),
    ]  # fmt: skip
    path = tmp_path / "runs.csv"
    path.write_text(HEADER + "".join(rows))
    found = repeats.figures(read_runs(str(path)).runs)
    assert {of[3] for of in found} == {512, 1024, 2048}
    assert all(repeats.waiting(at) for at in found.values())
    assert repeats.again(found) == pytest.approx([1.5])
    assert sorted(repeats.alike(found)) == pytest.approx([0.625, 1, 1.25])
    assert repeats.told([0.625, 1, 1.25]) == "3 passes, apart 25.0% in the median, 90th 35.0%"


def test_a_pass_half_of_which_the_device_works_is_its_own(repeats):
    assert repeats.waiting({"latency_s": 1.0, "device_time_s": 0.49})
    assert not repeats.waiting({"latency_s": 1.0, "device_time_s": 0.5})


def test_our_host_takes_as_long_again_as_predictions_are_off(repeats):
    """Steps on the virtual machine of our H100: 16 % apart from one run to the next; prefills that fill it, 2 %."""
    found = repeats.figures(read_runs(str(repeats.RUNS)).runs)
    steps = {of: at for of, at in found.items() if of[1] == "decode" and repeats.waiting(at)}
    full = {of: at for of, at in found.items() if of[1] == "prefill" and not repeats.waiting(at)}
    assert "69 passes, apart 16.4%" in repeats.told(repeats.again(steps))
    assert "61 passes, apart 1.5%" in repeats.told(repeats.again(full))
