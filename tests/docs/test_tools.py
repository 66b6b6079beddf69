"""Tools that are run by hand and examples, which no type checker reads."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(each for folder in ("tools", "docs/examples") for each in (ROOT / folder).glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda each: each.stem)
def test_what_a_script_takes_of_roofsim_is_there(script: Path) -> None:
    for each in ast.walk(ast.parse(script.read_text())):
        if isinstance(each, ast.ImportFrom) and each.module and each.module.partition(".")[0] == "roofsim":
            module = import_module(each.module)
            for name in (alias.name for alias in each.names):
                assert hasattr(module, name) or find_spec(f"{each.module}.{name}"), f"{each.module} has no {name}"
