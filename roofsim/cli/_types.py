"""What words of the command line can be: names, counts, quantities, files; what they hold, and how they complete."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from roofsim.cli._click import click
from roofsim.foundation import writing
from roofsim.foundation.errors import InputError, nearest
from roofsim.foundation.units import UNITS, finite, parse, parse_count, parse_counts, parse_short_count

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

T = TypeVar("T")

DOWNLOAD = "roofsim.download"
"""Set in a context where models may be fetched."""


class Name(click.ParamType[str]):
    """A device, model, runtime or host by name, alias or path, or one of some words; completes in the shell.

    So does the last of several that are set off by commas.
    """

    def __init__(self, kind: str, *more: str, words: tuple[str, ...] = ()) -> None:
        self.kinds = (kind, *more)
        self.words = words
        self.name = {"hardware": "device", "models": "model", "runtimes": "runtime"}.get(kind, kind.rpartition("/")[2])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as given; a model that is named as on the Hub is fetched if that is asked for."""
        if "models" in self.kinds and ctx is not None and ctx.meta.get(DOWNLOAD):
            from roofsim.adapters import hub

            for each in re.split("[,=]", value):
                if hub.is_name(each):
                    hub.download(each)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names and aliases that begin with what is typed."""
        from roofsim.cli._completion import names

        return names(self.kinds, self.words, incomplete)


class Word(click.ParamType[str]):
    """A word out of a table, or one of `more`; completes in the shell, is checked where the table is used.

    `ends` may follow a word after a colon.
    """

    name = "word"

    def __init__(
        self, table: str, home: str = "roofsim.specs.workload", more: tuple[str, ...] = (), ends: tuple[str, ...] = ()
    ) -> None:
        self.table, self.home, self.more, self.ends = table, home, more, ends

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Words that begin with what is typed, or with what follows its last comma."""
        from importlib import import_module

        from roofsim.cli._completion import listed

        words = [*self.more, *getattr(import_module(self.home), self.table)]
        word, colon, _ = incomplete.rpartition(",")[2].partition(":")
        found = [f"{word}:{end}" for end in self.ends] if colon and word in words else words
        return listed(((each, "") for each in found), incomplete)


class Change(click.ParamType[str]):
    """A change of a field, PATH=VALUE; paths, and words that a field takes, complete in the shell."""

    name = "change"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The next steps of the path, or values."""
        from roofsim.cli._completion import changes

        return changes(ctx, incomplete)


class Read(click.ParamType[T]):
    """What is read of a text; what cannot be is said by a ValueError."""

    def read(self, text: str) -> T:
        """The value of a text."""
        raise NotImplementedError

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """The value of a text, or a value as it is."""
        if not isinstance(value, str):
            found: T = value
            return found
        try:
            return self.read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Quantity(Read[float]):
    """A number with its unit: 6GiB, 50ms."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.name = UNITS[unit]

    def read(self, text: str) -> float:
        """The number in SI units."""
        return parse(text, self.unit)


class Plain(Read[float]):
    """A number without a unit: 2.5; `said` ends what is said of what is none."""

    name = "number"

    def __init__(self, said: str = "") -> None:
        self.said = said

    def read(self, text: str) -> float:
        """The number."""
        try:
            return finite(text)
        except ValueError:
            if not self.said:
                raise
            raise ValueError(f"'{text}' is not a number {self.said}") from None


class Each(Read[float]):
    """A quantity for each of something: 1J/token, 2.5USD/h."""

    def __init__(self, unit: str, of: str, example: str) -> None:
        self.unit, self.of, self.example = unit, of, example
        self.name = of

    def read(self, text: str) -> float:
        """The quantity in SI units."""
        try:
            return parse(text.removesuffix(f"/{self.of}"), self.unit)
        except ValueError:
            raise ValueError(f"'{text}' is not a quantity for each {self.of}; write it like {self.example}") from None


class Term(Read[str]):
    """A term of use, as the change that --set would make."""

    def __init__(self, word: str) -> None:
        self.name = word

    def read(self, text: str) -> str:
        """The change."""
        from roofsim.specs.terms import change_of

        return change_of(self.name, text)


class Tokens(Read[int]):
    """A count such as 4096, 32k (= 32,768) or 1.5M, and nought where that is allowed."""

    name = "count"

    def __init__(self, nought: bool = False) -> None:
        self.least = 0 if nought else 1

    def read(self, text: str) -> int:
        """The whole number."""
        return parse_count(text, self.least)


class Parameters(Read[int]):
    """A number of parameters such as 8B, 350M or 1.5T."""

    name = "parameters"

    def read(self, text: str) -> int:
        """The number."""
        return parse_short_count(text)


class Range(Read[list[int]]):
    """Counts: 4096, 1k,4k,32k or 1k..256k*2, and nought where that is allowed."""

    name = "counts"

    def __init__(self, nought: bool = False) -> None:
        self.least = 0 if nought else 1

    def read(self, text: str) -> list[int]:
        """The whole numbers."""
        return parse_counts(text, self.least)


class Choice(click.Choice[str]):
    """One of a few words; the nearest is named for another."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """What is wrong, and what may have been meant."""
        near = nearest(str(value), map(str, self.choices))
        return f"{super().get_invalid_choice_message(value, ctx)}{f' Did you mean {near[0]}?' if near else ''}"


class Several(click.ParamType[list[T]]):
    """Several of a kind, set off by commas, each once; completes the last."""

    def __init__(self, kind: click.ParamType[T]) -> None:
        self.kind = kind
        self.name = f"{kind.name}s"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[T]:
        """The values."""
        if isinstance(value, list):
            return value
        whole = "," in value and os.path.exists(value)  # a file whose name holds a comma
        words = [value] if whole else [each.strip() for each in value.split(",")]
        if not all(words):
            self.fail(f"'{value}' holds an empty value; write values like a,b,c", param, ctx)
        if twice := [each for i, each in enumerate(words) if each in words[:i]]:
            self.fail(f"'{twice[0]}' is given twice", param, ctx)
        return [self.kind.convert(each, param, ctx) for each in words]

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What one could become, behind the last comma."""
        return self.kind.shell_complete(ctx, param, incomplete)


class Target(click.ParamType[str]):
    """A file to be written: its folder must be there, before any work is done."""

    name = "file"

    def __init__(self, suffixes: tuple[str, ...] = ()) -> None:
        self.suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path as given."""
        try:
            writing.writable(value)
        except InputError as error:
            self.fail(str(error), param, ctx)
        if self.suffixes and Path(value).suffix.lower() not in self.suffixes:
            self.fail(f"'{value}' should end in {', '.join(self.suffixes)}", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The files that the shell knows."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]
