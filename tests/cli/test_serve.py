"""`roofsim serve`: the contract of its JSON, and what is said of loads that cannot be."""

from __future__ import annotations

import json
import re

import pytest

LLAMA = "serve Llama-3.1-8B -d h100-sxm"
TIMES = ("mean", "p50", "p95", "p99")


@pytest.mark.parametrize("load", ["-c 8", "--rate 2.5", "--slo itl=50ms --find rate"])
def test_the_json_has_what_the_design_says(roofsim, load):
    found = json.loads(roofsim(f"{LLAMA} {load} -f json"))
    assert list(found)[:6] == ["schema", "model", "device", "cluster", "runtime", "calibration"]
    assert {"parallel", "workload", "load", "itl", "ttft", "tokens_per_second", "binds", "kv", "cost",
            "intervals"} <= set(found)  # fmt: skip
    assert {"tp", "pp", "ep", "dp"} <= set(found["parallel"])
    assert {"concurrency", "rate"} <= set(found["load"])
    assert set(found["itl"]) == set(found["ttft"]) == set(TIMES)
    assert set(found["tokens_per_second"]) == {"user", "device", "total"}
    assert {"capacity", "used"} <= set(found["kv"])
    assert set(found["cost"]) == {
        "usd_per_million_output", "usd_per_million_input", "co2_per_million_output", "co2_per_million_input",
        "joules_per_token", "joules_per_input_token", "paid",
    }  # fmt: skip
    assert {"itl", "ttft", "itl_p50", "ttft_p95", "ttft_p99", "energy_per_token"} <= set(found["intervals"])
    assert found["model"] == "Llama-3.1-8B"


def test_what_was_found_stands_beside_the_steady_state(roofsim):
    found = json.loads(roofsim(f"{LLAMA} --slo ttft.p95=1s,tpot=50ms --find concurrency -f json"))
    largest = found["found"]
    assert largest["slo"] == {"ttft.p95": 1.0, "itl.mean": 0.05}
    assert found["load"]["concurrency"] == largest["value"]
    assert largest["interval"][0] < largest["value"] < largest["interval"][1]


def test_users_who_do_not_fill_an_engine_may_get_more_than_a_full_one_answers(roofsim):
    few, many = (" ".join(roofsim(f"{LLAMA} -c {n}").split()) for n in (8, 200))
    assert "do not fill" not in few
    said = re.search(r"A full engine answers (\S+) requests a second, one that these users do not fill (\S+);", many)
    assert float(said[1]) < float(said[2])


def test_several_loads_and_formats_are_rows(roofsim):
    rows = json.loads(roofsim(f"{LLAMA} -c 1,4 --weights bf16,fp8 -f json"))["rows"]
    assert [(r["workload"]["weight_format"], r["load"]["concurrency"]) for r in rows] == [
        ("bf16", 1), ("bf16", 4), ("fp8", 1), ("fp8", 4)
    ]  # fmt: skip
    assert "bf16" in roofsim(f"{LLAMA} -c 1,4 --weights bf16,fp8")


def test_kinds_of_device_are_rows_each_with_its_price_and_what_is_assumed_of_it(roofsim):
    asked = "serve Llama-3.1-8B -d h100-sxm,dgx-spark -c 4"
    rows = json.loads(roofsim(f"{asked} -f json"))["rows"]
    assert [row["device"] for row in rows] == ["h100-sxm", "dgx-spark"]
    said = " ".join(roofsim(asked).split())
    assert "on 2 kinds of device" in said
    assert "Paid: h100-sxm: 23.6 USD/h for 8 (a node of dgx-h100); dgx-spark: 3,999 USD" in said
    assert said.count("bf16; logits of the last position") == 1
    assert "dgx-spark: 113 GiB of 128 GiB of memory usable" in said


def test_a_front_by_price_names_the_cheapest_its_interval_and_what_is_paid(roofsim):
    asked = f"{LLAMA} --front --weights bf16,fp8 -c 1,32 --slo itl=50ms --objectives usd_per_million --price 2USD/h"
    (point,) = json.loads(roofsim(f"{asked} -f json"))["front"]
    assert (point["weights"], point["concurrency"]) == ("fp8", 32)
    hours = 1e6 / point["tokens_per_second"]["device"] / 3600
    assert point["usd_per_million"] == pytest.approx(2 * hours, rel=1e-9)
    low, high = point["intervals"]["usd_per_million"]
    assert low < point["usd_per_million"] < high
    table = roofsim(asked)
    assert "1 is the best in price of a million output tokens" in " ".join(table.split())
    assert "USD/M" in table
    assert "Paid: 2.00 USD/h" in table


def test_a_front_falls_from_the_fastest_for_a_user(roofsim):
    found = json.loads(roofsim(f"{LLAMA} --front --weights bf16,fp8 -c 1..64*4 --sequences 4,64 -f json"))
    speeds = [p["tokens_per_second"] for p in found["front"]]
    assert speeds == sorted(speeds, key=lambda each: -each["user"])
    assert [each["device"] for each in speeds] == sorted(each["device"] for each in speeds)
    assert found["looked_at"] == 2 * 4 * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "which load"),
        ("-c 0", "'0' is not a whole number"),
        ("--rate 0", "rate: 0 requests a second"),
        ("--rate many", "is not a number of requests a second"),
        ("--rate 1000", "1000 requests a second are more than Llama-3.1-8B on h100-sxm answers once it is full: "),
        ("-c 1 --rate 1", "two kinds of load"),
        ("-c 1 --objectives user", "--objectives: are of a front"),
        ("--front -c 1 --objectives usd", "--objectives: no 'usd'"),
        ("--front -c 1 --objectives user,", "--objectives: no ''"),
        ("-c 1 --hit-rate 0.5", "Give --prefix"),
        ("-c 1 --prefix 1k --hit-rate 2", "2"),
        ("-c 1 -p 1k --prefix 2k", "2,048 tokens are more than the 1,024 of a prompt"),
        ("--rounds 3 --rate 1", "give --concurrency"),
        ("--find rate", "what is promised"),
        ("--find rate --slo itl=1us", "not even a request now and then keeps it"),
        ("--find devices --slo itl=1s", "for which load"),
        ("--find batch --slo itl=1s -c 3", "it finds the load"),
        ("--find devices --slo itl=1s -c 3,4", "is for one load"),
        ("--find users --slo itl=1s", "concurrency"),
        ("-c 1 --slo foo=1s", "no 'foo'"),
        ("-c 1 -p 1M", "nothing fits"),
        ("-c 1 -g 0", "has at least one token"),
        ("-c 1 -r ideal", "serves no requests"),
        ("--front --rate 3", "leave one of them out"),
        ("--front --slo ttft.p95=1s", "a front is of means"),
        ("--front --slo itl=1us", "none keeps itl"),
        ("-c 1 --sequences 1,2", "several are for --front"),
        ("--find rate --slo itl=1s --simulate", "leave out --find"),
        ("--rate 1 --simulate --prefix 64", "roofsim simulate --prefix"),
        ("-c 1 --tp 3", "heads 32 is not divisible by tp 3"),
        ("-c 1 --cluster dgx-h100,gb200-nvl72", "one is expected here"),
        ("-c 1 --draft eagle", "Give --accept"),
        ("-c 1 --accept 0.7", "--accept: of which drafts? Give --draft"),
        ("-c 1 -k 3", "--draft-tokens: of which drafts? Give --draft"),
        ("-c 1 --draft eagle --accept 1.7", "1.7 is not a chance"),
        ("-c 1 --draft eagle --accept 0.7 -k 0", "'0' is not a whole number"),
        ("-c 1 --draft Qwen3-0.6B --accept 0.7 -k 2", "a draft must be of the same tokens"),
        ("-c 1 --draft Llama-3.1-70B --accept 0.7 -k 2", "(70.6 B parameters) is larger than Llama-3.1-8B (8.03 B)"),
        ("-c 1 --draft Llama-3.1-8B --accept 0.7 -k 2 -p 256k", "beside the weights of the draft (15.0 GiB)"),
        ("-c 1 --draft eagle --accept 0.7 --pp 2", "drafts in no pipeline, and pp is 2"),
        ("-c 1 --draft eagle --accept 0.7 --tree depth=2", "top and nodes missing"),
    ],
)
def test_loads_that_cannot_be_are_refused(refused, words, said):
    assert said in " ".join(refused(f"{LLAMA} {words}").split())


def test_drafts_gain_and_say_up_to_how_many_users(roofsim):
    words = "--draft eagle --accept 0.7 -k 3"
    found = json.loads(roofsim(f"{LLAMA} -c 8 {words} -f json"))
    drafts = found["drafts"]
    assert (drafts["tokens"], drafts["made"]) == (3, pytest.approx(1 + 0.7 + 0.49 + 0.343))
    assert drafts["interval"][0] < drafts["gain"] < drafts["interval"][1]
    said = " ".join(roofsim(f"{LLAMA} -c 8 {words}").split())
    assert "3 drafted, 2.53 tokens a step. They gain" in said
    assert "They pay for as many users as are served at once" in said
    few = " ".join(roofsim(f"{LLAMA} -c 1,8 --draft ngram --accept 0.2 -k 8").split())
    assert "They pay up to" in few
    row = roofsim(f"{LLAMA} -c 8 {words} -f csv").splitlines()
    assert {"drafted", "made", "gain", "gain_low", "gain_high", "pays_until"} <= set(row[0].split(","))


def test_a_front_is_with_drafts_and_without(roofsim):
    found = json.loads(roofsim(f"{LLAMA} --front --draft eagle --accept 0.7 -k 3 -c 1..64*8 -f json"))
    assert found["looked_at"] == 2 * 3
    assert found["front"][0]["draft"] == "eagle"


def test_a_front_says_what_does_not_fit(roofsim):
    found = json.loads(roofsim("serve Qwen3-32B -d rtx-4090 --front --weights bf16,int4-g128 -c 1,2 -f json"))
    assert set(found["refused"]) == {"bf16"}
    assert "nothing fits" in found["refused"]["bf16"]


def test_a_load_is_simulated_beside(roofsim):
    pytest.importorskip("simpy", reason="SimPy is not installed: the extra `serving`")
    found = json.loads(roofsim("serve Llama-3.1-8B -d h100-sxm -c 2 -p 64 -g 4 --simulate -f json"))
    for name in ("itl", "ttft"):
        assert found["simulated"][name]["mean"] == pytest.approx(found[name]["mean"], rel=0.05)


def test_ways_to_divide_a_model_are_rows_and_what_cannot_be_is_said(roofsim):
    rows = json.loads(roofsim("serve Llama-3.1-8B -d h100-sxm -c 8 --tp 1,2 -f json"))["rows"]
    assert [r["parallel"]["tp"] for r in rows] == [1, 2]
    assert rows[0]["itl"]["mean"] > rows[1]["itl"]["mean"]
    found = json.loads(roofsim("serve Llama-3.1-8B -d h100-sxm --front --tp 1,2,3 -c 1,8 -f json"))
    assert list(found["refused"]) == ["tp 3"]
    assert {p["devices"] for p in found["front"]} == {1, 2}


def test_the_fewest_devices_are_of_the_best_way_to_divide_a_model(roofsim):
    promised = "serve Llama-3.1-70B -d h100-sxm -p 1k -g 256 --slo ttft=2s,itl=50ms --find devices -c 64 -f json"
    best = json.loads(roofsim(promised))
    assert (best["parallel"]["tp"], best["found"]["value"]) == (4, 4)
    every = json.loads(roofsim(f"{promised} --tp 1,2,4,8"))
    assert {r["parallel"]["tp"]: r["found"]["value"] for r in every["rows"]} == {2: 6, 4: 4, 8: 8}
    assert list(every["refused"]) == ["tp 1"]
    # what no node holds goes on several, one stage after the other
    large = json.loads(roofsim("serve Llama-3.1-405B -d h100-sxm -g 8 --slo itl=1s --find devices -c 1 -f json"))
    assert {name: n for name, n in large["parallel"].items() if n > 1} == {"tp": 8, "pp": 2}


def test_what_no_number_of_devices_keeps_is_said(refused):
    said = refused("serve Llama-3.1-70B -d rtx-4090 --slo itl=1s --find devices -c 1")
    assert "nor does any number of devices that share it" in " ".join(said.split())


def test_tokens_cost_all_that_the_server_costs(roofsim):
    found = json.loads(roofsim(f"{LLAMA} -c 16 -p 2k -g 128 --price 2USD/h -f json"))
    cost, speed = found["cost"], found["tokens_per_second"]["total"]
    hour = speed * 3600 / 1e6 * (cost["usd_per_million_output"] + cost["usd_per_million_input"] * 2048 / 128)
    assert hour == pytest.approx(2.0)
    assert cost["paid"].startswith("2.00 USD/h")
    twice = json.loads(roofsim(f"{LLAMA} -c 16 -p 2k -g 128 --price 2USD/h --carbon 890g/kWh -f json"))["cost"]
    assert twice["co2_per_million_output"] == pytest.approx(2 * cost["co2_per_million_output"])
    assert "Paid: " in roofsim(f"{LLAMA} -c 16")


def test_a_device_without_a_price_has_no_cost(roofsim):
    found = json.loads(roofsim("serve Qwen2.5-0.5B -d h20 -c 2 -f json"))
    assert found["cost"]["usd_per_million_output"] is None
    assert found["cost"]["co2_per_million_output"] > 0
    assert "Paid" not in roofsim("serve Qwen2.5-0.5B -d h20 -c 2")


def test_the_time_of_a_round_beside_its_passes_is_in_every_step(data):
    asked = f"{LLAMA} -c 1 --draft ngram --accept 0.5 -k 2"
    without, beside = data(asked), data(f"{asked} --draft-overhead 7ms")
    longer = beside["itl"]["mean"] - without["itl"]["mean"]
    assert longer == pytest.approx(0.007 / (1 + 0.5 + 0.25), rel=0.02)  # the last step makes more than is asked for
