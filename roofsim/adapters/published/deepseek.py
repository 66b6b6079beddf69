"""Latent attention with routed and shared experts: DeepSeek and what follows it."""

from __future__ import annotations

from typing import ClassVar, Literal

from roofsim.adapters.published.base import Decoder, Part, called, divided, names, one_of, per_layer
from roofsim.foundation.schema import Extra, Size


class Latent(Decoder):
    """The fields of latent attention."""

    kv_lora_rank: Size = 512
    q_lora_rank: Size | None = 1536
    qk_nope_head_dim: Size = 128
    qk_rope_head_dim: Size = 64
    v_head_dim: Size | None = 128
    attention_bias: bool = False

    def latent_attention(self) -> Part:
        """The attention of every layer."""
        heads = self.num_attention_heads
        return {
            "kind": "mla",
            "heads": heads,
            "kv_rank": self.kv_lora_rank,
            "q_rank": self.q_lora_rank,
            "nope_dim": self.qk_nope_head_dim,
            "rope_dim": self.qk_rope_head_dim,
            "v_dim": self.v_head_dim or divided(self.hidden_size, heads, "hidden_size", "num_attention_heads"),
            "bias": self.attention_bias or None,
        }


class Youtu(Latent):
    """Youtu-LLM: a dense MLP in every layer."""

    model_types: ClassVar[tuple[str, ...]] = ("youtu",)
    no_effect: ClassVar[frozenset[str]] = names("qk_head_dim head_dim embedding_initializer_range")

    tie_word_embeddings: bool = True
    mlp_bias: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Latent attention and a gated MLP."""
        return "attention", [self.latent_attention(), self.gated_mlp(bias=self.mlp_bias)]


class MiniCpm3(Youtu):
    """MiniCPM3: smaller ranks, and a scaled embedding."""

    model_types: ClassVar[tuple[str, ...]] = ("minicpm3",)

    kv_lora_rank: Size = 256
    q_lora_rank: Size | None = 768
    qk_nope_head_dim: Size = 64
    qk_rope_head_dim: Size = 32
    v_head_dim: Size | None = None

    def around(self) -> dict[str, bool]:
        """The embedding is multiplied, and what goes into the head divided."""
        return {"embedding_scaled": True}


class DeepSeek(Latent):
    """DeepSeek-V2, V3 and R1, Kimi-K2, Moonlight: dense layers first."""

    model_types: ClassVar[tuple[str, ...]] = ("deepseek_v2", "deepseek_v3", "kimi_k2")
    no_effect: ClassVar[frozenset[str]] = names("qk_head_dim head_dim")

    moe_layer_freq: Literal[1] = 1
    moe_intermediate_size: Size
    n_routed_experts: Size = called("n_routed_experts", "num_experts", "num_local_experts")
    n_shared_experts: Extra = 0
    num_experts_per_tok: Size
    first_k_dense_replace: Extra = 0
    n_group: Size | None = None
    topk_group: Size | None = None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Latent attention, and an MLP or experts."""
        if i < self.dense_layers(i):
            return "dense", [self.latent_attention(), self.gated_mlp()]
        moe = {"kind": "moe", "experts": self.n_routed_experts, "top_k": self.num_experts_per_tok,
               "width": self.moe_intermediate_size,
               "shared_width": self.n_shared_experts * self.moe_intermediate_size or None}  # fmt: skip
        if self.n_group and self.topk_group and self.n_group > 1:
            moe |= {"expert_groups": self.n_group, "group_limit": self.topk_group}
        return "moe", [self.latent_attention(), moe]

    def dense_layers(self, i: int) -> int:
        """How many layers have a dense MLP."""
        return self.first_k_dense_replace


class SparseDeepSeek(DeepSeek):
    """DeepSeek-V3.2, GLM-5: an indexer chooses the tokens that a query sees."""

    model_types: ClassVar[tuple[str, ...]] = ("deepseek_v32", "glm_moe_dsa")
    no_effect: ClassVar[frozenset[str]] = names(
        "qk_head_dim head_dim indexer_rope_interleave moe_router_dtype index_share_for_mtp_iteration"
    )

    index_n_heads: Size = 64
    index_head_dim: Size = 128
    index_topk: Size = 2048
    first_k_dense_replace: Extra = 3
    n_shared_experts: Extra = 1
    mlp_layer_types: list[str] | None = None
    indexer_types: list[str] | None = None
    layer_types: list[Literal["indexed_attention", "deepseek_sparse_attention"]] | None = None
    index_topk_pattern: str | None = None
    index_topk_freq: Size = 1
    index_skip_topk_offset: Extra = 2

    def dense_layers(self, i: int) -> int:
        """The first layers, or as the list says."""
        return dense_by_list(self.mlp_layer_types, self.depth, i, self.first_k_dense_replace)

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """A layer that has no indexer of its own uses the tokens that the last one chose."""
        label, (attention, channel) = super().layer(i)
        attention["index_top_k"] = self.index_topk
        if self.reuses_index(i):
            return f"{label}_reusing", [attention, channel]
        own = {"index_heads": self.index_n_heads, "index_dim": self.index_head_dim}
        return label, [attention | own, channel]

    def reuses_index(self, i: int) -> bool:
        """Whether layer `i` has no indexer: as a list or pattern says, else all but every so many."""
        known = {"full": False, "shared": True, "F": False, "S": True}
        types = per_layer("indexer_types", self.indexer_types, self.depth)
        types = types or per_layer("index_topk_pattern", self.index_topk_pattern, self.depth)
        if types:
            return bool(one_of("indexer_types", types[i], known))
        return max(i - self.index_skip_topk_offset + 1, 0) % self.index_topk_freq != 0


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
    v_head_dim: Size | None = 256
    n_shared_experts: Extra = 1
    mlp_layer_types: list[str] | None = None
    first_k_dense_replace: Extra = 1

    def dense_layers(self, i: int) -> int:
        """The first layer, or as the list says."""
        return dense_by_list(self.mlp_layer_types, self.depth, i, self.first_k_dense_replace)
