"""What an adapter is: the fields of a config.json that it reads, and the network that they describe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, get_args

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from roofsim.foundation.schema import Extra, Size

Part = dict[str, Any]
"""A part of a layer, as a model file writes it."""

MOST_LAYERS = 1_000
"""No published model is as deep; what looks at a layer for each layer stays quick."""

Depth = Annotated[int, Field(ge=1, le=MOST_LAYERS)]
"""A number of layers."""

ADAPTERS: dict[str, type[Config]] = {}
"""Every adapter by the `model_type` that it reads."""

NO_EFFECT = frozenset(
    """
    activation_function architectures attention_dropout attention_dropout_prob attention_in_multiplier
    attention_multiplier attention_out_multiplier attention_probs_dropout_prob attention_softmax_in_fp32
    attn_dropout_prob attn_implementation attn_pdrop attn_scale attn_temperature_tuning audio_config audio_token_id
    auto_map aux_loss_alpha bad_words_ids begin_suppress_tokens bias_dropout_fusion boi_token_index bos_token_id
    chunk_size_feed_forward classifier_dropout compression_config cross_attention_hidden_size decoder_start_token_id
    dim_model_base diversity_penalty do_sample dropout dtype early_stopping emb_pdrop embd_dropout embd_pdrop
    embedding_dropout embedding_multiplier encoder_no_repeat_ngram_size eoi_token_index eos_token_id ep_size
    exponential_decay_length_penalty ffn_act_fn ffn_dropout_rate finetuning_task floor_scale forced_bos_token_id
    forced_eos_token_id global_rope_theta gradient_checkpointing hidden_act hidden_activation hidden_dropout
    hidden_dropout_prob hidden_mamba_act id2label ignore_index image_token_id image_token_index init_device
    init_method init_method_std init_range init_std initializer_factor initializer_gain initializer_m
    initializer_range input_jitter_noise is_decoder key_multiplier keys_to_ignore_at_inference label2id
    language_model_only layer_norm_eps layer_norm_epsilon layer_norm_rms_eps layerdrop layernorm_epsilon
    length_penalty lm_head_multiplier logit_scale logits_scaling long_factor mamba_hidden_act masked_softmax_fusion
    max_length max_position_embeddings max_seq_len max_seq_length max_sequence_length min_length mlp_hidden_act
    mlp_multipliers mm_tokens_per_image model_max_length model_type moe_jitter_eps moe_loss_weight moe_norm_min
    moe_normalize_expert_weights moe_renormalize moe_router_activation_func moe_shared_expert_overlap mrope_section
    mtp_layers_block_type mtp_num_hidden_layers mtp_use_dedicated_embeddings n_ctx n_group n_positions name_or_path
    no_repeat_ngram_size norm_eps norm_epsilon norm_min norm_topk_prob num_beam_groups num_beams num_expert_group
    num_labels num_logits_to_keep num_mtp_layers num_nextn_predict_layers num_return_sequences
    original_max_position_embeddings output_attentions output_hidden_states output_router_logits output_scores
    pad_token_id prefix pretraining_tp problem_type pruned_heads quantization_config query_pre_attn_scalar
    remove_invalid_values reorder_and_upcast_attn repetition_penalty rescale_prenorm_residual resid_dropout
    resid_pdrop residual_dropout residual_multiplier return_dict return_dict_in_generate rms_norm_eps
    rope_interleave rope_interleaved rope_local_base_freq rope_parameters rope_scaling rope_theta rope_type
    rotary_base rotary_emb_base rotary_scaling_factor rotary_value_base route_scale routed_scaling_factor
    router_aux_loss_coef router_jitter_noise router_z_loss_coef scale_attn_by_inverse_layer_idx scale_attn_weights
    scale_depth scale_emb scale_router_weights scoring_func sep_token_id seq_aux seq_length short_factor
    slow_but_exact ssm_in_multiplier ssm_multipliers ssm_out_multiplier summary_activation summary_first_dropout
    summary_proj_to_labels summary_type summary_use_proj suppress_tokens swiglu_alpha swiglu_limit
    task_specific_params temperature tf_legacy_loss tie_encoder_decoder time_step_floor time_step_init_scheme
    time_step_limit time_step_max time_step_min time_step_rank time_step_rank_init time_step_scale tokenizer_class
    top_k top_p topk_group topk_method topk_norm torch_dtype torchscript transformers_version typical_p unk_token_id
    use_associative_scan use_bfloat16 use_bidirectional_attention use_cache use_flash_attention use_flash_attn
    use_grouped_topk use_mamba_kernels use_mambapy use_mem_eff_path use_return_dict use_scaled_init video_token_id
    vision_config vision_end_token_id vision_soft_tokens_per_image vision_start_token_id z_loss_coefficient
    """.split()  # noqa: SIM905 - words read better than 170 quoted strings
)
"""Fields that change neither a count nor a cost: tokens, training, starting values, the base of rotations, scales."""

NO_EFFECT_PATTERN = re.compile(
    r"_token_id$|_token_index$|_dropout$|_pdrop$|^initializer_|^rope_|^_|_loss_coef$|^summary_"
)


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


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
    hidden_size: Size
    num_hidden_layers: Depth
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

    @classmethod
    def accepts(cls) -> dict[str, bool]:
        """The fields of a file that are read, by all of their names, and whether null is a value of theirs."""
        found: dict[str, bool] = {}
        for name, info in cls.model_fields.items():
            alias = info.validation_alias
            choices = [str(c) for c in alias.choices] if isinstance(alias, AliasChoices) else [str(alias or name)]
            found |= dict.fromkeys(choices, type(None) in get_args(info.annotation))
        return found

    @property
    def depth(self) -> int:
        """Number of layers."""
        return self.num_hidden_layers

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


class Group(BaseModel):
    """Fields that a file keeps together under one name; those that change nothing are left out, others refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    no_effect: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        read = cls.model_fields.keys()
        return {
            name: value
            for name, value in given.items()
            if value is not None and (name in read or not ignorable(name, value, cls.no_effect))
        }


def ignorable(name: str, value: Any, more: frozenset[str]) -> bool:
    """Whether a field that is not read changes nothing: known for it, or switched off where that is no change."""
    return without_effect(name, more) or (not value and not (value is False and ON.match(name)))


def without_effect(name: str, more: frozenset[str]) -> bool:
    """Whether a field is known to change nothing, whatever it says."""
    return name in NO_EFFECT or name in more or bool(NO_EFFECT_PATTERN.search(name))


ON = re.compile(r"(use_)?(rope|rotary(_emb|_embeddings?)?|causal(_mask|_attention)?)$|is_causal$")
"""What every network that would say so has unless it is switched off."""


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
        "d_model": config.hidden_size,
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


def listed(name: str, given: Sequence[int] | None, depth: int, i: int) -> bool:
    """Whether a list of layers has layer `i`; raises ValueError if it names one that is not there, or one twice."""
    if not given:
        return False
    if len(given) > depth or len(set(given)) < len(given) or not all(0 <= each < depth for each in given):
        raise ValueError(f"{name}: each of the layers 0 to {depth - 1} at most once is expected")
    return i in given


def divided(number: int, by: int, what: str, by_what: str) -> int:
    """`number / by`; raises ValueError if that is no whole number."""
    if number % by:
        raise ValueError(f"{by_what} {by} does not divide {what} {number}")
    return number // by


def one_of(name: str, value: Any, known: Mapping[Any, Any] | Sequence[str]) -> Any:
    """What `known` has for a value (or the value itself); raises ValueError that lists what there is."""
    if value not in known:
        raise ValueError(f"{name}: {str(value)[:60]!r} is not known; one of {', '.join(map(str, known))}")
    return known[value] if isinstance(known, Mapping) else value


def called(*names: str, default: Any = ...) -> Any:
    """A field that files call by any of these names."""
    return Field(default, validation_alias=AliasChoices(*names))


class Decoder(Config):
    """The names that nearly every published Transformer uses."""

    num_attention_heads: Size
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    intermediate_size: Extra = 0

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
