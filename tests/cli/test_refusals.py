"""Wrong input: exit code 2, one message on stderr that says what would be right, nothing printed or written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from roofsim import library

PREDICT = "predict mamba2-780m -d rtx-4090"
CROSSOVER = "crossover Qwen2.5-0.5B mamba2-780m -d rtx-4090"


@pytest.mark.parametrize(
    ("line", "suggested"),
    [
        ("predict mamba2-780 -d rtx-4090", "mamba2-780m"),
        ("predict Qwen2.5-0.5b-instrct -d rtx-4090", "qwen2.5-0.5b-instruct"),
        ("predict mamba2-780m -d rtx-4009", "rtx-4090"),
        ("predict mamba2-780m -d jetson-orin-nan-8gb", "jetson-orin-nano-8gb"),
        ("predict mamba2-780m -d orin@15", "15w"),
        ("predict mamba2-780m -d orin@nope", "25w"),
        (f"{PREDICT} -r transformers-4.52-eagr", "transformers-4.52-eager"),
        (f"{PREDICT} --host desktp", "desktop"),
        ("crossover mamba2-780m Qwen2-0.5B -d orin", "Qwen2.5-0.5B"),
        ("limits mamba2-780 -d orin", "mamba2-780m"),
        ("explain mamba2-780 -d orin", "mamba2-780m"),
        ("roofline mamba2-780 -d orin", "mamba2-780m"),
        ("show mamba2-780", "mamba2-780m"),
        ("show rtx-409", "rtx-4090"),
        ("show cuda-grap", "cuda-graph"),
        ("show orin@nope", "25w"),
        ("show rtx-4090@ssm-scop", "nearest: rtx-4090@ssm-scope"),
        (f"{PREDICT} --weights q4km", "nearest: q4_k_m"),
        (f"{PREDICT} --cache q80", "nearest: q8_0"),
        (f"{PREDICT} --dtype bf61", "nearest: bf16"),
        (f"{PREDICT} --calibration rtx-4090@ssmscop", "nearest: rtx-4090@ssm-scope"),
        (f"{PREDICT} --logits lst", "Did you mean last?"),
        (f"{PREDICT} -f jsno", "Did you mean json?"),
        (f"{CROSSOVER} -m ttf", "Did you mean ttft?"),
        ("predct mamba2-780m", "predict"),
        ("crosover", "crossover"),
        ("modles", "models"),
        (f"{PREDICT} --promt 4", "--prompt"),
        (f"{PREDICT} --set devic.memory.bandwidth=2x", "device"),
        (f"{PREDICT} --set device.memory.bandwith=2x", "bandwidth"),
        (f"{PREDICT} --set device.memry.bandwidth=2x", "memory"),
        (f"{PREDICT} --set runtime.atention.mask=never", "attention"),
        (f"{PREDICT} --set model.d_modl=2x", "d_model"),
        (f"{PREDICT} --set host.dispach=2x", "dispatch"),
        (f"{PREDICT} --set parameters.gemm_eficiency=0.5", "gemm_efficiency"),
    ],
)
def test_a_typo_is_answered_with_the_name_that_was_meant(refused, line, suggested):
    assert suggested in refused(line)


@pytest.mark.parametrize("option", ["--prompt", "--batch"])
@pytest.mark.parametrize("count", ["0", "-5", "1e99", "32q", "99999999999999", "1.5", "", "1e-1", "1e5k", "nan", "k"])
def test_what_is_no_count_is_refused_with_an_example_of_one(refused, option, count):
    message = refused(PREDICT, option, count)
    assert option in message
    assert f"'{count}'" in message
    assert "32k" in message


@pytest.mark.parametrize("count", ["-1", "1.5", "99999999999999", "many"])
def test_what_is_no_number_of_generated_tokens_is_refused(refused, count):
    message = refused(PREDICT, "--generate", count)
    assert "generate" in message
    assert count in message


@pytest.mark.parametrize(
    "lengths", ["8k..1k", "1k..8k*1", "1k..8k*0.5", "1k..8k*abc", "1k..", "..1k", ",", "", "1k,,2k", "1..1M+1", "0..4"]
)
@pytest.mark.parametrize("option", ["--lengths", "--prompt", "--batch"])
def test_what_is_no_growing_range_of_counts_is_refused(refused, option, lengths):
    message = refused("limits mamba2-780m -d orin", option, lengths)
    assert option in message
    assert "could not convert" not in message


@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("--dtype", "int3", "bf16"),
        ("--cache", "int3", "bf16"),
        ("--weights", "int3", "int4-g128"),
        ("--logits", "none", "last"),
        ("--format", "xml", "json"),
    ],
)
def test_a_value_that_an_option_does_not_know_is_answered_with_those_it_knows(refused, option, value, right):
    message = refused(PREDICT, option, value)
    assert value in message
    assert right in message


@pytest.mark.parametrize(
    ("runtime", "cache", "right"),
    [
        ("transformers-5-eager", "fp8", "bf16"),
        ("transformers-4.52-eager", "q8_0", "bf16"),
        ("vllm", "q8_0", "fp8"),
        ("llama.cpp", "fp8", "q8_0"),
        ("llama.cpp", "iq4_nl", "q4_0"),
        ("llama.cpp-b2824", "q8_0", "fp16"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "limits", "explain"])
def test_a_cache_that_a_runtime_lacks_is_answered_with_those_it_keeps(refused, command, runtime, cache, right):
    message = refused(f"{command} Qwen2.5-0.5B -d h100-sxm -r {runtime} --cache {cache}")
    assert runtime in message
    assert cache in message
    assert right in message


def test_a_metric_that_does_not_exist_is_answered_with_those_that_do(refused):
    assert "tpot" in refused(f"{CROSSOVER} --metric speed")


@pytest.mark.parametrize(
    ("device", "dtype", "has"), [("t4", "bf16", "fp16"), ("orin", "fp8", "bf16"), ("a100-sxm-80gb", "fp8", "int8")]
)
@pytest.mark.parametrize("command", ["predict mamba2-780m", "crossover Qwen2.5-0.5B mamba2-780m", "limits mamba2-780m"])
def test_a_dtype_that_a_device_has_no_unit_for_is_answered_with_those_it_has(refused, command, device, dtype, has):
    message = refused(f"{command} -d {device} --dtype {dtype}")
    assert library.device(device).id in message
    assert dtype in message
    assert has in message


@pytest.mark.parametrize(
    "change",
    [
        "", "=1", "foo", "foo=1", "device=1", "device.=1", "device.memory=1", "device.memory.bandwidth=",
        "device.memory.bandwidth=2", "device.memory.bandwidth=0x", "device.memory.bandwidth=-1x",
        "device.memory.bandwidth=1..2x", "device.memory.bandwidth=2 TFLOP/s", "device.memory.bandwidth=inf",
        "device.memory.bandwidth=1e999 GB/s", "device.memory.bandwidth=1e-300 GB/s",
        "device.memory.bandwidth=99999999x", "device.memory.capacity=0x", "runtime.attention.mask=nope",
        "model.d_model=0", "model.d_model=-1", "model.d_model=abc", "model.d_model=1e400", "model.vocab=0",
        "model.layers.mamba2.0.heads=7.5", "parameters.gemm_efficiency=0", "parameters.gemm_efficiency=2",
        "parameters.gemm_efficiency=nan", "parameters.gemm_efficiency=fast", "parameters.a.b=1", "host.dispatch=1 GB",
    ],
)  # fmt: skip
def test_a_what_if_that_cannot_be_is_refused_in_few_words(refused, change):
    message = refused(PREDICT, "--set", change)
    assert "--set" in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("predict mamba2-780m", "--device"),
        ("predict -d orin", "MODEL"),
        ("predict mamba2-780m -d orin --plot memory.png --draw memroy", "--draw"),
        ("predict mamba2-780m -d tpu-v6e -r ideal --plot energy.png --draw energy", "power.tdp"),
        ("crossover mamba2-780m -d orin", "two"),
        ("crossover Qwen2.5-0.5B mamba2-780m", "--device"),
        ("crossover Qwen2.5-0.5B mamba2-780m -d orin --longest 1", "longest"),
        ("show", "NAME"),
        ("devices orin", "orin"),
        ("--nope", "--nope"),
        ("nope", "nope"),
    ],
)
def test_too_little_and_too_much_are_named(refused, line, reason):
    assert reason in refused(line)


@pytest.fixture
def files(here: Path) -> Path:
    """Files that no command can use."""
    (here / "wrong.yaml").write_text("name: Mine\nvendor: x\nmemory: {capacity: 24, bandwidht: 1 TB/s}\n")
    (here / "broken.yaml").write_text("a: [1\nb: 2")
    (here / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (here / "empty.yaml").write_text("")
    (here / "list.yaml").write_text("- 1")
    (here / "folder").mkdir()
    return here


@pytest.mark.parametrize(
    "name",
    [
        "wrong.yaml", "broken.yaml", "binary.yaml", "empty.yaml", "list.yaml", "./folder", "absent.yaml",
        "absent/model.yaml", ".",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "line",
    [
        "predict {} -d orin",
        "predict mamba2-780m -d {}",
        "predict mamba2-780m -d orin -r {}",
        "predict mamba2-780m -d orin --host {}",
        "show {}",
        "crossover mamba2-780m {} -d orin",
        "validate {}",
    ],
)
def test_a_path_that_holds_no_such_spec_is_named_with_what_is_wrong(refused, files, line, name):
    message = refused(line.format(name))
    assert Path(name).name in message
    assert not message.rstrip().endswith(":")


def test_all_problems_of_a_file_are_named_at_once(refused, files):
    message = refused("predict mamba2-780m -d wrong.yaml")
    for problem in ("memory.capacity", "memory.bandwidht: no such field", "peak: is missing"):
        assert problem in message
    assert all(line.startswith("wrong.yaml: ") for line in message.removeprefix("Error: ").splitlines())


@pytest.mark.parametrize("command", ["predict mamba2-780m -d rtx-4090", "limits mamba2-780m -d orin", "devices",
                                     "show orin", CROSSOVER, "explain mamba2-780m -d orin",
                                     "roofline mamba2-780m -d orin"])  # fmt: skip
@pytest.mark.parametrize("target", ["absent/out.txt", ".", ""])
def test_a_place_that_cannot_be_written_is_refused(refused, command, target):
    message = refused(command, "-o", target)
    assert f"{target}:" in message or f"'{target}'" in message


PLOTTED = [CROSSOVER, "limits mamba2-780m -d orin", "roofline mamba2-780m -d orin"]


@pytest.mark.parametrize("command", PLOTTED)
@pytest.mark.parametrize("target", ["figure", "figure.jpg", "figure.gif", ".png", "absent/figure.png", "", "png", "."])
def test_a_figure_that_cannot_be_drawn_is_refused(refused, command, target):
    refused(command, "--plot", target)


@pytest.mark.parametrize("command", PLOTTED)
def test_no_figure_is_drawn_if_the_result_cannot_be_written(refused, command):
    refused(f"{command} --plot figure.png -o absent/out.txt")


@pytest.mark.parametrize("command", PLOTTED)
def test_no_result_is_written_if_the_figure_cannot_be_drawn(refused, command):
    refused(f"{command} --plot absent/figure.png -o out.txt")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc, in which not even root can make a file")
@pytest.mark.parametrize("option", ["-o /proc/out.txt", "--plot /proc/figure.png"])
def test_a_folder_that_is_read_only_is_refused(attempt, here, option):
    result = attempt(f"{PLOTTED[0]} {option}")
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "/proc" in result.stderr
    assert list(here.iterdir()) == []


def test_a_result_that_fails_leaves_the_file_that_was_there(refused, here):
    (here / "out.txt").write_text("before")
    refused("predict mamba2-780 -d orin -o out.txt")
    assert (here / "out.txt").read_text() == "before"


def test_a_shipped_spec_works_by_path_under_another_name(data, here):
    shutil.copy(library.names("hardware")["rtx-4090"], here / "my-card.yaml")
    # the shipped calibration is of the shipped device
    mine, shipped = (data(f"predict mamba2-780m -d {d} --calibration none") for d in ("./my-card.yaml", "rtx-4090"))
    assert mine.pop("device") != shipped.pop("device")
    assert mine == shipped


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("4096", 4096),
        ("4k", 4096),
        ("4K", 4096),
        ("4_096", 4096),
        ("4,096", 4096),
        ("1.5k", 1536),
        ("1e3", 1000),
        ("1.5e3", 1500),
    ],
)
def test_a_count_may_be_written_as_the_field_writes_it(data, written, number):
    p = data(PREDICT, "-p", written, "-b", written, "-g", written)["workload"]
    assert (p["prompt"], p["batch"], p["generate"]) == (number, number, number)


def test_names_do_not_depend_on_case_or_on_which_alias_is_used(data):
    shipped = data(
        "predict Qwen2.5-0.5B -d jetson-orin-nano-8gb@maxn -r transformers-4.52-eager --host jetson-orin-nano"
    )
    assert data("predict QWEN2.5-0.5b -d ORIN -r ssm-scope --host Orin-Host") == shipped


def test_a_parameter_that_is_no_number_is_refused_with_its_unit_and_value(refused):
    said = refused("predict Qwen2.5-0.5B -d rtx-4090 --calibration none --set parameters.dispatch=2us")
    assert "--set parameters.dispatch: '2us' is not a number in s; write 1.2e-05 or 2x" in said


def test_a_transfer_without_a_source_says_of_which_stack_there_is_none(refused):
    said = refused("predict Qwen2.5-0.5B -d orin -r ideal --transfer")
    assert "no shipped calibration of ideal is of jetson-orin-nano-8gb or of a device like it" in said
