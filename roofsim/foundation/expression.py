"""Expressions over named numbers: `tpot < 50ms and memory <= capacity`, `energy / (batch * generate)`.

Python's own parser reads them, of which arithmetic, comparisons, `and`, `or`, `not`, `in`, a few functions and
constants are let through. Values may be numbers, words, or NumPy arrays that broadcast.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from roofsim.foundation import units
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass

COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ast.Eq: operator.eq,
        ast.NotEq: operator.ne,
        ast.Lt: operator.lt,
        ast.LtE: operator.le,
        ast.Gt: operator.gt,
        ast.GtE: operator.ge,
        ast.In: lambda a, b: _any([a == each for each in b]) if isinstance(b, list) else a in b,
        ast.NotIn: lambda a, b: _not(COMPARE[ast.In](a, b)),
    }
)
COMPUTE: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv,
        ast.Mod: operator.mod,
        ast.Pow: operator.pow,
    }
)


def _elementwise(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*values: Any) -> Any:
        if not any(hasattr(each, "shape") for each in values):
            return plain(*values)
        import numpy as np

        function = getattr(np, name)
        made = values[0] if len(values) > 1 else function(values[0])
        for each in values[1:]:
            made = function(made, each)
        return made

    return apply


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "min": _elementwise("minimum", min),
        "max": _elementwise("maximum", max),
        "abs": _elementwise("abs", abs),
        "ceil": _elementwise("ceil", math.ceil),
        "floor": _elementwise("floor", math.floor),
        "round": _elementwise("round", round),
        "sqrt": _elementwise("sqrt", math.sqrt),
        "log": _elementwise("log", math.log),
        "log2": _elementwise("log2", math.log2),
        "exp": _elementwise("exp", math.exp),
    }
)
"""What an expression may call."""

SEVERAL = ("min", "max")
"""Of these, what takes several values."""

DEEPEST = 50
"""Levels of nesting that are read; nobody writes more by hand, and each is a call."""

_PIECES = re.compile(r"""("[^"]*"|'[^']*')|(?<![\w.])(\d[\d_,]*\.?\d*(?:[eE][+-]?\d+)?) ?([A-Za-zµμ%][A-Za-zµμ/]*)""")


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read: its text, the option that it is from, and the names that it asks for."""

    text: str
    what: str
    names: frozenset[str]
    _tree: ast.expr

    def __call__(self, value: Callable[[str], Any]) -> Any:
        """What it is worth, with `value` for each name; raises InputError where words are computed with."""
        try:
            return _value(self._tree, value)
        except TypeError:
            raise InputError(f"{self.what}: '{_cut(self.text)}' computes with a word") from None


def parse(text: str, what: str, example: str, *, condition: bool = False) -> Expression:
    """The expression in a text; `what` names the option that it is from in messages.

    A `condition` is true or false. Raises InputError for what it cannot be.
    """
    text = text.strip()
    try:
        tree = ast.parse(_in_si(text), mode="eval").body
        depth = _depth(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(f"{what}: '{_cut(text)}' cannot be read; write it like: {example}") from None
    if depth > DEEPEST:
        raise InputError(f"{what}: '{_cut(text)}' is nested {depth} deep; {DEEPEST} levels are read")
    names: set[str] = set()
    _check(tree, what, names)
    is_value = isinstance(tree, ast.BinOp | ast.Call | ast.Constant | ast.Tuple | ast.List)
    if condition and (is_value or (isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub))):
        raise InputError(f"{what}: '{_cut(text)}' is a value, not a condition; write it like: {example}")
    return Expression(text, what, frozenset(names), tree)


def most(condition: Expression) -> dict[str, float]:
    """What a condition allows at most, by name: of its parts joined by `and`, those that say `name < number`."""
    found: dict[str, float] = {}

    def look(node: ast.expr) -> None:
        match node:
            case ast.BoolOp(op=ast.And(), values=parts):
                for each in parts:
                    look(each)
            case ast.Compare(left=ast.Name(id=name), ops=[ast.Lt() | ast.LtE()], comparators=[right]):
                bound(name, right)
            case ast.Compare(left=left, ops=[ast.Gt() | ast.GtE()], comparators=[ast.Name(id=name)]):
                bound(name, left)

    def bound(name: str, node: ast.expr) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            found[name] = min(float(node.value), found.get(name, math.inf))

    look(condition._tree)
    return found


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _in_si(text: str) -> str:
    """The text with every quantity, such as 50ms, 6 GiB or 16k, as a plain number; words in quotes stay."""

    def number(match: re.Match[str]) -> str:
        quoted, amount, unit = match.groups()
        if quoted:
            return str(match[0])
        for known in units.UNITS:
            if known:
                try:
                    return repr(units.parse(f"{amount} {unit}", known))
                except ValueError:
                    continue
        try:
            return repr(units.parse_count(amount + unit))
        except ValueError:
            return str(match[0])

    return _PIECES.sub(number, text)


def _depth(node: ast.AST) -> int:
    """Levels of nesting."""
    level, depth = [node], 0
    while level:
        level, depth = [child for each in level for child in ast.iter_child_nodes(each)], depth + 1
    return depth


def _check(node: ast.expr, what: str, names: set[str]) -> None:
    """Raises InputError for what is not let through; collects the names."""
    match node:
        case ast.Name() | ast.Attribute():
            names.add(_dotted(node, what))
        case ast.Constant(value=bool() | str()):
            pass
        case ast.Constant(value=int() | float() as number):
            try:
                units.finite(number)
            except ValueError as error:
                raise InputError(f"{what}: {error}") from None
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
            for each in parts:
                _check(each, what, names)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=inner):
            _check(inner, what, names)
        case ast.BinOp(left=left, right=right) if type(node.op) in COMPUTE:
            _check(left, what, names)
            _check(right, what, names)
        case ast.Compare(left=left, comparators=others) if all(type(op) in COMPARE for op in node.ops):
            for each in (left, *others):
                _check(each, what, names)
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as given, keywords=[]) if name in FUNCTIONS:
            if (len(given) < 2) if name in SEVERAL else (len(given) != 1):
                wanted = "several values" if name in SEVERAL else "one value"
                raise InputError(f"{what}: {name} takes {wanted}, not {len(given)}")
            for each in given:
                _check(each, what, names)
        case _:
            raise InputError(
                f"{what}: '{_cut(ast.unparse(node))}' is not allowed; only arithmetic, comparisons, and, or, not, in, "
                f"constants and {', '.join(FUNCTIONS)}"
            )


def _dotted(node: ast.expr, what: str) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=inner, attr=name):
            return f"{_dotted(inner, what)}.{name}"
    raise InputError(f"{what}: '{_cut(ast.unparse(node))}' is not a name")


def _value(node: ast.AST, value: Callable[[str], Any]) -> Any:
    match node:
        case ast.BoolOp(op=ast.And()):
            return _all([_value(each, value) for each in node.values])
        case ast.BoolOp():
            return _any([_value(each, value) for each in node.values])
        case ast.UnaryOp(op=ast.Not()):
            return _not(_value(node.operand, value))
        case ast.UnaryOp():
            return _computed(operator.neg, _value(node.operand, value))
        case ast.BinOp():
            return _computed(COMPUTE[type(node.op)], _value(node.left, value), _value(node.right, value))
        case ast.Call(func=ast.Name(id=name)):
            return _computed(FUNCTIONS[name], *(_value(each, value) for each in node.args))
        case ast.Name() | ast.Attribute():
            return value(_dotted(node, ""))
        case ast.Constant():
            return node.value
        case ast.Tuple() | ast.List():
            return [_value(each, value) for each in node.elts]
        case ast.Compare():
            held, left = [], _value(node.left, value)
            for how, other in zip(node.ops, node.comparators, strict=True):
                right = _value(other, value)
                held.append(_holds(COMPARE[type(how)], left, right))
                left = right
            return _all(held)
    raise TypeError(f"no value of {node}")


def _computed(compute: Callable[..., Any], *given: Any) -> Any:
    """In float64 throughout: a whole number to the power of another could fill the memory."""
    try:
        return compute(*(float(each) if isinstance(each, int) else each for each in given))
    except (ArithmeticError, ValueError):  # as arrays have it: no number
        return math.nan


def _holds(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    try:
        return compare(left, right)
    except TypeError:  # a word and a number
        return False


def _truth(x: Any) -> Any:
    return x != 0 if hasattr(x, "shape") else bool(x)


def _all(parts: list[Any]) -> Any:
    held = _truth(parts[0])
    for each in parts[1:]:
        held = held & _truth(each)
    return held


def _any(parts: list[Any]) -> Any:
    held: Any = False
    for each in parts:
        held = held | _truth(each)
    return held


def _not(x: Any) -> Any:
    truth = _truth(x)
    return ~truth if hasattr(truth, "shape") else not truth
