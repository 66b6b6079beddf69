"""Mamba-1 (Gu & Dao 2023, arXiv 2312.00752)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, added_up, convolution, elementwise, linear
from roofsim.model.recurrent import head_linear, recurrence
from roofsim.model.split import Split, divided, replicated
from roofsim.model.step import Pass, Precision
from roofsim.ops import pointwise, scan
from roofsim.ops.base import Operator, Role


class Mamba1(Part):
    """A selective state-space layer: `d_inner` channels with `d_state` states each.

    `norms` says whether Δ, B and C are normed before the scan, with weights (Jamba) or without (FalconMamba). Each of
    `mamba_heads` makes Δ, B and C for its own channels from them alone (Zamba).
    """

    kind: Literal["mamba1"]
    d_inner: Size
    d_state: Size
    dt_rank: Size
    d_conv: Size = 4
    conv_bias: bool = True
    bias: bool = False
    norms: Literal["none", "learned", "plain"] = "none"
    mamba_heads: Size = 1

    derived: ClassVar[tuple[str, ...]] = ("split", "head_ranks")
    head_ranks: ClassVar[int] = 1
    """Ranks that share the channels of a head, and so add up what makes Δ, B and C."""

    def __post_init__(self) -> None:
        if self.d_inner % self.mamba_heads:
            raise ValueError(f"mamba_heads {self.mamba_heads} does not divide d_inner {self.d_inner}")
        if self.mamba_heads > 1 and self.norms != "none":
            raise ValueError(f"norms '{self.norms}' go with one mamba head, not with {self.mamba_heads}")

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads and channels; the ranks of one head add up what makes its Δ, B and C, as in vLLM."""
        t = split.tp
        inner, heads = divided("d_inner", self.d_inner, t), replicated("mamba_heads", self.mamba_heads, t)
        ranks = self.head_ranks * max(t // self.mamba_heads, 1)
        return {"d_inner": inner, "mamba_heads": heads, "head_ranks": ranks}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Projections in, convolution, Δ B C and their norms, scan with its gate, projection out."""
        inner = self.d_inner
        sizes = {
            "d_inner": inner,
            "d_state": self.d_state,
            "groups": self.mamba_heads,
            "weight_bytes": p.precision.vectors,
        }
        projections = self._projections(p)
        made = dict.fromkeys(each.name for each in projections)
        return [
            linear(p, "in_proj", d_model, 2 * inner, "x", bias=self.bias, acts_as=Role.SCAN_IN),
            convolution(p, inner, self.d_conv, "in_proj", bias=self.conv_bias),
            *projections,
            recurrence(p, scan.selective_scan, inner, "in_proj", "conv", *made, sizes=sizes),
            *contexts.states(p, self.state_bytes(0, p.precision), self.split, "scan"),
            linear(p, "out_proj", inner, d_model, "scan", bias=self.bias, acts_as=Role.SCAN_OUT),
        ]

    def _projections(self, p: Pass) -> list[Operator]:
        """What makes Δ, B and C; the published implementation multiplies by Δ's matrix inside the scan's operator."""
        rank, states, role = self.dt_rank, self.d_state, Role.STATE_PARAMETERS
        if self.mamba_heads != 1:
            heads, channels = self.mamba_heads, self.d_inner // self.mamba_heads
            return [
                head_linear(p, "x_proj", heads, channels, rank + 2 * states, "conv", reported_as="scan", acts_as=role),
                head_linear(p, "dt_proj", heads, rank, channels, "x_proj", reported_as="scan", acts_as=role),
            ]
        ops, source = [linear(p, "x_proj", self.d_inner, rank + 2 * states, "conv", acts_as=role)], "x_proj"
        ops += added_up(p, "x_join", rank + 2 * states, self.head_ranks, "x_proj")
        if self.norms != "none":
            learned = self.norms == "learned"
            normed = {"dt_norm": rank, "b_norm": states, "c_norm": states}
            ops += [elementwise(p, n, pointwise.rms_norm, w, "x_proj", weights=learned) for n, w in normed.items()]
            source = "dt_norm"
        return [*ops, linear(p, "dt_proj", rank, self.d_inner, source, reported_as="scan", acts_as=role)]

    def parameters(self, d_model: int) -> Parameters:
        """Projections, filters, A, D and the bias of Δ; biases and norms where there are any."""
        inner = self.d_inner
        projections = inner * (3 * d_model + self.dt_rank + 2 * self.d_state) + (self.dt_rank + 1) * inner
        biases = self.bias * (2 * inner + d_model)
        norms = self.dt_rank + 2 * self.d_state if self.norms == "learned" else 0
        rest = inner * (self.d_conv + self.conv_bias) + inner * (self.d_state + 1)
        return {"ssm": projections + rest + biases + norms}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The recurrent state and the last `d_conv` inputs of the convolution; no growth."""
        return self.d_inner * (self.d_state * precision.state + self.d_conv * precision.activations)
