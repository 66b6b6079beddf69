"""The libraries that are inlined into the page."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

VENDOR = Path(__file__).resolve().parents[3] / "roofsim/web/vendor"
LIBRARIES = json.loads((VENDOR / "vendor.json").read_text())


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library["name"])
def test_a_library_is_the_build_that_was_published(library):
    build = (VENDOR / library["file"]).read_bytes()
    assert hashlib.sha256(build).hexdigest() == library["sha256"]
    assert f"v{library['version']} ".encode() in build[:80]
    assert f"{library['name']} {library['version']}\n" in (VENDOR / "LICENSES.txt").read_text()


def test_every_script_in_the_folder_is_listed():
    assert {file.name for file in VENDOR.glob("*.js")} == {library["file"] for library in LIBRARIES}
