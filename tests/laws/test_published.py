"""Published configs that are damaged: one clear refusal, or a network that is still what the config says."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roofsim import library
from roofsim.adapters.published.base import stacked
from roofsim.adapters.published.read import adapters, read_config
from roofsim.foundation.errors import SpecError
from roofsim.foundation.schema import plain, variant
from roofsim.model.architecture import Architecture
from roofsim.specs.files import build, model_text, read_mapping

TESTS = Path(__file__).parents[1]
CONFIGS: dict[str, Any] = json.loads((TESTS / "data" / "configs.json").read_text())["configs"]
CASES: dict[str, Any] = json.loads((TESTS / "data" / "published.json").read_text())["cases"]
CONFIGS |= {name: each["config"] for name, each in CASES.items()}
SHARED = TESTS.parents[1] / "shared"
CONFIGS |= {path.stem: json.loads(path.read_text()) for path in sorted(SHARED.glob("data/hf_configs/*.json"))}

RECURRENT = {
    "mamba": {"mamba1"},
    "falcon_mamba": {"mamba1"},
    "mamba2": {"mamba2"},
    "rwkv": {"rwkv4"},
    "xlstm": {"mlstm"},
}
"""Model types without attention, and the only mixer that they have."""
WITH_KV = {"attention", "mla", "hymba"}
ENTRIES = {
    "full_attention": lambda mixer: mixer["kind"] in WITH_KV and not (mixer.get("window") or mixer.get("chunk")),
    "sliding_attention": lambda mixer: mixer["kind"] == "attention",
    "chunked_attention": lambda mixer: mixer["kind"] == "attention" and mixer.get("chunk"),
    "linear_attention": lambda mixer: mixer["kind"] not in WITH_KV,
    "mamba": lambda mixer: mixer["kind"] in ("mamba1", "mamba2"),
    "conv": lambda mixer: mixer["kind"] == "short_conv",
}
"""What an entry of `layer_types` says of the mixer of its layer."""

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, 2, 3, 7, -1, 10**9, 10**9 + 1, 10**30, -(10**30)]),
    st.sampled_from([0.0, 0.5, 1e300, -2.5, float("nan"), float("inf")]),
    st.sampled_from(["", "auto", "full_attention", "\u0000", "\ud800", "é" * 2000, "../../etc/passwd", "M" * 3000]),
    st.sampled_from([[], {}, [[]], [None], [1, "a"], [0] * 5000, {"": {}}, {"kind": "attention"}, [[[[[1]]]]]]),
    st.text(max_size=5),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every field of a config; of a list, to its first and last entry."""
    if isinstance(value, dict):
        return [way for key, each in value.items() for way in [(*at, key), *places(each, (*at, key))]]
    if isinstance(value, list) and value:
        ends = {0: value[0], len(value) - 1: value[-1]}
        return [way for key, each in ends.items() for way in [(*at, key), *places(each, (*at, key))]]
    return []


def mutate(fields: dict[str, Any], draw: Any) -> None:
    """Change a config in one place."""
    ways = places(fields)
    if not ways:
        return
    *way, last = draw(st.sampled_from(ways))
    node: Any = fields
    for step in way:
        node = node[step]
    value = node[last]
    change = draw(st.sampled_from(["delete", "replace", "negate", "text", "nest", "longer", "rename", "shuffle"]))
    match change, value:
        case "delete", _:
            del node[last]
        case "negate", bool():
            node[last] = not value
        case "negate", int() | float():
            node[last] = -value
        case "text", _:
            node[last] = str(value)
        case "nest", _:
            node[last] = [value]
        case "longer", list():
            node[last] = value + value[:1]
        case "shuffle", list():
            random.Random(0).shuffle(value)
        case "rename", _ if isinstance(last, str):
            node[f"{last}_"] = node.pop(last)
        case _:
            node[last] = deepcopy(draw(anything))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("published") / "config.json"


def outcome(path: Path, content: bytes) -> Architecture | None:
    """The architecture that a file describes, or None if it is refused as it should be."""
    path.write_bytes(content)
    try:
        return library.architecture(str(path))
    except SpecError as error:
        problems = error.problems
    assert 0 < len(problems) < 20
    assert all(line.startswith(f"{path}: ") and len(line) < 1000 for line in problems)
    return None


def text_fields(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of the language model."""
    for key in ("text_config", "language_config", "llm_config"):
        if isinstance(fields.get(key), dict):
            return {"model_type": fields.get("model_type"), **fields[key]}
    return fields


def mixers(model: Architecture) -> list[dict[str, Any]]:
    """The first part of every layer, in order."""
    first = {name: (plain(parts[0]) if parts else {"kind": "none"}) for name, parts in model.layers.items()}
    return [first[name] for stretch in model.layout for _ in range(stretch.repeat) for name in stretch.of]


def says_the_same(model: Architecture, fields: Mapping[str, Any]) -> None:
    """What the network is, where its config says it plainly."""
    fields = text_fields(fields)
    kinds = mixers(model)
    depth = fields.get("num_hidden_layers")
    assert depth is None or depth == len(kinds)
    width = fields.get("hidden_size")
    assert width is None or width == model.d_model
    only = RECURRENT.get(fields["model_type"])
    assert only is None or {each["kind"] for each in kinds} == only
    types = fields.get("layer_types")
    if isinstance(types, list) and len(types) == len(kinds) and fields["model_type"] != "recurrent_gemma":
        pairs = list(zip(types, kinds, strict=True))
        if fields["model_type"].startswith("gemma4"):
            pairs = pairs[:-1]  # whose last layer sees everything, whatever its entry
        for entry, mixer in pairs:
            assert entry not in ENTRIES or ENTRIES[entry](mixer), (entry, mixer)


thorough = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_an_undamaged_config_is_what_it_says(path: Path) -> None:
    for name, fields in CONFIGS.items():
        model = outcome(path, json.dumps(fields).encode())
        assert model is not None, name
        says_the_same(model, fields)


@thorough
@given(st.data())
def test_a_damaged_config_is_refused_or_is_what_it_says(path: Path, data: st.DataObject) -> None:
    fields = deepcopy(CONFIGS[data.draw(st.sampled_from(sorted(CONFIGS)))])
    for _ in range(data.draw(st.integers(1, 3))):
        mutate(fields, data.draw)
    content = json.dumps(fields).encode()
    model = outcome(path, content)
    if model is not None:
        says_the_same(model, fields)
        values = dict(read_config(path).values)
        values.pop("id")
        path.with_suffix(".yaml").write_text(model_text(values), encoding="utf-8")
        again = build(Architecture, read_mapping(path.with_suffix(".yaml")), "model.yaml")
        assert again == variant(model, id="")


@thorough
@given(st.data())
def test_a_damaged_file_is_refused_or_is_what_it_says(path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(CONFIGS)))
    content = json.dumps(CONFIGS[name]).encode()
    at = data.draw(st.integers(0, len(content)))
    damage = data.draw(st.sampled_from([b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"[" * 3000, b'{"a":' * 3000, b"1" * 5000,
                                        b'"', b",", b"\\ud800", b"NaN", b"-", b"e9", b"//", b"\n"]))  # fmt: skip
    keep = data.draw(st.sampled_from([len(content), at, at + 1]))
    model = outcome(path, content[:at] + damage + content[keep if keep > at else at : keep] + content[keep:])
    if model is not None:
        says_the_same(model, json.loads(path.read_text(encoding="utf-8-sig")))


@pytest.mark.parametrize("value", [True, 1, 0.5, "on", [0], {"kind": "rms"}])
def test_a_field_that_is_not_understood_is_named(path: Path, value: object) -> None:
    for fields in CONFIGS.values():
        path.write_text(json.dumps({**text_fields(fields), "use_novel_mixer": value}))
        with pytest.raises(SpecError, match="use_novel_mixer"):
            library.architecture(str(path))


@pytest.mark.parametrize("group", ["attn_config", "ffn_config", "linear_attn_config"])
def test_a_field_that_is_not_understood_is_named_in_a_group_as_well(path: Path, group: str) -> None:
    grouped = [fields for fields in CONFIGS.values() if isinstance(fields.get(group), dict)]
    assert grouped
    for fields in grouped:
        path.write_text(json.dumps({**fields, group: {**fields[group], "use_novel_mixer": 3}}))
        with pytest.raises(SpecError, match=f"{group}.use_novel_mixer"):
            library.architecture(str(path))


@pytest.mark.parametrize("name", ["use_rope", "rope", "rotary", "use_rotary_emb", "is_causal", "causal_mask"])
def test_switching_off_what_every_network_has_is_refused(path: Path, name: str) -> None:
    for fields in CONFIGS.values():
        given = text_fields(fields)
        if name in adapters()[given["model_type"]].accepts():
            continue
        path.write_text(json.dumps({**given, name: False}))
        with pytest.raises(SpecError, match=f"{name}: not understood for model_type"):
            library.architecture(str(path))


@pytest.mark.parametrize("group", ["attn_config", "linear_attn_config"])
def test_so_it_is_in_a_group(path: Path, group: str) -> None:
    grouped = [fields for fields in CONFIGS.values() if isinstance(fields.get(group), dict)]
    assert grouped
    for fields in grouped:
        path.write_text(json.dumps({**fields, group: {**fields[group], "is_causal": False}}))
        with pytest.raises(SpecError, match=f"{group}.is_causal"):
            library.architecture(str(path))


@pytest.mark.parametrize(
    ("field", "value", "noted"),
    [
        ("use_novel_mixer", False, True), ("novel_layers", 0, True), ("novel_share", 0.0, True),
        ("use_novel_mixer", None, False), ("novel_layers", [], False), ("novel_name", "", False),
        ("attention_bias", False, False), ("moe_capacity", 0, True), ("hidden_dropout", 0.0, False),
        ("num_nextn_predict_layers", 0, False),
    ],
)  # fmt: skip
def test_a_field_that_is_not_known_and_off_is_noted_unless_it_is_off_elsewhere(
    path: Path, field: str, value: object, noted: bool
) -> None:
    fields = CONFIGS["Qwen/Qwen2.5-0.5B-Instruct"]
    path.write_text(json.dumps({**fields, field: value}))
    notes = read_config(path).notes
    told = f"{field}: {json.dumps(value)} is not known for model_type qwen2 and left aside"
    assert notes == ((told,) if noted else ())
    assert library.architecture(str(path)).notes == notes


def test_published_configs_give_rise_to_few_notes(path: Path) -> None:
    noted = {}
    for name, fields in CONFIGS.items():
        path.write_text(json.dumps(text_fields(fields)))
        if found := [each for each in read_config(path).notes if "left aside" in each]:
            noted[name] = found
    assert noted == {}


def test_layers_that_predict_further_tokens_are_noted(path: Path) -> None:
    path.write_text(json.dumps({**CONFIGS["Qwen/Qwen2.5-0.5B-Instruct"], "num_nextn_predict_layers": 1}))
    read = read_config(path)
    assert read.notes == ("num_nextn_predict_layers: layers that predict further tokens are not counted",)
    assert read.values["mtp_modules"] == 1


def test_a_field_that_is_left_aside_changes_nothing(path: Path) -> None:
    checked = {"architectures", "auto_map", "is_encoder_decoder", "add_cross_attention"}
    for name, fields in CONFIGS.items():
        path.write_text(json.dumps({**text_fields(fields), "_name_or_path": name}))
        plain = read_config(path)
        others = {field: 5 for field in plain.ignored if field not in checked and text_fields(fields).get(field)}
        path.write_text(json.dumps({**text_fields(fields), **others, "_name_or_path": name}))
        assert read_config(path).values == plain.values


@given(st.lists(st.sampled_from("abc"), max_size=80))
def test_stretches_say_the_layers_in_their_order(names: list[str]) -> None:
    stretches = stacked(names)
    assert [name for each in stretches for _ in range(each["repeat"]) for name in each["of"]] == names
