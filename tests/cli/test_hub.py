"""Models by their names on the Hugging Face Hub: a made-up cache, a made-up hub, and no network."""

from __future__ import annotations

import json
import socket
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import roofsim as api
from roofsim import library
from roofsim.adapters import hub
from roofsim.foundation.errors import InputError, MissingExtra, SpecError
from roofsim.measure.build import subject

NAME = "acme/Tiny-1.5b.v2"
HASH = "0123456789abcdef0123456789abcdef01234567"
TINY = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 1000, "hidden_size": 64,
    "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip


def store(cache: Path, name: str = NAME, snapshot: str = HASH, main: bool = True, **fields: Any) -> Path:
    """A config as the Hub's own tools lay it out: a link in a snapshot to a blob."""
    stored = cache / "--".join(("models", *name.split("/")))
    blob = stored / "blobs" / snapshot[::-1]
    file = stored / "snapshots" / snapshot / "config.json"
    for each in (blob, file):
        each.parent.mkdir(parents=True, exist_ok=True)
    blob.write_text(json.dumps({**TINY, **fields}))
    file.symlink_to(blob)
    if main:
        (stored / "refs").mkdir()
        (stored / "refs" / "main").write_text(snapshot)
    return file


@pytest.fixture(autouse=True)
def cache(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in the folder of the test; whatever would use the network fails."""
    for name in ("HF_HOME", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(here / "cache"))

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return here / "cache"


RUNS = f"device,model,phase,op,batch,prompt_len,metric,value\nRTX 4090,{NAME},prefill,e2e,1,1024,latency_s,0.01\n"
COMMANDS = [
    "predict {}", "limits {}", "crossover {} mamba-130m", "explain {}", "roofline {}", "sensitivity {}",
    "compare {} mamba-130m", "advise {} --ttft 9s", "sweep {} -p 1k", "pareto {} --objectives ttft,tpot", "show {}",
    "sampling {} -n 2 --tokens 64", "speculate {} --draft ngram --accept 0.5", "steps {} --decodes 1",
    "reload {} --from 1GB/s",
]  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line.split()[0])
def test_every_command_finds_a_model_in_the_cache(attempt, cache, line):
    store(cache)
    options = "" if line.startswith("show") else " -d orin"
    result = attempt(line.format(NAME) + options)
    assert result.exit_code == 0, result.stderr
    assert NAME in "".join(result.stdout.split()).replace("│", "") or NAME in result.stdout


def test_a_prediction_says_where_the_config_is_from(data, cache):
    store(cache)
    said = data(f"predict {NAME} -d orin")
    assert said["model"] == NAME
    assert f"{NAME}: its config.json in the local Hugging Face cache, snapshot 0123456789ab" in said["assumptions"]
    assert any("Hugging Face cache" in each for each in api.predict(NAME, "orin").assumptions)
    assert "snapshot 0123456789ab" in data(f"show {NAME}")["sources"]["config"]


def test_rows_of_runs_and_model_files_name_it_too(roofsim, data, cache, here):
    store(cache)
    (here / "own.csv").write_text(RUNS)
    assert data("validate own.csv -r ideal --rows")["scored"] == 1
    roofsim(f"import {NAME} -o made.yaml -q")
    assert yaml.safe_load((here / "made.yaml").read_text())["name"] == NAME
    roofsim(f"new model mine --from {NAME} -q")
    found = library.architecture(NAME)
    assert library.architecture("mine.yaml").layers == library.architecture("made.yaml").layers == found.layers


def test_what_is_measured_is_built_from_its_own_config(cache):
    store(cache)
    found = subject(f"tiny={NAME}")
    assert (found.name, found.fields) == ("tiny", TINY)
    assert subject(NAME).name == NAME


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"HF_HUB_CACHE": "{}/a", "HF_HOME": "{}/b"}, "a"),
        ({"HUGGINGFACE_HUB_CACHE": "{}/a", "HF_HOME": "{}/b"}, "a"),
        ({"HF_HOME": "{}/b", "XDG_CACHE_HOME": "{}/c"}, "b/hub"),
        ({"XDG_CACHE_HOME": "{}/c", "HOME": "{}"}, "c/huggingface/hub"),
        ({"HOME": "{}"}, ".cache/huggingface/hub"),
        ({"HF_HOME": "~/d", "HOME": "{}"}, "d/hub"),
    ],
)
def test_the_cache_is_where_the_hubs_own_tools_have_it(here, monkeypatch, variables, folder):
    monkeypatch.delenv("HF_HUB_CACHE")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(here))
    store(here / folder)
    assert library.architecture(NAME).name == NAME


def test_the_snapshot_of_the_main_branch_is_taken(cache):
    store(cache)
    store(cache, snapshot="f" * 40, main=False, num_hidden_layers=7)
    assert library.architecture(NAME).depth == 2
    (cache / "models--acme--Tiny-1.5b.v2" / "refs" / "main").write_text("f" * 40 + "\n")
    assert library.architecture(NAME).depth == 7


def test_without_a_main_branch_the_only_snapshot_is_taken(cache):
    store(cache, main=False)
    assert library.architecture(NAME).depth == 2
    store(cache, snapshot="f" * 40, main=False, num_hidden_layers=7)
    with pytest.raises(SpecError, match=r"holds no config\.json of its main branch"):
        library.architecture(NAME)


def test_letters_may_be_in_another_case_and_a_file_that_is_there_comes_first(cache, here):
    store(cache)
    assert library.architecture(NAME.upper()).name == NAME
    folder = here / "acme" / "Tiny-1.5b.v2"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**TINY, "num_hidden_layers": 3}))
    assert library.architecture(NAME).depth == 3


def test_the_folder_of_a_snapshot_is_the_same_model(cache):
    file = store(cache)
    assert library.architecture(str(file)) == library.architecture(NAME) == library.architecture(str(file.parent))


def test_a_model_that_is_not_there_says_how_to_get_its_config(refused, cache):
    message = refused("predict meta-llama/Llama-3.1-8B -d orin")
    assert f"none in the Hugging Face cache, {cache}" in message
    assert "\n  the same command with --download" in message
    assert "\n  hf download meta-llama/Llama-3.1-8B config.json\n" in message
    assert "curl -L -o config.json https://huggingface.co/meta-llama/Llama-3.1-8B/resolve/main/config.json" in message
    assert "shipped as Llama-3.1-8B" in message
    for line in ("show acme/none", "import acme/none", "new model mine --from acme/none", "models.csv/none"):
        if " " in line:
            assert "hf download acme/none config.json" in refused(line)


@pytest.mark.parametrize("name", ["acme/none.yaml", "./acme/none", "acme/none/config.json", "a/b/c", "acme/", "/acme"])
def test_a_path_is_no_name(name):
    assert not hub.is_name(name)
    with pytest.raises(SpecError, match="no such file"):
        library.architecture(name)


def test_what_the_cache_holds_may_be_broken(cache):
    stored = store(cache).parents[2]
    (stored / "refs" / "main").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="hf download"):
        library.architecture(NAME)
    (stored / "refs" / "main").write_text("none")
    with pytest.raises(SpecError, match="hf download"):
        library.architecture(NAME)
    cache.chmod(0o600)
    cache.rename(cache.with_name("away"))
    cache.write_text("no folder")
    with pytest.raises(SpecError, match="hf download"):
        library.architecture(NAME)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> list[tuple[str, str]]:
    """A hub that stores the config that it is asked for; what it was asked for."""
    asked: list[tuple[str, str]] = []
    module: Any = ModuleType("huggingface_hub")
    module.__spec__ = ModuleSpec("huggingface_hub", None)

    def hf_hub_download(name: str, file: str, *, cache_dir: Path) -> str:
        asked.append((name, file))
        if name == "acme/gated":
            raise GatedRepoError("403 Client Error.\n\nAccess to acme/gated is restricted.")
        if name != NAME:
            raise OSError("404 Client Error: no such model")
        return str(store(Path(cache_dir), name))

    module.hf_hub_download = hf_hub_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return asked


class GatedRepoError(Exception):
    """As the Hub calls it."""


def test_nothing_is_downloaded_unless_it_is_asked_for(refused, roofsim, stub):
    refused(f"predict {NAME} -d orin")
    assert stub == []
    assert NAME in roofsim(f"predict {NAME} -d orin --download")
    assert stub == [(NAME, "config.json")]
    roofsim(f"predict {NAME} -d orin --download")
    roofsim(f"limits {NAME} -d orin")
    assert len(stub) == 1, "what is in the cache is not fetched again"


@pytest.mark.parametrize(
    "line", ["crossover mamba-130m {} -d orin --download", "compare --download {} -d orin", "import {} --download",
             "show {} --download", "new model mine --from {} --download"],
)  # fmt: skip
def test_every_command_downloads_if_it_is_asked_for(roofsim, stub, line):
    roofsim(line.format(NAME))
    assert stub == [(NAME, "config.json")]


def test_names_that_are_no_models_of_the_hub_are_not_asked_for(roofsim, stub):
    roofsim("predict mamba-130m -d orin --download")
    assert stub == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acme/none", "acme/none: its config.json cannot be downloaded: 404 Client Error: no such model"),
        ("acme/gated", "403 Client Error. Access to acme/gated is restricted.; accept its terms"),
        ("acme/gated", "accept its terms at https://huggingface.co/acme/gated and log in with `hf auth login`"),
    ],
)
def test_what_cannot_be_downloaded_is_told(refused, stub, name, said):
    assert said in refused(f"predict {name} -d orin --download")


def test_python_downloads_by_a_function_of_its_own(stub, cache):
    assert api.download(NAME) == hub.cached(NAME)
    assert api.predict(NAME, "orin").model == NAME
    with pytest.raises(InputError, match="write it like meta-llama"):
        api.download("tiny")


def test_without_the_extra_the_line_that_adds_it_is_told(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra):
        api.download(NAME)
    assert "[hub]" in refused(f"predict {NAME} -d orin --download")


def test_a_quantised_config_says_what_it_is_in_every_prediction(data, cache):
    store(cache, quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128})
    said = data(f"predict {NAME} -d rtx-4090 -r vllm")["assumptions"]
    assert any("stored quantised, in int4-g128" in each for each in said)
