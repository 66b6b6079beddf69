"""Rows that say by hand which operators a part has: what each reads, what it makes, the sizes that its cost takes.

The pass has 2 sequences of 3 new tokens on 4 held ones; every kind of number has bytes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from roofsim.foundation.schema import checked
from roofsim.model.part import PARTS, Part
from roofsim.model.step import Pass, Precision
from roofsim.ops import attention, conv, gating, gemm, pointwise, recurrence, scan
from roofsim.ops.base import REGISTER, Operator

D = 10
"""Width of the model."""
WEIGHT, ACT, CACHE, STATE, VECTOR = 3, 5, 7, 11, 13
STORED = {"kv_b_proj": 17, "experts_down": 19, "layer_embedding": 23, "lm_head": 29, "embedding": 31}
PRECISION = Precision(WEIGHT, ACT, CACHE, STATE, {**STORED, "vectors": VECTOR})
BATCH, NEW, CONTEXT = 2, 3, 4
TOKENS = BATCH * NEW
PASS = Pass(BATCH, NEW, CONTEXT, PRECISION)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One operator: its name, its cost function, the sizes it is called with, bytes of its result, what it reads."""

    name: str
    function: Callable[..., Any]
    sizes: Mapping[str, float]
    out: float
    uses: tuple[str, ...]
    kind: str
    held: float | None = None
    """Tokens that its cache holds, if not all of the context."""


def rows_of(operators: Sequence[Operator]) -> list[Row]:
    """What a part says, in the same form."""
    return [Row(o.name, o.function, dict(o.sizes), o.out, tuple(o.uses), o.kind, o.held) for o in operators]


def row(
    name: str, function: Callable[..., Any], made: float, /, *uses: str, kind: str | None = None, **sizes: float
) -> Row:
    """An operator that makes so many elements for every new token."""
    return Row(name, function, sizes, made * ACT * TOKENS, uses, kind or REGISTER[function])


def matrix(name: str, d_in: int, d_out: int, *uses: str, bias: int = 0, kind: str | None = None) -> Row:
    """A linear layer."""
    byte = STORED.get(name, WEIGHT)
    sizes = {"d_in": d_in, "d_out": d_out, "bias": bias, "weight_bytes": byte, "act_bytes": ACT}
    return row(name, gemm.linear, d_out, *uses, kind=kind, tokens=TOKENS, **sizes)


def blocks(
    name: str, heads: int, d_in: int, d_out: int, *uses: str, kind: str | None = None, byte: float = WEIGHT
) -> Row:
    """A linear layer of every head."""
    sizes = {"heads": heads, "d_in": d_in, "d_out": d_out, "weight_bytes": byte, "act_bytes": ACT}
    return row(name, gemm.head_linear, heads * d_out, *uses, kind=kind, tokens=TOKENS, **sizes)


def each(name: str, function: Callable[..., Any], width: int, *uses: str, **sizes: float) -> Row:
    """A function of every element."""
    return row(name, function, width, *uses, tokens=TOKENS, width=width, act_bytes=ACT, **sizes)


def norm(name: str, width: int, *uses: str, heads: int = 1, weighted: bool = True) -> Row:
    """An RMS norm, of `heads` of `width` elements."""
    sizes = {"width": width, "weight_bytes": VECTOR if weighted else 0, "act_bytes": ACT}
    return row(name, pointwise.rms_norm, heads * width, *uses, tokens=TOKENS * heads, **sizes)


def filters(channels: int, taps: int, *uses: str, bias: int = 1, held: int | None = None) -> Row:
    """A short convolution."""
    sizes = {"batch": BATCH, "new": NEW, "channels": channels, "width": taps, "bias": bias}
    sizes |= {"weight_bytes": VECTOR, "act_bytes": ACT} | ({} if held is None else {"held": held})
    return row("conv", conv.causal_conv1d if held is None else conv.short_conv1d, channels, *uses, **sizes)


def append(width: int, *uses: str, held: int | None = None) -> Row:
    """What goes into the cache."""
    sizes = {"batch": BATCH, "new": NEW, "width": width, "act_bytes": ACT, "cache_bytes": CACHE}
    return replace(row("cache_append", attention.cache_append, 0, *uses, **sizes), held=held)


def scores(
    heads: int,
    kv_heads: int,
    qk_dim: int,
    v_dim: int,
    *uses: str,
    function: Callable[..., Any] = attention.causal_attention,
    flops: int = 5,
    held: int | None = None,
    **limit: float,
) -> Row:
    """Softmax attention; without a limit a token sees all seven."""
    sizes = {"batch": BATCH, "new": NEW, "context": CONTEXT, "heads": heads, "kv_heads": kv_heads, "qk_dim": qk_dim}
    sizes |= {"v_dim": v_dim, "pair_flops": flops, "act_bytes": ACT, "cache_bytes": CACHE}
    made = row("attention", function, heads * v_dim, *uses, **sizes, **(limit or {"window": NEW + CONTEXT}))
    return replace(made, held=held)


def recurrent(function: Callable[..., Any], width: int, *uses: str, state: int = STATE, **sizes: float) -> Row:
    """A recurrence; `vectors` of weights where it takes any."""
    weighted = function in (scan.ssd_scan, scan.selective_scan, *_WEIGHTED)
    common = {"batch": BATCH, "new": NEW, "act_bytes": ACT, "state_bytes": state}
    return row("scan", function, width, *uses, **common, **sizes, **({"weight_bytes": VECTOR} if weighted else {}))


def shift(name: str, mixes: int) -> Row:
    """A mix of each token with the one before, for each of several weights."""
    sizes = {"batch": BATCH, "new": NEW, "width": D, "mixes": mixes, "weight_bytes": VECTOR, "act_bytes": ACT}
    return row(name, gating.token_shift, mixes * D, "x", **sizes)


def gated_norm(function: Callable[..., Any], width: int, norm_weights: int, *uses: str) -> Row:
    """A norm of every head and its gate."""
    return each("output_norm", function, width, *uses, norm_weights=norm_weights, weight_bytes=VECTOR)


_WEIGHTED = (recurrence.wkv, recurrence.delta_rule, recurrence.rg_lru, recurrence.wkv4)


@dataclass(frozen=True)
class Case:
    """A part, and what the published definition says of it: operators, learned tensors by kind, what it holds.

    `state` gives shape and bytes per element of every tensor that one sequence holds after some tokens, `shared`
    tensors by the block that shares them, `idle` those that a token does not use.
    """

    fields: Mapping[str, Any]
    operators: Sequence[Row]
    tensors: Mapping[str, Sequence[Shape]]
    state: Callable[[int], Sequence[tuple[Shape, float]]] = lambda context: []
    shared: Mapping[str, Mapping[str, Sequence[Shape]]] = field(default_factory=dict)
    idle: Sequence[Shape] = ()
    p: Pass = PASS

    @property
    def part(self) -> Part:
        """The part itself, made anew."""
        return checked(PARTS[self.fields["kind"]], self.fields)


def elements(tensors: Sequence[Shape]) -> int:
    """How many numbers they hold."""
    return sum(prod(shape) for shape in tensors)


def check(case: Case) -> None:
    """A part is what its case says."""
    part = case.part
    found = rows_of(part.operators(case.p, D))
    assert [each.name for each in found] == [each.name for each in case.operators]
    for got, expected in zip(found, case.operators, strict=True):
        assert got == expected
    assert dict(part.parameters(D)) == {kind: elements(shapes) for kind, shapes in case.tensors.items()}
    counted = {block: {kind: elements(s) for kind, s in kinds.items()} for block, kinds in case.shared.items()}
    assert {block: dict(kinds) for block, kinds in part.shared_parameters(D).items()} == counted
    assert part.idle_parameters(D) == elements(case.idle)
    for context in (0, 1, 2, 3, 4, 20):
        held = sum(prod(shape) * byte for shape, byte in case.state(context))
        assert part.state_bytes(context, PRECISION) == held, context
