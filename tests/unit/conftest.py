"""Spec files that differ from a shipped one in a few fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from roofsim.library import locate
from roofsim.specs.files import read_mapping

ABSENT = object()
Writer = Callable[[str, str, Mapping[str, Any]], Path]


def edited(kind: str, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What the shipped file holds, with the values at dotted paths replaced, added or (ABSENT) taken out."""
    values = read_mapping(locate(kind, kind, name))
    for path, value in changes.items():
        *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
        node: Any = values
        for step in way:
            node = node[step]
        if value is ABSENT:
            del node[last]
        else:
            node[last] = value
    return values


@pytest.fixture(scope="session")
def absent() -> object:
    """The value that takes a field out."""
    return ABSENT


@pytest.fixture(scope="session")
def spec_file(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    """Writes a file like the shipped one of that kind and name, with changes."""
    path = tmp_path_factory.mktemp("specs") / "spec.yaml"

    def write(kind: str, name: str, changes: Mapping[str, Any]) -> Path:
        path.write_text(yaml.safe_dump(edited(kind, name, changes), allow_unicode=True, sort_keys=False))
        return path

    return write
