"""Seconds and joules of the passes of one network: decode steps, steps that verify drafts, passes within a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

from roofsim.engine.compiled import Function
from roofsim.engine.graph import Graph
from roofsim.engine.passes import run_pass
from roofsim.foundation.arith import Number, minimum
from roofsim.foundation.schema import variant
from roofsim.model.step import Pass
from roofsim.prediction.intervals import with_slopes
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import Workload

Run = Callable[..., tuple[Any, Any]]
"""Seconds and joules of a pass, by sequences, new tokens of each, and tokens that each holds."""


class Timed:
    """Seconds and joules of passes of one network, by sequences, new tokens of each, and tokens that each holds."""

    def __init__(self, s: Setup, w: Workload, *, verifies: bool = False, alone: bool = True) -> None:
        """Passes of decode steps; those that verify score every new token.

        Where not `alone`, passes are a part of a step: what an engine does for a step and its sequences is done once,
        with the step.
        """
        self.s = s if alone else replace(s, runtime=within_step(s.runtime))
        self.w, self.verifies = w, verifies

    def run(self, batch: Number, new: Number, held: Number, s: Setup | None = None) -> tuple[Number, Number]:
        """One pass, for numbers of any kind; `s` is the setup with other parameters."""
        s = s or self.s
        p = self._pass(s, batch, new, held)
        stack = s.stack(self.w.dtype)
        found = run_pass(replace(stack, runtime=with_graphs(s.runtime, new)), p)
        return found.time, found.energy

    def _pass(self, s: Setup, batch: Number, new: Number, held: Number) -> Pass:
        one = decode(s, variant(self.w, batch=batch))
        return replace(one, new=new, context=held, logits="all" if self.verifies else "last")

    @cached_property
    def at(self) -> Run:
        """The same compiled, for plain numbers."""
        graph = Graph()
        batch, new, held = (graph.variable(name, whole=True) for name in ("batch", "new", "held"))
        time, energy = self.run(batch, new, held)
        made: Run = Function(graph, {"time": time, "energy": energy}, ("batch", "new", "held")).at
        return made


def within_step(runtime: Runtime) -> Runtime:
    """The runtime without what its engine does for every step beside running it.

    An engine that prepares steps while the device is at work waits for nothing between drafts (`EagleProposer.propose`
    of vLLM reads no token back), so that what it does between two graphs goes on beside the device too.
    """
    host = runtime.host
    if host.ahead_work is None:
        return variant(runtime, host=variant(host, sequence_work=0.0))
    return variant(runtime, host=variant(host, ahead_work=host.step_work, step_work=0.0, sequence_work=0.0))


def with_graphs(runtime: Runtime, new: Number) -> Runtime:
    """The runtime with the graphs that it makes beforehand for steps of so many tokens of each sequence."""
    host = runtime.host
    if host.captured is None or host.captured_most is None:
        return runtime
    return variant(runtime, host=variant(host, captured=minimum(host.captured * new, host.captured_most)))


def sloped(timed: Timed) -> Run:
    """Passes whose times carry their slopes by every parameter."""
    s = with_slopes(timed.s, timed.w)
    return lambda batch, new, held: timed.run(batch, new, held, s)
