"""Against files that the converter of llama.cpp wrote.

gguf_headers.jsonl: small random models of transformers 5.23, one for each kind, turned into GGUF by `conversion/` of
llama.cpp (in llama_cpp_python 0.3.36): their configs, metadata and tensors, and the parameters that the model class
has. `blk.` and the number of a layer are left out of the names of tensors: the layers are the second word.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from roofsim import library
from roofsim.adapters.gguf.contents import ARCHITECTURES as WRITABLE
from roofsim.adapters.gguf.contents import MATRIX
from roofsim.adapters.gguf.keys import ARCHITECTURES
from roofsim.adapters.gguf.read import read_gguf
from roofsim.adapters.gguf.write import checked
from roofsim.foundation.schema import items
from roofsim.specs.workload import workload

HEADERS = [json.loads(line) for line in Path(__file__).with_name("gguf_headers.jsonl").read_text().splitlines()]
every_header = pytest.mark.parametrize("header", HEADERS, ids=lambda header: header["name"])

ALIKE = {"mistral", "gptneox", "cohere2", "gemma4", "gemma4_moe", "nemotron_h"}
"""Whose layers a file describes in another way than the config: without windows, chunks or rotated shares."""

UNSEEN = {"dbrx", "kimi-linear", "mistral3", "mpt", "phimoe", "qwen2vl", "qwen3vl", "qwen3vlmoe"}
"""Architectures of which the converter could not be run on a small model."""


def tensors(header: dict[str, Any]) -> Iterator[tuple[str, tuple[list[int], str]]]:
    for line in header["tensors"]:
        name, layers, shape, kind = line.split()
        sizes = [int(size) for size in shape.split("x")]
        for stretch in layers.split(",") if layers != "-" else ():
            first, _, last = stretch.partition("-")
            for layer in range(int(first), int(last or first) + 1):
                yield f"blk.{layer}.{name}", (sizes, kind)
        if layers == "-":
            yield name, (sizes, kind)


@pytest.fixture
def file(header: dict[str, Any], tmp_path: Path, write_gguf: Callable[..., int]) -> tuple[Path, int]:
    path = tmp_path / "model.gguf"
    # the converter writes the length of the context under a key of its own, which was not kept in these headers
    stated = header["config"].get("max_position_embeddings")
    metadata = header["metadata"] | ({"context_length": stated} if stated else {})
    return path, write_gguf(path, header["architecture"], metadata, dict(tensors(header)))


@every_header
def test_a_file_has_the_parameters_of_the_model_and_the_bytes_of_its_tensors(
    header: dict[str, Any], file: tuple[Path, int]
) -> None:
    path, size = file
    model = library.architecture(str(path))
    assert model.total_parameters == header["parameters"]
    held = model.weight_bytes(workload().precision("fp32", model))
    assert held == pytest.approx(size, rel=1e-12)
    assert read_gguf(path).notes == ()


@every_header
def test_a_file_describes_the_layers_that_the_config_describes(
    header: dict[str, Any], file: tuple[Path, int], tmp_path: Path
) -> None:
    if header["name"] in ALIKE:
        pytest.skip(f"{header['name']}: a file does not say all that the config says")
    config = tmp_path / "config.json"
    config.write_text(json.dumps(header["config"]))
    described, said = library.architecture(str(config)), library.architecture(str(file[0]))
    same = {name for name, _ in items(said)} - {"name", "id", "family", "sources", "stored"}
    # headers are kept without the one; of layers left out, as those of further tokens, each file knows its own
    same -= {"context_window", "notes", "mtp_modules"}
    assert {name: getattr(said, name) for name in same} == {name: getattr(described, name) for name in same}


def test_every_architecture_is_read_from_a_file_that_the_converter_wrote() -> None:
    assert set(ARCHITECTURES) - {header["architecture"] for header in HEADERS} == UNSEEN


WRITTEN = [header for header in HEADERS if header["architecture"] in set(WRITABLE.values())]
REFUSED = {"llama_tied_bias": "biases that are not written", "olmoe": "fewer heads of keys than llama.cpp loads"}


@pytest.mark.parametrize("header", WRITTEN, ids=lambda header: header["name"])
def test_a_file_of_ours_has_the_tensors_that_the_converter_wrote(
    header: dict[str, Any], file: tuple[Path, int]
) -> None:
    if header["name"] in REFUSED:
        pytest.skip(f"{header['name']}: has {REFUSED[header['name']]}")
    held = checked(library.architecture(str(file[0])))
    ours = {name: (list(entry.shape), entry.kind == MATRIX) for name, entry in held.tensors.items()}
    assert ours == {name: (shape, kind == "BF16") for name, (shape, kind) in tensors(header)}
    said = {key.removeprefix(f"{held.architecture}."): value for key, value in held.metadata.items()}
    metadata = dict(header["metadata"])
    if held.architecture == "qwen3moe":
        del metadata["feed_forward_length"]  # of a dense layer, of which there is none
    assert {key: said.get(key, value) for key, value in metadata.items()} == metadata
