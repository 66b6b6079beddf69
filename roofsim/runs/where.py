"""Filter expressions over runs: `op == 'e2e' and not suspect`, `value > 1e-4 or prompt_len >= 4096`.

Names are the columns of the schema and the keys in notes; a name that a row lacks is 0. Python's own parser reads
the expression, of which only comparisons, `and`, `or`, `not`, `in` and constants are let through.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.runs.reading import Run

Filter = Callable[[Run], bool]

_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = MappingProxyType(
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
_FIELDS = {"prompt_len": "prompt", "context_len": "context", "gen_len": "generated"}


def parse(text: str) -> Filter:
    """The filter that an expression describes; raises InputError for what it cannot be."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(f"--where: '{text}' cannot be read; write it like: op == 'e2e' and batch > 1") from None
    _check(tree, text)

    def keep(run: Run) -> bool:
        return bool(_value(tree, run))

    return keep


def _check(node: ast.AST, text: str) -> None:
    allowed = (ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.Name, ast.Load,
               ast.Constant, ast.Tuple, ast.List, *_COMPARE)  # fmt: skip
    for each in ast.walk(node):
        negated = each.operand if isinstance(each, ast.UnaryOp) and isinstance(each.op, ast.USub) else None
        number = negated is None or (isinstance(negated, ast.Constant) and isinstance(negated.value, int | float))
        if not isinstance(each, allowed) or not number:
            part = ast.get_source_segment(text.strip(), each) or type(each).__name__
            raise InputError(f"--where: '{part}' is not allowed; only comparisons, and, or, not, in and constants")


def _value(node: ast.AST, run: Run) -> Any:
    match node:
        case ast.BoolOp(op=ast.And()):
            return all(_value(each, run) for each in node.values)
        case ast.BoolOp():
            return any(_value(each, run) for each in node.values)
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, run)
        case ast.UnaryOp():
            return -_value(node.operand, run)
        case ast.Name():
            return field(run, node.id)
        case ast.Constant():
            return node.value
        case ast.Tuple() | ast.List():
            return [_value(each, run) for each in node.elts]
        case ast.Compare():
            left = _value(node.left, run)
            for how, right_node in zip(node.ops, node.comparators, strict=True):
                right = _value(right_node, run)
                if not _holds(_COMPARE[type(how)], left, right):
                    return False
                left = right
            return True
    raise TypeError(f"no value of {node}")


def _holds(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    try:
        return compare(left, right)
    except TypeError:
        return False


def field(run: Run, name: str) -> Any:
    """A column or a key of the note; numbers as numbers, 0 for what is not there."""
    attribute = _FIELDS.get(name, name)
    if attribute in Run._fields:
        value = getattr(run, attribute)
        return 0 if value is None else value
    text = run.notes.get(name) or "0"
    try:
        return float(text.split()[0])
    except ValueError:
        return text
