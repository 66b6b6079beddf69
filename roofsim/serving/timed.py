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
from roofsim.model.step import Logits, Pass
from roofsim.prediction.intervals import with_slopes
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import Workload

Run = Callable[..., tuple[Any, Any]]
"""Seconds and joules of a pass, by sequences, new tokens of each, and tokens that each holds."""


class Timed:
    """Seconds and joules of passes of one network, by sequences, new tokens of each, and tokens that each holds."""

    def __init__(self, s: Setup, w: Workload, *, verifies: bool = False, scores: Logits = "last") -> None:
        """Passes of decode steps, of which the last new token is scored, or all; those that verify score all."""
        self.s, self.w, self.verifies = s, w, verifies
        self.scores: Logits = "all" if verifies else scores

    def run(self, batch: Number, new: Number, held: Number, s: Setup | None = None) -> tuple[Number, Number]:
        """One pass, for numbers of any kind; `s` is the setup with other parameters."""
        s = s or self.s
        p = self._pass(s, batch, new, held)
        stack = s.stack(self.w.dtype)
        runtime = verifying(s.runtime, p) if self.verifies else with_graphs(s.runtime, new)
        found = run_pass(replace(stack, runtime=runtime), p)
        return found.time, found.energy

    def _pass(self, s: Setup, batch: Number, new: Number, held: Number) -> Pass:
        one = decode(s, variant(self.w, batch=batch))
        return replace(one, new=new, context=held, logits=self.scores)

    @cached_property
    def at(self) -> Run:
        """The same compiled, for plain numbers."""
        graph = Graph()
        batch, new, held = (graph.variable(name, whole=True) for name in ("batch", "new", "held"))
        time, energy = self.run(batch, new, held)
        made: Run = Function(graph, {"time": time, "energy": energy}, ("batch", "new", "held")).at
        return made


def within_step(runtime: Runtime, mapped: bool = False) -> Runtime:
    """The runtime as it runs drafts, which are a part of a step: what it does for every step it has done already.

    Where all drafts of a round are one graph, the host launches none of them. Else an engine that prepares steps while
    the device is at work waits for nothing between drafts (`EagleProposer.propose` of vLLM reads no token back), so
    that what it does between two graphs goes on beside the device too. `mapped` drafts are tokens of a vocabulary of
    their own.
    """
    host = runtime.host
    if host.drafts == "round":
        return variant(runtime, host=variant(host, mode="none", ahead_work=None, step_work=0.0, request_work=0.0))
    more = host.draft_map * host.work if mapped else 0.0
    if host.ahead_work is None:
        work = {"step_work": host.step_work + more}
    else:
        work = {"ahead_work": host.step_work + more, "step_work": 0.0}
    return variant(runtime, host=variant(host, **work, sequence_work=0.0, request_work=0.0))


def with_graphs(runtime: Runtime, new: Number) -> Runtime:
    """The runtime with the graphs that it makes beforehand for steps of so many tokens of each sequence.

    They are of as many sequences; where they are of tokens, they end at some number.
    """
    host = runtime.host
    if host.captured is None:
        return runtime
    grown = host.captured * new
    most = grown if host.captured_most is None else minimum(grown, host.captured_most)
    return variant(runtime, host=variant(host, captured=most))


def verifying(runtime: Runtime, p: Pass) -> Runtime:
    """The runtime as it runs a step that verifies drafts: of its graphs, and whether it prepares it beforehand."""
    decoding = [each for each in p.groups if each.phase == "decode"]
    if not decoding:
        return runtime
    found = with_graphs(runtime, decoding[0].new)
    host = found.host
    work: Number = host.step_work + host.drafts_work
    if p.phase == "prefill" or host.ahead_work is None or host.drafts_ahead:
        return variant(found, host=variant(host, step_work=work))
    work = work + host.ahead_work + sum(each.batch for each in decoding) * host.sequence_work
    return variant(found, host=variant(host, step_work=work, ahead_work=None))


def sloped(timed: Timed) -> Run:
    """Passes whose times carry their slopes by every parameter."""
    s = with_slopes(timed.s, timed.w)
    return lambda batch, new, held: timed.run(batch, new, held, s)
