"""Rounds of speculative decoding: what they take, what they make, and where that begins to pay.

Leviathan et al. 2023, arXiv 2211.17192: a round drafts k tokens and verifies them in one pass of k + 1 new tokens,
which makes as many as were accepted, and one. Times are those of the engine's passes, so that what a verification costs
is what the runtime's kernels make of it: rows of products, experts that more tokens touch, graphs that end.

Caches are cut back to what was accepted for nothing, recurrent states are not. Either a state is written after every
token (`copies`: vLLM's and SGLang's k + 1 slots of a sequence, llama.cpp's recurrent rollback), or the state before the
round is kept, and what was accepted is run again where not all was (`replay`: llama.cpp's checkpoints).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.prediction.compiled import compiled
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import reach, unsure
from roofsim.prediction.intervals import Interval, scatter, with_slopes, within
from roofsim.prediction.limits import HELD, largest
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.results import Intervals
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import held_sequences, samples
from roofsim.prediction.words import room
from roofsim.serving.acceptance import Acceptance, alpha_of
from roofsim.serving.drafts import Drafter
from roofsim.serving.shapes import Shape, chain
from roofsim.serving.states import Rollback, again, copies, moved, recurrent_bytes, streamed
from roofsim.serving.timed import Run, Timed, sloped
from roofsim.specs.calibration import HOST_MATTERS
from roofsim.specs.workload import Workload

LONGEST = 16
"""Drafted tokens that are looked at, at most: what llama.cpp and vLLM are commonly given ends well before it."""
NODES = (4, 8, 16, 24, 32, 48, 63)
"""Sizes of trees that are looked at: with the token before them, those that EAGLE and SGLang are given end at 64."""


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of one round, by what takes them, and its joules."""

    draft: Number
    verify: Number
    states: Number
    energy: Number

    @property
    def time(self) -> Number:
        """All of it."""
        return self.draft + self.verify + self.states


@dataclass(frozen=True, slots=True)
class Drafted:
    """What drafts of `tokens` tokens give, in SI units: `made` tokens of a round in `draft_time`, `verify_time` and
    `state_time`; `tpot` and `energy` are of a token, `speedup` is over steps without drafts.

    `break_even` is the chance of acceptance (the same for every token) at which they begin to pay; none where they
    never do.
    """

    tokens: int
    made: float
    draft_time: float
    verify_time: float
    state_time: float
    tpot: float
    speedup: float
    energy: float
    break_even: float | None


@dataclass(frozen=True)
class Speculating:
    """A model that drafts for another on a setup; `overhead` are seconds of a round beside its passes.

    Drafts of so many tokens are a chain, or a `tree` of so many nodes as deep and as wide as that one.
    """

    s: Setup
    w: Workload
    drafter: Drafter
    rollback: Rollback = "copies"
    overhead: float = 0.0
    tree: Shape | None = None

    def shape(self, drafted: int) -> Shape:
        """What is drafted where so many tokens are verified."""
        return replace(self.tree, tokens=drafted) if self.tree else chain(drafted)

    @cached_property
    def _steps(self) -> Timed:
        return Timed(self.s, self.w)

    @cached_property
    def _verifying(self) -> Timed:
        return Timed(self.s, self.w, verifies=True)

    @cached_property
    def _drafting(self) -> list[Timed]:
        """The draft's passes, for drafts of any length: the first of a round, and those that follow."""
        w = self.drafter.w
        if w is None:
            return []
        first, *further = (s for _, _, s in self.drafter.passes(Shape(2, 2)))
        return [Timed(first, w), *(Timed(s, w, scores="all" if self.tree else "last") for s in further)]

    @cached_property
    def recurrent(self) -> Number:
        """Bytes of the states of one sequence on a device that no cut takes back."""
        return recurrent_bytes(self.s, self.w)

    def _sequences(self, batch: int) -> int:
        """Sequences of which a device holds a share."""
        share: Any = held_sequences(self.s, variant(self.w, batch=batch))
        return int(share)

    def _places(self) -> list[tuple[float, Number]]:
        """Tokens that sequences hold along what they generate, each with its share of the steps (Simpson's rule)."""
        done = samples(max(self.w.generate - 1, 0))
        held = self.w.prompt + self.s.architecture.prefix_tokens
        return [(share, held + made) for share, made in done]

    def _mean(self, run: Run, batch: Number, new: Number) -> tuple[Number, Number]:
        """Seconds and joules of a pass, in the mean over what sequences hold along the way."""
        each = [(share, *run(batch, new, held)) for share, held in self._places()]
        return sum(share * time for share, time, _ in each), sum(share * energy for share, _, energy in each)

    def without(self, batch: Number) -> tuple[Number, Number]:
        """Seconds and joules of a step without drafts."""
        return self._mean(self._steps.at, batch, 1)

    def round(self, batch: int, drafted: int, a: Acceptance, slopes: bool = False) -> Round:
        """A round of so many drafted tokens for each sequence; with `slopes`, by every parameter."""
        steps, verifying, *drafting = self._runs(slopes)
        shape = self.shape(drafted)
        verify, energy = self._mean(verifying, batch, drafted + 1)
        draft: Number = 0.0
        for run, (count, new, _) in zip(drafting, self.drafter.passes(shape), strict=False):
            one, joules = self._mean(run, batch, new)
            draft, energy = draft + count * one, energy + count * joules
        states: Number = self.overhead
        if float(self.recurrent):
            often = moved(self.rollback, shape, a)
            states = states + often * self._stream(self._sequences(batch) * self.recurrent, slopes)
            for chance, made in again(self.rollback, shape, a):
                time, joules = self._mean(steps, batch, made)
                states, energy = states + chance * time, energy + chance * joules
        return Round(draft, verify, states, energy)

    def _runs(self, slopes: bool) -> list[Run]:
        """Steps, verifications, and drafts, the first of a round apart, as functions."""
        every = [self._steps, self._verifying, *self._drafting]
        return [sloped(timed) if slopes else timed.at for timed in every]

    def _stream(self, bytes_: Number, slopes: bool) -> Number:
        """Seconds in which memory moves so many bytes of states."""
        return streamed(with_slopes(self.s, self.w) if slopes else self.s, self.w, bytes_)

    def drafted(self, batch: int, tokens: int, a: Acceptance) -> Drafted:
        """What drafts of so many tokens give."""
        step, _ = self.without(batch)
        found, made = self.round(batch, tokens, a), self.shape(tokens).made(a)
        tpot = float(found.time) / made
        return Drafted(
            tokens, made, float(found.draft), float(found.verify), float(found.states), tpot, float(step) / tpot,
            float(found.energy) / made / batch, self.break_even(batch, tokens),
        )  # fmt: skip

    def gain(self, batch: int, tokens: int, a: Acceptance) -> float:
        """The speedup of drafts of so many tokens."""
        made = self.shape(tokens).made(a)
        return float(self.without(batch)[0]) * made / float(self.round(batch, tokens, a).time)

    def best(self, batch: int, a: Acceptance) -> int:
        """The length of a draft, or the number of nodes of a tree, that gains most."""
        return max(self.lengths(a), key=lambda k: self.gain(batch, k, a))

    def lengths(self, a: Acceptance) -> Sequence[int]:
        """Numbers of drafted tokens to look at."""
        if self.tree is None:
            return range(1, (a.most or LONGEST) + 1)
        least, most = self.tree.ends_of_tokens
        return sorted({each for each in NODES if least <= each <= most} | {self.tree.tokens})

    def break_even(self, batch: int, tokens: int) -> float | None:
        """The chance of acceptance from which on drafts of so many tokens pay, None if even certain ones do not."""
        if self.rollback == "copies" or not float(self.recurrent):  # a round takes as long whatever is accepted
            a = Acceptance(1.0)
            needed = max(float(self.round(batch, tokens, a).time) / float(self.without(batch)[0]), 1.0)
            return alpha_of(needed, self.shape(tokens).made, self.shape(tokens).depth)
        if self.gain(batch, tokens, Acceptance(1.0)) < 1:
            return None
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.gain(batch, tokens, Acceptance(middle)) < 1 else (low, middle)
        return high

    def pays_until(self, tokens: int, a: Acceptance, most: int, least: float = 1.0) -> int | None:
        """The largest batch at which drafts of so many tokens gain more than the least; None if they do at none.

        Steps grow by leaps (a size of graphs, a tile, experts), so that they may not pay at smaller ones (`dips`).
        """
        grid = batches(most)
        paying = [batch for batch in grid if self.gain(batch, tokens, a) > least]
        if not paying:
            return None
        low, high = paying[-1], next((batch for batch in grid if batch > paying[-1]), None)
        while high is not None and high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.gain(middle, tokens, a) > least else (low, middle)
        return low

    def dips(self, tokens: int, a: Acceptance, until: int) -> tuple[int, ...]:
        """Batches below one, of those looked at, at which drafts do not pay."""
        return tuple(batch for batch in batches(until) if self.gain(batch, tokens, a) <= 1)

    @cached_property
    def _held(self) -> Callable[..., tuple[float, ...]]:
        return compiled(self.s, self.w, HELD, ("batch", "prompt")).at

    def memory(self, batch: int, tokens: int) -> Mapping[str, float]:
        """Bytes that are held: for the model as without drafts, and beside it for the draft and for states."""
        held = self._sequences(batch)
        return {
            "target": max(self._held(batch, self.w.prompt)),
            "draft_weights": self.drafter.weights(self.shape(tokens)),
            "draft_cache": held * self.drafter.state(self.w.prompt + self.w.generate + tokens),
            "states": held * copies(self.rollback, self.shape(tokens)) * float(self.recurrent),
        }

    def fits(self, batch: int, tokens: int) -> bool:
        """Whether all of it fits."""
        return sum(self.memory(batch, tokens).values()) <= room(self.s).bytes

    def most(self, tokens: int) -> int:
        """The largest batch that fits, and that runs at once."""
        found = largest(lambda batch: self.fits(batch, tokens), 2**16)
        return min(found, self.s.runtime.sequences or found)

    def intervals(self, batch: int, tokens: int, a: Acceptance) -> Intervals:
        """95 % intervals of TPOT without and with drafts, and of the speedup.

        What the model misses of a step and of a round are taken to have nothing to do with each other, which is wide.
        """
        s = unsure(self.s, reach(self.s, self.w))
        sure = replace(self, s=s, drafter=self._as_sure(s))
        e = Evaluation(s, variant(self.w, batch=batch))
        host = float(e.decode.host_time) > HOST_MATTERS * float(e.decode.device_time)
        sigma = scatter(s, METRICS["tpot"].measured, host)
        step, _ = sure._mean(sloped(sure._steps), batch, 1)
        doubt = self.shape(tokens).doubt(a)
        tpot = sure.round(batch, tokens, a, slopes=True).time / self.shape(tokens).made(a)
        found: dict[str, Interval] = {
            "tpot_without": within(s, step, sigma),
            "tpot": within(s, tpot, (sigma**2 + doubt**2) ** (1 / 2)),
            "speedup": within(s, step / tpot, (2 * sigma**2 + doubt**2) ** (1 / 2)),
        }
        return found

    def _as_sure(self, s: Setup) -> Drafter:
        d = self.drafter
        return d if d.s is None else replace(d, s=replace(d.s, calibration=s.calibration))


def batches(most: int) -> list[int]:
    """Batches to look at: powers of two and half-way between them, up to the most."""
    steps = {1, *(2**k for k in range(1, 17)), *(3 * 2**k for k in range(16))}
    return sorted({each for each in steps if each < most} | {max(most, 1)})
