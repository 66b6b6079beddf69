"""A dense MLP and experts side by side, as in Gemma 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.model.ffn.gated_mlp import GatedMlp
from roofsim.model.ffn.moe import Moe
from roofsim.model.part import Parameters, Part, added_up, elementwise, renamed
from roofsim.model.split import Split
from roofsim.model.step import Pass
from roofsim.ops import pointwise
from roofsim.ops.base import Operator


class DenseAndMoe(Part):
    """Both read the residual stream, each behind a norm; each result is normed before the sum.

    Read from transformers' Gemma4TextDecoderLayer; the norm before the dense MLP is the layer's.
    """

    kind: Literal["dense_and_moe"]
    mlp: GatedMlp
    moe: Moe

    def divided(self, split: Split) -> Mapping[str, Any]:
        """The dense MLP and the experts."""
        return {"mlp": self.mlp.sharded(split), "moe": self.moe.sharded(split)}

    @property
    def joins(self) -> None:
        """Nothing: each result is whole before its norm."""

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """The dense MLP, the experts, their norms and the sum."""
        return [
            *self.mlp.operators(p, d_model),
            *added_up(p, "dense_join", d_model, self.split.tp, "down_proj"),
            elementwise(p, "dense_norm", pointwise.rms_norm, d_model, "down_proj", weights=True),
            elementwise(p, "moe_norm", pointwise.rms_norm, d_model, "x", weights=True),
            *renamed(self.moe.operators(p, d_model), "moe_norm"),
            *self.moe.join(p, "moe_join", d_model, "combine"),
            elementwise(p, "combine_norm", pointwise.rms_norm, d_model, "combine", weights=True),
            elementwise(p, "branches_sum", pointwise.add, d_model, "dense_norm", "combine_norm"),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Those of both, and three norms."""
        return {**self.mlp.parameters(d_model), **self.moe.parameters(d_model), "norm": 3 * d_model}

    def idle_parameters(self, d_model: int) -> int:
        """Those of the experts that a token does not go to."""
        return self.moe.idle_parameters(d_model)
