"""Mamba-2 (Dao & Gu 2024, arXiv 2405.21060)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, convolution, elementwise, linear, squares_added_up
from roofsim.model.split import Split, divided, replicated
from roofsim.model.step import Pass, Precision
from roofsim.ops import pointwise, scan
from roofsim.ops.base import Operator, Role


class Mamba2(Part):
    """State-space dual: `heads` of `head_dim` channels share one decay; B and C per group.

    `bias` says whether the projections have one.
    """

    kind: Literal["mamba2"]
    heads: Size
    head_dim: Size
    d_state: Size
    groups: Size = 1
    chunk: Size = 256
    d_conv: Size = 4
    conv_bias: bool = True
    gated_norm: bool = True
    bias: bool = False

    derived: ClassVar[tuple[str, ...]] = ("split", "norm_ranks")
    norm_ranks: ClassVar[int] = 1
    """Ranks that share what the gated norm goes over: a group."""

    @property
    def d_inner(self) -> int:
        """Channels of the recurrence."""
        return self.heads * self.head_dim

    @property
    def conv_channels(self) -> int:
        """Channels of the convolution: x, B and C."""
        return self.d_inner + 2 * self.groups * self.d_state

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads and groups; one group each is on several ranks, as in vLLM."""
        t = split.tp
        heads, groups = divided("heads", self.heads, t), replicated("groups", self.groups, t)
        return {"heads": heads, "groups": groups, "norm_ranks": self.norm_ranks * max(t // self.groups, 1)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """One projection in, convolution, chunked scan, gate (with its norm), projection out."""
        byte = p.precision
        size = {
            "batch": p.batch,
            "new": p.new,
            "heads": self.heads,
            "head_dim": self.head_dim,
            "d_state": self.d_state,
            "groups": self.groups,
            "chunk": self.chunk,
            "weight_bytes": byte.vectors,
            "act_bytes": byte.activations,
            "state_bytes": byte.state,
        }
        gate = pointwise.gated_rms_norm if self.gated_norm else pointwise.gated_activation
        projected = self.d_inner + self.conv_channels + self.heads
        weights, role = self.gated_norm or None, Role.STATE_GATE
        return [
            linear(p, "in_proj", d_model, projected, "x", bias=self.bias, acts_as=Role.STATE_IN),
            convolution(p, self.conv_channels, self.d_conv, "in_proj", bias=self.conv_bias),
            Operator("scan", scan.ssd_scan, size, p.activation_bytes(self.d_inner), ("in_proj", "conv")),
            *contexts.states(p, self.state_bytes(0, byte), self.split, "scan"),
            *(squares_added_up(p, "gate_sums", 1, self.norm_ranks, "scan", "in_proj") if self.gated_norm else ()),
            elementwise(p, "ssm_gate", gate, self.d_inner, "scan", "in_proj", weights=weights, acts_as=role),
            linear(p, "out_proj", self.d_inner, d_model, "ssm_gate", bias=self.bias, acts_as=Role.STATE_OUT),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Projections, filters, A, D and Δ's bias per head, and the weight of the gated norm."""
        projections = d_model * (2 * self.d_inner + self.conv_channels + self.heads)
        projections += self.bias * (self.d_inner + self.conv_channels + self.heads + d_model)
        filters = self.conv_channels * (self.d_conv + self.conv_bias)
        return {"ssm": projections + filters + 3 * self.heads + self.gated_norm * self.d_inner}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The recurrent state and the last `d_conv` inputs of the convolution; no growth."""
        recurrent = self.d_inner * self.d_state * precision.state
        return recurrent + self.conv_channels * self.d_conv * precision.activations
