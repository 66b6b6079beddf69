"""The program that drives vLLM, with transformers and an engine that stands in for vLLM's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from roofsim.measure import vllm_engine

for needed in ("torch", "transformers"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

ENGINE = Path(__file__).resolve().parents[1] / "data" / "vllm" / "engine"
FIELDS = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 96, "vocab_size": 96, "tie_word_embeddings": True,
    "max_position_embeddings": 512,
}  # fmt: skip
PARAMETERS = 96 * 64 + 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 96 + 2 * 64) + 64


def answers(tmp_path: Path, points: list[tuple[int, int]], parameters: int = PARAMETERS) -> list[dict[str, Any]]:
    engine = {
        "dtype": "bfloat16", "max_model_len": 256, "max_num_batched_tokens": 64, "max_num_seqs": 256,
        "gpu_memory_utilization": 0.9,
    }  # fmt: skip
    asked = {
        "fields": FIELDS, "parameters": parameters, "engine": engine, "points": points, "steps": 8, "repeats": 2,
        "budget": 64, "seconds": 1e9, "folder": str(tmp_path),
    }  # fmt: skip
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    done = subprocess.run(
        [sys.executable, vllm_engine.__file__, str(tmp_path / "asked.json")], capture_output=True, text=True,
        check=True, env={"PYTHONPATH": str(ENGINE), "PATH": "/usr/bin:/bin"}, cwd=tmp_path,
    )  # fmt: skip
    return [json.loads(line)["roofsim"] for line in done.stdout.splitlines()]


def test_a_decode_step_is_one_of_all_sequences_however_long_their_prompts_take(tmp_path: Path) -> None:
    up, *told = answers(tmp_path, [(1, 32), (4, 32), (8, 120), (2, 48), (9, 120)])
    assert up == {"is": "engine", "version": "0.23.0", "blocks": 80, "block_size": 16}
    by = {(each["batch"], each["tokens"]): each for each in told if each["is"] != "at"}
    # a step takes 1 s and 1 ms a token
    assert by[1, 32]["prefill"] == pytest.approx([1.032] * 2)
    assert by[1, 32]["decode"] == pytest.approx([1.001] * 2)
    assert by[4, 32]["prefill"] == pytest.approx([2 + 0.128] * 2)
    assert by[4, 32]["decode"] == pytest.approx([1.004] * 2)
    assert by[8, 120]["prefill"] == pytest.approx([15 + 0.96] * 2)
    assert by[8, 120]["decode"] == pytest.approx([1.008] * 2)
    assert (by[2, 48]["is"], by[9, 120]["is"]) == ("oom", "oom")
    assert "1,280 tokens" in by[9, 120]["said"]


def test_another_model_than_we_describe_is_refused(tmp_path: Path) -> None:
    (said,) = answers(tmp_path, [(1, 32)], PARAMETERS + 1)
    assert said["is"] == "refused"
    assert f"{PARAMETERS:,}" in said["said"]
