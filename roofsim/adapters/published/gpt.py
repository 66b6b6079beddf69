"""Older Transformers: learned positions or ALiBi, layer norms, plain MLPs, biases."""

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
    names,
    one_of,
    per_layer,
)
from roofsim.foundation.schema import Extra, Size


class Gpt2(Config):
    """GPT-2, StarCoder 1 (multi-query)."""

    model_types: ClassVar[tuple[str, ...]] = ("gpt2", "gpt_bigcode")
    no_effect: ClassVar[frozenset[str]] = names(
        "attention_softmax_in_fp32 runner_max_sequence_length validate_runner_input pre_allocate_kv_cache "
        "inference_runner scale_attention_softmax_in_fp32 max_batch_size num_key_value_heads"
    )

    tie_word_embeddings: bool = True
    model_type: str
    positions: Size = called("n_positions", "max_position_embeddings", default=1024)
    hidden_size: Size = called("n_embd", "hidden_size")
    num_hidden_layers: Depth = called("n_layer", "num_hidden_layers")
    n_head: Size = called("n_head", "num_attention_heads")
    n_inner: Size | None = None
    multi_query: bool = True

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention with one matrix for queries, keys and values, and a plain MLP."""
        head_dim = divided(self.hidden_size, self.n_head, "n_embd", "n_head")
        one = self.model_type == "gpt_bigcode" and self.multi_query
        attention = {"kind": "attention", "heads": self.n_head, "kv_heads": 1 if one else self.n_head,
                     "head_dim": head_dim, "rotary": False, "fused_qkv": True, "qkv_bias": True,
                     "out_bias": True}  # fmt: skip
        return "attention", [attention, {"kind": "mlp", "width": self.n_inner or 4 * self.hidden_size, "bias": True}]

    def around(self) -> dict[str, Any]:
        """Layer norms and learned positions."""
        return {"norm": "layer", "positions": self.positions}


class GptNeo(Config):
    """GPT-Neo: windowed layers alternate with full ones; the library caches both whole."""

    model_types: ClassVar[tuple[str, ...]] = ("gpt_neo",)

    tie_word_embeddings: bool = True
    num_hidden_layers: Depth = called("num_layers")
    num_heads: Size
    intermediate_size: Size | None = None
    max_position_embeddings: Size = 2048
    window_size: Size = 256
    attention_types: list[Any] | None = None
    attention_layers: list[str] | None = None

    def kinds(self) -> list[str]:
        """`global` or `local` for every layer."""
        if self.attention_layers is not None:
            return list(per_layer("attention_layers", self.attention_layers, self.depth) or ())
        kinds: list[str] = []
        for entry in self.attention_types or [[["global", "local"], self.num_hidden_layers // 2]]:
            match entry:
                case [[*names], int(times)] if 0 <= times <= self.num_hidden_layers:
                    kinds += [str(name) for name in names] * times
                case _:
                    raise ValueError(f"attention_types: entries such as [['global', 'local'], 6], not {entry!r}")
        return list(per_layer("attention_types", kinds, self.depth) or ())

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention without biases on queries, keys and values, and a plain MLP."""
        windowed = one_of("attention_layers", self.kinds()[i], {"global": False, "local": True})
        head_dim = divided(self.hidden_size, self.num_heads, "hidden_size", "num_heads")
        attention: Part = {"kind": "attention", "heads": self.num_heads, "kv_heads": self.num_heads,
                           "head_dim": head_dim, "out_bias": True, "rotary": False}  # fmt: skip
        if windowed:
            attention |= {"window": self.window_size, "windowed_cache": False}
        mlp = {"kind": "mlp", "width": self.intermediate_size or 4 * self.hidden_size, "bias": True}
        return "local" if windowed else "global", [attention, mlp]

    def around(self) -> dict[str, Any]:
        """Layer norms and learned positions."""
        return {"norm": "layer", "positions": self.max_position_embeddings}


class GptNeoX(Decoder):
    """GPT-NeoX, Pythia: attention and MLP side by side, each behind its own norm."""

    model_types: ClassVar[tuple[str, ...]] = ("gpt_neox",)

    rotary_pct: float | None = None
    use_parallel_residual: bool = True
    attention_bias: bool = True

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP, biases everywhere."""
        bias = self.attention_bias
        attention = self.heads(fused_qkv=True, qkv_bias=bias, out_bias=bias)
        share = self.rotary_pct if self.rotary_pct is not None else 1 / 4
        attention["rotary_dim"] = self.rotary_dim(self.head_width, default=share)
        return "attention", [attention, {**self.gated_mlp(bias=True), "kind": "mlp"}]

    def around(self) -> dict[str, Any]:
        """Layer norms."""
        return {"norm": "layer", **({"parallel_residual": True} if self.use_parallel_residual else {})}


class GptJ(Config):
    """GPT-J, CodeGen: attention and MLP side by side behind one norm."""

    model_types: ClassVar[tuple[str, ...]] = ("gptj", "codegen")
    no_effect: ClassVar[frozenset[str]] = names("n_positions n_ctx")

    hidden_size: Size = called("n_embd")
    num_hidden_layers: Depth = called("n_layer")
    n_head: Size
    n_inner: Size | None = None
    rotary_dim_: Size | None = called("rotary_dim", default=64)
    rotary: bool = True

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention without biases, and a plain MLP with them."""
        head_dim = divided(self.hidden_size, self.n_head, "n_embd", "n_head")
        attention = {"kind": "attention", "heads": self.n_head, "kv_heads": self.n_head, "head_dim": head_dim,
                     "rotary_dim": self.rotary_dim_}  # fmt: skip
        return "attention", [attention, {"kind": "mlp", "width": self.n_inner or 4 * self.hidden_size, "bias": True}]

    def around(self) -> dict[str, Any]:
        """One layer norm for both parts, and a bias on the head."""
        return {"norm": "layer", "parallel_residual": True, "shared_norm": True, "lm_head_bias": True}


class Phi(Decoder):
    """Phi-1 to 2: as GPT-J, with biases everywhere."""

    model_types: ClassVar[tuple[str, ...]] = ("phi",)

    qk_layernorm: bool = False

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP."""
        if self.qk_layernorm:
            raise ValueError("qk_layernorm: norms of queries and keys are not known for this model_type")
        attention = self.heads(qkv_bias=True, out_bias=True)
        attention["rotary_dim"] = self.rotary_dim(self.head_width, default=1 / 2)
        return "attention", [attention, {**self.gated_mlp(bias=True), "kind": "mlp"}]

    def around(self) -> dict[str, Any]:
        """One layer norm for both parts, and a bias on the head."""
        return {"norm": "layer", "parallel_residual": True, "shared_norm": True, "lm_head_bias": True}


class Opt(Decoder):
    """OPT: learned positions, two spare rows in their table."""

    model_types: ClassVar[tuple[str, ...]] = ("opt",)
    no_effect: ClassVar[frozenset[str]] = names("_remove_final_layer_norm")

    tie_word_embeddings: bool = True
    ffn_dim: Size
    max_position_embeddings: Size = 2048
    do_layer_norm_before: bool = True
    word_embed_proj_dim: Size | None = None
    enable_bias: bool = True
    layer_norm_elementwise_affine: bool = True

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP."""
        if not (self.do_layer_norm_before and self.layer_norm_elementwise_affine):
            raise ValueError(
                "do_layer_norm_before, layer_norm_elementwise_affine: only true is known (OPT-350m differs)"
            )
        bias = self.enable_bias
        attention = self.heads(qkv_bias=bias, out_bias=bias)
        attention["rotary"] = False
        return "attention", [attention, {"kind": "mlp", "width": self.ffn_dim, "bias": bias}]

    def around(self) -> dict[str, Any]:
        """Layer norms, learned positions, and an embedding that may be narrower than the model."""
        narrow = self.word_embed_proj_dim not in (None, self.hidden_size)
        return {
            "norm": "layer",
            "positions": self.max_position_embeddings,
            "spare_positions": 2,
            **({"embedding_width": self.word_embed_proj_dim} if narrow else {}),
        }


class BioGpt(Decoder):
    """BioGPT: learned positions as OPT has them, and a scaled embedding."""

    model_types: ClassVar[tuple[str, ...]] = ("biogpt",)
    no_effect: ClassVar[frozenset[str]] = names("activation_dropout layerdrop")

    tie_word_embeddings: bool = True
    max_position_embeddings: Size = 1024
    scale_embedding: bool = True

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP, biases everywhere."""
        attention = {**self.heads(qkv_bias=True, out_bias=True), "rotary": False}
        return "attention", [attention, {**self.gated_mlp(bias=True), "kind": "mlp"}]

    def around(self) -> dict[str, Any]:
        """Layer norms, learned positions with two spare rows."""
        fields: dict[str, Any] = {"embedding_scaled": True} if self.scale_embedding else {}
        return fields | {"norm": "layer", "positions": self.max_position_embeddings, "spare_positions": 2}


class Xglm(Config):
    """XGLM: sinusoidal positions, which are no parameters."""

    model_types: ClassVar[tuple[str, ...]] = ("xglm",)
    no_effect: ClassVar[frozenset[str]] = names("activation_dropout layerdrop")

    tie_word_embeddings: bool = True
    hidden_size: Size = called("d_model", "hidden_size")
    ffn_dim: Size
    num_hidden_layers: Depth = called("num_layers", "num_hidden_layers")
    attention_heads: Size = called("attention_heads", "num_attention_heads")
    scale_embedding: bool = True

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP, biases everywhere."""
        head_dim = divided(self.hidden_size, self.attention_heads, "d_model", "attention_heads")
        attention = {"kind": "attention", "heads": self.attention_heads, "kv_heads": self.attention_heads,
                     "head_dim": head_dim, "rotary": False, "qkv_bias": True, "out_bias": True}  # fmt: skip
        return "attention", [attention, {"kind": "mlp", "width": self.ffn_dim, "bias": True}]

    def around(self) -> dict[str, Any]:
        """Layer norms and a scaled embedding."""
        return {"norm": "layer", **({"embedding_scaled": True} if self.scale_embedding else {})}


class Bloom(Config):
    """BLOOM: ALiBi, and a norm after the embedding."""

    model_types: ClassVar[tuple[str, ...]] = ("bloom",)
    no_effect: ClassVar[frozenset[str]] = names(
        "n_inner offset_alibi skip_bias_add skip_bias_add_qkv unk_token_id apply_residual_connection_post_layernorm"
    )

    tie_word_embeddings: bool = True
    hidden_size: Size = called("hidden_size", "n_embed")
    num_hidden_layers: Depth = called("n_layer", "num_hidden_layers")
    n_head: Size = called("n_head", "num_attention_heads")

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP of four times the width, biases everywhere."""
        head_dim = divided(self.hidden_size, self.n_head, "hidden_size", "n_head")
        attention = {"kind": "attention", "heads": self.n_head, "kv_heads": self.n_head, "head_dim": head_dim,
                     "rotary": False, "alibi": True, "fused_qkv": True, "qkv_bias": True, "out_bias": True}  # fmt: skip
        return "attention", [attention, {"kind": "mlp", "width": 4 * self.hidden_size, "bias": True}]

    def around(self) -> dict[str, Any]:
        """Layer norms, one of them after the embedding."""
        return {"norm": "layer", "embedding_norm": True}


class Falcon(Decoder):
    """Falcon 1 and 2: one key and value head or a few, attention and MLP side by side."""

    model_types: ClassVar[tuple[str, ...]] = ("falcon", "RefinedWeb", "RefinedWebModel")
    no_effect: ClassVar[frozenset[str]] = names("activation apply_residual_connection_post_layernorm")

    tie_word_embeddings: bool = True
    num_hidden_layers: Depth = called("num_hidden_layers", "n_layer")
    num_attention_heads: Size = called("num_attention_heads", "n_head")
    num_kv_heads: Size | None = called("num_kv_heads", "n_head_kv", default=None)
    ffn_hidden_size: Size | None = None
    bias: bool = False
    alibi: bool = False
    multi_query: bool = True
    parallel_attn: bool = True
    new_decoder_architecture: bool = False
    num_ln_in_parallel_attn: Extra | None = None

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP."""
        kv_heads = self.num_kv_heads or self.num_attention_heads
        if not self.new_decoder_architecture:
            kv_heads = 1 if self.multi_query else self.num_attention_heads
        attention = {**self.heads(fused_qkv=True, qkv_bias=self.bias, out_bias=self.bias), "kv_heads": kv_heads}
        if self.new_decoder_architecture and kv_heads < self.num_attention_heads:
            attention["repeated_cache"] = True
        if self.alibi:
            attention |= {"rotary": False, "alibi": True}
        mlp = {"kind": "mlp", "width": self.ffn_hidden_size or 4 * self.hidden_size, "bias": self.bias}
        return "attention", [attention, mlp]

    def around(self) -> dict[str, Any]:
        """Layer norms: one or two before parallel parts."""
        fields: dict[str, Any] = {"norm": "layer"}
        norms = self.num_ln_in_parallel_attn or 2
        if self.new_decoder_architecture:
            return fields | {"parallel_residual": True} | ({"shared_norm": True} if norms == 1 else {})
        return fields | ({"parallel_residual": True, "shared_norm": True} if self.parallel_attn else {})


class MptAttention(Group):
    """What MPT's attention states."""

    no_effect: ClassVar[frozenset[str]] = names("clip_qkv softmax_scale prefix_lm alibi_bias_max attn_impl")

    attn_type: Literal["multihead_attention"] = "multihead_attention"
    qk_ln: Literal[False] = False
    attn_uses_sequence_id: Literal[False] = False
    alibi: bool = True


class MptFfn(Group):
    """What MPT's MLP states."""

    no_effect: ClassVar[frozenset[str]] = names("fc_type")

    ffn_type: Literal["mptmlp"] = "mptmlp"


class Mpt(Config):
    """MPT: ALiBi, no biases at all."""

    model_types: ClassVar[tuple[str, ...]] = ("mpt",)
    no_effect: ClassVar[frozenset[str]] = names(
        "max_seq_len init_config verbose norm_type embedding_fraction learned_pos_emb attn_pdrop logit_scale "
        "tokenizer_name fc_type use_pad_tok_in_ffn"
    )

    tie_word_embeddings: bool = True
    hidden_size: Size = called("d_model", "hidden_size")
    n_heads: Size = called("n_heads", "num_attention_heads")
    num_hidden_layers: Depth = called("n_layers", "num_hidden_layers")
    expansion_ratio: Literal[4] = 4
    no_bias: Literal[True] = True
    attn_config: MptAttention = MptAttention()
    ffn_config: MptFfn = MptFfn()

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """Attention and a plain MLP."""
        head_dim = divided(self.hidden_size, self.n_heads, "d_model", "n_heads")
        attention = {"kind": "attention", "heads": self.n_heads, "kv_heads": self.n_heads, "head_dim": head_dim,
                     "rotary": False, "fused_qkv": True, "alibi": self.attn_config.alibi}  # fmt: skip
        return "attention", [attention, {"kind": "mlp", "width": self.expansion_ratio * self.hidden_size}]

    def around(self) -> dict[str, Any]:
        """Layer norms without biases."""
        return {"norm": "layer_no_bias"}
