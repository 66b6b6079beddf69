"""measure --stack llama.cpp, with a program that stands in for llama.cpp's and with the real ones where they are."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from roofsim import library
from roofsim.model.ffn.moe import Moe

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests" / "data" / "llamacpp"
TINY = """\
name: Tiny
family: qwen2
d_model: 64
vocab: 320
tied_embeddings: true
layers:
  decoder:
    - {kind: attention, heads: 4, kv_heads: 2, head_dim: 16, qkv_bias: true}
    - {kind: gated_mlp, width: 96}
layout:
  - {repeat: 2, of: [decoder]}
sources:
  test: "sizes of our own"
"""
MEASURE = "measure Qwen2.5-0.5B=tiny.yaml -o my.csv --stack llama.cpp --scratch scratch --llama-bench programs"
RUNS = "-d rtx-4090 -r llama.cpp"


@pytest.fixture
def folder(here):
    """A folder with a tiny model, programs that stand in for llama.cpp's, and an empty one for files of weights."""
    (here / "tiny.yaml").write_text(TINY)
    (here / "scratch").mkdir()
    (here / "programs").mkdir()
    for name in ("llama-bench", "llama-batched-bench", "llama-quantize"):
        program = here / "programs" / name
        shutil.copyfile(PROGRAMS / "programs.py", program)
        program.chmod(0o755)
    return here


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "my.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_measured_is_calibrated_with_and_validated(folder, roofsim, data):
    roofsim(f"{MEASURE} --weights f16,q4_k_m --prompts 128,1k,4k,16k --batch 1,8 --repeats 3")
    found = rows(folder)
    assert {row["device"] for row in found} == {"RTX 4090"}
    assert {(row["dtype"], row["weight_dtype"], row["arch"]) for row in found} == {
        ("fp16", "f16", "transformer"), ("fp16", "q4_k_m", "transformer")
    }  # fmt: skip
    assert len(found) == 2 * 2 * 2 * 4
    scored = data(f"validate my.csv {RUNS}")
    assert len(scored["rows"]) == len(found)
    roofsim(f"calibrate my.csv {RUNS} -o fitted.yaml --quiet")
    assert "32 rows of my.csv" in roofsim(f"predict Qwen2.5-0.5B {RUNS} --calibration fitted.yaml -f json")


def test_a_row_says_what_was_asked_of_which_program(folder, roofsim):
    roofsim(f"{MEASURE} --prompts 1k --batch 1,8 --repeats 3 --device-name H100")
    prefill, decode, together, step = rows(folder)
    assert [row["phase"] for row in (prefill, decode, together, step)] == ["prefill", "decode"] * 2
    sizes = ("batch", "prompt_len", "context_len", "gen_len")
    assert [prefill[name] for name in sizes] == ["1", "1024", "0", "0"]
    assert [decode[name] for name in sizes] == ["1", "0", "1024", "32"]
    assert [together[name] for name in sizes] == ["8", "1024", "0", "0"]
    assert [step[name] for name in sizes] == ["8", "1024", "1024", "32"]
    # the middle one of three repeats, a step for decode
    assert float(prefill["value"]) == pytest.approx(1.01 * 1024 * (1e-5 + 1e-8 * 512), rel=1e-5)
    assert float(decode["value"]) == pytest.approx(1.01 * (1e-5 + 1e-8 * 1024), rel=1e-5)
    assert float(step["value"]) == pytest.approx(1e-5 + 8e-6, rel=1e-5)
    assert prefill["framework"] == "llama.cpp b5163 (CUDA)"
    assert {"flash_attn=1", "ubatch=512", "n=3"} <= set(prefill["note"].split(";"))
    assert "llama-batched-bench" in together["note"]
    assert prefill["device"] == "H100"


def test_the_same_command_goes_on_where_it_was_stopped(folder, attempt, roofsim, data):
    stopped = attempt(f"{MEASURE} --prompts 1k,4k --max-seconds 1e-6")
    assert stopped.exit_code == 0
    assert "the time is up" in stopped.stderr
    assert not any((folder / "scratch").iterdir())
    roofsim(f"{MEASURE} --prompts 1k")
    before = (folder / "my.csv").read_text()
    plan = data(f"{MEASURE} --prompts 1k,4k --plan --device-name 'RTX 4090'")
    assert [case["state"] for case in plan["cases"]] == ["done", "done", "to do", "to do"]
    result = data(f"{MEASURE} --prompts 1k,4k")
    assert len(result["rows"]) == 2
    assert result["left"] == 0
    assert (folder / "my.csv").read_text().startswith(before)
    assert not data(f"{MEASURE} --prompts 1k,4k")["rows"]


def test_what_needs_more_than_what_ran_out_of_memory_is_left_out(folder, data, monkeypatch):
    monkeypatch.setenv("FAKE_MEMORY", "6000")
    result = data(f"{MEASURE} --prompts 1k,4k,8k --batch 1,2,8 --repeats 1")
    ended = {(r["phase"], r["batch"], max(r["prompt_len"], r["context_len"])): r["metric"] for r in result["rows"]}
    assert {key for key, metric in ended.items() if metric == "oom"} == {
        ("prefill", "1", "8192"), ("decode", "8", "1024"), ("decode", "2", "4096")
    }  # fmt: skip
    assert ended["decode", "2", "1024"] == "latency_s"
    assert result["left"] == 0


def test_a_program_that_fails_is_written_down_with_its_reason_and_tried_again_if_asked(folder, attempt, monkeypatch):
    monkeypatch.setenv("FAKE_BENCH", "fails")
    result = attempt(f"{MEASURE} --prompts 1k,4k")
    assert (result.exit_code, [row["metric"] for row in rows(folder)]) == (1, ["failed"] * 4)
    assert "failed to load model" in rows(folder)[0]["note"]
    assert "failed to load model" in result.stderr.splitlines()[-1]
    monkeypatch.delenv("FAKE_BENCH")
    assert attempt(f"{MEASURE} --prompts 1k,4k --again").exit_code == 0
    assert [row["metric"] for row in rows(folder)] == ["latency_s"] * 4


@pytest.mark.parametrize(
    ("how", "end", "said"),
    [
        ("crash", "failed", "killed by SIGABRT"),
        ("killed", "oom", "killed by SIGKILL"),
        ("cut", "failed", 'could not read \'{"build_commit"'),
        ("other", "failed", 'could not read \'{"version"'),
        ("zero", "failed", "could not read"),
        ("lost", "failed", "printed no figure of it"),
    ],
)
@pytest.mark.parametrize("where", [1024, 4096, 8192])
def test_a_line_that_is_spoilt_costs_its_own_figure_and_no_other(folder, data, monkeypatch, how, end, said, where):
    monkeypatch.setenv("FAKE_BENCH", f"{how}@{where}")
    result = data(f"{MEASURE} --prompts 1k,4k,8k --phases prefill")
    ended = {int(row["prompt_len"]): row for row in result["rows"]}
    larger = {length for length in (1024, 4096, 8192) if end == "oom" and length > where}
    assert set(ended) == {1024, 4096, 8192} - larger
    spoilt = ended.pop(where)
    assert spoilt["metric"] == end
    assert said in spoilt["note"]
    assert {row["metric"] for row in ended.values()} <= {"latency_s"}
    assert result["left"] == 0


def test_repeats_that_came_before_a_crash_are_kept(folder, data, monkeypatch):
    monkeypatch.setenv("FAKE_BENCH", "late@2048")
    result = data(f"{MEASURE} --prompts 512 --batch 2,4,8 --phases prefill --repeats 2")
    assert {row["batch"]: row["metric"] for row in result["rows"]} == dict.fromkeys("248", "latency_s")
    assert ["n=1" in row["note"].split(";") for row in result["rows"]] == [False, True, False]


def test_a_format_that_cannot_be_made_leaves_the_others(folder, attempt, monkeypatch):
    monkeypatch.setenv("FAKE_QUANTIZE", "Q4_K_M")
    result = attempt(f"{MEASURE} --prompts 1k --weights q4_k_m,q6_k")
    assert result.exit_code == 1
    assert "no such type" in result.stderr
    assert {(row["weight_dtype"], row["metric"]) for row in rows(folder)} == {("q6_k", "latency_s")}


def test_files_are_kept_where_they_are_asked_for_and_used_again(folder, roofsim):
    (folder / "kept").mkdir()
    roofsim(f"{MEASURE} --prompts 1k --weights q8_0,q4_k_m --keep-gguf kept")
    kept = {path.name: path.stat().st_mtime_ns for path in (folder / "kept").iterdir()}
    assert set(kept) == {f"Qwen2.5-0.5B-{each}.gguf" for each in ("f16", "q8_0", "q4_k_m")}
    roofsim(f"{MEASURE} --prompts 4k --weights q8_0,q4_k_m --keep-gguf kept")
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "kept").iterdir()} == kept


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("measure tiny.yaml -o my.csv --stack llama.cpp", "--llama-bench PATH"),
        ("measure tiny.yaml -o my.csv --stack llama.cpp --llama-bench absent/llama-bench", "absent/llama-bench"),
        ("measure tiny.yaml -o my.csv --stack llama.cpp --llama-bench tiny.yaml", "may not be executed"),
        (f"{MEASURE} --llama-quantize absent", "--llama-quantize absent"),
        ("measure Phi-3-mini -o my.csv --stack llama.cpp", "not of 'phi3'"),
        ("measure absent.yaml -o my.csv --stack llama.cpp", "absent.yaml"),
        (f"{MEASURE} --weights q9", "q8_0"),
        (f"{MEASURE} --scratch absent", "no folder 'absent'"),
        (f"{MEASURE} --micro", "--micro"),
        (f"{MEASURE} --stack ollama", "llama.cpp"),
        ("measure tiny.yaml -o absent/my.csv --stack llama.cpp", "absent"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_can(folder, refused, monkeypatch, line, right):
    monkeypatch.setenv("PATH", str(folder / "scratch"))
    assert right in refused(line)
    assert not (folder / "my.csv").exists()


def test_a_folder_without_room_is_told_before_a_file_is_written(folder, refused, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 1000))
    assert "--scratch" in refused(f"{MEASURE} --prompts 1k")


def test_a_quantiser_that_fails_is_told(folder, refused, monkeypatch):
    monkeypatch.setenv("FAKE_QUANTIZE", "fails")
    assert "no such type" in refused(f"{MEASURE} --prompts 1k --weights q4_k_m")
    assert not any((folder / "scratch").iterdir())


def test_the_tool_measures_what_it_is_given_and_goes_on(folder):
    command = [
        sys.executable, str(ROOT / "tools" / "measure_stacks.py"), "my.csv", "--llama-bench", "programs",
        "--scratch", "scratch", "--models", "tiny.yaml", "--weights", "f16", "--shrink", "8", "--minutes", "5",
    ]  # fmt: skip
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert "all is done" in first.stdout
    assert {row["metric"] for row in rows(folder)} == {"latency_s"}
    size = len(rows(folder))
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert len(rows(folder)) == size
    assert not any((folder / "scratch").iterdir())


def test_the_tool_measures_what_needs_no_quantiser_where_there_is_none(folder, monkeypatch):
    (folder / "programs" / "llama-quantize").unlink()
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "measure_stacks.py"), "my.csv", "--llama-bench", "programs", "--scratch",
         "scratch", "--models", "tiny.yaml", "--shrink", "64", "--minutes", "5"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--llama-quantize PATH" in done.stdout
    assert {row["weight_dtype"] for row in rows(folder)} == {"f16", "q8_0"}


@pytest.mark.parametrize("stack", ["llama.cpp", "vllm", "transformers-static", "transformers"])
def test_the_tool_plans_every_stack_over_all_kinds_lengths_and_batches(stack):
    command = [sys.executable, str(ROOT / "tools" / "measure_stacks.py"), "my.csv", "--stack", stack, "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    points: dict[str, list[tuple[str, int, int]]] = {}
    lines = [line.partition(": ") for line in done.stdout.splitlines()]
    for words, _, rest in lines:
        for phase, batch, _, tokens in (each.split() for each in rest.split(", ")):
            points.setdefault(words.split()[0], []).append((phase, int(batch), int(tokens.replace(",", ""))))
    models = {name: library.architecture(name) for name in points}
    experts = {name for name, a in models.items() if any(isinstance(part, Moe) for part, _ in a.parts())}
    plain = [a.kind for name, a in models.items() if name not in experts]
    assert len(experts) >= 2
    assert plain.count("transformer") >= 4
    assert plain.count("ssm") >= 4
    assert sum(a.kind == "hybrid" for a in models.values()) >= 3
    assert {a.family for a in models.values() if a.kind == "ssm"} == {"mamba", "mamba2"}
    formats = {words.split()[1] for words, _, _ in lines}
    assert formats == {"llama.cpp": {"f16", "q8_0", "q4_k_m"}, "vllm": {"bf16", "fp8"}}.get(stack, {"bf16"})
    for found in points.values():
        assert min(tokens for phase, _, tokens in found if phase == "prefill") == 128
        assert max(tokens for phase, _, tokens in found if phase == "decode") >= 32768
    whole = set(points["Llama-3.2-1B"])
    assert ("decode", 1, 65536) in whole
    assert {batch for _, batch, _ in whole} >= {1, 8, 32, 128, 256}
    assert stack == "transformers-static" or ("prefill", 1, 32768) in whole
    # every model and format comes twice, and nothing is asked twice
    assert len(lines) == 2 * len({words for words, _, _ in lines})
    assert len(points["Llama-3.2-1B"]) == len(whole) * len(formats)


def test_the_tool_says_how_long_what_it_plans_takes(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "tools")
    tool = import_module("measure_stacks")
    so_far = {}
    for stack, starts in (("llama.cpp", 0), ("vllm", 80), ("transformers-static", 25)):
        words = f"x my.csv --stack {stack} --list --expect rtx-4090 --models Qwen2.5-0.5B".split()
        monkeypatch.setattr(sys, "argv", words)
        assert tool.main() == 0
        told = [line.rpartition(" | ")[2].split() for line in capsys.readouterr().out.splitlines()]
        assert all(int(seconds) > starts for seconds, *_ in told)
        so_far[stack] = [float(minutes) for *_, minutes, _, _, _ in told]
        assert so_far[stack] == sorted(so_far[stack])
    # a start of an engine for both formats, twice
    assert so_far["vllm"][-1] > 4 * 80 / 60


def test_the_tool_drives_vllm_and_goes_on(folder, monkeypatch):
    monkeypatch.setenv("FAKE_LOG", str(folder / "log"))
    command = [
        sys.executable, str(ROOT / "tools" / "measure_stacks.py"), "my.csv", "--stack", "vllm", "--vllm-python",
        str(ROOT / "tests" / "data" / "vllm" / "python"), "--models", "Qwen2.5-0.5B", "--minutes", "5",
    ]  # fmt: skip
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert "all is done" in first.stdout
    found = rows(folder)
    assert {(row["weight_dtype"], row["device"]) for row in found} == {("bf16", "RTX 4090"), ("fp8", "RTX 4090")}
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert len(rows(folder)) == len(found)


REAL = shutil.which("llama-bench")


@pytest.mark.skipif(REAL is None, reason="no llama-bench on the path; tests/measure drives llama.cpp's library")
def test_the_real_llama_bench_loads_what_is_written(folder, data):
    line = "measure tiny.yaml -o my.csv --stack llama.cpp --scratch scratch --prompts 16,64 --batch 1,4 --repeats 2"
    result = data(f"{line} --weights f16,q8_0")
    assert {row["metric"] for row in result["rows"]} == {"latency_s"}
    assert len(result["rows"]) == 16
