"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Size
from roofsim.model import contexts
from roofsim.model.mixers.attention import SOFTMAX_FLOPS
from roofsim.model.part import Parameters, Part, elementwise, linear
from roofsim.model.recurrent import head_linear
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import attention, pointwise
from roofsim.ops.base import Operator, Role


class LatentAttention(Part):
    """Keys and values of all heads from one latent of `kv_rank` elements a token, which alone is cached.

    Beside it the cache holds one key of `rope_dim` elements that all heads share and that carries the position.
    The software either expands the latents of all tokens to keys and values of every head, or absorbs the
    expanding matrices into queries and outputs and attends to the latents themselves. With `index_top_k`, an indexer
    of `index_heads` heads of `index_dim` chooses so many tokens for each query (DeepSeek-V3.2's sparse attention);
    `index_top_k` alone says that those are used which an earlier layer chose (GLM-5.2).
    """

    kind: Literal["mla"]
    heads: Size
    kv_rank: Size
    q_rank: Size | None = None
    nope_dim: Size
    rope_dim: Size
    v_dim: Size
    bias: bool = False
    rotary: bool = True
    index_heads: Size | None = None
    index_dim: Size | None = None
    index_top_k: Size | None = None

    def __post_init__(self) -> None:
        stated = [each is not None for each in (self.index_heads, self.index_dim)]
        if any(stated) and not (all(stated) and self.index_top_k and self.q_rank):
            raise ValueError("index_heads and index_dim go together, and with an index_top_k and a q_rank")

    @property
    def qk_dim(self) -> int:
        """Width of a query or key head."""
        return self.nope_dim + self.rope_dim

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads; every rank makes and keeps the latents, and chooses tokens, for itself, as in vLLM."""
        return {"heads": divided("heads", self.heads, split.tp), "copies": self.copies * split.tp}

    @property
    def shareable(self) -> bool:
        """Not where an indexer chooses tokens."""
        return self.index_top_k is None

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Down- and up-projections, cache, attention in one of its two forms, output."""
        q = self.heads * self.qk_dim
        if self.q_rank:
            ops = [
                linear(p, "q_a_proj", d_model, self.q_rank, "x", bias=self.bias),
                elementwise(p, "q_a_norm", pointwise.rms_norm, self.q_rank, "q_a_proj", weights=True),
                linear(p, "q_proj", self.q_rank, q, "q_a_norm"),
            ]
        else:
            ops = [linear(p, "q_proj", d_model, q, "x")]
        cached = self.kv_rank + self.rope_dim
        ops += [
            linear(p, "kv_a_proj", d_model, cached, "x", bias=self.bias),
            elementwise(p, "kv_a_norm", pointwise.rms_norm, self.kv_rank, "kv_a_proj", weights=True),
        ]
        turned = ("q_proj", "kv_a_proj")
        if self.rotary:
            ops.append(elementwise(p, "rotary", attention.rotary, (self.heads + 1) * self.rope_dim, *turned))
            turned = ("q_proj", "rotary")
        byte = p.precision
        size = {"batch": p.batch, "new": p.new, "act_bytes": byte.activations, "cache_bytes": byte.cache}
        kept = cached + (self.index_dim or 0)
        append = {**size, "width": kept / self.sharers if self.sharers > 1 else kept}
        ops.append(Operator("cache_append", attention.cache_append, append, 0, ("kv_a_norm", turned[1])))
        ops += self._index(p, d_model, {**size, "context": p.context})
        seen = contexts.share_of_cache(p, self.sharers) if p.latents == "absorbed" else p
        window = self.index_top_k or seen.context + seen.new
        size |= {"context": seen.context, "heads": self.heads, "pair_flops": SOFTMAX_FLOPS, "window": window}
        ops += contexts.ring(p, cached, self.split, "kv_a_norm", turned[1])
        ops += contexts.cache_gathered(p, cached, self.sharers, "kv_a_norm", turned[1])
        if p.latents == "expanded":
            ops += self._expanded(p, size, turned)
            last = "attention"
        else:
            ops += self._absorbed(p, size, turned)
            last = "v_absorb"
        role = Role.ATTENTION_OUT
        ops.append(linear(p, "o_proj", self.heads * self.v_dim, d_model, last, bias=self.bias, acts_as=role))
        return ops

    def _index(self, p: Pass, d_model: int, size: dict[str, Number]) -> list[Operator]:
        """What chooses the tokens that a query sees, if anything does."""
        if not (self.q_rank and self.index_heads and self.index_dim):
            return []
        heads, width = self.index_heads, self.index_dim
        score = {**size, "heads": heads, "qk_dim": width}
        uses = ("index_q_proj", "index_norm", "index_weights")
        return [
            linear(p, "index_q_proj", self.q_rank, heads * width, "q_a_norm"),
            linear(p, "index_k_proj", d_model, width, "x"),
            elementwise(p, "index_norm", pointwise.layer_norm, width, "index_k_proj", weights=True, bias=1),
            linear(p, "index_weights", d_model, heads, "x"),
            Operator("index_scores", attention.index_scores, score, p.activation_bytes(self.index_top_k or 0), uses),
        ]

    def _expanded(self, p: Pass, size: dict[str, Number], uses: tuple[str, ...]) -> list[Operator]:
        """Keys and values of every head for all tokens that are held, then ordinary attention."""
        width = self.heads * (self.nope_dim + self.v_dim)
        everything = replace(p, new=p.context + p.new, context=0, padding=0)
        score = {**size, "kv_heads": self.heads, "qk_dim": self.qk_dim, "v_dim": self.v_dim}
        out = p.activation_bytes(self.heads * self.v_dim)
        return [
            linear(everything, "kv_b_proj", self.kv_rank, width, "kv_a_norm"),
            Operator("attention", attention.causal_attention, score, out, (*uses, "kv_b_proj"), acts_as=Role.EXPANDED),
            *contexts.partial_results(p, self.heads, self.v_dim, self.split),
        ]

    def _absorbed(self, p: Pass, size: dict[str, Number], uses: tuple[str, ...]) -> list[Operator]:
        """Queries into the space of the latents, attention there, and back out to the values of each head."""
        queries = head_linear(p, "q_absorb", self.heads, self.nope_dim, self.kv_rank, "q_proj", matrix="kv_b_proj")
        cached, sharers = self.kv_rank + self.rope_dim, self.sharers
        gathered = list(contexts.queries_gathered(p, self.heads * cached, sharers, "q_absorb", *uses))
        heads = self.heads * (sharers if gathered else 1)
        score = {**size, "heads": heads, "kv_rank": self.kv_rank, "rope_dim": self.rope_dim}
        latents = p.activation_bytes(heads * self.kv_rank)
        read = (*(each.name for each in gathered), *uses, "q_absorb", "kv_a_norm")
        attends = Operator("attention", attention.latent_attention, score, latents, read)
        merged = list(contexts.results_merged(p, self.heads, self.kv_rank, sharers))
        made = merged[-1].name if merged else "attention"
        return [
            queries,
            *gathered,
            attends,
            *contexts.partial_results(p, self.heads, self.kv_rank, self.split),
            *merged,
            head_linear(p, "v_absorb", self.heads, self.kv_rank, self.v_dim, made, matrix="kv_b_proj"),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """All projections, and the norms of the latents; both forms use the same matrices."""
        q = self.heads * self.qk_dim
        queries = (d_model + self.bias) * self.q_rank + self.q_rank * (1 + q) if self.q_rank else d_model * q
        down = (d_model + self.bias) * (self.kv_rank + self.rope_dim) + self.kv_rank
        up = self.kv_rank * self.heads * (self.nope_dim + self.v_dim)
        index = 0
        if self.q_rank and self.index_heads and self.index_dim:
            heads, width = self.index_heads, self.index_dim
            index = self.q_rank * heads * width + d_model * (width + heads) + 2 * width
        return {"attention": queries + down + up + index + (self.heads * self.v_dim + self.bias) * d_model}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The latent and the shared key of every token, and the key of the indexer."""
        whole = context * (self.kv_rank + self.rope_dim + (self.index_dim or 0)) * precision.cache
        return whole / self.sharers if self.sharers > 1 else whole
