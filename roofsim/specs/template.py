"""A spec file to start from: every field with what it decides, said by the class that will read it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import yaml

from roofsim.foundation import units
from roofsim.foundation.described import hints, meanings, types
from roofsim.foundation.quantity import Sourced, Valued
from roofsim.foundation.schema import Spec, default
from roofsim.model.meanings import meaning_of
from roofsim.model.part import PARTS, Part

WIDTH = 100
"""Columns of a line, where it can be broken."""

UNSAID = ("id", "aliases")
"""Fields that a file of one's own has no use for: it is called by its path."""

LAST = "sources"

OFF = "#"
"""How a line begins that is not set; a # with a blank behind it is a comment."""


def template(spec: type[Spec], values: Mapping[str, Any], examples: Mapping[str, Any], about: Sequence[str]) -> str:
    """The text of a file with these values.

    Fields that have none are shown switched off: as `examples` have them, else as they are if nothing is said.
    """
    lines = [line for paragraph in about for line in _comment(paragraph)]
    for each in sorted(fields(spec), key=lambda each: each.name == LAST):
        if each.name not in UNSAID:
            lines += ["", *_field(spec, each, values, examples)]
    return "\n".join(lines) + "\n"


def required(spec: type[Spec], values: Mapping[str, Any], more: Sequence[str] = ()) -> dict[str, Any]:
    """Of the values of a file those that must be there, and `more` of its fields by their paths."""
    kept = {}
    for each in fields(spec):
        if each.name in values and (default(each) is MISSING or each.name in more):
            group = _group(spec, each)
            below = [path.removeprefix(f"{each.name}.") for path in more if path.startswith(f"{each.name}.")]
            kept[each.name] = required(group, values[each.name], below) if group else values[each.name]
    return kept


def alone(value: Any) -> Any:
    """What a file holds, every quantity as its number alone."""
    if isinstance(value, Mapping):
        number = value.get("value") if value.keys() <= {"value", "source", "note"} else None
        return {key: alone(each) for key, each in value.items()} if number is None else number
    return [alone(each) for each in value] if isinstance(value, list | tuple) else value


def _field(spec: type[Spec], field: Field[Any], values: Mapping[str, Any], examples: Mapping[str, Any]) -> list[str]:
    """The lines of a field, comments first."""
    name, group = field.name, _group(spec, field)
    given = name in values and (group is None or bool(values[name]))
    value = values[name] if given else examples.get(name, None if default(field) is MISSING else default(field))
    kinds = list(dict.fromkeys(_kinds(value))) if Part in types(hints(spec)[field.name]) else []
    said = " ".join(filter(None, [meanings(spec).get(name, ""), _allowed(hints(spec)[field.name])]))
    lines = [*_comment(said), *(line for kind in kinds for line in _comment(_about_kind(kind)))]
    if group is None or (value is None and not given):
        text = list(_written(name, value))
        return [*lines, *(text if given else [OFF + line for line in text])]
    inner = dict(value) if isinstance(value, Mapping) else {}
    held = examples.get(name)
    more = held if isinstance(held, Mapping) else {}
    below: list[str] = []
    for each in fields(group):
        below += _field(group, each, inner if given else {**_defaults(group), **inner}, more)
    lines += [f"{name}:", *(f"  {line}" for line in below)] if given else []
    return lines if given else [*lines, *(OFF + line for line in [f"{name}:", *(f"  {line}" for line in below)])]


def _defaults(group: type[Spec]) -> dict[str, Any]:
    """The fields of a group that may be left out, as they are then."""
    return {each.name: default(each) for each in fields(group) if default(each) is not MISSING}


def _written(name: str, value: Any) -> Iterator[str]:
    """A field in one line if it fits, else an entry a line."""
    flow = _flow(value)
    entries = isinstance(value, Mapping) or any(isinstance(each, Mapping | list | tuple) for each in _listed(value))
    if not value or not entries or (len(name) + len(flow) < WIDTH and not _deep(value)):
        yield f"{name}: {flow}"
    elif isinstance(value, Mapping):
        yield f"{name}:"
        for key, each in value.items():
            yield from (f"  {line}" for line in _written(_flow(key), each))
    else:
        yield f"{name}:"
        yield from (f"  - {_flow(each)}" for each in value)


def _deep(value: Any) -> bool:
    """Whether there are groups inside a group."""
    return any(isinstance(each, Mapping | list | tuple) for each in _listed(value))


def _listed(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list | tuple) else ()


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        _plain(value), default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return str(text).removesuffix("...\n").strip()


def _plain(value: Any) -> Any:
    """In the types that YAML knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, str) else value


def _comment(text: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    return [line.replace(TOGETHER, " ") for line in lines]


TOGETHER = "\u00a0"
"""A blank at which no line is broken."""


def _group(spec: type[Spec], field: Field[Any]) -> type[Spec] | None:
    """The spec that a field holds, if it is a group of fields and no quantity."""
    hint = hints(spec)[field.name]
    options = [each for each in (get_args(hint) or (hint,)) if each is not NoneType]
    (only,) = options if len(options) == 1 else (None,)
    return only if isinstance(only, type) and issubclass(only, Spec) and not issubclass(only, Valued) else None


def _allowed(hint: Any) -> str:
    """The words that a field may be, and the unit of its quantities."""
    words = [word for each in types(hint) if get_origin(each) is Literal for word in get_args(each)]
    units_ = {each.unit: None for each in types(hint) if isinstance(each, type) and issubclass(each, Sourced)}
    said = [f"One of: {', '.join(words)}." if words and Mapping not in _origins(hint) else ""]
    said += [f"By: {', '.join(words)}."] if words and Mapping in _origins(hint) else []
    said += [f"In {unit}, like {units.EXAMPLES[unit].replace(' ', TOGETHER)}." for unit in units_ if unit]
    said += [f"Kinds: {', '.join(PARTS)}."] if Part in types(hint) else []
    return " ".join(filter(None, said))


def _origins(hint: Any) -> list[Any]:
    return [get_origin(each) for each in types(hint)]


def _kinds(value: Any) -> Iterator[str]:
    """The kinds of part in the layers of a model."""
    if isinstance(value, Mapping) and value.get("kind") in PARTS:
        yield str(value["kind"])
    for each in _listed(value):
        yield from _kinds(each)


def _about_kind(kind: str) -> str:
    """What a kind of part computes, and its fields."""
    part = PARTS[kind]
    summary = " ".join((part.__doc__ or "").split("\n\n")[0].split())
    named = {each.name: each for each in fields(part) if each.name != "kind"}
    must = [_told(kind, name) for name, each in named.items() if default(each) is MISSING]
    may = [_told(kind, name) for name, each in named.items() if default(each) is not MISSING]
    more = f" May be given: {'; '.join(may)}." if may else ""
    return f"{kind} - {summary} Fields: {'; '.join(must)}.{more}"


def _told(kind: str, name: str) -> str:
    return f"{name} ({meaning_of(kind, name)})"
