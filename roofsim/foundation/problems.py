"""What is wrong with a spec, in words: each problem on a line, led by where it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from roofsim.foundation.errors import SpecError
from roofsim.foundation.schema import Spec, checked

S = TypeVar("S", bound=Spec)


def build(model: type[S], values: Mapping[str, Any], where: str) -> S:
    """The spec that `values` describe; raises SpecError with a line for each problem."""
    from pydantic import ValidationError

    try:
        return checked(model, values)
    except ValidationError as error:
        raise SpecError([problem_line(where, problem) for problem in error.errors(include_url=False)]) from None
    except RecursionError:
        raise SpecError([f"{where}: nested too deeply"]) from None


def problem_line(where: str, problem: Any) -> str:
    """One line for one of pydantic's problems, led by where it is."""
    steps = [str(step) for step in problem["loc"] if step not in ("function-after",)]
    kind, message = problem["type"], problem["msg"]
    if steps[-1:] == ["value"] and kind != "missing":
        steps.pop()  # a quantity is wrong, whether its number stands alone or beside its source
    path = ".".join(steps)
    if kind == "unexpected_keyword_argument":
        message = "no such field"
    elif kind == "missing":
        message = "is missing"
    elif kind == "value_error":
        message = str(problem["ctx"]["error"])
    elif kind == "dataclass_type":
        message = f"{named(problem['input'])} is no group of fields"
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        expected = problem.get("ctx", {}).get("expected_tags", "")
        message = f"`kind` is missing or not known; one of {expected}" if expected else "`kind` is missing"
    else:
        message = f"{message[0].lower()}{message[1:]}, not {named(problem['input'])}"
    return f"{where}: {path}: {message}" if path else f"{where}: {message}"


def named(value: Any) -> str:
    """What was read, short enough for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, float) and not math.isfinite(value):
        return f"the number {value}"
    if isinstance(value, dict | list | tuple):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    if isinstance(value, int) and not -(10**30) < value < 10**30:
        return "a number of more than 30 digits"
    text = str(value)
    return f"'{text[:57]}...'" if len(text) > 60 else f"'{text}'"
