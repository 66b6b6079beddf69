"""What a config.json says of stored weights (`quantization_config`): the format, and which modules are left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from roofsim.foundation.errors import UnknownName, Unsupported
from roofsim.model.architecture import Architecture
from roofsim.model.weights import WEIGHT_FORMATS, format_named, stored

DTYPE = "bf16"
"""What is left out is counted in 16 bits."""

CACHE = ("kv_cache_scheme", "kv_cache_quant_algo", "kv_cache_quant_method")
"""Where the methods say how the KV cache is to be kept."""

KEPT = ("modules_to_not_convert", "ignore", "ignored_layers", "exclude_modules", "llm_int8_skip_modules")
"""Where the methods list modules that they leave as they are."""

_ATTENTION = ("self_attn", "attention", "attn")
_FEED_FORWARD = ("mlp", "feed_forward", "block_sparse_moe", "mixer")
_MODULES: Mapping[str, tuple[str, ...]] = {
    "lm_head": ("lm_head",),
    "embedding": ("model.embed_tokens", "embed_tokens"),
    "router": tuple(f"{block}.{name}" for block in _FEED_FORWARD for name in ("gate", "router")),
    **{
        operator: tuple(f"{block}.{name}" for block in _FEED_FORWARD for name in names)
        for operator, names in {
            "experts_up": ("experts", "experts.0.gate_proj", "experts.0.up_proj", "experts.0.w1"),
            "experts_down": ("experts", "experts.0.down_proj", "experts.0.w2"),
            **{f"shared_{name}": (f"shared_expert.{name}", f"shared_experts.{name}")
               for name in ("gate_proj", "up_proj", "down_proj")},
            "shared_gate": ("shared_expert_gate",),
            **{name: (name,) for name in ("gate_proj", "up_proj", "down_proj", "gate_up_proj")},
        }.items()
    },
}  # fmt: skip
"""What published code calls the modules of an operator; others have the operator's name in an attention or mixer."""


def format_of(said: Mapping[str, Any]) -> str:
    """The weight format that a `quantization_config` describes; raises UnknownName."""
    method = str(said.get("quant_method") or "").lower().replace("-", "_")
    if method == "fp8":
        return "fp8-block128" if said.get("weight_block_size") else "fp8"
    if method == "bitsandbytes":
        if said.get("load_in_8bit"):
            return "int8-channel"
        if said.get("load_in_4bit") is False:
            raise UnknownName("weight formats", "bitsandbytes in neither 4 nor 8 bits", WEIGHT_FORMATS)
        return "nf4-double" if said.get("bnb_4bit_use_double_quant") else "nf4"
    if method in ("gptq", "awq", "auto_round"):
        return _grouped(said.get("bits", 4), said.get("group_size", 128))
    if method == "modelopt":
        inside = said.get("quantization")
        stated = said.get("quant_algo") or (inside.get("quant_algo") if isinstance(inside, Mapping) else None)
        return format_named(str(stated or ""))
    if method == "compressed_tensors":
        groups = said.get("config_groups")
        formats = dict.fromkeys(map(_compressed, groups.values() if isinstance(groups, Mapping) and groups else [{}]))
        if len(formats) > 1:
            raise Unsupported(f"config_groups are stored in {' and '.join(formats)}; which is in which is not read")
        return next(iter(formats))
    return format_named(method)


def _grouped(bits: Any, group: Any) -> str:
    """Whole numbers with scales of groups."""
    if bits == 8:
        return "int8-weights"
    name = f"int{bits}-g{group}"
    if name not in WEIGHT_FORMATS:
        raise UnknownName("weight formats", name, WEIGHT_FORMATS)
    return name


def _compressed(group: Any) -> str:
    stated = group.get("weights") if isinstance(group, Mapping) else None
    weights = stated if isinstance(stated, Mapping) else {}
    bits, kind, strategy = weights.get("num_bits"), weights.get("type"), weights.get("strategy")
    inputs = group.get("input_activations") if isinstance(group, Mapping) else None
    if kind == "float" and bits == 8:
        return "fp8-block128" if strategy == "block" else "fp8"
    if kind == "float" and bits == 4:
        return "nvfp4" if weights.get("group_size", 16) == 16 else "mxfp4"
    if kind == "int" and bits == 8:
        return "int8-channel" if inputs else "int8-weights"
    if bits is None:
        raise UnknownName("weight formats", "compressed-tensors without num_bits", WEIGHT_FORMATS)
    return _grouped(bits, weights.get("group_size"))


def stored_weights(network: Architecture, said: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """The format, and bits per weight by operator, of a network with this `quantization_config`.

    Raises UnknownName for formats that are not known, Unsupported for several.
    """
    name = format_of(said)
    bits = {operator: 8 * float(each) for operator, each in stored(name, DTYPE, network.inventory).items()}
    whole = bits["vectors"]
    patterns = [each for key in KEPT for each in _list(said.get(key))]
    for operator in {matrix.operator for matrix in network.inventory.matrices}:
        share = kept(operator, patterns, network.depth)
        bits[operator] = share * whole + (1 - share) * bits[operator]
    return name, bits


def _list(value: Any) -> Iterator[str]:
    return (each for each in value if isinstance(each, str)) if isinstance(value, list | tuple) else iter(())


def kept(operator: str, patterns: Iterable[str], depth: int) -> float:
    """The share of the layers in which the modules of an operator are named by one of these patterns.

    A pattern is a part of a name, a part with `*` for anything, or a regular expression after `re:`.
    """
    found = [_pattern(each) for each in patterns]
    paths = _MODULES.get(operator, tuple(f"{block}.{operator}" for block in (*_ATTENTION, "mixer", "linear_attn")))
    named = (
        any(pattern.search(path if path in _OUTSIDE else f"model.layers.{layer}.{path}") for pattern in found
            for path in paths)
        for layer in range(depth)
    )  # fmt: skip
    return sum(named) / depth


_OUTSIDE = (*_MODULES["lm_head"], *_MODULES["embedding"])


def _pattern(text: str) -> re.Pattern[str]:
    if not text.startswith("re:"):
        return _part(text)
    try:
        return re.compile(text[3:])
    except re.error as error:
        raise Unsupported(f"{text[:60]}: no regular expression: {error}") from None


def _part(pattern: str) -> re.Pattern[str]:
    """A part of a dotted name, whole words only."""
    return re.compile(rf"(^|\.){re.escape(pattern).replace(re.escape('*'), '.*')}($|\.)")
