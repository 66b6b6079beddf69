"""A small page of `roofsim explore`, asked in node, or in Chromium where there is no node."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from exploring import Ask, by_browser, by_node

from roofsim.web.choices import chosen
from roofsim.web.data import page_data
from roofsim.web.pack import packed

MODELS = ("Qwen2.5-0.5B", "mamba2-780m", "Qwen3-30B-A3B")
DEVICES = ("rtx-4090", "raspberry-pi-5")
RUNTIMES = ("transformers-4.52-eager", "llama.cpp", "vllm")


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    node = shutil.which("node") or shutil.which("nodejs")
    chromium = os.environ.get("ROOFSIM_CHROMIUM") or shutil.which("chromium")
    if not node:
        playwright = pytest.importorskip("playwright.sync_api", reason="there is neither node nor playwright")
        if not chromium:
            pytest.skip("there is neither node nor chromium")
    data = packed(*page_data(chosen(MODELS, DEVICES, RUNTIMES, tp=(1, 2)), lambda done, size: None))
    if node:
        yield by_node(node, data, tmp_path_factory.mktemp("page"))
        return
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield by_browser(browser.new_page(), data)
        browser.close()
