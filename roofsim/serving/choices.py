"""Choices of how a model is served: every combination of what there are several of, and those that can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, TypeVar

from roofsim.foundation.errors import InputError
from roofsim.model.architecture import Architecture
from roofsim.prediction.setup import Setup
from roofsim.serving.drafting import Drafts
from roofsim.serving.prefix import Prefix
from roofsim.serving.server import Server
from roofsim.specs.device import Device
from roofsim.specs.workload import Workload

A = TypeVar("A")
B = TypeVar("B")

Choice = Mapping[str, str | int]
"""How a model is served, by name: weights, cache, tp ..."""


def choices(each: Mapping[str, Sequence[Any]]) -> Iterator[tuple[Choice, dict[str, Any]]]:
    """Every combination of values by name, None for the usual one, behind what tells it from the others."""
    for values in product(*each.values()):
        chosen = dict(zip(each, values, strict=True))
        yield {name: _called(x) for name, x in chosen.items() if x is not None and len(each[name]) > 1}, chosen


def possible(
    of: Iterable[tuple[Choice, A]], made: Callable[[A], B]
) -> tuple[list[tuple[Choice, B]], dict[str, str]]:  # fmt: skip
    """What is made of each choice, and those of which nothing can be, by name, with why.

    Raises the InputError of the first of them if nothing can be made of any.
    """
    found: list[tuple[Choice, B]] = []
    refused: dict[str, InputError] = {}
    for choice, one in of:
        try:
            found.append((choice, made(one)))
        except InputError as error:
            refused[named(choice)] = error
    if not found:
        raise next(iter(refused.values()))
    return found, {name: str(error) for name, error in refused.items()}


def named(choice: Choice) -> str:
    """A choice in words."""
    return ", ".join(f"{name} {value}" if isinstance(value, int) else str(value) for name, value in choice.items())


def servers(
    each: Mapping[str, Sequence[Any]], case: Callable[[dict[str, Any]], tuple[Setup, Workload]],
    prefix: Prefix | None = None, drafts: Drafts | None = None, batch: int = 1,
) -> tuple[list[tuple[Choice, Server]], dict[str, str]]:  # fmt: skip
    """A server of each choice, with `drafts` and without, and what cannot be, by name; raises InputError if none can.

    `case` is the setup and the workload of what is chosen, `batch` that for which the most useful drafts are taken.
    """
    cases, refused = possible(choices(each), case)
    kinds: list[tuple[Choice, Drafts | None]] = [({}, None)]
    if drafts:
        kinds = [({"draft": "no draft"}, None), ({"draft": _called(drafts.draft)}, drafts)]
    found, more = possible(
        (({**told, **kind}, (*one, asked)) for told, one in cases for kind, asked in kinds),
        lambda one: Server(one[0], one[1], None, prefix, one[2].on(*one[:2], batch) if one[2] else None),
    )
    return found, {**refused, **more}


def _called(value: str | int | Device | Architecture) -> str | int:
    return value if isinstance(value, str | int) else value.id or value.name
