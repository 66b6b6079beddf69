"""Filter expressions over runs: `op == 'e2e' and not suspect`, `value > 1e-4 or prompt_len >= 4096`.

Names are the columns of the schema and the keys in notes; a name that a row lacks is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from roofsim.foundation import expression
from roofsim.foundation.errors import InputError
from roofsim.runs.reading import Run

Filter = Callable[[Run], bool]

_FIELDS = {"prompt_len": "prompt", "context_len": "context", "gen_len": "generated"}


def parse(text: str) -> Filter:
    """The filter that an expression describes; raises InputError for what it cannot be."""
    keep = expression.parse(text, "--where", "op == 'e2e' and batch > 1", condition=True)
    for name in keep.names:
        if "." in name:
            raise InputError(f"--where: '{name}' is not a column or a key of a note")
    return lambda run: bool(keep(lambda name: field(run, name)))


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
