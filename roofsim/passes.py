"""One forward pass over a batch: how many tokens are new, how many are held, in which precision."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from roofsim.arith import Number

Logits = Literal["all", "last"]
Phase = Literal["prefill", "decode"]
Latents = Literal["absorbed", "expanded"]


@dataclass(frozen=True, slots=True)
class Precision:
    """Bytes per element of what a pass moves; fractions where scales of a quantised format are shared."""

    weights: Number = 2
    activations: Number = 2
    cache: Number = 2
    state: Number = 4


@dataclass(frozen=True)
class Pass:
    """`batch` sequences, each with `new` tokens on top of `context` tokens that it already holds.

    `phase` is for software, which runs other code for a decode step; formulas do not look at it. `latents` says in
    which form latent attention runs: on keys and values expanded for every head, or on the latents themselves.
    """

    batch: Number
    new: Number
    context: Number
    precision: Precision = Precision()
    logits: Logits = "all"
    phase: Phase = "prefill"
    latents: Latents = "absorbed"

    @cached_property
    def tokens(self) -> Number:
        """New tokens of all sequences."""
        return self.batch * self.new

    def activation_bytes(self, width: Number) -> Number:
        """Bytes of a tensor with `width` elements for every new token."""
        return width * self.precision.activations * self.tokens
