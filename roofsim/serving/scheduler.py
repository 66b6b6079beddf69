"""What goes into a step of a serving engine, and what comes of it.

As vLLM 0.23 decides it (v1/core/sched/scheduler.py): running requests first, in the order in which they began, each
with what is left of its prompt or with one token, as far as the tokens of a step go; then waiting ones, first come
first served, while there is room for their blocks of cache. Where a running request finds no block, the last that began
gives up all of its own, and is computed anew later.
"""

from __future__ import annotations

from array import array
from bisect import bisect
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from math import ceil, inf
from random import Random
from typing import TYPE_CHECKING, Any

from roofsim.foundation.errors import Unsupported
from roofsim.prediction.loop import Engine as Server
from roofsim.prediction.server import cache_room, engine_of
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import most_tokens, prefill
from roofsim.serving.arrivals import Arrival
from roofsim.serving.outcome import Done
from roofsim.serving.step import summed
from roofsim.specs.workload import Workload

if TYPE_CHECKING:
    from roofsim.serving.drafting import Drafting

Step = Callable[[float, float, float, float, float], tuple[float, float]]
"""Seconds and joules of a step: decoding sequences, tokens held, pieces of prompts, new tokens, context."""
LEVELS = ("in_system", "waiting", "running", "cache")
"""Requests that are not answered yet, of them those that wait and those that run, and the part of the cache in use."""


@dataclass(frozen=True)
class Rules:
    """What an engine lets through: new tokens of a step, sequences at once, bytes of cache in blocks of tokens.

    `need` is the bytes that a sequence of so many tokens holds. So many steps are laid out `ahead` of the one in
    progress; prompts go through `whole`, or are cut to what fits a step; a request begins when there is room for its
    prompt, or for `all` its tokens. Where devices are `stages` of a pipeline, as many steps are on their way at once,
    and a request waits for the token of one before it goes into another. Steps are `mixed`, or those of prompts go
    before those of sequences that decode. Prompts begin with `prefix` tokens, which are held once. Where `kept` is
    given, a request begins when all its tokens have room beside what others hold and that part of what they may still
    make. A sequence that decodes takes `each` tokens of a step and makes 1, 2, ... with the chances `ends`, drawn with
    a `seed`.
    """

    tokens: float = inf
    sequences: float = inf
    room: float = inf
    block: int = 1
    need: Callable[[int], float] = float
    ahead: int = 0
    whole: bool = False
    all: bool = False
    stages: int = 1
    mixed: bool = True
    prefix: int = 0
    kept: float | None = None
    each: int = 1
    ends: tuple[float, ...] = ()
    seed: int = 0

    def bytes_of(self, tokens: int, found: bool = True) -> float:
        """Bytes of the blocks of so many tokens, without those of the prefix where that is `found`."""
        blocks = self.need(ceil(tokens / self.block) * self.block)
        return blocks - self.common if found else blocks

    @property
    def common(self) -> float:
        """Bytes of the whole blocks of the prefix; a recurrent state after it is each sequence's own."""
        return self.need(self.prefix // self.block * self.block) - self.need(0) if self.prefix else 0.0

    def sharing(self, prefix: int) -> Rules:
        """The same where prompts begin with so many tokens."""
        kept = replace(self, prefix=prefix)
        return replace(kept, room=self.room - kept.common)


def rules(
    s: Setup, w: Workload, *, tokens: int | None = None, sequences: int | None = None, drafts: Drafting | None = None
) -> Rules:
    """Those of a runtime's server on a device, but for the tokens of a step and the sequences at once that are given.

    A runtime that has no server takes what its steps take, and as many sequences as it runs. What `drafts` hold lies
    beside what the model does.
    """
    precision = prefill(s, w).precision
    if s.runtime.server is None:
        budget, most = most_tokens(s), s.runtime.sequences
        engine = Server(tokens or (w.prompt if budget is None else int(float(budget))), sequences or most or 1)
        free = inf if budget is None and tokens is None else engine.tokens
        found = Rules(free, sequences or most or inf, cache_room(s, w, engine)[0])
    else:
        engine = engine_of(s, sequences)
        engine = replace(engine, tokens=tokens or engine.tokens)
        server, room = s.runtime.server, cache_room(s, w, engine)[0]
        found = Rules(
            engine.tokens, engine.sequences, room, ahead=engine.ahead, whole=engine.whole, all=server.room == "all",
            kept=server.kept if server.room == "next" else None,
        )  # fmt: skip
        found = replace(found, mixed=s.runtime.memory.mixed)
    if s.split.pp > 1:
        found = replace(found, ahead=0, stages=s.split.pp)
    if drafts:
        found = replace(found, room=found.room - drafts.weights, each=drafts.verified, ends=drafts.ends)
    if found.room <= 0:
        beside = " beside the weights of the draft" if drafts and drafts.weights else ""
        raise Unsupported(f"{s.model_name} leaves no room for a cache on {s.device.id}{beside}")

    @lru_cache(maxsize=2**16)
    def need(n: int) -> float:
        return float(s.stage.state_bytes(n, precision)) + (drafts.held(s, w, n) if drafts else 0.0)

    return replace(found, block=s.runtime.memory.block, need=need)


@dataclass(slots=True, eq=False)
class Live:
    """A request on its way: tokens computed and made when the steps that are laid out have ended, bytes held.

    `out` are the tokens that are there already, and `first` and `last` when the first and the newest came. `coming` are
    those that each step makes which is laid out.
    """

    number: int
    asked: Arrival
    computed: int = 0
    made: int = 0
    out: int = 0
    held: float = 0.0
    first: float = -1.0
    last: float = -1.0
    preempted: int = 0
    ended: Any = None
    coming: deque[int] = field(default_factory=deque)

    @property
    def left(self) -> int:
        """Tokens to be computed until there is another one."""
        return self.asked.prompt + self.made - self.computed


@dataclass(slots=True)
class Clock:
    """Integrals over time of what is in the engine, and the largest of each."""

    at: float = 0.0
    now: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LEVELS, 0.0))
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LEVELS, 0.0))
    most: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LEVELS, 0.0))

    def to(self, time: float, **levels: float) -> None:
        """What was until now, was for so long; from now on levels are these."""
        for name, level in self.now.items():
            self.sums[name] += level * (time - self.at)
        self.at = time
        for name, level in levels.items():
            self.now[name] = level
            self.most[name] = max(self.most[name], level)


def _decodes(live: Live, new: int) -> bool:
    """Whether a request in a step gets tokens on top of others, with nothing else to compute."""
    return new == 1 and live.made > 0 and live.left == 1


Part = tuple[Live, int, int]
"""A request in a step: its new tokens, and those that were computed before."""


class Engine:
    """The scheduler and its queues."""

    def __init__(self, step: Step, limits: Rules) -> None:
        self.step, self.limits = step, limits
        self.waiting: deque[Live] = deque()
        self.running: list[Live] = []
        self.free = limits.room
        self.done: list[Done] = []
        self.gaps = array("d")
        self.clock = Clock()
        self.steps = self.computed = self.preemptions = 0
        self.inside = 0  # steps on their way
        self.ending = 0  # requests whose last token is in a step that is laid out
        self.energy = 0.0
        self.random = Random(limits.seed)
        self.chances = list(accumulate(limits.ends))

    def scheduled(self) -> list[Part]:
        """The requests of the next step, each with its new tokens, as far as they are known when it is laid out."""
        if self.limits.mixed:
            return self._laid_out()
        return self._laid_out(decodes=False) or self._laid_out(prompts=False)

    def _laid_out(self, decodes: bool = True, prompts: bool = True) -> list[Part]:
        budget, before = self.limits.tokens, self.preemptions
        plan: list[Part] = []
        at = 0
        while at < len(self.running) and budget > 0:
            live = self.running[at]
            new = self._cut(live.left, budget, plan)
            at += 1
            wanted = decodes if live.left == 1 and live.made else prompts
            if not (new and wanted) or (self.limits.stages > 1 and live.made > live.out):
                continue
            verified = self.limits.each if _decodes(live, new) else new
            while not self._holds(live, live.computed + verified):
                last = self.running.pop()
                self._preempt(last)
                if last is live:
                    return self._begun(plan)
            plan.append((live, new, live.computed))
            budget -= verified
        while prompts and self.waiting and budget > 0 and len(self.running) + self.ending < self.limits.sequences:
            live = self.waiting[0]
            cached = min(live.asked.cached, live.left - 1)
            new = self._cut(live.left - cached, budget, plan)
            room = live.asked.prompt + live.asked.generate - 1 if self.limits.all else cached + new
            if not new or self.preemptions > before or not self._fits(live) or not self._holds(live, room):
                break
            self.running.append(self.waiting.popleft())
            live.computed = cached
            plan.append((live, new, cached))
            budget -= new
        return self._begun(plan)

    def _cut(self, left: int, budget: float, plan: Sequence[Part]) -> int:
        """Tokens of so many that go into a step with others; a whole prompt that fits no step goes first in one."""
        if not self.limits.whole or left <= budget:
            return int(min(left, budget))
        return 0 if plan else left

    def _begun(self, plan: list[Part]) -> list[Part]:
        """The same, with what will have been computed then: the next step may be laid out before this one ends."""
        for live, new, _ in plan:
            self.computed += min(new, max(live.asked.prompt - live.computed, 0))
            made = self._made(live) if _decodes(live, new) else 1
            live.computed += new
            if not live.left:
                live.made += made
                live.computed += made - 1
                live.coming.append(made)
                if live.made == live.asked.generate:
                    self.running.remove(live)
                    self.ending += 1
        return plan

    def _made(self, live: Live) -> int:
        """Tokens that a step makes of a sequence that decodes: one, and what is accepted of its drafts."""
        if not self.chances:
            return 1
        drawn = bisect(self.chances, self.random.random() * self.chances[-1]) + 1
        return min(drawn, len(self.chances), live.asked.generate - live.made)

    def _fits(self, live: Live) -> bool:
        """Whether a request may begin beside what others may still make."""
        if self.limits.kept is None:
            return True
        more = sum(self._all_of(each) - each.held for each in self.running)
        return self._all_of(live) + self.limits.kept * more <= self.free

    def _all_of(self, live: Live) -> float:
        """Bytes of all tokens that a request may have."""
        asked = live.asked
        return self.limits.bytes_of(asked.prompt + asked.generate - 1, live.number == 0 or asked.cached > 0)

    def _holds(self, live: Live, tokens: int) -> bool:
        """Whether there are blocks for so many tokens, which are then taken."""
        # who comes first computes what others find
        more = self.limits.bytes_of(tokens, live.number == 0 or live.asked.cached > 0) - live.held
        if more > self.free:
            return False
        if more > 0:
            self.free -= more
            live.held += more
        return True

    def _preempt(self, live: Live) -> None:
        self._give_back(live)
        live.computed = 0
        live.preempted += 1
        self.preemptions += 1
        self.waiting.appendleft(live)

    def _give_back(self, live: Live) -> None:
        self.free += live.held
        live.held = 0.0

    def timed(self, plan: Sequence[Part]) -> float:
        """Seconds of a step."""
        seconds, joules = self.step(*summed((tokens, before) for _, tokens, before in plan))
        self.energy += joules
        self.steps += 1
        self.inside += 1
        return seconds

    def finish(self, plan: Sequence[Part], now: float) -> None:
        """What a step has computed: requests that have all they need for it get a token, and the answered ones go."""
        for live, new, before in plan:
            if before + new < live.asked.prompt + live.out:
                continue
            made = live.coming.popleft()
            live.out += made
            if live.first < 0:
                live.first = now
            else:  # those of a step are equally far apart
                self.gaps.extend([(now - live.last) / made] * made)
            live.last = now
            if live.out == live.asked.generate:
                self.ending -= 1
                self._give_back(live)
                asked = live.asked
                self.done.append(Done(asked.time, live.first, now, asked.prompt, asked.generate, live.preempted))
                if live.ended is not None:
                    live.ended.succeed()
        self.inside -= 1
        self.level(now)

    def level(self, now: float) -> None:
        """The levels from now on."""
        running = len(self.running) + self.ending
        used = 1 - self.free / self.limits.room if self.limits.room < inf else 0.0
        waiting = len(self.waiting)
        self.clock.to(now, in_system=waiting + running, waiting=waiting, running=running, cache=used)
