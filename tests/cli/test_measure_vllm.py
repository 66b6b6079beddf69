"""measure --stack vllm, with a program that stands in for a Python that has vLLM."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

FAKE = Path(__file__).resolve().parents[1] / "data" / "vllm" / "python"
MEASURE = f"measure Qwen2.5-0.5B -o my.csv --stack vllm --vllm-python {FAKE}"
RUNS = "-d rtx-4090 -r vllm"


@pytest.fixture
def log(here, monkeypatch):
    """What was asked of every process, a line each."""
    monkeypatch.setenv("FAKE_LOG", str(here / "log"))
    return here / "log"


def asked(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "my.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_measured_is_calibrated_with_and_validated(log, here, roofsim, data):
    roofsim(f"{MEASURE} --prompts 128,1k,4k --batch 1,8")
    found = rows(here)
    assert {(row["device"], row["framework"], row["arch"]) for row in found} == {
        ("RTX 4090", "vllm 0.23.0", "transformer")
    }
    times = {
        (r["phase"], r["batch"], r["prompt_len"], r["context_len"]): r for r in found if r["metric"] == "latency_s"
    }
    assert len(times) == 12
    # the middle one of three repeats
    assert float(times["prefill", "8", "1024", "0"]["value"]) == pytest.approx(8 * 1024 * 1e-5 * 1.1)
    assert float(times["decode", "8", "1024", "1024"]["value"]) == pytest.approx(1.1 * (1e-3 + 8 * 1024e-6))
    assert times["decode", "8", "1024", "1024"]["gen_len"] == "32"
    assert {"n=3", "max_num_batched_tokens=16384", "max_num_seqs=256", "prompts=apart"} <= set(
        times["prefill", "1", "128", "0"]["note"].split(";")
    )
    scored = data(f"validate my.csv {RUNS}")
    assert len([row for row in scored["rows"] if row["metric"] == "latency_s"]) == 12
    roofsim(f"calibrate my.csv {RUNS} -o fitted.yaml --quiet")


def test_a_file_with_runs_that_failed_is_scored_and_fitted_to_without_them(log, here, roofsim, data, monkeypatch):
    for how in ("failed@1024", "oom@4096"):
        monkeypatch.setenv("FAKE_VLLM", how)
        roofsim(f"{MEASURE} --prompts {'128,512,1k' if how.startswith('failed') else '2k,4k'}")
    scored = data(f"validate my.csv {RUNS}")
    assert {reason: n for reason, n in scored["skipped"].items() if reason.startswith("a run that")} == {
        "a run that did not get through": 2, "a run that ran out of memory": 2
    }  # fmt: skip
    assert len([row for row in scored["rows"] if row["metric"] == "latency_s"]) == 6
    assert "a run that ran out of memory" in roofsim(f"calibrate my.csv {RUNS} -o fitted.yaml --quiet")


def test_the_cache_and_the_weights_are_what_the_log_says(log, here, roofsim):
    roofsim(f"{MEASURE} --prompts 128")
    held = {row["metric"]: (float(row["value"]), row["note"]) for row in rows(here)}
    assert held["kv_cache_tokens"][0] == 95000
    assert "num_gpu_blocks=6000;block_size=16" in held["kv_cache_tokens"][1]
    assert held["weights_bytes"][0] == 2.5 * 2**30


def test_every_format_has_an_engine_of_its_own_and_the_same_command_goes_on(log, here, roofsim, data):
    roofsim(f"{MEASURE} --prompts 128 --weights bf16,fp8 --batched-tokens 2048")
    assert [each["engine"].get("quantization") for each in asked(log)] == [None, "fp8"]
    assert {each["engine"]["dtype"] for each in asked(log)} == {"bfloat16"}
    assert {each["engine"]["max_num_batched_tokens"] for each in asked(log)} == {2048}
    assert {(row["dtype"], row["weight_dtype"]) for row in rows(here)} == {("bf16", "bf16"), ("bf16", "fp8")}
    assert not data(f"{MEASURE} --prompts 128 --weights bf16,fp8")["rows"]
    assert len(asked(log)) == 2
    plan = data(f"{MEASURE} --prompts 128,512 --plan --device-name 'RTX 4090'")
    assert [case["state"] for case in plan["cases"]] == ["done", "done", "to do", "to do"]
    # rows of vLLM are none of transformers'
    plan = data("measure Qwen2.5-0.5B -o my.csv --prompts 128 --plan --device-name 'RTX 4090'")
    assert [case["state"] for case in plan["cases"]] == ["to do", "to do"]


def test_the_engine_is_made_for_the_longest_sequence_and_the_largest_batch(log, roofsim):
    roofsim(f"{MEASURE} --prompts 128,40k --batch 1,512")
    (each,) = asked(log)
    assert each["engine"]["max_num_seqs"] == 512
    assert each["engine"]["max_model_len"] >= 40960 + 32 + 512 * 40960 / 16384
    assert each["fields"]["max_position_embeddings"] >= each["engine"]["max_model_len"]
    assert each["parameters"] == 494_032_768


@pytest.mark.parametrize(
    ("how", "end", "said", "processes"),
    [
        ("crash", "failed", "killed by SIGABRT", 2),
        ("killed", "oom", "killed by SIGKILL", 1),
        ("failed", "failed", "ValueError: x,1, y", 1),
        ("oom", "oom", "ValueError", 1),
        ("mixed", "failed", "no figure of it", 1),
    ],
)
def test_a_point_that_fails_costs_no_other(log, data, monkeypatch, how, end, said, processes):
    where = 1024 if how != "killed" else 4096
    monkeypatch.setenv("FAKE_VLLM", f"{how}@{where}")
    result = data(f"{MEASURE} --prompts 128,1k,4k")
    ended = {(int(row["prompt_len"]), row["metric"]) for row in result["rows"] if row["phase"] != "load"}
    assert ended == {(length, end if length == where else "latency_s") for length in (128, 1024, 4096)}
    assert said in next(row["note"] for row in result["rows"] if row["metric"] == end)
    assert len(asked(log)) == processes
    assert result["left"] == 0


def test_an_engine_that_does_not_come_up_fails_all_of_a_model_and_no_other(log, here, attempt, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "start")
    result = attempt(f"{MEASURE} mamba2-780m --prompts 128,1k")
    found = rows(here)
    assert {(row["model"], row["metric"]) for row in found} == {("Qwen2.5-0.5B", "failed"), ("mamba2-780m", "failed")}
    assert len(found) == 8
    assert len(asked(log)) == 2
    assert "no kernel image" in found[0]["note"]
    assert result.exit_code == 1
    assert "no kernel image" in result.stderr.splitlines()[-1]


def test_the_reason_of_an_engine_that_does_not_come_up_is_looked_for_in_its_log(log, data, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "log")
    result = data(f"{MEASURE} --prompts 128,1k")
    assert {row["metric"] for row in result["rows"]} == {"oom"}
    assert all("OutOfMemoryError" in row["note"] for row in result["rows"])


def test_what_is_longer_than_vllm_has_memory_for_leaves_what_is_shorter(log, data, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "long@5000")
    result = data(f"{MEASURE} --prompts 128,4k,8k,16k")
    ended = {(int(row["prompt_len"]), row["metric"]) for row in result["rows"] if row["phase"] != "load"}
    assert ended == {(128, "latency_s"), (4096, "latency_s"), (8192, "oom"), (16384, "oom")}
    assert [each["engine"]["max_model_len"] for each in asked(log)] == [16384 + 32 + 2 + 1, 4096 + 32 + 2]
    assert result["left"] == 0


def test_an_engine_that_dies_at_every_point_is_started_twice_and_again_only_if_asked(log, here, attempt, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "dies")
    assert attempt(f"{MEASURE} --prompts 128,1k,4k,8k").exit_code == 1
    assert [row["metric"] for row in rows(here) if row["phase"] != "load"] == ["failed"] * 8
    assert len(asked(log)) == 2
    monkeypatch.delenv("FAKE_VLLM")
    attempt(f"{MEASURE} --prompts 128,1k,4k,8k")
    assert len(asked(log)) == 2
    attempt(f"{MEASURE} --prompts 128,1k,4k,8k --again")
    assert [row["metric"] for row in rows(here) if row["phase"] != "load"] == ["latency_s"] * 8


def test_memory_that_is_taken_is_waited_for_once_and_no_row_says_that_a_model_failed(
    log, here, attempt, data, monkeypatch
):
    monkeypatch.setattr("roofsim.measure.vllm.PAUSE", 0.0)
    monkeypatch.setenv("FAKE_VLLM", "taken@always")
    result = attempt(f"{MEASURE} --prompts 128")
    assert (result.exit_code, len(asked(log))) == (2, 2)
    assert "2.0/23.6 GiB" in result.stderr
    assert not (here / "my.csv").exists()
    log.unlink()
    monkeypatch.setenv("FAKE_VLLM", "taken")
    found = data(f"{MEASURE} --prompts 128 --gpu-memory-utilization 0.8")["rows"]
    assert {row["metric"] for row in found} == {"kv_cache_tokens", "weights_bytes", "latency_s"}
    assert [each["engine"]["gpu_memory_utilization"] for each in asked(log)] == [0.8, 0.8]
    assert "gpu_memory_utilization=0.8" in found[0]["note"]


def test_another_model_is_refused(log, attempt, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "model")
    result = attempt(f"{MEASURE} --prompts 128")
    assert result.exit_code == 2
    assert "what would be measured is not what is predicted" in result.stderr


@pytest.mark.parametrize("quiet", ["", "--quiet"])
def test_what_is_refused_beside_what_is_measured_is_told_in_the_end_to_the_quiet_as_well(
    log, here, attempt, monkeypatch, quiet
):
    monkeypatch.setenv("FAKE_VLLM", "model@494032768")
    result = attempt(f"{MEASURE} mamba2-780m --prompts 128 {quiet}")
    assert result.exit_code == 1
    assert "Qwen2.5-0.5B" in result.stderr.splitlines()[-1]
    assert "what would be measured is not what is predicted" in result.stderr.splitlines()[-1]
    assert {row["model"] for row in rows(here)} == {"mamba2-780m"}
    assert ("128" in result.stderr) == (not quiet)


def test_a_python_without_vllm_is_refused_before_any_row_says_that_a_model_failed(here, refused):
    bare = here / "python"
    bare.write_text("#!/bin/sh\necho no vllm >&2\nexit 1\n")
    bare.chmod(0o755)
    assert "has no vLLM" in refused(f"measure Qwen2.5-0.5B -o my.csv --stack vllm --vllm-python {bare}")
    assert not (here / "my.csv").exists()


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("measure Qwen2.5-0.5B -o my.csv --stack vllm --vllm-python absent/python", "--vllm-python absent/python"),
        (f"{MEASURE} --weights q4_k_m", "bf16, fp16, fp32, fp8"),
        (f"{MEASURE} --weights q9", "fp8"),
        (f"{MEASURE} --micro", "--micro"),
        (f"{MEASURE} --batched-tokens 0", "1"),
        ("measure Qwen2.5-0.5B -o my.csv --weights fp8", "--dtype"),
        ("measure Qwen2.5-0.5B -o my.csv --modes graph --plan", "transformers-static"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_can(refused, line, right):
    assert right in refused(line)
