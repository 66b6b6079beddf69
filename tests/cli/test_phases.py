"""`roofsim phases`: what is asked reaches the study, and wrong input is told where it is."""

from __future__ import annotations

import pytest

ASKED = "phases Qwen3-0.6B -d a100-sxm-80gb -p 512"


def test_layouts_are_as_asked_for(data):
    found = data(ASKED, "--slo", "itl=30ms", "--link", "10GB/s", "-g", "64")
    assert found["slo"] == {"itl.mean": 0.03}
    assert found["link"] == {"rate": 10e9, "latency": 0.0, "name": ""}
    (row,) = found["rows"]
    assert row["transfer"] == pytest.approx(row["moved"] / 10e9)
    assert row[row["best"]] == max(row[name] for name in ("mixed", "inside", "apart"))
    assert found["generate"] == 64


def test_the_table_says_which_answers_most(roofsim):
    said = " ".join(roofsim(ASKED, "--slo", "ttft=1us").split())
    assert "Most is answered from 512 tokens on by none, since what is promised cannot be kept." in said
    assert "NVIDIA DGX A100 80GB at 24 GB/s" in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--slo", "soon"), "write it like ttft=1s,itl=50ms"),
        (("--link", "0GB/s"), "a rate above 0 is expected"),
        (("--link", "fast"), "'fast' is not a quantity in B/s"),
        (("--cluster", "no-such"), "no-such"),
        (("-g", "1"), "one token is made by the prompt"),
        (("-r", "llama.cpp"), "serves no requests that come and go"),
    ],
)
def test_wrong_input_is_told(refused, given, said):
    assert said in refused(ASKED, *given)
