"""Llama and what descends from it: norms before, gated MLP, rotated queries and keys."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from roofsim.adapters.published.base import Decoder, Part, names, one_of, per_layer
from roofsim.foundation.schema import Extra, Size

WINDOWED = {"full_attention": False, "sliding_attention": True, "attention": False}
"""Entries of `layer_types`, and whether such a layer looks back through a window."""


class Llama(Decoder):
    """Llama 1 to 3; also what others publish under this type (TinyLlama, SmolLM, Yi, Falcon 3 ...)."""

    model_types: ClassVar[tuple[str, ...]] = ("llama",)

    attention_bias: bool = False
    mlp_bias: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        return "attention", [self.attention(i), self.channel_mixer(i)]

    def attention(self, i: int) -> Part:
        """The attention of a layer."""
        return self.heads(qkv_bias=self.attention_bias, out_bias=self.attention_bias)

    def channel_mixer(self, i: int) -> Part:
        """The MLP of a layer."""
        return self.gated_mlp(bias=self.mlp_bias)


class Granite(Llama):
    """Granite: Llama with multipliers."""

    model_types: ClassVar[tuple[str, ...]] = ("granite",)


class Helium(Llama):
    """Helium: Llama without a bias on the output."""

    model_types: ClassVar[tuple[str, ...]] = ("helium",)

    def attention(self, i: int) -> Part:
        """Biases on queries, keys and values only."""
        return self.heads(qkv_bias=self.attention_bias)


class SeedOss(Llama):
    """Seed-OSS: the biases of inputs and output are apart."""

    model_types: ClassVar[tuple[str, ...]] = ("seed_oss",)

    attention_out_bias: bool = False

    def attention(self, i: int) -> Part:
        """Biases on either side."""
        return self.heads(qkv_bias=self.attention_bias, out_bias=self.attention_out_bias)


class Ernie45(Decoder):
    """ERNIE 4.5, dense: one switch for all biases."""

    model_types: ClassVar[tuple[str, ...]] = ("ernie4_5",)

    tie_word_embeddings: bool = True
    use_bias: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        attention = self.heads(qkv_bias=self.use_bias, out_bias=self.use_bias)
        return "attention", [attention, self.gated_mlp(bias=self.use_bias)]


class HunYuan(Llama):
    """Hunyuan V1, dense: queries and keys are normalised."""

    model_types: ClassVar[tuple[str, ...]] = ("hunyuan_v1_dense",)
    no_effect: ClassVar[frozenset[str]] = names(
        "attention_head_dim add_classification_head class_num cla_share_factor norm_type "
        "org_vocab_size pool_type eod_token_id use_rotary_pos_emb enable_lm_head_fp32"
    )

    use_qk_norm: Literal[True] = True
    use_cla: Literal[False] = False

    def attention(self, i: int) -> Part:
        """With a norm per head."""
        return {**super().attention(i), "qk_norm": "head"}


class Windowed(Decoder):
    """Models of which some layers look back through a window, as `layer_types` or a rule says."""

    sliding_window: Extra | None = None
    layer_types: list[str] | None = None

    def windowed_by_rule(self, i: int) -> bool:
        """Whether layer `i` is windowed where `layer_types` does not say."""
        return True

    def window(self, i: int) -> int | None:
        """The window of a layer."""
        types = per_layer("layer_types", self.layer_types, self.depth)
        windowed = one_of("layer_types", types[i], WINDOWED) if types else self.windowed_by_rule(i)
        return (self.sliding_window or None) if windowed else None

    def label(self, i: int) -> str:
        """What a layer is called."""
        return "windowed" if self.window(i) else "attention"


class Mistral(Windowed):
    """Mistral: every layer windowed, or none."""

    model_types: ClassVar[tuple[str, ...]] = ("mistral", "ministral", "ministral3")

    sliding_window: Size | None = 4096

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        return self.label(i), [self.heads(window=self.window(i)), self.gated_mlp()]


class Qwen2(Windowed):
    """Qwen2 and 2.5: biases on queries, keys and values; a window that is declared but mostly switched off."""

    model_types: ClassVar[tuple[str, ...]] = (
        "qwen2",
        "qwen2_vl_text",
        "qwen2_vl",
        "qwen2_5_vl_text",
        "qwen2_5_vl",
    )

    sliding_window: Extra | None = 4096
    use_sliding_window: bool = False
    max_window_layers: Extra = 28
    qkv_bias: bool = True

    def windowed_by_rule(self, i: int) -> bool:
        """Layers from `max_window_layers` on."""
        return i >= self.max_window_layers

    def window(self, i: int) -> int | None:
        """None unless windows are switched on."""
        return super().window(i) if self.use_sliding_window else None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        return self.label(i), [self.attention(i), self.channel_mixer(i)]

    def attention(self, i: int) -> Part:
        """The attention of a layer."""
        declared = None if self.use_sliding_window else self.sliding_window or None
        return self.heads(window=self.window(i), declared_window=declared, qkv_bias=self.qkv_bias)

    def channel_mixer(self, i: int) -> Part:
        """The MLP of a layer."""
        return self.gated_mlp()


class Qwen3(Qwen2):
    """Qwen3: a norm per query and key head instead of biases."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen3", "qwen3_vl_text", "qwen3_vl")

    head_dim: Size | None = 128
    attention_bias: bool = False

    def attention(self, i: int) -> Part:
        """With a norm per head; the head's width does not follow from the model's."""
        declared = None if self.use_sliding_window else self.sliding_window or None
        bias = self.attention_bias
        return self.heads(window=self.window(i), declared_window=declared, qkv_bias=bias, out_bias=bias, qk_norm="head")


class Phi3(Windowed):
    """Phi-3 and Phi-4: projections in one matrix each, and part of a head rotated in some."""

    model_types: ClassVar[tuple[str, ...]] = ("phi3",)
    no_effect: ClassVar[frozenset[str]] = names("interpolate_factor")

    attention_bias: bool = False
    full_attn_mod: int = 1

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        if self.full_attn_mod != 1 or self.attention_bias:
            raise ValueError("full_attn_mod, attention_bias: only layers that are alike and have no bias are known")
        return self.label(i), [self.heads(window=self.window(i), fused_qkv=True), self.gated_mlp(fused=True)]


class SmolLM3(Windowed):
    """SmolLM3: every fourth layer has no positions."""

    model_types: ClassVar[tuple[str, ...]] = ("smollm3",)

    tie_word_embeddings: bool = True
    num_key_value_heads: Size | None = 4
    use_sliding_window: bool = False
    no_rope_layers: list[int] | None = None
    no_rope_layer_interval: Size = 4
    attention_bias: bool = False
    mlp_bias: bool = False
    max_window_layers: Extra = 28

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention, rotated or not, and a gated MLP."""
        stated = per_layer("no_rope_layers", self.no_rope_layers, self.depth)
        rotary = bool(stated[i]) if stated else (i + 1) % self.no_rope_layer_interval != 0
        window = self.window(i) if self.use_sliding_window else None
        bias = self.attention_bias
        attention = self.heads(window=window, qkv_bias=bias, out_bias=bias)
        if not rotary:
            attention["rotary"] = False
        return "attention" if rotary else "no_positions", [attention, self.gated_mlp(bias=self.mlp_bias)]


class Olmo(Llama):
    """OLMo 1: layer norms without weights."""

    model_types: ClassVar[tuple[str, ...]] = ("olmo",)
    no_effect: ClassVar[frozenset[str]] = names("clip_qkv")

    def around(self) -> dict[str, Any]:
        """Norms without weights."""
        return {"norm": "layer_no_weights"}

    def channel_mixer(self, i: int) -> Part:
        """Without biases."""
        return self.gated_mlp()


class Olmo2(Windowed):
    """OLMo 2 and 3: norms after each part, and over all queries and keys of a token."""

    model_types: ClassVar[tuple[str, ...]] = ("olmo2", "olmo3")

    sliding_window: Size | None = None
    attention_bias: bool = False

    def windowed_by_rule(self, i: int) -> bool:
        """Three of four layers, where there is a window."""
        return (i + 1) % 4 != 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        bias = self.attention_bias
        attention = self.heads(window=self.window(i), qkv_bias=bias, out_bias=bias, qk_norm="width")
        return self.label(i), [attention, self.gated_mlp()]

    def around(self) -> dict[str, Any]:
        """Norms after each part."""
        return {"norm_position": "after"}


class Exaone4(Windowed):
    """EXAONE 4: norms after each part, a norm per head, no positions in full layers beside windowed ones."""

    model_types: ClassVar[tuple[str, ...]] = ("exaone4",)

    sliding_window: Size | None = 4096
    sliding_window_pattern: int | str | None = 4

    def windowed_by_rule(self, i: int) -> bool:
        """All but each fourth layer and the last, or as a pattern of L and G says."""
        pattern = self.sliding_window_pattern
        if isinstance(pattern, str):
            return set(pattern) <= {"L", "G"} and bool(pattern) and pattern[i % len(pattern)] == "L"
        return not pattern or ((i + 1) % pattern != 0 and i < self.depth - 1)

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        attention = self.heads(window=self.window(i), qk_norm="head")
        if self.sliding_window and not self.window(i):
            attention["rotary"] = False
        return self.label(i), [attention, self.gated_mlp()]

    def around(self) -> dict[str, Any]:
        """Norms after each part."""
        return {"norm_position": "after"}


class StableLm(Decoder):
    """StableLM 2 and 3B: layer norms, a quarter of each head rotated."""

    model_types: ClassVar[tuple[str, ...]] = ("stablelm", "stablelm_epoch")

    use_qkv_bias: bool = False
    qk_layernorm: bool = False
    use_parallel_residual: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        attention = self.heads(qkv_bias=self.use_qkv_bias, qk_norm="heads" if self.qk_layernorm else None)
        attention["rotary_dim"] = self.rotary_dim(self.head_width, default=1 / 4)
        return "attention", [attention, self.gated_mlp()]

    def around(self) -> dict[str, Any]:
        """Layer norms; in the 12B model both parts share one."""
        parallel = self.use_parallel_residual
        return {"norm": "layer", **({"parallel_residual": True, "shared_norm": True} if parallel else {})}


class Cohere(Decoder):
    """Command R: attention and MLP side by side behind one norm."""

    model_types: ClassVar[tuple[str, ...]] = ("cohere",)

    tie_word_embeddings: bool = True
    attention_bias: bool = False
    use_qk_norm: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        norm = "heads" if self.use_qk_norm else None
        attention = self.heads(qkv_bias=self.attention_bias, out_bias=self.attention_bias, qk_norm=norm)
        return "attention", [attention, self.gated_mlp()]

    def around(self) -> dict[str, Any]:
        """A norm without bias that both parts share, and scaled logits."""
        return {"norm": "layer_no_bias", "parallel_residual": True, "shared_norm": True, "logits_scaled": True}


class Cohere2(Windowed):
    """Command R7B and A: three windowed layers with positions to one full layer without."""

    model_types: ClassVar[tuple[str, ...]] = ("cohere2",)
    no_effect: ClassVar[frozenset[str]] = names(
        "use_embedding_sharing use_parallel_embedding "
        "position_embedding_type order_of_interleaved_layers cache_implementation"
    )

    tie_word_embeddings: bool = True
    sliding_window: Size | None = 4096
    sliding_window_pattern: Size = 4
    attention_bias: bool = False
    use_parallel_block: Literal[True] = True
    use_gated_activation: Literal[True] = True

    def windowed_by_rule(self, i: int) -> bool:
        """All but each fourth."""
        return (i + 1) % self.sliding_window_pattern != 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        bias = self.attention_bias
        attention = self.heads(window=self.window(i), qkv_bias=bias, out_bias=bias)
        if not self.window(i):
            attention["rotary"] = False
        return self.label(i), [attention, self.gated_mlp()]

    def around(self) -> dict[str, Any]:
        """As Command R."""
        return {"norm": "layer_no_bias", "parallel_residual": True, "shared_norm": True, "logits_scaled": True}


class Glm(Decoder):
    """GLM-4-9B of 2024: biases on queries, keys and values, half of each head rotated."""

    model_types: ClassVar[tuple[str, ...]] = ("glm", "glm4")

    num_key_value_heads: Size | None = 2
    head_dim: Size | None = 128
    attention_bias: bool = False
    model_type: str

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP in one matrix."""
        attention = self.heads(qkv_bias=self.attention_bias)
        attention["rotary_dim"] = self.rotary_dim(self.head_width, default=1 / 2)
        return "attention", [attention, self.gated_mlp(fused=True)]

    def around(self) -> dict[str, Any]:
        """The later ones have norms on both sides."""
        return {"norm_position": "both"} if self.model_type == "glm4" else {}


class Ungated(Decoder):
    """An MLP of two matrices."""

    mlp_bias: bool = False
    attention_bias: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP."""
        bias = self.attention_bias
        attention = self.heads(qkv_bias=bias, out_bias=bias)
        return "attention", [attention, {**self.gated_mlp(bias=self.mlp_bias), "kind": "mlp"}]


class Arcee(Ungated):
    """AFM-4.5B: squared ReLU."""

    model_types: ClassVar[tuple[str, ...]] = ("arcee",)


class Nemotron(Ungated):
    """Nemotron-4 and Minitron: squared ReLU, layer norms, half of each head rotated."""

    model_types: ClassVar[tuple[str, ...]] = ("nemotron",)

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP."""
        label, (attention, mlp) = super().layer(i)
        return label, [{**attention, "rotary_dim": self.rotary_dim(self.head_width, default=1 / 2)}, mlp]

    def around(self) -> dict[str, Any]:
        """Layer norms."""
        return {"norm": "layer"}


class Starcoder2(Windowed):
    """StarCoder 2: layer norms, biases everywhere, a plain MLP."""

    model_types: ClassVar[tuple[str, ...]] = ("starcoder2",)

    tie_word_embeddings: bool = True
    norm_type: Literal["layer_norm"] = "layer_norm"
    mlp_type: Literal["default"] = "default"
    use_qk_norm: Literal[False] = False
    num_key_value_heads: Size | None = 2
    use_bias: bool = True

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP."""
        bias = self.use_bias
        attention = self.heads(window=self.window(i), qkv_bias=bias, out_bias=bias)
        return self.label(i), [attention, {**self.gated_mlp(bias=bias), "kind": "mlp"}]

    def around(self) -> dict[str, Any]:
        """Layer norms."""
        return {"norm": "layer"}
