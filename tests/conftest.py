"""Settings and fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("roofsim", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("roofsim")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data; a test that needs it is skipped where there is none."""
    folder = Path(os.environ.get("ROOFSIM_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"no reference data: {folder} is not there; set ROOFSIM_SHARED to its place")
    return folder
