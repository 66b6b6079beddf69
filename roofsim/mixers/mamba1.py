"""Mamba-1 (Gu & Dao 2023, arXiv 2312.00752)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from roofsim.arith import Number
from roofsim.mixers.base import Parameters, Part, convolution, linear
from roofsim.ops import scan
from roofsim.ops.base import Operator
from roofsim.passes import Pass, Precision
from roofsim.schema import Size


class Mamba1(Part):
    """A selective state-space layer: `d_inner` channels with `d_state` states each."""

    kind: Literal["mamba1"]
    d_inner: Size
    d_state: Size
    dt_rank: Size
    d_conv: Size = 4
    conv_bias: bool = True

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Projections in, convolution, Δ B C, scan with its gate, projection out."""
        byte = p.precision
        size = {
            "batch": p.batch,
            "new": p.new,
            "d_inner": self.d_inner,
            "d_state": self.d_state,
            "weight_bytes": byte.weights,
            "act_bytes": byte.activations,
            "state_bytes": byte.state,
        }
        out = p.activation_bytes(self.d_inner)
        return [
            linear(p, "in_proj", d_model, 2 * self.d_inner, "x"),
            convolution(p, self.d_inner, self.d_conv, "in_proj"),
            linear(p, "x_proj", self.d_inner, self.dt_rank + 2 * self.d_state, "conv"),
            # the published implementation multiplies by this weight inside the scan's operator
            linear(p, "dt_proj", self.dt_rank, self.d_inner, "x_proj", reported_as="scan"),
            Operator("scan", scan.selective_scan, size, out, ("in_proj", "conv", "x_proj", "dt_proj")),
            linear(p, "out_proj", self.d_inner, d_model, "scan"),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Projections, filters, A, D and the bias of Δ."""
        inner = self.d_inner
        projections = inner * (3 * d_model + self.dt_rank + 2 * self.d_state) + (self.dt_rank + 1) * inner
        return {"ssm": projections + inner * (self.d_conv + self.conv_bias) + inner * (self.d_state + 1)}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The recurrent state and the last `d_conv` inputs of the convolution; no growth."""
        return self.d_inner * (self.d_state * precision.state + self.d_conv * precision.activations)
