"""The dense feed-forward layer with a gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.schema import Extra, Size
from roofsim.model.part import Parameters, Part, elementwise, linear, squares_added_up
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass
from roofsim.ops import pointwise
from roofsim.ops.base import Operator, Role


class GatedMlp(Part):
    """Three matrices: down(act(gate(x)) · up(x)) (Shazeer 2020, arXiv 2002.05202).

    `fused` says that gate and up are one matrix; `lora_rank` adds a low-rank pair to them. `inner_norm` normalises
    what goes into the last matrix.
    """

    kind: Literal["gated_mlp"]
    width: Size
    fused: bool = False
    bias: bool = False
    lora_rank: Extra = 0
    inner_norm: bool = False

    def divided(self, split: Split) -> Mapping[str, Any]:
        """The width between the matrices; the adapter keeps its rank."""
        return {"width": divided("width", self.width, split.tp)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Gate and up, their product, down."""
        roles = {"gate_proj": Role.FFN_GATE, "up_proj": Role.FFN_UP}
        halves = list(roles)
        if self.fused:
            ops = [linear(p, "gate_up_proj", d_model, 2 * self.width, "x", bias=self.bias)]
            halves = ["gate_up_proj"]
        else:
            ops = [
                linear(p, name, d_model, self.width, "x", bias=self.bias, acts_as=role) for name, role in roles.items()
            ]
        if self.lora_rank:
            ops.append(linear(p, "lora_a", d_model, self.lora_rank, "x", acts_as=Role.ADAPTER))
            ops.append(linear(p, "lora_b", self.lora_rank, 2 * self.width, "lora_a", acts_as=Role.ADAPTER))
            ops.append(elementwise(p, "lora", pointwise.add, 2 * self.width, *halves, "lora_b"))
            halves = ["lora"]
        ops.append(elementwise(p, "gate", pointwise.gated_activation, self.width, *halves))
        last = "gate"
        if self.inner_norm:
            ops += squares_added_up(p, "inner_sums", 1, self.split.tp, last)
            ops.append(elementwise(p, "inner_norm", pointwise.rms_norm, self.width, last, weights=True))
            last = "inner_norm"
        return [*ops, linear(p, "down_proj", self.width, d_model, last, bias=self.bias, acts_as=Role.FFN_OUT)]

    def parameters(self, d_model: int) -> Parameters:
        """The three matrices, their biases and the adapter."""
        biases = self.bias * (2 * self.width + d_model) + self.inner_norm * self.width
        return {"mlp": 3 * d_model * self.width + biases + self.adapter_parameters(d_model)}

    def adapter_parameters(self, d_model: int) -> int:
        """Weights of the low-rank adapter on gate and up."""
        return self.lora_rank * (d_model + 2 * self.width)
