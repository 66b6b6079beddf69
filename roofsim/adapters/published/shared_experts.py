"""Mixtures of experts with windows, gates or shared experts in a combination of their own."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from roofsim.adapters.published.base import Decoder, Part, called, names, one_of, per_layer
from roofsim.adapters.published.deepseek import dense_by_list
from roofsim.adapters.published.dense import GraniteSwa
from roofsim.adapters.published.llama import HunYuan, Windowed
from roofsim.adapters.published.moe import OlMoe
from roofsim.foundation.schema import Extra, Size


class FlexOlmo(OlMoe):
    """FlexOlmo: OLMoE with norms after each part."""

    model_types: ClassVar[tuple[str, ...]] = ("flex_olmo",)

    def around(self) -> dict[str, Any]:
        """Norms after each part."""
        return {"norm_position": "after"}


class HunYuanMoe(HunYuan):
    """Hunyuan-A13B: experts in every layer beside a shared one of the same width."""

    model_types: ClassVar[tuple[str, ...]] = ("hunyuan_v1_moe",)
    no_effect: ClassVar[frozenset[str]] = HunYuan.no_effect | names(
        "moe_drop_tokens moe_random_routing_dropped_token group_limited_greedy capacity_factor "
        "use_mixed_mlp_moe routed_scaling_factor kv_lora_rank q_lora_rank qk_nope_head_dim qk_rope_head_dim v_head_dim "
        "mask_init_id anyres_pooling_size moe_router_topk_scaling_factor"
    )

    num_experts: Size = called("num_experts", "num_local_experts")
    use_mla: Literal[False] = False
    moe_layer_num_skipped: Literal[0] = 0
    moe_topk: Size | list[int] = 1
    num_shared_expert: Size | list[int] = 1
    moe_intermediate_size: Size | list[int] | None = None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, and experts beside a shared one."""
        width = self.gated_mlp()["width"]
        stated = self.of_layer("moe_intermediate_size", self.moe_intermediate_size, i)
        if stated not in (None, width) or self.of_layer("num_shared_expert", self.num_shared_expert, i) != 1:
            raise ValueError("moe_intermediate_size, num_shared_expert: experts as wide as intermediate_size and one "
                             "shared expert are expected")  # fmt: skip
        top_k = self.of_layer("moe_topk", self.moe_topk, i)
        moe = {"kind": "moe", "experts": self.num_experts, "top_k": top_k, "width": width, "shared_width": width}
        return "moe", [self.attention(i), moe]

    def of_layer(self, name: str, given: int | list[int] | None, i: int) -> Any:
        """The entry of a layer, or what holds for all of them."""
        return per_layer(name, given, self.depth)[i] if isinstance(given, list) else given  # type: ignore[index]


class Routed(Decoder):
    """Dense layers first, as a number or a list says, then routed experts and shared ones."""

    moe_intermediate_size: Size
    num_experts_per_tok: Size
    n_routed_experts: Size = called("n_routed_experts", "num_experts", "num_local_experts")
    n_shared_experts: Extra = called("n_shared_experts", "num_shared_experts", default=0)
    first_k_dense_replace: Extra = called("first_k_dense_replace", "num_dense_layers", default=0)
    mlp_layer_types: list[str] | None = None

    def channel_mixer(self, i: int, **more: Any) -> tuple[str, Part]:
        """The MLP or the experts of a layer, and what its name ends with."""
        if i < dense_by_list(self.mlp_layer_types, self.depth, i, self.first_k_dense_replace):
            return "_dense", self.gated_mlp()
        return "", {"kind": "moe", "experts": self.n_routed_experts, "top_k": self.num_experts_per_tok,
                    "width": self.moe_intermediate_size,
                    "shared_width": self.n_shared_experts * self.moe_intermediate_size or None, **more}  # fmt: skip


class SolarOpen(Routed):
    """Solar Open: experts in every layer."""

    model_types: ClassVar[tuple[str, ...]] = ("solar_open",)
    no_effect: ClassVar[frozenset[str]] = names("intermediate_size")

    moe_layer_freq: Literal[1] = 1
    use_qk_norm: Literal[False] = False
    head_dim: Size | None = 128
    n_shared_experts: Extra = called("n_shared_experts", "num_shared_experts", default=1)
    attention_bias: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and experts."""
        label, channel = self.channel_mixer(i)
        return "moe" + label, [self.heads(qkv_bias=self.attention_bias), channel]


class ExaoneMoe(Routed, Windowed):
    """K-EXAONE: windowed layers, every fourth full and without positions."""

    model_types: ClassVar[tuple[str, ...]] = ("exaone_moe",)

    sliding_window: Size | None = 4096
    sliding_window_pattern: int | str | None = 4
    first_k_dense_replace: Extra = called("first_k_dense_replace", "first_last_k_dense_replace", default=1)
    is_moe_layer: list[bool] | None = None
    n_shared_experts: Extra = called("n_shared_experts", "num_shared_experts", default=1)

    def windowed_by_rule(self, i: int) -> bool:
        """All but each fourth layer, or as a pattern of L and G says."""
        pattern = self.sliding_window_pattern
        if isinstance(pattern, str):
            return bool(one_of("sliding_window_pattern", pattern[i % len(pattern)], {"L": True, "G": False}))
        return not pattern or (i + 1) % pattern != 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, and an MLP or experts."""
        attention = self.heads(window=self.window(i), qk_norm="head")
        if self.sliding_window and not self.window(i):
            attention["rotary"] = False
        label, channel = self.channel_mixer(i)
        stated = per_layer("is_moe_layer", self.is_moe_layer, self.depth)
        if stated is not None and stated[i] != (channel["kind"] == "moe"):
            raise ValueError(f"is_moe_layer: says something else of layer {i} than first_k_dense_replace does")
        return self.label(i) + label, [attention, channel]


class Afmoe(Routed, Windowed):
    """Trinity: gated attention, windows with positions and every fourth layer full without, norms on both sides."""

    model_types: ClassVar[tuple[str, ...]] = ("afmoe",)
    no_effect: ClassVar[frozenset[str]] = names(
        "score_func route_norm load_balance_coeff num_limited_groups num_expert_groups use_grouped_mm"
    )

    head_dim: Size | None = 128
    sliding_window: Size | None = 1024
    global_attn_every_n_layers: Size = 4
    first_k_dense_replace: Extra = called("num_dense_layers", default=1)
    n_shared_experts: Extra = called("num_shared_experts", default=2)
    n_routed_experts: Size = called("num_experts", default=64)
    num_experts_per_tok: Size = 6
    mup_enabled: bool = False
    attention_bias: Literal[False] = False

    def windowed_by_rule(self, i: int) -> bool:
        """All but each fourth layer."""
        return (i + 1) % self.global_attn_every_n_layers != 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, and an MLP or experts; the bias that chooses experts is a parameter."""
        attention = self.heads(window=self.window(i), qk_norm="head", output_gate=True)
        if not self.window(i):
            attention["rotary"] = False
        label, channel = self.channel_mixer(i, router_bias=True)
        return self.label(i) + label, [attention, channel]

    def around(self) -> dict[str, Any]:
        """Norms on both sides of each part."""
        return {"norm_position": "both", **({"embedding_scaled": True} if self.mup_enabled else {})}


class GraniteMoeSwa(GraniteSwa):
    """Granite with windows and experts."""

    model_types: ClassVar[tuple[str, ...]] = ("granitemoe_swa",)

    num_local_experts: Size
    num_experts_per_tok: Size
    shared_intermediate_size: Extra = 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and experts."""
        moe = {"kind": "moe", "experts": self.num_local_experts, "top_k": self.num_experts_per_tok,
               "width": self.gated_mlp()["width"], "shared_width": self.shared_intermediate_size or None}  # fmt: skip
        return self.label(i), [self.attention(i), moe]


class MiMoV2Flash(Routed, Windowed):
    """MiMo-V2-Flash: windowed layers with sinks and twice the heads of keys and values; values narrower than keys."""

    model_types: ClassVar[tuple[str, ...]] = ("mimo_v2_flash",)
    no_effect: ClassVar[frozenset[str]] = names(
        "swa_rope_theta attention_chunk_size attention_value_scale moe_router_dtype"
    )

    head_dim: Size | None = 192
    v_head_dim: Size = 128
    sliding_window: Size | None = 129
    sliding_window_size: Size | None = None
    swa_num_attention_heads: Size | None = None
    swa_num_key_value_heads: Size | None = None
    swa_head_dim: Size | None = None
    swa_v_head_dim: Size | None = None
    hybrid_layer_pattern: list[int] | None = None
    moe_layer_freq: list[int] | None = None
    add_swa_attention_sink_bias: bool = True
    add_full_attention_sink_bias: bool = False
    first_k_dense_replace: Extra = 1
    attention_bias: bool = False

    def window(self, i: int) -> int | None:
        """Tokens that a windowed layer sees: as many before the query as the file says, and the query's own."""
        pattern = per_layer("hybrid_layer_pattern", self.hybrid_layer_pattern, self.depth)
        if pattern is None:
            window = super().window(i)
        else:
            window = self.sliding_window if one_of("hybrid_layer_pattern", pattern[i], {0: False, 1: True}) else None
        return self.sliding_window_size + 1 if window and self.sliding_window_size else window

    def windowed_by_rule(self, i: int) -> bool:
        """All but the first layer and the last of each six."""
        return i > 0 and (i + 1) % 6 != 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, and an MLP or experts."""
        window = self.window(i)
        attention = self.heads(window=window, qkv_bias=self.attention_bias, sinks=self.add_full_attention_sink_bias)
        attention |= {"v_dim": self.v_head_dim}
        if window:
            head_dim = self.swa_head_dim or self.head_width
            attention |= {
                "heads": self.swa_num_attention_heads or self.num_attention_heads,
                "kv_heads": self.swa_num_key_value_heads or 2 * self.kv_heads,
                "head_dim": head_dim,
                "v_dim": self.swa_v_head_dim or self.v_head_dim,
                "sinks": self.add_swa_attention_sink_bias,
                "rotary_dim": self.rotary_dim(head_dim, "sliding_attention", 1 / 3),
            }
        else:
            attention["rotary_dim"] = self.rotary_dim(self.head_width, "full_attention", 1 / 3)
        freq = per_layer("moe_layer_freq", self.moe_layer_freq, self.depth)
        label, channel = self.channel_mixer(i)
        if freq is not None and not one_of("moe_layer_freq", freq[i], {0: False, 1: True}):
            label, channel = "_dense", self.gated_mlp()
        return self.label(i) + label, [attention, channel]
