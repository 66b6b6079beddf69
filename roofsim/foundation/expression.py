"""Small expressions in text: numbers, names, arithmetic, comparisons; nothing that could run code.

Python's own parser reads them; of what it knows, only what is listed here is let through. They are the numbers of a
family of architectures, the conditions of `--where` and the filters of runs.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from roofsim.foundation import units
from roofsim.foundation.errors import InputError, UnknownName

Lookup = Callable[[str], Any]
"""The value of a name; raises InputError where there is none."""

COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = MappingProxyType(
    {
        ast.Eq: operator.eq,
        ast.NotEq: operator.ne,
        ast.Lt: operator.lt,
        ast.LtE: operator.le,
        ast.Gt: operator.gt,
        ast.GtE: operator.ge,
        ast.In: lambda a, b: a in b,
        ast.NotIn: lambda a, b: a not in b,
    }
)
MOST_BITS = 2048
"""No number of a spec is as long: what would be is a mistake, and would be computed for ever."""


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MOST_BITS:
        raise OverflowError
    return base**exponent


BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv,
        ast.Mod: operator.mod,
        ast.Pow: _power,
    }
)
FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"ceil": math.ceil, "floor": math.floor, "min": min, "max": max, "round": round}
)

_LOGIC = (ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.Name, ast.Load,
          ast.Constant, ast.Tuple, ast.List, *COMPARE)  # fmt: skip
_ARITHMETIC = (*_LOGIC, ast.BinOp, *BINARY, ast.Call)
LONGEST = 1000
"""Characters of an expression that a person would write."""


@dataclass(frozen=True)
class Expression:
    """An expression that was read; called with what a name stands for, it gives its value."""

    text: str
    what: str

    @cached_property
    def tree(self) -> ast.expr:
        """What Python's parser made of it."""
        return ast.parse(self.text, mode="eval").body

    @cached_property
    def names(self) -> frozenset[str]:
        """The names in it, but for those of functions."""
        called = {each.func for each in ast.walk(self.tree) if isinstance(each, ast.Call)}
        return frozenset(n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name) and n not in called)

    def __call__(self, lookup: Lookup | Mapping[str, Any]) -> Any:
        """Its value; raises InputError for a name that is not there and for what cannot be computed."""
        find = lookup if callable(lookup) else _in(lookup, self.what)
        try:
            return value(self.tree, find)
        except ZeroDivisionError:
            raise InputError(f"{self.what}: '{self.text}' divides by nought") from None
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{self.what}: '{self.text}' has no value here") from None


def _in(values: Mapping[str, Any], what: str) -> Lookup:
    def find(name: str) -> Any:
        if name not in values:
            raise UnknownName(what, name, values)
        return values[name]

    return find


def parse(text: str, what: str, example: str, *, arithmetic: bool = True) -> Expression:
    """The expression in a text, which `what` leads messages about; raises InputError for what is none.

    Without `arithmetic` there are only comparisons, `and`, `or`, `not`, `in` and constants.
    """
    text = text.strip()
    try:
        tree = ast.parse(text[: LONGEST + 1], mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    if tree is None or len(text) > LONGEST:
        raise InputError(f"{what}: '{text[:60]}' cannot be read; write it like: {example}")
    for each in ast.walk(tree):
        if not _allowed(each, arithmetic):
            part = ast.get_source_segment(text, each) or type(each).__name__
            words = "comparisons, and, or, not, in and constants"
            known = f"+ - * / // % **, {', '.join(FUNCTIONS)}, {words}" if arithmetic else words
            raise InputError(f"{what}: '{part}' is not allowed; only {known}")
    return Expression(text, what)


def _allowed(node: ast.AST, arithmetic: bool) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not arithmetic:
        return isinstance(node.operand, ast.Constant) and isinstance(node.operand.value, int | float)
    if isinstance(node, ast.Call):
        return arithmetic and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords
    return isinstance(node, _ARITHMETIC if arithmetic else _LOGIC)


def value(node: ast.AST, find: Lookup) -> Any:
    """The value of a tree, all of whose nodes were let through. As in Python, `and` and `or` give an operand."""
    match node:
        case ast.BoolOp():
            stops = isinstance(node.op, ast.Or)
            found = None
            for each in node.values:
                found = value(each, find)
                if bool(found) is stops:
                    break
            return found
        case ast.UnaryOp(op=ast.Not()):
            return not value(node.operand, find)
        case ast.UnaryOp():
            return -value(node.operand, find)
        case ast.BinOp():
            return BINARY[type(node.op)](value(node.left, find), value(node.right, find))
        case ast.Call(func=ast.Name(id=called)):
            return FUNCTIONS[called](*(value(each, find) for each in node.args))
        case ast.Name():
            return find(node.id)
        case ast.Constant():
            return node.value
        case ast.Tuple() | ast.List():
            return [value(each, find) for each in node.elts]
        case ast.Compare():
            left = value(node.left, find)
            for how, right_node in zip(node.ops, node.comparators, strict=True):
                right = value(right_node, find)
                if not _holds(COMPARE[type(how)], left, right):
                    return False
                left = right
            return True
    raise TypeError(f"no value of {node}")


def _holds(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    try:
        return compare(left, right)
    except TypeError:
        return False


_QUANTITY = re.compile(r"(?<![\w.])(\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)\s*([A-Za-zµ]+(?:/s)?)(?!\w)")


def in_si(text: str) -> str:
    """A condition with its quantities as plain SI numbers: `tpot < 50 ms` becomes `tpot < 0.05`."""

    def number(match: re.Match[str]) -> str:
        for unit in MEASURED:
            if match[2].endswith(unit):
                try:
                    return repr(units.parse(f"{match[1]} {match[2]}", unit))
                except ValueError:
                    continue
        return match[0]

    return _QUANTITY.sub(number, text)


MEASURED = ("B/s", "FLOP/s", "FLOP", "B", "Hz", "J", "W", "USD", "s")
"""Units that a condition may use."""
