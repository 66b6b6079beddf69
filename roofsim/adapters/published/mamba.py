"""Mamba and its hybrids with attention."""

from __future__ import annotations

from math import ceil
from typing import Any, ClassVar, Literal

from pydantic import Field

from roofsim.adapters.published.base import (
    MOST_LAYERS,
    Config,
    Decoder,
    Depth,
    Part,
    divided,
    listed,
    names,
    one_of,
    per_layer,
)
from roofsim.foundation.schema import Extra, Size

MIXERS = {
    "mamba": "mamba",
    "linear_attention": "mamba",
    "attention": "attention",
    "full_attention": "attention",
    "hybrid": "hybrid",
    "moe": "moe",
    "mlp": "mlp",
}
"""What files call a kind of layer, before and after the library renamed them."""


class Mamba(Config):
    """Mamba 1: no attention, no MLP."""

    model_types: ClassVar[tuple[str, ...]] = ("mamba",)
    no_effect: ClassVar[frozenset[str]] = names(
        "rms_norm pad_vocab_size_multiple residual_in_fp32 d_inner d_model fused_add_norm n_layer ssm_cfg "
        "intermediate_size is_decoder use_falcon_mambapy mixer_rms_eps bc_dt_rms_eps"
    )

    tie_word_embeddings: bool = True
    state_size: Size = 16
    expand: Size = 2
    conv_kernel: Size = 4
    time_step_rank: Size | Literal["auto"] = "auto"
    use_bias: bool = False
    use_conv_bias: bool = True

    @property
    def d_inner(self) -> int:
        """Channels of the recurrence."""
        return self.expand * self.hidden_size

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """A selective state-space layer."""
        rank = self.time_step_rank if isinstance(self.time_step_rank, int) else ceil(self.hidden_size / 16)
        mixer: Part = {"kind": "mamba1", "d_inner": self.d_inner, "d_state": self.state_size, "dt_rank": rank,
                       "d_conv": self.conv_kernel}  # fmt: skip
        mixer |= {} if self.use_conv_bias else {"conv_bias": False}
        return "mamba", [mixer | ({"bias": True} if self.use_bias else {})]


class FalconMamba(Mamba):
    """Falcon-Mamba: the stated width counts, not `expand`; B, C and Δ are normalised without weights."""

    model_types: ClassVar[tuple[str, ...]] = ("falcon_mamba",)

    intermediate_size: Size

    @property
    def d_inner(self) -> int:
        """Channels of the recurrence."""
        return self.intermediate_size

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """A selective state-space layer with norms inside."""
        label, (mixer,) = super().layer(i)
        return label, [{**mixer, "norms": "plain"}]


class Mamba2(Config):
    """Mamba 2: no attention, no MLP."""

    model_types: ClassVar[tuple[str, ...]] = ("mamba2",)
    no_effect: ClassVar[frozenset[str]] = names(
        "norm_before_gate residual_in_fp32 rms_norm pad_vocab_size_multiple time_step_rank intermediate_size"
    )

    num_heads: Size
    head_dim: Size = 64
    state_size: Size = 128
    expand: Size = 2
    conv_kernel: Size = 4
    n_groups: Size = 8
    chunk_size: Size = 256
    use_bias: bool = False
    use_conv_bias: bool = True

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """A state-space dual layer."""
        if self.num_heads * self.head_dim != self.expand * self.hidden_size:
            raise ValueError(
                f"num_heads {self.num_heads} of head_dim {self.head_dim} do not make expand {self.expand} times "
                f"hidden_size {self.hidden_size}"
            )
        mixer = ssd(self.num_heads, self.head_dim, self.state_size, self.n_groups, self.chunk_size, self.conv_kernel)
        return "mamba", [with_biases(mixer, self.use_conv_bias, self.use_bias)]


def ssd(heads: int, head_dim: int, d_state: int, groups: int, chunk: int, d_conv: int) -> Part:
    """A Mamba-2 mixer; raises ValueError if the groups do not divide the heads."""
    divided(heads, groups, "the heads of Mamba-2", "the number of groups")
    return {"kind": "mamba2", "heads": heads, "head_dim": head_dim, "d_state": d_state, "groups": groups,
            "chunk": chunk, "d_conv": d_conv}  # fmt: skip


def with_biases(mixer: Part, conv_bias: bool, bias: bool) -> Part:
    """The mixer with what is not usual: no bias of the convolution, biases of the projections."""
    return mixer | ({} if conv_bias else {"conv_bias": False}) | ({"bias": True} if bias else {})


class WithMamba2(Decoder):
    """The fields of hybrids with Mamba-2 as Bamba, Granite and Falcon-H1 call them."""

    mamba_n_heads: Size = 128
    mamba_d_head: Size | Literal["auto"] = "auto"
    mamba_n_groups: Size = 1
    mamba_d_state: Size = 256
    mamba_d_conv: Size = 4
    mamba_expand: Size = 2
    mamba_chunk_size: Size = 256
    mamba_conv_bias: bool = True
    mamba_proj_bias: bool = False

    @property
    def d_inner(self) -> int:
        """Channels of the recurrence."""
        return self.mamba_expand * self.hidden_size

    def ssm(self) -> Part:
        """The Mamba-2 mixer; raises ValueError if heads and width do not agree."""
        heads = self.mamba_n_heads
        head_dim = self.mamba_d_head
        if not isinstance(head_dim, int):
            head_dim = divided(self.d_inner, heads, "the inner width of Mamba-2", "mamba_n_heads")
        if heads * head_dim != self.d_inner:
            raise ValueError(
                f"mamba_n_heads {heads} of mamba_d_head {head_dim} do not make the inner width {self.d_inner}"
            )
        mixer = ssd(heads, head_dim, self.mamba_d_state, self.mamba_n_groups, self.mamba_chunk_size, self.mamba_d_conv)
        return with_biases(mixer, self.mamba_conv_bias, self.mamba_proj_bias)


class FalconH1(WithMamba2):
    """Falcon-H1: attention and Mamba-2 side by side in every layer."""

    model_types: ClassVar[tuple[str, ...]] = ("falcon_h1",)
    no_effect: ClassVar[frozenset[str]] = names("mamba_norm_before_gate attn_layer_indices mlp_expansion_factor")

    mamba_use_mlp: Literal[True] = True
    mamba_d_ssm: Size | None = 1024
    mamba_rms_norm: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    projectors_bias: bool = False

    @property
    def d_inner(self) -> int:
        """`mamba_d_ssm` where it is stated."""
        return self.mamba_d_ssm or super().d_inner

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Both mixers, and a gated MLP."""
        if self.projectors_bias != self.mamba_proj_bias:
            raise ValueError("projectors_bias, mamba_proj_bias: a bias on one projection of Mamba-2 only is not known")
        ssm = {**self.ssm(), **({} if self.mamba_rms_norm else {"gated_norm": False})}
        attention = self.heads(qkv_bias=self.attention_bias, out_bias=self.attention_bias)
        attention = {key: value for key, value in attention.items() if value is not None}
        return "hybrid", [{"kind": "parallel", "attention": attention, "ssm": ssm}, self.gated_mlp(bias=self.mlp_bias)]

    def around(self) -> dict[str, Any]:
        """The logits are scaled."""
        return {"logits_scaled": True}


class Bamba(WithMamba2):
    """Bamba: Mamba-2 with a few attention layers, an MLP after each."""

    model_types: ClassVar[tuple[str, ...]] = ("bamba",)

    num_key_value_heads: Size | None = 8
    attn_layer_indices: list[int] | None = None
    attention_bias: bool = False
    mlp_bias: bool = False
    layer_types: list[str] | None = None
    layers_block_type: list[str] | None = None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Mamba-2 or attention on half of each head, and a gated MLP."""
        mlp = self.gated_mlp(bias=self.mlp_bias)
        attends = listed("attn_layer_indices", self.attn_layer_indices, self.depth, i)
        types = per_layer("layer_types", self.layer_types or self.layers_block_type, self.depth)
        if types and (one_of("layer_types", types[i], MIXERS) == "attention") != attends:
            raise ValueError(f"layer_types: says {types[i]} of layer {i}, attn_layer_indices says otherwise")
        if not attends:
            return "mamba", [self.ssm(), mlp]
        attention = self.heads(qkv_bias=self.attention_bias, out_bias=self.attention_bias)
        attention["rotary_dim"] = self.rotary_dim(self.head_width, default=1 / 2)
        return "attention", [attention, mlp]


class GraniteHybrid(WithMamba2):
    """Granite 4.0: Mamba-2 with a few attention layers; a shared MLP after each, and experts in most sizes."""

    model_types: ClassVar[tuple[str, ...]] = ("granitemoehybrid",)
    no_effect: ClassVar[frozenset[str]] = names("normalization_function init_method mlp_bias")

    layer_types: list[str] | None = None
    layers_block_type: list[str] | None = None
    num_local_experts: Extra = 8
    num_experts_per_tok: Extra = 2
    shared_intermediate_size: Size = 1024
    position_embedding_type: Literal["nope", "rope"] | None = None
    attention_bias: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """A mixer, and an MLP or experts with a shared one."""
        types = per_layer("layer_types", self.layer_types or self.layers_block_type, self.depth)
        kind = one_of("layer_types", types[i], MIXERS) if types else "mamba"
        channel: Part = {"kind": "gated_mlp", "width": self.shared_intermediate_size, "fused": True}
        if self.num_local_experts:
            channel = {"kind": "moe", "experts": self.num_local_experts, "top_k": self.num_experts_per_tok,
                       "width": self.gated_mlp()["width"], "shared_width": self.shared_intermediate_size}  # fmt: skip
        if kind == "mamba":
            return "mamba", [self.ssm(), channel]
        attention = self.heads(qkv_bias=self.attention_bias, out_bias=self.attention_bias)
        if self.position_embedding_type != "rope":
            attention["rotary"] = False
        return "attention", [attention, channel]

    def around(self) -> dict[str, Any]:
        """The logits are scaled."""
        return {"logits_scaled": True}


LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
"""Signs of Nemotron-H's layer patterns."""


class NemotronH(Decoder):
    """Nemotron-H and Nemotron 3: one mixer per layer, be it Mamba-2, attention, an MLP or experts."""

    model_types: ClassVar[tuple[str, ...]] = ("nemotron_h",)
    no_effect: ClassVar[frozenset[str]] = names(
        "expand mamba_ssm_cache_dtype residual_in_fp32 rescale_prenorm_residual mamba_rms_norm norm_before_gate "
        "attention_head_dim mtp_hybrid_override_pattern n_shared_experts mamba_proj_bias attention_bias"
    )

    num_hidden_layers: Depth = 1
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = 128
    hybrid_override_pattern: str | None = None
    layers_block_type: list[str] | None = None
    layer_types: list[str] | None = None
    mlp_bias: bool = False
    use_bias: bool = False
    use_conv_bias: bool = True
    ssm_state_size: Size = 128
    mamba_num_heads: Size = 128
    mamba_head_dim: Size = 64
    n_groups: Size = 8
    conv_kernel: Size = 4
    chunk_size: Size = 128
    n_routed_experts: Size | None = None
    moe_intermediate_size: Size | None = None
    moe_shared_expert_intermediate_size: Extra | None = None
    moe_latent_size: Size | None = None
    num_experts_per_tok: Size = 2
    sliding_window: Size | None = None

    @property
    def kinds(self) -> list[str]:
        """The mixer of every layer."""
        if self.hybrid_override_pattern is not None:
            return [one_of("hybrid_override_pattern", sign, LETTERS) for sign in self.hybrid_override_pattern]
        types = self.layers_block_type or self.layer_types
        if types is None:
            raise ValueError("hybrid_override_pattern: is missing; it says which layer is what (M * - E)")
        return [one_of("layers_block_type", each, MIXERS) for each in types]

    @property
    def depth(self) -> int:
        """As many layers as the pattern has; raises ValueError if the file says otherwise."""
        depth = len(self.kinds)
        if depth > MOST_LAYERS:
            raise ValueError(f"hybrid_override_pattern: at most {MOST_LAYERS} layers are expected, not {depth}")
        if "num_hidden_layers" in self.model_fields_set and depth != self.num_hidden_layers:
            raise ValueError(
                f"hybrid_override_pattern: has {depth} layers, num_hidden_layers says {self.num_hidden_layers}"
            )
        return depth

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """One mixer."""
        kind = self.kinds[i]
        if kind == "mamba":
            mixer = ssd(self.mamba_num_heads, self.mamba_head_dim, self.ssm_state_size, self.n_groups,
                        self.chunk_size, self.conv_kernel)  # fmt: skip
            return kind, [with_biases(mixer, self.use_conv_bias, self.use_bias)]
        if kind == "attention":
            return kind, [{**self.heads(window=self.sliding_window), "rotary": False}]
        if kind == "mlp":
            return kind, [{**self.gated_mlp(bias=self.mlp_bias), "kind": "mlp"}]
        if not (self.n_routed_experts and self.moe_intermediate_size):
            raise ValueError("a layer of experts needs n_routed_experts and moe_intermediate_size")
        shared = self.moe_shared_expert_intermediate_size or 0
        return kind, [{"kind": "moe", "experts": self.n_routed_experts, "top_k": self.num_experts_per_tok,
                       "width": self.moe_intermediate_size, "gated": False, "latent": self.moe_latent_size,
                       "shared_bias": self.mlp_bias or None, "latent_bias": self.mlp_bias or None,
                       "shared_width": shared or None}]  # fmt: skip


class Jamba(Decoder):
    """Jamba: Mamba-1 with a few attention layers; experts in every other layer."""

    model_types: ClassVar[tuple[str, ...]] = ("jamba",)
    no_effect: ClassVar[frozenset[str]] = names("sliding_window calc_logits_for_entire_prompt")

    mamba_inner_layernorms: Literal[True] = True
    num_key_value_heads: Size | None = 8
    num_experts: Size = 16
    num_experts_per_tok: Size = 2
    expert_layer_period: Size = 2
    expert_layer_offset: Extra = 1
    attn_layer_period: Size = 8
    attn_layer_offset: Extra = 4
    mamba_d_state: Size = 16
    mamba_d_conv: Size = 4
    mamba_expand: Size = 2
    mamba_dt_rank: Size | Literal["auto"] = "auto"
    mamba_conv_bias: bool = True
    mamba_proj_bias: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Mamba-1 with norms inside, or attention without positions; and an MLP or experts."""
        attends = i % self.attn_layer_period == self.attn_layer_offset
        sparse = self.num_experts > 1 and i % self.expert_layer_period == self.expert_layer_offset
        width = self.gated_mlp()["width"]
        channel = self.gated_mlp()
        if sparse:
            channel = {"kind": "moe", "experts": self.num_experts, "top_k": self.num_experts_per_tok, "width": width}
        mixer: Part = {**self.heads(), "rotary": False}
        if not attends:
            rank = self.mamba_dt_rank if isinstance(self.mamba_dt_rank, int) else ceil(self.hidden_size / 16)
            mixer = {"kind": "mamba1", "d_inner": self.mamba_expand * self.hidden_size, "d_state": self.mamba_d_state,
                     "dt_rank": rank, "d_conv": self.mamba_d_conv, "norms": "learned"}  # fmt: skip
            mixer = with_biases(mixer, self.mamba_conv_bias, self.mamba_proj_bias)
        return ("attention" if attends else "mamba") + ("_moe" if sparse else ""), [mixer, channel]


class Zamba(Decoder):
    """Zamba 1: Mamba-1, and a transformer block that several layers share."""

    model_types: ClassVar[tuple[str, ...]] = ("zamba",)
    no_effect: ClassVar[frozenset[str]] = names("ffn_hidden_size kv_channels num_query_groups")

    tie_word_embeddings: bool = True
    attention_hidden_size: Size | None = None
    attention_head_dim: Size | None = None
    n_mamba_heads: Size = 2
    mamba_d_state: Size = 16
    mamba_d_conv: Size = 4
    mamba_expand: Size = 2
    mamba_dt_rank: Size | Literal["auto"] = "auto"
    mamba_conv_bias: bool = True
    mamba_proj_bias: bool = False
    attn_layer_period: Size = 6
    attn_layer_offset: Extra = 4
    layers_block_type: list[str] | None = None

    def is_hybrid(self, i: int) -> bool:
        """Whether layer `i` runs the shared block first."""
        types = per_layer("layers_block_type", self.layers_block_type, self.depth)
        if types:
            return bool(one_of("layers_block_type", types[i], MIXERS) == "hybrid")
        return i == 2 or (i > 2 and (i - 3) % self.attn_layer_period == self.attn_layer_offset)

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Mamba-1, before it the shared block in some layers."""
        rank = self.mamba_dt_rank if isinstance(self.mamba_dt_rank, int) else ceil(self.hidden_size / 16)
        mixer: Part = {"kind": "mamba1", "d_inner": self.mamba_expand * self.hidden_size, "d_state": self.mamba_d_state,
                       "dt_rank": rank, "d_conv": self.mamba_d_conv, "mamba_heads": self.n_mamba_heads}  # fmt: skip
        mixer = with_biases(mixer, self.mamba_conv_bias, self.mamba_proj_bias)
        if not self.is_hybrid(i):
            return "mamba", [mixer]
        joined = 2 * self.hidden_size
        if (self.attention_hidden_size or joined) != joined:
            raise ValueError(f"attention_hidden_size: twice hidden_size, {joined}, is expected")
        head_dim = self.attention_head_dim or divided(joined, self.num_attention_heads, "twice hidden_size",
                                                      "num_attention_heads")  # fmt: skip
        attention = {"kind": "attention", "heads": self.num_attention_heads, "kv_heads": self.kv_heads,
                     "head_dim": head_dim, "d_in": joined, "rotary": False}  # fmt: skip
        block = {"kind": "shared_block", "block": "A", "attention": attention, "mlp": self.gated_mlp()}
        return "hybrid", [block, mixer]


class Zamba2(Decoder):
    """Zamba 2: Mamba-2, and one or two transformer blocks that layers share, with adapters of their own."""

    model_types: ClassVar[tuple[str, ...]] = ("zamba2",)
    no_effect: ClassVar[frozenset[str]] = names(
        "ffn_hidden_size kv_channels num_query_groups attention_hidden_size mamba_headdim use_long_context "
        "use_shared_mlp_adapter hybrid_layer_ids attention_head_dim state_size lora_rank use_conv_bias"
    )

    tie_word_embeddings: bool = True
    n_mamba_heads: Size = 8
    mamba_d_state: Size = 64
    mamba_d_conv: Size = 4
    mamba_expand: Size = 2
    mamba_ngroups: Size = 1
    chunk_size: Size = 256
    add_bias_linear: bool = False
    layers_block_type: list[str] | None = None
    num_mem_blocks: int = Field(1, ge=1, le=26)
    use_shared_attention_adapter: bool = False
    adapter_rank: Size = 128
    use_mem_rope: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Mamba-2, before it one of the shared blocks in some layers."""
        types = per_layer("layers_block_type", self.layers_block_type, self.depth)
        if types is None:
            raise ValueError("layers_block_type: is missing; it says which layers run a shared block")
        hybrid = [one_of("layers_block_type", each, MIXERS) == "hybrid" for each in types]
        d_inner = self.mamba_expand * self.hidden_size
        head_dim = divided(d_inner, self.n_mamba_heads, "the inner width of Mamba-2", "n_mamba_heads")
        mixer = ssd(self.n_mamba_heads, head_dim, self.mamba_d_state, self.mamba_ngroups, self.chunk_size,
                    self.mamba_d_conv)  # fmt: skip
        mixer = with_biases(mixer, True, self.add_bias_linear)
        if not hybrid[i]:
            return "mamba", [mixer]
        if self.add_bias_linear:
            raise ValueError("add_bias_linear: biases in the shared block are not known")
        block = chr(ord("A") + sum(hybrid[:i]) % self.num_mem_blocks)
        head_dim = divided(2 * self.hidden_size, self.num_attention_heads, "twice hidden_size", "num_attention_heads")
        attention: Part = {"kind": "attention", "heads": self.num_attention_heads, "kv_heads": self.kv_heads,
                           "head_dim": head_dim, "d_in": 2 * self.hidden_size}  # fmt: skip
        if self.use_shared_attention_adapter:
            attention["lora_rank"] = self.adapter_rank
        if not self.use_mem_rope:
            attention["rotary"] = False
        width = self.intermediate_size or 4 * self.hidden_size
        mlp = {"kind": "gated_mlp", "width": width, "fused": True, "lora_rank": self.adapter_rank}
        label = "hybrid" if self.num_mem_blocks == 1 else f"hybrid_{block.lower()}"
        return label, [{"kind": "shared_block", "block": block, "attention": attention, "mlp": mlp}, mixer]
