"""What is given, checked: a value of another kind than is asked for is told by its name, and what would be right."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from roofsim.foundation import units
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.schema import Spec

S = TypeVar("S", bound=Spec)

MOST_SHOWN = 60
"""Letters of a value in a message."""


def shown(value: object) -> str:
    """A value as a message has it."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def several(value: object) -> bool:
    """Whether a value is several."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | os.PathLike | Spec)


def spec(word: str, value: object, kind: type[S]) -> str | S:
    """The name or the path of a spec, or the spec itself; a path object is a path, even where a name is like it."""
    if isinstance(value, kind):
        return value
    if isinstance(value, os.PathLike):
        return path(word, value)
    if isinstance(value, str):
        if not value.strip():
            raise InputError(f"{word}: is empty; {_give(kind)}")
        return value
    more = "; roofsim.compare and roofsim.sweep take several" if several(value) else ""
    raise InputError(f"{word}: {shown(value)} is no {word}; {_give(kind)}{more}")


def _give(kind: type[Spec]) -> str:
    """What to give in the place of a spec."""
    name = kind.__name__
    return f"give a name, a path or {'an' if name[0] in 'AEIOU' else 'a'} {name}"


def specs(word: str, value: object, kind: type[S]) -> list[str | S]:
    """One spec or several."""
    each = [value] if isinstance(value, str | os.PathLike | Spec) or not several(value) else _listed(word, value)
    if not each:
        raise InputError(f"{word}: there is nothing to choose from")
    return [spec(word, one, kind) for one in each]


def _listed(word: str, value: object) -> list[object]:
    """Several values in their order."""
    if isinstance(value, Mapping | frozenset) or type(value).__name__ == "set" or not isinstance(value, Iterable):
        raise InputError(f"{word}: {shown(value)} is not a list")
    return list(value)


def path(word: str, value: object) -> str:
    """A path; one relative to the working folder begins with a dot, so that it is taken for no name."""
    if not isinstance(value, os.PathLike | str) or value == "":
        raise InputError(f"{word}: {shown(value)} is no path")
    text = os.fspath(value)
    if not isinstance(text, str) or "\0" in text:
        raise InputError(f"{word}: {shown(value)} is no path")
    return (
        text
        if isinstance(value, str) or os.path.isabs(text) or text.startswith((".", "~"))
        else os.path.join(".", text)
    )


def text(word: str, value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise InputError(f"{word}: {shown(value)} is no text")
    return value


def one_of(word: str, value: object, known: Iterable[str]) -> str:
    """A word that is known; raises UnknownName for one that is not."""
    names = list(known)
    if text(word, value) not in names:
        raise UnknownName(word, str(value), names)
    return str(value)


def flag(word: str, value: object) -> bool:
    """True or False."""
    if value is not True and value is not False:
        raise InputError(f"{word}: {shown(value)} is neither True nor False")
    return value


def number(word: str, value: object, unit: str = "", nought: bool = False) -> float:
    """A number above 0, or 0 too if that may be, in SI units or as text with its unit."""
    if isinstance(value, str):
        try:
            value = units.parse(value, unit)
        except ValueError as error:
            raise InputError(f"{word}: {error}") from None
    if hasattr(value, "item") and not getattr(value, "shape", ()):
        value = value.item()
    try:
        found = units.finite(value)
    except ValueError:
        found = math.nan
    if not (found > 0 or (nought and found == 0)):
        like = f", or text such as '{units.EXAMPLES[unit]}'" if unit in units.EXAMPLES else ""
        raise InputError(f"{word}: {shown(value)} is not a number {'from 0 on' if nought else 'above 0'}{like}")
    return found


def terms(given: object, **said: object) -> tuple[str, ...]:
    """Changes with those that terms of use are short for: text with its unit, or a number in the first that a term has,
    such as dollars an hour."""
    from roofsim.specs.terms import WORDS, change_of

    found = list(changes(given))
    for word, value in said.items():
        if value is None:
            continue
        unit = next(iter(WORDS[word][1].values()))
        text = value if isinstance(value, str) else f"{number(word, value)!r} {unit}".strip()
        try:
            found.append(change_of(word, text))
        except ValueError as error:
            raise InputError(f"{word}: {error}") from None
    return tuple(found)


def count(word: str, value: object, least: int = 1) -> int:
    """A whole number, or text such as 32k."""
    if isinstance(value, str):
        try:
            value = units.parse_count(value)
        except ValueError as error:
            raise InputError(f"{word}: {error}") from None
    if hasattr(value, "item") and not getattr(value, "shape", ()):
        value = value.item()
    try:
        return units.whole(value, least, units.MAX_COUNT)
    except ValueError:
        raise InputError(f"{word}: {shown(value)} is not a whole number from {least}") from None


def counts(word: str, value: object, least: int = 1) -> list[int]:
    """Whole numbers: one, several, or text such as 1k..64k*2."""
    if isinstance(value, str):
        try:
            return units.parse_counts(value)
        except ValueError as error:
            raise InputError(f"{word}: {error}") from None
    found = _listed(word, value) if several(value) else [value]
    if not found:
        raise InputError(f"{word}: at least one is expected")
    return [count(word, each, least) for each in found]


def ways(**given: object) -> dict[str, list[int]]:
    """Ranks by the way in which they divide a model: one or several numbers of each."""
    return {name: counts(name, value) for name, value in given.items()}


def names(word: str, value: object) -> list[str]:
    """Names: a list of them, or a text with commas."""
    found = value.split(",") if isinstance(value, str) else _listed(word, value)
    return [text(word, each).strip() for each in found]


def changes(value: object) -> tuple[str, ...]:
    """Changes of fields as --set has them: text, several, or values by path."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Mapping):
        return tuple(f"{text('set', name)}={_value(name, each)}" for name, each in value.items())
    return tuple(text("set", each) for each in _listed("set", value))


def _value(name: str, value: object) -> str:
    """A value of a field, as --set has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    raise InputError(f"set: {name}: {shown(value)} is no value of a field; write it like 2x, 500 GB/s or never")


def mapping(word: str, value: object) -> Mapping[str, object]:
    """Values by name."""
    if not isinstance(value, Mapping):
        raise InputError(f"{word}: {shown(value)} is not a mapping of values by name")
    return {text(word, name): each for name, each in value.items()}


def words(word: str, value: object) -> dict[str, str]:
    """Texts by name."""
    return {name: text(f"{word}: {name}", each) for name, each in mapping(word, value).items()}


def texts(word: str, value: object) -> Sequence[str]:
    """Several texts, or one."""
    return [value] if isinstance(value, str) else [text(word, each) for each in _listed(word, value)]
