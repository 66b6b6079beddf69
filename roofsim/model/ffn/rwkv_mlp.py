"""Channel mixes of RWKV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model.part import Parameters, Part, elementwise, linear
from roofsim.model.recurrent import shift
from roofsim.model.step import Pass, Precision
from roofsim.ops import pointwise
from roofsim.ops.base import Operator


class RwkvMlp(Part):
    """Two matrices with a squared ReLU between them, after a token shift (Peng et al. 2023, arXiv 2305.13048).

    `receptance` says that a third matrix gates the result: RWKV-4 to RWKV-6, not RWKV-7.
    """

    kind: Literal["rwkv_mlp"]
    d_in: Size
    width: Size
    receptance: bool = True

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Token shift, key, squared ReLU, value, and its gate."""
        ops = [
            shift(p, "channel_shift", self.d_in, 1 + self.receptance),
            linear(p, "channel_key", d_model, self.width, "channel_shift"),
            elementwise(p, "activation", pointwise.activation, self.width, "channel_key"),
            linear(p, "channel_value", self.width, d_model, "activation"),
        ]
        if self.receptance:
            ops.append(linear(p, "channel_receptance", d_model, d_model, "channel_shift"))
            gate = pointwise.gated_activation
            ops.append(elementwise(p, "channel_gate", gate, d_model, "channel_receptance", "channel_value"))
        return ops

    def parameters(self, d_model: int) -> Parameters:
        """The matrices and a mix for each that reads the token shift."""
        gate = self.receptance * d_model**2
        return {"mlp": 2 * d_model * self.width + gate + (1 + self.receptance) * self.d_in}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The last token; no growth."""
        return self.d_in * precision.activations
