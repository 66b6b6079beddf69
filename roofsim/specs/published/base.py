"""What an adapter is: the fields of a config.json that it reads, and the network that they describe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from roofsim.schema import Extra, Size

Part = dict[str, Any]
"""A part of a layer, as a model file writes it."""

Depth = Annotated[int, Field(ge=1, le=10_000)]
"""A number of layers."""

ADAPTERS: dict[str, type[Config]] = {}
"""Every adapter by the `model_type` that it reads."""

NO_EFFECT = frozenset(
    [
        "architectures",
        "auto_map",
        "bos_token_id",
        "decoder_start_token_id",
        "dtype",
        "eos_token_id",
        "finetuning_task",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "gradient_checkpointing",
        "id2label",
        "is_decoder",
        "keys_to_ignore_at_inference",
        "label2id",
        "max_length",
        "max_position_embeddings",
        "max_sequence_length",
        "max_seq_len",
        "max_seq_length",
        "mm_tokens_per_image",
        "model_max_length",
        "model_type",
        "n_ctx",
        "n_positions",
        "name_or_path",
        "num_labels",
        "num_logits_to_keep",
        "pad_token_id",
        "prefix",
        "pretraining_tp",
        "problem_type",
        "quantization_config",
        "return_dict",
        "sep_token_id",
        "seq_length",
        "task_specific_params",
        "tokenizer_class",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "unk_token_id",
        "use_bfloat16",
        "use_cache",
        "use_return_dict",
        "rms_norm_eps",
        "layer_norm_eps",
        "layer_norm_epsilon",
        "norm_eps",
        "norm_epsilon",
        "layernorm_epsilon",
        "layer_norm_rms_eps",
        "activation_function",
        "ffn_act_fn",
        "hidden_act",
        "hidden_activation",
        "mlp_hidden_act",
        "mamba_hidden_act",
        "hidden_mamba_act",
        "rope_theta",
        "rope_scaling",
        "rope_parameters",
        "rope_local_base_freq",
        "rope_interleave",
        "rope_interleaved",
        "rotary_emb_base",
        "rotary_base",
        "rotary_value_base",
        "global_rope_theta",
        "long_factor",
        "short_factor",
        "original_max_position_embeddings",
        "rope_type",
        "max_window_layers_rope",
        "mrope_section",
        "rotary_scaling_factor",
        "rope_pct_base",
        "attention_dropout",
        "attn_dropout_prob",
        "attn_pdrop",
        "embd_pdrop",
        "embd_dropout",
        "embedding_dropout",
        "emb_pdrop",
        "ffn_dropout_rate",
        "hidden_dropout",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "resid_dropout",
        "resid_pdrop",
        "residual_dropout",
        "dropout",
        "attention_dropout_prob",
        "attention_softmax_in_fp32",
        "classifier_dropout",
        "layerdrop",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "scale_attn_by_inverse_layer_idx",
        "scale_attn_weights",
        "reorder_and_upcast_attn",
        "bias_dropout_fusion",
        "masked_softmax_fusion",
        "slow_but_exact",
        "use_flash_attn",
        "use_flash_attention",
        "init_std",
        "init_method",
        "initializer_range",
        "initializer_factor",
        "initializer_gain",
        "init_device",
        "initializer_m",
        "init_range",
        "use_scaled_init",
        "init_method_std",
        "rescale_prenorm_residual",
        "router_aux_loss_coef",
        "router_z_loss_coef",
        "router_jitter_noise",
        "input_jitter_noise",
        "aux_loss_alpha",
        "seq_aux",
        "output_router_logits",
        "output_attentions",
        "output_hidden_states",
        "z_loss_coefficient",
        "moe_jitter_eps",
        "moe_loss_weight",
        "attn_logit_softcapping_placeholder",
        "query_pre_attn_scalar",
        "attention_multiplier",
        "embedding_multiplier",
        "residual_multiplier",
        "logits_scaling",
        "logit_scale",
        "scale_emb",
        "scale_depth",
        "dim_model_base",
        "routed_scaling_factor",
        "norm_topk_prob",
        "scoring_func",
        "topk_method",
        "topk_group",
        "n_group",
        "num_expert_group",
        "moe_renormalize",
        "use_grouped_topk",
        "topk_norm",
        "moe_router_activation_func",
        "scale_router_weights",
        "norm_min",
        "moe_norm_min",
        "route_scale",
        "moe_normalize_expert_weights",
        "ep_size",
        "mlp_multipliers",
        "ssm_multipliers",
        "key_multiplier",
        "attention_in_multiplier",
        "attention_out_multiplier",
        "lm_head_multiplier",
        "ssm_in_multiplier",
        "ssm_out_multiplier",
        "time_step_limit",
        "time_step_min",
        "time_step_max",
        "time_step_floor",
        "time_step_rank_init",
        "time_step_scale",
        "time_step_init_scheme",
        "use_mamba_kernels",
        "use_mambapy",
        "use_mem_eff_path",
        "use_associative_scan",
        "boi_token_index",
        "eoi_token_index",
        "image_token_index",
        "image_token_id",
        "video_token_id",
        "vision_start_token_id",
        "vision_end_token_id",
        "audio_token_id",
        "vision_config",
        "audio_config",
        "vision_soft_tokens_per_image",
        "num_nextn_predict_layers",
        "mtp_num_hidden_layers",
        "mtp_use_dedicated_embeddings",
        "num_mtp_layers",
        "mtp_layers_block_type",
        "use_bidirectional_attention",
        "attn_implementation",
        "_attn_implementation",
        "_attn_implementation_autoset",
        "attn_temperature_tuning",
        "floor_scale",
        "attn_scale",
        "swiglu_limit",
        "swiglu_alpha",
        "moe_shared_expert_overlap",
        "use_cache_kernels",
        "hidden_states_shape",
        "tie_encoder_decoder",
    ]
)
"""Fields that change neither a count nor a cost: tokens, training, starting values, the base of rotations, scales."""

NO_EFFECT_PATTERN = re.compile(
    r"_token_id$|_token_index$|_dropout$|_pdrop$|^initializer_|^rope_|^_|_loss_coef$|^summary_"
)


class Config(BaseModel):
    """The fields that one kind of model reads, with the defaults of the class that published models load with.

    A subclass with `model_types` registers itself. Every field is read as it stands in the file (no text for a
    number); null stands for the default where the field has no null of its own.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", protected_namespaces=(), defer_build=True, allow_inf_nan=False
    )

    model_types: ClassVar[tuple[str, ...]] = ()
    no_effect: ClassVar[frozenset[str]] = frozenset()
    """Fields that this kind of model states and that change nothing here."""

    vocab_size: Size
    tie_word_embeddings: bool = False
    partial_rotary_factor: Annotated[float, Field(gt=0, le=1)] | None = None
    rope_parameters: dict[str, Any] | None = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register the subclass under its own model types."""
        for name in cls.__dict__.get("model_types", ()):
            if name in ADAPTERS:
                raise TypeError(f"two adapters read '{name}': {ADAPTERS[name].__qualname__} and {cls.__qualname__}")
            ADAPTERS[name] = cls

    @property
    def width(self) -> int:
        """Width of the residual stream."""
        raise NotImplementedError

    @property
    def depth(self) -> int:
        """Number of layers."""
        raise NotImplementedError

    def layer(self, i: int) -> tuple[str, list[Part]]:
        """What layer `i` (from 0) is called and its parts."""
        raise NotImplementedError

    def around(self) -> dict[str, Any]:
        """Fields of the architecture that are not its layers: norms, positions, embedding, head."""
        return {}

    def rotary_dim(self, head_dim: int, kind: str = "", default: float = 1.0) -> int | None:
        """Elements of a head that are rotated; None for all of them."""
        rope = self.rope_parameters or {}
        stated = rope.get(kind, rope) if isinstance(rope.get(kind, rope), dict) else rope
        share = stated.get("partial_rotary_factor", self.partial_rotary_factor)
        share = default if share is None else share
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= 1:
            raise ValueError(f"partial_rotary_factor: a share above 0, up to 1, is expected, not {share!r}")
        width = int(head_dim * share)
        return None if width == head_dim else max(width, 1)


def architecture_values(config: Config) -> dict[str, Any]:
    """The values of a model file that `config` describes."""
    layers: dict[str, list[Part]] = {}
    names: list[str] = []
    for i in range(config.depth):
        label, parts = config.layer(i)
        parts = [{key: value for key, value in part.items() if value is not None} for part in parts]
        name, number = label, 1
        while name in layers and layers[name] != parts:
            number += 1
            name = f"{label}_{number}"
        layers[name] = parts
        names.append(name)
    return {
        "d_model": config.width,
        "vocab": config.vocab_size,
        "tied_embeddings": config.tie_word_embeddings,
        **config.around(),
        "layers": layers,
        "layout": stacked(names),
    }


def stacked(names: Sequence[str]) -> list[dict[str, Any]]:
    """The layers in order as stretches that repeat: at each place the pattern that covers most."""
    stretches: list[dict[str, Any]] = []
    i = 0
    while i < len(names):
        best, repeat = 1, 1
        for size in range(1, min(MAX_PATTERN, (len(names) - i) // 2) + 1):
            times = 1
            while names[i + times * size : i + (times + 1) * size] == names[i : i + size]:
                times += 1
            if times > 1 and times * size > best * repeat:
                best, repeat = size, times
        of = list(names[i : i + best])
        if repeat == 1 and stretches and stretches[-1]["repeat"] == 1:
            stretches[-1]["of"] += of
        else:
            stretches.append({"repeat": repeat, "of": of})
        i += best * repeat
    return stretches


MAX_PATTERN = 32
"""Layers of the longest pattern that is looked for."""


def per_layer(name: str, given: Sequence[Any] | None, depth: int) -> Sequence[Any] | None:
    """A list with an entry per layer; raises ValueError if it has another length."""
    if given is not None and len(given) != depth:
        raise ValueError(f"{name}: has {len(given)} entries; one for each of the {depth} layers is expected")
    return given


def divided(number: int, by: int, what: str, by_what: str) -> int:
    """`number / by`; raises ValueError if that is no whole number."""
    if number % by:
        raise ValueError(f"{by_what} {by} does not divide {what} {number}")
    return number // by


def one_of(name: str, value: Any, known: Mapping[str, Any] | Sequence[str]) -> Any:
    """What `known` has for a value (or the value itself); raises ValueError that lists what there is."""
    if value not in known:
        raise ValueError(f"{name}: {value!r} is not known; one of {', '.join(known)}")
    return known[value] if isinstance(known, Mapping) else value


class Decoder(Config):
    """The names that nearly every published Transformer uses."""

    hidden_size: Size
    num_hidden_layers: Depth
    num_attention_heads: Size
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    intermediate_size: Extra = 0

    @property
    def width(self) -> int:
        """Width of the residual stream."""
        return self.hidden_size

    @property
    def depth(self) -> int:
        """Number of layers."""
        return self.num_hidden_layers

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values; as many as of queries if the file does not say."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_width(self) -> int:
        """Width of a head: stated, or the model's over the number of heads."""
        return self.head_dim or divided(
            self.hidden_size, self.num_attention_heads, "hidden_size", "num_attention_heads"
        )

    def heads(self, **more: Any) -> Part:
        """Attention with the stated heads."""
        return {
            "kind": "attention",
            "heads": self.num_attention_heads,
            "kv_heads": self.kv_heads,
            "head_dim": self.head_width,
            "rotary_dim": self.rotary_dim(self.head_width),
            **{key: value for key, value in more.items() if value is not False},
        }

    def gated_mlp(self, **more: Any) -> Part:
        """A gated MLP of the stated width."""
        if not self.intermediate_size:
            raise ValueError("intermediate_size: is missing")
        return {"kind": "gated_mlp", "width": self.intermediate_size, **{k: v for k, v in more.items() if v}}
