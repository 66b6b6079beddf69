"""Filter expressions over runs: `op == 'e2e' and not suspect`, `value > 1e-4 or prompt_len >= 4096`.

Names are the columns of the schema and the keys in notes; a key that a row lacks is 0, one that all lack is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from roofsim.foundation import expression
from roofsim.foundation.errors import UnknownName
from roofsim.runs.reading import FLAGS, Run, notes

Filter = Callable[[Run], bool]

_FIELDS = {"prompt_len": "prompt", "context_len": "context", "gen_len": "generated"}


def parse(text: str, runs: Sequence[Run]) -> Filter:
    """The filter of these runs that an expression describes; raises InputError for what it cannot be."""
    keep = expression.parse(text, "--where", "op == 'e2e' and batch > 1", condition=True)
    known = dict.fromkeys([*_FIELDS, *Run._fields, *FLAGS])
    unknown = keep.names - known.keys()
    if unknown:
        keys = dict.fromkeys(key for note in {run.note for run in runs} for key in notes(note))
        for name in sorted(unknown - keys.keys()):
            raise UnknownName("--where: columns and keys of notes", name, known, keys)
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
