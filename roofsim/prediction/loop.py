"""A serving engine that users keep busy: how many steps of which kind a round of requests takes.

Every user sends a request, and the next as soon as it is answered (a closed loop); requests are alike. The engine makes
one token of each running sequence a step, and puts pieces of waiting prompts beside. Then one request after another
follows with a period, a round, in which each user is served once, and how many steps a round has is counted: the times
of two kinds of step, with prompts and without, are all that depends on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import cached_property
from math import comb
from typing import NamedTuple

from roofsim.foundation.arith import Number, at_least, ceil, maximum, minimum, single
from roofsim.foundation.values import dataclass
from roofsim.model.step import Pass, together
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, prefill
from roofsim.specs.workload import Workload

ENDLESS = float("inf")
"""Rounds of the steady state."""

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

    def scaled(self, by: Number) -> Kinds:
        """So many times as many of each."""
        return Kinds(*(by * n for n in self))

    def blended(self, other: Kinds, share: Number) -> Kinds:
        """A mean with a share of others."""
        return Kinds(*(a + share * (b - a) for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Engine:
    """How a server puts requests into steps: at most so many new `tokens` and `sequences` at once.

    A request that comes while a step runs waits for it, and for `ahead` steps that are laid out already. Prompts are
    cut to what fits a step, or go through `whole`. Where steps are not `mixed`, prompts go first, in steps of their
    own, while sequences that have begun wait.
    """

    tokens: int
    sequences: int
    ahead: int = 0
    whole: bool = False
    mixed: bool = True


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
    slip: int = 0
    """Steps that requests wait for beyond what is laid out, less than none if they are in time for one before it."""
    put_back: Number = 0
    """How often a request gives up its place, in the mean; what it held then is computed again beside the prompts."""
    put_off: Number = 1 / 4
    """The part of a round that it waits for another then: none if others end one by one, a half if all end together."""
    gone: Number = ENDLESS
    """Rounds that have gone before, in the mean over those that are looked at."""
    each: Number = 1
    """Tokens that a step computes for each sequence that generates: more than one where a draft is verified."""

    @cached_property
    def _steps(self) -> Number:
        """Steps of a request after the one that ends its prompt."""
        return maximum(self.generate - 1, 0)

    @cached_property
    def _full(self) -> Number:
        """Tokens of prompts that a step takes, beside one of every sequence.

        They are those of whole prompts, if any fit: requests that ended together come back together, and those whose
        prompts were cut ended with the next ones. Where users wait for places, those take the places of who ended; who
        comes back finds one when others end, in a step of their own: so that as many go together as wait. Those who
        gave up places go first, so that it is not so there.
        """
        room = maximum(self.engine.tokens - self.engine.mixed * self.each * self.running, 1)
        fit = -ceil(-(room / self.prompt))
        some = at_least(fit, 1)
        apart = self._crowded * (1 - at_least(self.put_back, NEAR))
        fit = minimum(fit, maximum(self._waiting, (1 - apart) * fit))
        return some * fit * self.prompt + (1 - some) * (self.prompt if self.engine.whole else room)

    @cached_property
    def _waiting(self) -> Number:
        """Users who wait for their first place, one at least."""
        return maximum(self.users - self.running, 1)

    @cached_property
    def _crowded(self) -> Number:
        """1 if there are any, 0 if not."""
        return 1 - at_least(self.running * (1 + self.away) * (1 + NEAR), self.users)

    @cached_property
    def first(self) -> Number:
        """Steps in which the first prompt goes through."""
        return ceil(self.prompt / self._full)

    @cached_property
    def _again(self) -> Number:
        """Tokens that a request computes again: each time its prompt and what it had made of its answer, half of it."""
        return self.put_back * (self.prompt + self.generate / 2)

    @cached_property
    def _behind(self) -> tuple[Number, Number]:
        """Sequences that go through behind the first prompt of a round, and their tokens in all."""
        others = self.running - 1
        return others + self.running * self.put_back, others * self.prompt + self.running * self._again

    @cached_property
    def others(self) -> Number:
        """Steps in which the others do.

        In the first round prompts fill steps and are cut, so that one more ends in each than fits whole. They come back
        together, the last one is cut and ends with the next ones, which then are one too many: in every round one group
        more has what fits whole, until all have.
        """
        tokens = self._behind[1]
        whole = tokens / self._full
        if self.engine.whole or (single(self.gone) and float(self.gone) == ENDLESS):
            return ceil(whole)
        room = maximum(self.engine.tokens - self.running, 1)
        return ceil(minimum(whole, tokens / room + self.gone / (1 - ceil(-(room / self.prompt)))))

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
        return maximum(self._behind[0] / self._some, 1)

    @cached_property
    def new(self) -> tuple[Number, Number]:
        """Tokens of a piece: of the first prompt, of each other."""
        return self.prompt / self.first, maximum(self._behind[1] / (self._some * self.pieces), 1)

    @cached_property
    def own(self) -> Number:
        """Steps in which the prompt of a request that is not the first goes through."""
        share = self.prompt / maximum(self._behind[1], 1)
        return maximum(self.others * share, 1)

    @cached_property
    def late(self) -> Number:
        """Steps that a request waits for, having come in the one after that which answered the user.

        Without others to run there are none. A request that waits for a place is at hand when there is one.
        """
        return self.engine.mixed * self._looked_at * at_least(self.others, 1) * at_least(self._steps, 1)

    @property
    def _looked_at(self) -> Number:
        """Steps until the server looks at who has come."""
        return maximum(1 - self._crowded + self.engine.ahead + self.slip, 0)

    @cached_property
    def away(self) -> Number:
        """Rounds in which a request has begun and has no place, in the mean."""
        return self.put_back * self.put_off

    @cached_property
    def round(self) -> Number:
        """Steps of a round: those of one request, or those of all prompts where there are more; or both."""
        if not self.engine.mixed:
            return self._steps + self.mixed
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
        return self.engine.mixed * self.running * maximum(minimum(self._steps, self.others - self.late), 0) / self.mixed

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
        if not self.engine.mixed:
            return self._begun
        first = self.waited.first + self.first / self.running
        return Kinds(first, self.waited.others + self._rest * self.own, self.waited.alone)

    @cached_property
    def _queued(self) -> Kinds:
        """Steps until there is a place."""
        return Kinds(*(self._queue * n for n in self.steps))

    @cached_property
    def _queue(self) -> Number:
        """Rounds in which a request waits for its first place."""
        return maximum(self.turns - 1 - self.away, 0)

    def until_first(self, rounds: Number) -> Kinds:
        """Steps before a request's first token, its own included, in the mean over rounds that begin together.

        In the first one all prompts are there at once, and request after request goes through; who finds no place then
        waits for half of the others in the mean. Many rounds are the steady state.
        """
        met = self._ended.blended(self._begun, 1 / self._turns_in(rounds))
        return Kinds(*(a + b * (1 - 1 / (2 * rounds)) for a, b in zip(met, self._queued, strict=True)))

    @cached_property
    def _begun(self) -> Kinds:
        """The same where all begin at once: with none beside them prompts follow each other."""
        return Kinds(self.first, self._rest * (self.others + self.own) / 2, 0)

    def _turns_in(self, rounds: Number) -> Number:
        """Rounds of the engine in so many of the users: all prompts come with the first, after the last none begins."""
        return rounds * maximum(self.turns, 1)

    def between_tokens(self, rounds: Number) -> Kinds:
        """The steps from one token of a request to the next, in the mean over rounds, with those it has no place in."""
        away = self.away / maximum(self._steps, 1)
        return Kinds(*(n + away * all_ for n, all_ in zip(self.gaps(rounds), self.steps, strict=True)))

    def gaps(self, rounds: Number) -> Kinds:
        """What kinds a request's steps after its first token are, in the mean over rounds; they add up to one.

        Prompts that it has not met before, it meets now. After the last round nobody begins. Where prompts have steps
        of their own, these are beside the one that each token takes.
        """
        met = self._ended
        seen = Kinds(self.steps.first - met.first, self.steps.others - met.others, 0)
        last = Kinds(0, self.others / self.running + self._rest * (self.others - self.own) / 2, 0)
        now, steps = seen.blended(last, 1 / self._turns_in(rounds)), maximum(self._steps, 1)
        first, others = maximum(now.first, 0) / steps, maximum(now.others, 0) / steps
        if not self.engine.mixed:
            return Kinds(first, others, 1)
        first = minimum(first, 1)
        others = minimum(others, 1 - first)
        return Kinds(first, others, 1 - first - others)

    def first_tokens(self, rounds: float) -> list[tuple[float, Kinds]]:
        """The steps before the first tokens of requests, each with its share, for numbers.

        In the first of so many rounds all prompts are there at once.
        """
        others, own = int(float(self.others)), self.own
        begun = [(1 / float(self.running), Kinds(self.first, 0, 0))]
        share = float(self._rest / self._some)
        begun += [(share, Kinds(self.first, maximum(j, own), 0)) for j in range(1, others + 1)]
        turns = float(self._turns_in(rounds))
        steady = self._steady() if self.engine.mixed or isinstance(self, Apart) else begun
        parts = [(part * (1 - 1 / turns), steps) for part, steps in steady]
        parts += [(part / turns, steps) for part, steps in begun]
        # who finds no place waits for whole rounds: some for one more than others; at first for none, for one ...
        rounds_waited = float(self._queue)
        whole = int(rounds_waited)
        queued = [
            (share * ((1 - 1 / rounds) * (n == last) + 1 / rounds / (last + 1)), n)
            for share, last in ((whole + 1 - rounds_waited, whole), (rounds_waited - whole, whole + 1))
            for n in range(last + 1)
        ]
        return [
            (part * share, Kinds(*(a + n * b for a, b in zip(steps, self.steps, strict=True))))
            for share, n in queued
            for part, steps in parts
        ]

    def _steady(self) -> list[tuple[float, Kinds]]:
        """The same in the steady state, once there is a place: the first of a round find steps without prompts."""
        others, share = int(float(self.others)), float(self._rest / self._some)
        alone = minimum(self.between, self.waits)
        found = [(1 / float(self.running), Kinds(self.first, self.waits - alone, alone))]
        places = min(self.engine.ahead + 1, others)
        for place in range(places):
            met = self.behind(place)
            longer = self.waits - self.late + self.own
            found.append((share, Kinds(met.first, met.others + longer, met.alone)))
        found.append((share * (others - places), Kinds(0, self.waits + self.own, 0)))
        return found


@dataclass(frozen=True)
class Apart(Loop):
    """The same users after they have drifted apart: each comes back at a time of its own, and no prompt meets another.

    Lengths that differ do that, and answers that end early. Who comes in such a time finds steps of either kind as
    often as there are any.
    """

    @cached_property
    def mixed(self) -> Number:
        """Steps with a prompt, each with one."""
        return self.running * self.first * (1 + self._again / self.prompt)

    @cached_property
    def late(self) -> Number:
        """Steps that a request waits for; one that has the engine for itself waits for none."""
        return self.engine.mixed * self._looked_at * at_least(self.running, 2) * at_least(self._steps, 1)

    @cached_property
    def steps(self) -> Kinds:
        """Steps of a round by kind."""
        return Kinds(self.mixed, 0, self.round - self.mixed)

    @cached_property
    def waits(self) -> Number:
        """Steps that a request waits before its prompt goes through: prompts with steps of their own wait for none."""
        return self.round - self._steps - self.first if self.engine.mixed else self.late

    @cached_property
    def _met(self) -> Number:
        """The share of steps that have a prompt."""
        return self.mixed / self.round

    @cached_property
    def waited(self) -> Kinds:
        """Steps that a request waits for, in the mean over requests."""
        return Kinds(self.waits * self._met, 0, self.waits * (1 - self._met))

    @cached_property
    def decoding(self) -> Number:
        """Sequences that decode in a step, with a prompt or without."""
        return self.engine.mixed * self.running * self._steps / self.round

    @cached_property
    def decoding_alone(self) -> Number:
        """The same where no prompt is; there is a step for one at least."""
        return maximum(self.decoding, 1) if self.engine.mixed else self.running

    @cached_property
    def _ended(self) -> Kinds:
        """Steps up to the end of a request's own prompt, once it has a place."""
        waited = self.waited
        return Kinds(waited.first + self.first, 0, waited.alone)

    def _steady(self) -> list[tuple[float, Kinds]]:
        """Of the steps that a request waits for each has a prompt or has none, whatever the others have."""
        waits, met = round(float(self.waits)), float(self._met)
        if met == 1:
            return [(1.0, Kinds(self.first + waits, 0, 0))]
        shares = [comb(waits, k) * met**k * (1 - met) ** (waits - k) for k in range(waits + 1)]
        return [(share, Kinds(self.first + k, 0, waits - k)) for k, share in enumerate(shares)]


NEAR = 1e-9
"""How near to all users those are who have a place or gave it up, relative, where nobody waits for the first one."""


USUAL_ROUNDS = 10
"""Requests of each user in a benchmark: ten times the concurrency are sent in all, where a tool is let do as it likes
(aiconfigurator's runner of AIPerf, InferenceMAX's of vLLM's client)."""


class Otherwise(NamedTuple):
    """A load that may be there instead of the one that is taken, and how many rounds of it."""

    loop: Loop
    rounds: Number


def served(users: Number, most: Number, put_back: Number) -> Number:
    """Of so many users those who have a place, of at most so many places; who gave one up waits for another."""
    return minimum(users / (1 + put_back * Loop.put_off), most)


def over(loop: Loop, rounds: Number) -> Loop:
    """The same, in the mean over so many rounds from the first one on."""
    return replace(loop, gone=(rounds - 1) / 2)


def together_of(loop: Loop) -> Loop:
    """The same users, who stay together."""
    return Loop(*(getattr(loop, each.name) for each in fields(loop)))


def apart_of(loop: Loop) -> Apart | None:
    """The same users after they have drifted apart; None where prompts are so many that they must share steps."""
    found = Apart(*(getattr(loop, each.name) for each in fields(loop)))
    return found if float(found.mixed) < float(found.round) else None


def otherwise(loop: Loop, rounds: Number, stated: bool = True, places: bool = False) -> Iterator[Otherwise]:
    """What may be otherwise of users who ask again, each by itself and as far from what is taken as it goes.

    Whether they stay together; whether who comes back is in time for the step that is laid out, or misses one more;
    whether the server has all its `places` when they come, where it has one for each; and how the load began, where
    that is not `stated`. Nothing of it is in the figures of a benchmark, and each changes the times that it shows.
    """
    if float(loop.running) <= 1:
        return
    other = together_of(loop) if isinstance(loop, Apart) else apart_of(loop)
    if other is not None:
        yield Otherwise(other, ENDLESS)
    for slip in (-1, 1):
        yield Otherwise(replace(loop, slip=loop.slip + slip), rounds)
    if places and loop.users == loop.running:
        yield Otherwise(replace(loop, running=loop.running - 1), rounds)
    if float(loop.put_back):
        for put_off in (0, 1 / 2):
            one = replace(loop, put_off=put_off)
            # where all are served or have given up their places, more of them wait if they do so for longer
            running = min(float(loop.running), float(loop.users / (1 + one.away)))
            yield Otherwise(replace(one, running=running), rounds)
    if not stated:
        begun = USUAL_ROUNDS if rounds == ENDLESS else ENDLESS
        yield Otherwise(over(loop, begun), begun)


def alike_steps(one: Loop, other: Loop) -> bool:
    """Whether steps of two loops are alike: one sequence more or less hardly makes another step."""
    return abs(float(one.running) - float(other.running)) <= 1


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
        piece = replace(
            begun, batch=pieces, new=new, context=cached + maximum(loop.prompt - new, 0) / 2, begins=1 / own
        )
        mixed.append(piece if idle else together([piece, replace(step, batch=loop.decoding)]))
    return mixed[0], mixed[1], replace(step, batch=loop.decoding_alone)


def first_token(loop: Loop, p: Passes, rounds: Number = ENDLESS) -> Steps:
    """The steps before a request's first token, its own included."""
    return tuple(zip(loop.until_first(rounds), p, strict=True))


def next_token(loop: Loop, p: Passes, rounds: Number = ENDLESS) -> Steps:
    """The step between two of its tokens, in the mean."""
    return tuple(zip(loop.between_tokens(rounds), p, strict=True))
