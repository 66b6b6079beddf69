"""Against counts taken from the transformers library's own model classes (shared/check/oracle.csv).

Every model of the table is read from its published config.json; those that ship must say the same as that file.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from roofsim import library
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass, Precision

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
Counts = Mapping[str, float]


@pytest.fixture(scope="session")
def table(shared: Path) -> Mapping[str, Counts]:
    path = shared / "check" / "oracle.csv"
    if not path.is_file():
        pytest.skip(f"no reference data: {path} is not there")
    counts: dict[str, dict[str, float]] = defaultdict(dict)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["unit"] != "json":
                counts[row["model"]][row["quantity"]] = float(row["value"])
    return counts


@cache
def published(path: Path) -> Architecture:
    return library.architecture(str(path))


@pytest.fixture(scope="session")
def models(shared: Path, table: Mapping[str, Counts]) -> Mapping[str, Architecture]:
    return {name: published(shared / "data" / "hf_configs" / f"{name.replace('/', '__')}.json") for name in table}


def matrix_work(model: Architecture, p: Pass, kind: str) -> float:
    return sum(row.count * each.cost.matrix for row in model.rows(p) for each in row.operators if each.kind == kind)


def passes(expected: Counts) -> Iterator[tuple[str, int, Pass]]:
    """The passes that a model was measured in: the key of its counts, the length, the pass as the library runs it."""
    for length in LENGTHS:
        yield f"prefill_flops_L{length}", length, Pass(1, length, 0, CACHED, latents="expanded")
        step = Pass(1, 1, length, CACHED, phase="decode", latents="expanded")
        yield f"decode_flops_ctx{length}", length, step


def test_parameters_are_exact(table, models):
    differences: dict[str, tuple[float, float]] = {}
    names = {"total_params": "total", "embedding_params": "embedding", "params_lm_head": "lm_head", "params_ssm": "ssm"}
    for name, model in models.items():
        expected = table[name]
        found = {"total": model.total_parameters, **model.parameters}
        counts = {quantity: (found.get(kind, 0), expected[quantity]) for quantity, kind in names.items()}
        counts["active"] = (model.active_parameters, expected.get("active_params", expected["total_params"]))
        differences |= {f"{name} {what}": pair for what, pair in counts.items() if pair[0] != pair[1]}
    assert differences == {}


def test_the_state_that_grows_and_the_state_that_does_not_are_exact(table, models):
    differences: dict[str, tuple[float, float]] = {}
    for name, model in models.items():
        expected = table[name]
        counts = {"constant": (model.state_bytes(0, CACHED), expected["state_bytes"] + expected["kv_bytes_constant"])}
        for quantity, (start, end) in {
            "kv_bytes_per_token": (32, 64),
            "kv_bytes_per_token_long": (4096, 8192),
            "kv_bytes_per_token_very_long": (8192, 16384),
        }.items():
            slope = (model.state_bytes(end, CACHED) - model.state_bytes(start, CACHED)) / (end - start)
            counts[quantity] = (slope, expected.get(quantity, slope))
        differences |= {f"{name} {what}": pair for what, pair in counts.items() if pair[0] != pair[1]}
    assert differences == {}


def test_the_state_held_after_a_prompt_and_after_a_step_is_exact(table, models):
    differences: dict[str, tuple[float, float]] = {}
    for name, model in models.items():
        expected = table[name]
        for length in (32, 64, *LENGTHS, 8192, 16384):
            for tokens, suffix in ((length, ""), (length + 1, "_plus_1_decode")):
                cached = expected.get(f"kv_bytes_L{length}{suffix}")
                if cached is None:
                    continue
                pair = (model.state_bytes(tokens, CACHED), cached + expected["state_bytes"])
                differences |= {f"{name} {tokens}": pair} if pair[0] != pair[1] else {}
    assert differences == {}


def test_the_work_of_linear_layers_is_the_same(table, models):
    differences: dict[str, tuple[float, float]] = {}
    for name, model in models.items():
        expected = table[name]
        # that class sends every token through all experts; docs/decisions/018-llama4-flops.md
        idle = model.total_parameters - model.active_parameters if model.family == "llama4" else 0
        for key, _, p in passes(expected):
            if key not in expected:
                continue  # longer than the positions of the model
            linear = sum(expected.get(f"{key}_{kind}", 0) for kind in LINEAR)
            pair = (matrix_work(model, p, "gemm") + 2 * p.tokens * idle, linear)
            differences |= {f"{name} {key}": pair} if pair[0] != pytest.approx(pair[1], rel=1e-9) else {}
    assert differences == {}


def seen(model: Architecture) -> int:
    """The fewest tokens that any layer sees."""
    limits = [getattr(part, limit, None) for part, _ in model.parts() for limit in ("window", "chunk")]
    return min((limit for limit in limits if limit), default=max(LENGTHS))


def test_the_work_of_attention_is_the_same_where_the_library_scores_what_a_query_sees(table, models):
    differences: dict[str, tuple[float, float]] = {}
    for name, model in models.items():
        expected = table[name]
        for key, length, p in passes(expected):
            prefill = p.phase == "prefill"
            whole_square = prefill or model.family == "gpt_neo"  # windows are a mask there; its decode has one as well
            if key not in expected or (whole_square and seen(model) < length):
                continue
            causal = (length + 1) / (2 * length) if prefill else 1
            pair = (matrix_work(model, p, "attention"), causal * expected.get(f"{key}_attention_core", 0))
            differences |= {f"{name} {key}": pair} if pair[0] != pytest.approx(pair[1], rel=1e-9) else {}
    assert differences == {}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_what_its_published_config_describes(models, name):
    shipped, config = library.architecture(SHIPPED[name]), models[name]
    assert shipped.parameters == config.parameters
    for length in LENGTHS:
        assert shipped.state_bytes(length, CACHED) == config.state_bytes(length, CACHED)
        for p in (Pass(1, length, 0, CACHED), Pass(1, 1, length, CACHED, phase="decode")):
            for kind in ("gemm", "attention", "scan", "conv"):
                assert matrix_work(shipped, p, kind) == matrix_work(config, p, kind)
