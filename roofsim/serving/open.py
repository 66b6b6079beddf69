"""Requests that come at a rate: how many decode, how long they wait for a step, for each other, and for a place.

Arrivals are a Poisson process. How many sequences decode changes slowly, what waits for the next step at once: so the
steps beside n sequences are a chain of their own (`chain`), which says how long a request decodes there, D(n). All n
have their share of steps, each at the rate 1 / D(n): generalised processor sharing (Cohen 1979; Kelly 1979), where the
chance of n is that of n - 1 times rate D(n) / n, whatever the lengths of answers are. Beyond the places that there are
requests wait, first come first served (Avi-Itzhak and Halfin 1988), for services that take equally long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from roofsim.engine.energy import idle_power
from roofsim.engine.passes import Later
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.model.step import Pass
from roofsim.model.step import together as join
from roofsim.prediction.steps import decode, prefill
from roofsim.serving.quantiles import PERCENTILES
from roofsim.serving.queue import Beside, Queue, Sample, shared

if TYPE_CHECKING:
    from roofsim.serving.chain import Chain
    from roofsim.serving.server import Server

APART = 1.5
"""How far apart the numbers of sequences are at which steps are looked at; between two, times are interpolated."""
RARE = 1e-4
"""What is so much rarer than the most frequent number of sequences does not count."""
SURE = 0.8
"""The share of what a full engine answers up to which simulations agree (docs/queues.md)."""


@dataclass(frozen=True)
class Steps:
    """The times of an engine's steps beside any number of sequences; what those hold is taken in the mean."""

    server: Server

    @property
    def prompt(self) -> float:
        """Tokens of a prompt that go through."""
        return float(self.server.prompt)

    @property
    def held(self) -> float:
        """Tokens that a sequence holds while it decodes."""
        return float(self.server.whole + max(self.server.w.generate - 2, 0) / 2)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of sequences up to all places, further and further apart."""
        found = [0]
        while found[-1] < self.server.most:
            found.append(min(max(found[-1] + 1, int(found[-1] * APART)), self.server.most))
        return tuple(found)

    @cached_property
    def cuts(self) -> dict[int, tuple[int, int]]:
        """Parts of a prompt, and parts that a step takes, beside each of them."""
        from roofsim.serving.chain import cut

        e = self.server.engine
        return {n: cut(max(e.tokens - n * self.server.each, 1) / self.prompt, e.whole) for n in self.numbers}

    @cached_property
    def times(self) -> dict[int, Any]:
        """Seconds of a step with 0, 1, ... parts of prompts beside each of them."""
        import numpy as np

        prompts = np.concatenate([np.arange(most + 1) / parts for parts, most in self.cuts.values()])
        lengths = [most + 1 for _, most in self.cuts.values()]
        found = self.server.steps.of(np.repeat(self.numbers, lengths), self.held, *self.pieces(prompts))[0]
        return dict(zip(self.numbers, np.split(found, np.cumsum(lengths)[:-1]), strict=True))

    @cached_property
    def alone(self) -> Any:
        """Seconds of a step without prompts, of 0, 1, ... sequences."""
        import numpy as np

        return self.server.steps.of(np.arange(self.server.most + 1), self.held)[0]

    def pieces(self, prompts: Any) -> tuple[Any, Any, Any]:
        """Pieces that so much of prompts is, tokens of each, and tokens before it, in the mean."""
        import numpy as np

        pieces = np.maximum(prompts, 1)
        new = prompts / pieces * self.prompt
        return pieces * (prompts > 0), new, self.server.whole - self.prompt + (self.prompt - new) / 2


@dataclass(frozen=True)
class Solved:
    """What follows from the steps beside all numbers of sequences that occur where requests come at a rate.

    Raises InputError for a rate at which waiting has no mean.
    """

    server: Server
    rate: float

    @property
    def _of(self) -> Steps:
        return self.server.open_steps

    @property
    def _steps(self) -> float:
        """Steps of a request after the one that ends its prompt."""
        return self.server.later

    def _chain(self, n: int) -> Chain:
        """The steps beside so many sequences; without any, an engine rests where nothing waits."""
        from roofsim.serving.chain import Chain

        of, ahead = self._of, self.server.engine.ahead
        return Chain(self.rate, of.times[n], of.cuts[n][0], ahead if n else 0, rests=not n)

    @cached_property
    def _glimpsed(self) -> dict[int, Chain]:
        """The steps beside numbers of sequences up to those that are rare where no prompt waits for another's step."""
        found: dict[int, Chain] = {}
        for n in self._of.numbers:
            found[n] = self._chain(n)
            if n and self._roughly(found)[-1] < RARE:
                break
        return found

    def _roughly(self, chains: Mapping[int, Chain]) -> Any:
        """The chances of so many sequences if all prompts fit the next step and came by themselves."""
        beside = {n: Beside(0, self._steps * each.about, 0) for n, each in chains.items()}
        return self._chances(beside)

    def _chances(self, beside: Mapping[int, Beside]) -> Any:
        found = shared(self.rate, beside, self._of.alone, math.inf)
        return () if found is None else found.chances

    @cached_property
    def _beside(self) -> tuple[dict[int, Chain], dict[int, Beside]]:
        """The steps beside the numbers of sequences that occur, and what a request sees that decodes there."""
        chains: dict[int, Chain] = {}
        beside: dict[int, Beside] = {}
        if not self._steps:
            return {0: self._chain(0)}, {0: Beside(0, 0, 0)}
        # prompts that wait make sequences more and not fewer: what is rare below without stays so
        least = int((self._roughly(self._glimpsed) > RARE).argmax())
        for n in self._of.numbers:
            if n + 1 < least / APART:
                continue
            chains[n] = self._glimpsed.get(n) or self._chain(n)
            beside[n] = self._decoding(chains[n]) if n else Beside(0, 0, 0)
            if len(chains) > 1 and self._chances(beside)[-1] < RARE:
                break
        return chains, beside

    def _decoding(self, chain: Chain) -> Beside:
        """What a request sees that decodes among such steps."""
        whole = max(round(self._steps), 1)
        seconds, close = chain.decode(whole)
        alone = self._steps * float(chain.taken[0])
        return Beside(alone, seconds * self._steps / whole - alone * float(chain.times[0]), close)

    @property
    def _chains(self) -> dict[int, Chain]:
        return self._beside[0]

    @cached_property
    def _alone(self) -> tuple[float, int]:
        """Seconds and steps of a prompt that finds nothing."""
        chain = self._chains[0]
        steps = math.ceil(chain.parts / chain.most)
        last = chain.parts - (steps - 1) * chain.most
        return float((steps - 1) * chain.times[-1] + chain.times[last]), steps

    @cached_property
    def _busy(self) -> float:
        """How much of the time in which nothing decodes prompts are at work."""
        chain = self._chains[0]
        if not self._steps:
            return chain.mean / (chain.mean + chain.rested / self.rate)
        # the last that decodes may leave while prompts are at work, and none come before those are through
        rests = float(self._chains[1].taken[0])
        return self._alone[0] / (self._alone[0] + rests / self.rate)

    @cached_property
    def _firsts(self) -> dict[int, Sample]:
        """Times to the first token beside so many."""
        import numpy as np

        found = {n: Sample.of(each.first.times) for n, each in self._chains.items() if n or not self._steps}
        if 0 in self._chains:
            if self._steps:
                found[0] = Sample.of(self._behind_the_first())
            rest = Sample(np.array([self._alone[0]]), np.array([1 - self._busy]))
            found[0] = Sample.mixed([found[0].scaled(self._busy), rest])
        return found

    def _behind_the_first(self) -> Any:
        """Times to the first token of those who find the prompt of one that came when there was nothing."""
        from roofsim.serving.chain import POINTS, counted, spread_points

        points, chain = spread_points(POINTS, 4), self._chains[1]
        gone = points[0] * self._alone[0]
        come = chain.parts * counted(points[1], self.rate * gone)
        wait, step = self._alone[0] - gone, chain.times[0]
        return chain.answered(come, wait + step * bool(chain.ahead), step, points[2:], wait).times

    @cached_property
    def _shared(self) -> Queue:
        """How many sequences decode."""
        return self._queue(self._beside[1])

    @cached_property
    def _places(self) -> Queue:
        """How many requests have a place, and how long others wait for one: prompts have places, too."""
        if not self._steps:
            return self._shared
        import numpy as np

        at, each = zip(*((n, one) for n, one in self._beside[1].items() if n), strict=True)
        decoding = np.array([one.alone * self._of.alone[n] + one.others for n, one in zip(at, each, strict=True)])
        served = decoding + np.array([self._firsts[n].mean for n in at])
        there = at * served / decoding
        numbers = np.arange(1, min(int(there[-1]), self.server.most) + 1)
        times, close = (np.interp(numbers, there, y) for y in (served, [one.close for one in each]))
        beside = {n: Beside(0, *one) for n, *one in zip(numbers.tolist(), times, close, strict=True)}
        return self._queue({0: Beside(0, 0, 0), **beside})

    def _queue(self, beside: Mapping[int, Beside]) -> Queue:
        most = self.server.most
        found = shared(self.rate, beside, self._of.alone, most)
        if found is None:
            raise InputError(
                f"rate: {self.rate:g} requests a second are within what is answered in rounds at most, "
                f"{self.server.capacity / self.server.lanes:.4g}, but not if they come as they like: with prompts in "
                f"so many steps as then, {most:,} sequences make room for fewer"
            )
        return found

    @cached_property
    def _weights(self) -> dict[int, float]:
        """How much what is known at some numbers of sequences counts for all."""
        import numpy as np

        at, n = list(self._chains), self._shared.least + self._shared.numbers
        return {each: float(np.interp(n, at, unit) @ self._shared.chances)
                for each, unit in zip(at, np.eye(len(at)), strict=True)}  # fmt: skip

    @property
    def decoding(self) -> float:
        """The sequences that decode in the mean."""
        return self._shared.mean

    @property
    def running(self) -> float:
        """The requests that are served at a time."""
        return self.present - self.rate * self._places.waits * self._places.wait

    @cached_property
    def ttft(self) -> dict[str, float]:
        """Mean and percentiles of the time to the first token."""
        found = Sample.mixed([self._firsts[n].scaled(weight) for n, weight in self._weights.items()])
        if self._places.waits:
            found = found.delayed(self._places.waits, self._places.wait)
        return {"mean": found.mean, **found.percentiles}

    @cached_property
    def itl(self) -> dict[str, float]:
        """Mean (Little's law) and percentiles of the time between two tokens."""
        if not self._steps:
            return dict.fromkeys(("mean", *PERCENTILES), 0.0)
        import numpy as np

        n, at = self._shared.least + self._shared.numbers, [n for n in self._chains if n]
        chains = [self._chains[each] for each in at]
        often = np.interp(n, at, [float(each.taken[0]) / each.mean for each in chains])
        steps = [Sample(self._of.alone[n], self._shared.chances * n * often)]
        steps += [Sample(each.times[1:], each.taken[1:] * k * self._weights[k] / each.mean)
                  for k, each in zip(at, chains, strict=True)]  # fmt: skip
        gaps, drafts = Sample.mixed(steps), self.server.drafts
        if drafts:
            gaps = Sample.mixed([Sample(gaps.seconds / made, gaps.shares * made * chance)
                                 for made, chance in enumerate(drafts.ends, 1)])  # fmt: skip
        return {"mean": self.server.between * self.decoding / (self.rate * self._steps), **gaps.percentiles}

    @property
    def cautions(self) -> tuple[str, ...]:
        """What makes all this less sure."""
        found = []
        if self.rate * self.server.lanes > SURE * self.server.capacity:
            found.append(
                f"beyond {SURE:.0%} of what a full engine answers, times are less sure than their intervals say"
            )
        levels = self._shared.levels
        if len(levels) > 1:
            found.append(
                f"two levels: {levels[0]:,} sequences decode or {levels[-1]:,}, each for long; where few do, steps are "
                "short, and few come in them. A run may show one of them alone"
            )
        return tuple(found)

    @property
    def present(self) -> float:
        """The requests that are there, waiting or served (Little's law)."""
        return self.rate * self.ttft["mean"] + self.decoding

    @cached_property
    def steps(self) -> tuple[float, float]:
        """Steps without prompts in a second, and with."""
        alone = mixed = 0.0
        for n, chain in self._chains.items():
            if n:
                each = self._weights[n] / chain.mean
                alone += each * float(chain.taken[0])
                mixed += each * float(1 - chain.taken[0])
            elif self._steps:
                mixed += self._weights[0] * self._busy / self._alone[0] * self._alone[1]
            else:
                mixed += self._busy / chain.mean
        return alone, mixed

    @cached_property
    def _passes(self) -> tuple[Pass, Pass]:
        """A step without prompts, and one with, in the mean."""
        s, w = self.server.s, self.server.w
        alone, mixed = self.steps
        together = max(self.rate * self._steps / (alone + mixed), 1.0)
        pieces, new, before = (float(each) for each in self._of.pieces(self.rate / mixed))
        step = replace(decode(s, w), batch=together, context=self._of.held)
        piece = replace(prefill(s, w), batch=pieces, new=new, context=before, begins=min(new / self._of.prompt, 1))
        return step, join([piece, *([replace(step, batch=self.decoding)] if self._steps else [])])

    @cached_property
    def figures(self) -> tuple[Later, Later]:
        """Figures of a step without prompts, and of one with."""
        alone, mixed = self.server.figures(self._passes)
        return alone, mixed

    @cached_property
    def doubtful(self) -> dict[str, Any]:
        """What is in doubt, with its slopes by parameters: work of a second, a step with a prompt, joules of a token.

        Joules are those of the steps that are run, and of the time in which there are none.
        """
        figures = self.server.figures(self._passes, self.server.doubting)
        work, spent = (
            sum(n * getattr(each, name) for n, each in zip(self.steps, figures, strict=True))
            for name in ("time", "energy")
        )
        waits = max(1 - float(work), 0.0) * float(idle_power(self.server.s.device))
        return {
            "itl": work, "ttft": figures[1].time, "round": self.server.full_round,
            "energy_per_token": self.server.ranks * (spent + waits) / (self.rate * self.server.w.generate),
        }  # fmt: skip
