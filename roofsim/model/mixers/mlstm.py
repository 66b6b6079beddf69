"""mLSTM (xLSTM, arXiv 2405.04517), as in xLSTM 7B (arXiv 2503.13427)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.mixers.attention import PROJECTIONS
from roofsim.model.part import Parameters, Part, elementwise, linear
from roofsim.model.recurrent import output_norm, recurrence
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import gating, pointwise
from roofsim.ops import recurrence as recurrences
from roofsim.ops.base import Operator


class MLstm(Part):
    """Matrix memory of `heads`, with an input and a forget gate each; its state is in the activations' dtype."""

    kind: Literal["mlstm"]
    heads: Size
    qk_dim: Size
    v_dim: Size
    chunk: Size = 64
    bias: bool = False

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads, with their gates."""
        return {"heads": divided("heads", self.heads, split.tp)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Projections, capped gates, memory in chunks, norm of every head with its gate, projection out."""
        qk, v = self.heads * self.qk_dim, self.heads * self.v_dim
        parts = {"q_proj": qk, "k_proj": qk, "v_proj": v, "o_gate": v}
        sizes = {
            "heads": self.heads,
            "qk_dim": self.qk_dim,
            "v_dim": self.v_dim,
            "chunk": self.chunk,
            "state_bytes": p.precision.activations,
        }
        gates = ("i_gate", "f_gate")
        return [
            *(linear(p, n, d_model, w, "x", bias=self.bias, acts_as=PROJECTIONS.get(n)) for n, w in parts.items()),
            *(linear(p, name, d_model, self.heads, "x", bias=True) for name in gates),
            *(elementwise(p, f"{name}_cap", pointwise.soft_cap, self.heads, name) for name in gates),
            recurrence(p, recurrences.mlstm, v, "q_proj", "k_proj", "v_proj", "i_gate_cap", "f_gate_cap", sizes=sizes),
            *contexts.states(p, self.state_bytes(0, p.precision), self.split, "scan"),
            output_norm(p, gating.layer_norm_gate, v, (1 + self.bias) * v, "scan", "o_gate"),
            linear(p, "out_proj", v, d_model, "output_norm", bias=self.bias),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Projections, the gates with their biases, and the norm."""
        qk, v = self.heads * self.qk_dim, self.heads * self.v_dim
        projections = d_model * (2 * qk + 3 * v) + self.bias * (2 * qk + 2 * v + d_model)
        return {"ssm": projections + 2 * self.heads * (d_model + 1) + (1 + self.bias) * v}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """Matrix, normaliser and largest exponent of every head; no growth."""
        return self.heads * (self.qk_dim * self.v_dim + self.qk_dim + 1) * precision.activations
