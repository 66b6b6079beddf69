"""Requests that share an engine: how many decode at a time, how they wait for a place, and samples of their times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from roofsim.serving.quantiles import PERCENTILES

LEVEL = 0.01
"""A number of sequences that is more frequent than its neighbours counts from this part of the most frequent one on."""


class Sample(NamedTuple):
    """Seconds, each with its share."""

    seconds: Any
    shares: Any

    @classmethod
    def of(cls, seconds: Any) -> Sample:
        """Equal shares."""
        import numpy as np

        return cls(seconds, np.full(len(seconds), 1 / len(seconds)))

    @classmethod
    def mixed(cls, parts: Sequence[Sample]) -> Sample:
        """All of several together."""
        import numpy as np

        return cls(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(self.seconds @ self.shares / self.shares.sum())

    @property
    def percentiles(self) -> dict[str, float]:
        """Their percentiles."""
        import numpy as np

        order = np.argsort(self.seconds)
        sums = np.cumsum(self.shares[order])
        places = np.searchsorted(sums, np.array(list(PERCENTILES.values())) * sums[-1])
        return dict(zip(PERCENTILES, self.seconds[order[np.minimum(places, len(order) - 1)]].tolist(), strict=True))

    def scaled(self, by: float) -> Sample:
        """The same with a share of all."""
        return Sample(self.seconds, self.shares * by)

    def delayed(self, chance: float, mean: float) -> Sample:
        """The same where some wait first, exponentially so long in the mean."""
        import numpy as np

        waits = -mean * np.log((0.5 + np.arange(len(self.seconds)) * GOLDEN) % 1 + 1e-12)
        return Sample.mixed([self.scaled(1 - chance), Sample(self.seconds + waits, self.shares * chance)])


LARGE = 1e200
"""A number that chances are divided by before they are too large to be told."""
GOLDEN = (math.sqrt(5) - 1) / 2


class Queue(NamedTuple):
    """The chances that n sequences decode, from `least` on, and how requests wait for a place: how often, how long."""

    least: int
    chances: Any
    waits: float
    wait: float

    @property
    def mean(self) -> float:
        """The sequences that decode in the mean."""
        return float(self.chances @ (self.least + self.numbers))

    @property
    def levels(self) -> list[int]:
        """The numbers of sequences that are more frequent than those about them."""
        import numpy as np

        rises = np.diff(self.chances)
        tops = 1 + np.flatnonzero((rises[:-1] > 0) & (rises[1:] <= 0))
        return [int(n) + self.least for n in tops if self.chances[n] > LEVEL * self.chances.max()]

    @property
    def numbers(self) -> Any:
        """From 0 on, as many as there are chances."""
        import numpy as np

        return np.arange(len(self.chances))


class Beside(NamedTuple):
    """What a request sees that decodes beside a number of sequences: steps without prompts, seconds of the others, and
    how many more sequences there are for it than for anybody, since prompts end in bursts.
    """

    alone: float
    others: float
    close: float


def shared(rate: float, beside: Mapping[int, Beside], alone: Any, places: float) -> Queue | None:
    """Requests at a rate that decode beside others; None where too many come for the places.

    The recursion of Kaufman (1981) and Roberts (1981), n p(n) = D(n) sum k rate(k) p(n - k): those who end their
    prompts together are a burst of k sequences. D(n) is `alone[n]` for each step without prompts, and the time of the
    others. Bursts are geometric, and as large as makes a request have so many `close` to it. Who finds no place waits
    as in a queue of which each number is as often again as the one before, but for services that take equally long:
    half as long for one place, longer for more (Cosmetatos 1976).
    """
    import numpy as np

    at, (steps, others, close) = list(beside), zip(*beside.values(), strict=True)
    most = int(min(at[-1], places))
    n = np.arange(at[0], most + 1)
    times = (np.interp(n, at, steps) * alone[n] + np.interp(n, at, others)).tolist()
    sizes = (1 + np.interp(n, at, close) / 2).tolist()
    chances, once, more = [1.0], 0.0, 0.0
    for i, (time, size) in enumerate(zip(times[1:], sizes[1:], strict=True), 1):
        again = 1 - 1 / size
        once = chances[-1] + again * once
        more = once + again * more
        chances.append(rate / size**2 * time * more / (at[0] + i))
        if chances[-1] > LARGE:
            chances, once, more = [each / LARGE for each in chances], once / LARGE, more / LARGE
    found = np.array(chances)
    if at[-1] < places:
        return Queue(at[0], found / found.sum(), 0.0, 0.0)
    ratio = rate * times[-1] / most
    if ratio >= 1:
        return None
    found[-1] /= 1 - ratio
    found /= found.sum()
    alike = (1 + (1 - ratio) * (most - 1) * (math.sqrt(4 + 5 * most) - 2) / (16 * ratio * most)) / 2
    return Queue(at[0], found, float(found[-1]), alike * ratio / rate / (1 - ratio))
