"""Every cost function against an enumerator that adds up single operations and elements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
from counting import COUNTED

from roofsim import ops
from roofsim.ops.base import REGISTER


def test_every_cost_function_is_counted_by_an_enumerator() -> None:
    for module in iter_modules(ops.__path__, f"{ops.__name__}."):
        import_module(module.name)
    assert set(COUNTED) == set(REGISTER)


@pytest.mark.parametrize("function", COUNTED, ids=lambda function: function.__name__)
def test_a_cost_is_what_counting_single_operations_and_elements_gives(function: Callable[..., Any]) -> None:
    counted = COUNTED[function]
    for sizes in counted.sizes:
        cost, expected = function(**sizes), asdict(counted(**sizes))
        got = {column: getattr(cost, column) for column in expected}
        assert got == pytest.approx(expected, rel=1e-12), sizes
