"""What a runtime makes of an operator: kernels, and the memory that they need on the side."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from roofsim.foundation.arith import Number, single
from roofsim.foundation.cost import Cost
from roofsim.foundation.values import dataclass
from roofsim.model.step import Pass, Phase
from roofsim.ops.base import Role
from roofsim.specs.implementation import NOTHING_KNOWN, Facts
from roofsim.specs.runtime import Runtime, Way

Class = Literal[
    "gemm", "vector_product", "row_product", "packed_product", "quantised_tiles", "attention",
    "masked_attention", "narrow_masked_attention", "delta", "ssd", "scan", "stream", "strided", "transpose", "replay",
    "loop", "scalar_loop", "block_product", "dot_product", "repacked_product", "unpacked_product", "row_attention",
    "collective",
]  # fmt: skip
"""What a kernel is like: decides which efficiencies hold for it. Those of the line before the last are ggml's on a
processor, the last is what devices run together."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a group of devices does together in one launch: the name of its operator, `payload` bytes in all.

    Each of `ranks` devices stands `stride` from the next in the order of devices; the fastest of `ways` that their
    links allow is taken. Where tokens go to experts, `chosen` says among how many experts, how many groups of them and
    how many groups of a token, and how many it chooses.
    """

    what: str
    payload: Number
    ranks: int
    stride: int
    ways: tuple[Way, ...]
    chosen: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Kernel:
    """One launch (or `count` equal ones).

    `fill` is extra matrix work that stands for a unit that is not yet full (Hockney's n½ times the work per element),
    `whole` the matrix work of whole tiles of rows, which it takes if that is more, `blocks` how many independent pieces
    the work has: with fewer than the device has units, the rest idle, unless it is stated how many `clocks` each takes
    at least, however many there are. A block of attention has
    `rows` of queries and is cut into tiles of as many as the device's kernels take. A block or tile keeps `spread`
    units busy: more than one where it can be cut further, less where the longest outlasts the others; `padding` is the
    work of whole tiles relative to that which is asked for. It takes at least the time of `beneath`, which is a part
    of it, and at most that of all `instead`, which could take its place.
    Its blocks take `steps` one after the other that each wait for memory, however little they move, or wait for
    the last-level cache `waits` times. Where its matrix
    work is done in `tiles` of `tile` FLOP each, padding included, units take them round by round; those of several
    `cuts` are shared out cut by cut, unless that many fill the rounds, and what units leave unfinished, `sums` bytes
    of results, is added up at the end. `unpacking` is the matrix work of a tile with one row of activations: each
    unpacks its weights. Blocks read `again` bytes that others read at the same time, from the last-level cache. A
    block adds up as many as `parts` results one after the other, as far as blocks were there to make so many.
    `indexed` elements are found by index arithmetic, one by one. Each byte of activations that it touches it moves
    `uses` times: two where results are written over inputs. What it reads of a cache in pages lies in so many
    `pieces`.
    `unit` is the dtype whose matrix unit does its products, where that is not the dtype of activations and the device
    has one. What devices do together is its `exchange`. `triton` says that Python launches it through Triton, which
    costs the host more, `joined` that it is a part of the launch before it, `replayed` where (1) a call that is made
    anyway brings it along: that of a graph, or of a library that launches several.
    """

    name: str
    like: Class
    cost: Cost
    count: Number = 1
    fill: Number = 0
    whole: Number | None = None
    unpacking: Number = 0
    blocks: Number | None = None
    clocks: Number | None = None
    rows: Number | None = None
    spread: Number = 1
    padding: Number = 1
    steps: Number | None = None
    waits: Number | None = None
    beneath: Kernel | None = None
    instead: tuple[Kernel, ...] = ()
    tiles: Number | None = None
    tile: Number = 0
    cuts: Number = 1
    sums: Number | None = None
    again: Number = 0
    parts: Number | None = None
    indexed: Number | None = None
    pieces: Number | None = None
    uses: Number = 1
    unit: str | None = None
    triton: bool = False
    joined: bool = False
    replayed: Number = 0
    exchange: Exchange | None = None


@dataclass(frozen=True, slots=True)
class Lowered:
    """The kernels of one operator.

    `temporary` are bytes that live only while it runs, `out` the size of its result if it is not the
    operator's, `holds` the roles of operators whose results a Python scope keeps alive until then though nothing reads
    them.
    """

    kernels: tuple[Kernel, ...]
    temporary: Number = 0
    out: Number | None = None
    holds: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """What a lowering may depend on beside the operator: the runtime, the pass, and facts of the code that is run.

    `masked` is 1 where an N × N mask is passed to attention, else 0; like every size it may be an array. `cudnn` says
    that it goes to that library all the same, `captured` is 1 where the pass has no more tokens than any graph.
    `each_head` says that a step of one sequence reads keys for every query head. `units` are those of a device whose
    attention is FlashAttention-2's, where a runtime takes what a device has, `one_call` that this takes single tokens
    together with prompts. `step` is the phase of the step, where the
    pass is one of its groups of sequences.
    """

    runtime: Runtime
    p: Pass
    facts: Facts = NOTHING_KNOWN
    masked: Number = 0
    cudnn: bool = False
    captured: Number = 0
    each_head: bool = False
    units: Number | None = None
    one_call: bool = False
    step: Phase | None = None


FP32, FP16 = 4, 2
"""Bytes per element."""


def piece(name: str, like: Class, elements: Number, moved: Number, flops: Number = 1, count: Number = 1) -> Kernel:
    """An element-wise kernel that moves `moved` bytes per element."""
    return Kernel(name, like, Cost(vector=flops * elements, activations=elements * moved), count)


COPIED, JOINED = 3 / 4, 5 / 3
"""Index arithmetic of an element that is copied, and of one that is joined (by plain divisions), relative to that of
one of two operands: on an H100 1.7, 0.78 and 1.3 elements per clock and unit (docs/decisions/027)."""


def indexed(
    name: str, elements: Number, moved: Number, flops: Number = 1, count: Number = 1, work: Number = 1
) -> Kernel:
    """An element-wise kernel on a broadcast or permuted tensor: PyTorch finds its elements one by one."""
    return replace(piece(name, "strided", elements, moved, flops, count), indexed=work * elements)


def tiny(name: str, count: Number = 1) -> Kernel:
    """A kernel on so few elements that only its launch counts."""
    return Kernel(name, "stream", Cost(), count)


def brought(name: str, count: Number = 1) -> Kernel:
    """A small kernel of a library that launches several in a call: Python, most of a launch, calls it once."""
    return replace(tiny(name, count), replayed=1)


def launched(*kernels: Kernel) -> tuple[Kernel, ...]:
    """The kernels that are launched at all, as far as that is known."""
    return tuple(each for each in kernels if not single(each.count) or float(each.count))


def norm_pieces(elements: Number, a: Number, in_fp32: bool = False) -> tuple[Kernel, ...]:
    """x → fp32, square, mean, + ε, rsqrt, x · r, → back, · weight; or the weight `in_fp32` and then back."""
    back = piece("from fp32", "stream", elements, FP32 + a)
    weight = piece("weight", "strided", elements, FP32 + a if in_fp32 else 2 * a)
    return (
        piece("to fp32", "strided", elements, a + FP32),
        piece("square", "stream", elements, 2 * FP32),
        piece("mean", "strided", elements, FP32),
        tiny("rsqrt(mean + eps)", 2),
        piece("scale", "strided", elements, 2 * FP32),
        *((weight, back) if in_fp32 else (back, weight)),
    )


def keeps_state(s: Situation) -> bool:
    """Whether this pass copies new states into a cache."""
    return s.p.phase == "prefill" and not (s.facts.drops_cache and s.runtime.call == "plain")
