"""The command that measures, as far as it goes without the software that is measured."""

from __future__ import annotations

import pytest

from roofsim.foundation.installation import install
from roofsim.measure import stack
from roofsim.measure.runs import Case, runs

MEASURE = "measure Qwen2.5-0.5B mamba2-780m -o my.csv"


@pytest.fixture
def bare(monkeypatch):
    """As if neither PyTorch nor transformers were installed."""
    monkeypatch.setattr(stack, "find_spec", lambda name: None)


def test_without_pytorch_the_line_that_installs_it_is_told(refused, bare):
    message = refused(MEASURE)
    assert "torch, transformers" in message
    assert message.splitlines()[-1] == install("measure")


def test_a_model_that_is_wrong_is_told_before_anything_is_loaded(refused, bare):
    assert "mamba2-780m" in refused("measure mamba2-780 -o my.csv")
    assert "hymba" in refused("measure Hymba-1.5B -o my.csv")
    assert "no such file" in refused("measure absent/config.json -o my.csv")


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("measure -o my.csv", "--micro"),
        ("measure mamba2-780m", "--output"),
        ("measure mamba2-780m -o my.txt", ".csv"),
        ("measure mamba2-780m -o absent/my.csv", "absent"),
        (f"{MEASURE} --phases prefil", "prefill,decode"),
        (f"{MEASURE} --phases decode,decode", "prefill,decode"),
        (f"{MEASURE} --prompts 1q", "32k"),
        (f"{MEASURE} --dtype fp8", "bf16"),
        (f"{MEASURE} --repeats 0", "1"),
        (f"{MEASURE} --kernels k.txt", ".jsonl"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_can(refused, line, right):
    assert right in refused(line, "--plan")


def test_a_file_that_holds_other_things_is_not_added_to(refused, here):
    (here / "my.csv").write_text("a,b\n1,2\n")
    assert "no column 'source'" in refused(MEASURE, "--plan")


def test_the_plan_says_what_is_done_what_ran_out_of_memory_and_what_is_left(data, here):
    file = runs("H100").plus(
        [
            Case("Qwen2.5-0.5B", "prefill", "bf16", 1, 128).row("latency_s", 0.1, "logits=last"),
            Case("mamba2-780m", "decode", "bf16", 1, 1024).row("oom", 1.0),
        ]
    )
    (here / "my.csv").write_text(file.text)
    plan = data(f"{MEASURE} --plan --device-name H100")
    states = {(c["model"], c["phase"], c["tokens"]): c["state"] for c in plan["cases"]}
    assert states["Qwen2.5-0.5B", "prefill", 128] == "done"
    assert states["mamba2-780m", "decode", 1024] == "oom"
    assert states["mamba2-780m", "decode", 4096] == "left out"
    assert states["mamba2-780m", "prefill", 4096] == "to do"
    assert len(states) == 12
    assert (here / "my.csv").read_text() == file.text
