"""What a config.json says of its weights, against the sizes of published files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roofsim import library, predict
from roofsim.adapters.published.quantised import format_of, kept
from roofsim.adapters.published.read import read_config
from roofsim.foundation.errors import SpecError, UnknownName, Unsupported
from roofsim.foundation.schema import variant
from roofsim.lowering.step import lower
from roofsim.model.architecture import Architecture, Stored
from roofsim.prediction.setup import setup
from roofsim.prediction.steps import decode
from roofsim.specs.workload import STORED, workload

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 4,
    "num_hidden_layers": 4, "num_key_value_heads": 2, "vocab_size": 100, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}  # fmt: skip


def read(folder: Path, said: Any) -> tuple[Architecture, tuple[str, ...]]:
    path = folder / "config.json"
    path.write_text(json.dumps({**LLAMA, "quantization_config": said}))
    found = read_config(path)
    return library.architecture(str(path)), found.notes


def tensors(bits: int, kind: str, strategy: str, **more: Any) -> dict[str, Any]:
    """As compressed-tensors writes it, with activations quantised or not."""
    weights = {"num_bits": bits, "type": kind, "strategy": strategy, **{k: v for k, v in more.items() if k != "inputs"}}
    group = {"weights": weights, "input_activations": {"num_bits": bits} if more.get("inputs") else None}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}, "ignore": ["lm_head"]}


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8-block128"), ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "fbgemm_fp8"}, "fp8"), ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "int4-g128"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32}, "int4-g32"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, "int8-weights"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "nf4"),
        ({"quant_method": "bitsandbytes", "bnb_4bit_use_double_quant": True}, "nf4-double"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8-channel"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "FP8"}}, "fp8"),
        (tensors(8, "float", "channel", inputs=True), "fp8"), (tensors(8, "float", "block"), "fp8-block128"),
        (tensors(8, "int", "channel", inputs=True), "int8-channel"), (tensors(8, "int", "channel"), "int8-weights"),
        (tensors(4, "int", "group", group_size=128), "int4-g128"),
        (tensors(4, "float", "tensor_group", group_size=16), "nvfp4"),
        (tensors(4, "float", "group", group_size=32), "mxfp4"),
    ],
)  # fmt: skip
def test_a_method_means_a_format(said: dict[str, Any], name: str) -> None:
    assert format_of(said) == name


@pytest.mark.parametrize(
    "said", [{}, {"quant_method": "hqq"}, {"quant_method": "gptq", "bits": 3}, {"quant_method": "compressed-tensors"}]
)
def test_a_method_that_is_not_known_is_refused_with_what_would_be_right(tmp_path: Path, said: dict[str, Any]) -> None:
    with pytest.raises(UnknownName):
        format_of(said)
    with pytest.raises(SpecError, match=r"quantization_config: weight formats: no .* without the field, weights are"):
        read(tmp_path, {**said, "version": 1})


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"quant_method": "modelopt", "quantization": None}, "no ''"),
        ({"quant_method": None}, "no ''"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": False}, "no 'bitsandbytes in neither 4 nor 8 bits'"),
        ("fp8", "no ''"),
        (["fp8"], "no ''"),
        ({"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": 4}}}, "without num_bits"),
        ({"quant_method": "compressed-tensors", "config_groups": 4}, "without num_bits"),
        ({"quant_method": "fp8", "ignore": ["re:("]}, "re:(: no regular expression: missing )"),
        ({"quant_method": "compressed-tensors", "config_groups": {
            "a": {"weights": {"num_bits": 8, "type": "float"}}, "b": {"weights": {"num_bits": 8, "type": "int"}},
        }}, "config_groups are stored in fp8 and int8-weights; which is in which is not read"),
    ],
)  # fmt: skip
def test_a_quantisation_that_says_no_single_format_is_refused(tmp_path: Path, said: Any, told: str) -> None:
    with pytest.raises(SpecError) as refused:
        read(tmp_path, said)
    assert told in str(refused.value)


def test_groups_in_one_format_are_that_format(tmp_path: Path) -> None:
    group = {"weights": {"num_bits": 8, "type": "float"}}
    model, _ = read(tmp_path, {"quant_method": "compressed-tensors", "config_groups": {"a": group, "b": group}})
    assert model.stored is not None
    assert model.stored.format == "fp8"


def test_what_a_file_says_of_its_weights_and_cache_is_among_the_assumptions(tmp_path: Path) -> None:
    model, notes = read(tmp_path, {"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8}})
    said = predict(model, "h100", "vllm").assumptions
    bits = 8 * model.weight_bytes(setup(model, "h100", "vllm").precision(workload())) / model.total_parameters
    assert f"weights stored as fp8 ({bits:.3g} bits each in {model.id}, multiplied on fp8 units)" in said
    assert notes == model.notes == (
        "quantization_config: the weights are stored quantised, in fp8, unless --weights says otherwise",
        "quantization_config.kv_cache_scheme: is left to --cache",
    )  # fmt: skip
    assert {f"{model.id}: {note}" for note in notes} <= set(said)


def test_a_language_model_inside_another_may_say_how_it_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    inside = {**LLAMA, "quantization_config": {"quant_method": "fp8"}}
    path.write_text(json.dumps({"model_type": "llava", "text_config": inside}))
    found = read_config(path)
    assert found.values["stored"]["format"] == "fp8"
    assert found.notes[0] == "text_config of a llava model: only the language model is counted"


FFN = ("gate_proj", "down_proj", "router", "experts_up", "shared_up_proj")
ALL = ("q_proj", "o_proj", "lm_head", *FFN)


@pytest.mark.parametrize(
    ("patterns", "named"),
    [
        ([], {}), (["lm_head"], {"lm_head": 1}), (["model.layers.*.self_attn"], {"q_proj": 1, "o_proj": 1}),
        (["model.layers.1.mlp"], dict.fromkeys(FFN, 1 / 4)),
        (["model.layers.0.self_attn.q_proj", "model.layers.3.self_attn.q_proj"], {"q_proj": 1 / 2}),
        (["re:.*self_attn.*"], {"q_proj": 1, "o_proj": 1}), (["q_proj"], {"q_proj": 1}), (["proj"], {}),
        (["mlp.gate"], {"router": 1}), (["re:.*mlp.gate$"], {"router": 1}), (["shared_experts"], {"shared_up_proj": 1}),
        (["model.layers.1"], dict.fromkeys(set(ALL) - {"lm_head"}, 1 / 4)),
    ],
)  # fmt: skip
def test_modules_that_are_left_out_are_found_by_their_names(patterns: list[str], named: dict[str, float]) -> None:
    assert {each: share for each in ALL if (share := kept(each, patterns, 4))} == named


def test_parts_that_are_left_out_are_stored_and_multiplied_as_they_are(tmp_path: Path) -> None:
    said = {"quant_method": "fp8", "modules_to_not_convert": ["self_attn", "model.layers.0.mlp.down_proj"]}
    model, notes = read(tmp_path, said)
    assert any("stored quantised, in fp8" in note for note in notes)
    # keys and values of two heads; four layers, in one of which the last matrix is left out
    attention, down, others = 4 * 64 * (64 + 64 + 32 + 32), 64 * 256, 2 * 4 * 64 * 256
    kept_whole = attention + down + 2 * 100 * 64 + 9 * 64
    s = setup(model, "h100", "vllm")
    w = workload(prompt=8)
    precision = s.precision(variant(w, weight_format=STORED))
    assert model.weight_bytes(precision) == 2 * kept_whole + others + 3 * down
    assert precision.product("down_proj") == precision.product("up_proj") == "fp8"
    assert precision.product("q_proj") == precision.product("lm_head") == "weights_only"
    assert s.precision(variant(w, weight_format="bf16")).products == {}
    with pytest.raises(Unsupported, match="no kernels for weights in fp8"):
        setup(model, "h100", "transformers-4.52-eager").precision(w)


@pytest.mark.parametrize(("name", "size"), [("gpt-oss-20b", 12.8), ("gpt-oss-120b", 60.8)])
def test_a_mixture_is_as_large_as_its_experts_and_its_rest(name: str, size: float) -> None:
    # arXiv 2508.10925, table 1: size of the checkpoint in GiB
    model = library.architecture(name)
    held = model.weight_bytes(workload(weight_format="mxfp4").precision("fp32", model))
    assert held / 2**30 == pytest.approx(size, rel=0.005)


def test_only_experts_are_multiplied_as_they_are_quantised() -> None:
    s = setup("gpt-oss-20b", "b200", "ideal")
    p = decode(s, workload(weight_format="mxfp4"))
    units = {(o.name, k.unit) for row in lower(s.architecture, s.runtime, p) for o, lo in row for k in lo.kernels}
    assert {name for name, unit in units if unit == "fp4"} == {"experts_up", "experts_down"}


def test_a_network_without_experts_is_quantised_whole() -> None:
    model = library.architecture("Llama-3.1-8B")
    precision = workload(weight_format="mxfp4").precision("fp32", model)
    assert (precision.of("q_proj"), precision.of("lm_head")) == (4.25 / 8, 2)


def test_a_stored_format_is_one_that_is_known() -> None:
    with pytest.raises(ValueError, match="no weight format 'banana'"):
        Stored(bits={"weights": 4, "vectors": 16}, source="here", format="banana")
