"""Drafts in a server's steps: every sequence that decodes has its drafted tokens verified in a step, and drafts anew.

A step then makes several tokens of a sequence, and takes the draft's passes beside its own. Prompts go through the
draft as well, beside the drafts of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from roofsim.engine.passes import Later, run_pass, weighted
from roofsim.foundation.arith import Number
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.model.step import Logits, Pass, together
from roofsim.prediction.intervals import with_slopes
from roofsim.prediction.loop import Kinds
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, prefill
from roofsim.serving.acceptance import Acceptance, Accepted, acceptance
from roofsim.serving.drafts import CALLED, Drafter, check_drafted, drafter
from roofsim.serving.rounds import Speculating
from roofsim.serving.shapes import Shape, chain
from roofsim.serving.states import SAID, Rollback, again, copies, moved, recurrent_bytes, streamed
from roofsim.serving.timed import with_graphs
from roofsim.specs.workload import Workload

EXACTLY = 512
"""Tokens up to which rounds are counted one by one; behind them each token takes as many as the mean has it, to 1e-9
and better for all drafts of up to 64 tokens (renewal theorem)."""


@dataclass(frozen=True)
class Drafting:
    """What drafts for a server, how many tokens in a step, and how likely they are accepted."""

    drafter: Drafter
    accepted: Acceptance
    drafted: Shape
    rollback: Rollback = "copies"
    overhead: float = 0.0

    @cached_property
    def ends(self) -> tuple[float, ...]:
        """The chances that a step makes 1, 2, ... tokens of a sequence."""
        return self.drafted.ends(self.accepted)

    @cached_property
    def made(self) -> float:
        """Tokens that a step makes of a sequence, in the mean."""
        return self.drafted.made(self.accepted)

    @property
    def verified(self) -> int:
        """Tokens of a sequence that go through a step: those drafted, and the one before them."""
        return self.drafted.tokens + 1

    def steps(self, tokens: int) -> float:
        """Steps in which a sequence makes so many tokens in the mean; what the last one makes beyond them is lost."""
        needed = [0.0]
        for left in range(1, min(tokens, EXACTLY) + 1):
            rest = sum(chance * needed[max(left - made, 0)] for made, chance in enumerate(self.ends, 1))
            needed.append(1 + rest)
        return needed[-1] + max(tokens - EXACTLY, 0) / self.made

    def gaps(self, steps: Sequence[tuple[float, Kinds]]) -> list[tuple[float, Kinds]]:
        """What lies between two tokens, each behind its share, from steps: those of one are equally far apart."""
        return [
            (share * made * chance / self.made, step.scaled(1 / made))
            for share, step in steps
            for made, chance in enumerate(self.ends, 1)
        ]

    @property
    def weights(self) -> float:
        """Bytes of weights that are held for it."""
        return self.drafter.weights(self.drafted)

    def held(self, s: Setup, w: Workload, tokens: float) -> float:
        """Bytes of a device that a sequence of so many tokens holds for it, beside its own."""
        states = copies(self.rollback, self.drafted) * float(recurrent_bytes(s, w))
        return self.drafter.state(tokens + self.drafted.tokens) + states

    def passed(self, s: Setup, w: Workload, p: Pass, run: Callable[[Pass], Later]) -> Later:
        """The figures of a step with drafts; `p` is it without any, and `run` runs it."""
        own = [each for each in p.groups if each.phase == "decode"]
        prompts = [each for each in p.groups if each.phase == "prefill"]
        verified = [replace(each, new=self.verified, logits="all") for each in own]
        done = [(1.0, run(together([*prompts, *verified]))), *self._drafts(own, prompts)]
        if own:
            recurrent = recurrent_bytes(s, w)
            states: Number = self.overhead
            if float(recurrent):
                bytes_ = sum(each.batch for each in own) * recurrent
                states = states + moved(self.rollback, self.drafted, self.accepted) * streamed(s, w, bytes_)
                for chance, made in again(self.rollback, self.drafted, self.accepted):
                    done.append((chance, run(together([replace(each, new=made) for each in own]))))
            done.append((1.0, constant(states)))
        return weighted(done)

    def _drafts(self, own: Sequence[Pass], prompts: Sequence[Pass]) -> Iterator[tuple[float, Later]]:
        """The draft's passes: one over what is new of all sequences, then those that go on from it."""
        d = self.drafter
        if d.s is None or d.w is None:
            return
        for place, (count, new, s) in enumerate(d.passes(self.drafted)):
            step, begun = decode(s, d.w), prefill(s, d.w)
            logits: Logits = "all" if place and new > 1 else "last"
            groups = [replace(step, batch=each.batch, new=new, context=each.context, logits=logits) for each in own]
            if not place and d.state(1):  # what has a cache reads prompts, once
                groups += [
                    replace(begun, batch=each.batch, new=each.new, context=each.context, begins=each.begins)
                    for each in prompts
                ]
            if groups:
                stack = s.stack(d.w.dtype)
                yield count, run_pass(replace(stack, runtime=with_graphs(s.runtime, new)), together(groups))

    def divided(self, s: Setup) -> Drafting:
        """The same where the model is divided as a setup says."""
        _in_no_pipeline(s)
        d = self.drafter
        if d.s is None:
            return self
        ways = s.split if d.s.architecture.inventory.experts else replace(s.split, ep=1)
        return replace(self, drafter=replace(d, s=replace(d.s, split=ways, cluster=s.cluster)))

    def under(self, s: Setup) -> Drafting:
        """The same where the draft's parameters carry their slopes, as those of the setup do."""
        d = self.drafter
        if d.s is None or d.w is None:
            return self
        return replace(self, drafter=replace(d, s=with_slopes(replace(d.s, calibration=s.calibration), d.w)))

    def said(self, s: Setup, w: Workload) -> tuple[str, ...]:
        """What is assumed of it."""
        name = CALLED.get(self.drafter.name, self.drafter.name)
        drafted = f"{self.drafted.words} of each sequence, drafted by {name} in every step, make {self.made:.3g}"
        states = (SAID[self.rollback],) if float(recurrent_bytes(s, w)) else ()
        return (drafted, self.accepted.words, *self.drafter.notes, *states)


def constant(seconds: Number) -> Later:
    """Figures of what takes so long, moving states."""
    return Later(lambda name: seconds if name in ("time", "device_time", "memory_time") else 0.0)


@dataclass(frozen=True)
class Drafts:
    """What is asked of drafts: what drafts them, how likely they are accepted, and how many there are at a time.

    `tokens` are as many as gain most where that is not said, nor a `tree`; `weights` is the format of the draft's.
    """

    draft: str | Architecture
    accept: Accepted | Acceptance
    tokens: int | None = None
    tree: Shape | None = None
    weights: str | None = None
    rollback: Rollback = "copies"
    overhead: float = 0.0

    @cached_property
    def accepted(self) -> Acceptance:
        """How likely drafted tokens are accepted; raises InputError for what is no chance."""
        return acceptance(self.accept, self.tree or (chain(self.tokens) if self.tokens else None))

    @property
    def checked(self) -> Drafts:
        """The same, where chances are chances; raises InputError."""
        accepted = self.accepted
        return replace(self, accept=accepted)

    def on(self, s: Setup, w: Workload, batch: int = 1) -> Drafting:
        """What they are on a setup, with as many tokens as gain most for such a batch if that is not said.

        Raises InputError.
        """
        w = settled(s, w)
        _in_no_pipeline(s)
        found = drafter(s, w, self.draft, self.weights)
        check_drafted(found, self.accepted, self.tokens, self.tree)
        tokens = self.tokens
        if not tokens and not self.tree:
            it = Speculating(s, w, found, self.rollback, self.overhead)
            tokens = it.best(max(batch, 1), self.accepted)
        return Drafting(found, self.accepted, self.tree or chain(tokens or 1), self.rollback, self.overhead)


def _in_no_pipeline(s: Setup) -> None:
    """Raises Unsupported for one: its last stage has what drafts go on from, and its first what they begin with."""
    if s.split.pp > 1:
        raise Unsupported(f"--draft: {s.runtime.id} drafts in no pipeline, and pp is {s.split.pp}")
