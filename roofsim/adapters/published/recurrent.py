"""Linear attention, delta rules, recurrences and short convolutions, alone or between attention layers."""

from __future__ import annotations

from math import ceil
from typing import Any, ClassVar, Literal

from pydantic import Field

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
from roofsim.adapters.published.deepseek import DeepSeek, dense_by_list
from roofsim.adapters.published.moe import Mixtral, Sparse
from roofsim.foundation.schema import Extra, Size

LINEAR = {"linear_attention": True, "full_attention": False}
"""Entries of `layer_types`, and whether such a layer is recurrent."""


class Qwen35(Decoder):
    """Qwen3.5, dense: three layers of the gated delta rule to one of gated attention."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen3_5_text", "qwen3_5")
    no_effect: ClassVar[frozenset[str]] = names("mamba_ssm_dtype output_gate_type")

    attn_output_gate: Literal[True] = True
    head_dim: Size | None = 256
    attention_bias: bool = False
    layer_types: list[str] | None = None
    full_attention_interval: Size = 4
    linear_conv_kernel_dim: Size = 4
    linear_key_head_dim: Size = 128
    linear_value_head_dim: Size = 128
    linear_num_key_heads: Size = 16
    linear_num_value_heads: Size = 32

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Delta rule or attention, and what follows it."""
        types = per_layer("layer_types", self.layer_types, self.depth)
        linear = one_of("layer_types", types[i], LINEAR) if types else (i + 1) % self.full_attention_interval != 0
        label, channel = self.channel_mixer(i)
        if linear:
            return "delta" + label, [self.delta_rule(), channel]
        bias = self.attention_bias
        attention = self.heads(qkv_bias=bias, out_bias=bias, qk_norm="head", output_gate=True)
        attention["rotary_dim"] = self.rotary_dim(self.head_width, default=1 / 4)
        return "attention" + label, [attention, channel]

    def channel_mixer(self, i: int) -> tuple[str, Part]:
        """The MLP of a layer."""
        return "", self.gated_mlp()

    def delta_rule(self) -> Part:
        """The recurrent mixer."""
        return {
            "kind": "gated_delta",
            "key_heads": self.linear_num_key_heads,
            "value_heads": self.linear_num_value_heads,
            "key_dim": self.linear_key_head_dim,
            "value_dim": self.linear_value_head_dim,
            "d_conv": self.linear_conv_kernel_dim,
        }


class Qwen35Moe(Sparse, Qwen35):
    """Qwen3.5 with experts."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen3_5_moe_text", "qwen3_5_moe")

    shared_expert_intermediate_size: Extra = 512

    def channel_mixer(self, i: int) -> tuple[str, Part]:
        """Experts and a gated shared one."""
        return ("", self.experts()) if self.is_sparse(i) else ("_dense", self.gated_mlp())


class Qwen3Next(Qwen35Moe):
    """Qwen3-Next: as Qwen3.5, with the projections of the delta rule in one matrix."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen3_next",)

    def delta_rule(self) -> Part:
        """The recurrent mixer."""
        return {**super().delta_rule(), "joined": True}


class OlmoHybrid(Decoder):
    """OLMo Hybrid: three layers of the gated delta rule to one of attention; norms before the first, after the second.

    All norms are listed before their parts: as many, of the same cost.
    """

    model_types: ClassVar[tuple[str, ...]] = ("olmo_hybrid",)
    no_effect: ClassVar[frozenset[str]] = names(
        "linear_a_log_min linear_a_log_max linear_dt_min linear_dt_max linear_dt_init_floor linear_allow_neg_eigval"
    )

    attention_bias: bool = False
    layer_types: list[str] | None = None
    linear_num_key_heads: Size | None = None
    linear_num_value_heads: Size | None = None
    linear_key_head_dim: Size | None = None
    linear_value_head_dim: Size | None = None
    linear_conv_kernel_dim: Size = 4

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Delta rule or attention, and a gated MLP."""
        types = per_layer("layer_types", self.layer_types, self.depth)
        last = self.depth < 4 and i == self.depth - 1  # one layer attends in any case
        if not (one_of("layer_types", types[i], LINEAR) if types else i % 4 != 3 and not last):
            bias = self.attention_bias
            return "attention", [self.heads(qkv_bias=bias, out_bias=bias, qk_norm="width"), self.gated_mlp()]
        heads = self.linear_num_key_heads or self.num_attention_heads
        key_dim = self.linear_key_head_dim or int(0.75 * self.hidden_size / heads)
        mixer = {"kind": "gated_delta", "key_heads": heads, "key_dim": key_dim,
                 "value_heads": self.linear_num_value_heads or self.num_attention_heads,
                 "value_dim": self.linear_value_head_dim or 2 * key_dim,
                 "d_conv": self.linear_conv_kernel_dim}  # fmt: skip
        return "delta", [mixer, self.gated_mlp()]


class KdaLayers(Group):
    """Which layers are recurrent, counted from 1, and their sizes."""

    full_attn_layers: list[int] | None = None
    kda_layers: list[int] | None = None
    num_heads: Size | None = None
    head_dim: Size | None = None
    short_conv_kernel_size: Size | None = None


class KimiLinear(DeepSeek):
    """Kimi Linear: three layers of KDA to one of latent attention without positions."""

    model_types: ClassVar[tuple[str, ...]] = ("kimi_linear",)
    no_effect: ClassVar[frozenset[str]] = names("head_dim qk_head_dim")

    mla_use_nope: Literal[True] = True
    q_lora_rank: Size | None = None
    n_routed_experts: Size = called("n_routed_experts", "num_experts", "num_local_experts")
    n_shared_experts: Extra = called("n_shared_experts", "num_shared_experts", default=1)
    num_experts_per_tok: Size = called("num_experts_per_tok", "num_experts_per_token")
    first_k_dense_replace: Extra = 1
    layer_types: list[str] | None = None
    mlp_layer_types: list[str] | None = None
    linear_attn_config: KdaLayers = KdaLayers()
    linear_head_dim: Size = 128
    linear_num_heads: Size = 32
    linear_conv_kernel_dim: Size = 4

    def is_linear(self, i: int) -> bool:
        """Whether layer `i` is recurrent; the published file counts its layers from 1."""
        full, linear = self.linear_attn_config.full_attn_layers, self.linear_attn_config.kda_layers
        if full is not None or linear is not None:
            if sorted([*(full or ()), *(linear or ())]) != list(range(1, self.depth + 1)):
                raise ValueError(f"linear_attn_config: kda_layers and full_attn_layers do not name 1 to {self.depth}")
            return i + 1 in (linear or ())
        types = per_layer("layer_types", self.layer_types, self.depth)
        return bool(one_of("layer_types", types[i], LINEAR)) if types else not (i and i % 4 == 0)

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """KDA or latent attention, and an MLP or experts."""
        label, (attention, channel) = super().layer(i)
        attention["rotary"] = False
        if not self.is_linear(i):
            return f"attention_{label}", [attention, channel]
        stated = self.linear_attn_config
        kda = {"kind": "kda", "heads": stated.num_heads or self.linear_num_heads,
               "head_dim": stated.head_dim or self.linear_head_dim,
               "d_conv": stated.short_conv_kernel_size or self.linear_conv_kernel_dim}  # fmt: skip
        return f"delta_{label}", [kda, channel]

    def dense_layers(self, i: int) -> int:
        """The first layers, or as the list says."""
        return dense_by_list(self.mlp_layer_types, self.depth, i, self.first_k_dense_replace)


class MiniMax(Mixtral):
    """MiniMax-Text-01 and M1: seven layers of lightning attention to one of attention."""

    model_types: ClassVar[tuple[str, ...]] = ("minimax", "minimax_text_01", "minimax_m1")
    no_effect: ClassVar[frozenset[str]] = names(
        "full_attn_alpha_factor full_attn_beta_factor linear_attn_alpha_factor linear_attn_beta_factor "
        "mlp_alpha_factor mlp_beta_factor layernorm_full_attention_alpha layernorm_full_attention_beta "
        "layernorm_linear_attention_alpha layernorm_linear_attention_beta layernorm_mlp_alpha layernorm_mlp_beta "
        "postnorm rotary_dim shared_moe_mode"
    )

    layer_types: list[str] | None = None
    attn_type_list: list[int] | None = None
    block_size: Size = 256
    shared_intermediate_size: Extra = 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Lightning attention or attention, and experts."""
        if self.shared_intermediate_size:
            raise ValueError("shared_intermediate_size: a shared expert is not known for this model_type")
        types = per_layer("layer_types", self.layer_types, self.depth)
        codes = per_layer("attn_type_list", self.attn_type_list, self.depth)
        linear = i % 2 == 1
        if types:
            linear = one_of("layer_types", types[i], LINEAR)
        elif codes:
            linear = not codes[i]
        if not linear:
            return "attention", [self.heads(window=self.sliding_window), self.experts()]
        mixer = {"kind": "lightning", "heads": self.num_attention_heads, "head_dim": self.head_width,
                 "chunk": self.block_size}  # fmt: skip
        return "lightning", [mixer, self.experts()]


RECURRENT_GEMMA = {
    "linear_attention": "recurrent",
    "recurrent": "recurrent",
    "sliding_attention": "attention",
    "full_attention": "attention",
    "attention": "attention",
}
"""Entries of `layer_types`, and what `block_types` calls such a layer."""


class RecurrentGemma(Decoder):
    """RecurrentGemma: two recurrent blocks to one windowed attention."""

    model_types: ClassVar[tuple[str, ...]] = ("recurrent_gemma",)
    no_effect: ClassVar[frozenset[str]] = names(
        "embeddings_scale_by_sqrt_dim w_init_variance_scale final_w_init_variance_scale"
    )

    tie_word_embeddings: bool = True
    lru_width: Size | None = None
    attention_window_size: Size = called("attention_window_size", "sliding_window", default=2048)
    layer_types: list[str] | None = None
    block_types: list[str] = called("block_types", "_block_types", default=["recurrent", "recurrent", "attention"])
    conv1d_width: Size = 4
    attention_bias: bool = False
    logits_soft_cap: float | None = 30.0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """A recurrent block or attention, and a gated MLP of which each branch has half the stated width."""
        if not self.block_types:
            raise ValueError("block_types: a pattern such as recurrent, recurrent, attention is expected")
        kind = one_of("block_types", self.block_types[i % len(self.block_types)], ("recurrent", "attention"))
        types = per_layer("layer_types", self.layer_types, self.depth)
        if types and one_of("layer_types", types[i], RECURRENT_GEMMA) != kind:
            raise ValueError(f"layer_types: says {types[i]} of layer {i}, block_types says {kind}")
        half = divided(self.intermediate_size or 0, 2, "intermediate_size", "the number of branches,")
        mlp = {"kind": "gated_mlp", "width": half, "bias": True}
        if kind == "recurrent":
            width = self.lru_width or self.hidden_size
            head_dim = divided(width, self.num_attention_heads, "lru_width", "num_attention_heads")
            return "recurrent", [{"kind": "rg_lru", "heads": self.num_attention_heads, "head_dim": head_dim,
                                  "d_conv": self.conv1d_width}, mlp]  # fmt: skip
        attention = self.heads(window=self.attention_window_size, qkv_bias=self.attention_bias, out_bias=True)
        attention["rotary_dim"] = self.rotary_dim(self.head_width, default=1 / 2)
        return "attention", [attention, mlp]

    def around(self) -> dict[str, Any]:
        """The embedding is scaled, the logits are bent."""
        return {"embedding_scaled": True, **({"logits_soft_cap": True} if self.logits_soft_cap else {})}


class XLstm(Config):
    """xLSTM 7B."""

    model_types: ClassVar[tuple[str, ...]] = ("xlstm",)
    no_effect: ClassVar[frozenset[str]] = names(
        "chunkwise_kernel sequence_kernel step_kernel mode return_last_states autocast_kernel_dtype eps "
        "inference_state_dtype gate_soft_cap max_inference_chunksize norm_reduction_force_float32"
    )

    vocab_size: Size = 50304
    hidden_size: Size = called("hidden_size", "embedding_dim", default=4096)
    num_hidden_layers: Depth = called("num_hidden_layers", "num_blocks", default=32)
    num_heads: Size = 8
    tie_word_embeddings: Literal[False] = False
    use_bias: Literal[False] = False
    add_out_norm: Literal[True] = True
    qk_dim_factor: float = Field(0.5, gt=0, le=16)
    v_dim_factor: float = Field(1.0, gt=0, le=16)
    chunk_size: Size = 64
    ffn_proj_factor: float = Field(2.667, gt=0, le=64)
    ffn_round_up_to_multiple_of: Size = 64
    output_logit_soft_cap: float | None = 30.0
    weight_mode: str = "single"

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """mLSTM and a gated MLP; widths are rounded up."""
        one_of("weight_mode", self.weight_mode, ("single", "fused"))
        qk, v = (rounded_up(self.hidden_size * factor, 64) for factor in (self.qk_dim_factor, self.v_dim_factor))
        mixer = {"kind": "mlstm", "heads": self.num_heads, "qk_dim": divided(qk, self.num_heads, "qk_dim", "num_heads"),
                 "v_dim": divided(v, self.num_heads, "v_dim", "num_heads"), "chunk": self.chunk_size}  # fmt: skip
        width = rounded_up(self.hidden_size * self.ffn_proj_factor, self.ffn_round_up_to_multiple_of)
        return "xlstm", [mixer, {"kind": "gated_mlp", "width": width}]

    def around(self) -> dict[str, Any]:
        """The logits are bent."""
        return {"logits_soft_cap": True} if self.output_logit_soft_cap else {}


def rounded_up(value: float, multiple: int) -> int:
    """The smallest multiple that is not below the whole part of `value`."""
    return ceil(int(value) / multiple) * multiple


class Lfm2(Decoder):
    """LFM2: short convolutions with a few attention layers."""

    model_types: ClassVar[tuple[str, ...]] = ("lfm2",)
    no_effect: ClassVar[frozenset[str]] = names(
        "block_dim block_mlp_init_scale block_norm_eps block_out_init_scale "
        "block_use_xavier_init conv_dim conv_dim_out conv_use_xavier_init num_heads theta use_pos_enc"
    )

    tie_word_embeddings: bool = called("tie_embedding", "tie_word_embeddings", default=True)
    num_key_value_heads: Size | None = 8
    ff_dim: Size = called("block_ff_dim", "intermediate_size", default=12288)
    block_use_swiglu: Literal[True] = True
    conv_L_cache: Size = 3  # noqa: N815 - the name in the file
    conv_bias: bool = False
    block_multiple_of: Size = 256
    block_ffn_dim_multiplier: float | None = Field(1.0, gt=0, le=64)
    block_auto_adjust_ff_dim: bool = True
    full_attn_idxs: list[int] | None = None
    layer_types: list[str] | None = None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """A convolution or attention, and a gated MLP."""
        types = per_layer("layer_types", self.layer_types, self.depth)
        if types:
            conv = one_of("layer_types", types[i], {"conv": True, "full_attention": False, "short_conv": True})
        else:
            conv = self.full_attn_idxs is not None and not listed("full_attn_idxs", self.full_attn_idxs, self.depth, i)
        label, channel = self.channel_mixer(i)
        if not conv:
            return "attention" + label, [self.heads(qk_norm="head"), channel]
        mixer = {"kind": "short_conv", "channels": self.hidden_size, "d_conv": self.conv_L_cache,
                 "bias": self.conv_bias or None}  # fmt: skip
        return "conv" + label, [mixer, channel]

    def channel_mixer(self, i: int) -> tuple[str, Part]:
        """The MLP: two thirds of the stated width, rounded up, if the file says so."""
        width = self.ff_dim
        if self.block_auto_adjust_ff_dim:
            width = int(int(2 * width / 3) * (self.block_ffn_dim_multiplier or 1))
            width = rounded_up(width, self.block_multiple_of)
        return "", {"kind": "gated_mlp", "width": width}


class Lfm2Moe(Lfm2):
    """LFM2 with experts after a few dense layers."""

    model_types: ClassVar[tuple[str, ...]] = ("lfm2_moe",)
    no_effect: ClassVar[frozenset[str]] = names("use_expert_bias")

    block_auto_adjust_ff_dim: bool = False
    moe_intermediate_size: Size
    num_dense_layers: Extra = 2
    num_experts: Size
    num_experts_per_tok: Size

    def channel_mixer(self, i: int) -> tuple[str, Part]:
        """The MLP or the experts."""
        if i < self.num_dense_layers:
            return "_dense", {"kind": "gated_mlp", "width": self.ff_dim}
        return "", {"kind": "moe", "experts": self.num_experts, "top_k": self.num_experts_per_tok,
                    "width": self.moe_intermediate_size}  # fmt: skip
