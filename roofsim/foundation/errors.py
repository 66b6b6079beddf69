"""The exceptions that roofsim raises on purpose.

RoofsimError
└── InputError          something the user gave cannot be used (exit code 2)
    ├── SpecError       a device, model or runtime file is wrong; one line per problem
    ├── UnknownName     no such device, model, runtime or field; says what is near
    ├── MissingExtra    an optional package is not installed; says the line that adds it here
    └── Unsupported     the specs are fine by themselves but do not go together
        └── DoesNotFit  there is no room, however it is laid out
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

LONGEST = 80
"""Letters of a value that a message quotes at most: a line of a screen."""

KEPT = 20
"""Of a longer one, letters that are shown of its end."""

_VALUES = re.compile(rf"(?<!\w)'[^'\n]{{{LONGEST + 1},}}'(?!\w)|\S{{{3 * LONGEST},}}")
"""What is in quotes, apostrophes aside, and what no space or line parts: paths may be longer than a line."""


def shortened(message: str) -> str:
    """A message in which no value is longer than a line of a screen, and all can be printed."""
    printable = message.encode(errors="backslashreplace").decode()
    return _VALUES.sub(lambda found: cut(found[0]), printable)


def cut(text: str) -> str:
    """A text that fits in a line of a screen: of a longer one its beginning and its end."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - KEPT - 3]}...{text[-KEPT:]}"


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
    return f"'{cut(text)}'"


class RoofsimError(Exception):
    """Base of all exceptions of this package."""


class InputError(RoofsimError):
    """Something the user gave cannot be used."""

    def __init__(self, message: str) -> None:
        super().__init__(shortened(message))


class SpecError(InputError):
    """A spec file is wrong.

    `problems` holds one line each, led by the file and the path inside it.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(map(shortened, problems))
        super().__init__("\n".join(self.problems))


class UnknownName(InputError):
    """No such name; the message lists the nearest of `known` and `more`, or else the first of `known`.

    A `file` is what the name may have been meant for.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], more: Iterable[str] = (), file: str = "") -> None:
        names = list(known)
        near = nearest(name, [*names, *more])
        if near:
            hint = f"; nearest: {', '.join(near)}"
        elif names:
            hint = f"; known: {', '.join(names[:MOST])}{', ...' if len(names) > MOST else ''}"
        else:
            hint = "; there are none"
        if file:
            hint = f"; the file that is here is called by its path: {file}"
        super().__init__(f"{what}: no '{name}'{hint}")


def one_of(what: str, name: str, known: Iterable[str]) -> str:
    """That there is no such word, the nearest of those that there are, and all of them."""
    words = list(known)
    near = ", ".join(nearest(name, words))
    return f"no {what} '{name}'; {f'nearest: {near}; ' if near else ''}one of {', '.join(words)}"


MOST = 12
"""How many names a message lists at most."""


class MissingExtra(InputError):
    """`what` needs packages of an extra; the message ends with the command that installs it where this runs."""

    def __init__(self, what: str, extra: str) -> None:
        from roofsim.foundation.installation import install

        super().__init__(f"{what}; install the extra `{extra}`:\n{install(extra)}")


class Unsupported(InputError):
    """The specs are valid but do not go together (a dtype without a unit, a model a runtime lacks)."""


class DoesNotFit(Unsupported):
    """There is no way to lay out a request in the memories that there are."""


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Up to three names that look like `name`, the case of letters aside."""
    from difflib import get_close_matches  # only where something is amiss

    by_lower = {each.lower(): each for each in names}
    return [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
