"""A serving engine, event by event: requests arrive, wait, go through steps together, and are answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil, inf
from types import ModuleType
from typing import Any

from roofsim.foundation.errors import InputError, MissingExtra
from roofsim.serving.arrivals import Arrival, Users, rate_of
from roofsim.serving.outcome import Simulated
from roofsim.serving.scheduler import LEVELS, Engine, Live, Part, Rules, Step, rules
from roofsim.serving.step import StepTime

CYCLES, FEWEST = 3, 256
"""How many times as many requests as run at once wait, and how many at least, to find the rate that an engine keeps."""
MOST_AT_ONCE = 1024
"""Requests at once with which that is found: more hardly share weights any better."""
BETWEEN = 1e-6
"""Seconds from the first request of a user to that of the next: any time much shorter than a step."""


TOLD = 100
"""Requests that are answered until progress is told again."""


def simulated(
    step: Step, arrivals: Sequence[Arrival], limits: Rules, users: Users | None = None,
    progress: Callable[[int], None] = lambda answered: None,
) -> Simulated:  # fmt: skip
    """All requests answered, one step after the other; with `users` each asks when the answer before has ended.

    `progress` is told how many were answered, now and then. Raises InputError for a request that never fits, and
    MissingExtra without SimPy.
    """
    simpy = _simpy()
    for number, each in enumerate(arrivals, 1):
        if limits.bytes_of(each.prompt + each.generate - 1, number == 1 or each.cached > 0) > limits.room:
            raise InputError(
                f"request {number}: {each.prompt:,} tokens and {each.generate:,} more never fit the cache "
                f"({limits.room / 2**30:.3g} GiB)"
            )
    env, engine = simpy.Environment(), Engine(step, limits)
    alarm = [env.event()]

    def ring() -> None:
        if not alarm[0].triggered:
            alarm[0].succeed()

    def submit(live: Live) -> None:
        engine.waiting.append(live)
        engine.level(env.now)
        ring()

    def come() -> Iterator[Any]:
        for number, each in enumerate(arrivals):
            if each.time > env.now:
                yield env.timeout(each.time - env.now)
            submit(Live(number, each))

    left = iter(enumerate(arrivals))

    def ask(begins: float, think: float) -> Iterator[Any]:
        if begins:
            yield env.timeout(begins)
        for number, each in left:
            live = Live(number, Arrival(env.now, each.prompt, each.generate, each.cached), ended=env.event())
            submit(live)
            yield live.ended
            if think:
                yield env.timeout(think)

    def through(plan: list[Part], seconds: float) -> Iterator[Any]:
        yield env.timeout(seconds)
        engine.finish(plan, env.now)
        ring()

    def serve() -> Iterator[Any]:
        plans: deque[list[Part]] = deque()
        told = 0
        while len(engine.done) < len(arrivals):
            if len(engine.done) >= told + TOLD:
                progress(told := len(engine.done))
            while engine.inside < limits.stages and len(plans) <= limits.ahead and (plan := engine.scheduled()):
                plans.append(plan)
            engine.level(env.now)
            if not plans or engine.inside == limits.stages:
                alarm[0] = env.event()
                yield alarm[0]
                continue
            plan = plans.popleft()
            seconds = engine.timed(plan)
            if limits.stages == 1:
                yield env.timeout(seconds)
                engine.finish(plan, env.now)
            else:
                env.process(through(plan, seconds))
                yield env.timeout(seconds / limits.stages)

    if users is None:
        env.process(come())
    else:
        for i in range(users.users):
            env.process(ask(i * BETWEEN, users.think))
    env.run(until=env.process(serve()))
    clock, duration = engine.clock, float(env.now)
    return Simulated(
        tuple(engine.done), engine.gaps, duration, engine.steps, engine.energy, engine.computed, engine.preemptions,
        {name: clock.sums[name] / duration for name in LEVELS}, dict(clock.most),
    )  # fmt: skip


def capacity(step: Step, arrivals: Sequence[Arrival], limits: Rules) -> float:
    """Requests a second that an engine answers where there is always another one: of such requests, in their order."""
    mean = sum(limits.bytes_of(each.prompt + each.generate) for each in arrivals) / len(arrivals)
    at_once = int(max(min(limits.sequences, limits.room / mean if mean else inf, MOST_AT_ONCE), 1))
    count = at_once * max(CYCLES, ceil(FEWEST / at_once))
    many = [replace(arrivals[i % len(arrivals)], time=0.0) for i in range(count)]
    ends = [each.last for each in simulated(step, many, replace(limits, sequences=at_once)).requests]
    # neither while the first of all begin together nor while the last run out
    first, last = at_once - 1, count - at_once - 1
    return (last - first) / (ends[last] - ends[first])


def serve_events(
    step: StepTime, arrivals: Sequence[Arrival], *, users: Users | None = None, limits: Rules | None = None,
    rate: float | None = None, progress: Callable[[int], None] = lambda answered: None,
) -> Simulated:  # fmt: skip
    """A model on a device with a runtime that serves requests as they arrive, or as users ask.

    What comes at a rate (that of the arrivals, where none is given) is compared with what the engine can keep:
    `overloaded` says that it is too much.
    """
    kept = limits or rules(step.s, step.w)
    found = simulated(step.of, arrivals, kept, users, progress)
    if users is not None:
        return found
    return replace(found, rate=rate or rate_of(arrivals), capacity=capacity(step.of, arrivals, kept))


def _simpy() -> ModuleType:
    try:
        import simpy
    except ImportError:
        raise MissingExtra("a simulation of arrivals needs SimPy", "serving") from None
    module: ModuleType = simpy
    return module
