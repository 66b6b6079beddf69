"""RWKV-4 time mix (Peng et al. 2023, arXiv 2305.13048)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, elementwise, linear
from roofsim.model.recurrent import recurrence, shift
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import pointwise
from roofsim.ops.base import Operator
from roofsim.ops.recurrence import wkv4


class Rwkv4(Part):
    """A mean of past values with weights that decay, gated by the receptance; as wide as the model."""

    kind: Literal["rwkv4"]
    width: Size

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Channels; every rank shifts the whole stream."""
        return {"width": divided("width", self.width, split.tp)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Token shift, key, value and receptance, WKV, gate, output."""
        width = self.width
        sizes = {"channels": width, "weight_bytes": p.precision.vectors}
        return [
            shift(p, "token_shift", d_model, 3),
            *(linear(p, name, d_model, width, "token_shift") for name in ("key", "value", "receptance")),
            recurrence(p, wkv4, width, "key", "value", sizes=sizes),
            *contexts.states(p, self.state_bytes(0, p.precision), self.split, "scan"),
            elementwise(p, "output_gate", pointwise.gated_activation, width, "receptance", "scan"),
            linear(p, "output", width, d_model, "output_gate"),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Four matrices, three mixes, decay and bonus."""
        return {"ssm": 4 * d_model * self.width + 3 * d_model + 2 * self.width}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The last token, and numerator, denominator and largest exponent per channel; no growth."""
        return self.width * (3 * precision.state + self.split.tp * precision.activations)
