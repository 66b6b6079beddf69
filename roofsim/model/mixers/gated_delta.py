"""Gated DeltaNet (Yang et al. 2024, arXiv 2412.06464)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, convolution, linear
from roofsim.model.recurrent import output_norm, recurrence
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import gating
from roofsim.ops.base import Operator, Role
from roofsim.ops.recurrence import delta_rule


class GatedDelta(Part):
    """The gated delta rule on `key_heads` queries and keys, each for a group of `value_heads`; one decay per head.

    `joined` says that one matrix makes queries, keys, values and output gate and another the two gates of the
    rule (Qwen3-Next); else queries, keys and values share one, and the three kinds of gate have their own (Qwen3.5).
    """

    kind: Literal["gated_delta"]
    key_heads: Size
    value_heads: Size
    key_dim: Size
    value_dim: Size
    d_conv: Size = 4
    chunk: Size = 64
    joined: bool = False

    def __post_init__(self) -> None:
        if self.value_heads % self.key_heads:
            raise ValueError(f"key_heads {self.key_heads} does not divide value_heads {self.value_heads}")

    @property
    def values(self) -> int:
        """Width of the values of all heads."""
        return self.value_heads * self.value_dim

    @property
    def conv_channels(self) -> int:
        """Channels of the convolution: queries, keys and values."""
        return 2 * self.key_heads * self.key_dim + self.values

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads of keys and of values, with their channels of the convolution."""
        names = ("key_heads", "value_heads")
        return {name: divided(name, getattr(self, name), split.tp) for name in names}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Projections, convolution, delta rule in chunks, norm of every head with its gate, projection out."""
        qkv, v, heads = self.conv_channels, self.values, self.value_heads
        if self.joined:
            ops = [
                linear(p, "in_proj_qkvz", d_model, qkv + v, "x"),
                linear(p, "in_proj_ba", d_model, 2 * heads, "x"),
            ]
            source, z, *gates = "in_proj_qkvz", "in_proj_qkvz", "in_proj_ba"
        else:
            parts = {"in_proj_qkv": qkv, "in_proj_z": v, "in_proj_b": heads, "in_proj_a": heads}
            ops = [linear(p, name, d_model, width, "x") for name, width in parts.items()]
            source, z, *gates = parts
        rule = {
            "key_heads": self.key_heads,
            "heads": heads,
            "qk_dim": self.key_dim,
            "v_dim": self.value_dim,
            "keys": 1,
            "gates": 2,
            "chunk": self.chunk,
            "weight_bytes": p.precision.vectors,
        }
        return [
            *ops,
            convolution(p, qkv, self.d_conv, source, bias=False),
            recurrence(
                p, delta_rule, v, "conv", *gates, sizes=rule, acts_as=Role.SPLIT_RECURRENCE if self.joined else None
            ),
            *contexts.states(p, self.state_bytes(0, p.precision), self.split, "scan"),
            output_norm(p, gating.rms_norm_gate, v, self.value_dim, "scan", z),
            linear(p, "out_proj", v, d_model, "output_norm"),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Projections, filters, decay and its bias per head, and one norm that all heads share."""
        projections = d_model * (self.conv_channels + 2 * self.values + 2 * self.value_heads)
        return {"ssm": projections + self.conv_channels * self.d_conv + 2 * self.value_heads + self.value_dim}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """A matrix per head and the last `d_conv` inputs of the convolution; no growth."""
        recurrent = self.values * self.key_dim * precision.state
        return recurrent + self.conv_channels * self.d_conv * precision.activations
