"""`roofsim sampling`: what is asked reaches the study, and wrong input is told where it is."""

from __future__ import annotations

import pytest

ASKED = "sampling Qwen2.5-0.5B -d rtx-4090 -r vllm"


def test_every_number_of_trials_meets_every_number_of_tokens(data):
    found = data(ASKED, "-p", "512", "-n", "1,4", "-g", "10,1k")
    assert [(row["trials"], row["tokens"]) for row in found["rows"]] == [(1, 10), (1, 1024), (4, 10), (4, 1024)]
    assert (found["prompt"], found["shared"], found["budget"], found["best"]) == (512, "held", None, None)


def test_a_budget_decides_the_tokens(roofsim, data, tmp_path):
    curve = tmp_path / "curve.csv"
    curve.write_text("tokens,accuracy\n16,0.01\n1024,0.3\n", encoding="utf-8")
    given = ("--budget", "2 s", "-n", "1,8", "--share", "read", "--accuracy", str(curve))
    found = data(ASKED, *given)
    assert (found["budget"], found["unit"], found["shared"], found["best"]) == (2.0, "s", "read", 1)
    assert all(row["time"] <= 2 and row["bound"] == "budget" for row in found["rows"])
    best = found["rows"][1]
    said = roofsim(ASKED, *given)
    assert f"Best use of 2.00 s: 8 × {best['tokens']:,} tokens, coverage {best['coverage']:.1%}." in said
    assert "8 × 16 tokens" in roofsim(ASKED, *given, "-g", "16")


def test_csv_has_one_header_and_numbers(roofsim):
    lines = roofsim(ASKED, "-n", "1,2", "-f", "csv").splitlines()
    assert len(lines) == 3
    assert lines[0].split(",")[:3] == ["trials", "tokens", "time [s]"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--budget", "ten"), "10s, 500J, 0.01USD or 2 PFLOP"),
        (("--budget", "0s"), "more than nothing"),
        (("--budget", "1us"), "not even one trial"),
        (("--accuracy", "nowhere.csv"), "nowhere.csv: no such file"),
        (("-r", "transformers-4.52-eager", "--share", "held"), "copied only"),
        (("--trials", "none"), "none"),
    ],
)
def test_wrong_input_is_told(refused, given, said):
    assert said in refused(ASKED, *given)


@pytest.mark.parametrize(
    ("text", "said"),
    [("tokens\n5\n", "line 2"), ("tokens,accuracy\n5,x\n", "line 2"), ("tokens,accuracy\n5,2\n", "from 0 to 1"),
     ("tokens,accuracy\n", "that grow")],
)  # fmt: skip
def test_a_wrong_curve_is_told(refused, here, text, said):
    (here / "curve.csv").write_text(text, encoding="utf-8")
    message = refused(ASKED, "--budget", "1s", "--accuracy", "curve.csv")
    assert said in message
    assert "curve.csv" in message
