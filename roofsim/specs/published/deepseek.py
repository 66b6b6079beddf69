"""Latent attention with routed and shared experts: DeepSeek and what follows it."""

from __future__ import annotations

from typing import ClassVar

from roofsim.schema import Extra, Size
from roofsim.specs.published.base import Decoder, Part, names, one_of, per_layer


class DeepSeek(Decoder):
    """DeepSeek-V2, V3 and R1, Kimi-K2, Moonlight: dense layers first."""

    model_types: ClassVar[tuple[str, ...]] = ("deepseek_v2", "deepseek_v3", "kimi_k2")
    no_effect: ClassVar[frozenset[str]] = names("moe_layer_freq qk_head_dim head_dim")

    kv_lora_rank: Size = 512
    q_lora_rank: Size | None = 1536
    qk_nope_head_dim: Size = 128
    qk_rope_head_dim: Size = 64
    v_head_dim: Size = 128
    attention_bias: bool = False
    moe_intermediate_size: Size
    n_routed_experts: Size
    n_shared_experts: Extra = 0
    num_experts_per_tok: Size
    first_k_dense_replace: Extra = 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Latent attention, and an MLP or experts."""
        if i < self.dense_layers(i):
            return "dense", [self.latent_attention(), self.gated_mlp()]
        moe = {"kind": "moe", "experts": self.n_routed_experts, "top_k": self.num_experts_per_tok,
               "width": self.moe_intermediate_size,
               "shared_width": self.n_shared_experts * self.moe_intermediate_size or None}  # fmt: skip
        return "moe", [self.latent_attention(), moe]

    def dense_layers(self, i: int) -> int:
        """How many layers have a dense MLP."""
        return self.first_k_dense_replace

    def latent_attention(self) -> Part:
        """The attention of every layer."""
        return {
            "kind": "mla",
            "heads": self.num_attention_heads,
            "kv_rank": self.kv_lora_rank,
            "q_rank": self.q_lora_rank,
            "nope_dim": self.qk_nope_head_dim,
            "rope_dim": self.qk_rope_head_dim,
            "v_dim": self.v_head_dim,
            "bias": self.attention_bias or None,
        }


class SparseDeepSeek(DeepSeek):
    """DeepSeek-V3.2, GLM-5: an indexer chooses the tokens that a query sees."""

    model_types: ClassVar[tuple[str, ...]] = ("deepseek_v32", "glm_moe_dsa")
    no_effect: ClassVar[frozenset[str]] = names("moe_layer_freq qk_head_dim head_dim indexer_rope_interleave")

    index_n_heads: Size = 64
    index_head_dim: Size = 128
    index_topk: Size = 2048
    first_k_dense_replace: Extra = 3
    n_shared_experts: Extra = 1
    mlp_layer_types: list[str] | None = None
    indexer_types: list[str] | None = None

    def dense_layers(self, i: int) -> int:
        """The first layers, or as the list says."""
        return dense_by_list(self.mlp_layer_types, self.depth, i, self.first_k_dense_replace)

    def latent_attention(self) -> Part:
        """With its indexer."""
        if any(each != "full" for each in self.indexer_types or ()):
            raise ValueError("indexer_types: only layers with an indexer of their own ('full') are known")
        return {
            **super().latent_attention(),
            "index_heads": self.index_n_heads,
            "index_dim": self.index_head_dim,
            "index_top_k": self.index_topk,
        }


def dense_by_list(types: list[str] | None, depth: int, i: int, first: int) -> int:
    """A number above `i` if layer `i` has a dense MLP: as `mlp_layer_types` says, else the first layers have."""
    stated = per_layer("mlp_layer_types", types, depth)
    if stated is None:
        return first
    return i + 1 if one_of("mlp_layer_types", stated[i], {"dense": True, "sparse": False}) else 0


class Glm4MoeLite(DeepSeek):
    """GLM-4.7-Flash: which layers are dense is a list."""

    model_types: ClassVar[tuple[str, ...]] = ("glm4_moe_lite",)

    q_lora_rank: Size | None = 768
    qk_nope_head_dim: Size = 192
    v_head_dim: Size = 256
    n_shared_experts: Extra = 1
    mlp_layer_types: list[str] | None = None
    first_k_dense_replace: Extra = 1

    def dense_layers(self, i: int) -> int:
        """The first layer, or as the list says."""
        return dense_by_list(self.mlp_layer_types, self.depth, i, self.first_k_dense_replace)
