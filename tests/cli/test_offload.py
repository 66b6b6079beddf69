"""--offload: what it says, and what it refuses."""

from __future__ import annotations

import re

import pytest

LLAMA = "predict Llama-3.1-8B -d rtx-4060 -r llama.cpp"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{LLAMA} --offload half", "'half' is none of what there is; write it like auto"),
        (f"{LLAMA} --offload layers", "'layers' is none of what there is"),
        (f"{LLAMA} --offload layers=x", "'layers=x': 'x' is not a number of layers"),
        (f"{LLAMA} --offload layers=-1", "'-1' is not a number of layers"),
        (f"{LLAMA} --offload layers=34", "the model has 32 layers and the LM head"),
        (f"{LLAMA} --offload layers=99999999999999999999", "is not a number of layers"),
        (f"{LLAMA} --offload 34", "'34': the model has 32 layers and the LM head"),
        (f"{LLAMA} --offload stream=20+layers=3", "what is streamed is whole layers already"),
        (f"{LLAMA} --offload layers=3+layers=4", "says 'layers' twice"),
        (f"{LLAMA} --offload layers=3+auto", "'layers=3+auto' is none of what there is"),
        (f"{LLAMA} --offload none,half", "'half' is none of what there is"),
        (f"{LLAMA} --offload 8..4", "offload: '8..4'"),
        (f"{LLAMA} --offload 3,3", "'3' is given twice"),
        ("predict Llama-3.1-8B -d h100-sxm -r vllm --offload cache", "vllm keeps caches of running sequences"),
        ("predict Llama-3.1-8B -d rtx-3090 -r llama.cpp --pp 2 --offload 0", "leaves nothing for 2 devices"),
        ("predict Llama-3.1-8B -d rtx-3090 -r llama.cpp --pp 2 --offload 2", "1 layers are left for 2 devices"),
        (
            "predict Llama-3.1-8B -d h100-sxm -r ideal --dp 2 --offload 9",
            "the same tokens (--tp, --pp), not with --dp 2",
        ),
        ("predict Llama-3.1-405B -d h100-sxm -r vllm --tp 8 --pp 2 --offload stream", "stand in several nodes"),
        (f"{LLAMA} --offload stream", "llama.cpp streams no weights to the device; ideal"),
        (f"{LLAMA} --offload experts=cpu", "Llama-3.1-8B has no routed experts"),
        ("predict OLMoE-1B-7B -d rtx-4060 -r llama.cpp --offload experts=disk", "none of what there is"),
        ("predict OLMoE-1B-7B -d rtx-4060 -r llama.cpp --offload experts=cpu:17", "the model has 16 layers"),
        ("predict Llama-3.1-8B -d rtx-4060 -r vllm --offload layers=3", "vllm computes nothing on the host; ideal"),
        ("predict Llama-3.1-8B -d rtx-4060 -r cuda-graph --offload auto", "cuda-graph computes nothing on the host"),
        ("predict Llama-3.1-8B -d orin -r llama.cpp --offload layers=3", "has no second tier of memory"),
        (f"{LLAMA} --offload layers=3 --host mac", "nothing is known of the memory of host mac; use --host"),
        ("predict Llama-3.1-405B -d rtx-4060 -r vllm --offload auto", "fits both, at batch 1"),
    ],
)
def test_what_cannot_be_offloaded_is_told_why(attempt, line, said):
    result = attempt(line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in re.sub(r"\s+", " ", result.stderr)


def test_a_division_is_shown_with_what_lies_where_and_what_binds(roofsim):
    shown = re.sub(r"\s+", " ", roofsim(f"{LLAMA} --weights q8_0 --offload layers=20"))
    assert "Where it lies: layers=20, as asked" in shown
    assert "Prefill is bound by the link, decode by the host." in shown
    assert "The host computes with llama.cpp-cpu." in shown
    assert "offload layers=20: 13 of 32 layers with their state, table of tokens in the memory of the host" in shown
    whole = roofsim("predict Llama-3.2-1B -d rtx-4060 -r llama.cpp --offload auto")
    assert "all of it fits the device" in whole


def test_data_of_a_division_have_the_same_figures(data):
    found = data(f"{LLAMA} --weights q8_0 --offload layers=20")
    tiers, decode = found["offload"]["tiers"], found["offload"]["decode"]
    assert [each["tier"] for each in tiers] == ["device", "host"]
    assert decode["device_time"] + decode["processor_time"] + decode["link_wait"] == pytest.approx(
        found["decode"]["time"]
    )
    assert decode["binds"] == "host"
    assert found["memory"]["fits"]
    assert "offload" not in data(LLAMA)


def test_several_cases_are_divided_each_for_itself(roofsim):
    shown = roofsim("predict OLMoE-1B-7B -d rtx-4060,orin -r llama.cpp --offload auto -f csv")
    assert len(shown.strip().splitlines()) == 3
    assert "has no second tier" in shown


def test_limits_of_a_division_are_larger_than_those_of_the_whole(data):
    line = "limits Llama-3.1-8B -d rtx-4060 -r llama.cpp --weights q4_k_m -p 1k"
    whole, part = (data(f"{line}{more}")["limits"] for more in ("", " --offload layers=9"))
    assert part["max_batch"] > 2 * whole["max_batch"]
    assert part["max_prompt"] > whole["max_prompt"]


def test_what_does_not_fit_the_memory_of_the_host_does_not_fit(roofsim):
    shown = re.sub(r"\s+", " ", roofsim("predict Llama-3.1-405B -d rtx-4060 -r ideal --offload layers=0"))
    assert "in the memory of the host, ryzen-9-7950x" in shown
    assert "does not fit" in shown


def test_what_finds_no_room_in_either_memory_is_read_from_the_disk(data, roofsim):
    line = "predict Llama-3.1-70B -d rtx-4060 -r llama.cpp --offload layers=1"
    found = data(line)["offload"]
    tiers = {each["tier"]: each for each in found["tiers"]}
    assert list(tiers) == ["device", "host", "disk"]
    assert tiers["host"]["weights"] + tiers["host"]["state"] == pytest.approx(tiers["host"]["capacity"])
    whole = sum(each["weights"] for each in tiers.values())
    assert whole == pytest.approx(data("predict Llama-3.1-70B -d rtx-4060 -r llama.cpp")["memory"]["weights"])
    assert found["decode"]["binds"] == "disk"
    shown = re.sub(r"\s+", " ", roofsim(line))
    assert "of weights come from the disk of the host, at best at its full rate" in shown
    assert "does not fit" not in shown


def test_offload_is_an_axis_whose_rows_are_single_predictions(data):
    line = "-d rtx-4060 -r llama.cpp --weights q8_0 -p 64"
    rows = data(f"compare Llama-3.1-8B {line} --offload 0..20+10,auto,none")["rows"]
    assert [each["offload"] for each in rows] == ["layers=0", "layers=10", "layers=20", "auto: layers=32", "none"]
    for row, words in zip(rows[1:4], ("10", "layers=20", "auto"), strict=True):
        one = data(f"predict Llama-3.1-8B {line} --offload {words}")
        assert (row["tpot"], row["fits"]) == (one["request"]["tpot"], one["memory"]["fits"])
    assert [each["fits"] for each in rows] == [True, True, True, True, False]


def test_a_sweep_divides_anew_at_every_point_and_says_where_nothing_fits(data):
    found = data(
        "sweep Llama-3.1-8B -d rtx-4060 -r llama.cpp --weights q8_0 --offload layers=9,auto -p 64,2k "
        "--set device.memory.bandwidth=2x --figures tpot,fits"
    )["rows"]
    of = {(row["offload"], row["prompt"]): row for row in found}
    for words, prompt in of:
        one = data(
            f"predict Llama-3.1-8B -d rtx-4060 -r llama.cpp --weights q8_0 --offload {words} -p {prompt} "
            "--set device.memory.bandwidth=2x"
        )
        assert of[words, prompt]["tpot"] == pytest.approx(one["request"]["tpot"]), (words, prompt)
    assert of["auto", 64]["tpot"] < of["auto", 2048]["tpot"]


def test_what_a_model_has_not_is_a_row_that_says_so(roofsim):
    shown = re.sub(
        r"\s+", " ", roofsim("compare Llama-3.2-1B OLMoE-1B-7B -d rtx-4060 -r llama.cpp --offload experts,18")
    )
    assert "Llama-3.2-1B experts offload: Llama-3.2-1B has no routed experts" in shown
    assert "the model has 16 layers and the LM head, which is one more" in shown


def test_two_devices_have_one_host(data, roofsim):
    line = "predict Llama-3.1-70B -d rtx-3090 -r llama.cpp --weights q8_0 --offload layers=41"
    one, two = data(line)["offload"], data(f"{line} --pp 2")["offload"]
    assert one["decode"]["processor_time"] == pytest.approx(two["decode"]["processor_time"])
    assert one["tiers"][1]["weights"] == two["tiers"][1]["weights"]
    assert one["decode"]["link_bytes"] == pytest.approx(two["decode"]["link_bytes"])
    half = two["tiers"][0]["weights"] / one["tiers"][0]["weights"]
    assert 0.5 <= half < 0.53
    assert two["tiers"][0]["name"] == "2 x rtx-3090, the fullest"
    assert "Over the links of 2 devices go" in roofsim(f"{line} --pp 2")
