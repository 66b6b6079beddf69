"""`roofsim import`, and a published config wherever a model is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from roofsim import library
from roofsim.foundation.schema import variant

DATA = Path(__file__).parents[1] / "data"
CASES: Mapping[str, Any] = json.loads((DATA / "published.json").read_text())["cases"]
CONFIGS: Mapping[str, Any] = json.loads((DATA / "configs.json").read_text())["configs"]
QWEN = CONFIGS["Qwen/Qwen2.5-0.5B-Instruct"]
ONE_OF_EACH_TYPE = {each["config"]["model_type"]: name for name, each in CASES.items()}
DROP = object()


@pytest.fixture
def config(here: Path) -> Callable[..., Path]:
    """Writes a config, with changes (DROP takes a field out)."""

    def write(name: str = "config.json", fields: Mapping[str, Any] = QWEN, **changes: Any) -> Path:
        (here / name).parent.mkdir(exist_ok=True)
        merged = {key: value for key, value in {**fields, **changes}.items() if value is not DROP}
        (here / name).write_text(json.dumps(merged))
        return here / name

    return write


def test_a_config_becomes_a_model_file_on_stdout(roofsim, config):
    config()
    text = roofsim("import config.json --name Mine --source hearsay --quiet")
    assert text.startswith("name: Mine\n")
    assert "hearsay" in text


def test_what_was_read_is_said_on_stderr_unless_quiet(attempt, config):
    config()
    assert "494,032,768 parameters" in attempt("import config.json").stderr
    assert attempt("import config.json --quiet").stderr == ""


def test_fields_that_change_nothing_are_listed_if_asked_for(attempt, config):
    config(rope_theta=1e6, hidden_act="silu", attention_dropout=0.0)
    assert "ignored:" not in attempt("import config.json").stderr
    (line,) = [line for line in attempt("import config.json --verbose").stderr.splitlines() if "ignored:" in line]
    assert {"rope_theta", "hidden_act", "attention_dropout"} <= set(line.removeprefix("ignored: ").split(", "))
    assert "hidden_size" not in line


@pytest.mark.parametrize("case", ONE_OF_EACH_TYPE.values())
def test_a_written_model_file_reads_back_as_what_the_config_describes(roofsim, config, case):
    path = config(fields=CASES[case]["config"])
    roofsim("import config.json -o model.yaml")
    described, read = library.architecture(str(path)), library.architecture("./model.yaml")
    assert variant(read, id="", sources={}) == variant(described, id="", sources={})
    assert read.total_parameters == CASES[case]["counts"]["total"]


def test_a_file_or_its_folder_stands_for_a_model_in_every_command(data, roofsim, config):
    config("qwen/config.json")
    for name in ("./qwen", "qwen/config.json"):
        assert data(f"show {name}")["parameters"]["total"] == 494_032_768
        assert data(f"predict {name} -d rtx-4090")["prefill"]["time"] > 0
        assert data(f"crossover {name} mamba2-780m -d rtx-4090")["pairs"]
        assert roofsim(f"explain {name} -d rtx-4090")
    shipped, mine = (data(f"predict {name} -d rtx-4090 -p 3000") for name in ("Qwen2.5-0.5B", "./qwen"))
    assert mine["prefill"]["time"] == shipped["prefill"]["time"]


def test_a_published_count_is_checked(attempt, refused, config):
    config()
    for stated in ("494032768", "494M", "0.49B"):
        assert attempt(f"import config.json --published {stated} --quiet").exit_code == 0
    assert "494,032,768" in refused("import config.json --published 495M")
    assert "--published" in refused("import config.json --published many")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": DROP}, ["model_type", "is missing"]),
        ({"model_type": 7}, ["model_type"]),
        ({"model_type": "quen2"}, ["quen2", "qwen2"]),
        ({"hidden_size": DROP}, ["hidden_size", "is missing"]),
        ({"hidden_size": None}, ["hidden_size", "is missing"]),
        ({"hidden_size": "896"}, ["hidden_size", "'896'"]),
        ({"hidden_size": 896.0}, ["hidden_size"]),
        ({"hidden_size": True}, ["hidden_size"]),
        ({"hidden_size": [896]}, ["hidden_size", "a list of 1"]),
        ({"hidden_size": -896}, ["hidden_size", "-896"]),
        ({"hidden_size": 0}, ["hidden_size", "'0'"]),
        ({"hidden_size": 10**30}, ["hidden_size", "a number of more than 30 digits"]),
        ({"num_hidden_layers": 10**9}, ["num_hidden_layers", "1000"]),
        ({"vocab_size": float("nan")}, ["vocab_size"]),
        ({"num_attention_heads": 15}, ["num_attention_heads 15 does not divide hidden_size 896"]),
        ({"num_key_value_heads": 3}, ["kv_heads 3 does not divide heads 14"]),
        ({"tie_word_embeddings": "yes"}, ["tie_word_embeddings", "'yes'"]),
        ({"use_sliding_window": True, "layer_types": ["full_attention"]}, ["layer_types", "1 entries", "24"]),
        ({"use_sliding_window": True, "layer_types": ["dense"] * 24}, ["layer_types", "'dense'", "sliding_attention"]),
        ({"use_sliding_window": True, "layer_types": [["x"]] * 24}, ["layer_types"]),
        ({"attention_sinks": 4}, ["attention_sinks", "not understood", "qwen2"]),
        ({"extra_norm": {"kind": "rms"}}, ["extra_norm", "not understood"]),
        ({"auto_map": {"AutoModelForCausalLM": "modeling_x.MyModel"}}, ["auto_map", "MyModel", "neither read nor run"]),
        ({"auto_map": {"AutoModelForCausalLM": "a/b--modeling_x.Qwen2ForCausalLM"}}, ["auto_map"]),
        ({"auto_map": "modeling_x.MyModel"}, ["auto_map"]),
        ({"architectures": ["BertForMaskedLM"]}, ["architectures", "BertForMaskedLM"]),
        ({"is_encoder_decoder": True}, ["is_encoder_decoder"]),
        ({"add_cross_attention": True}, ["add_cross_attention"]),
        ({"rope_parameters": {"partial_rotary_factor": "half"}}, ["partial_rotary_factor", "'half'"]),
        ({"name_or_path": "\ud800"}, ["surrogate"]),
    ],
)
def test_a_wrong_field_is_told(refused, config, changes, said):
    config(**changes)
    message = refused("import config.json -o model.yaml")
    assert "config.json: " in message
    for words in said:
        assert words in message


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"", "line 1"),
        (b"{", "line 1"),
        (b'{"model_type": "qwen2",\n "hidden_size" 896}', "line 2"),
        (b"[]", "holds no object"),
        (b"7", "holds no object"),
        (b"nothing", "not valid JSON"),
        (b'{"model_type": "qwen2", "model_type": "llama"}', "'model_type' is written twice"),
        (b"[" * 10_000 + b"]" * 10_000, "nested"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested"),
        (b'{"hidden_size": ' + b"9" * 5_000 + b"}", "not usable as JSON"),
        (b"\xff\xfe{}", "not a text file"),
        (b'{"model_type": "qwen2\x00"}', "NUL"),
        (b" " * 1_000_001, "too many"),
    ],
)
def test_a_damaged_file_is_told(refused, here, written, said):
    (here / "config.json").write_bytes(written)
    message = refused("import config.json -o model.yaml")
    assert "config.json: " in message
    assert said in message


def test_a_byte_order_mark_is_no_matter(roofsim, here):
    (here / "config.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(QWEN).encode())
    assert "d_model: 896" in roofsim("import config.json --quiet")


def test_what_is_not_there_is_told(refused, here):
    assert "no such file" in refused("import config.json")
    (here / "empty").mkdir()
    assert "config.json: no such file" in refused("import empty")


@pytest.mark.parametrize("command", ["show {}", "predict {} -d orin", "limits {} -d orin", "explain {} -d orin",
                                     "crossover mamba2-780m {} -d orin"])  # fmt: skip
def test_a_wrong_config_is_told_by_every_command_that_takes_a_model(refused, config, command):
    config("qwen/config.json", attention_sinks=4)
    assert "attention_sinks: not understood" in refused(command.format("./qwen"))


def test_a_refusal_leaves_the_file_that_was_there(refused, config, here):
    (here / "model.yaml").write_text("before")
    config(hidden_size=-1)
    refused("import config.json -o model.yaml")
    assert (here / "model.yaml").read_text() == "before"


NOTED = "use_novel_mixer: false is not known for model_type qwen2 and left aside"


@pytest.mark.parametrize(
    "command",
    ["predict {} -d rtx-4090", "explain {} -d rtx-4090", "limits {} -d rtx-4090", "roofline {} -d rtx-4090",
     "crossover {} mamba2-780m -d rtx-4090 --longest 1k", "crossover mamba2-780m {} -d rtx-4090 --longest 1k",
     "predict {} -d rtx-4090 -r ideal,cuda-graph", "sensitivity {} -d rtx-4090", "show {}"],
)  # fmt: skip
def test_what_was_left_aside_is_told_by_every_command_and_by_the_imported_file(roofsim, config, command):
    config(use_novel_mixer=False)
    roofsim("import config.json -o model.yaml -q")
    for name in ("./config.json", "./model.yaml"):
        assert NOTED in " ".join(roofsim(command.format(name)).split())


def test_a_note_is_in_the_json(data, config):
    config(use_novel_mixer=False)
    for line in ("predict", "limits", "explain", "roofline"):
        assert any(NOTED in each for each in data(f"{line} ./config.json -d rtx-4090")["assumptions"])
    shown = data("show ./config.json")
    assert (shown["notes"], shown["context_window"]) == ([NOTED], QWEN["max_position_embeddings"])


def test_an_unknown_quantisation_is_refused_by_every_command_and_a_known_one_sets_the_weights(
    refused, data, attempt, config
):
    config(quantization_config={"quant_method": "hqq"})
    for line in ("predict ./config.json -d rtx-4090", "show ./config.json", "import config.json -o x.yaml"):
        assert "quantization_config: weight formats: no 'hqq'" in refused(line)
    config(quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128})
    found, plain = (data(f"predict ./config.json -d rtx-4090 {more}") for more in ("", "--weights bf16"))
    assert found["memory"]["weights"] < 0.6 * plain["memory"]["weights"]
    assert any(each.startswith("weights stored as int4-g128") for each in found["assumptions"])
    config(quantization_config={"quant_method": "fp8"})
    assert "no kernels for weights in fp8" in refused("predict ./config.json -d rtx-4090")
