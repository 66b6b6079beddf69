"""The points of a study: every combination of its axes, a sample of them, or those that a file lists."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from random import Random
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.spaces.axes import Axis, axes

LARGEST_PART, SMALLEST_PART, PARTS = 2**20, 2**16, 256
"""Points that are computed and kept together: at most so many, which decides the memory that a study takes; at least
so many, or so many cases, since each costs a little; between the two, so that a study has about so many parts to be
shared out among processes and to be resumed from."""

CASES = 16
"""Cases in the smallest part."""

COUNTABLE = 2**53
"""Points that a float can count; more cannot be numbered."""


@dataclass(frozen=True)
class Space:
    """Axes, and which of their combinations are asked for: all if `ordinals` is None.

    Points are numbered in the order in which the last axis varies fastest. Choices come before numbers, so that the
    points of a case, which are computed together, follow one another.
    """

    axes: tuple[Axis, ...]
    ordinals: Any = field(default=None, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values of each axis."""
        return tuple(map(len, self.axes))

    @property
    def choices(self) -> tuple[Axis, ...]:
        """The axes that are not of numbers."""
        return tuple(each for each in self.axes if not each.numeric)

    @property
    def numbers(self) -> tuple[Axis, ...]:
        """The axes of numbers."""
        return tuple(each for each in self.axes if each.numeric)

    @property
    def size(self) -> int:
        """How many points are asked for."""
        return math.prod(self.shape) if self.ordinals is None else len(self.ordinals)

    @property
    def mesh(self) -> int:
        """How many points a case has, if all are asked for."""
        return math.prod(map(len, self.numbers))

    @property
    def cases(self) -> int:
        """How many cases there are."""
        return math.prod(map(len, self.choices))

    @property
    def part(self) -> int:
        """How many points are computed and kept together."""
        least = min(SMALLEST_PART, CASES * self.mesh)
        return min(max(-(-self.size // PARTS), least), LARGEST_PART)

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.size // self.part)

    def span(self, part: int) -> tuple[int, int]:
        """The first point of a part, and the first after it."""
        return part * self.part, min((part + 1) * self.part, self.size)


def grid(given: Mapping[str, Any]) -> Space:
    """All combinations of axes; raises InputError."""
    space = Space(axes(given))
    if space.size > COUNTABLE:
        raise InputError(
            f"{space.size:,} points are more than can be numbered; take fewer values, or --sample N of them"
        )
    return space


def sampled(space: Space, count: int, seed: int) -> Space:
    """So many points of a space, drawn with a seed, none twice, in order; raises InputError if there are fewer."""
    import numpy as np

    if space.ordinals is not None:
        raise InputError("--sample: points of a file are taken as they are")
    if not 1 <= count <= space.size:
        raise InputError(f"--sample {count:,}: there are {space.size:,} points; take from 1 to as many")
    drawn = Random(seed).sample(range(space.size), count)
    return Space(space.axes, np.sort(np.array(drawn, dtype=np.int64)))


def listed(rows: Sequence[Mapping[str, Any]], others: Mapping[str, Any]) -> Space:
    """The points that rows list, each with the same names, in their order; what all have in common is in `others`."""
    import numpy as np

    if not rows:
        raise InputError("a list of points needs at least one")
    names = list(rows[0])
    for i, row in enumerate(rows):
        if list(row) != names:
            raise InputError(f"point {i + 1}: has {', '.join(row)}, but the first has {', '.join(names)}")
    if both := sorted(set(names) & set(others)):
        raise InputError(f"{', '.join(both)}: given for every point and for all of them")
    values = {name: list(dict.fromkeys(row[name] for row in rows)) for name in names}
    space = grid({**values, **others})
    if math.prod(len(each) for each in space.axes if each.name in others) > 1:
        raise InputError("beside a list of points, others take one value each")
    place = {each.name: {v: i for i, v in enumerate(values.get(each.name, ()))} for each in space.axes}
    indexes = [[place[each.name][row[each.name]] if each.name in values else 0 for row in rows] for each in space.axes]
    return Space(space.axes, np.ravel_multi_index(np.array(indexes, dtype=np.int64), space.shape))


def blocks(shape: Sequence[int], low: int, high: int) -> Iterator[tuple[slice, ...]]:
    """Open blocks of an array of this shape that follow one another and hold its elements from `low` to `high`."""
    if low >= high:
        return
    if not shape:
        yield ()
        return
    inner = math.prod(shape[1:])
    first, last = -(-low // inner), high // inner  # the rows that are whole
    row = low // inner
    if row < first:
        for rest in blocks(shape[1:], low - row * inner, min(high - row * inner, inner)):
            yield (slice(row, row + 1), *rest)
    if first < last:
        yield (slice(first, last), *(slice(0, n) for n in shape[1:]))
    if last >= first and high > last * inner:
        for rest in blocks(shape[1:], 0, high - last * inner):
            yield (slice(last, last + 1), *rest)
