"""The dense feed-forward layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.schema import Extra, Size
from roofsim.model.part import Parameters, Part, elementwise, linear
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass
from roofsim.ops import pointwise
from roofsim.ops.base import Operator, Role


class Mlp(Part):
    """Two matrices with an activation between them, which may have `activation_weights` of its own."""

    kind: Literal["mlp"]
    width: Size
    bias: bool = False
    activation_weights: Extra = 0

    def divided(self, split: Split) -> Mapping[str, Any]:
        """The width between the matrices."""
        return {"width": divided("width", self.width, split.tp)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Up, activation, down."""
        return [
            linear(p, "up_proj", d_model, self.width, "x", bias=self.bias),
            elementwise(p, "activation", pointwise.activation, self.width, "up_proj"),
            linear(p, "down_proj", self.width, d_model, "activation", bias=self.bias, acts_as=Role.FFN_OUT),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Both matrices and their biases."""
        return {"mlp": 2 * d_model * self.width + self.bias * (self.width + d_model) + self.activation_weights}
