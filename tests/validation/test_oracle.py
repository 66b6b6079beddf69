"""Against counts taken from the transformers library's own model classes (shared/check/oracle.csv)."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from roofsim.passes import Pass, Precision
from roofsim.specs import library
from roofsim.specs.architecture import Architecture

# name of the checkpoint in the table: name of the model here
SHIPPED = {
    "AntonV/mamba2-1.3b-hf": "mamba2-1.3b",
    "AntonV/mamba2-130m-hf": "mamba2-130m",
    "AntonV/mamba2-780m-hf": "mamba2-780m",
    "EleutherAI/gpt-neo-125m": "GPT-Neo-125M",
    "Qwen/Qwen2.5-0.5B-Instruct": "Qwen2.5-0.5B",
    "Qwen/Qwen2.5-1.5B-Instruct": "Qwen2.5-1.5B",
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": "TinyLlama-1.1B",
    "Zyphra/Zamba2-1.2B": "Zamba2-1.2B",
    "meta-llama/Llama-3.2-1B-Instruct": "Llama-3.2-1B",
    "meta-llama/Meta-Llama-3.1-8B": "Llama-3.1-8B",
    "microsoft/Phi-3-mini-128k-instruct": "Phi-3-mini",
    "state-spaces/mamba-1.4b-hf": "mamba-1.4b",
    "state-spaces/mamba-130m-hf": "mamba-130m",
    "state-spaces/mamba-790m-hf": "mamba-790m",
    "tiiuae/Falcon-H1-0.5B-Instruct": "Falcon-H1-0.5B",
    "tiiuae/Falcon-H1-1.5B-Instruct": "Falcon-H1-1.5B",
}
LINEAR = (
    "attention_proj",
    "ssm_proj",
    "mlp",
    "moe_experts",
    "moe_shared",
    "moe_router",
    "shared_block_linear",
    "lm_head",
)
LENGTHS = (128, 1024, 4096)
CACHED = Precision(weights=2, activations=2, cache=2, state=4)
every_model = pytest.mark.parametrize("name", SHIPPED)


@pytest.fixture(scope="session")
def table(shared: Path) -> Mapping[str, Mapping[str, float]]:
    path = shared / "check" / "oracle.csv"
    if not path.is_file():
        pytest.skip(f"no reference data: {path} is not there")
    counts: dict[str, dict[str, float]] = defaultdict(dict)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["model"] in SHIPPED and row["unit"] != "json":
                counts[row["model"]][row["quantity"]] = float(row["value"])
    return counts


@pytest.fixture
def expected(table: Mapping[str, Mapping[str, float]], name: str) -> Mapping[str, float]:
    return table[name]


@pytest.fixture
def model(name: str) -> Architecture:
    return library.architecture(SHIPPED[name])


def matrix_work(model: Architecture, p: Pass, kind: str) -> float:
    return sum(row.count * each.cost.matrix for row in model.rows(p) for each in row.operators if each.kind == kind)


@every_model
def test_parameters_are_exact(model: Architecture, expected: Mapping[str, float]) -> None:
    assert model.total_parameters == expected["total_params"]
    assert model.parameters["embedding"] == expected["embedding_params"]
    assert model.parameters["lm_head"] == expected["params_lm_head"]
    assert model.parameters.get("ssm", 0) == expected["params_ssm"]


@every_model
def test_state_is_exact(model: Architecture, expected: Mapping[str, float]) -> None:
    constant = model.state_bytes(0, CACHED)
    assert constant == expected["state_bytes"] + expected["kv_bytes_constant"]
    assert (model.state_bytes(64, CACHED) - model.state_bytes(32, CACHED)) / 32 == expected["kv_bytes_per_token"]


@every_model
def test_the_state_held_after_a_prompt_is_exact(model: Architecture, expected: Mapping[str, float]) -> None:
    lengths = [length for length in (32, 64, *LENGTHS, 8192) if f"kv_bytes_L{length}" in expected]
    held = {length: expected[f"kv_bytes_L{length}"] + expected[f"state_bytes_L{length}"] for length in lengths}
    assert {length: model.state_bytes(length, CACHED) for length in lengths} == held


@every_model
@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_the_work_of_linear_layers_and_attention_is_the_same(
    model: Architecture, expected: Mapping[str, float], phase: str
) -> None:
    for length in LENGTHS:
        key = f"prefill_flops_L{length}" if phase == "prefill" else f"decode_flops_ctx{length}"
        if key not in expected:
            continue  # longer than the positions of the model
        p = Pass(1, length, 0, CACHED) if phase == "prefill" else Pass(1, 1, length, CACHED, phase="decode")
        linear = sum(expected.get(f"{key}_{kind}", 0) for kind in LINEAR)
        assert matrix_work(model, p, "gemm") == pytest.approx(linear, rel=1e-9)
        if model.family == "gpt_neo":
            continue  # the library scores the whole square in windowed layers too
        square = expected.get(f"{key}_attention_core", 0)
        causal = (length + 1) / (2 * length) if phase == "prefill" else 1
        assert matrix_work(model, p, "attention") == pytest.approx(causal * square, rel=1e-9)
