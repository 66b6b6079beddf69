"""Gemma: norms on both sides, wide heads, windows."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from roofsim.adapters.published.base import Config, Decoder, Group, Part, names, one_of, per_layer
from roofsim.adapters.published.llama import WINDOWED, Windowed
from roofsim.foundation.schema import Extra, Size


class Gemma(Decoder):
    """Gemma 1."""

    model_types: ClassVar[tuple[str, ...]] = ("gemma",)

    tie_word_embeddings: bool = True
    head_dim: Size | None = 256
    attention_bias: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        bias = self.attention_bias
        return "attention", [self.heads(qkv_bias=bias, out_bias=bias), self.gated_mlp()]

    def around(self) -> dict[str, Any]:
        """The embedding is scaled by the root of its width."""
        return {"embedding_scaled": True}


class Gemma2(Windowed):
    """Gemma 2: windowed layers alternate with full ones; scores and logits are bent."""

    model_types: ClassVar[tuple[str, ...]] = ("gemma2",)
    no_effect: ClassVar[frozenset[str]] = names("cache_implementation")

    tie_word_embeddings: bool = True
    head_dim: Size | None = 256
    sliding_window: Size | None = 4096
    sliding_window_pattern: Size = 2
    attention_bias: bool = False
    attn_logit_softcapping: float | None = 50.0
    final_logit_softcapping: float | None = 30.0

    def windowed_by_rule(self, i: int) -> bool:
        """All but the last of each pattern."""
        return (i + 1) % self.sliding_window_pattern != 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        return self.label(i), [self.attention(i), self.gated_mlp()]

    def attention(self, i: int) -> Part:
        """The attention of a layer."""
        bias, cap = self.attention_bias, self.attn_logit_softcapping is not None
        return self.heads(window=self.window(i), qkv_bias=bias, out_bias=bias, soft_cap=cap)

    def around(self) -> dict[str, Any]:
        """Norms on both sides of each part."""
        fields = {"norm_position": "both", "embedding_scaled": True}
        return fields | ({"logits_soft_cap": True} if self.final_logit_softcapping else {})


class VaultGemma(Gemma2):
    """VaultGemma: as Gemma 2, without the norms after each part."""

    model_types: ClassVar[tuple[str, ...]] = ("vaultgemma",)

    def around(self) -> dict[str, Any]:
        """Norms before each part."""
        return {**super().around(), "norm_position": "before"}


class Gemma3(Gemma2):
    """Gemma 3: five windowed layers to a full one, a norm per head."""

    model_types: ClassVar[tuple[str, ...]] = ("gemma3_text", "gemma3")

    sliding_window_pattern: Size = 6
    attn_logit_softcapping: float | None = None
    final_logit_softcapping: float | None = None

    def attention(self, i: int) -> Part:
        """With a norm per head."""
        return {**super().attention(i), "qk_norm": "head"}


class OfLayer(Group):
    """What differs in one layer."""

    head_dim: Size | None = None
    num_key_value_heads: Size | None = None
    intermediate_size: Size | None = None


class Gemma4(Config):
    """Gemma 4: full layers with wider heads, some without values of their own; experts beside the MLP in one model."""

    model_types: ClassVar[tuple[str, ...]] = ("gemma4_text", "gemma4")

    tie_word_embeddings: bool = True
    num_attention_heads: Size
    num_key_value_heads: Size
    num_global_key_value_heads: Size | None = None
    head_dim: Size = 256
    global_head_dim: Size | None = 512
    intermediate_size: Size
    sliding_window: Size = 512
    layer_types: list[str] | None = None
    attention_bias: bool = False
    attention_k_eq_v: bool = False
    num_kv_shared_layers: Extra = 0
    use_double_wide_mlp: bool = False
    enable_moe_block: bool = False
    num_experts: Size | None = None
    top_k_experts: Size | None = None
    moe_intermediate_size: Size | None = None
    hidden_size_per_layer_input: Extra = 256
    vocab_size_per_layer_input: Size = 262_144
    final_logit_softcapping: float | None = None
    per_layer_config: dict[Annotated[str, Field(pattern=r"^\d{1,4}$")], OfLayer] | None = None

    def full(self, i: int) -> bool:
        """Whether layer `i` sees everything: the last of each six, and the last layer."""
        types = per_layer("layer_types", self.layer_types, self.depth)
        last = i == self.depth - 1
        return last or not (one_of("layer_types", types[i], WINDOWED) if types else (i + 1) % 6 != 0)

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, an MLP, experts beside it, and what the layer's own embedding adds."""
        full = self.full(i)
        reuses = bool(self.num_kv_shared_layers) and i >= self.depth - self.num_kv_shared_layers
        head_dim = (self.global_head_dim or self.head_dim) if full else self.head_dim
        kv_heads = self.num_key_value_heads
        wide = self.intermediate_size * (2 if self.use_double_wide_mlp and reuses else 1)
        if full and self.attention_k_eq_v and self.num_global_key_value_heads:
            kv_heads = self.num_global_key_value_heads
        if self.per_layer_config is not None:  # how later versions of the library save what differs
            own = {int(key): value for key, value in self.per_layer_config.items()}.get(i, OfLayer())
            head_dim, kv_heads = own.head_dim or self.head_dim, own.num_key_value_heads or kv_heads
            wide = own.intermediate_size or wide
        attention: Part = {
            "kind": "attention",
            "heads": self.num_attention_heads,
            "kv_heads": kv_heads,
            "head_dim": head_dim,
            "rotary_dim": self.rotary_dim(head_dim, "full_attention" if full else "sliding_attention"),
            "qk_norm": "head",
            "v_norm": not reuses,
            "window": None if full else self.sliding_window,
            "reuses_kv": reuses or None,
            "k_is_v": (full and self.attention_k_eq_v) or None,
            "qkv_bias": self.attention_bias or None,
            "out_bias": self.attention_bias or None,
        }
        mlp: Part = {"kind": "gated_mlp", "width": wide}
        if self.enable_moe_block:
            if not (self.num_experts and self.top_k_experts and self.moe_intermediate_size):
                raise ValueError("enable_moe_block needs num_experts, top_k_experts and moe_intermediate_size")
            moe = {"kind": "moe", "experts": self.num_experts, "top_k": self.top_k_experts,
                   "width": self.moe_intermediate_size, "normed_input": True}  # fmt: skip
            mlp = {"kind": "dense_and_moe", "mlp": mlp, "moe": moe}
        parts = [attention, mlp]
        if self.hidden_size_per_layer_input:
            parts.append({"kind": "layer_embedding", "width": self.hidden_size_per_layer_input,
                          "vocab": self.vocab_size_per_layer_input})  # fmt: skip
        return ("full" if full else "windowed") + ("_reusing" if reuses else ""), parts

    def around(self) -> dict[str, Any]:
        """Norms on both sides of each part."""
        fields = {"norm_position": "both", "embedding_scaled": True}
        return fields | ({"logits_soft_cap": True} if self.final_logit_softcapping else {})
