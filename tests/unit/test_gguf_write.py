"""GGUF files that are written: what is read back is what was written, and what llama.cpp's converters write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roofsim import library
from roofsim.adapters.gguf.contents import ARCHITECTURES
from roofsim.adapters.gguf.header import read_header
from roofsim.adapters.gguf.write import FORMATS, checked, write_gguf
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import items
from roofsim.model.architecture import Architecture
from roofsim.specs.files import build
from roofsim.specs.workload import workload

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")

ATTENTION = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 16}
MAMBA2 = {"kind": "mamba2", "heads": 8, "head_dim": 16, "d_state": 16, "groups": 2}
MOE = {"kind": "moe", "experts": 8, "top_k": 2, "width": 32}
MLP = {"kind": "gated_mlp", "width": 96}
TINY: dict[str, dict[str, Any]] = {
    "llama": {"attention": [ATTENTION, MLP]},
    "qwen2": {"attention": [{**ATTENTION, "qkv_bias": True}, MLP]},
    "qwen3": {"attention": [{**ATTENTION, "head_dim": 32, "qk_norm": "head"}, MLP]},
    "olmoe": {"attention": [{**ATTENTION, "kv_heads": 4, "qk_norm": "width"}, MOE]},
    "mixtral": {"attention": [ATTENTION, MOE]},
    "qwen3_moe": {"moe": [{**ATTENTION, "head_dim": 32, "qk_norm": "head"}, MOE]},
    "mamba": {"mamba": [{"kind": "mamba1", "d_inner": 128, "d_state": 16, "dt_rank": 4}]},
    "mamba2": {"mamba": [MAMBA2]},
    "falcon_h1": {"hybrid": [{"kind": "parallel", "attention": ATTENTION, "ssm": MAMBA2}, MLP]},
    "lfm2": {
        "conv": [{"kind": "short_conv", "channels": 64}, MLP],
        "attention": [{**ATTENTION, "qk_norm": "head"}, MLP],
    },
    "granitemoehybrid": {
        "mamba": [{**MAMBA2, "groups": 1}, {**MOE, "shared_width": 48}],
        "attention": [{**ATTENTION, "rotary": False}, {**MOE, "shared_width": 48}],
    },
}


def tiny(family: str, **other: Any) -> Architecture:
    layers = TINY[family]
    values = {
        "name": family, "id": family, "family": family, "d_model": 64, "vocab": 320, "tied_embeddings": False,
        "layers": layers, "layout": [{"repeat": 2, "of": [*layers]}], "sources": {"test": "sizes of our own"}, **other,
    }  # fmt: skip
    return build(Architecture, values, family)


UNSAID = {"id", "family", "sources", "stored", "logits_scaled", "context_window"}
"""What a file does not say, or not as it is: the context it names is longer than any prompt."""


@pytest.mark.parametrize("weights", FORMATS)
@pytest.mark.parametrize("family", TINY)
def test_a_file_that_was_written_is_read_back_as_the_same_network(family: str, weights: str, tmp_path: Path) -> None:
    a = tiny(family)
    path = tmp_path / "model.gguf"
    size = write_gguf(a, path, weights)
    back = library.architecture(str(path))
    same = {name for name, _ in items(a)} - UNSAID
    assert {name: getattr(back, name) for name in same} == {name: getattr(a, name) for name in same}
    assert back.weight_bytes(workload().precision("fp32", back)) == pytest.approx(size, rel=1e-12)
    assert [p.name for p in tmp_path.iterdir()] == ["model.gguf"]


@pytest.mark.parametrize("weights", FORMATS)
def test_the_reader_of_llama_cpp_finds_small_numbers_at_every_tensor(weights: str, tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "model.gguf"
    write_gguf(tiny("falcon_h1"), path, weights)
    found = {t.name: gguf.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
    assert all(np.isfinite(numbers).all() and np.abs(numbers).max() < 2 for numbers in found.values())
    assert (found["blk.1.ssm_a"] < 0).all()
    assert (found["blk.0.attn_norm.weight"] == 1).all()
    assert 0.01 < found["blk.1.ffn_up.weight"].std() < 0.03
    assert (found["blk.0.ffn_up.weight"] != found["blk.1.ffn_up.weight"]).any()


def test_a_file_says_that_it_has_no_vocabulary_and_how_many_tokens(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(tiny("mamba"), path)
    fields = read_header(path).fields
    assert fields["tokenizer.ggml.model"] == "none"
    assert fields["mamba.vocab_size"] == 320
    assert not any(key.startswith("tokenizer.ggml.tokens") for key in fields)


@pytest.mark.parametrize("name", library.names("models"))
def test_a_shipped_model_of_these_families_is_written_as_it_is(name: str) -> None:
    a = library.architecture(name)
    if a.family in ARCHITECTURES:
        assert sum(entry.weights for entry in checked(a).tensors.values()) == a.total_parameters
        return
    with pytest.raises(Unsupported, match=f"not of '{a.family}'"):
        checked(a)


def test_what_a_file_cannot_say_is_refused() -> None:
    with pytest.raises(Unsupported, match="would hold"):
        checked(tiny("llama", layers={"attention": [{**ATTENTION, "out_bias": True}, MLP]}))
    with pytest.raises(Unsupported, match="layer 0"):
        checked(tiny("llama", layers={"attention": [{**ATTENTION, "window": 32}, MLP]}))
    with pytest.raises(Unsupported, match="logits_soft_cap"):
        checked(replace(tiny("qwen3"), logits_soft_cap=True))

    with pytest.raises(Unsupported, match="layer 0"):
        checked(tiny("llama", layers={"attention": [{**ATTENTION, "chunk": 32}, MLP]}))


@pytest.mark.parametrize(
    ("family", "layers", "said"),
    [
        ("mamba", {"mamba": [{"kind": "mamba1", "d_inner": 96, "d_state": 16, "dt_rank": 4}]}, "twice the width"),
        ("lfm2", {"conv": TINY["lfm2"]["conv"], "attention": [{**ATTENTION, "heads": 8, "qk_norm": "head"}, MLP]},
         "as wide as the model"),
        ("olmoe", {"attention": [{**ATTENTION, "qk_norm": "width"}, MOE]}, "as many heads"),
    ],
)  # fmt: skip
def test_what_llama_cpp_would_not_load_is_refused(family: str, layers: Any, said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        checked(tiny(family, layers=layers))


def test_a_format_that_is_a_mixture_of_llama_cpp_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="llama-quantize"):
        write_gguf(tiny("llama"), tmp_path / "model.gguf", "q4_k_m")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        write_gguf(tiny("llama"), tmp_path / "absent" / "model.gguf")
