"""The steps that a request goes through: the pieces of its prompts, and the tokens that follow.

A runtime cuts the step, not the sequence: so many new tokens of all sequences go through at once.
"""

from __future__ import annotations

from dataclasses import replace

from roofsim.foundation.arith import Number, ceil, maximum, minimum, single
from roofsim.model.step import Pass
from roofsim.prediction.setup import Setup
from roofsim.specs.workload import Workload

SIMPSON = ((1 / 6, 0), (4 / 6, 1 / 2), (1 / 6, 1))
"""Weights and places of Simpson's rule over an interval of length one."""


def prefill(s: Setup, w: Workload) -> Pass:
    """The pass over whole prompts, after the model's own prefix tokens."""
    new = w.prompt + s.architecture.prefix_tokens
    logits = w.logits or s.runtime.logits
    return Pass(w.batch, new, 0, s.precision(w), logits, latents="expanded")


def decode(s: Setup, w: Workload, done: Number = 0) -> Pass:
    """The step after the prompt and `done` generated tokens."""
    held = w.prompt + s.architecture.prefix_tokens + done
    precision = s.precision(w)
    return Pass(w.batch, 1, held, precision, "last", "decode", s.runtime.attention.latents)


def pieces(s: Setup, w: Workload) -> tuple[tuple[Number, Pass], ...]:
    """The passes that prompts go through, each with how often: one, or equal ones if the runtime cuts steps.

    A piece is a part of one prompt, whose work grows with what came before it, so that three pieces stand for all
    (Simpson's rule); or several prompts whole.
    """
    whole = prefill(s, w)
    most = s.runtime.memory.chunk
    if most is None or (single(whole.tokens) and single(most) and float(whole.tokens) <= most):
        return ((1, whole),)
    times = ceil(whole.tokens / most)
    cut = _cut(s, whole, whole.tokens / times)
    if single(whole.new) and cut.new == whole.new:
        return ((times, cut),)
    return tuple((times * share, replace(cut, context=at * (whole.new - cut.new))) for share, at in SIMPSON)


def last_piece(s: Setup, w: Workload) -> Pass:
    """The piece that ends a prompt, which holds the most."""
    whole = prefill(s, w)
    most = s.runtime.memory.chunk
    if most is None:
        return whole
    cut = _cut(s, whole, minimum(whole.tokens, most))
    return replace(cut, context=whole.new - cut.new)


def _cut(s: Setup, whole: Pass, tokens: Number) -> Pass:
    """A step of `tokens` new tokens: of one prompt, or of as many prompts as it takes or as go side by side."""
    handed = s.runtime.memory.side_by_side
    beside = 1 if handed is None else minimum(whole.batch, maximum(handed / whole.new, 1))
    new = minimum(whole.new, tokens / beside)
    return replace(whole, new=new, batch=tokens / new)


def samples(steps: Number) -> tuple[tuple[float, Number], ...]:
    """Steps that stand for so many (the weight of each in the mean, and the tokens before it): Simpson's rule."""
    if single(steps) and float(steps) <= 1:
        return ((1, 0),)
    return tuple((share, at * maximum(steps - 1, 0)) for share, at in SIMPSON)
