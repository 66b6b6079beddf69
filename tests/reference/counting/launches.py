"""Launches written down by hand: for an operator of a toy network, what a runtime launches and what each moves.

The prefill has 2 sequences of 3 new tokens on 4 held ones, the step 2 of 1 on 6; elements have the bytes of `rows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import pytest

from counting.rows import ACT, PASS, PRECISION
from roofsim import library
from roofsim.foundation.schema import variant
from roofsim.lowering.step import lower
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass
from roofsim.specs.files import build
from roofsim.specs.runtime import Runtime

PREFILL = PASS
STEP = Pass(2, 1, 6, PRECISION, phase="decode")
FP32, FP16 = 4, 2


@dataclass(frozen=True)
class Launch:
    """One kernel, `count` times."""

    like: str
    count: float = 1
    matrix: float = 0
    vector: float = 0
    weights: float = 0
    activations: float = 0
    state: float = 0
    fill: float = 0
    blocks: float | None = None
    clocks: float | None = None
    rows: float | None = None
    spread: float = 1
    padding: float = 1
    indexed: float | None = None
    whole: float | None = None
    waits: float | None = None
    uses: float = 1
    triton: bool = False
    joined: bool = False


@dataclass(frozen=True)
class Own:
    """One kernel with the operator's own cost, and `more` activations; `part` of it, or what is given in its place."""

    like: str
    fill: float = 0
    count: float = 1
    more: float = 0
    part: float = 1
    triton: bool = False
    joined: bool = False
    instead: Mapping[str, float] | None = None
    blocks: float | None = None
    rows: float | None = None
    spread: float = 1
    padding: float = 1
    whole: float | None = None
    indexed: float | None = None
    waits: float | None = None
    uses: float = 1


def tiled(heads: int, key_heads: int = 2, context: int = 4, new: int = 3, last: int = 7, **more: Any) -> Own:
    """Attention of two sequences: the queries of heads that share keys together, at least 64; the last see the most.

    Of the last 128 keys that a query sees in one go, half are masked in the mean.
    """
    mean, rows = context + (new + 1) / 2, new * heads / key_heads
    padding = 64 / rows * (mean + 64) / mean
    return Own("attention", blocks=2 * key_heads, rows=rows, spread=mean / last, padding=padding, **more)


def of_a_token(heads: int, key_heads: int, spread: float = 1, **more: Any) -> Own:
    """Attention of a token of each of two sequences: a block for each key head, its keys cut into parts of 128."""
    return Own("attention", blocks=2 * key_heads, rows=heads / key_heads, spread=spread, **more)


def each(
    like: str, elements: float, reads: float, writes: float, flops: float = 1, count: float = 1,
    indexed: float | None = None,
) -> Launch:  # fmt: skip
    """So many elements, of which so many bytes are read and written, with some steps each; `indexed` found one by one.

    Such an element is work relative to that of two operands: 3/4 for a copy, 5/3 for a join.
    """
    found = None if indexed is None else indexed * elements
    return Launch(like, count, vector=flops * elements, activations=elements * (reads + writes), indexed=found)


def tiny(count: float = 1) -> Launch:
    """A launch on next to nothing."""
    return Launch("stream", count)


BASE: dict[str, Any] = {
    "name": "toy", "family": "llama", "d_model": 10, "vocab": 7, "tied_embeddings": True,
    "layout": [{"repeat": 1, "of": ["one"]}], "sources": {"here": "made up"},
}  # fmt: skip


def network(*parts: Mapping[str, Any], family: str = "llama", **changes: Any) -> Architecture:
    """A toy network of one layer."""
    return build(Architecture, {**BASE, "family": family, "layers": {"one": list(parts)}, **changes}, "toy.yaml")


def runtime(name: str, **changes: Any) -> Runtime:
    """A shipped runtime with some policies changed, field by field."""
    made = library.runtime(name)
    nested = {
        key: variant(getattr(made, key), **value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return variant(made, **nested)


@dataclass(frozen=True)
class Expected:
    """Launches of an operator, bytes that it takes on the side, and the size of its result where that is changed."""

    launches: Sequence[Launch | Own]
    temporary: float = 0
    out: float | None = None


def check(
    model: Architecture,
    stack: Runtime,
    p: Pass,
    expected: Mapping[str, Expected | Sequence[Launch | Own]],
    device: str | None = None,
) -> None:
    """Operators of a network are launched as expected; kernels that are not launched at all do not count."""
    on = library.device(device) if device else None
    found = {o.name: (o, lowered) for row in lower(model, stack, p, on) for o, lowered in row}
    for name, stated in expected.items():
        wanted = stated if isinstance(stated, Expected) else Expected(stated)
        operator, lowered = found[name]
        got = [
            Launch(
                k.like, k.count, k.cost.matrix, k.cost.vector, k.cost.weights, k.cost.activations, k.cost.state,
                k.fill, k.blocks, k.clocks, k.rows, k.spread, k.padding, k.indexed, k.whole, k.waits, k.uses,
                k.triton, k.joined,
            )
            for k in lowered.kernels
            if k.count
        ]  # fmt: skip
        asked = [launch if isinstance(launch, Launch) else resolved(launch, operator) for launch in wanted.launches]
        assert [(k.like, k.triton, k.joined) for k in got] == [(k.like, k.triton, k.joined) for k in asked], name
        for number, (one, other) in enumerate(zip(got, asked, strict=True)):
            assert numbers(one) == pytest.approx(numbers(other)), (name, number)
        assert lowered.temporary == pytest.approx(wanted.temporary), name
        if wanted.out is not None:
            assert lowered.out == wanted.out


def numbers(launch: Launch) -> list[float]:
    """Its counts and costs."""
    return [-1 if value is None else value for value in astuple(launch)[1:17]]


def resolved(own: Own, operator: Any) -> Launch:
    """The launch with the cost that the operator has when nothing is materialised."""
    c = operator.cost
    columns = {"matrix": c.matrix, "vector": c.vector, "weights": c.weights, "state": c.state}
    columns |= {"activations": c.activations + own.more}
    columns |= dict(own.instead or {})
    scaled = {name: value * own.part for name, value in columns.items()}
    return Launch(
        own.like, own.count, fill=own.fill, blocks=own.blocks, rows=own.rows, spread=own.spread, padding=own.padding,
        whole=own.whole, indexed=own.indexed, waits=own.waits, uses=own.uses, triton=own.triton,
        joined=own.joined, **scaled,
    )  # fmt: skip


GQA: dict[str, Any] = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 3}
MLP = {"kind": "mlp", "width": 6}
GATED = {"kind": "gated_mlp", "width": 6}
SSM = {"kind": "mamba2", "heads": 4, "head_dim": 3, "d_state": 5, "groups": 2, "chunk": 2}
SELECTIVE = {"kind": "mamba1", "d_inner": 6, "d_state": 4, "dt_rank": 2}


def chunked_scan(new: int) -> tuple[list[Launch], int]:
    """The five kernels of mamba_ssm on two sequences in chunks of two, and elements of the states of all chunks.

    Four heads of three channels; B and C of five elements for two groups. States go through memory in fp32, and again
    in the dtype of the activations; Δ and its running sum are fp32. Products are of whole chunks.
    """
    tokens, chunks = 2 * new, 2 * -(-new // 2)
    whole = 2 * max(new, 2)
    states, deltas, scores = chunks * 12 * 5, tokens * 4, chunks * 2 * 2 * 2
    b = tokens * 2 * 5
    below = whole * (2 + 1) / 2  # pairs that are not masked
    return [
        Launch("stream", activations=deltas * ACT + 2 * deltas * FP32, triton=True),
        Launch(
            "ssd", matrix=2 * whole * 12 * 5,
            activations=(tokens * 12 + b) * ACT + 2 * deltas * FP32 + states * FP32, triton=True,
        ),
        Launch(
            "strided", vector=2 * states, activations=states * FP32 + states * ACT, state=2 * 2 * 12 * 5 * FP32,
            triton=True,
        ),
        Launch("ssd", matrix=2 * whole * 2 * 2 * 5, activations=2 * b * ACT + scores * FP32, triton=True),
        Launch(
            "ssd", matrix=2 * below * 12 + 2 * whole * 12 * 5, vector=3 * below * 4,
            activations=scores * FP32 + (2 * tokens * 12 + b) * ACT + 2 * deltas * FP32 + states * ACT, triton=True,
        ),
    ], states  # fmt: skip
