"""`roofsim pareto`: tables, data, figures and refusals."""

from __future__ import annotations

import csv
import io
import json

import pytest

from roofsim import pareto

LINE = "pareto Qwen2.5-0.5B mamba2-780m -d orin -p 1k..8k*2 -b 1..16*2"
AXES = {"model": ["Qwen2.5-0.5B", "mamba2-780m"], "device": "orin", "prompt": "1k..8k*2", "batch": "1..16*2"}


def test_json_is_the_result_of_python(roofsim):
    data = json.loads(roofsim(f"{LINE} --objectives ttft,tokens_per_second --where 'tpot < 90ms' -f json"))
    found = pareto(AXES, "ttft,tokens_per_second", where="tpot < 90ms")
    assert data["rows"] == list(found.found.rows())
    assert data["objectives"] == {"ttft": "min", "tokens_per_second": "max"}
    assert (data["points"], data["of"], data["feasible"]) == (40, 40, found.feasible)
    assert (data["exact"], data["search"]) == (True, None)


def test_csv_is_one_table(roofsim):
    head, *rows = csv.reader(io.StringIO(roofsim(f"{LINE} --objectives ttft,memory_peak:min -f csv")))
    assert set(head) == {
        "model", "device", "prompt", "batch", "ttft [s]", "memory_peak [B]", "refused",
    }  # fmt: skip
    assert rows
    assert all(float(row[head.index("ttft [s]")]) > 0 for row in rows)


def test_the_table_says_what_is_better_and_of_how_many(roofsim):
    text = " ".join(roofsim(f"{LINE} --objectives ttft,tokens_per_second").split())
    assert "better is less ttft, more tokens_per_second." in text
    assert "All 40 points were computed." in text
    assert "points that can be had, where fits == 1" in text


def test_a_search_says_that_it_is_one(roofsim):
    pytest.importorskip("pymoo")
    line = "pareto Qwen2.5-0.5B -d orin -p 1k..64k*1.05 -b 1..64+1 --objectives ttft,tokens_per_second --budget 100"
    text = " ".join(roofsim(f"{line} --seed 2").split())
    assert "A search, not all points: NSGA-II (pymoo)" in text
    assert "seed 2. What it did not see may be better." in text


@pytest.mark.parametrize("objectives", ["ttft,tokens_per_second", "ttft,tokens_per_second,memory_peak"])
def test_a_front_is_drawn(roofsim, here, objectives):
    pytest.importorskip("matplotlib")
    roofsim(f"{LINE} --objectives {objectives} --plot figure.svg -q")
    drawn = (here / "figure.svg").read_text()
    assert "end-to-end output tokens per second (more is better)" in drawn
    assert "other points" in drawn
    assert ("peak memory (less is better)" in drawn) == (objectives.count(",") == 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--objectives ttfd", "--objectives: no 'ttfd'; nearest: ttft"),
        ("--objectives ttft:up", "--objectives ttft:up: write them like ttft:min"),
        ("", "Missing option '--objectives'"),
        ("--objectives ttft --plot f.png", "a front is drawn over two objectives or three, not 1"),
        ("--objectives ttft,tpot --budget 5", "--budget 5: a search takes at least 40 points"),
    ],
)
def test_what_cannot_be_asked_is_refused(attempt, here, options, said):
    result = attempt(f"{LINE} {options} -f csv")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_an_empty_front_is_no_error(roofsim, here):
    pytest.importorskip("matplotlib")
    text = roofsim(f"{LINE} --objectives ttft,tpot --where 'ttft < 1us' --plot figure.svg")
    assert "0 of 0 points that can be had, where (ttft < 1us) and fits == 1" in " ".join(text.split())
    assert (here / "figure.svg").exists()


def test_a_long_front_is_cut_for_people_alone(roofsim):
    space = "--set device.memory.bandwidth=0.5x..8x*1.05 --derive bw=device.memory.bandwidth"
    line = f"pareto Qwen2.5-0.5B -d orin {space} --objectives tpot,bw"
    rows = roofsim(f"{line} -f csv").splitlines()[1:]
    assert len(rows) > 40
    assert f"40 of {len(rows)} are shown; -f csv has all." in roofsim(line)


def test_what_does_not_fit_is_on_a_front_if_that_is_asked_for(data):
    asked = "pareto Qwen2.5-0.5B -d orin -p 1k -b 4,2k --objectives tokens_per_second"
    (fits,), (largest,) = (data(line)["rows"] for line in (asked, f"{asked} --unfit"))
    assert (fits["batch"], largest["batch"]) == (4, 2048)
