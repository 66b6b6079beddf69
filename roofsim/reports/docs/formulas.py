"""The page of the cost formulas."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from roofsim import ops
from roofsim.engine import symbolic
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.ops.base import REGISTER, CostFunction, operator
from roofsim.reports.docs.markdown import documented, formula, inline, named, symbol, table


def formulas() -> Iterator[str]:
    """Every cost function by module."""
    yield "# Formulas"
    yield (
        "What each operator costs: a plain function of named sizes in `roofsim/ops/`, here as SymPy reads it. "
        "`matrix` and `vector` are FLOP (a multiply-add is 2) for the two kinds of unit; `weights`, `activations` and "
        "`state` are bytes moved. A column that is left out is 0. [model.md](model.md) says what becomes of them."
    )
    yield "## Symbols"
    rows = [[inline(symbol(sign)), f"`{name}`", meaning] for name, (sign, meaning) in SYMBOLS.items()]
    yield table(["symbol", "in the code", "meaning"], rows)
    yield "The symbols of the parameters that can be calibrated are in [parameters.md](parameters.md)."
    for module in modules():
        costs = [function for function in REGISTER if function.__module__ == module.__name__]
        if costs:
            yield f"## {documented(module).splitlines()[0].rstrip('.')}"
            yield from _family(module, sorted(costs, key=_line))


def modules() -> Iterator[ModuleType]:
    """The modules of cost functions."""
    return (import_module(f"{ops.__name__}.{found.name}") for found in iter_modules(ops.__path__))


def helpers(module: ModuleType, **sizes: Any) -> Iterator[tuple[Callable[..., Any], Any, Any]]:
    """What cost functions of a module share: the function, its expression, and the symbol that stands for it."""
    found = (f for _, f in inspect.getmembers(module, inspect.isfunction) if f is not operator)
    mine = {f for f in found if f.__module__.startswith(ops.__name__)}
    for helper in sorted(mine - set(REGISTER), key=_line):
        given = {name: sizes.get(name, symbol(named(name))) for name in inspect.signature(helper).parameters}
        yield helper, helper(**given), symbol(f"\\text{{{helper.__name__.replace('_', ' ')}}}")


def _family(module: ModuleType, costs: Sequence[CostFunction]) -> Iterator[str]:
    """What several functions of a module share, wherever that is defined, then its cost functions with it by name."""
    shared: dict[Any, Any] = {}
    for helper, expression, sign in helpers(module):
        words = helper.__name__.replace("_", " ")
        shared[expression] = sign
        yield f"**{words}.** {documented(helper)}"
        yield formula(words, expression)
    for cost in costs:
        yield f"### {cost.__name__}"
        yield f"*{REGISTER[cost]}.* {documented(cost)}"
        for column, expression in symbolic.cost_expressions(cost).items():
            if expression != 0:
                yield formula(column, expression.subs(shared))


def _line(function: Callable[..., Any]) -> int:
    return function.__code__.co_firstlineno
