"""What a page is made of, whatever it is written as."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from roofsim.foundation.values import dataclass
from roofsim.reports.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    words: str


@dataclass(frozen=True, slots=True)
class Listed:
    """Sentences, each a point of a list."""

    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A line for the shell."""

    line: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A question that people come with: what is said, within which interval, and why it is so.

    `value` is the raw number behind what is said, None where words answer. `good` says whether it is as one would wish,
    None where there is no telling.
    """

    question: str
    said: str
    value: float | None = None
    within: str = ""
    why: str = ""
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers side by side; the first is the one that others hang on."""

    rows: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure: `draw` makes it for a `theme`, `alt` says what is to be seen on it to who cannot.

    Files of it are called by its `name`.
    """

    name: str
    title: str
    alt: str
    draw: Callable[..., Figure]


Block: TypeAlias = Text | Listed | Code | Answers | Picture | Table


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page; links lead to its `key`."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A title, lines below it, sections, and a last line."""

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    foot: str
