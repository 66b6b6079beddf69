"""Reading spec files: every problem of a file is reported at once, each led by where it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from roofsim.foundation.errors import LONGEST, SpecError, named
from roofsim.foundation.problems import build, problem_line
from roofsim.foundation.schema import Spec, plain
from roofsim.specs.text import read_text

MAX_DEPTH = 64
"""No spec is nested as deep as this."""

__all__ = ["build", "dump", "mapping", "model_text", "problem_line", "read_mapping"]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, strict about keys that are written twice."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{key.value}' is written twice", key.start_mark)
            seen.add(key.value)
    return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _check_events(text: str, path: Path) -> None:
    """Refuse what can hurt before anything is built: anchors, which can expand without end, deep nesting, and tags,
    which make values of other types than a spec has."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SpecError([f"{path}: line {line}: anchors and aliases (& and *) are not allowed"])
        if tag := getattr(event, "tag", None):
            raise SpecError([f"{path}: line {line}: tags ({tag[:LONGEST]}) are not allowed; write the value alone"])
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise SpecError([f"{path}: line {line}: nested more than {MAX_DEPTH} deep"])


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; raises SpecError if it does not."""
    return mapping(read_text(path), path)


def mapping(text: str, path: Path) -> dict[str, Any]:
    """The mapping that the text of a file holds; raises SpecError if it does not."""
    try:
        _check_events(text, path)
        value = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise SpecError([f"{path}: {place}not valid YAML: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:
        raise SpecError([f"{path}: not valid YAML: {' '.join(str(error).split())}"]) from None
    except RecursionError:
        raise SpecError([f"{path}: nested too deeply"]) from None
    except (ValueError, OverflowError) as error:  # dates that are none, numbers of more digits than Python reads
        said = "a number has too many digits" if "digits" in str(error) else error
        raise SpecError([f"{path}: not usable as YAML: {said}"]) from None
    if not isinstance(value, dict):
        raise SpecError([f"{path}: holds {named(value)}; a mapping (key: value) is expected"])
    return value


def dump(spec: Spec) -> str:
    """A spec as the text of a YAML file that reads back as the same spec; fields at their default are left out."""
    values = plain(spec, defaults=False)
    values.pop("id", None)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)


YAML_MAP = "tag:yaml.org,2002:map"


class _Dumper(yaml.SafeDumper):
    """Block style, but for what fits a line: parts of a layer and stretches."""


class _Line(dict[str, Any]):
    """A mapping that is written in one line."""


_Dumper.add_representer(_Line, lambda dumper, value: dumper.represent_mapping(YAML_MAP, value.items(), flow_style=True))


def model_text(values: Mapping[str, Any]) -> str:
    """A model file with these values, in their order."""
    layers = {name: [_Line(part) for part in parts] for name, parts in values["layers"].items()}
    lines = {"published_parameters"} & values.keys()
    shown = {**values, "layers": layers, "layout": [_Line(each) for each in values["layout"]]}
    shown |= {name: _Line(values[name]) for name in lines}
    return str(yaml.dump(shown, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True))
