"""A transformer block whose weights serve several layers, as in Zamba2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from roofsim.foundation.arith import Number
from roofsim.model.ffn.gated_mlp import GatedMlp
from roofsim.model.mixers.attention import Attention
from roofsim.model.part import Parameters, Part, added_up, elementwise, linear, renamed
from roofsim.model.split import Split
from roofsim.model.step import Pass, Precision
from roofsim.ops import pointwise
from roofsim.ops.base import Operator, Role


class SharedBlock(Part):
    """Attention and MLP over the stream beside the embeddings (Zamba2, arXiv 2411.15242, fig. 2).

    The input is twice the model's width: the residual stream and the embeddings of the same tokens. All
    uses share the weights of `block`; every use has its own output matrix, adapters and KV cache.
    """

    normed: ClassVar[bool] = False

    kind: Literal["shared_block"]
    block: str
    attention: Attention
    mlp: GatedMlp

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Attention and MLP; every rank has the output matrix, as in vLLM."""
        return {"attention": self.attention.sharded(split), "mlp": self.mlp.sharded(split)}

    @property
    def joins(self) -> None:
        """Nothing: what attention and MLP made was added up inside."""

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Join, norm, attention, norm, MLP, output matrix."""
        joined = 2 * d_model
        ops = [
            elementwise(p, "join", pointwise.concat, joined, "x"),
            elementwise(p, "attn_norm", pointwise.rms_norm, joined, "join", weights=True, acts_as=Role.BRANCH_NORM),
            *renamed(self.attention.operators(p, d_model), "attn_norm"),
            *added_up(p, "attn_join", d_model, self.split.tp, "o_proj"),
            elementwise(p, "mlp_norm", pointwise.rms_norm, d_model, "o_proj", weights=True, acts_as=Role.BRANCH_NORM),
            *renamed(self.mlp.operators(p, d_model), "mlp_norm"),
            *added_up(p, "mlp_join", d_model, self.split.tp, "down_proj"),
        ]
        return [*ops, linear(p, "block_out", d_model, d_model, "down_proj", acts_as=Role.BLOCK_OUT)]

    def parameters(self, d_model: int) -> Parameters:
        """What each use has for itself: adapters and the output matrix."""
        return {
            "attention": self.attention.adapter_parameters(d_model) + d_model**2,
            "mlp": self.mlp.adapter_parameters(d_model),
        }

    def shared_parameters(self, d_model: int) -> Mapping[str, Parameters]:
        """The block itself, and its two norms."""
        attention = self.attention.parameters(d_model)["attention"] - self.attention.adapter_parameters(d_model)
        mlp = self.mlp.parameters(d_model)["mlp"] - self.mlp.adapter_parameters(d_model)
        return {self.block: {"attention": attention, "mlp": mlp, "norm": 3 * d_model}}

    def shares(self, role: Role) -> bool:
        """All but the adapters and the output matrix."""
        return role not in (Role.ADAPTER, Role.BLOCK_OUT)

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The KV cache of this use."""
        return self.attention.state_bytes(context, precision)
