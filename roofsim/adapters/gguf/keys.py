"""What llama.cpp calls the sizes of a model, and which adapter of published configs reads them.

Metadata: ggml, docs/gguf.md; the converters of llama.cpp (`conversion/`). What a file does not say, such as biases and
which layer is what, follows from the tensors that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from roofsim.adapters.gguf.header import Header, Tensor
from roofsim.adapters.published.base import divided
from roofsim.foundation.values import dataclass

MAX_LAYERS = 10_000
"""No model has as many layers."""


@dataclass(frozen=True)
class Model:
    """The metadata of a file by the names that its architecture gives them, and its tensors by layer."""

    header: Header
    architecture: str

    def get(self, key: str, default: Any = None) -> Any:
        """What the file says under a key of its architecture."""
        return self.header.fields.get(f"{self.architecture}.{key}", default)

    def size(self, *keys: str) -> int | None:
        """The first of some numbers that the file has; of a list with one per layer, the one that is not nought."""
        for key in keys:
            value = self.get(key)
            if isinstance(value, list):
                different = set(value) - {0}
                if len(different) > 1:
                    raise ValueError(f"{self.architecture}.{key}: differs by layer, which is not known for this model")
                value = next(iter(different), 0)
            if value is not None:
                return self.whole(key, value)
        return None

    def listed(self, key: str) -> list[int]:
        """A number for each layer, of a file that has one or as many."""
        value = self.get(key)
        if isinstance(value, list) and len(value) < self.depth:
            raise ValueError(f"{self.architecture}.{key}: has {len(value)} entries for {self.depth} layers")
        values = value if isinstance(value, list) else [value] * self.depth
        return [self.whole(key, each) for each in values[: self.depth]]

    def whole(self, key: str, value: Any) -> int:
        """A number as it must be; raises ValueError if it is none."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{self.architecture}.{key}: {value!r} is not a whole number")
        return value

    def needed(self, *keys: str) -> int:
        """As `size`, for what a file must say."""
        value = self.size(*keys)
        if not value:
            raise ValueError(f"{self.architecture}.{keys[0]}: is missing")
        return value

    @cached_property
    def depth(self) -> int:
        """Number of layers, without those that predict further tokens."""
        depth = self.needed("block_count") - (self.size("nextn_predict_layers") or 0)
        if depth < 1:
            raise ValueError(f"{self.architecture}.block_count: is not more than nextn_predict_layers")
        if depth > MAX_LAYERS:
            raise ValueError(f"{self.architecture}.block_count: {depth:,} layers are more than any model has")
        return depth

    @cached_property
    def by_layer(self) -> Mapping[str, Mapping[int, Tensor]]:
        """Tensors by their name within a layer, then by layer; those of no layer under -1."""
        found: dict[str, dict[int, Tensor]] = {}
        for name, tensor in self.header.tensors.items():
            layer, inside = -1, name
            if name.startswith("blk."):
                number, _, inside = name.removeprefix("blk.").partition(".")
                layer = int(number) if number.isdecimal() and len(number) < 6 else -1
            found.setdefault(inside, {})[layer] = tensor
        return found

    def layers(self, *names: str) -> set[int]:
        """The layers that have any of these tensors."""
        return {layer for name in names for layer in self.by_layer.get(name, ()) if 0 <= layer < self.depth}

    def has(self, *names: str) -> bool:
        """Whether any layer, or the model outside of them, has one of these tensors."""
        return any(name in self.by_layer for name in names)

    def rows(self, name: str) -> int | None:
        """Number of rows of a matrix that is there once."""
        found = self.by_layer.get(name, {}).get(-1)
        return None if found is None else found.shape[-1]

    @property
    def vocab(self) -> int:
        """Number of tokens that have an embedding."""
        rows = self.rows("token_embd.weight")
        if rows is None:
            raise ValueError("token_embd.weight: is missing; the file holds no language model, or only a part of one")
        return rows

    @property
    def width(self) -> int:
        """Width of the residual stream."""
        return self.needed("embedding_length")

    @property
    def head_dim(self) -> int | None:
        """Width of a head."""
        heads = self.size("attention.head_count")
        return self.size("attention.key_length") or (
            divided(self.width, heads, "embedding_length", "attention.head_count") if heads else None
        )

    @property
    def inner(self) -> int | None:
        """Channels of a recurrence."""
        return self.size("ssm.inner_size")

    def per(self, number: int | None, by: int | None) -> int | None:
        """A quotient, of what the file has."""
        return number // by if number and by else None

    def every(self, layers: Iterable[int]) -> list[int]:
        """Where a pattern begins and after how many layers it repeats; raises ValueError if it does not."""
        found = sorted(layers)
        if not found:
            return [0, self.depth + 1]
        period = found[1] - found[0] if len(found) > 1 else self.depth
        if found != list(range(found[0], self.depth, period)):
            raise ValueError(f"layers {', '.join(map(str, found))}: are no regular pattern")
        return [found[0], period]


Fact = Callable[[Model], Any]


def _key(*keys: str) -> Fact:
    return lambda m: m.size(*keys)


def _has(*names: str) -> Fact:
    return lambda m: m.has(*names)


def _value(value: Any) -> Fact:
    return lambda m: value


def _rotated(m: Model) -> float | None:
    """The share of a head that is rotated."""
    width, head = m.size("rope.dimension_count"), m.head_dim
    return width / head if width and head and width < head else 1.0 if width else None


def _windows(m: Model) -> list[str] | None:
    """Which layers look back through a window, where the file has a list of them."""
    pattern = m.get("attention.sliding_window_pattern")
    if not isinstance(pattern, list):
        return None
    return ["sliding_attention" if windowed else "full_attention" for windowed in pattern[: m.depth]]


def _kinds(other: str, **tensors: str) -> Fact:
    """The kind of each layer by a tensor that only such a layer has."""

    def read(m: Model) -> list[str]:
        where = {kind: m.layers(name) for kind, name in tensors.items()}
        return [next((kind for kind, layers in where.items() if i in layers), other) for i in range(m.depth)]

    return read


QUERIES = ("attn_q.bias", "attn_qkv.bias")
ROUTER = "ffn_gate_inp.weight"
CONV = _key("ssm.conv_kernel")
STATES = _key("ssm.state_size")
EXPERTS = _key("expert_count")
CHOSEN = _key("expert_used_count")
DENSE = _key("leading_dense_block_count")
EXPERT_WIDTH = _key("expert_feed_forward_length", "feed_forward_length")

FACTS: Mapping[str, Fact] = MappingProxyType(
    {
        "hidden_size": lambda m: m.width,
        "num_hidden_layers": lambda m: m.depth,
        "vocab_size": lambda m: m.vocab,
        "tie_word_embeddings": lambda m: not m.has("output.weight"),
        "max_position_embeddings": lambda m: m.rows("position_embd.weight"),
        "num_attention_heads": _key("attention.head_count"),
        "num_key_value_heads": _key("attention.head_count_kv", "attention.head_count"),
        "head_dim": lambda m: m.head_dim,
        "intermediate_size": _key("feed_forward_length"),
        "partial_rotary_factor": _rotated,
        "sliding_window": lambda m: m.size("attention.sliding_window") or None,
        "layer_types": _windows,
        # biases and norms, by the tensors that are there
        "attention_bias": _has(*QUERIES),
        "qkv_bias": _has(*QUERIES),
        "use_qkv_bias": _has(*QUERIES),
        "use_bias": _has(*QUERIES, "ssm_in.bias"),
        "bias": _has(*QUERIES),
        "attention_out_bias": _has("attn_output.bias"),
        "mlp_bias": _has("ffn_up.bias"),
        "lm_head_bias": _has("output.bias"),
        "use_qk_norm": _has("attn_q_norm.weight"),
        "qk_layernorm": _has("attn_q_norm.weight"),
        "use_parallel_residual": lambda m: bool(m.get("use_parallel_residual", False)),
        "attn_logit_softcapping": lambda m: m.get("attn_logit_softcapping"),
        "final_logit_softcapping": lambda m: m.get("final_logit_softcapping"),
        # experts
        "num_experts": EXPERTS,
        "num_local_experts": EXPERTS,
        "n_routed_experts": EXPERTS,
        "moe_num_experts": EXPERTS,
        "num_experts_per_tok": CHOSEN,
        "moe_k": CHOSEN,
        "moe_intermediate_size": EXPERT_WIDTH,
        "shared_expert_intermediate_size": lambda m: m.size("expert_shared_feed_forward_length") or 0,
        "shared_intermediate_size": lambda m: m.size("expert_shared_feed_forward_length") or 0,
        "moe_shared_expert_intermediate_size": _key("expert_shared_feed_forward_length"),
        "n_shared_experts": lambda m: m.size("expert_shared_count") or 0,
        "moe_num_shared_experts": lambda m: m.size("expert_shared_count") or 0,
        "moe_latent_size": lambda m: m.size("moe_latent_size") or None,
        "first_k_dense_replace": lambda m: m.size("leading_dense_block_count") or 0,
        "num_dense_layers": DENSE,
        "moe_layer_start_index": DENSE,
        "moe_layer_interval": _key("interleave_moe_layer_step"),
        "mlp_only_layers": lambda m: sorted(set(range(m.depth)) - m.layers(ROUTER)),
        # latent attention
        "kv_lora_rank": _key("attention.kv_lora_rank"),
        "q_lora_rank": lambda m: m.size("attention.q_lora_rank") or None,
        "qk_rope_head_dim": _key("rope.dimension_count"),
        "qk_nope_head_dim": lambda m: (
            m.needed("attention.key_length_mla", "attention.key_length") - m.needed("rope.dimension_count")
        ),
        "v_head_dim": _key("attention.value_length_mla", "attention.value_length"),
        # recurrences
        "state_size": STATES,
        "mamba_d_state": STATES,
        "ssm_state_size": STATES,
        "conv_kernel": CONV,
        "mamba_d_conv": CONV,
        "linear_conv_kernel_dim": CONV,
        "time_step_rank": _key("ssm.time_step_rank"),
        "mamba_dt_rank": _key("ssm.time_step_rank"),
        "mamba_n_heads": _key("ssm.time_step_rank"),
        "mamba_num_heads": _key("ssm.time_step_rank"),
        "num_heads": _key("ssm.time_step_rank"),
        "mamba_d_head": lambda m: m.per(m.inner, m.size("ssm.time_step_rank")),
        "mamba_head_dim": lambda m: m.per(m.inner, m.size("ssm.time_step_rank")),
        "mamba_n_groups": _key("ssm.group_count"),
        "n_groups": _key("ssm.group_count"),
        "mamba_d_ssm": _key("ssm.inner_size"),
        "expand": lambda m: m.per(m.inner, m.width),
        "mamba_expand": lambda m: m.per(m.inner, m.width),
        "use_conv_bias": _has("ssm_conv1d.bias"),
        "mamba_conv_bias": _has("ssm_conv1d.bias"),
        "mamba_proj_bias": _has("ssm_in.bias"),
        "projectors_bias": _has("ssm_in.bias"),
        "mamba_rms_norm": _has("ssm_norm.weight"),
        "linear_num_key_heads": _key("ssm.group_count"),
        "linear_num_value_heads": _key("ssm.time_step_rank"),
        "linear_key_head_dim": STATES,
        "linear_value_head_dim": lambda m: m.per(m.inner, m.size("ssm.time_step_rank")),
        "linear_head_dim": _key("kda.head_dim"),
        "conv_L_cache": _key("shortconv.l_cache"),
        "conv_bias": _has("shortconv.conv.bias"),
    }
)
"""The fields of published configs, and where a GGUF file says the same."""


@dataclass(frozen=True, slots=True)
class Row:
    """The adapter of an architecture (its `model_type`), and the fields that it calls or counts otherwise."""

    model_type: str | Callable[[Model], str]
    facts: Mapping[str, Fact] = field(default_factory=dict)


def _either(tensor_or_key: Fact, yes: str, no: str) -> Callable[[Model], str]:
    return lambda m: yes if tensor_or_key(m) else no


EXPERTS_ONLY = {"intermediate_size": EXPERT_WIDTH}
DELTA = {"layer_types": _kinds("linear_attention", full_attention="attn_q.weight")}
SHORT = {
    "tie_embedding": lambda m: not m.has("output.weight"),
    "block_auto_adjust_ff_dim": _value(False),
    "layer_types": _kinds("conv", full_attention="attn_q.weight"),
}
NEMOTRON = {
    "layers_block_type": _kinds("mlp", mamba="ssm_in.weight", attention="attn_q.weight", moe=ROUTER),
    "use_bias": _has("ssm_in.bias"),
    "intermediate_size": lambda m: m.size("feed_forward_length") or 0,
    "sliding_window": _value(None),
}
GRANITE = {
    "layer_types": _kinds("mamba", attention="attn_q.weight"),
    "num_local_experts": lambda m: m.size("expert_count") or 0,
    "num_experts_per_tok": lambda m: m.size("expert_used_count") or 0,
    "shared_intermediate_size": _key("expert_shared_feed_forward_length", "feed_forward_length"),
}
JAMBA = {
    "attn_layer_offset": lambda m: m.every(m.layers("attn_q.weight"))[0],
    "attn_layer_period": lambda m: m.every(m.layers("attn_q.weight"))[1],
    "expert_layer_offset": lambda m: m.every(m.layers(ROUTER))[0],
    "expert_layer_period": lambda m: m.every(m.layers(ROUTER))[1],
}
LLAMA4 = {
    "intermediate_size": _key("expert_feed_forward_length"),
    "intermediate_size_mlp": _key("feed_forward_length"),
    "moe_layers": lambda m: sorted(m.layers(ROUTER)),
    "use_qk_norm": _value(True),  # without weights
}
FALCON = {
    "multi_query": lambda m: m.size("attention.head_count_kv") == 1,
    "num_kv_heads": _key("attention.head_count_kv"),
    "new_decoder_architecture": _has("attn_norm_2.weight"),
    "ffn_hidden_size": _key("feed_forward_length"),
}
NEOX = {"rotary_pct": _rotated, "use_parallel_residual": lambda m: bool(m.get("use_parallel_residual", True))}
GPT = {"n_inner": _key("feed_forward_length"), "multi_query": lambda m: m.size("attention.head_count_kv") == 1}
MPT = {
    "expansion_ratio": lambda m: m.per(m.size("feed_forward_length"), m.width),
    "no_bias": lambda m: not m.has(*QUERIES),
    "attn_config": lambda m: {"alibi": bool(m.get("attention.max_alibi_bias")),
                              "kv_n_heads": m.size("attention.head_count_kv", "attention.head_count")},
}  # fmt: skip
DBRX = {
    "d_model": lambda m: m.width,
    "n_heads": _key("attention.head_count"),
    "n_layers": lambda m: m.depth,
    "attn_config": lambda m: {"kv_n_heads": m.size("attention.head_count_kv")},
    "ffn_config": lambda m: {"moe_num_experts": m.size("expert_count"), "moe_top_k": m.size("expert_used_count"),
                             "ffn_hidden_size": m.size("feed_forward_length")},
}  # fmt: skip
KIMI = {
    "layer_types": _kinds("linear_attention", full_attention="attn_kv_a_mqa.weight"),
    "linear_num_heads": _key("attention.head_count"),
    "n_shared_experts": _key("expert_shared_count"),
}


def _where(key: str, kind: str) -> Fact:
    """A number of the first layer that is windowed, or is not."""
    return lambda m: next((n for n, t in zip(m.listed(key), _windows(m) or (), strict=False) if t == kind), None)


GEMMA4 = {
    "head_dim": _key("attention.key_length_swa", "attention.key_length"),
    "global_head_dim": _key("attention.key_length"),
    "num_key_value_heads": _where("attention.head_count_kv", "sliding_attention"),
    "num_global_key_value_heads": _where("attention.head_count_kv", "full_attention"),
    "attention_k_eq_v": lambda m: m.layers("attn_v.weight") != m.layers("attn_k.weight"),
    "num_kv_shared_layers": lambda m: m.size("attention.shared_kv_layers") or 0,
    "intermediate_size": lambda m: min(m.listed("feed_forward_length")),
    "use_double_wide_mlp": lambda m: len(set(m.listed("feed_forward_length"))) > 1,
    "hidden_size_per_layer_input": lambda m: m.size("embedding_length_per_layer_input") or 0,
    "vocab_size_per_layer_input": lambda m: m.rows("per_layer_token_embd.weight"),
    "enable_moe_block": _has(ROUTER),
    "top_k_experts": CHOSEN,
    "moe_intermediate_size": _key("expert_feed_forward_length"),
    # as every published config has it; the file holds it as a tensor of angles
    "rope_parameters": _value({"full_attention": {"partial_rotary_factor": 1 / 4}}),
    "partial_rotary_factor": _value(None),
}
DEEPSEEK = _either(_has("exp_probs_b.bias"), "deepseek_v3", "deepseek_v2")

ARCHITECTURES: Mapping[str, Row] = MappingProxyType(
    {
        "llama": Row(_either(EXPERTS, "mixtral", "llama")),
        "llama4": Row("llama4", LLAMA4),
        "mistral3": Row(_either(EXPERTS, "mixtral", "mistral")),
        "qwen2": Row("qwen2"),
        "qwen2vl": Row("qwen2_vl"),
        "qwen2moe": Row("qwen2_moe"),
        "qwen3": Row("qwen3"),
        "qwen3vl": Row("qwen3_vl"),
        "qwen3moe": Row("qwen3_moe"),
        "qwen3vlmoe": Row("qwen3_vl_moe"),
        "qwen3next": Row("qwen3_next", DELTA),
        "qwen35": Row("qwen3_5", DELTA),
        "qwen35moe": Row("qwen3_5_moe", DELTA),
        "phi2": Row("phi"),
        "phi3": Row("phi3"),
        "phimoe": Row("phimoe"),
        "gemma": Row("gemma"),
        "gemma2": Row("gemma2"),
        "gemma3": Row("gemma3"),
        "gemma4": Row("gemma4", GEMMA4),
        "granite": Row("granite"),
        "granitemoe": Row("granitemoe"),
        "granitehybrid": Row("granitemoehybrid", GRANITE),
        "falcon-h1": Row("falcon_h1"),
        "mamba": Row(_either(lambda m: m.get("ssm.dt_b_c_rms"), "falcon_mamba", "mamba"),
                     {"intermediate_size": _key("ssm.inner_size")}),
        "mamba2": Row("mamba2", {"head_dim": lambda m: m.per(m.inner, m.size("ssm.time_step_rank"))}),
        "jamba": Row("jamba", JAMBA),
        "nemotron": Row("nemotron"),
        "nemotron_h": Row("nemotron_h", NEMOTRON),
        "nemotron_h_moe": Row("nemotron_h", NEMOTRON),
        "lfm2": Row("lfm2", SHORT),
        "lfm2moe": Row("lfm2_moe", SHORT),
        "kimi-linear": Row("kimi_linear", KIMI),
        "deepseek2": Row(DEEPSEEK),
        "gpt-oss": Row("gpt_oss", EXPERTS_ONLY),
        "minimax-m2": Row("minimax_m2", EXPERTS_ONLY),
        "olmo": Row("olmo"),
        "olmo2": Row("olmo2"),
        "olmoe": Row("olmoe"),
        "glm4": Row("glm4"),
        "glm4moe": Row("glm4_moe"),
        "dots1": Row("dots1"),
        "command-r": Row("cohere"),
        "cohere2": Row("cohere2"),
        "exaone4": Row("exaone4"),
        "smollm3": Row("smollm3"),
        "seed_oss": Row("seed_oss"),
        "arcee": Row("arcee"),
        "hunyuan-dense": Row("hunyuan_v1_dense"),
        "ernie4_5": Row("ernie4_5"),
        "ernie4_5-moe": Row("ernie4_5_moe"),
        "starcoder": Row("gpt_bigcode", GPT),
        "starcoder2": Row("starcoder2"),
        "stablelm": Row("stablelm"),
        "falcon": Row("falcon", FALCON),
        "gptneox": Row("gpt_neox", NEOX),
        "gpt2": Row("gpt2", GPT),
        "bloom": Row("bloom"),
        "mpt": Row("mpt", MPT),
        "dbrx": Row("dbrx", DBRX),
    }
)  # fmt: skip
"""The architectures that can be read."""


def config(m: Model, row: Row, wanted: Iterable[str]) -> dict[str, Any]:
    """Those of the wanted fields of a published config that the file says; raises ValueError for what cannot be."""
    facts = {**FACTS, **row.facts}
    return {name: facts[name](m) for name in wanted if name in facts}


def model_type(m: Model, row: Row) -> str:
    """The adapter of a file."""
    return row.model_type if isinstance(row.model_type, str) else row.model_type(m)


OPERATORS: Mapping[str, str] = MappingProxyType(
    {
        "token_embd": "embedding",
        "output": "lm_head",
        "attn_q": "q_proj",
        "attn_k": "k_proj",
        "attn_v": "v_proj",
        "attn_qkv": "qkv_proj",
        "attn_output": "o_proj",
        "attn_q_a": "q_a_proj",
        "attn_q_b": "q_proj",
        "attn_kv_a_mqa": "kv_a_proj",
        "attn_kv_b": "kv_b_proj",
        "attn_k_b": "kv_b_proj",
        "attn_v_b": "kv_b_proj",
        "ffn_gate": "gate_proj",
        "ffn_up": "up_proj",
        "ffn_down": "down_proj",
        "ffn_gate_inp": "router",
        "ffn_gate_exps": "experts_up",
        "ffn_up_exps": "experts_up",
        "ffn_gate_up_exps": "experts_up",
        "ffn_down_exps": "experts_down",
        "ffn_gate_shexp": "shared_gate_proj",
        "ffn_up_shexp": "shared_up_proj",
        "ffn_down_shexp": "shared_down_proj",
        "ffn_gate_inp_shexp": "shared_gate",
        "ssm_in": "in_proj",
        "ssm_x": "x_proj",
        "ssm_dt": "dt_proj",
        "ssm_out": "out_proj",
        "per_layer_token_embd": "layer_embedding",
        "per_layer_model_proj": "layer_input_proj",
        "inp_gate": "layer_gate",
        "proj": "layer_out",
        "shortconv.in_proj": "in_proj",
        "shortconv.out_proj": "out_proj",
    }
)
"""The operators that read the tensors of a layer, where one reads one kind."""

VECTORS = ("ssm_conv1d", "ssm_a", "ssm_d", "shortconv.conv", "position_embd", "attn_sinks", "time_mix")
"""How the names of tensors begin that are no matrix, whatever their shape."""

NO_WEIGHTS = ("rope_freqs", "rope_factors_long", "rope_factors_short", "layer_output_scale")
"""Tensors that hold no parameters but the angles of rotations and a constant per layer."""

BALANCE = ("exp_probs_b",)
"""Tensors that balance the use of experts; some published models count them as parameters, others do not."""
