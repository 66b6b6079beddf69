"""How a head that drafts tokens puts together what it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.schema import Size
from roofsim.model.part import Parameters, Part, elementwise, linear
from roofsim.model.split import Split
from roofsim.model.step import Pass
from roofsim.ops import pointwise
from roofsim.ops.base import Operator


class DraftInput(Part):
    """One matrix makes the stream of a draft head of the model's last hidden state and the token that followed it.

    Both are normed first: the state by the layer's own norm (DeepSeek-V3, arXiv 2412.19437, eq. 21; EAGLE, arXiv
    2401.15077, figure 6, has no norms).
    """

    kind: Literal["draft_input"]
    inputs: Size = 2

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Nothing: every rank has the matrix, as in vLLM."""
        return {}

    @property
    def joins(self) -> None:
        """Nothing, as every rank has all of it."""

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Norm of the token's embedding, all side by side, and the product with the matrix."""
        width = self.inputs * d_model
        return [
            elementwise(p, "input_norm", pointwise.rms_norm, d_model, "x", weights=True),
            elementwise(p, "join", pointwise.concat, width, "x", "input_norm"),
            linear(p, "input_proj", width, d_model, "join"),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """The matrix and the norm."""
        return {"mlp": self.inputs * d_model * d_model, "norm": d_model}
