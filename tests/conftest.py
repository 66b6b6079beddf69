"""Settings and fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from roofsim.specs import library

settings.register_profile("roofsim", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("roofsim")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data; a test that needs it is skipped where there is none."""
    folder = Path(os.environ.get("ROOFSIM_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"no reference data: {folder} is not there; set ROOFSIM_SHARED to its place")
    return folder


MODELS = sorted(map(library.architecture, library.names("models")), key=lambda m: m.total_parameters, reverse=True)
FAMILIES = {model.id: family for family, model in {model.family: model for model in MODELS}.items()}
"""The smallest model of every family, and the family."""
SUPPORTS = {name: library.runtime(name).supports for name in library.names("runtimes")}
STACKS = [(m, r) for m, family in FAMILIES.items() for r, known in SUPPORTS.items() if not known or family in known]


@pytest.fixture(scope="session")
def stacks() -> list[tuple[str, str]]:
    """The smallest model of every family with every shipped runtime that runs it, by name."""
    return STACKS


@pytest.fixture(params=STACKS, ids="-".join)
def stack(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each of them."""
    name: tuple[str, str] = request.param
    return name
