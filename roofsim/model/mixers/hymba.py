"""Attention heads and Mamba-1 heads in one layer, as in Hymba."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number, minimum
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.mixers.attention import SOFTMAX_FLOPS
from roofsim.model.part import Parameters, Part, added_up, convolution, elementwise, linear, squares_added_up
from roofsim.model.split import Split, divided, replicated
from roofsim.model.step import Pass, Precision
from roofsim.ops import attention, pointwise, scan
from roofsim.ops.base import Operator, Role


class Hymba(Part):
    """One projection feeds attention and a selective scan; the mean of both, normed, goes out.

    Dong et al. 2024, arXiv 2411.13676, fig. 2. Values are as wide as the scan (`d_inner` over all heads). A
    layer that `reuses_kv` attends to the keys and values of the layer before it and keeps none.
    """

    kind: Literal["hymba"]
    heads: Size
    kv_heads: Size
    head_dim: Size
    d_inner: Size
    d_state: Size
    dt_rank: Size
    d_conv: Size = 4
    window: Size | None = None
    reuses_kv: bool = False

    @property
    def v_dim(self) -> int:
        """Width of a value head."""
        return self.d_inner // self.heads

    @property
    def kv_width(self) -> int:
        """Elements that one token adds to the cache of this layer."""
        return 0 if self.reuses_kv else self.kv_heads * (self.head_dim + self.v_dim)

    @property
    def projected(self) -> int:
        """Width of the projection in: channels, gate, queries and, unless reused, keys and values."""
        return 2 * self.d_inner + self.heads * self.head_dim + self.kv_width

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads of attention and channels of the scan."""
        t = split.tp
        heads, kv_heads = divided("heads", self.heads, t), replicated("kv_heads", self.kv_heads, t)
        return {"heads": heads, "kv_heads": kv_heads, "d_inner": divided("d_inner", self.d_inner, t)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Projection, both kinds of head, their norms and mean, projection out."""
        byte = p.precision
        common = {"batch": p.batch, "new": p.new, "act_bytes": byte.activations}
        score = {
            **common,
            "context": p.context,
            "heads": self.heads,
            "kv_heads": self.kv_heads,
            "qk_dim": self.head_dim,
            "v_dim": self.v_dim,
            "window": self.window or p.context + p.new,
            "pair_flops": SOFTMAX_FLOPS,
            "cache_bytes": byte.cache,
        }
        append = {**common, "width": self.kv_width, "cache_bytes": byte.cache}
        recur = {
            **common,
            "weight_bytes": byte.vectors,
            "d_inner": self.d_inner,
            "d_state": self.d_state,
            "groups": 1,
            "state_bytes": byte.state,
        }
        inner = p.activation_bytes(self.d_inner)
        rotated = self.heads * self.head_dim + (0 if self.reuses_kv else self.kv_heads * self.head_dim)
        ops = [
            linear(p, "in_proj", d_model, self.projected, "x"),
            elementwise(p, "rotary", attention.rotary, rotated, "in_proj"),
        ]
        if not self.reuses_kv:
            uses = ("rotary", "in_proj")
            ops.append(Operator("cache_append", attention.cache_append, append, 0, uses, held=self._held(p.context)))
        keys, held = self.kv_heads * (self.head_dim + self.v_dim), self._recurrent_bytes(byte)
        return [
            *ops,
            *contexts.ring(p, keys, self.split, "rotary", "in_proj", window=self.window),
            Operator(
                "attention", attention.causal_attention, score, inner, ("rotary", "in_proj"), held=self._held(p.context)
            ),
            *contexts.partial_results(p, self.heads, self.v_dim, self.split),
            convolution(p, self.d_inner, self.d_conv, "in_proj"),
            linear(p, "x_proj", self.d_inner, self.dt_rank + 2 * self.d_state, "conv"),
            *added_up(p, "x_join", self.dt_rank + 2 * self.d_state, self.split.tp, "x_proj"),
            elementwise(p, "dt_norm", pointwise.rms_norm, self.dt_rank, "x_proj", weights=True),
            elementwise(p, "b_norm", pointwise.rms_norm, self.d_state, "x_proj", weights=True),
            elementwise(p, "c_norm", pointwise.rms_norm, self.d_state, "x_proj", weights=True),
            linear(p, "dt_proj", self.dt_rank, self.d_inner, "dt_norm", reported_as="scan"),
            Operator("scan", scan.selective_scan, recur, inner, ("in_proj", "conv", "b_norm", "c_norm", "dt_proj")),
            *contexts.states(p, held, self.split, "scan"),
            *squares_added_up(p, "branch_sums", 2, self.split.tp, "attention", "scan"),
            elementwise(p, "attention_norm", pointwise.rms_norm, self.d_inner, "attention", weights=True),
            elementwise(p, "scan_norm", pointwise.rms_norm, self.d_inner, "scan", weights=True),
            elementwise(
                p, "mean", pointwise.add, self.d_inner, "attention_norm", "scan_norm", acts_as=Role.BRANCH_MEAN
            ),
            linear(p, "out_proj", self.d_inner, d_model, "mean"),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """The shared projections count as ssm; only the norm of the attention heads is attention's."""
        inner, bc = self.d_inner, self.dt_rank + 2 * self.d_state
        projections = d_model * (self.projected + inner)
        scan_weights = inner * (self.d_conv + 1) + inner * bc + bc + (self.dt_rank + 1) * inner
        return {"ssm": projections + scan_weights + inner * (self.d_state + 1) + inner, "attention": inner}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """Keys and values unless reused, and the recurrent and convolution states."""
        held = self._held(context)
        held = context if held is None else held
        return held * self.kv_width * precision.cache + self._recurrent_bytes(precision)

    def _recurrent_bytes(self, precision: Precision) -> Number:
        """The states of the scan and of the convolution."""
        return self.d_inner * (self.d_state * precision.state + self.d_conv * precision.activations)

    def _held(self, context: Number) -> Number | None:
        """Tokens that the cache holds, if those are not all."""
        return minimum(context, self.window - 1) if self.window else None
