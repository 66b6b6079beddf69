"""Which encodings a KV cache may have, and what they take."""

from __future__ import annotations

import pytest

from roofsim import library, predict
from roofsim.foundation.errors import InputError, UnknownName, Unsupported
from roofsim.foundation.schema import variant
from roofsim.model.weights import CACHE_BYTES, cache_named
from roofsim.specs.caches import check_cache
from roofsim.specs.files import build
from roofsim.specs.runtime import Runtime

QWEN = library.architecture("Qwen2.5-0.5B")
LLAMA_CPP = library.runtime("llama.cpp")


@pytest.mark.parametrize(
    ("name", "bits", "shared"),
    [("q8_0", 8, 16), ("q5_1", 5, 32), ("q5_0", 5, 16), ("q4_1", 4, 32), ("q4_0", 4, 16), ("iq4_nl", 4, 16)],
)
def test_a_block_of_32_has_its_bits_and_a_scale_and_some_a_minimum(name, bits, shared):
    assert CACHE_BYTES[name] == pytest.approx((32 * bits + shared) / 32 / 8)


@pytest.mark.parametrize("name", ["q8_0", "q5_1", "q4_0"])
@pytest.mark.parametrize("runtime", ["llama.cpp", "llama.cpp-cpu", "llama.cpp-vulkan"])
def test_a_cache_in_blocks_takes_the_bytes_of_its_blocks(runtime, name):
    device = "epyc-naples-2-cores" if runtime == "llama.cpp-cpu" else "rtx-4090"
    held = {each: predict("Qwen2.5-0.5B", device, runtime, prompt=8192, cache_dtype=each) for each in ("fp16", name)}
    elements = 24 * 2 * 2 * 64 * 8192  # layers, keys and values, heads, their width
    assert float(held["fp16"].memory.state) == pytest.approx(elements * 2)
    assert float(held[name].memory.state) == pytest.approx(elements * CACHE_BYTES[name])
    assert held[name].to_dict()["workload"]["cache_dtype"] == name


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("f16", "fp16"),
        ("bfloat16", "bf16"),
        ("FP8_E5M2", "fp8"),
        ("fp8_e4m3", "fp8"),
        ("Q8_0", "q8_0"),
        ("F32", "fp32"),
    ],
)
def test_a_cache_is_called_as_the_programs_call_it(words, name):
    assert cache_named(words) == name


@pytest.mark.parametrize("words", ["q4_k", "int4-g128", "i8", "banana", ""])
def test_what_no_cache_is_kept_in_is_no_name_of_one(words):
    with pytest.raises(UnknownName, match="cache"):
        cache_named(words)


def test_a_cache_in_the_dtype_of_activations_is_kept_everywhere():
    for runtime in map(library.runtime, library.names("runtimes")):
        check_cache("bf16", "bf16", runtime, QWEN)


def test_a_runtime_that_says_nothing_keeps_any():
    for name in CACHE_BYTES:
        check_cache(name, "bf16", library.runtime("ideal"), QWEN)


def test_values_in_blocks_need_a_flash_kernel():
    attention = variant(LLAMA_CPP.attention, kernel="written_out")
    without = variant(LLAMA_CPP, attention=attention)
    check_cache("fp16", "bf16", without, QWEN)
    with pytest.raises(Unsupported, match="flash"):
        check_cache("q8_0", "bf16", without, QWEN)


def test_blocks_divide_the_heads():
    (layer,) = QWEN.layers.values()
    odd = variant(QWEN, layers={"decoder": (variant(layer[0], head_dim=80), *layer[1:])})
    assert odd.cached_heads == {80}
    check_cache("fp16", "bf16", LLAMA_CPP, odd)
    with pytest.raises(Unsupported, match="80"):
        check_cache("q8_0", "bf16", LLAMA_CPP, odd)


def test_latents_are_kept_as_heads_of_their_own():
    assert library.architecture("DeepSeek-V3").cached_heads == {512, 64}


def test_a_runtime_file_names_caches_that_there_are():
    values = {"name": "x", "version": "1", "lowering": "fused", "caches": ["q4_k"], "sources": {"here": "made up"}}
    with pytest.raises(InputError, match=r"caches: no encoding of a cache 'q4_k'; .*one of .*q8_0"):
        build(Runtime, values, "x.yaml")


@pytest.mark.parametrize("field", ["products", "lacks"])
def test_a_runtime_file_names_encodings_that_there_are(field):
    values = {"name": "x", "version": "1", "lowering": "fused", "sources": {"here": "made up"}}
    for name in ("ggml", "nvfp4", "q4_k"):
        build(
            Runtime, {**values, field: {name: ["weights_only"] if field == "products" else "it reads none"}}, "x.yaml"
        )
    with pytest.raises(InputError, match=rf"{field}: no encoding 'gguf' and no family of them; one of .*ggml"):
        build(Runtime, {**values, field: {"gguf": ["weights_only"] if field == "products" else "none"}}, "x.yaml")
