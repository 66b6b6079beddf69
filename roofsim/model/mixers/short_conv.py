"""Gated short convolution (LFM2, arXiv 2511.23404)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, convolution, elementwise, linear
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import gating
from roofsim.ops.base import Operator, Role


class ShortConv(Part):
    """C ⊙ conv(B ⊙ x): a convolution of `d_conv` taps between two gates; all three come from one projection."""

    kind: Literal["short_conv"]
    channels: Size
    d_conv: Size = 3
    bias: bool = False

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Channels."""
        return {"channels": divided("channels", self.channels, split.tp)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Projection in, gate, convolution, gate, projection out."""
        channels, gate = self.channels, Role.SEQUENCE_GATE
        return [
            linear(p, "in_proj", d_model, 3 * channels, "x", bias=self.bias, acts_as=Role.SEQUENCE_PROJECTION),
            elementwise(p, "input_gate", gating.product, channels, "in_proj", acts_as=gate),
            convolution(p, channels, self.d_conv, "input_gate", bias=self.bias, held=self.d_conv),
            *contexts.states(p, self.state_bytes(0, p.precision), self.split, "conv"),
            elementwise(p, "output_gate", gating.product, channels, "in_proj", "conv", acts_as=gate),
            linear(p, "out_proj", channels, d_model, "output_gate", bias=self.bias, acts_as=Role.SEQUENCE_OUT),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Both projections and the filters, with their biases."""
        biases = self.bias * (4 * self.channels + d_model)
        return {"ssm": self.channels * (4 * d_model + self.d_conv) + biases}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The last `d_conv` inputs of the convolution; no growth."""
        return self.channels * self.d_conv * precision.activations
