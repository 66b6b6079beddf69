"""A GGUF file wherever a model is named."""

from __future__ import annotations

import pytest
import yaml

pytest.importorskip("gguf", reason="the package gguf is not installed")

SIZES = {"block_count": 1, "embedding_length": 256, "feed_forward_length": 512, "attention.head_count": 4}
NAMES = {"attn_q": (256, 256), "attn_k": (256, 256), "attn_v": (256, 256), "attn_output": (256, 256),
         "ffn_gate": (256, 512), "ffn_up": (256, 512), "ffn_down": (512, 256)}  # fmt: skip


@pytest.fixture
def file(here, write_gguf):
    tensors = {f"blk.0.{name}.weight": (shape, "Q4_K") for name, shape in NAMES.items()}
    tensors |= {f"blk.0.{name}_norm.weight": ((256,), "F32") for name in ("attn", "ffn")}
    tensors |= {"token_embd.weight": ((256, 64), "Q6_K"), "output_norm.weight": ((256,), "F32")}
    return write_gguf(here / "tiny.gguf", "llama", {**SIZES, "general.name": "Tiny"}, tensors)


def test_a_prediction_holds_the_bytes_of_the_file(file, data):
    result = data("predict tiny.gguf -d rtx-4090 -r ideal --prompt 16")
    assert result["memory"]["weights"] == pytest.approx(file, rel=1e-12)
    assert result["workload"]["weight_format"] == "stored"
    assert data("predict tiny.gguf -d rtx-4090 -r ideal --weights q8_0")["memory"]["weights"] > file


def test_an_imported_file_predicts_what_the_file_does(file, roofsim, data, here):
    roofsim("import tiny.gguf -o tiny.yaml --source https://example.org --published 672.5k")
    written = yaml.safe_load((here / "tiny.yaml").read_text())
    assert written["name"] == "Tiny"
    assert written["stored"]["bits"]["q_proj"] == 4.5
    assert written["sources"]["file"].endswith("(architecture llama); https://example.org")
    one, other = (data(f"predict tiny.{end} -d rtx-4090 -r ideal --prompt 16") for end in ("gguf", "yaml"))
    assert one == other


def test_show_says_what_the_file_is(file, data):
    assert data("show tiny.gguf")["parameters"]["total"] == 672_512


@pytest.mark.parametrize("command", ["predict tiny.gguf -d rtx-4090", "show tiny.gguf", "import tiny.gguf -o x.yaml"])
def test_half_a_file_is_refused(file, refused, here, command):
    whole = (here / "tiny.gguf").read_bytes()
    (here / "tiny.gguf").write_bytes(whole[: len(whole) // 2])
    assert "tiny.gguf: " in refused(command)
    assert "is it whole?" in refused(command)


def test_blocks_are_refused_by_a_stack_that_reads_none_and_plain_weights_are_not(file, refused, data, here, write_gguf):
    for line in ("predict tiny.gguf", "limits tiny.gguf", "predict tiny.gguf -r vllm", "predict tiny.gguf -r eager"):
        assert "has no kernels for weights in ggml" in refused(f"{line} -d rtx-4090")
    assert "GGUF files are unpacked when they are loaded" in refused("predict tiny.gguf -d rtx-4090")
    assert data("predict tiny.gguf -d rtx-4090 --weights bf16")["memory"]["weights"] > file
    assert data("predict tiny.gguf -d rtx-4090 -r llama.cpp")["memory"]["weights"] == pytest.approx(file, rel=1e-12)
    tensors = {f"blk.0.{name}.weight": (shape, "F16") for name, shape in NAMES.items()}
    tensors |= {f"blk.0.{name}_norm.weight": ((256,), "F32") for name in ("attn", "ffn")}
    tensors |= {"token_embd.weight": ((256, 64), "F16"), "output_norm.weight": ((256,), "F32")}
    size = write_gguf(here / "plain.gguf", "llama", SIZES, tensors)
    assert data("predict plain.gguf -d rtx-4090")["memory"]["weights"] == pytest.approx(size, rel=1e-12)


def test_a_model_file_names_a_family_of_encodings_that_there_is(file, roofsim, refused, here):
    roofsim("import tiny.gguf -o tiny.yaml -q")
    written = yaml.safe_load((here / "tiny.yaml").read_text())
    assert written["stored"]["family"] == "ggml"
    (here / "tiny.yaml").write_text(yaml.safe_dump({**written, "stored": {**written["stored"], "family": "gguf"}}))
    assert "family: no family of encodings 'gguf'; nearest: ggml" in refused("show ./tiny.yaml")
