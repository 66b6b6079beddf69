"""The recurrent block of Griffin (De et al. 2024, arXiv 2402.19427), as in RecurrentGemma."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, convolution, elementwise, linear
from roofsim.model.recurrent import head_linear, recurrence
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import pointwise
from roofsim.ops import recurrence as recurrences
from roofsim.ops.base import Operator


class RgLru(Part):
    """A convolution and a real-gated linear recurrence beside a gate; its gates are block-diagonal, `heads` blocks."""

    kind: Literal["rg_lru"]
    heads: Size
    head_dim: Size
    d_conv: Size = 4

    @property
    def width(self) -> int:
        """Channels of the recurrence."""
        return self.heads * self.head_dim

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Blocks of the gates, with their channels."""
        return {"heads": divided("heads", self.heads, split.tp)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Both projections in, convolution, gates of the recurrence, recurrence, output gate, projection out."""
        width = self.width
        gates = ("input_gate", "recurrent_gate")
        sizes = {"channels": width, "weight_bytes": p.precision.vectors}
        blocks = (self.heads, self.head_dim, self.head_dim)
        return [
            linear(p, "linear_y", d_model, width, "x", bias=True),
            linear(p, "linear_x", d_model, width, "x", bias=True),
            convolution(p, width, self.d_conv, "linear_x", held=self.d_conv - 1),
            # their biases are added inside the recurrence
            *(head_linear(p, name, *blocks, "conv", reported_as="scan") for name in gates),
            recurrence(p, recurrences.rg_lru, width, "conv", *gates, sizes=sizes),
            *contexts.states(p, self.state_bytes(0, p.precision), self.split, "scan"),
            elementwise(p, "output_gate", pointwise.gated_activation, width, "linear_y", "scan"),
            linear(p, "linear_out", width, d_model, "output_gate", bias=True),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Projections, filters and block-diagonal gates with their biases, and Λ."""
        projections = 2 * (d_model + 1) * self.width + (self.width + 1) * d_model
        gates = 2 * self.width * (self.head_dim + 1)
        return {"ssm": projections + self.width * (self.d_conv + 1) + gates + self.width}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """One number per channel and the last `d_conv` − 1 inputs of the convolution; no growth."""
        return self.width * (precision.state + (self.d_conv - 1) * precision.activations)
