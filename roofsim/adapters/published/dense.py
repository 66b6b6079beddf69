"""Dense models that vary attention or norms in a way of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from roofsim.adapters.published.base import Config, Decoder, Group, Part, divided, names, per_layer
from roofsim.adapters.published.llama import Qwen2, Ungated, Windowed
from roofsim.foundation.schema import Size


class Apertus(Ungated):
    """Apertus: a norm per head, an MLP of two matrices with a learned activation (xIELU, two numbers)."""

    model_types: ClassVar[tuple[str, ...]] = ("apertus",)
    no_effect: ClassVar[frozenset[str]] = names("post_norm qk_norm")

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP."""
        if self.mlp_bias:
            raise ValueError("mlp_bias: only false is known for this model_type")
        label, (attention, mlp) = super().layer(i)
        return label, [{**attention, "qk_norm": "head"}, {**mlp, "activation_weights": 2}]


class Jais2(Ungated):
    """Jais 2: layer norms, squared ReLU, biases everywhere."""

    model_types: ClassVar[tuple[str, ...]] = ("jais2",)

    attention_bias: bool = True
    mlp_bias: bool = True

    def around(self) -> dict[str, Any]:
        """Layer norms."""
        return {"norm": "layer"}


class BitNet(Decoder):
    """BitNet b1.58: norms before the last matrix of attention and MLP; counted as if its weights were not ternary."""

    model_types: ClassVar[tuple[str, ...]] = ("bitnet",)

    num_key_value_heads: Size | None = 5
    attention_bias: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP, with norms inside."""
        bias = self.attention_bias
        attention = self.heads(qkv_bias=bias, out_bias=bias, out_norm=True)
        return "attention", [attention, self.gated_mlp(inner_norm=True)]


class NanoChat(Ungated):
    """nanochat: norms without weights, also after the embedding and on queries and keys."""

    model_types: ClassVar[tuple[str, ...]] = ("nanochat",)

    final_logit_softcapping: float | None = 15.0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP."""
        label, (attention, mlp) = super().layer(i)
        return label, [{**attention, "qk_norm": "plain"}, mlp]

    def around(self) -> dict[str, Any]:
        """Norms without weights; the logits are bent."""
        fields: dict[str, Any] = {"norm": "rms_no_weights", "embedding_norm": True}
        return fields | ({"logits_soft_cap": True} if self.final_logit_softcapping else {})


class Cwm(Windowed):
    """Code World Model: every fourth layer full, the others windowed."""

    model_types: ClassVar[tuple[str, ...]] = ("cwm",)

    head_dim: Size | None = 128
    sliding_window: Size | None = 8192
    mlp_bias: bool = False

    def windowed_by_rule(self, i: int) -> bool:
        """All but the first of each four."""
        return i % 4 != 0

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        return self.label(i), [self.heads(window=self.window(i)), self.gated_mlp(bias=self.mlp_bias)]


class GraniteSwa(Windowed):
    """Granite with windows: sinks, every fourth layer full; a layer whose base is nought has no positions."""

    model_types: ClassVar[tuple[str, ...]] = ("granite_swa",)

    tie_word_embeddings: bool = True
    num_key_value_heads: Size | None = 4
    sliding_window: Size | None = 128
    attention_bias: bool = False
    mlp_bias: bool = False
    layer_rope_theta: list[float | int] | None = None

    def windowed_by_rule(self, i: int) -> bool:
        """All but the first of each four."""
        return i % 4 != 0

    def attention(self, i: int) -> Part:
        """The attention of a layer."""
        bias = self.attention_bias
        attention = self.heads(window=self.window(i), qkv_bias=bias, out_bias=bias, sinks=True)
        bases = per_layer("layer_rope_theta", self.layer_rope_theta, self.depth)
        return attention if bases is None or bases[i] else {**attention, "rotary": False}

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a gated MLP."""
        return self.label(i), [self.attention(i), self.gated_mlp(bias=self.mlp_bias)]

    def around(self) -> dict[str, Any]:
        """The embedding is multiplied, the logits are scaled."""
        return {"embedding_scaled": True, "logits_scaled": True}


class MiMo(Qwen2):
    """MiMo-7B: Qwen2 with one switch for the biases of queries, keys and values."""

    model_types: ClassVar[tuple[str, ...]] = ("mimo",)

    attention_bias: bool = True

    def attention(self, i: int) -> Part:
        """With biases if the file says so."""
        return {**super().attention(i), "qkv_bias": self.attention_bias}


class NasAttention(Group):
    """The attention of a block: heads that share keys and values, or nothing at all."""

    no_op: bool = False
    n_heads_in_group: Size | None = None


class NasMlp(Group):
    """The MLP of a block: how wide in units of two thirds of the model's width, or nothing at all."""

    no_op: bool = False
    ffn_mult: float | None = Field(None, gt=0, le=64)


class NasBlock(Group):
    """A block."""

    attention: NasAttention
    ffn: NasMlp


class NemotronNas(Config):
    """Llama-Nemotron Super and Ultra: Llama of which a search took out or narrowed parts, layer by layer."""

    model_types: ClassVar[tuple[str, ...]] = ("nemotron-nas",)
    no_effect: ClassVar[frozenset[str]] = names("intermediate_size num_key_value_heads")

    num_attention_heads: Size
    attention_bias: bool = False
    mlp_bias: bool = False
    block_configs: list[NasBlock]

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """What the search left of attention and MLP."""
        blocks = per_layer("block_configs", self.block_configs, self.depth) or ()
        block: NasBlock = blocks[i]
        parts: list[Part] = []
        if not block.attention.no_op:
            group = block.attention.n_heads_in_group or 1
            heads = self.num_attention_heads
            parts.append({
                "kind": "attention",
                "heads": heads,
                "kv_heads": divided(heads, group, "num_attention_heads", f"n_heads_in_group of block {i},"),
                "head_dim": divided(self.hidden_size, heads, "hidden_size", "num_attention_heads"),
                "qkv_bias": self.attention_bias or None,
                "out_bias": self.attention_bias or None,
            })  # fmt: skip
        if not block.ffn.no_op:
            if block.ffn.ffn_mult is None:
                raise ValueError(f"block_configs: ffn_mult of block {i} is missing")
            width = -(-int(2 * block.ffn.ffn_mult * self.hidden_size / 3) // NAS_MULTIPLE) * NAS_MULTIPLE
            parts.append({"kind": "gated_mlp", "width": width, "bias": self.mlp_bias or None})
        return "attention" if not block.attention.no_op else "mlp", parts


NAS_MULTIPLE = 256
"""The width of an MLP is rounded up to a multiple of it, as the code of DeciLM does."""
