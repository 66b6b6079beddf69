"""Channel mixes of RWKV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model.part import Parameters, Part, elementwise, exchange, linear
from roofsim.model.recurrent import shift
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import collective, pointwise
from roofsim.ops.base import CostFunction, Operator


class RwkvMlp(Part):
    """Two matrices with a squared ReLU between them, after a token shift (Peng et al. 2023, arXiv 2305.13048).

    `receptance` says that a third matrix gates the result: RWKV-4 to RWKV-6, not RWKV-7.
    """

    kind: Literal["rwkv_mlp"]
    d_in: Size
    width: Size
    receptance: bool = True

    def divided(self, split: Split) -> Mapping[str, Any]:
        """The width between the matrices; columns of the gate, so that each rank gates its share of the result."""
        divided("d_in", self.d_in, split.tp)
        return {"width": divided("width", self.width, split.tp)}

    @property
    def joins(self) -> CostFunction | None:
        """Gated results are shares, which are gathered."""
        return collective.all_gather if self.receptance and self.split.tp > 1 else super().joins

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Token shift, key, squared ReLU, value, and its gate."""
        ops = [
            shift(p, "channel_shift", self.d_in, 1 + self.receptance),
            linear(p, "channel_key", d_model, self.width, "channel_shift"),
            elementwise(p, "activation", pointwise.activation, self.width, "channel_key"),
            linear(p, "channel_value", self.width, d_model, "activation"),
        ]
        if self.receptance:
            ranks = self.split.tp
            if ranks > 1:
                scatter, payload = collective.reduce_scatter, p.activation_bytes(d_model)
                ops.append(exchange("channel_scatter", scatter, payload, ranks, "channel_value"))
            share = d_model // ranks
            ops.append(linear(p, "channel_receptance", d_model, share, "channel_shift"))
            gate = pointwise.gated_activation
            ops.append(elementwise(p, "channel_gate", gate, share, "channel_receptance", "channel_value"))
        return ops

    def parameters(self, d_model: int) -> Parameters:
        """The matrices and a mix for each that reads the token shift."""
        gate = self.receptance * d_model * (d_model // self.split.tp)
        return {"mlp": 2 * d_model * self.width + gate + (1 + self.receptance) * self.d_in}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The last token; no growth."""
        return self.d_in * precision.activations
