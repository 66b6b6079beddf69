"""Lightning attention (MiniMax-01, arXiv 2501.08313; Lightning Attention-2, arXiv 2401.04658)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, elementwise, linear, squares_added_up
from roofsim.model.recurrent import output_norm, recurrence
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import gating, pointwise
from roofsim.ops.base import Operator
from roofsim.ops.recurrence import linear_attention


class Lightning(Part):
    """Linear attention with a constant decay per head; its state is kept in the dtype of the activations."""

    kind: Literal["lightning"]
    heads: Size
    head_dim: Size
    chunk: Size = 256

    @property
    def width(self) -> int:
        """Width of queries, of keys and of values."""
        return self.heads * self.head_dim

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads; the norm needs the squares of all."""
        return {"heads": divided("heads", self.heads, split.tp)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """One projection in and its SiLU, attention in chunks, norm and gate, projection out."""
        width = self.width
        sizes = {
            "heads": self.heads,
            "qk_dim": self.head_dim,
            "v_dim": self.head_dim,
            "gates": 0,
            "chunk": self.chunk,
            "state_bytes": p.precision.activations,
        }
        return [
            linear(p, "qkv_proj", d_model, 3 * width, "x"),
            elementwise(p, "qkv_activation", pointwise.activation, 3 * width, "qkv_proj"),
            recurrence(p, linear_attention, width, "qkv_activation", sizes=sizes),
            *contexts.states(p, self.state_bytes(0, p.precision), self.split, "scan"),
            linear(p, "output_gate", d_model, width, "x"),
            *squares_added_up(p, "norm_sums", 1, self.split.tp, "scan"),
            output_norm(p, gating.rms_norm_gate, width, width, "scan", "output_gate"),
            linear(p, "out_proj", width, d_model, "output_norm"),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Queries, keys, values, gate and output, and the norm; decays are not learned."""
        return {"ssm": 5 * d_model * self.width + self.width}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """A matrix per head; no growth."""
        return self.width * self.head_dim * precision.activations
