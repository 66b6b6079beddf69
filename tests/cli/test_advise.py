"""`roofsim advise`: tables, data and refusals."""

from __future__ import annotations

import csv
import io
import json

import pytest

LINE = "advise Qwen2.5-0.5B Llama-3.2-1B -d orin -r llama.cpp --weights bf16,q4_k_m -p 4k"


def test_json_says_what_binds_and_by_how_much(roofsim):
    data = json.loads(roofsim(f"{LINE} --ttft 1.5s --tpot 50ms -f json"))
    assert data["budgets"] == {"ttft": 1.5, "tpot": 0.05}
    feasible = [row for row in data["rows"] if row["feasible"]]
    others = [row for row in data["rows"] if not row["feasible"]]
    assert {row["model"] for row in feasible} == {"Qwen2.5-0.5B"}
    assert {row["model"] for row in others} == {"Llama-3.2-1B"}
    for row in feasible:
        assert row["headroom"] == pytest.approx(1.5 / row["ttft"])
        assert (row["tightest"], row["misses"]) == ("ttft", [])
    for row in others:
        assert row["misses"][0]["budget"] == "ttft"
        assert row["misses"][0]["factor"] == pytest.approx(row["ttft"] / 1.5)
    assert data["rows"] == feasible + others


def test_csv_is_one_table(roofsim):
    head, *rows = csv.reader(io.StringIO(roofsim(f"{LINE} --ttft 1.5s -f csv")))
    assert len(rows) == 4
    assert all(len(row) == len(head) for row in rows)
    assert head[-8:] == ["parameters", "feasible", "headroom", "tightest", "certain", "binds", "binds_factor", "misses"]
    assert [row[-7] for row in rows] == ["True", "True", "False", "False"]
    assert [row[-3] for row in rows] == ["", "", "ttft", "ttft"]


def test_the_table_says_the_budgets_the_room_and_the_misses(roofsim):
    data = json.loads(roofsim(f"{LINE} --ttft 1.5s -f json"))["rows"]
    text = " ".join(roofsim(f"{LINE} --ttft 1.5s --max-memory 6GiB").split())
    assert "2 of 4 candidates meet the budgets: ttft at most 1.50 s, max-memory at most 6.00 GiB" in text
    assert f"x{data[0]['headroom']:.2f} ttft" in text
    assert f"ttft {data[2]['ttft']:.2f} s, {data[2]['ttft'] / 1.5:.2f}x the budget" in text
    assert "certain: all are met at the far ends" in text


def test_every_budget_is_an_option(roofsim):
    text = roofsim(
        f"{LINE} --ttft 10s --tpot 1s --total-time 100s --max-memory 6GiB --energy 10J/token --price 500USD "
        "--token-price 9USD --hour 0.1USD/h --min-tps 1 --context 8k --rank parameters -f json"
    )
    data = json.loads(text)
    assert data["budgets"] == {
        "ttft": 10, "tpot": 1, "total_time": 100, "max_memory": 6 * 2**30, "energy": 10, "token_price": 9, "price": 500,
        "min_tps": 1, "context": 8192,
    }  # fmt: skip
    assert data["rank"] == "parameters"
    assert next(row["model"] for row in data["rows"] if row["feasible"]) == "Llama-3.2-1B"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "there is no budget"),
        ("--ttft 1", "'1' is not a quantity in s"),
        ("--energy 1W", "'1W' is not a quantity for each token; write it like 1J/token"),
        ("--ttft 1s --rank speed", "--rank: no 'speed'"),
        ("--ttft 1s --min-size 1T", "no model is of this kind, family and size"),
    ],
)
def test_what_cannot_be_asked_is_refused(attempt, here, options, said):
    result = attempt(f"{LINE} {options} -f csv")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert result.stdout == ""
