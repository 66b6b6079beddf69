"""What the fields of a spec mean: the text that stands below each in its class."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from roofsim.foundation.schema import Spec


def meanings(spec: type[Spec]) -> Mapping[str, str]:
    """The text below each field of a spec, those of the classes that it is made from before its own."""
    hashable: Any = spec
    return _meanings(hashable)


@cache
def _meanings(spec: Any) -> Mapping[str, str]:
    own = [each for each in reversed(spec.__mro__) if issubclass(each, Spec) and each is not Spec]
    return {name: text for each in own for name, text in _texts(each)}


def _texts(spec: type[Spec]) -> Iterator[tuple[str, str]]:
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(spec))).body
    for field, below in pairwise(made.body if isinstance(made, ast.ClassDef) else ()):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield field.target.id, " ".join(below.value.value.split())
