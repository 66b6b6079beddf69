"""Mixtures of experts on ordinary attention."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from roofsim.adapters.published.base import (
    Config,
    Decoder,
    Depth,
    Group,
    Part,
    called,
    divided,
    listed,
    names,
    one_of,
    per_layer,
)
from roofsim.adapters.published.llama import Llama, Mistral, Qwen2, Qwen3, Windowed
from roofsim.foundation.schema import Extra, Size


class Mixtral(Mistral):
    """Mixtral: every layer has experts."""

    model_types: ClassVar[tuple[str, ...]] = ("mixtral",)

    sliding_window: Size | None = None
    num_local_experts: Size
    num_experts_per_tok: Size

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and experts."""
        return self.label(i), [self.heads(window=self.window(i)), self.experts()]

    def experts(self) -> Part:
        """The experts of a layer."""
        return {"kind": "moe", "experts": self.num_local_experts, "top_k": self.num_experts_per_tok,
                "width": self.gated_mlp()["width"]}  # fmt: skip


class MiniMaxM2(Mixtral):
    """MiniMax-M2: norms over all queries and keys of a token."""

    model_types: ClassVar[tuple[str, ...]] = ("minimax_m2",)
    no_effect: ClassVar[frozenset[str]] = names(
        "mtp_transformer_layers num_mtp_modules qk_norm_type rotary_dim shared_moe_mode use_mtp "
        "use_routing_bias layernorm_full_attention_beta layernorm_linear_attention_beta use_grouped "
        "layernorm_mlp_beta mlp_intermediate_size max_model_len scoring_func"
    )

    attn_type_list: list[Literal[1]] | None = None
    use_qk_norm: Literal[True] = True
    shared_intermediate_size: Literal[0] = 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and experts."""
        return "attention", [self.heads(qk_norm="width"), self.experts()]


class PhiMoe(Mistral):
    """Phi-3.5-MoE: biases, layer norms, and a bias on the head."""

    model_types: ClassVar[tuple[str, ...]] = ("phimoe",)
    no_effect: ClassVar[frozenset[str]] = names("input_jitter_noise router_jitter_noise")

    sliding_window: Size | None = None
    num_local_experts: Size
    num_experts_per_tok: Size
    attention_bias: bool = False
    lm_head_bias: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and experts."""
        bias = self.attention_bias
        moe = {"kind": "moe", "experts": self.num_local_experts, "top_k": self.num_experts_per_tok,
               "width": self.gated_mlp()["width"]}  # fmt: skip
        return self.label(i), [self.heads(window=self.window(i), qkv_bias=bias, out_bias=bias), moe]

    def around(self) -> dict[str, Any]:
        """Layer norms."""
        return {"norm": "layer", **({"lm_head_bias": True} if self.lm_head_bias else {})}


class Sparse(Config):
    """The fields of Qwen's mixtures: experts in every layer but a few."""

    moe_intermediate_size: Size
    num_experts_per_tok: Size
    num_experts: Size = called("num_experts", "num_local_experts")
    decoder_sparse_step: Size = 1
    mlp_only_layers: list[int] | None = None
    shared_expert_intermediate_size: Extra = 0

    def is_sparse(self, i: int) -> bool:
        """Whether layer `i` has experts."""
        dense = listed("mlp_only_layers", self.mlp_only_layers, self.depth, i)
        return not dense and (i + 1) % self.decoder_sparse_step == 0

    def experts(self) -> Part:
        """The experts of a layer, and the gated one that every token uses."""
        moe: Part = {"kind": "moe", "experts": self.num_experts, "top_k": self.num_experts_per_tok,
                     "width": self.moe_intermediate_size}  # fmt: skip
        if self.shared_expert_intermediate_size:
            moe |= {"shared_width": self.shared_expert_intermediate_size, "shared_gate": True}
        return moe


class Qwen2Moe(Sparse, Qwen2):
    """Qwen1.5-MoE, Qwen2-MoE."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen2_moe",)

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, and experts or an MLP."""
        sparse = self.is_sparse(i)
        return "moe" if sparse else "dense", [self.attention(i), self.experts() if sparse else self.gated_mlp()]


class Qwen3Moe(Sparse, Qwen3):
    """Qwen3-MoE: no shared expert."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen3_moe", "qwen3_vl_moe_text", "qwen3_vl_moe")

    use_qk_norm: Literal[True] = True
    head_dim: Size | None = None
    shared_expert_intermediate_size: Extra = 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, and experts or an MLP."""
        sparse = self.is_sparse(i)
        return "moe" if sparse else "dense", [self.attention(i), self.experts() if sparse else self.gated_mlp()]


class OlMoe(Llama):
    """OLMoE: norms over all queries and keys of a token."""

    model_types: ClassVar[tuple[str, ...]] = ("olmoe",)
    no_effect: ClassVar[frozenset[str]] = names("clip_qkv")

    num_experts: Size
    num_experts_per_tok: Size

    def attention(self, i: int) -> Part:
        """With norms."""
        return {**super().attention(i), "qk_norm": "width"}

    def channel_mixer(self, i: int) -> Part:
        """Experts in every layer."""
        return {"kind": "moe", "experts": self.num_experts, "top_k": self.num_experts_per_tok,
                "width": self.gated_mlp()["width"]}  # fmt: skip


class GraniteMoe(Llama):
    """Granite 3 MoE, with a shared expert in some."""

    model_types: ClassVar[tuple[str, ...]] = ("granitemoe", "granitemoeshared")

    num_local_experts: Size
    num_experts_per_tok: Size
    shared_intermediate_size: Extra = 0

    def channel_mixer(self, i: int) -> Part:
        """Experts in every layer."""
        return {"kind": "moe", "experts": self.num_local_experts, "top_k": self.num_experts_per_tok,
                "width": self.gated_mlp()["width"], "shared_width": self.shared_intermediate_size or None}  # fmt: skip


class Glm4Moe(Decoder):
    """GLM-4.5: dense layers first, then routed experts and a shared one."""

    model_types: ClassVar[tuple[str, ...]] = ("glm4_moe", "dots1")
    no_effect: ClassVar[frozenset[str]] = names("max_window_layers")

    moe_layer_freq: Literal[1] = 1
    model_type: str
    head_dim: Size | None = None
    attention_bias: bool = False
    use_qk_norm: bool = False
    moe_intermediate_size: Size
    num_experts_per_tok: Size
    n_routed_experts: Size
    n_shared_experts: Extra = 0
    first_k_dense_replace: Extra = 0
    sliding_window: Size | None = None
    layer_types: list[str] | None = None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, and an MLP or experts."""
        types = per_layer("layer_types", self.layer_types, self.depth)
        if types and any(each != "full_attention" for each in types):
            raise ValueError("layer_types: only full_attention is known for this model_type")
        dots = self.model_type == "dots1"
        norm = "head" if dots or self.use_qk_norm else None
        attention = self.heads(qkv_bias=self.attention_bias, out_bias=dots and self.attention_bias, qk_norm=norm)
        if not dots:
            attention["rotary_dim"] = self.rotary_dim(self.head_width, default=1 / 2)
        if i < self.first_k_dense_replace:
            return "dense", [attention, self.gated_mlp()]
        moe = {"kind": "moe", "experts": self.n_routed_experts, "top_k": self.num_experts_per_tok,
               "width": self.moe_intermediate_size,
               "shared_width": self.n_shared_experts * self.moe_intermediate_size or None}  # fmt: skip
        return "moe", [attention, moe]


class GptOss(Windowed):
    """gpt-oss: sinks, biases everywhere, windowed layers alternate with full ones."""

    model_types: ClassVar[tuple[str, ...]] = ("gpt_oss",)
    no_effect: ClassVar[frozenset[str]] = names("initial_context_length")

    head_dim: Size | None = 64
    sliding_window: Size | None = 128
    num_local_experts: Size = called("num_local_experts", "num_experts")
    num_experts_per_tok: Size = called("num_experts_per_tok", "experts_per_token")
    attention_bias: bool = True

    def windowed_by_rule(self, i: int) -> bool:
        """Every other layer, from the first."""
        return i % 2 == 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and experts."""
        bias = self.attention_bias
        attention = self.heads(window=self.window(i), qkv_bias=bias, out_bias=bias, sinks=True)
        moe = {"kind": "moe", "experts": self.num_local_experts, "top_k": self.num_experts_per_tok,
               "width": self.gated_mlp()["width"], "expert_bias": True, "router_bias": True}  # fmt: skip
        return self.label(i), [attention, moe]


class Llama4(Decoder):
    """Llama 4: chunked layers with positions, every fourth layer full and without; experts in some or all layers."""

    model_types: ClassVar[tuple[str, ...]] = ("llama4_text", "llama4")
    no_effect: ClassVar[frozenset[str]] = names("for_llm_compressor")

    head_dim: Size | None = 128
    intermediate_size_mlp: Size = 16384
    num_local_experts: Size
    num_experts_per_tok: Size = 1
    moe_layers: list[int] | None = None
    interleave_moe_layer_step: Size = 1
    use_qk_norm: bool = True
    no_rope_layers: list[int] | None = None
    no_rope_layer_interval: Size = 4
    attention_chunk_size: Size | None = 8192
    attention_bias: bool = False
    layer_types: list[str] | None = None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, and experts with a shared one or an MLP."""
        stated = per_layer("no_rope_layers", self.no_rope_layers or None, self.depth)
        rotary = bool(stated[i]) if stated else (i + 1) % self.no_rope_layer_interval != 0
        types = per_layer("layer_types", self.layer_types, self.depth)
        chunked = rotary
        if types:
            chunked = one_of("layer_types", types[i], {"chunked_attention": True, "full_attention": False})
        attention = self.heads(qkv_bias=self.attention_bias, out_bias=self.attention_bias)
        if chunked:
            attention["chunk"] = self.attention_chunk_size
        if not rotary:
            attention["rotary"] = False
        elif self.use_qk_norm:
            attention["qk_norm"] = "plain"
        step = self.interleave_moe_layer_step
        sparse = i % step == step - 1
        if self.moe_layers is not None:
            sparse = listed("moe_layers", self.moe_layers, self.depth, i)
        mlp = {"kind": "gated_mlp", "width": self.intermediate_size_mlp}
        if sparse:
            width = self.gated_mlp()["width"]
            mlp = {"kind": "moe", "experts": self.num_local_experts, "top_k": self.num_experts_per_tok,
                   "width": width, "shared_width": width}  # fmt: skip
        return ("chunked" if chunked else "full") + ("" if sparse else "_dense"), [attention, mlp]


class Ernie45Moe(Decoder):
    """ERNIE 4.5: dense layers first, then routed experts and shared ones."""

    model_types: ClassVar[tuple[str, ...]] = ("ernie4_5_moe",)
    no_effect: ClassVar[frozenset[str]] = names("moe_capacity moe_gate moe_use_aux_free")

    tie_word_embeddings: bool = True
    use_bias: bool = False
    moe_intermediate_size: Size
    moe_k: Size = 6
    moe_num_experts: Size = 64
    moe_num_shared_experts: Extra = 2
    moe_layer_start_index: Extra = 1
    moe_layer_end_index: int = -1
    moe_layer_interval: Size = 1

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, and an MLP or experts."""
        bias = self.use_bias
        attention = self.heads(qkv_bias=bias, out_bias=bias)
        last = self.depth - 1 if self.moe_layer_end_index == -1 else self.moe_layer_end_index
        sparse = self.moe_layer_start_index <= i <= last and (i + 1) % self.moe_layer_interval == 0
        if not sparse:
            return "dense", [attention, self.gated_mlp(bias=bias)]
        moe = {"kind": "moe", "experts": self.moe_num_experts, "top_k": self.moe_k,
               "width": self.moe_intermediate_size, "router_bias": True, "shared_bias": bias or None,
               "shared_width": self.moe_num_shared_experts * self.moe_intermediate_size or None}  # fmt: skip
        return "moe", [attention, moe]

    def around(self) -> dict[str, Any]:
        """With a bias on the head where there are biases at all."""
        return {"lm_head_bias": True} if self.use_bias else {}


class DbrxAttention(Group):
    """What DBRX's attention states."""

    no_effect: ClassVar[frozenset[str]] = names("clip_qkv")

    kv_n_heads: Size = 1


class DbrxFfn(Group):
    """What DBRX's experts state."""

    no_effect: ClassVar[frozenset[str]] = names("hidden_size uniform_expert_assignment")

    ffn_hidden_size: Size = 3584
    moe_num_experts: Size = 4
    moe_top_k: Size = 1


class Dbrx(Config):
    """DBRX: one matrix for queries, keys and values, layer norms without biases, experts in every layer."""

    model_types: ClassVar[tuple[str, ...]] = ("dbrx",)

    hidden_size: Size = called("d_model")
    n_heads: Size
    num_hidden_layers: Depth = called("n_layers")
    attn_config: DbrxAttention
    ffn_config: DbrxFfn
    num_key_value_heads: Size | None = None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and experts."""
        ffn, kv_heads = self.ffn_config, self.attn_config.kv_n_heads
        if self.num_key_value_heads not in (None, kv_heads):
            raise ValueError(f"num_key_value_heads: attn_config.kv_n_heads, {kv_heads}, is expected")
        head_dim = divided(self.hidden_size, self.n_heads, "d_model", "n_heads")
        attention = {"kind": "attention", "heads": self.n_heads, "kv_heads": kv_heads, "head_dim": head_dim,
                     "fused_qkv": True}  # fmt: skip
        moe = {"kind": "moe", "experts": ffn.moe_num_experts, "top_k": ffn.moe_top_k,
               "width": ffn.ffn_hidden_size}  # fmt: skip
        return "attention", [attention, moe]

    def around(self) -> dict[str, Any]:
        """Layer norms without biases."""
        return {"norm": "layer_no_bias"}
