"""What is wrong with a spec, in words: each problem on a line, led by where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args

from roofsim.foundation.errors import SpecError, named, nearest
from roofsim.foundation.schema import Spec, checked

S = TypeVar("S", bound=Spec)


def build(model: type[S], values: Mapping[str, Any], where: str) -> S:
    """The spec that `values` describe; raises SpecError with a line for each problem."""
    from pydantic import ValidationError

    try:
        return checked(model, values)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        # of a list whose entries are wrong pydantic says beside them that it is too short
        told = [each for each in problems if not (each["type"] == "too_short" and each["input"])]
        raise SpecError([problem_line(where, each) + _near(model, values, each) for each in told or problems]) from None
    except RecursionError:
        raise SpecError([f"{where}: nested too deeply"]) from None


def _near(model: type[Spec], values: Any, problem: Any) -> str:
    """The fields that one which there is not may have been meant for: of its kind of part, else of the whole file."""
    if problem["type"] != "unexpected_keyword_argument":
        return ""
    from roofsim.foundation.described import hints, inside

    *way, name = (step for step in problem["loc"] if step != "function-after")
    for step in way:
        values = values[step]
    specs = inside(model)
    own = [each for each in specs if "kind" in values and values["kind"] in get_args(hints(each).get("kind"))]
    near = nearest(str(name), [each.name for spec in own or specs for each in fields(spec)])
    return f"; nearest: {', '.join(near)}" if near else ""


EXAMPLES = {"Stretch": "{repeat: 2, of: [a, b]}", "Part": "{kind: mlp, width: 4096}"}
"""Groups of fields as they are written, where a list has them."""

WANTED = {
    "tuple_type": "a list ([a, b])",
    "dict_type": "a group of fields (key: value)",
    "mapping_type": "a group of fields (key: value)",
    "string_type": "text (in quotes if it looks like a number)",
}
"""What is expected, in the words of YAML."""


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
        example = EXAMPLES.get(problem.get("ctx", {}).get("class_name", ""), "key: value")
        message = f"{named(problem['input'])} is no group of fields ({example})"
    elif kind == "too_short":
        message = f"needs {problem['ctx']['min_length']} or more, not {named(problem['input'])}"
    elif kind in WANTED:
        message = f"{WANTED[kind]} is expected, not {named(problem['input'])}"
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        expected = problem.get("ctx", {}).get("expected_tags", "")
        message = f"`kind` is missing or not known; one of {expected}" if expected else "`kind` is missing"
    else:
        message = f"{message[0].lower()}{message[1:]}, not {named(problem['input'])}"
    return f"{where}: {path}: {message}" if path else f"{where}: {message}"
