"""RWKV-4 to RWKV-7."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from roofsim.adapters.published.base import Config, Depth, Part, called, divided, names
from roofsim.foundation.schema import Size


class Rwkv(Config):
    """What all versions state."""

    intermediate_size: Size | None = None

    def channel_mix(self, width: int, **more: Any) -> Part:
        """The channel mix, as wide as stated or else `width`."""
        return {"kind": "rwkv_mlp", "d_in": self.hidden_size, "width": self.intermediate_size or width, **more}

    def around(self) -> dict[str, Any]:
        """Layer norms, one of them after the embedding."""
        return {"norm": "layer", "embedding_norm": True}


class Rwkv4(Rwkv):
    """RWKV-4."""

    model_types: ClassVar[tuple[str, ...]] = ("rwkv",)
    no_effect: ClassVar[frozenset[str]] = names("context_length rescale_every")

    vocab_size: Size = 50277
    hidden_size: Size = 4096
    num_hidden_layers: Depth = 32
    attention_hidden_size: Size | None = None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Time mix and channel mix."""
        d = self.hidden_size
        if (self.attention_hidden_size or d) != d:
            raise ValueError(f"attention_hidden_size: hidden_size, {d}, is expected")
        return "rwkv", [{"kind": "rwkv4", "width": d}, self.channel_mix(4 * d)]


class Rwkv5(Rwkv):
    """RWKV-5 and RWKV-6 as their checkpoints state them; the ranks of RWKV-6 are not in the file."""

    model_types: ClassVar[tuple[str, ...]] = ("rwkv5", "rwkv6")
    no_effect: ClassVar[frozenset[str]] = names("rescale_every model_version max_context_length head_size_divisor")

    model_type: str
    vocab_size: Size = 65536
    hidden_size: Size = 768
    num_hidden_layers: Depth = 24
    attention_hidden_size: Size | None = None
    head_size: Size = called("head_size", "num_attention_heads", default=64)

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Time mix and channel mix; the MLP is 3.5 times as wide as the model, in whole multiples of 32."""
        d = self.hidden_size
        if (self.attention_hidden_size or d) != d:
            raise ValueError(f"attention_hidden_size: hidden_size, {d}, is expected")
        heads = divided(d, self.head_size, "hidden_size", "head_size")
        mixer = {"kind": self.model_type, "heads": heads, "head_dim": self.head_size}
        return "rwkv", [mixer, self.channel_mix(7 * d // 2 // 32 * 32)]


class Rwkv7(Rwkv):
    """RWKV-7 as flash-linear-attention's RWKV7Config states it."""

    model_types: ClassVar[tuple[str, ...]] = ("rwkv7",)
    no_effect: ClassVar[frozenset[str]] = names("attn_mode fuse_norm fuse_cross_entropy fuse_linear_cross_entropy")

    vocab_size: Size = 32000
    hidden_size: Size = 2048
    num_hidden_layers: Depth = 24
    hidden_ratio: float | None = 4.0
    head_dim: Size | None = called("head_dim", "head_size", default=64)
    num_heads: Size | None = called("num_heads", "num_attention_heads", default=None)
    decay_low_rank_dim: Size | None = 64
    gate_low_rank_dim: Size | None = 128
    a_low_rank_dim: Size | None = 64
    v_low_rank_dim: Size | None = 16
    attn: None = None
    value_dim: Size | list[int] | None = None
    norm_first: bool = True
    norm_bias: bool = True

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Time mix and channel mix; the first layer has no values to mix its own with."""
        d = self.hidden_size
        widths = set(self.value_dim if isinstance(self.value_dim, list) else [self.value_dim])
        if not (self.norm_first and self.norm_bias) or not widths <= {None, d}:
            raise ValueError("norm_first, norm_bias, value_dim: norms with biases, one after the embedding, and values "
                             "as wide as the model are expected")  # fmt: skip
        head_dim = self.head_dim or divided(d, self.num_heads or 1, "hidden_size", "num_heads")
        mixer = {
            "kind": "rwkv7",
            "heads": divided(d, head_dim, "hidden_size", "head_dim"),
            "head_dim": head_dim,
            "decay_rank": self.decay_low_rank_dim or self.rank(2.5, head_dim),
            "rate_rank": self.a_low_rank_dim or self.rank(2.5, head_dim),
            "gate_rank": self.gate_low_rank_dim or self.rank(5, 64),
            "value_rank": (self.v_low_rank_dim or self.rank(1.7, head_dim)) if i else None,
        }
        mlp = self.channel_mix(-(-int(d * (self.hidden_ratio or 4)) // 32) * 32, receptance=False)
        return "rwkv" if i else "first", [mixer, mlp]

    def rank(self, factor: float, head_dim: int) -> int:
        """The rank that flash-linear-attention 0.6 takes where the file states none."""
        return max(32, round(factor * math.sqrt(self.hidden_size) * head_dim / 64 / 32) * 32)
