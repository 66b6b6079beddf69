"""Time mix of RWKV-6, Finch (Peng et al. 2024, arXiv 2404.05892)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, elementwise, linear
from roofsim.model.recurrent import head_linear, output_norm, recurrence, shift
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import gating, pointwise
from roofsim.ops.base import Operator
from roofsim.ops.recurrence import wkv

MIXES = 5
"""Mixes that RWKV-6 computes: for decay, key, value, receptance and gate."""


class Wkv(Part):
    """What it shares with RWKV-5: linear attention with a bonus for the current token; as wide as the model."""

    heads: Size
    head_dim: Size
    chunk: Size = 64

    @property
    def width(self) -> int:
        """Width of all heads."""
        return self.heads * self.head_dim

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads; every rank shifts and mixes the whole stream."""
        return {"heads": divided("heads", self.heads, split.tp)}

    def mixed(self, p: Pass, d_model: int, source: str, *decays: str, gates: int) -> list[Operator]:
        """What follows the mixes: projections, recurrence, norm of every head with its gate, output."""
        width = self.width
        sizes = {
            "heads": self.heads,
            "qk_dim": self.head_dim,
            "v_dim": self.head_dim,
            "gates": gates,
            "chunk": self.chunk,
            "weight_bytes": p.precision.vectors,
        }
        names = ("receptance", "key", "value", "gate")
        return [
            *(linear(p, name, d_model, width, source) for name in names),
            recurrence(p, wkv, width, "receptance", "key", "value", *decays, sizes=sizes),
            *contexts.states(p, self.state_bytes(0, p.precision), self.split, "scan"),
            output_norm(p, gating.layer_norm_gate, width, 2 * width, "scan", "gate"),
            linear(p, "output", width, d_model, "output_norm"),
        ]

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The last token and a matrix per head; no growth."""
        return self.width * (self.head_dim * precision.state + self.split.tp * precision.activations)


class Rwkv6(Wkv):
    """RWKV-6: mixes and decays are computed from the token by low-rank matrices."""

    kind: Literal["rwkv6"]
    mix_rank: Size = 32
    decay_rank: Size = 64

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Token shift, the five mixes from it, decay, projections, recurrence, norm with gate, output."""
        width, rank = self.width, self.mix_rank
        mix = elementwise(p, "mixes", gating.learned_mix, d_model, "x", "mix_b", weights=True, mixes=MIXES)
        return [
            shift(p, "token_shift", d_model, 1),
            linear(p, "mix_a", d_model, MIXES * rank, "token_shift"),
            elementwise(p, "mix_activation", pointwise.activation, MIXES * rank, "mix_a"),
            head_linear(p, "mix_b", MIXES, rank, d_model, "mix_activation"),
            replace(mix, out=MIXES * mix.out),
            linear(p, "decay_a", d_model, self.decay_rank, "mixes"),
            elementwise(p, "decay_activation", pointwise.activation, self.decay_rank, "decay_a"),
            linear(p, "decay_b", self.decay_rank, width, "decay_activation"),
            *self.mixed(p, d_model, "mixes", "decay_b", gates=self.head_dim),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Five matrices and the low-rank ones, six mixes, decay, bonus and the norm."""
        ranks = MIXES * self.mix_rank * 2 * d_model + self.decay_rank * (d_model + self.width)
        return {"ssm": 5 * d_model * self.width + ranks + 6 * d_model + 4 * self.width}
