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

from roofsim.foundation.arith import Number, at_least, ceil, maximum, minimum, single
from roofsim.model.step import Pass, together
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, prefill
from roofsim.specs.workload import Workload

Steps = Sequence[tuple[Number, Pass]]
"""Steps, each with how often; a time is the sum of theirs."""


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

    The prompts of a round take `mixed` steps, with `pieces` of `new` tokens each; of a request's own steps `own` do.
    """

    engine: Engine
    users: Number
    running: Number
    prompt: Number
    generate: Number

    @cached_property
    def _steps(self) -> Number:
        """Steps of a request after the one that ends its prompt."""
        return maximum(self.generate - 1, 0)

    @cached_property
    def _full(self) -> Number:
        """Tokens of prompts that a step takes, beside one of every sequence."""
        room = maximum(self.engine.tokens - self.running, 1)
        return self.prompt * maximum(-ceil(-(room / self.prompt)), 1) if self.engine.whole else room

    @cached_property
    def mixed(self) -> Number:
        """Steps of a round in which prompts go through.

        Requests reach an engine one after the other: the first one finds it idle and goes alone, the others meanwhile
        come together. They end in that order, and so begin in it again.
        """
        return ceil(self.prompt / self._full) + ceil((self.running - 1) * self.prompt / self._full)

    @cached_property
    def pieces(self) -> Number:
        """Prompts of which a part goes through such a step."""
        return maximum(self.running / self.mixed, 1)

    @cached_property
    def new(self) -> Number:
        """Tokens of each."""
        return self.running * self.prompt / (self.mixed * self.pieces)

    @cached_property
    def own(self) -> Number:
        """Steps in which a request's own prompt goes through."""
        return maximum(self.mixed / self.running, 1)

    @cached_property
    def late(self) -> Number:
        """Steps that a request waits for, having come in the one after that which answered the user.

        It is no more than others have: without any, a request waits for nothing. One that waits for a place is at hand
        when there is one.
        """
        return minimum(at_least(self.running, self.users) + self.engine.ahead, self.mixed - self.own)

    @cached_property
    def round(self) -> Number:
        """Steps of a round: those of one request, or those of all prompts where there are more."""
        return maximum(self._steps + self.own + self.late, self.mixed)

    @cached_property
    def waits(self) -> Number:
        """Steps that a request waits before its prompt goes through."""
        return self.round - self._steps - self.own

    @cached_property
    def _waits_alone(self) -> Number:
        """Those of them in which no prompts go through, in the mean over requests.

        Prompts of a round follow each other, since users began together: the first ones find steps without any, as
        many as lie between two rounds.
        """
        between = minimum(self.round - self.mixed, self.late)
        return minimum(self.waits, between * (2 * self.late - between + 1) / (2 * self.mixed))

    @cached_property
    def _beside(self) -> Number:
        """Steps with prompts of others while a request makes its tokens."""
        return self.mixed - self.own - (self.waits - self._waits_alone)

    @cached_property
    def decoding(self) -> Number:
        """Sequences that decode in a step with prompts; in one without, all that run do."""
        return self.running * maximum(minimum(self._steps, self.mixed - self.own - self.late), 0) / self.mixed

    @cached_property
    def turns(self) -> Number:
        """Rounds of the engine until a user comes to be served again."""
        return self.users / self.running

    def first(self, rounds: Number) -> tuple[Number, Number]:
        """Steps with prompts and without before a request's first token, in the mean over rounds that begin together.

        In the first one all prompts are there at once, and request after request goes through. Many rounds are the
        steady state.
        """
        share = 1 / rounds
        queued = self.turns - 1
        mixed = self.own + self.waits - self._waits_alone + queued * self.mixed
        alone = self._waits_alone + queued * (self.round - self.mixed)
        begun = (self.mixed + self.own) / 2 + queued * self.mixed
        return mixed + share * (begun - mixed), alone + share * (queued * (self.round - self.mixed) - alone)

    def beside(self, rounds: Number) -> Number:
        """The share of a request's steps after its first token that have prompts of others, in the mean over rounds.

        After the last one nobody begins.
        """
        ended = (self.mixed - self.own) / 2
        seen = self._beside + (ended - self._beside) / rounds
        return minimum(seen / maximum(self._steps, 1), 1)


ENDLESS = float("inf")
"""Rounds of the steady state."""


@dataclass(frozen=True)
class Passes:
    """The two kinds of step of a loop as passes of a model: without prompts, and with."""

    alone: Pass
    mixed: Pass


def passes(s: Setup, w: Workload, loop: Loop) -> Passes:
    """The steps of a loop whose requests are those of a workload; what sequences hold is taken in the mean.

    What of a prompt does not go through, since it was found in a cache, lies before its pieces.
    """
    begun = prefill(s, w)
    held = begun.new + maximum(w.generate - 2, 0) / 2
    step = replace(decode(s, w), context=held)
    before = (begun.new - loop.prompt) + (loop.prompt - loop.new) / 2
    piece = replace(begun, batch=loop.pieces, new=loop.new, context=before, begins=1 / loop.own)
    alone = replace(step, batch=loop.running)
    if single(loop.decoding) and not float(loop.decoding):
        return Passes(alone, piece)
    return Passes(alone, together([piece, replace(step, batch=loop.decoding)]))


def first_token(loop: Loop, p: Passes, rounds: Number = ENDLESS) -> Steps:
    """The steps before a request's first token, its own included."""
    mixed, alone = loop.first(rounds)
    return (mixed, p.mixed), (alone, p.alone)


def next_token(loop: Loop, p: Passes, rounds: Number = ENDLESS) -> Steps:
    """The step between two of its tokens, in the mean."""
    share = loop.beside(rounds)
    return (share, p.mixed), (1 - share, p.alone)
