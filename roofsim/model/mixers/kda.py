"""Kimi Delta Attention (Kimi Linear, arXiv 2510.26692)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, convolution, linear
from roofsim.model.recurrent import output_norm, recurrence
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import gating
from roofsim.ops.base import Operator, Role
from roofsim.ops.recurrence import delta_rule


class Kda(Part):
    """The gated delta rule with a decay for every key channel; two gates are low-rank, of rank `head_dim`."""

    kind: Literal["kda"]
    heads: Size
    head_dim: Size
    d_conv: Size = 4
    chunk: Size = 64

    @property
    def width(self) -> int:
        """Width of queries, of keys and of values."""
        return self.heads * self.head_dim

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads; the gates keep their rank."""
        return {"heads": divided("heads", self.heads, split.tp)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Projections, convolution, decay, delta rule in chunks, norm of every head with its gate, projection out."""
        width, rank = self.width, self.head_dim
        rule = {
            "key_heads": self.heads,
            "heads": self.heads,
            "qk_dim": self.head_dim,
            "v_dim": self.head_dim,
            "keys": 1,
            "gates": self.head_dim + 1,
            "chunk": self.chunk,
            "weight_bytes": p.precision.vectors,
        }
        qkv = {"q_proj": None, "k_proj": Role.KEY, "v_proj": Role.VALUE}
        return [
            *(linear(p, name, d_model, width, "x", acts_as=role) for name, role in qkv.items()),
            convolution(p, 3 * width, self.d_conv, *qkv, bias=False),
            linear(p, "f_a_proj", d_model, rank, "x"),
            linear(p, "f_b_proj", rank, width, "f_a_proj"),
            linear(p, "b_proj", d_model, self.heads, "x"),
            recurrence(p, delta_rule, width, "conv", "f_b_proj", "b_proj", sizes=rule),
            *contexts.states(p, self.state_bytes(0, p.precision), self.split, "scan"),
            linear(p, "g_a_proj", d_model, rank, "x"),
            linear(p, "g_b_proj", rank, width, "g_a_proj"),
            output_norm(p, gating.rms_norm_gate, width, self.head_dim, "scan", "g_b_proj"),
            linear(p, "o_proj", width, d_model, "output_norm"),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Projections, filters, decay per head with a bias per channel, and one norm that all heads share."""
        width, rank = self.width, self.head_dim
        projections = d_model * (4 * width + self.heads) + 2 * rank * (d_model + width)
        return {"ssm": projections + 3 * width * self.d_conv + width + self.heads + self.head_dim}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """A matrix per head and the last `d_conv` inputs of the convolution; no growth."""
        return self.width * (self.head_dim * precision.state + 3 * self.d_conv * precision.activations)
