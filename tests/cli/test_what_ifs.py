"""--set changes one field for one run, and what follows from it is what physics says."""

from __future__ import annotations

import pytest

ONLY_TRAFFIC = [
    f"--set=parameters.{name}=0"
    for name in (
        "kernel_time",
        "strided_kernel_time",
        "tensor_kernel_time",
        "attention_kernel_time",
        "tile_time",
        "gemm_fill",
    )
]
"""Kernels without a shortest time and without a device to fill: what is left is traffic and work."""


def test_twice_the_bandwidth_halves_a_decode_that_only_waits_for_memory(data):
    line = "predict Llama-3.1-8B -d rtx-4090 -r ideal"
    slow, fast = (data(line, *ONLY_TRAFFIC, f"--set=device.memory.bandwidth={factor}") for factor in ("1x", "2x"))
    assert {o["bound"] for o in slow["decode"]["operators"]} == {"memory"}
    assert slow["decode"]["time"] / fast["decode"]["time"] == pytest.approx(2, rel=1e-9)
    assert slow["request"]["tpot"] / fast["request"]["tpot"] == pytest.approx(2, rel=1e-9)


def test_twice_the_bandwidth_nearly_halves_the_decode_of_a_large_model(data):
    line = "predict Llama-3.1-8B -d rtx-4090 -r ideal"
    slow, fast = (data(line, f"--set=device.memory.bandwidth={factor}")["decode"] for factor in ("1x", "2x"))
    assert slow["bound"] == "memory"
    assert 1.6 < slow["time"] / fast["time"] < 2
    head = [next(o["time"] for o in p["operators"] if o["operator"] == "lm_head") for p in (slow, fast)]
    assert head[0] / head[1] == pytest.approx(2, rel=0.05), "the largest product spends least on launching"


def test_bandwidth_changes_neither_work_nor_memory(data):
    line = "predict Zamba2-1.2B -d rtx-4090"
    before, after = data(line), data(line, "--set", "device.memory.bandwidth=3x")
    assert before["memory"] == after["memory"]
    assert before["limits"] == after["limits"]
    for phase in ("prefill", "decode"):
        for figure in ("matrix_flops", "vector_flops", "bytes", "kernels", "host_time"):
            assert before[phase][figure] == after[phase][figure]
        assert before[phase]["device_time"] > after[phase]["device_time"]


def test_a_long_prefill_that_computes_goes_with_the_matrix_peak(data):
    line = "predict Llama-3.2-1B -d rtx-4090 -r ideal -p 8k"
    products = [
        sum(o["time"] for o in data(line, f"--set=device.peak.matrix.bf16={factor}")["prefill"]["operators"]
            if o["kind"] == "gemm" and o["operator"] != "lm_head")
        for factor in ("0.5x", "1x")
    ]  # fmt: skip
    assert products[0] / products[1] == pytest.approx(2, rel=0.02)


def test_a_decode_bound_by_its_host_goes_with_the_time_of_a_launch(data):
    line = "predict Qwen2.5-0.5B -d rtx-4090"
    before, after = data(line), data(line, "--set", "host.dispatch=2x")
    assert before["decode"]["bound"] == after["decode"]["bound"] == "launch"
    assert after["decode"]["host_time"] / before["decode"]["host_time"] == pytest.approx(2, rel=0.01)
    assert after["decode"]["device_time"] == before["decode"]["device_time"]


def test_more_memory_takes_longer_prompts(data):
    limits = [data("limits mamba2-780m -d orin", f"--set=device.memory.capacity={c}")["limits"] for c in ("1x", "2x")]
    assert limits[1]["max_prompt"] > 2 * limits[0]["max_prompt"] > 0
    assert limits[1]["max_batch"] > 2 * limits[0]["max_batch"] > 0


def test_logits_of_the_last_position_take_longer_prompts_whichever_way_they_are_asked_for(data):
    line = "limits mamba2-780m -d orin"
    every, option, field = data(line), data(f"{line} --logits last"), data(f"{line} --set runtime.logits=last")
    assert option["limits"] == field["limits"]
    assert option["limits"]["max_prompt"] > 3 * every["limits"]["max_prompt"]


def test_a_quantity_and_a_factor_that_come_to_the_same_give_the_same(data):
    line = "predict mamba2-780m -d rtx-4090"
    by_factor = data(line, "--set", "device.memory.bandwidth=2x")
    by_quantity = data(line, "--set", "device.memory.bandwidth=2016 GB/s")
    assert by_factor["decode"] == by_quantity["decode"]
    assert by_factor["prefill"] == by_quantity["prefill"]


@pytest.mark.parametrize(
    "change",
    [
        "device.memory.bandwidth=1x",
        "device.peak.matrix.bf16=1x",
        "model.d_model=1x",
        "runtime.attention.mask=declared_window",
        "host.dispatch=1x",
        "parameters.gemm_efficiency=1x",
    ],
)
def test_a_factor_of_one_changes_nothing_but_the_note_about_it(data, change):
    line = "predict Qwen2.5-0.5B -d rtx-4090"
    before, after = data(line), data(line, "--set", change)
    notes = before.pop("assumptions"), after.pop("assumptions")
    for row in (row for phase in ("prefill", "decode") for each in (before, after) for row in each[phase]["operators"]):
        del row["basis"]  # whose value it is
    if change.startswith(("host.dispatch", "parameters.")):  # what is set is certain
        del before["intervals"], after["intervals"]
    assert after == before
    assert any(change in note for note in notes[1])
    assert not any("changed" in note for note in notes[0])


@pytest.mark.parametrize(
    "line", ["predict mamba2-780m -d rtx-4090", "limits mamba2-780m -d rtx-4090", "roofline mamba2-780m -d rtx-4090",
             "explain mamba2-780m -d rtx-4090", "crossover Qwen2.5-0.5B mamba2-780m -d rtx-4090"]
)  # fmt: skip
def test_a_what_if_says_so_in_every_format(roofsim, line):
    for form in ("table", "json", "markdown"):
        said = " ".join(roofsim(line, "--set", "device.memory.bandwidth=2x", "-f", form).split())
        assert "device.memory.bandwidth=2x" in said, form


def test_changes_add_up_and_do_not_depend_on_their_order(data):
    line = "predict Qwen2.5-0.5B -d rtx-4090"
    changes = ["--set=device.memory.bandwidth=2x", "--set=runtime.logits=last", "--set=parameters.kernel_time=2x"]
    one, other = data(line, *changes), data(line, *reversed(changes))
    assert (one["prefill"], one["decode"], one["memory"]) == (other["prefill"], other["decode"], other["memory"])


def test_a_what_if_is_forgotten_by_the_next_run(data):
    line = "predict mamba2-780m -d rtx-4090"
    before = data(line)
    data(line, "--set", "device.memory.bandwidth=2x", "--set", "model.d_model=2x", "--set", "host.dispatch=2x")
    assert data(line) == before


@pytest.mark.parametrize(
    ("change", "parameter"), [("host.dispatch", "dispatch"), ("device.parameters.gemm_efficiency", "gemm_efficiency")]
)
def test_what_is_asked_for_wins_over_a_fit(data, change, parameter):
    from roofsim import library

    fitted = library.calibration("h100-sxm@transformers-5").parameters[parameter].value
    line = "predict Qwen2.5-0.5B -d h100-sxm -r transformers-5-eager -p 8k"
    assert data(line)["calibration"] == "h100-sxm@transformers-5"
    half, same = data(line, "--set", f"{change}=0.5x"), data(line, "--set", f"parameters.{parameter}={fitted / 2!r}")
    assert half["request"] == pytest.approx(same["request"])
    assert half["request"] != data(line)["request"]


@pytest.mark.parametrize(("written", "number"), [("1k", 1024), ("1e3", 1000), ("0.5k", 512)])
def test_a_count_of_a_spec_may_be_written_as_a_length_is(data, written, number):
    same = "predict Qwen2.5-0.5B -d orin --set model.d_model="
    assert data(same + written)["prefill"] == data(f"{same}{number}")["prefill"]
