"""Cost formulas as SymPy expressions, for LaTeX and for checks. The one importer of SymPy."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import sympy as sp

from roofsim.engine.emit import symbolic
from roofsim.engine.graph import Graph
from roofsim.foundation.cost import Cost
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.ops.base import CostFunction


def arguments(function: CostFunction) -> tuple[str, ...]:
    """The sizes that a cost function takes."""
    return tuple(inspect.signature(function).parameters)


def cost_expressions(function: CostFunction) -> dict[str, Any]:
    """The columns of a cost in the symbols of the nomenclature."""
    cost = function(**{name: sp.Symbol(SYMBOLS[name][0], positive=True) for name in arguments(function)})
    return {each.name: sp.sympify(getattr(cost, each.name)) for each in fields(Cost)}


def expression(graph: Graph, output: Any) -> Any:
    """What a graph gives, in its variables; a dot in a name becomes an underscore."""
    functions = {
        "max": lambda *each: sp.Max(*each, evaluate=False),
        "min": lambda *each: sp.Min(*each, evaluate=False),
        "ceil": lambda above, below: sp.ceiling(above / below, evaluate=False),
        "at_least": lambda x, threshold: sp.Heaviside(x - threshold, 1, evaluate=False),
        "power": lambda base, exponent: sp.Pow(base, exponent, evaluate=False),
    }
    return symbolic(graph, output, lambda name: sp.Symbol(name.replace(".", "_"), positive=True), functions)


def latex(expression: Any) -> str:
    """LaTeX of an expression."""
    return str(sp.latex(expression))
