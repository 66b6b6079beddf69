"""Hymba: attention and Mamba heads on one projection."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from roofsim.adapters.published.base import Decoder, Part, divided, listed, names
from roofsim.foundation.schema import Extra, Size


class Hymba(Decoder):
    """Hymba: a few full layers between windowed ones, of which groups share the keys and values of their first."""

    model_types: ClassVar[tuple[str, ...]] = ("hymba",)
    no_effect: ClassVar[frozenset[str]] = names(
        "attn_implementation_new calc_logits_for_entire_prompt conv_dim "
        "orig_max_position_embeddings num_experts_per_tok seq_length"
    )

    tie_word_embeddings: bool = True
    sliding_window: Size | None = None
    global_attn_idx: list[int] | None = None
    kv_reuse_group: list[list[int]] | None = None
    kv_reuse_every_i_layer: Literal[-1] = -1
    kv_weight_reuse: Literal[False] = False
    kq_norm: Literal["none"] = "none"
    kq_head_dim: Literal[-1] = -1
    attn_hidden_size: Literal[-1] = -1
    rope: Literal[True] = True
    layer_type: list[Literal["h"]] | None = None
    mamba_d_state: Size = 16
    mamba_d_conv: Size = 4
    mamba_expand: Size = 2
    mamba_dt_rank: Size
    mamba_proj_bias: Literal[False] = False
    mamba_conv_bias: Literal[True] = True
    mamba_inner_layernorms: Literal[True] = True
    memory_tokens_interspersed_every: Literal[0] = 0
    num_experts: Literal[1] = 1
    num_mamba: Literal[1] = 1
    num_memory_tokens: Extra = 0
    v_head_dim: Size | None = None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Both kinds of head, and a gated MLP."""
        full = listed("global_attn_idx", self.global_attn_idx, self.depth, i)
        shared = [each for group in self.kv_reuse_group or () for each in group[1:]]
        reuses = listed("kv_reuse_group", shared, self.depth, i)
        heads, d_inner = self.num_attention_heads, self.mamba_expand * self.hidden_size
        if divided(d_inner, heads, "the width of the scan", "num_attention_heads") != (
            self.v_head_dim or d_inner // heads
        ):
            raise ValueError(f"v_head_dim: values as wide as the scan are expected, {d_inner // heads} per head")
        mixer = {
            "kind": "hymba",
            "heads": heads,
            "kv_heads": self.kv_heads,
            "head_dim": self.head_width,
            "d_inner": d_inner,
            "d_state": self.mamba_d_state,
            "dt_rank": self.mamba_dt_rank,
            "d_conv": self.mamba_d_conv,
            # learned tokens are seen from everywhere
            "window": None if full or not self.sliding_window else self.sliding_window + self.num_memory_tokens,
            "reuses_kv": reuses or None,
        }
        return ("full" if full else "windowed") + ("_reusing" if reuses else ""), [mixer, self.gated_mlp()]

    def around(self) -> dict[str, Any]:
        """Learned tokens before every prompt."""
        return {"prefix_tokens": self.num_memory_tokens} if self.num_memory_tokens else {}
