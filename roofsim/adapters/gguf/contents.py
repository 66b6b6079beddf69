"""What a GGUF file of one of our architectures holds: its metadata, and the name, shape and kind of every tensor.

The other way round of `keys`: names and shapes as llama.cpp's loader wants them (`src/models/*.cpp`), numbers under
the keys of its converters (`conversion/`). No vocabulary: `tokenizer.ggml.model` is `none`, and the number of tokens
stands under `vocab_size`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

from roofsim.foundation.errors import Unsupported
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.model.ffn.gated_mlp import GatedMlp
from roofsim.model.ffn.moe import Moe
from roofsim.model.mixers.attention import Attention
from roofsim.model.mixers.mamba1 import Mamba1
from roofsim.model.mixers.mamba2 import Mamba2
from roofsim.model.mixers.parallel import Parallel
from roofsim.model.mixers.short_conv import ShortConv
from roofsim.model.part import Part

ARCHITECTURES: Mapping[str, str] = MappingProxyType(
    {
        "llama": "llama",
        "mixtral": "llama",
        "qwen2": "qwen2",
        "qwen3": "qwen3",
        "qwen3_moe": "qwen3moe",
        "olmoe": "olmoe",
        "mamba": "mamba",
        "falcon_mamba": "mamba",
        "mamba2": "mamba2",
        "falcon_h1": "falcon-h1",
        "lfm2": "lfm2",
        "granitemoehybrid": "granitehybrid",
    }
)
"""Families of which a file can be written, and what llama.cpp calls their architecture."""

LONGEST = 1 << 20
"""Tokens of context that a file says its model was trained for: more than any prompt."""

MATRIX, VECTOR, NORM, DECAY = "matrix", "vector", "norm", "decay"
"""Kinds of tensor: only matrices are stored in the format of the weights. Of a norm all are 1, of a decay negative."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor to be written: the length of a row first."""

    shape: tuple[int, ...]
    kind: str = MATRIX

    @property
    def weights(self) -> int:
        """Number of its elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds: `metadata` by full keys."""

    architecture: str
    metadata: Mapping[str, Any]
    tensors: Mapping[str, Entry]


def contents(a: Architecture) -> Contents:
    """What the file of an architecture holds; raises Unsupported for one that cannot be written."""
    if a.family not in ARCHITECTURES:
        raise Unsupported(
            f"{a.id or a.name}: a GGUF file can be written of these families only: {', '.join(ARCHITECTURES)}; "
            + (f"not of '{a.family}'" if a.family else "it states none (`family: llama` in its file)")
        )
    layers = [a.layers[name] for stretch in a.layout for _ in range(stretch.repeat) for name in stretch.of]
    name = ARCHITECTURES[a.family]
    own = {key: value for key, value in _numbers(a, layers).items() if value is not None}
    tensors = dict(_outside(a))
    for number, layer in enumerate(layers):
        tensors |= {f"blk.{number}.{inside}": entry for inside, entry in _layer(a, layer)}
    held = sum(entry.weights for entry in tensors.values())
    if held != a.total_parameters:
        raise Unsupported(
            f"{a.id or a.name}: a GGUF file of the architecture '{name}' would hold {held:,} parameters, the model "
            f"has {a.total_parameters:,}"
        )
    if reason := _unloadable(a, [part for layer in a.layers.values() for part in _flat(layer)]):
        raise Unsupported(f"{a.id or a.name}: llama.cpp's '{name}' takes {reason}")
    general = {"general.name": a.name, "tokenizer.ggml.model": "none"}
    return Contents(name, general | {f"{name}.{key}": value for key, value in own.items()}, tensors)


def _unloadable(a: Architecture, parts: Sequence[Part]) -> str:
    """What llama.cpp's loader of an architecture insists on and a model does not have; nothing if all is well."""
    one = any(isinstance(part, Mamba1) and part.d_inner != 2 * a.d_model for part in parts)
    two = any(isinstance(part, Mamba2) and part.d_inner != 2 * a.d_model for part in parts)
    heads = [part for part in parts if isinstance(part, Attention)]
    wide = any(part.heads * part.head_dim != a.d_model for part in heads)
    if one or (two and a.family == "granitemoehybrid"):
        return "recurrent layers of twice the width of the model only"
    if wide and a.family in ("lfm2", "olmoe"):
        return "queries as wide as the model only"
    if a.family == "olmoe" and (a.tied_embeddings or any(part.kv_heads != part.heads for part in heads)):
        return "as many heads of keys as of queries, and a head apart from the embedding, only"
    return ""


def _numbers(a: Architecture, layers: Sequence[Sequence[Part]]) -> dict[str, Any]:
    """The sizes, by their keys without the architecture; None for what the file does not say."""
    parts = [part for layer in layers for part in _flat(layer)]
    attention = next((part for part in parts if isinstance(part, Attention)), None)
    mlp = next((part for part in parts if isinstance(part, GatedMlp)), None)
    moe = next((part for part in parts if isinstance(part, Moe)), None)
    one = next((part for part in parts if isinstance(part, Mamba1)), None)
    two = next((part for part in parts if isinstance(part, Mamba2)), None)
    conv = next((part for part in parts if isinstance(part, ShortConv)), None)
    width = mlp.width if mlp else 0
    numbers: dict[str, Any] = {
        "context_length": LONGEST,
        "embedding_length": a.d_model,
        "block_count": len(layers),
        "vocab_size": a.vocab,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "feed_forward_length": moe.width if moe and not mlp else width,
        "attention.head_count": attention.heads if attention else 0,
    }
    if attention:
        kv = [next((p.kv_heads for p in _flat(layer) if isinstance(p, Attention)), 0) for layer in layers]
        numbers |= {
            "attention.head_count_kv": kv if len(set(kv)) > 1 else kv[0],
            "attention.key_length": attention.head_dim,
            "attention.value_length": attention.head_dim,
            "rope.dimension_count": attention.rotary_dim or attention.head_dim,
        }
    if moe:
        numbers |= {
            "expert_count": moe.experts,
            "expert_used_count": moe.top_k,
            "expert_feed_forward_length": moe.width if a.family == "qwen3_moe" else None,
            "expert_shared_feed_forward_length": moe.shared_width or None,
        }
    if a.family == "granitemoehybrid" and attention:
        scales = dict.fromkeys(("attention.scale", "embedding_scale", "residual_scale", "logit_scale"), 1.0)
        numbers |= {**scales, "rope.scaling.finetuned": attention.rotary}
    if one:
        numbers |= {
            "ssm.conv_kernel": one.d_conv,
            "ssm.inner_size": one.d_inner,
            "ssm.state_size": one.d_state,
            "ssm.time_step_rank": one.dt_rank,
            "ssm.dt_b_c_rms": one.norms == "plain",
        }
    if two:
        numbers |= {
            "ssm.conv_kernel": two.d_conv,
            "ssm.inner_size": two.d_inner,
            "ssm.state_size": two.d_state,
            "ssm.time_step_rank": two.heads,
            "ssm.group_count": two.groups,
        }
    return numbers | ({"shortconv.l_cache": conv.d_conv} if conv else {})


def _flat(layer: Sequence[Part]) -> Iterator[Part]:
    for part in layer:
        yield from (part.attention, part.ssm) if isinstance(part, Parallel) else (part,)


Named = Iterator[tuple[str, Entry]]


def _outside(a: Architecture) -> Named:
    """Embedding, last norm and head."""
    yield "token_embd.weight", Entry((a.d_model, a.vocab))
    yield ("token_embd_norm" if a.family == "lfm2" else "output_norm") + ".weight", Entry((a.d_model,), NORM)
    if not a.tied_embeddings:
        yield "output.weight", Entry((a.d_model, a.vocab))


def _layer(a: Architecture, layer: Sequence[Part]) -> Named:
    """What a layer holds: a mixer, perhaps a channel mixer, and a norm before each."""
    for number, part in enumerate(layer):
        norm = "attn_norm.weight" if number == 0 else "ffn_norm" if a.family == "falcon_h1" else "ffn_norm.weight"
        yield norm, Entry((a.d_model,), NORM)
        for each in _flat((part,)):
            yield from _part(a, each)


def _part(a: Architecture, part: Part) -> Named:
    d = a.d_model
    if isinstance(part, Attention):
        yield from _attention(d, part)
    elif isinstance(part, GatedMlp):
        yield from _gated(d, part.width)
    elif isinstance(part, Moe):
        yield "ffn_gate_inp.weight", Entry((d, part.experts), VECTOR)
        yield from _gated(d, part.width, "_exps", (part.experts,))
        if part.shared_width:
            yield from _gated(d, part.shared_width, "_shexp")
    elif isinstance(part, Mamba1):
        yield from _mamba1(d, part)
    elif isinstance(part, Mamba2):
        yield from _mamba2(d, part)
    elif isinstance(part, ShortConv):
        yield "shortconv.conv.weight", Entry((part.d_conv, part.channels), VECTOR)
        yield "shortconv.in_proj.weight", Entry((d, 3 * part.channels))
        yield "shortconv.out_proj.weight", Entry((part.channels, d))
    else:
        raise Unsupported(f"{a.id or a.name}: a GGUF file of a layer with {type(part).__name__} cannot be written")


def _attention(d: int, part: Attention) -> Named:
    queries, keys = part.heads * part.head_dim, part.kv_heads * part.head_dim
    for letter, width in (("q", queries), ("k", keys), ("v", keys)):
        yield f"attn_{letter}.weight", Entry((d, width))
        if part.qkv_bias:
            yield f"attn_{letter}.bias", Entry((width,), VECTOR)
    yield "attn_output.weight", Entry((queries, d))
    if part.qk_norm in ("head", "width"):
        whole = part.qk_norm == "width"
        yield "attn_q_norm.weight", Entry((queries if whole else part.head_dim,), NORM)
        yield "attn_k_norm.weight", Entry((keys if whole else part.head_dim,), NORM)


def _gated(d: int, width: int, end: str = "", experts: tuple[int, ...] = ()) -> Named:
    yield f"ffn_gate{end}.weight", Entry((d, width, *experts))
    yield f"ffn_up{end}.weight", Entry((d, width, *experts))
    yield f"ffn_down{end}.weight", Entry((width, d, *experts))


def _mamba1(d: int, part: Mamba1) -> Named:
    inner = part.d_inner
    yield "ssm_in.weight", Entry((d, 2 * inner))
    yield "ssm_conv1d.weight", Entry((part.d_conv, inner), VECTOR)
    yield "ssm_conv1d.bias", Entry((inner,), VECTOR)
    yield "ssm_x.weight", Entry((inner, part.dt_rank + 2 * part.d_state))
    yield "ssm_dt.weight", Entry((part.dt_rank, inner))
    yield "ssm_dt.bias", Entry((inner,), VECTOR)
    yield "ssm_a", Entry((part.d_state, inner), DECAY)
    yield "ssm_d", Entry((inner,), VECTOR)
    yield "ssm_out.weight", Entry((inner, d))


def _mamba2(d: int, part: Mamba2) -> Named:
    inner, channels, heads = part.d_inner, part.conv_channels, part.heads
    yield "ssm_in.weight", Entry((d, inner + channels + heads))
    yield "ssm_conv1d.weight", Entry((part.d_conv, channels), VECTOR)
    if part.conv_bias:
        yield "ssm_conv1d.bias", Entry((channels,), VECTOR)
    yield "ssm_dt.bias", Entry((heads,), VECTOR)
    yield "ssm_a", Entry((1, heads), DECAY)
    yield "ssm_d", Entry((1, heads), VECTOR)
    if part.gated_norm:
        yield "ssm_norm.weight", Entry((inner // part.groups, part.groups), NORM)
    yield "ssm_out.weight", Entry((inner, d))
