"""From our description of a model to the fields of transformers' config, a function per family."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from roofsim.foundation.errors import Unsupported
from roofsim.model.architecture import Architecture
from roofsim.model.ffn.gated_mlp import GatedMlp
from roofsim.model.ffn.mlp import Mlp
from roofsim.model.ffn.moe import Moe
from roofsim.model.mixers.attention import Attention
from roofsim.model.mixers.mamba1 import Mamba1
from roofsim.model.mixers.mamba2 import Mamba2
from roofsim.model.mixers.parallel import Parallel
from roofsim.model.mixers.shared_block import SharedBlock
from roofsim.model.mixers.short_conv import ShortConv
from roofsim.model.part import Part

P = TypeVar("P", bound=Part)
Fields = dict[str, Any]

LONGEST = 1 << 20
"""Positions that a model without a learned table of them says it has: more than any prompt."""

FAMILIES: dict[str, Callable[[Architecture], Fields]] = {}
"""What fills the config of each family; its name is transformers' `model_type`."""


def config_fields(a: Architecture) -> Fields:
    """The config of a model, `model_type` first; raises Unsupported for a family without a class."""
    if a.family not in FAMILIES:
        named = f"for '{a.family}' give" if a.family else "say in its file which it is like (`family: llama`), or give"
        raise Unsupported(
            f"{a.id}: from our description only these families can be built: {', '.join(FAMILIES)}; {named} the "
            "published config.json, if transformers has a class for it"
        )
    return {
        "model_type": a.family,
        "hidden_size": a.d_model,
        "vocab_size": a.vocab,
        "tie_word_embeddings": a.tied_embeddings,
        **FAMILIES[a.family](a),
        # special tokens have no part in a pass, and their defaults may lie outside a small vocabulary
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def stacked(a: Architecture) -> list[str]:
    """The name of every layer, from the first to the last."""
    return [name for stretch in a.layout for _ in range(stretch.repeat) for name in stretch.of]


def family(function: Callable[[Architecture], Fields]) -> Callable[[Architecture], Fields]:
    """Register the fields of the family that the function is named after."""
    FAMILIES[function.__name__] = function
    return function


def _all(a: Architecture, kind: type[P]) -> Iterator[P]:
    return (part for part, _ in a.parts() if isinstance(part, kind))


def _one(a: Architecture, kind: type[P]) -> P:
    found = next(_all(a, kind), None)
    if found is None:
        raise Unsupported(f"{a.id}: a model of the family '{a.family}' has a part {kind.__name__}; this one has none")
    return found


def _heads(attention: Attention) -> Fields:
    return {
        "num_attention_heads": attention.heads,
        "num_key_value_heads": attention.kv_heads,
        "head_dim": attention.head_dim,
    }


def _decoder(a: Architecture) -> Fields:
    attention = _one(a, Attention)
    return {
        **_heads(attention),
        "num_hidden_layers": a.depth,
        "intermediate_size": _one(a, GatedMlp).width,
        "max_position_embeddings": LONGEST,
    }


@family
def llama(a: Architecture) -> Fields:
    """Llama and models of its shape."""
    return {**_decoder(a), "attention_bias": _one(a, Attention).qkv_bias}


@family
def qwen2(a: Architecture) -> Fields:
    """Qwen2 and 2.5: a window may be declared and switched off."""
    attention = _one(a, Attention)
    return {
        **_decoder(a),
        "sliding_window": attention.window or attention.declared_window,
        "use_sliding_window": attention.window is not None,
    }


@family
def qwen3(a: Architecture) -> Fields:
    """Qwen3, dense."""
    return {**_decoder(a), "attention_bias": _one(a, Attention).qkv_bias}


@family
def mistral(a: Architecture) -> Fields:
    """Mistral, with a window or without."""
    return {**_decoder(a), "sliding_window": _one(a, Attention).window}


@family
def phi3(a: Architecture) -> Fields:
    """Phi-3."""
    return {**_decoder(a), "sliding_window": _one(a, Attention).window}


def _experts(a: Architecture) -> Fields:
    """Attention and a mixture of experts in every layer."""
    return {
        **_heads(_one(a, Attention)),
        "num_hidden_layers": a.depth,
        "num_experts_per_tok": _one(a, Moe).top_k,
        "max_position_embeddings": LONGEST,
    }


@family
def mixtral(a: Architecture) -> Fields:
    """Mixtral."""
    moe = _one(a, Moe)
    return {**_experts(a), "num_local_experts": moe.experts, "intermediate_size": moe.width}


@family
def olmoe(a: Architecture) -> Fields:
    """OLMoE."""
    moe = _one(a, Moe)
    fields = {**_experts(a), "num_experts": moe.experts, "intermediate_size": moe.width}
    del fields["head_dim"]  # follows from the width
    return fields


@family
def qwen3_moe(a: Architecture) -> Fields:
    """Qwen3 with experts in every layer."""
    moe = _one(a, Moe)
    return {**_experts(a), "num_experts": moe.experts, "moe_intermediate_size": moe.width}


@family
def lfm2(a: Architecture) -> Fields:
    """LFM2: layers of gated short convolutions, some of attention."""
    conv = _one(a, ShortConv)
    fields = {
        **_decoder(a),
        "block_auto_adjust_ff_dim": False,
        "conv_L_cache": conv.d_conv,
        "conv_bias": conv.bias,
        "layer_types": ["full_attention" if attends else "conv" for attends in _attending(a)],
    }
    del fields["head_dim"]  # follows from the width
    return fields


@family
def gpt_neo(a: Architecture) -> Fields:
    """GPT-Neo: layers with and without a window, learned positions."""
    windows = {name: next((p.window for p in a.layers[name] if isinstance(p, Attention)), None) for name in a.layers}
    kinds = ["local" if windows[name] else "global" for name in stacked(a)]
    return {
        "num_layers": a.depth,
        "num_heads": _one(a, Attention).heads,
        "attention_types": [[kinds, 1]],
        "window_size": next((window for window in windows.values() if window), None),
        "intermediate_size": _one(a, Mlp).width,
        "max_position_embeddings": a.positions,
    }


@family
def mamba(a: Architecture) -> Fields:
    """Mamba-1."""
    part = _one(a, Mamba1)
    return {
        "num_hidden_layers": a.depth,
        "state_size": part.d_state,
        "expand": part.d_inner // a.d_model,
        "intermediate_size": part.d_inner,
        "time_step_rank": part.dt_rank,
        "conv_kernel": part.d_conv,
        "use_conv_bias": part.conv_bias,
    }


@family
def falcon_mamba(a: Architecture) -> Fields:
    """Falcon-Mamba: Mamba-1 with norms without weights inside."""
    return mamba(a)


@family
def mamba2(a: Architecture) -> Fields:
    """Mamba-2."""
    part = _one(a, Mamba2)
    return {
        "num_hidden_layers": a.depth,
        "state_size": part.d_state,
        "expand": part.d_inner // a.d_model,
        "num_heads": part.heads,
        "head_dim": part.head_dim,
        "n_groups": part.groups,
        "chunk_size": part.chunk,
        "conv_kernel": part.d_conv,
        "use_conv_bias": part.conv_bias,
    }


@family
def falcon_h1(a: Architecture) -> Fields:
    """Falcon-H1: attention and Mamba-2 side by side."""
    both = _one(a, Parallel)
    return {
        **_heads(both.attention),
        "num_hidden_layers": a.depth,
        "intermediate_size": _one(a, GatedMlp).width,
        "max_position_embeddings": LONGEST,
        **_mamba(both.ssm),
        "mamba_d_ssm": both.ssm.d_inner,
        "mamba_rms_norm": both.ssm.gated_norm,
    }


def _mamba(ssm: Mamba2) -> Fields:
    return {
        "mamba_d_conv": ssm.d_conv,
        "mamba_d_state": ssm.d_state,
        "mamba_n_heads": ssm.heads,
        "mamba_d_head": ssm.head_dim,
        "mamba_n_groups": ssm.groups,
        "mamba_chunk_size": ssm.chunk,
        "mamba_conv_bias": ssm.conv_bias,
    }


def _attending(a: Architecture) -> list[bool]:
    """Of every layer, whether it holds attention rather than a recurrence or a convolution."""
    attends = {name: any(isinstance(part, Attention) for part in a.layers[name]) for name in a.layers}
    return [attends[name] for name in stacked(a)]


@family
def bamba(a: Architecture) -> Fields:
    """Bamba: layers of Mamba-2, some of attention."""
    ssm = _one(a, Mamba2)
    return {
        **_decoder(a),
        **_mamba(ssm),
        "mamba_expand": ssm.d_inner // a.d_model,
        "attn_layer_indices": [i for i, attends in enumerate(_attending(a)) if attends],
    }


@family
def granitemoehybrid(a: Architecture) -> Fields:
    """Granite 4.0 H: layers of Mamba-2, some of attention, each with experts."""
    ssm, moe, attention = _one(a, Mamba2), _one(a, Moe), _one(a, Attention)
    heads = _heads(attention)
    del heads["head_dim"]  # follows from the width
    return {
        **heads,
        **_mamba(ssm),
        "num_hidden_layers": a.depth,
        "mamba_expand": ssm.d_inner // a.d_model,
        "layer_types": ["attention" if attends else "mamba" for attends in _attending(a)],
        "intermediate_size": moe.width,
        "shared_intermediate_size": moe.shared_width,
        "num_local_experts": moe.experts,
        "num_experts_per_tok": moe.top_k,
        "position_embedding_type": "rope" if attention.rotary else "nope",
        "max_position_embeddings": LONGEST,
    }


@family
def zamba2(a: Architecture) -> Fields:
    """Zamba2: Mamba-2 layers, some of which a shared block goes before."""
    ssm, blocks = _one(a, Mamba2), list(_all(a, SharedBlock))
    shared = {name: any(isinstance(part, SharedBlock) for part in a.layers[name]) for name in a.layers}
    block = _one(a, SharedBlock)
    return {
        **_heads(block.attention),
        "attention_head_dim": block.attention.head_dim,
        "attention_hidden_size": block.attention.d_in or a.d_model,
        "num_hidden_layers": a.depth,
        "layers_block_type": ["hybrid" if shared[name] else "mamba" for name in stacked(a)],
        "num_mem_blocks": len({each.block for each in blocks}),
        "intermediate_size": block.mlp.width,
        "ffn_hidden_size": block.mlp.width,
        "adapter_rank": block.mlp.lora_rank or block.attention.lora_rank,
        "use_shared_attention_adapter": bool(block.attention.lora_rank),
        "use_shared_mlp_adapter": bool(block.mlp.lora_rank),
        "use_mem_rope": block.attention.rotary,
        "max_position_embeddings": LONGEST,
        "mamba_d_conv": ssm.d_conv,
        "mamba_d_state": ssm.d_state,
        "mamba_expand": ssm.d_inner // a.d_model,
        "mamba_headdim": ssm.head_dim,
        "n_mamba_heads": ssm.heads,
        "mamba_ngroups": ssm.groups,
        "chunk_size": ssm.chunk,
        "use_conv_bias": ssm.conv_bias,
    }
