"""Values that JSON holds, checked for what can hurt whoever walks through them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from roofsim.foundation.errors import SpecError

MAX_DEPTH = 32
"""No file of those that are read is nested as deep as this."""


def parsed(text: str, path: str | Path) -> Any:
    """The value that the text of a file holds; raises SpecError for what is no JSON, or cannot be that of a tool."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise SpecError([f"{path}: {twice!r} is written twice"])
        return fields

    try:
        value = json.loads(text, object_pairs_hook=once)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SpecError([f"{path}: {where}: not valid JSON: {error.msg}"]) from None
    except RecursionError:
        raise SpecError([f"{path}: nested too deeply"]) from None
    except UnicodeEncodeError:
        raise SpecError(
            [f"{path}: not valid JSON: half of a surrogate pair (\\ud800 to \\udfff) in a string"]
        ) from None
    except ValueError:  # Python reads whole numbers of at most 4300 digits
        raise SpecError([f"{path}: not usable as JSON: a number has too many digits"]) from None
    if _depth(value) > MAX_DEPTH:
        raise SpecError([f"{path}: nested more than {MAX_DEPTH} deep"])
    return value


def _depth(value: Any) -> int:
    """How deep mappings and lists are nested, counted no further than needed."""
    level, here = 0, [value] if isinstance(value, dict | list) else []
    while here and level <= MAX_DEPTH:
        inner = [x for each in here for x in (each.values() if isinstance(each, dict) else each)]
        here = [x for x in inner if isinstance(x, dict | list)]
        level += 1
    return level
