"""A serving engine that users keep busy: how many steps of which kind a round of requests takes.

Every user sends a request, and the next as soon as it is answered (a closed loop); requests are alike. The engine makes
one token of each running sequence a step, and puts pieces of waiting prompts beside. Then one request after another
follows with a period, a round, in which each user is served once, and how many steps a round has is counted: the times
of two kinds of step, with prompts and without, are all that depends on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from roofsim.foundation.arith import Number, at_least, ceil, maximum, minimum, single
from roofsim.model.step import Pass, together
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, prefill
from roofsim.specs.workload import Workload

Steps = Sequence[tuple[Number, Pass]]
"""Steps, each with how often; a time is the sum of theirs."""


class Kinds(NamedTuple):
    """Something of each kind of step: with the first prompt of a round, with the others, without prompts."""

    first: Number
    others: Number
    alone: Number

    def of(self, each: Sequence[Number]) -> Number:
        """The sum of what each step takes, for so many of each kind."""
        return self.first * each[0] + self.others * each[1] + self.alone * each[2]

    def blended(self, other: Kinds, share: Number) -> Kinds:
        """A mean with a share of others."""
        return Kinds(*(a + share * (b - a) for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Engine:
    """How a server puts requests into steps: at most so many new `tokens` and `sequences` at once.

    A request that comes while a step runs waits for it, and for `ahead` steps that are laid out already. Prompts are
    cut to what fits a step, or go through `whole`.
    """

    tokens: int
    sequences: int
    ahead: int = 0
    whole: bool = False


@dataclass(frozen=True)
class Loop:
    """One round of `users` on an engine, of whom `running` are served at once; all others wait for one to end.

    Requests reach an engine one after the other: the first one finds it idle and goes alone, the others meanwhile come
    together. They end in that order, and so begin in it again.
    """

    engine: Engine
    users: Number
    running: Number
    prompt: Number
    generate: Number
    each: Number = 1

    @cached_property
    def _steps(self) -> Number:
        """Steps of a request after the one that ends its prompt."""
        return maximum(self.generate - 1, 0)

    @cached_property
    def _full(self) -> Number:
        """Tokens of prompts that a step takes, beside one of every sequence.

        They are those of whole prompts, if any fit: requests that ended together come back together, and those whose
        prompts were cut ended with the next ones.
        """
        room = maximum(self.engine.tokens - self.each * self.running, 1)
        fit = -ceil(-(room / self.prompt))
        some = at_least(fit, 1)
        return some * fit * self.prompt + (1 - some) * (self.prompt if self.engine.whole else room)

    @cached_property
    def first(self) -> Number:
        """Steps in which the first prompt goes through."""
        return ceil(self.prompt / self._full)

    @cached_property
    def others(self) -> Number:
        """Steps in which the others do."""
        return ceil((self.running - 1) * self.prompt / self._full)

    @cached_property
    def mixed(self) -> Number:
        """Steps of a round in which prompts go through."""
        return self.first + self.others

    @cached_property
    def _rest(self) -> Number:
        """The share of requests that are not the first."""
        return 1 - 1 / self.running

    @cached_property
    def _some(self) -> Number:
        """Steps with others, 1 where there are none: what is divided by them is nought then."""
        return maximum(self.others, 1)

    @cached_property
    def pieces(self) -> Number:
        """Prompts of which a part goes through a step with others."""
        return maximum((self.running - 1) / self._some, 1)

    @cached_property
    def new(self) -> tuple[Number, Number]:
        """Tokens of a piece: of the first prompt, of each other."""
        others = (self.running - 1) * self.prompt / (self._some * self.pieces)
        return self.prompt / self.first, maximum(others, 1)

    @cached_property
    def own(self) -> Number:
        """Steps in which the prompt of a request that is not the first goes through."""
        return maximum(self.others / maximum(self.running - 1, 1), 1)

    @cached_property
    def late(self) -> Number:
        """Steps that a request waits for, having come in the one after that which answered the user.

        Without others to run there are none. A request that waits for a place is at hand when there is one.
        """
        waits = at_least(self.running, self.users) + self.engine.ahead
        return waits * at_least(self.others, 1) * at_least(self._steps, 1)

    @cached_property
    def round(self) -> Number:
        """Steps of a round: those of one request, or those of all prompts where there are more."""
        return maximum(self._steps + self.first + self.late, self.mixed)

    @cached_property
    def steps(self) -> Kinds:
        """Steps of a round by kind."""
        return Kinds(self.first, self.others, self.round - self.mixed)

    @cached_property
    def waits(self) -> Number:
        """Steps that a request waits before its prompt goes through."""
        return self.round - self._steps - self.first

    @cached_property
    def gap(self) -> Number:
        """Steps without prompts after the first prompt, laid out before the others were there."""
        return minimum(minimum(self.engine.ahead, self.late), self.round - self.mixed)

    @cached_property
    def between(self) -> Number:
        """Steps without prompts between two rounds that a request may have to wait for."""
        return minimum(self.round - self.mixed - self.gap, self.late)

    def behind(self, place: int) -> Kinds:
        """What of the last steps before its own a request waits for whose prompt is in such a step of the others."""
        rest = maximum(self.late - place, 0)
        alone = minimum(self.gap, rest)
        return Kinds(rest - alone, self.late - rest, alone)

    @cached_property
    def waited(self) -> Kinds:
        """Steps that a request waits for, in the mean over requests.

        Prompts of a round follow each other, since users began together: the first one finds before it the steps
        between two rounds, and of short answers all others of the round and those before them; the next ones those
        without prompts behind the first and that one, all others prompts alone.
        """
        first: Number = 0
        before = maximum(self.waits - self.between - self.others, 0)
        alone = (minimum(self.between, self.waits) + before) / self.running
        for place in range(self.engine.ahead + 1):
            met, share = self.behind(place), at_least(self.others, place + 1) * self._rest / self._some
            first, alone = first + share * met.first, alone + share * met.alone
        return Kinds(first, self.waits - alone - first, alone)

    @cached_property
    def decoding(self) -> Number:
        """Sequences that decode in a step with prompts."""
        return self.running * maximum(minimum(self._steps, self.others - self.late), 0) / self.mixed

    @cached_property
    def decoding_alone(self) -> Number:
        """Sequences that decode in a step without prompts: all, but for where a round begins and ends."""
        left = self.running * self._steps - self.mixed * self.decoding
        return maximum(minimum(left / maximum(self.round - self.mixed, 1), self.running), 1)

    @cached_property
    def turns(self) -> Number:
        """Rounds of the engine until a user comes to be served again."""
        return self.users / self.running

    @cached_property
    def _ended(self) -> Kinds:
        """Steps up to the end of a request's own prompt, once it has a place."""
        first = self.waited.first + self.first / self.running
        return Kinds(first, self.waited.others + self._rest * self.own, self.waited.alone)

    @cached_property
    def _queued(self) -> Kinds:
        """Steps until there is a place."""
        return Kinds(*((self.turns - 1) * n for n in self.steps))

    def until_first(self, rounds: Number) -> Kinds:
        """Steps before a request's first token, its own included, in the mean over rounds that begin together.

        In the first one all prompts are there at once, and request after request goes through. Many rounds are the
        steady state.
        """
        begun = Kinds(self.first, self._rest * (self.others + self.own) / 2, 0)
        met = self._ended.blended(begun, 1 / rounds)
        return Kinds(*(a + b for a, b in zip(met, self._queued, strict=True)))

    def between_tokens(self, rounds: Number) -> Kinds:
        """What kinds a request's steps after its first token are, in the mean over rounds; they add up to one.

        Prompts that it has not met before, it meets now. After the last round nobody begins.
        """
        met = self._ended
        seen = Kinds(self.first - met.first, self.others - met.others, 0)
        last = Kinds(0, self.others / self.running + self._rest * (self.others - self.own) / 2, 0)
        now, steps = seen.blended(last, 1 / rounds), maximum(self._steps, 1)
        first = minimum(maximum(now.first, 0) / steps, 1)
        others = minimum(maximum(now.others, 0) / steps, 1 - first)
        return Kinds(first, others, 1 - first - others)


ENDLESS = float("inf")
"""Rounds of the steady state."""

Passes = tuple[Pass, Pass, Pass]
"""The kinds of step of a loop as passes of a model, in the order of `Kinds`."""


def passes(s: Setup, w: Workload, loop: Loop) -> Passes:
    """The steps of a loop whose requests are those of a workload; what sequences hold is taken in the mean.

    What of a prompt does not go through, since it was found in a cache, lies before its pieces.
    """
    begun = prefill(s, w)
    held = begun.new + maximum(w.generate - 2, 0) / 2
    step = replace(decode(s, w), context=held)
    cached = begun.new - loop.prompt
    idle = single(loop.decoding) and not float(loop.decoding)
    mixed = []
    for pieces, new, own in ((1, loop.new[0], loop.first), (loop.pieces, loop.new[1], loop.own)):
        piece = replace(begun, batch=pieces, new=new, context=cached + (loop.prompt - new) / 2, begins=1 / own)
        mixed.append(piece if idle else together([piece, replace(step, batch=loop.decoding)]))
    return mixed[0], mixed[1], replace(step, batch=loop.decoding_alone)


def first_token(loop: Loop, p: Passes, rounds: Number = ENDLESS) -> Steps:
    """The steps before a request's first token, its own included."""
    return tuple(zip(loop.until_first(rounds), p, strict=True))


def next_token(loop: Loop, p: Passes, rounds: Number = ENDLESS) -> Steps:
    """The step between two of its tokens, in the mean."""
    return tuple(zip(loop.between_tokens(rounds), p, strict=True))
