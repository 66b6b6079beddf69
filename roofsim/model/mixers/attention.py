"""Grouped-query attention and what published models vary in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from roofsim.foundation.arith import Number, minimum
from roofsim.foundation.schema import Extra, Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, elementwise, linear, squares_added_up
from roofsim.model.split import Split, divided, replicated
from roofsim.model.step import Pass, Precision
from roofsim.ops import attention, pointwise
from roofsim.ops.base import CostFunction, Operator, Role

SOFTMAX_FLOPS = 5
"""Vector FLOP per pair: scale, subtract the maximum, exponential, sum, rescale."""
SOFT_CAP_FLOPS = 7
"""Divide, hyperbolic tangent (five), multiply."""
ALIBI_FLOPS = 2
"""Slope times distance, added to the score."""

PROJECTIONS = {"k_proj": Role.KEY, "v_proj": Role.VALUE}
"""Roles of the projections beside that to queries."""


class Attention(Part):
    """Softmax attention with `heads` queries on `kv_heads` keys and values (Ainslie et al. 2023).

    `window` limits how far back a token sees, `chunk` cuts the sequence into pieces that do not see each other;
    `windowed_cache` says whether the cache is cut to either. `block` and `blocks` make a query see its own block of
    keys and the best others, `blocks` in all. `declared_window` is a window that the published config states but
    switches off: some software reacts to it all the same. `repeated_cache`: keys and values are cached once for every
    query head, as the published code of Falcon-40B does.

    `d_in` is the width of its input where that is not the model's. `rotary_dim` is the part of each head that is
    rotated, all of it if absent; `alibi` adds a slope to the scores instead; `soft_cap` bends them; `sinks` is a
    learned score per head that takes part in the softmax alone. `qk_norm` normalises queries and keys: each head
    with one weight (`head`), each head with its own (`heads`), all of them together (`width`), or without weights.
    `v_norm` normalises values, without weights. `k_is_v`: one projection serves keys and values. `output_gate`: the
    query projection makes a sigmoid gate as well. `reuses_kv`: it reads keys and values of an earlier layer and keeps
    none. `v_dim` is the width of a value head where it is not `head_dim`. `out_norm` normalises what the heads made.
    """

    kind: Literal["attention"]
    heads: Size
    kv_heads: Size
    head_dim: Size
    v_dim: Size | None = None
    window: Size | None = None
    chunk: Size | None = None
    block: Size | None = None
    blocks: Size | None = None
    windowed_cache: bool = True
    repeated_cache: bool = False
    declared_window: Size | None = None
    d_in: Size | None = None
    qkv_bias: bool = False
    out_bias: bool = False
    fused_qkv: bool = False
    qk_norm: Literal["head", "heads", "width", "plain"] | None = None
    v_norm: bool = False
    k_is_v: bool = False
    output_gate: bool = False
    out_norm: bool = False
    reuses_kv: bool = False
    rotary: bool = True
    rotary_dim: Size | None = None
    alibi: bool = False
    soft_cap: bool = False
    sinks: bool = False
    lora_rank: Extra = 0

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads {self.kv_heads} does not divide heads {self.heads}")
        if sum(limit is not None for limit in (self.window, self.chunk, self.block)) > 1:
            raise ValueError("only one of window, chunk and block can limit what a token sees")
        if (self.block is None) != (self.blocks is None):
            raise ValueError("block and blocks go together: the keys of a block, and how many blocks a query sees")
        if self.v_dim and (self.fused_qkv or self.k_is_v):
            raise ValueError("v_dim needs a projection of its own for values")
        if self.rotary_dim and self.rotary_dim > self.head_dim:
            raise ValueError(f"rotary_dim {self.rotary_dim} is more than head_dim {self.head_dim}")

    @property
    def q_width(self) -> int:
        """Elements of the queries of a token."""
        return self.heads * self.head_dim

    @property
    def value_dim(self) -> int:
        """Elements of a value head."""
        return self.v_dim or self.head_dim

    @property
    def out_width(self) -> int:
        """Elements that all heads make of a token."""
        return self.heads * self.value_dim

    @property
    def k_width(self) -> int:
        """Elements of the keys of a token."""
        return self.kv_heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Elements of the keys and values of a token."""
        return self.kv_heads * (self.head_dim + self.value_dim)

    @property
    def cached_width(self) -> int:
        """Elements that a token adds to the cache."""
        heads = self.heads if self.repeated_cache else self.kv_heads
        return heads * (self.head_dim + self.value_dim)

    def _projections(self) -> dict[str, int]:
        """The matrices that read the input, and their widths."""
        q, k = self.q_width + (self.out_width if self.output_gate else 0), self.k_width
        if self.reuses_kv:
            return {"q_proj": q}
        if self.fused_qkv:
            return {"qkv_proj": q + 2 * k}
        return {"q_proj": q, "k_proj": k} if self.k_is_v else {"q_proj": q, "k_proj": k, "v_proj": self.kv_width - k}

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads; keys and values below one head each are on several ranks, as in vLLM and Megatron."""
        t = split.tp
        return {
            "heads": divided("heads", self.heads, t),
            "kv_heads": replicated("kv_heads", self.kv_heads, t),
            "copies": self.copies * max(t // self.kv_heads, 1),
        }

    @property
    def shareable(self) -> bool:
        """Not where tokens see a window, a chunk or blocks, or keys are another layer's or repeated."""
        return not (self.window or self.chunk or self.block or self.reuses_kv or self.repeated_cache)

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Projections, norms, positions, cache, scores, gate, output."""
        ops: list[Operator] = []
        source = self._project(p, d_model, ops)
        if self.qk_norm == "width":
            normed = [source[part] for part in ("q", "k") if part in source]
            ops += squares_added_up(p, "qk_sums", len(normed), self.split.tp, *dict.fromkeys(normed))
        norms = {"q": (self.heads, self.qk_norm), "k": (self.kv_heads, self.qk_norm)}
        norms["v"] = (self.kv_heads, "plain" if self.v_norm else None)
        for part, (heads, norm) in norms.items():
            if norm and part in source:
                ops.append(self._norm(p, f"{part}_norm", heads, norm, source[part]))
                source[part] = ops[-1].name
        if self.rotary:
            heads = self.heads + (0 if self.reuses_kv else self.kv_heads)
            turned = [source[part] for part in ("q", "k") if part in source]
            width = heads * (self.rotary_dim or self.head_dim)
            ops.append(elementwise(p, "rotary", attention.rotary, width, *dict.fromkeys(turned)))
            source |= {part: "rotary" for part in ("q", "k") if part in source}
        byte = p.precision
        size: dict[str, Number] = {"batch": p.batch, "new": p.new, "act_bytes": byte.activations}
        size["cache_bytes"] = byte.cache
        if not self.reuses_kv:
            kept = tuple(dict.fromkeys((source["k"], source["v"])))
            append = {**size, "width": self.cached_width / self.sharers if self.sharers > 1 else self.cached_width}
            ops.append(Operator("cache_append", attention.cache_append, append, 0, kept, held=self._held(p.context)))
        keys = dict.fromkeys(source[part] for part in ("k", "v") if part in source)
        ops += contexts.ring(p, self.kv_width, self.split, *keys, window=self.window or self.chunk)
        ops += contexts.cache_gathered(p, self.kv_width, self.sharers, *keys)
        gathered = list(contexts.queries_gathered(p, self.q_width, self.sharers, source["q"]))
        ops += gathered
        seen = contexts.share_of_cache(p, self.sharers)
        function, limit = self._scores(seen)
        heads = self.heads * (self.sharers if gathered else 1)
        score = {
            **size,
            "context": seen.context,
            "heads": heads,
            "kv_heads": self.heads if self.repeated_cache else self.kv_heads,
            "qk_dim": self.head_dim,
            "v_dim": self.value_dim,
            "pair_flops": SOFTMAX_FLOPS + SOFT_CAP_FLOPS * self.soft_cap + ALIBI_FLOPS * self.alibi,
            **limit,
        }
        read = tuple(dict.fromkeys((*(each.name for each in gathered), *source.values())))
        out, held = p.activation_bytes(heads * self.value_dim), self._held(p.context)
        role = Role.SINKS if self.sinks else None
        ops.append(Operator("attention", function, score, out, read, held=held, acts_as=role))
        ops += contexts.partial_results(p, self.heads, self.value_dim, self.split)
        ops += contexts.results_merged(p, self.heads, self.value_dim, self.sharers)
        made = ops[-1].name if gathered else "attention"
        if self.output_gate:
            ops.append(elementwise(p, "output_gate", pointwise.gated_activation, self.out_width, made, "q_proj"))
            made = "output_gate"
        if self.out_norm:
            ops += squares_added_up(p, "out_sums", 1, self.split.tp, made)
            ops.append(elementwise(p, "out_norm", pointwise.rms_norm, self.out_width, made, weights=True))
            made = "out_norm"
        ends = Role.ATTENTION_OUT
        return [*ops, linear(p, "o_proj", self.out_width, d_model, made, bias=self.out_bias, acts_as=ends)]

    def _project(self, p: Pass, d_model: int, ops: list[Operator]) -> dict[str, str]:
        """Append the projections and their adapters; the operator that makes queries, keys and values each."""
        d_in = self.d_in or d_model
        made: dict[str, str] = {}
        for name, width in self._projections().items():
            ops.append(linear(p, name, d_in, width, "x", bias=self.qkv_bias, acts_as=PROJECTIONS.get(name)))
            made[name] = name
            if self.lora_rank:
                down, up = f"{name}_lora_a", f"{name}_lora_b"
                ops.append(linear(p, down, d_in, self.lora_rank, "x", acts_as=Role.ADAPTER))
                ops.append(linear(p, up, self.lora_rank, width, down, acts_as=Role.ADAPTER))
                ops.append(elementwise(p, f"{name}_lora", pointwise.add, width, name, up))
                made[name] = f"{name}_lora"
        if self.fused_qkv:
            return dict.fromkeys("qkv", made["qkv_proj"])
        if self.reuses_kv:
            return {"q": made["q_proj"]}
        return {"q": made["q_proj"], "k": made["k_proj"], "v": made["k_proj" if self.k_is_v else "v_proj"]}

    def _norm(self, p: Pass, name: str, heads: int, norm: str, source: str) -> Operator:
        """A norm of heads: all alike and so with one weight vector, or over the width of all of them."""
        if norm in ("width", "heads"):
            return elementwise(p, name, pointwise.rms_norm, heads * self.head_dim, source, weights=True)
        one = elementwise(p, name, pointwise.rms_norm, self.head_dim, source, weights=norm != "plain")
        return replace(one, sizes={**one.sizes, "tokens": p.tokens * heads}, out=one.out * heads)

    def _scores(self, p: Pass) -> tuple[CostFunction, dict[str, Any]]:
        """How far a token sees: the cost function, and the sizes that only it takes."""
        if self.chunk:
            return attention.chunked_attention, {"chunk": self.chunk}
        if self.block:
            return attention.block_sparse_attention, {"block": self.block, "blocks": self.blocks}
        return attention.causal_attention, {"window": self.window or p.context + p.new}

    def parameters(self, d_model: int) -> Parameters:
        """Weights and biases of the projections, the norms of queries and keys, and the sinks."""
        read = (self.d_in or d_model) + self.qkv_bias
        weights = read * sum(self._projections().values()) + (self.out_width + self.out_bias) * d_model
        norms = {None: 0, "plain": 0, "head": self.head_dim, "heads": 0, "width": 0}[self.qk_norm]
        keys = 0 if self.reuses_kv else 1
        norms = norms * (1 + keys)
        if self.qk_norm in ("heads", "width"):
            norms = self.q_width + keys * self.k_width
        norms += self.out_norm * self.out_width
        adapters = self.adapter_parameters(d_model)
        return {"attention": weights + adapters + norms + self.heads * self.sinks}

    def adapter_parameters(self, d_model: int) -> int:
        """Weights of the low-rank adapters on the projections."""
        d_in = self.d_in or d_model
        return self.lora_rank * sum(d_in + width for width in self._projections().values())

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """Keys and values: of all tokens, or of window − 1 of them (the newest brings its own)."""
        if self.reuses_kv:
            return 0
        held = self._held(context)
        whole = (context if held is None else held) * self.cached_width * precision.cache
        return whole / self.sharers if self.sharers > 1 else whole

    def _held(self, context: Number) -> Number | None:
        """Tokens that the cache holds, if those are not all."""
        limit = self.window or self.chunk
        return minimum(context, limit - 1) if limit and self.windowed_cache else None
