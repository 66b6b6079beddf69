"""Real, tiny models on the processor: what is built is what we describe, and what is measured can be predicted.

Needs the extra `measure`; where PyTorch is not installed these tests are skipped.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from roofsim import library
from roofsim.cli import group
from roofsim.foundation.errors import InputError
from roofsim.measure import build, meters, micro, passes
from roofsim.measure.configs import FAMILIES
from roofsim.measure.meters import Counter
from roofsim.measure.passes import Bench
from roofsim.measure.stack import Stack, load

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of PyTorch and transformers are not ours

ATTENTION = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 16}
GATED = {"kind": "gated_mlp", "width": 96}
MAMBA2 = {"kind": "mamba2", "heads": 4, "head_dim": 32, "d_state": 16, "chunk": 16}
SHARED = {
    "kind": "shared_block",
    "block": "A",
    "attention": {"kind": "attention", "heads": 4, "kv_heads": 4, "head_dim": 32, "d_in": 128, "lora_rank": 8},
    "mlp": {**GATED, "fused": True, "lora_rank": 8},
}
TINY: dict[str, dict[str, Any]] = {
    "llama": {"layers": {"a": [ATTENTION, GATED]}},
    "olmoe": {
        "layers": {
            "a": [
                {**ATTENTION, "kv_heads": 4, "qk_norm": "width"},
                {"kind": "moe", "experts": 8, "top_k": 2, "width": 32},
            ]
        },
        "tied_embeddings": False,
    },
    "lfm2": {
        "layers": {"a": [{"kind": "short_conv", "channels": 64}, GATED], "b": [{**ATTENTION, "qk_norm": "head"}, GATED]}
    },
    "mamba": {"layers": {"a": [{"kind": "mamba1", "d_inner": 128, "d_state": 16, "dt_rank": 4}]}},
    "mamba2": {"layers": {"a": [MAMBA2]}},
    "falcon_h1": {
        "layers": {"a": [{"kind": "parallel", "attention": ATTENTION, "ssm": {**MAMBA2, "gated_norm": False}}, GATED]},
        "tied_embeddings": False,
    },
    "zamba2": {"layers": {"a": [MAMBA2], "b": [SHARED, MAMBA2]}},
}
ARCHES = {
    "llama": "transformer",
    "olmoe": "transformer",
    "lfm2": "hybrid",
    "mamba": "ssm",
    "mamba2": "ssm",
    "falcon_h1": "hybrid",
    "zamba2": "hybrid",
}


def model_file(folder: Path, family: str, **changes: Any) -> str:
    """A model file of two layers of each kind, of width 64."""
    fields = {
        "name": "Tiny", "family": family, "d_model": 64, "vocab": 96, "tied_embeddings": True, **TINY[family],
        "sources": {"none": "made for a test"}, **changes,
    }  # fmt: skip
    fields["layout"] = [{"repeat": 2, "of": sorted(fields["layers"])}]
    (folder / f"{family}.yaml").write_text(json.dumps(fields))  # JSON is YAML
    return f"{family}.yaml"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load("cpu")


def roofsim(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(group, words, prog_name="roofsim")
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def rows(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", [n for n in library.names("models") if library.architecture(n).family in FAMILIES])
def test_transformers_builds_every_shipped_model_with_the_parameters_that_we_count(stack: Stack, name: str) -> None:
    each = build.subject(name)
    model = build.made(stack, each, "bf16", "meta")
    assert sum(p.numel() for p in model.parameters()) == each.parameters
    assert build.architecture_of(model) == each.arch
    assert build.learned_positions(model) == each.positions


@pytest.mark.parametrize("family", TINY)
def test_a_model_is_measured_and_its_rows_are_read_and_predicted(here: Path, family: str) -> None:
    name = model_file(here, family)
    command = ["measure", name, "-o", "my.csv", "--prompts", "8,32", "--batch", "1,3", "--repeats", "2", "--on", "cpu",
               "--device-name", "RTX 4090", "-q", "-f", "json"]  # fmt: skip
    told = json.loads(roofsim(*command))
    found = rows("my.csv")
    assert told["rows"] == found
    assert told["left"] == 0
    assert {r["arch"] for r in found} == {ARCHES[family]}
    latencies = {
        (r["phase"], r["batch"], r["prompt_len"], r["context_len"]): float(r["value"])
        for r in found
        if r["metric"] == "latency_s"
    }
    assert set(latencies) == {
        (phase, batch, n, n if phase == "decode" else "0")
        for phase in ("prefill", "decode") for batch in ("1", "3") for n in ("8", "32")
    }  # fmt: skip
    assert all(value > 0 for value in latencies.values())
    assert not any(r["metric"] in ("oom", "failed", "device_time_s", "energy_j") for r in found)
    assert all(
        ("kernels=fallback" in r["note"]) == (family not in ("llama", "olmoe")) for r in found if r["phase"] != "load"
    )
    validation = json.loads(roofsim("validate", "my.csv", "-f", "json"))
    assert {(r["phase"], r["metric"]) for r in validation["rows"]} >= {
        ("prefill", "latency_s"),
        ("decode", "latency_s"),
    }
    before = Path("my.csv").read_bytes()
    assert json.loads(roofsim(*command))["rows"] == []
    assert Path("my.csv").read_bytes() == before


def test_a_run_that_was_stopped_is_gone_on_with(here: Path) -> None:
    name = model_file(here, "llama")
    command = ["measure", name, "-o", "my.csv", "--repeats", "1", "--on", "cpu", "-q", "-f", "json", "--prompts"]
    roofsim(*command, "8")
    first = Path("my.csv").read_text()
    told = json.loads(roofsim(*command, "8,16"))
    assert {r["prompt_len"] for r in told["rows"]} == {"16"}
    assert Path("my.csv").read_text().startswith(first)


def test_a_model_that_transformers_builds_otherwise_than_we_describe_is_refused(here: Path) -> None:
    # the class of Llama has a bias on the output too, or none at all
    name = model_file(here, "llama", layers={"a": [{**ATTENTION, "qkv_bias": True}, GATED]})
    said = roofsim("measure", name, "-o", "my.csv", "--on", "cpu", code=2)
    assert "what would be measured is not what is predicted" in said
    assert not Path("my.csv").exists()


def test_a_published_config_is_measured_without_a_file_of_ours(here: Path) -> None:
    config = {
        "model_type": "qwen3", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 96, "vocab_size": 96,
    }  # fmt: skip
    (here / "folder").mkdir()
    (here / "folder" / "config.json").write_text(json.dumps(config))
    roofsim("measure", "mine=folder", "-o", "my.csv", "--prompts", "8", "--repeats", "1", "--on", "cpu", "-q")
    assert {(r["model"], r["arch"]) for r in rows("my.csv")} == {("mine", "transformer")}


@pytest.mark.parametrize("config", [{"model_type": "no_such"}, {"model_type": "llama", "hidden_size": "wide"}])
def test_a_config_that_transformers_does_not_take_is_refused(here: Path, config: dict[str, Any]) -> None:
    (here / "config.json").write_text(json.dumps(config))
    said = roofsim("measure", "config.json", "-o", "my.csv", "--on", "cpu", code=2)
    assert "transformers cannot build it" in said
    assert not Path("my.csv").exists()


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> None:
    monkeypatch.setattr(stack.torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--on cpu"):
        load("cuda")


@pytest.mark.parametrize("family", TINY)
def test_a_cache_of_one_prompt_repeated_gives_every_sequence_its_next_token(
    here: Path, stack: Stack, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    bench = Bench(stack, build.built(stack, build.subject(model_file(here, family)), "fp32"), Counter(stack))
    prompt = bench.tokens(1, 12)
    monkeypatch.setattr(Bench, "tokens", lambda self, batch, count: prompt[:, :count].repeat(batch, 1))
    one = bench.forward(bench.tokens(1, 1), passes.held(bench, 1, 12)).logits
    three = bench.forward(bench.tokens(3, 1), passes.held(bench, 3, 12)).logits
    whole = bench.forward(stack.torch.cat([prompt, prompt[:, :1]], dim=1)).logits
    assert three.shape[0] == 3
    assert stack.torch.allclose(three, one.expand_as(three), atol=1e-5)
    assert stack.torch.allclose(one, whole, atol=1e-4)


def test_scoring_all_positions_is_said_in_the_note(here: Path) -> None:
    name = model_file(here, "llama")
    roofsim("measure", name, "-o", "my.csv", "--prompts", "8", "--repeats", "1", "--on", "cpu", "-q", "--logits", "all")
    notes = {(r["phase"], r["note"].split(";")[0]) for r in rows("my.csv") if r["metric"] == "latency_s"}
    assert notes == {("prefill", "logits=all"), ("decode", "per step, library cache")}


def event(name: str, start: float, end: float, device: Any, annotation: bool = False) -> Any:
    """What PyTorch's profiler tells of one thing, times in µs."""
    span = SimpleNamespace(elapsed_us=lambda: end - start)
    return SimpleNamespace(name=name, time_range=span, device_type=device, is_user_annotation=annotation)


def test_a_profile_sums_what_ran_on_the_gpu_and_nothing_else(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, host = stack.torch.autograd.DeviceType.CUDA, stack.torch.autograd.DeviceType.CPU
    seen = [
        event("gemm", 0, 50, gpu), event("gemm", 60, 80, gpu), event("Memset (Device)", 80, 81, gpu),
        event("cudaLaunchKernel", 0, 9, host), event("ProfilerStep#0", 0, 100, gpu, annotation=True),
    ]  # fmt: skip

    class Profiler:
        def __init__(self, activities: Any) -> None:
            assert [each.name for each in activities] == ["CUDA"]

        def __enter__(self) -> Any:
            return SimpleNamespace(events=lambda: seen)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("torch.profiler.profile", Profiler)
    monkeypatch.setattr(stack.torch.cuda, "synchronize", lambda: None)
    found = meters.profiled(Stack(stack.torch, "cuda"), lambda: None)
    assert found is not None
    assert found.device_time == pytest.approx(71e-6)
    assert found.kernels == 3
    assert [(name, number) for name, _, number in found.longest] == [("gemm", 2), ("Memset (Device)", 1)]
    assert meters.profiled(stack, lambda: None) is None


def test_memory_on_a_gpu_is_the_allocators_peak_since_the_pass_began(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name, result in (
        ("empty_cache", None), ("reset_peak_memory_stats", None), ("max_memory_allocated", 7),
        ("max_memory_reserved", 9),
    ):  # fmt: skip
        monkeypatch.setattr(stack.torch.cuda, name, lambda name=name, result=result: done.append(name) or result)
    result, memory = meters.with_memory(Stack(stack.torch, "cuda"), 3, lambda: done.append("pass"))
    assert (memory.peak, memory.reserved) == (7, 9)
    assert done == ["empty_cache", "reset_peak_memory_stats", "pass", "max_memory_allocated", "max_memory_reserved"]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a process")
def test_memory_on_a_processor_is_the_weights_and_what_the_pass_adds(stack: Stack) -> None:
    size = 1 << 27

    def work() -> None:
        stack.torch.ones(size, dtype=stack.torch.uint8)

    _, memory = meters.with_memory(stack, 1000, work)
    assert memory.peak == pytest.approx(1000 + size, rel=0.05)  # the interpreter grows too
    assert memory.reserved is None


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators at small sizes only."""
    monkeypatch.setattr(micro, "LENGTHS", (16, 64))
    monkeypatch.setattr(micro, "TOKENS", (1, 16))
    monkeypatch.setattr(micro, "MATRICES", ((32, 64),))
    monkeypatch.setattr(micro, "HEADS", ((4, 2, 16),))
    monkeypatch.setattr(micro, "WATCHED", 0.001)
    monkeypatch.setattr(micro, "_has_room", lambda stack, size: size <= 1 << 24)


def test_operators_are_timed_with_the_names_and_sizes_of_the_published_data(here: Path, few: None) -> None:
    roofsim("measure", "--micro", "-o", "my.csv", "--on", "cpu", "-q")
    found = {(r["op"], r["note"].partition(";timed=")[0]) for r in rows("my.csv")}
    assert found >= {
        ("copy", "bytes_read_plus_written=2097152"), ("linear", "M=16;N=32;K=64"),
        ("sdpa_causal", "H=4;D=16;L=64;kv_expanded"), ("sdpa_causal_gqa", "H=4;KV=2;D=16;L=64"),
        ("sdpa_decode", "H=4;D=16;L=16;kv_expanded"), ("sdpa_decode_gqa", "H=4;KV=2;D=16;L=16"),
        ("add", "L=1024;d=1536"), ("silu_mul", "L=1;d=4096"), ("rmsnorm_eager", "L=1;d=1536"),
        ("rmsnorm_fused", "L=1;d=1536"), ("launch_eager", "per small kernel, 1000 back to back"),
    }  # fmt: skip
    assert all(float(r["value"]) > 0 and r["metric"] == "latency_s" for r in rows("my.csv"))
    before = Path("my.csv").read_bytes()
    roofsim("measure", "--micro", "-o", "my.csv", "--on", "cpu", "-q")
    assert Path("my.csv").read_bytes() == before


def test_an_operator_that_takes_long_is_not_tried_at_larger_sizes(
    stack: Stack, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: Callable[[Stack, Any], tuple[float, str]] = lambda stack, call: (1.0, "clock")  # noqa: E731
    monkeypatch.setattr(micro, "timed", times)
    rows = [row for _, row in micro.measured(stack, "fp32", {}, lambda: True) if row["op"] == "linear"]
    assert [row["note"] for row in rows] == ["M=1;N=32;K=64;timed=clock"]
