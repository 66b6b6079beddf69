"""Grouped-query attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import model_validator

from roofsim.arith import Number, minimum
from roofsim.mixers.base import Parameters, Part, elementwise, linear
from roofsim.ops import attention, pointwise
from roofsim.ops.base import Operator
from roofsim.passes import Pass, Precision
from roofsim.schema import Extra, Size


class Attention(Part):
    """Softmax attention with `heads` queries on `kv_heads` keys and values (Ainslie et al. 2023).

    `window` limits how far back a token sees; `windowed_cache` says whether the cache is cut to it.
    `declared_window` is a window that the published config states but switches off: some software reacts
    to it all the same. `d_in` is the width of its input where that is not the model's.
    """

    kind: Literal["attention"]
    heads: Size
    kv_heads: Size
    head_dim: Size
    window: Size | None = None
    windowed_cache: bool = True
    declared_window: Size | None = None
    d_in: Size | None = None
    qkv_bias: bool = False
    out_bias: bool = False
    fused_qkv: bool = False
    qk_norm: bool = False
    rotary: bool = True
    lora_rank: Extra = 0

    @model_validator(mode="after")
    def _heads_divide(self) -> Attention:
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads {self.kv_heads} does not divide heads {self.heads}")
        return self

    @property
    def kv_width(self) -> int:
        """Elements that one token adds to the cache: keys and values of all its heads."""
        return 2 * self.kv_heads * self.head_dim

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Projections, positions, cache, scores, output."""
        q, kv, d_in = self.heads * self.head_dim, self.kv_width // 2, self.d_in or d_model
        ops: list[Operator] = []
        if self.fused_qkv:
            ops.append(linear(p, "qkv_proj", d_in, q + 2 * kv, "x", bias=self.qkv_bias))
            parts = ["qkv_proj"] * 3
        else:
            parts = ["q_proj", "k_proj", "v_proj"]
            for name, width in zip(parts, (q, kv, kv), strict=True):
                ops.append(linear(p, name, d_in, width, "x", bias=self.qkv_bias))
                if self.lora_rank:
                    ops.append(linear(p, f"{name}_lora_a", d_in, self.lora_rank, "x"))
                    ops.append(linear(p, f"{name}_lora_b", self.lora_rank, width, f"{name}_lora_a"))
                    ops.append(elementwise(p, f"{name}_lora", pointwise.add, width, name, f"{name}_lora_b"))
            if self.lora_rank:
                parts = [f"{name}_lora" for name in parts]
        if self.qk_norm:
            ops.append(elementwise(p, "q_norm", pointwise.rms_norm, q, parts[0], weights=True))
            ops.append(elementwise(p, "k_norm", pointwise.rms_norm, kv, parts[1], weights=True))
            parts[:2] = ["q_norm", "k_norm"]
        if self.rotary:
            ops.append(elementwise(p, "rotary", attention.rotary, q + kv, *dict.fromkeys(parts[:2])))
            parts[:2] = ["rotary", "rotary"]
        byte = p.precision
        size = {"batch": p.batch, "new": p.new, "act_bytes": byte.activations, "cache_bytes": byte.cache}
        append = {**size, "width": self.kv_width}
        ops.append(Operator("cache_append", attention.cache_append, append, 0, tuple(dict.fromkeys(parts[1:]))))
        score = {
            **size,
            "context": p.context,
            "heads": self.heads,
            "kv_heads": self.kv_heads,
            "qk_dim": self.head_dim,
            "v_dim": self.head_dim,
            "window": self.window or p.context + p.new,
        }
        ops.append(
            Operator(
                "attention",
                attention.causal_attention,
                score,
                p.activation_bytes(q),
                tuple(dict.fromkeys(parts)),
            )
        )
        ops.append(linear(p, "o_proj", q, d_model, "attention", bias=self.out_bias))
        return ops

    def parameters(self, d_model: int) -> Parameters:
        """Weights and biases of the four projections, and the norms of queries and keys."""
        q, kv, d_in = self.heads * self.head_dim, self.kv_width, self.d_in or d_model
        weights = (d_in + self.qkv_bias) * (q + kv) + (q + self.out_bias) * d_model
        return {"attention": weights + self.adapter_parameters(d_model) + self.qk_norm * 2 * self.head_dim}

    def adapter_parameters(self, d_model: int) -> int:
        """Weights of the low-rank adapters on q, k and v."""
        q, kv, d_in = self.heads * self.head_dim, self.kv_width, self.d_in or d_model
        return self.lora_rank * (3 * d_in + q + kv)

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """Keys and values: of all tokens, or of window − 1 of them (the newest brings its own)."""
        held = minimum(context, self.window - 1) if self.window and self.windowed_cache else context
        return held * self.kv_width * precision.cache
