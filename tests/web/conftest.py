"""A small page of `roofsim explore`, asked in node."""

from __future__ import annotations

import shutil

import pytest
from exploring import Ask, by_node

from roofsim.web.choices import chosen
from roofsim.web.data import page_data
from roofsim.web.pack import packed

MODELS = ("Qwen2.5-0.5B", "mamba2-780m", "Qwen3-30B-A3B")
DEVICES = ("rtx-4090", "raspberry-pi-5")
RUNTIMES = ("transformers-4.52-eager", "llama.cpp", "vllm")


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        pytest.skip("there is no node to ask the page in; tests/browser asks one in a browser")
    data, functions = page_data(chosen(MODELS, DEVICES, RUNTIMES), lambda done, size: None)
    return by_node(node, packed(data, functions), tmp_path_factory.mktemp("page"))
