"""A page of `roofsim explore` and the browser that it is opened in: `chromium`, or what ROOFSIM_CHROMIUM names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import DESKTOP, rest

CHROMIUM = os.environ.get("ROOFSIM_CHROMIUM") or shutil.which("chromium")
MODELS = "Qwen2.5-0.5B,mamba2-780m,Falcon-H1-0.5B,Llama-3.1-70B"
DEVICES = "orin,raspberry-pi-5"
RUNTIMES = "transformers-4.52-eager,llama.cpp"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pins/page.txt")
    if not CHROMIUM:
        pytest.skip("there is no chromium on the path")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    if ready := os.environ.get("ROOFSIM_PAGE"):  # another page, such as one of all models
        return Path(ready).absolute().as_uri()
    from click.testing import CliRunner

    from roofsim.cli import group

    file: Path = tmp_path_factory.mktemp("page") / "page.html"
    done = CliRunner().invoke(
        group, ["explore", "-m", MODELS, "-d", DEVICES, "-r", RUNTIMES, "-o", str(file), "--quiet"]
    )
    assert done.exit_code == 0, done.output
    return file.as_uri()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page at a hash; what the console calls an error, or anything that it asks the network for, fails."""
    wrong: list[str] = []
    contexts = []

    def open_(state: str = "", size: dict[str, int] = DESKTOP, **options: Any) -> Any:
        context = browser.new_context(viewport=size, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: said.type in ("error", "warning") and wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith("http") and wrong.append(f"asks for {asked.url}"))
        page.goto(address + state)
        return rest(page)

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []
