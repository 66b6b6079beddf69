"""Formats of stored weights against the sizes that their makers state."""

from __future__ import annotations

from typing import Any

import pytest

from roofsim import library
from roofsim.foundation.errors import UnknownName
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass
from roofsim.model.weights import (
    ENCODINGS,
    WEIGHT_FORMATS,
    Inventory,
    Matrix,
    Place,
    alike_places,
    bytes_per_weight,
    format_named,
    stored,
)
from roofsim.specs.override import written
from roofsim.specs.workload import workload

LLAMA_31_8B = {
    "q2_k": 3.1593,
    "q3_k_s": 3.6429,
    "q3_k_l": 4.2979,
    "iq4_nl": 4.6818,
    "q4_k_s": 4.6672,
    "q5_k_s": 5.5704,
    "iq4_xs": 4.4597,
    "q4_k_m": 4.8944,
    "q5_k_m": 5.7036,
    "q6_k": 6.5633,
    "q8_0": 8.5008,
}
"""Bits per weight of Llama-3.1-8B: llama.cpp, tools/quantize/README.md."""


def held(name: str, fmt: str, dtype: str = "bf16") -> float:
    model = library.architecture(name)
    return model.weight_bytes(workload(weight_format=fmt, dtype=dtype).precision("fp32", model))


@pytest.mark.parametrize(("fmt", "bits"), LLAMA_31_8B.items())
def test_mixes_of_llama_cpp_take_the_bits_per_weight_that_it_states(fmt: str, bits: float) -> None:
    # four decimals are stated
    assert 8 * held("Llama-3.1-8B", fmt) / 8_030_261_312 == pytest.approx(bits, abs=1e-4)


@pytest.mark.parametrize(
    ("model", "fmt", "file"),
    [
        # sizes of files, which hold a vocabulary of 6 to 8 MB beside the weights
        ("Llama-3.1-8B", "q4_k_m", 4_920_734_272),
        ("Llama-3.1-8B", "q8_0", 8_540_771_072),
        ("Qwen2.5-0.5B", "q4_k_m", 397_808_192),  # rows of 896 that blocks of 256 do not divide
    ],
)
def test_a_file_is_as_large_as_its_weights_and_a_vocabulary(model: str, fmt: str, file: int) -> None:
    assert 5e6 < file - held(model, fmt) < 9e6


@pytest.mark.parametrize(("model", "gib"), [("gpt-oss-20b", 11.27), ("gpt-oss-120b", 59.02)])
def test_experts_in_fours_leave_everything_else_in_eights(model: str, gib: float) -> None:
    # what llama-bench prints of the files; it counts biases and sinks in fp32
    assert held(model, "mxfp4_moe") / 2**30 == pytest.approx(gib, rel=4e-3)
    parts = stored("mxfp4_moe", "bf16", library.architecture(model).inventory)
    assert (parts["experts_up"], parts["experts_down"], parts["lm_head"]) == (17 / 32, 17 / 32, 34 / 32)


def test_the_blocks_of_llama_cpp_have_the_sizes_that_its_package_states() -> None:
    constants = pytest.importorskip("gguf.constants", reason="the package gguf is not installed")
    for name, (weights, size) in constants.GGML_QUANT_SIZES.items():
        if ours := ENCODINGS.get(name.name.lower()):
            assert 8 * size / weights == 8 * bytes_per_weight(name.name.lower()), name.name
            assert ours.group in (0, weights) or name.name == "NVFP4", name.name


def test_published_checkpoints_keep_what_is_no_layer_in_the_dtype() -> None:
    model = library.architecture("Llama-3.1-8B")
    precision = workload(weight_format="awq-int4", dtype="fp16").precision("fp32", model)
    assert (precision.of("embedding"), precision.of("lm_head"), precision.vectors) == (2, 2, 2)
    assert precision.of("q_proj") == (4 + 20 / 128) / 8
    # hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4: 5.73 GB in two files
    assert held("Llama-3.1-8B", "awq-int4", "fp16") == pytest.approx(5.73e9, rel=0.01)


@pytest.mark.parametrize(("name", "size"), [("Llama-3.2-1B", 6.5625 / 8), ("Llama-3.1-8B", 4.5 / 8)])
def test_a_tied_table_is_stored_as_the_head_is(name: str, size: float) -> None:
    model = library.architecture(name)
    p = Pass(1, 1, 0, workload(weight_format="q4_k_m").precision("fp32", model))
    (looked_up,) = model.rows(p)[0].operators
    assert looked_up.cost.weights == model.d_model * size


def test_both_forms_of_latent_attention_read_the_same_bytes() -> None:
    model = library.architecture("DeepSeek-V2-Lite")
    precision = workload(weight_format="q4_k_m").precision("fp32", model)
    forms = (Pass(1, 1, 0, precision, latents="expanded"), Pass(1, 1, 0, precision, latents="absorbed"))
    read = [sum(o.cost.weights for row in model.rows(p) for o in row.operators) for p in forms]
    assert read[0] == pytest.approx(read[1], rel=1e-12)
    assert precision.of("kv_b_proj") != precision.weights


def test_a_row_that_blocks_do_not_divide_is_stored_in_another_way() -> None:
    assert bytes_per_weight("q4_k", 256) == bytes_per_weight("q4_k") == 4.5 / 8
    assert bytes_per_weight("q4_k", 896) == bytes_per_weight("q5_0")
    assert bytes_per_weight("q6_k", 896) == bytes_per_weight("q8_0")
    assert bytes_per_weight("q4_k", 48) == 2


def test_a_scale_per_row_weighs_more_the_shorter_the_row() -> None:
    assert bytes_per_weight("int8-channel", 16) == 9 / 8
    assert 1 < bytes_per_weight("int8-channel", 4096) < bytes_per_weight("int8-channel", 1024) < 1.01


@pytest.mark.parametrize(("layers", "more"), [(32, 16), (24, 12), (22, 10), (16, 8), (1, 1)])
def test_half_of_the_layers_have_more_bits_as_the_quantiser_counts_them(layers: int, more: int) -> None:
    found = stored("q4_k_m", "bf16", Inventory((Matrix("down_proj", layers, 1024, 256),)))
    assert found["down_proj"] * 8 == pytest.approx(4.5 + more / layers * (6.5625 - 4.5))


def test_models_of_eight_experts_keep_keys_and_values_in_eight_bits() -> None:
    matrices = tuple(Matrix(name, 4, 1024, 256) for name in ("q_proj", "k_proj", "v_proj", "o_proj"))
    bits = {e: stored("q4_k_m", "bf16", Inventory(matrices, 4, e)) for e in (8, 64)}
    assert [8 * bits[8][m.operator] for m in matrices] == [4.5, 8.5, 8.5, 5.5]
    assert [8 * bits[64][m.operator] for m in matrices][::3] == [4.5, 4.5]


@pytest.mark.parametrize(("queries", "bits"), [(1, 3.4375), (2, 3.4375), (4, 4.5), (8, 4.5)])
def test_values_that_many_queries_share_take_more_bits(queries: int, bits: float) -> None:
    found = stored("q2_k", "bf16", Inventory((Matrix("v_proj", 4, 1024, 256),), queries))
    assert 8 * found["v_proj"] == bits


@pytest.mark.parametrize(("fmt", "size"), [("int4-g128", 2), ("nvfp4", 2), ("q4_k_m", 4), ("q8_0", 4)])
def test_routers_are_kept_as_they_are(fmt: str, size: int) -> None:
    found = stored(fmt, "bf16", Inventory((Matrix("router", 4, 1024, 256), Matrix("experts_up", 4, 1024, 256)), 4, 64))
    assert found["router"] == found["vectors"] == size
    assert found["experts_up"] < size


def test_every_encoding_and_every_format_names_its_source() -> None:
    assert all(encoding.source for encoding in ENCODINGS.values())
    assert all(form.source for form in WEIGHT_FORMATS.values())
    assert {form.matrices for form in WEIGHT_FORMATS.values()} <= set(ENCODINGS)


def test_what_a_file_says_of_its_weights_is_used_unless_a_format_is_asked_for() -> None:
    model = library.architecture("Llama-3.2-1B")
    bits = {"weights": 4.5, "vectors": 32, "v_proj": 6.5, "lm_head": 8}
    values = {**written(model), "stored": {"bits": bits, "source": next(iter(model.sources))}}
    kept = Architecture(**values)
    precision = workload().precision("fp32", kept)
    assert (precision.weights, precision.of("v_proj"), precision.vectors) == (4.5 / 8, 6.5 / 8, 4)
    assert kept.weight_bytes(precision) < model.total_parameters
    assert workload(weight_format="bf16").precision("fp32", kept) == workload().precision("fp32", model)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("int4 awq", "int4-g128"), ("gptq-int4", "gptq-int4"), ("AWQ", "int4-g128"), ("w4a16", "int4-g128"),
        ("fp8_block", "fp8-block128"), ("FP8-dynamic", "fp8"), ("F8_E4M3", "fp8"), ("torch.float8_e4m3fn", "fp8"),
        ("w8a8", "int8-channel"), ("int8_wo", "int8-weights"), ("W8A16", "int8-weights"), ("int4_wo", "int4-g128"),
        ("bnb-nf4", "nf4"), ("NVFP4", "nvfp4"), ("mxfp4", "mxfp4"), ("int4", "int4"), ("int8", "int8"),
        ("MXFP4 MoE", "mxfp4_moe"),
        ("Q4_K - Medium", "q4_k_m"), ("Q3_K - Small", "q3_k_s"), ("IQ4_NL - 4.5 bpw", "iq4_nl"), ("Q6_K", "q6_k"),
        ("bf16 (not stated)", "bf16"), ("f16", "fp16"), ("torch.bfloat16", "bf16"), ("mostly Q8_0", "q8_0"),
    ],
)  # fmt: skip
def test_formats_are_understood_as_files_write_them(words: str, name: str) -> None:
    assert format_named(words) == name
    assert workload(weight_format=words).weight_format == name


@pytest.mark.parametrize("words", ["banana", "", "int3", "q4", "IQ2_XXS - 2.0625 bpw", "awq banana"])
def test_what_is_no_format_is_none(words: str) -> None:
    with pytest.raises(UnknownName, match="weight formats"):
        format_named(words)


@pytest.mark.parametrize("name", WEIGHT_FORMATS)
def test_a_format_is_understood_by_its_own_name(name: str) -> None:
    assert format_named(name) == format_named(name.upper()) == format_named(name.replace("-", "_")) == name


RULES = list(
    # in an order that is the same in every process
    dict.fromkeys(rule for form in WEIGHT_FORMATS.values() for rules in form.mixed.values() for _, rule in rules)
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_places_that_are_said_to_be_alike_are_so_to_every_rule(rule: Any) -> None:
    network = Inventory((), 4, 8)
    for of in range(1, 130):
        held = [rule(Place(i, of, network)) for i in range(of)]
        assert sum(times for i, times in alike_places(of) if held[i]) == sum(held)
        assert sum(times for _, times in alike_places(of)) == of
