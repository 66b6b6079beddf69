"""Our GGUF files in llama.cpp itself: they load, have the sizes we count, are timed, fitted to and predicted.

Needs the package xllamacpp, of which nothing but llama.cpp's library is used; where it is not installed these tests
are skipped.
"""

from __future__ import annotations

import csv
import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from roofsim.adapters.gguf.contents import ARCHITECTURES
from roofsim.adapters.gguf.write import FORMATS, write_gguf
from roofsim.cli import group
from roofsim.model.architecture import Architecture
from roofsim.specs.files import build

pytest.importorskip("gguf", reason="the package gguf is not installed")
HELD = find_spec("xllamacpp")
if HELD is None or HELD.submodule_search_locations is None:
    pytest.skip("xllamacpp is not installed: there is no llama.cpp to load files", allow_module_level=True)
try:
    ctypes.CDLL(str(Path(HELD.submodule_search_locations[0]) / "xllamacpp.abi3.so"))
except OSError as error:
    pytest.skip(f"xllamacpp cannot be loaded here: {error}", allow_module_level=True)

SOURCE = Path(__file__).resolve().parents[1] / "data" / "llamacpp" / "library.py"
ATTENTION = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 32}
MAMBA1 = {"kind": "mamba1", "d_inner": 256, "d_state": 16, "dt_rank": 8}
MAMBA2 = {"kind": "mamba2", "heads": 8, "head_dim": 32, "d_state": 32, "groups": 1}
MOE = {"kind": "moe", "experts": 8, "top_k": 2, "width": 64}
MLP = {"kind": "gated_mlp", "width": 192}
LAYERS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "llama": {"a": [ATTENTION, MLP]},
    "mixtral": {"a": [ATTENTION, MOE]},
    "qwen2": {"a": [{**ATTENTION, "qkv_bias": True}, MLP]},
    "qwen3": {"a": [{**ATTENTION, "head_dim": 64, "qk_norm": "head"}, MLP]},
    "qwen3_moe": {"a": [{**ATTENTION, "head_dim": 64, "qk_norm": "head"}, MOE]},
    "olmoe": {"a": [{**ATTENTION, "kv_heads": 4, "qk_norm": "width"}, MOE]},
    "mamba": {"a": [MAMBA1]},
    "falcon_mamba": {"a": [{**MAMBA1, "norms": "plain"}]},
    "mamba2": {"a": [MAMBA2]},
    "falcon_h1": {"a": [{"kind": "parallel", "attention": ATTENTION, "ssm": {**MAMBA2, "gated_norm": False}}, MLP]},
    "lfm2": {
        "a": [{"kind": "short_conv", "channels": 128}, MLP],
        "b": [{**ATTENTION, "qk_norm": "head"}, MLP],
    },
    "granitemoehybrid": {
        "a": [MAMBA2, {**MOE, "shared_width": 64}],
        "b": [{**ATTENTION, "rotary": False}, {**MOE, "shared_width": 64}],
    },
}
"""A tiny model of every family that is written."""


def fields(family: str) -> dict[str, Any]:
    layers = LAYERS[family]
    return {
        "name": "Tiny", "id": "tiny", "family": family, "d_model": 128, "vocab": 512, "tied_embeddings": False,
        "layers": layers, "layout": [{"repeat": 2, "of": sorted(layers)}], "sources": {"none": "made for a test"},
    }  # fmt: skip


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """llama-bench and llama-batched-bench."""
    folder = tmp_path_factory.mktemp("programs")
    for name in ("llama-bench", "llama-batched-bench"):
        (folder / name).write_text(f"#!{sys.executable}\n{SOURCE.read_text()}")
        (folder / name).chmod(0o755)
    return folder


def test_there_is_a_tiny_model_of_every_family_that_is_written() -> None:
    assert set(LAYERS) == set(ARCHITECTURES)


@pytest.mark.parametrize("family", LAYERS)
def test_a_file_of_ours_is_loaded_with_our_sizes_and_computed(family: str, programs: Path, tmp_path: Path) -> None:
    a = build(Architecture, fields(family), family)
    for weights in FORMATS:
        path = tmp_path / f"{weights}.gguf"
        size = write_gguf(a, path, weights)
        sizes = ["-p", "40", "-n", "0"] if weights != "f16" else ["-p", "0", "-n", "2", "-d", "40"]
        command = [programs / "llama-bench", "-m", path, "-b", "32", "-ub", "16", "-fa", "1", "-r", "1", *sizes]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        said = json.loads(done.stdout)
        assert (said["model_size"], said["model_n_params"]) == (size, a.total_parameters)
        assert said["avg_ns"] > 0


def test_several_sequences_at_once_are_computed(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(build(Architecture, fields("granitemoehybrid"), "tiny"), path)
    command = [programs / "llama-batched-bench", "-m", path, "-b", "64", "-ub", "16", "-fa", "1", "-npp", "24", "-ntg",
               "4", "-npl", "2,5,5", "-c", str(5 * 28)]  # fmt: skip
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [json.loads(line)["pl"] for line in done.stdout.splitlines()] == [2, 5, 5]


LEFT_OUT = 96
DEVICE = "epyc-genoa-2-cores"
MODELS = ("llama", "mamba", "falcon_h1")


@pytest.fixture
def roofsim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)
    for family in MODELS:
        (tmp_path / f"{family}.yaml").write_text(
            json.dumps({name: value for name, value in fields(family).items() if name != "id"})  # JSON is YAML
        )

    def run(*words: str) -> str:
        result = CliRunner().invoke(group, words, prog_name="roofsim")
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    return run


def test_what_llama_cpp_takes_is_fitted_and_then_predicted_at_lengths_left_out(
    programs: Path, roofsim: Callable[..., str]
) -> None:
    roofsim("measure", *(f"{family}.yaml" for family in MODELS), "-o", "runs.csv", "--stack", "llama.cpp",
            "--llama-bench", str(programs),
            "--weights", "f16,q8_0", "--prompts", f"32,64,{LEFT_OUT},128", "--batch", "1,2", "--repeats", "2",
            "--scratch", ".", "--device-name", DEVICE, "-q")  # fmt: skip
    with open("runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["metric"] for row in rows} == {"latency_s"}
    assert {(row["model"], row["arch"]) for row in rows} == {
        ("llama.yaml", "transformer"), ("mamba.yaml", "ssm"), ("falcon_h1.yaml", "hybrid")
    }  # fmt: skip
    assert len(rows) == len(MODELS) * 2 * 4 * 2 * 2
    runtime = ["-d", DEVICE, "-r", "llama.cpp-cpu"]
    lengths = f"prompt_len != {LEFT_OUT} and context_len != {LEFT_OUT}"
    roofsim("calibrate", "runs.csv", *runtime, "-o", "here.yaml", "--where", lengths, "-q")
    scored = json.loads(roofsim("validate", "runs.csv", *runtime, "--calibration", "here.yaml", "-f", "json"))
    left_out = [row for row in scored["rows"] if row["prompt"] == LEFT_OUT]
    assert {(row["model"], row["phase"]) for row in left_out} == {
        (family, phase) for family in MODELS for phase in ("prefill", "decode")
    }
    # of a busy machine little can be said but this: what is promised at 95 % holds for most of few rows
    held = [row["interval"][0] <= row["measured"] <= row["interval"][1] for row in left_out]
    assert sum(held) >= 0.7 * len(held)
