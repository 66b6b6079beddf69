"""A serving engine on a setup: its steps, the room for what sequences hold, and the rounds of users who ask again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from math import exp
from typing import Any, Literal

from roofsim.engine.passes import Later, pass_bound
from roofsim.foundation.arith import Number, minimum
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass
from roofsim.model.step import Pass
from roofsim.prediction.fitted import reach, unsure
from roofsim.prediction.intervals import FIGURES as PREDICTED
from roofsim.prediction.intervals import scatter, with_slopes
from roofsim.prediction.loop import (
    ENDLESS,
    Engine,
    Kinds,
    Loop,
    Otherwise,
    Passes,
    apart_of,
    otherwise,
    over,
    passes,
    served,
)
from roofsim.prediction.request import settled
from roofsim.prediction.server import Room, engine_of, in_flight, lanes, room_of
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import assumptions
from roofsim.serving.drafting import Drafting
from roofsim.serving.open import Solved, Steps
from roofsim.serving.prefix import Prefix, Shared
from roofsim.serving.quantiles import quantiles
from roofsim.serving.served import Cache
from roofsim.serving.step import StepTime
from roofsim.specs.calibration import NORMAL_95
from roofsim.specs.workload import Workload


@dataclass(frozen=True)
class Server:
    """A setup that serves requests like `w`: the batch of the workload says nothing. They may share a `prefix`.

    With `drafts` a step verifies drafted tokens of every sequence.
    """

    s: Setup
    w: Workload
    sequences: int | None = None
    prefix: Prefix | None = None
    drafts: Drafting | None = None

    def __post_init__(self) -> None:
        if self.s.runtime.server is None:
            raise Unsupported(f"{self.s.runtime.id} serves no requests that come and go; vllm does")
        if self.w.generate < 1:
            raise InputError("--generate: a request that is served has at least one token")
        object.__setattr__(self, "w", variant(settled(self.s, self.w), batch=1, logits="last"))

    def divided(self, s: Setup) -> Server:
        """The same on a setup that differs in how the model is divided; raises Unsupported where drafts cannot be."""
        return replace(self, s=s, drafts=self.drafts and self.drafts.divided(s))

    @cached_property
    def shared(self) -> Shared | None:
        """What requests have of the prefix, if there is one."""
        return None if self.prefix is None else Shared(self.s, self.w, self.prefix)

    @cached_property
    def later(self) -> float:
        """Steps of a request after its first token: one for each token more, but for what drafts make of a step."""
        tokens = self.w.generate - 1
        return tokens if self.drafts is None else self.drafts.steps(tokens)

    @property
    def between(self) -> float:
        """Steps from a token to the next, in the mean."""
        return self.later / (self.w.generate - 1) if self.drafts and self.later else 1.0

    @property
    def each(self) -> int:
        """Tokens of a sequence that decodes in a step."""
        return 1 if self.drafts is None else self.drafts.verified

    @property
    def _sharing(self) -> dict[str, float]:
        """Bytes that all hold together, and that each has less to hold, one of every lane of a pipeline."""
        if self.shared is None and self.drafts is None:
            return {}
        once, saved = (self.shared.once, self.shared.saved) if self.shared else (0.0, 0.0)
        if self.drafts:
            all_ = self.s.runtime.server is not None and self.s.runtime.server.room == "all"
            made = self.w.generate if all_ else (self.w.generate - 1) / 2
            once += self.drafts.weights
            saved -= self.drafts.held(self.s, self.w, self.w.prompt + made)
        return {"once": once, "saved": saved * in_flight(self.s)}

    @cached_property
    def engine(self) -> Engine:
        """How the runtime's server puts requests into steps on this device."""
        return engine_of(self.s, self.sequences)

    @cached_property
    def steps(self) -> StepTime:
        """The time of any step."""
        return StepTime(self.s, self.w, self.drafts)

    @cached_property
    def open_steps(self) -> Steps:
        """The steps of requests that come at a rate."""
        return Steps(self)

    @cached_property
    def solved(self) -> Callable[[float], Solved]:
        """What follows from a rate of requests; each is worked out once, since searches come back to it."""
        return cache(lambda rate: Solved(self, rate / self.lanes))

    @cached_property
    def lanes(self) -> int:
        """Parts of the load that each have sequences and steps of their own."""
        return lanes(self.s)

    @property
    def ranks(self) -> int:
        """Devices that compute a pass of a lane together, one after the other where there are stages."""
        return self.s.split.tp * self.s.split.cp

    @cached_property
    def most(self) -> int:
        """Sequences of a lane that can run at once."""
        return min(self.engine.sequences, self._most_held, self.engine.tokens // self.each)

    @property
    def limit(self) -> str:
        """What ends that: the cache, or how many sequences the server takes."""
        return "kv" if self._most_held <= self.most and self._most_held < self.engine.sequences else "sequences"

    @cached_property
    def ends(self) -> str:
        """What ends the rate that a full engine answers."""
        found = round_of(self, float("inf"))
        return found.bound if _saturated(found.loop) else self.limit

    @cached_property
    def _most_held(self) -> int:
        return self.room.sequences()

    @cached_property
    def room(self) -> Room:
        """What there is for what sequences of a lane hold."""
        return room_of(self.s, self.w, self.engine, **self._sharing)

    def cache(self, running: float, users: float = 0.0) -> Cache:
        """What so many sequences of a lane hold; of so many `users` who ask again."""
        room = self.room
        back = float(room.put_back(min(users, self.engine.sequences))) if users else 0.0
        beyond = back > 0 or running * room.ended > room.free
        return Cache(room.free, running * room.mean, self._most_held * self.lanes, beyond, back)

    def spread(self, users: float) -> float:
        """The lanes that so many users fill."""
        return min(self.lanes, users)

    def loop(self, users: float) -> Loop:
        """The round of so many users of a lane."""
        if self.most < 1:
            room = self.room
            asks = f"a request of {self.w.prompt:,} + {self.w.generate:,} tokens holds {show(room.mean, 'B')}"
            beside = ""
            if self.drafts and self.drafts.weights:
                beside = f" beside the weights of the draft ({show(self.drafts.weights, 'B')})"
            least = (
                f"there is room for {show(room.free, 'B')}{beside}"
                if room.free > 0
                else f"weights and the work of a step leave no room{beside}; "
                "divide the model (--tp 2) or store it in fewer bits (--weights)"
            )
            raise InputError(f"{self.s.model_name} on {self.s.device.id}: nothing fits: {asks}, and {least}")
        found = self.looped(users, self.engine.sequences)
        # what is accepted differs from one to another, so that users do not stay together
        return (apart_of(found) or found) if self.drafts and float(found.running) > 1 else found

    def looped(self, users: Number, sequences: Number) -> Loop:
        """The round of users of a lane who stay together, of which so many are served at once if there is room."""
        most = minimum(sequences, min(self._most_held, self.engine.tokens // self.each))
        back = self.room.put_back(minimum(users, sequences))
        running = served(users, most, back)
        return Loop(self.engine, users, running, self.prompt, 1 + self.later, put_back=back, each=self.each)

    @property
    def whole(self) -> int:
        """Tokens of a prompt, with those that the model puts before it."""
        return int(self.w.prompt + self.s.architecture.prefix_tokens)

    @property
    def prompt(self) -> float:
        """Those of them that go through, in the mean over requests: all but what is found in the cache."""
        return self.whole if self.shared is None else self.whole - self.w.prompt + self.shared.left

    def said(self, kind: Literal["users", "rate"]) -> tuple[str, ...]:
        """What the load and the server are taken to be like, and all else that is assumed."""
        drafts = self.drafts.said(self.s, self.w) if self.drafts else ()
        return (*_said(self, kind), *drafts, *assumptions(self.s, self.w)[1:])

    def otherwise(self, loop: Loop, rounds: float) -> Iterator[Otherwise]:
        """What else there may be of users who ask again: what is not known of when they come, and of the memory."""
        yield from otherwise(loop, rounds, places=self.engine.sequences == loop.users)
        off = exp(NORMAL_95 * scatter(self.doubting, PREDICTED["peak"][1])) - 1
        for more in (-off, off):
            most = min(self.engine.sequences, self.room.sequences(more))
            running = max(float(served(loop.users, most, loop.put_back)), 1)
            if running != loop.running:
                yield Otherwise(replace(loop, running=running), rounds)

    def passes(self, loop: Loop) -> Passes:
        """The kinds of step of a loop."""
        return passes(self.s, self.w, loop)

    def figures(self, p: Sequence[Pass], s: Setup | None = None) -> tuple[Later, ...]:
        """Their figures, on the setup or on one with other parameters."""
        steps = self.steps if s is None else StepTime(s, self.w, self.drafts and self.drafts.under(s))
        return tuple(steps.passed(each) for each in p)

    @cached_property
    def doubting(self) -> Setup:
        """The setup with parameters that carry their slopes, as sure as the data of its calibration allow."""
        return with_slopes(unsure(self.s, reach(self.s, self.w)), self.w)

    @cached_property
    def full_round(self) -> Any:
        """Seconds of a round of a full engine, with their slopes by parameters."""
        loop = self.loop(float("inf"))
        return loop.steps.of([each.time for each in self.figures(self.passes(loop), self.doubting)])

    @cached_property
    def capacity(self) -> float:
        """Requests that a full engine answers in a second, never short of them: what may come at a rate without end.

        Users whom it need not wait for may get more: places are taken at once where it is full, so that every step has
        a prompt, and sequences outgrow their room.
        """
        found = round_of(self, float("inf"))
        return float(found.loop.running) / found.took * self.lanes


def _saturated(loop: Loop) -> bool:
    """Whether every step of a round has prompts."""
    return float(loop.mixed) >= float(loop.round)


def _said(server: Server, kind: Literal["users", "rate"]) -> tuple[str, ...]:
    """What the load is taken to be like."""
    e = server.engine
    begun = "none at the same time" if server.drafts else "all began together"
    like = f"requests are alike: {server.w.prompt:,} tokens in, {server.w.generate:,} out"
    of = (
        f"every user asks again as soon as the answer is there; {begun}"
        if kind == "users"
        else "requests come independently of each other (Poisson)"
    )
    cut = "whole prompts" if e.whole else "prompts cut to what fits"
    late = f", a step is laid out {e.ahead} ahead" if e.ahead else ""
    shared = () if server.shared is None else (server.shared.words,)
    return (like, of, *shared, f"steps of at most {e.tokens:,} tokens and {e.sequences:,} sequences, {cut}{late}")


@dataclass(frozen=True)
class Round:
    """A closed loop with the figures of its kinds of step."""

    loop: Loop
    passes: Passes
    figures: tuple[Later, ...]
    rounds: float
    server: Server

    @cached_property
    def seconds(self) -> list[float]:
        """Those of each kind of step."""
        return [float(each.time) for each in self.figures]

    @property
    def took(self) -> float:
        """Seconds of a round."""
        return float(self.loop.steps.of(self.seconds))

    @cached_property
    def of_prompts(self) -> float:
        """The share of them that prompts add to steps of decoding."""
        *mixed, alone = self.seconds
        return sum(float(n) * (t - alone) for n, t in zip(self.loop.steps, mixed, strict=False)) / self.took

    @property
    def bound(self) -> str:
        """What bounds the kind of step that a round spends most of its time in."""
        spent = [float(n) * t for n, t in zip(self.loop.steps, self.seconds, strict=True)]
        return pass_bound(self.figures[spent.index(max(spent))])

    @cached_property
    def until_first(self) -> Kinds:
        """Steps up to a first token."""
        return self.loop.until_first(self.rounds)

    @cached_property
    def later(self) -> Kinds:
        """What kinds a request's later steps are."""
        return self.loop.between_tokens(self.rounds)

    @cached_property
    def steps(self) -> dict[str, dict[str, Kinds]]:
        """The steps that its times are made of, by name: in the mean, and at percentiles."""
        kinds = (Kinds(1, 0, 0), Kinds(0, 1, 0), Kinds(0, 0, 1))
        gaps = [(float(n), kind) for n, kind in zip(self.loop.gaps(self.rounds), kinds, strict=True)]
        if self.server.drafts:
            gaps = self.server.drafts.gaps(gaps)
        return {
            "itl": {"mean": self.later.scaled(self.server.between), **self._quantiles(gaps)},
            "ttft": {"mean": self.until_first, **self._quantiles(self.loop.first_tokens(self.rounds))},
        }

    def _quantiles(self, each: Sequence[tuple[float, Kinds]]) -> dict[str, Kinds]:
        """What percentiles of a time are made of that is `each`, with its share."""
        taking = [(share, float(steps.of(self.seconds)), steps) for share, steps in each]
        at = quantiles([(share, seconds) for share, seconds, _ in taking])
        return {
            name: next(steps for share, seconds, steps in taking if share > 0 and seconds == found)
            for name, found in at.items()
        }

    @cached_property
    def times(self) -> dict[str, dict[str, float]]:
        """Its times by name."""
        return {
            name: {figure: float(n.of(self.seconds)) for figure, n in steps.items()}
            for name, steps in self.steps.items()
        }

    @property
    def rate(self) -> float:
        """Requests that it answers in a second."""
        return float(self.loop.running) / self.took


def round_of(server: Server, users: float, rounds: float = ENDLESS) -> Round:
    """A round of so many users of all lanes, in the steady state or in the mean over so many from the first on."""
    loop = over(server.loop(users / server.spread(users)), rounds)
    p = server.passes(loop)
    return Round(loop, p, server.figures(p), rounds, server)
