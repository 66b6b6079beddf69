"""What a class says of the fields of a spec: what each means, in the text below it, and what it may hold."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin, get_type_hints

from roofsim.foundation.schema import Spec


def meanings(spec: type[Spec]) -> Mapping[str, str]:
    """The text below each field of a spec, those of the classes that it is made from before its own."""
    hashable: Any = spec
    return _meanings(hashable)


@cache
def _meanings(spec: Any) -> Mapping[str, str]:
    own = [each for each in reversed(spec.__mro__) if issubclass(each, Spec) and each is not Spec]
    return {name: text for each in own for name, text in _texts(each)}


def hints(spec: type[Spec]) -> Mapping[str, Any]:
    """What each field of a spec may hold."""
    hashable: Any = spec
    return _hints(hashable)


@cache
def _hints(spec: Any) -> Mapping[str, Any]:
    return get_type_hints(spec)


def types(hint: Any) -> Iterator[Any]:
    """What a field may hold, and what that is made of; words are left together."""
    yield hint
    if get_origin(hint) is not Literal:
        for each in get_args(hint):
            yield from types(each)


def inside(spec: type[Spec]) -> list[type[Spec]]:
    """A spec and all that it is made of, with the kinds of each that are known so far."""
    found, todo = dict.fromkeys([spec]), [spec]
    while todo:
        each = todo.pop()
        held = [x for hint in hints(each).values() for x in types(hint) if isinstance(x, type) and issubclass(x, Spec)]
        fresh = [x for x in (*each.__subclasses__(), *held) if x not in found]
        found |= dict.fromkeys(fresh)
        todo += fresh
    return list(found)


def _texts(spec: type[Spec]) -> Iterator[tuple[str, str]]:
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(spec))).body
    for field, below in pairwise(made.body if isinstance(made, ast.ClassDef) else ()):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield field.target.id, " ".join(below.value.value.split())
