"""The file that mypy reads, as a module."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

USED = Path(__file__).with_name("every_function.py")


@pytest.fixture(scope="session")
def used() -> Any:
    """It, loaded."""
    spec = importlib.util.spec_from_file_location("every_function", USED)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
