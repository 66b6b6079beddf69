"""What the software stack does to a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from roofsim.foundation.parameters import stated
from roofsim.foundation.quantity import Bytes, Documented, Name, Sourced, Time
from roofsim.foundation.schema import Extra, Limit, Spec
from roofsim.model.step import Latents, Logits, Product
from roofsim.model.weights import CACHE_BYTES
from roofsim.ops.base import Role

PositiveInt = Annotated[int, Limit(gt=0)]
PositiveFloat = Annotated[float, Limit(gt=0)]
NotNegative = Annotated[float, Limit(ge=0)]

Mask = Literal["never", "always", "declared_window", "steps"]


class AttentionPolicy(Spec):
    """How attention is run.

    `mask` says when an N × N mask is built: `declared_window` means as soon as the sequence is as long as the window
    that the config states, even one that is switched off, or always in families that have it so; `steps` means in
    decode steps alone. With a mask, the flash kernel is left for one that scores every pair, but for `cudnn` on
    devices where PyTorch prefers that library, whose kernel takes the mask as well and splits the keys up to
    `splits_blocks` heads of all sequences; `mask_padded` says that the mask is first copied to aligned rows,
    `mask_kernels` counts the kernels that build it, and one of a single byte is made numbers in every layer.
    `converts_cache` says that a prefill first copies a cache of other than 16 bits to fp16, and a step one that the
    kernel for single queries does not read.
    `kv_heads: repeated` copies keys and values to every query head first, `grouped` only where there is a mask;
    `copies_queries` makes queries contiguous in prefill; `copies_first_cache` concatenates to an empty cache;
    `splits_decode` spreads the keys of a decode step over the device and sums up in a second kernel. `plans` says
    that each decode step has a length not seen before, for which devices that plan attention make a new plan.
    `latents` is the form of latent attention in a decode step; a prefill always expands. `kernel: written_out` is for
    stacks that score every pair in memory instead of running a flash kernel. `tiles: device` is for kernels that are
    made for the tiles of a device that has larger ones; others have the common 64 rows. `each_head` is for a stack
    that, on devices with fp8 units, runs a step of one sequence by a kernel that shares no keys between query heads.
    """

    kernel: Literal["flash", "written_out"] = "flash"
    mask: Mask = "never"
    mask_bytes: PositiveInt = 2
    mask_build_bytes: PositiveInt = 6
    mask_padded: bool = False
    mask_kernels: Extra = 0
    cudnn: bool = False
    splits_blocks: Extra = 0
    tiles: Literal["common", "device"] = "common"
    each_head: bool = False
    kv_heads: Literal["grouped", "repeated"] = "grouped"
    copies_queries: bool = False
    splits_decode: bool = False
    copies_first_cache: bool = False
    converts_cache: bool = False
    plans: bool = False
    latents: Latents = "absorbed"


class HostPolicy(Spec):
    """What the host does: nothing, launch every kernel (`eager`), or replay a captured graph (`graph`).

    `inline` is for stacks that run on the host itself: nothing is queued, each kernel follows its own preparation.
    `prefill` is for stacks that do otherwise there. `work` is the host time per kernel relative to eager
    PyTorch, `replay` the time per kernel of a graph, `launch` the time of a step before its first kernel. `gap` is
    how long the device waits between two kernels of a graph. Graphs of up to `captured` tokens are made beforehand;
    a prefill of no more replays them piece by piece between its calls of attention, what has more is launched.
    `step_work` is host time of each step and `request_work` of each request in a prefill, in launches of a kernel; the
    device has nothing to do in it. `ahead_work` is that for a decode step, `sequence_work` that for each sequence in
    it, where the host does both while the device is at the step before.
    """

    mode: Literal["none", "eager", "graph", "inline"] = "none"
    prefill: Literal["none", "eager", "graph"] | None = None
    work: PositiveFloat = 1.0
    launch: Time | None = None
    replay: Time | None = None
    gap: Time | None = None
    captured: PositiveInt | None = None
    step_work: NotNegative = 0.0
    ahead_work: NotNegative | None = None
    sequence_work: NotNegative = 0.0
    request_work: NotNegative = 0.0


class MemoryPolicy(Spec):
    """What the process holds beside its tensors.

    `context` is the driver's, `fragmentation` the allocator's slack as a share of the peak; `workspace` says
    whether the matrix library keeps one. `reserve` is the share of the device that is taken at the start and
    filled with blocks of `block` tokens of cache; `chunk` the most tokens of a prompt that go through at once,
    `large_chunk` on devices with memory of `large_from` and more. Where `side_by_side` tokens are handed over together,
    a chunk has equal parts of all their prompts. `mixed` says that sequences whose prompts are through go on in the
    same steps, where each takes the room of a token.
    """

    context: Bytes | None = None
    fragmentation: Annotated[float, Limit(ge=0, le=1)] = 0.0
    workspace: bool = False
    reserve: Annotated[float, Limit(gt=0, le=1)] | None = None
    block: PositiveInt = 1
    chunk: PositiveInt | None = None
    large_chunk: PositiveInt | None = None
    large_from: Bytes | None = None
    side_by_side: PositiveInt | None = None
    mixed: bool = False


class MatrixLibrary(Spec):
    """Kernels that the matrix library adds of its own accord.

    `splits_from`: a decode step splits products that have at least so many inputs, and no more outputs than
    inputs, and sums the pieces in a second kernel; `clears_from`: a prefill's products with at least so many
    results (tokens × outputs) clear a buffer first, and a decode step's with at least `clears_width` outputs.
    `tile_rows`: products with more rows than these compute them in whole tiles of as many.
    `dequantises_from`: products with at least so many rows copy quantised weights to fp16 first. `accumulates` is the
    dtype in which products in fp16 are summed up. `tiles` is the dtype that kernels for many rows multiply quantised
    weights in; `converts` says that large products in fp16 have their activations converted by kernels of their own.
    `fp32` says what products in fp32 are computed in: exactly, which takes vector units on most devices, or in tf32.
    `repacks` says which weights ggml's kernels for several rows on a processor take: k-quants too, or blocks of 32 in
    four bits alone.
    """

    splits_from: PositiveInt | None = None
    clears_from: PositiveInt | None = None
    clears_width: PositiveInt | None = None
    tile_rows: PositiveInt | None = None
    dequantises_from: PositiveInt | None = None
    accumulates: Literal["fp32", "fp16"] = "fp32"
    tiles: Literal["int8", "fp16"] = "int8"
    converts: bool = True
    repacks: Literal["k_quants", "four_bits"] = "k_quants"
    fp32: Literal["exact", "tf32"] = "exact"

    @property
    def rounds(self) -> bool:
        """Whether products in fp32 may be computed in tf32."""
        return self.fp32 == "tf32"


class Runtime(Documented):
    """A software stack at one version.

    `lowering` names the module of `roofsim.lowering` that turns operators into kernels, `implementation` the library
    whose code runs the models, with its facts of each family. `fused` lists roles of operators that are one kernel
    which moves nothing twice, whatever the lowering makes of others. `supports` lists the families it can run, all if
    it is empty. `runs_on` lists the devices that its kernels are written for, by kind (`cpu`) or vendor and kind
    (`Apple soc`), all if it is empty; a prediction for another says so. A cache is laid out beforehand and written in
    place (`static`), by indices that the device works out (`indexed`), in pages, or concatenated; `spare` places
    beyond what is held are laid out and attended to in a step. At most so many `sequences` run at once, the others
    wait. `call` says whether a model is called by itself (`plain`) or by something that hands it a cache, as `generate`
    does. `state` is the dtype of recurrent states: fp32 or the
    model's. `experts` says whether all experts of a layer are one grouped product or each that is used its own.
    `narrows` says that only scored positions go on after the mixer of the last layer. `products` has the kernels for
    quantised weights by their encoding or its family, in order of preference: weights of others are refused. Without
    it, weights of any are unpacked inside the product. `caches` are the encodings that a KV cache can have beside the
    dtype of activations, any without it. `parameters` are values of calibratable parameters that its
    kernels have on any device, over what a device file states for the usual ones. `explains` says why, field by field.
    """

    name: str
    id: str = ""
    aliases: tuple[Name, ...] = ()
    version: str
    lowering: Name
    runs_on: tuple[str, ...] = ()
    implementation: str | None = None
    fused: tuple[Role, ...] = ()
    call: Literal["generate", "plain"] = "generate"
    sequences: PositiveInt | None = None
    logits: Logits = "last"
    cache: Literal["static", "indexed", "concat", "paged"] = "static"
    spare: Extra = 0
    state: Literal["fp32", "model"] = "fp32"
    experts: Literal["grouped", "loop"] = "grouped"
    narrows: bool = False
    attention: AttentionPolicy = field(default_factory=AttentionPolicy)
    host: HostPolicy = field(default_factory=HostPolicy)
    matrix_library: MatrixLibrary = field(default_factory=MatrixLibrary)
    memory: MemoryPolicy = field(default_factory=MemoryPolicy)
    parameters: Mapping[str, Sourced] = field(default_factory=dict)
    products: Mapping[Name, tuple[Product, ...]] | None = None
    caches: tuple[Name, ...] | None = None
    supports: tuple[str, ...] = ()
    explains: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        stated(self.parameters)
        for name in self.caches or ():
            if name not in CACHE_BYTES:
                raise ValueError(f"caches: no '{name}'; one of {', '.join(CACHE_BYTES)}")

    def written_for(self, vendor: str, kind: str) -> bool:
        """Whether the kernels are written for such a device."""
        return not self.runs_on or not {kind, f"{vendor} {kind}"}.isdisjoint(self.runs_on)
