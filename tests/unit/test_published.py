"""Published configs: counts against the library's own classes, layers in order, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from roofsim import library
from roofsim.adapters.published.base import MOST_LAYERS, Config, stacked
from roofsim.adapters.published.read import adapters, read_config
from roofsim.foundation.errors import SpecError
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass, Precision

DATA = Path(__file__).parents[1] / "data"
CASES: Mapping[str, Any] = json.loads((DATA / "published.json").read_text())["cases"]
CONFIGS: Mapping[str, Any] = json.loads((DATA / "configs.json").read_text())["configs"]
CACHED = Precision(weights=2, activations=2, cache=2, state=4)
PUBLISHED = {
    "databricks/dbrx-base": 131_596_523_520,
    "mosaicml/mpt-7b": 6_649_286_656,
    "nvidia/Hymba-1.5B-Base": 1_522_797_824,
    "nvidia/Llama-3_3-Nemotron-Super-49B-v1": 49_867_145_216,
}
Reader = Callable[[Mapping[str, Any]], Architecture]
LLAMA = {
    "model_type": "llama",
    "vocab_size": 320,
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
}


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """The architecture of a config with these fields."""

    def architecture(fields: Mapping[str, Any]) -> Architecture:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(fields))
        return library.architecture(str(path))

    return architecture


def in_order(model: Architecture) -> list[str]:
    """The kind of mixer of every layer."""
    return [
        model.layers[name][0].kind for stretch in model.layout for _ in range(stretch.repeat) for name in stretch.of
    ]


@pytest.mark.parametrize(
    ("stated", "window"),
    [(None, None), (8192, 8192), (0, None), (-1, None), (True, None), (10**30, None), ("8k", None)],
)
def test_the_positions_that_a_config_states_are_its_window(read: Reader, stated: object, window: int | None) -> None:
    assert read({**LLAMA, "max_position_embeddings": stated}).context_window == window


@pytest.mark.parametrize("case", CASES)
def test_counts_are_those_of_the_librarys_class(read: Reader, case: str) -> None:
    expected = CASES[case]["counts"]
    model = read(CASES[case]["config"])
    linear = sum(
        row.count * each.cost.matrix
        for row in model.rows(Pass(1, 64, 0, CACHED, latents="expanded"))
        for each in row.operators
        if each.kind == "gemm"
    )
    found = {
        "total": model.total_parameters,
        "embedding": model.parameters["embedding"],
        "active": model.active_parameters,
        "held": {length: model.state_bytes(int(length), CACHED) for length in expected.get("held", ())},
        "linear_flops": pytest.approx(linear, rel=1e-9),
    }
    assert expected == {quantity: found[quantity] for quantity in expected}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_without_a_class_in_the_library_has_the_parameters_that_its_makers_state(
    read: Reader, name: str
) -> None:
    assert read(CONFIGS[name]).total_parameters == PUBLISHED[name]


def test_every_adapter_is_compared_with_the_library_or_with_what_its_makers_state() -> None:
    compared = {adapters()[each["config"]["model_type"]] for each in CASES.values()}
    compared |= {adapters()[CONFIGS[name]["model_type"]] for name in PUBLISHED}
    others = {adapter.__name__ for adapter in adapters().values()} - {adapter.__name__ for adapter in compared}
    # MiMo differs from Qwen2 by a switch; for RWKV-5 to 7 the library has no class: the shipped models are compared
    assert others == {"MiMo", "Rwkv5", "Rwkv7"}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("RWKV-5-World-3B", {"model_type": "rwkv5", "hidden_size": 2560, "num_hidden_layers": 32, "head_size": 64}),
        ("RWKV-6-World-1.6B", {"model_type": "rwkv6", "num_attention_heads": 64, "hidden_size": 2048}),
        ("RWKV-7-World-0.1B", {"model_type": "rwkv7", "hidden_size": 768, "num_hidden_layers": 12, "head_dim": 64,
                               "v_low_rank_dim": 32, "vocab_size": 65536}),
        ("RWKV-7-World-0.1B", {"model_type": "rwkv7", "hidden_size": 768, "num_hidden_layers": 12,
                               "vocab_size": 65536, "decay_low_rank_dim": None, "gate_low_rank_dim": None,
                               "a_low_rank_dim": None, "v_low_rank_dim": None}),
    ],
)  # fmt: skip
def test_a_config_of_rwkv_describes_the_shipped_model(read: Reader, name: str, fields: Mapping[str, Any]) -> None:
    assert read(fields).parameters == library.architecture(name).parameters


def test_a_model_type_is_read_by_one_adapter() -> None:
    with pytest.raises(TypeError, match="two adapters read 'llama'"):
        type("Other", (Config,), {"model_types": ("llama",), "__module__": __name__})


@pytest.mark.parametrize(
    ("names", "stretches"),
    [
        ("aaaa", [(4, "a")]),
        ("abab", [(2, "ab")]),
        ("aabaab", [(2, "aab")]),
        ("abc", [(1, "abc")]),
        ("abbbbc", [(1, "a"), (4, "b"), (1, "c")]),
        ("aaabaaabaa", [(2, "aaab"), (2, "a")]),
        ("", []),
    ],
)
def test_layers_are_stacked_in_stretches_that_repeat(names: str, stretches: list[tuple[int, str]]) -> None:
    assert [(each["repeat"], "".join(each["of"])) for each in stacked(list(names))] == stretches


def test_layers_keep_their_order(read: Reader) -> None:
    kinds = {"M": "mamba2", "*": "attention", "-": "mlp"}
    pattern = "MM-M*-M"
    fields = {"model_type": "nemotron_h", "vocab_size": 99, "hidden_size": 64, "num_attention_heads": 4, "head_dim": 16,
              "num_key_value_heads": 2, "intermediate_size": 80, "hybrid_override_pattern": pattern}  # fmt: skip
    assert in_order(read(fields)) == [kinds[sign] for sign in pattern]


def test_layers_of_a_kind_that_differ_have_names_of_their_own(read: Reader) -> None:
    fields = {
        **{key: LLAMA[key] for key in LLAMA if key not in ("model_type", "num_key_value_heads", "intermediate_size")},
        "model_type": "nemotron-nas",
        "block_configs": [
            {"attention": {"n_heads_in_group": 2}, "ffn": {"ffn_mult": 1.5}},
            {"attention": {"no_op": True}, "ffn": {"ffn_mult": 0.5}},
            {"attention": {"n_heads_in_group": 4}, "ffn": {"ffn_mult": 1.5}},
            {"attention": {"n_heads_in_group": 2}, "ffn": {"no_op": True}},
        ],
    }
    model = read(fields)
    assert list(model.counts) == ["attention", "mlp", "attention_2", "attention_3"]
    assert [len(model.layers[name]) for name in model.counts] == [2, 1, 2, 1]


@pytest.mark.parametrize("of", ["text_config", "language_config", "llm_config"])
def test_the_language_model_inside_a_multimodal_one_is_read(tmp_path: Path, read: Reader, of: str) -> None:
    alone = read(LLAMA)
    inside = read({"model_type": "some_vision_model", of: LLAMA, "vision_config": {"hidden_size": 7}})
    assert inside.parameters == alone.parameters
    notes = read_config(tmp_path).notes
    assert any("only the language model is counted" in note for note in notes)


def test_a_quantised_checkpoint_counts_the_same_and_says_so(tmp_path: Path, read: Reader) -> None:
    plain = read(LLAMA).parameters
    assert read({**LLAMA, "quantization_config": {"quant_method": "fp8"}}).parameters == plain
    assert any("quantised" in note for note in read_config(tmp_path).notes)


def test_null_stands_for_the_default(read: Reader) -> None:
    assert read({**LLAMA, "head_dim": None, "attention_bias": None}).parameters == read(LLAMA).parameters


@pytest.mark.parametrize("code", [None, {}, {"AutoConfig": "c.C"}, {"AutoModelForCausalLM": "m.LlamaForCausalLM"}])
def test_code_beside_a_config_is_no_matter_if_it_makes_the_class_that_is_named(read: Reader, code: object) -> None:
    fields = {**LLAMA, "architectures": ["LlamaForCausalLM"], "auto_map": code}
    assert read(fields).parameters == read(LLAMA).parameters


def test_every_problem_of_a_config_is_told_at_once_but_no_endless_list(read: Reader) -> None:
    with pytest.raises(SpecError) as error:
        read({**LLAMA, "hidden_size": -1, "vocab_size": "many", "num_hidden_layers": MOST_LAYERS + 1})
    assert len(error.value.problems) == 3
    with pytest.raises(SpecError) as error:
        read({**LLAMA, **{f"unheard_of_{i}": 1 for i in range(500)}})
    assert len(error.value.problems) < 20
