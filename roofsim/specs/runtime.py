"""What the software stack does to a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from roofsim.foundation.errors import one_of
from roofsim.foundation.parameters import Stated, stated
from roofsim.foundation.quantity import Bytes, Documented, Name, Sourced, Time
from roofsim.foundation.schema import Extra, Limit, Spec
from roofsim.foundation.units import MAX_COUNT
from roofsim.model.step import Latents, Logits, Product
from roofsim.model.weights import CACHE_BYTES, ENCODINGS
from roofsim.ops.base import Role

PositiveInt = Annotated[int, Limit(gt=0, le=MAX_COUNT)]
PositiveFloat = Annotated[float, Limit(gt=0)]
NotNegative = Annotated[float, Limit(ge=0)]

Mask = Literal["never", "always", "declared_window", "steps"]


class AttentionPolicy(Spec):
    """How attention is run."""

    kernel: Literal["flash", "written_out"] = "flash"
    """A flash kernel, or scores of every pair that are written to memory, masked, normalised and read again."""
    mask: Mask = "never"
    """When an N × N mask is built: from the length of the window on that a config states, even one that is switched off
    (declared_window), or in decode steps alone (steps). In families that have it so it is built wherever the runtime
    builds any. With a mask, the flash kernel is left for one that scores every pair."""
    mask_bytes: PositiveInt = 2
    """Bytes of each pair in a mask that is kept."""
    mask_build_bytes: PositiveInt = 6
    """Bytes of each pair in all copies of a mask while it is built."""
    mask_padded: bool = False
    """Whether the mask is first copied to aligned rows."""
    mask_kernels: Extra = 0
    """Kernels that build the mask. One of a single byte a pair is made numbers in every layer beside."""
    cudnn: bool = False
    """Whether attention with a mask stays with cuDNN, on devices where PyTorch prefers that library."""
    splits_blocks: Extra = 0
    """Heads of all sequences up to which cuDNN's kernel splits the keys up."""
    tiles: Literal["common", "device"] = "common"
    """Kernels that are made for the tiles of a device that has larger ones (device), or have 64 rows (common)."""
    one_call: bool = False
    """Whether single tokens go through in one call with prompts, on NVIDIA devices with tiles of 64 rows, where each
    head of each then has a tile of its own."""
    each_head: bool = False
    """Whether, on devices with fp8 units, a step of one sequence has a kernel that shares no keys between heads."""
    kv_heads: Literal["grouped", "repeated"] = "grouped"
    """Whether keys and values are first copied to every query head (repeated), or only where there is a mask."""
    copies_queries: bool = False
    """Whether a prefill makes queries contiguous."""
    splits_decode: bool = False
    """Whether a decode step spreads the keys over the device and sums up in a second kernel."""
    copies_first_cache: bool = False
    """Whether keys and values are concatenated to an empty cache."""
    converts_cache: bool = False
    """Whether a prefill first copies a cache of other than 16 bits to fp16, and a step one that the kernel for single
    queries does not read."""
    plans: bool = False
    """Whether each decode step, of a length not seen before, makes a new plan on devices that plan attention."""
    latents: Latents = "absorbed"
    """Form of latent attention in a decode step; a prefill always expands."""


class HostPolicy(Spec):
    """What the host does."""

    mode: Literal["none", "eager", "graph", "inline"] = "none"
    """Nothing that is waited for (none), launch every kernel (eager), or replay a captured graph (graph). Stacks that
    run on the host itself are inline: nothing is queued, each kernel follows its own preparation."""
    prefill: Literal["none", "eager", "graph"] | None = None
    """What it does in a prefill, where that is another."""
    work: PositiveFloat = 1.0
    """Host time of a kernel, relative to that of eager PyTorch (the `dispatch` of the host)."""
    launch: Time | None = None
    """Time of a step before its first kernel."""
    replay: Time | None = None
    """Host time of each kernel of a graph."""
    gap: Time | None = None
    """How long the device waits between two kernels of a graph."""
    captured: PositiveInt | None = None
    """Most tokens of the graphs that are made beforehand: a prefill of no more replays them piece by piece between its
    calls of attention, what has more is launched."""
    captured_most: PositiveInt | None = None
    """Most tokens of them where steps verify drafts, with as many more tokens as each sequence has drafted; without it
    graphs are of so many sequences, whatever tokens each has."""
    drafts: Literal["each", "round"] = "each"
    """How the drafts of a round are launched: each pass of a draft for itself, or all as one captured graph (round)."""
    drafts_ahead: bool = True
    """Whether steps that verify drafts are prepared while the device is at the step before, where others are."""
    drafts_work: NotNegative = 0.0
    """Host time of a round of drafts beside what its passes and a step take, in launches of a kernel, in which the
    device has nothing to do."""
    draft_map: NotNegative = 0.0
    """Kernels that make of a draft's scores those of the model's vocabulary, where the head has one of its own."""
    step_work: NotNegative = 0.0
    """Host time of each step, in launches of a kernel, in which the device has nothing to do."""
    ahead_work: NotNegative | None = None
    """The same of a decode step, where the host does it while the device is at the step before."""
    sequence_work: NotNegative = 0.0
    """Host time of each sequence in a decode step, in launches of a kernel, done while the device is at the step
    before."""
    request_work: NotNegative = 0.0
    """Host time of each request in a prefill, in launches of a kernel, in which the device has nothing to do."""


class MemoryPolicy(Spec):
    """What the process holds beside its tensors, and in which pieces prompts go through."""

    context: Bytes | None = None
    """What the driver holds."""
    fragmentation: Annotated[float, Limit(ge=0, le=1)] = 0.0
    """Slack of the allocator as a share of the peak."""
    workspace: bool = False
    """Whether the matrix library keeps a workspace."""
    reserve: Annotated[float, Limit(gt=0, le=1)] | None = None
    """Share of the device that is taken at the start and filled with blocks of cache: what does not go into it does not
    fit."""
    beside: bool = False
    """Whether that share, of what the driver leaves, is for weights and cache alone, and all else lies beside it."""
    block: PositiveInt = 1
    """Tokens of a block of cache."""
    in_a_row: bool = False
    """Whether the blocks of a prompt are taken in a row, so that they lie together."""
    chunk: PositiveInt | None = None
    """Most tokens of a prompt that go through at once."""
    large_chunk: PositiveInt | None = None
    """The same on devices with more memory."""
    large_from: Bytes | None = None
    """Memory from which on it is that."""
    small: tuple[str, ...] = ()
    """Words of the names of devices that are taken to have less, whatever they have."""
    side_by_side: PositiveInt | None = None
    """Tokens that are handed over together: a chunk has equal parts of all their prompts."""
    mixed: bool = False
    """Whether sequences whose prompts are through go on in the same steps, where each takes the room of a token."""


class ServerPolicy(Spec):
    """How a server puts requests that come and go into steps, unless it is told otherwise."""

    tokens: PositiveInt
    """Most new tokens of a step."""
    large_tokens: PositiveInt | None = None
    """The same on devices with more memory (`memory.large_from`)."""
    sequences: PositiveInt
    """Most sequences at once."""
    large_sequences: PositiveInt | None = None
    """The same on devices with more memory."""
    ahead: Extra = 0
    """Steps that are laid out before the results of the one in progress are there."""
    whole: bool = False
    """Whether prompts go through whole, where others are cut to what fits a step."""
    share: Annotated[float, Limit(gt=0, le=1)] = 1.0
    """Share of the memory that weights and activations leave which is for what sequences hold."""
    room: Literal["grown", "next", "all"] = "grown"
    """What a request finds room for before it begins: its prompt, and more as it grows (grown), all its tokens, as all
    did before it (all), or all its own beside what others hold and a part of what they may still make (next)."""
    kept: Annotated[float, Limit(ge=0, le=1)] = 0.0
    """The share of the tokens that those may still make for which there is room (next)."""


class OffloadPolicy(Spec):
    """What the software does with weights that do not lie on the device."""

    processor: Name | None = None
    """The runtime that computes, on the processor of the host, with what lies in its memory."""
    copies_from: PositiveInt | None = None
    """Tokens of a pass from which it copies such weights to the device and computes there instead."""
    streams: Literal["copied", "prefetched", "in_place"] | None = None
    """How weights that lie in the memory of the host are computed with on the device: each layer is copied before it
    runs (copied), while the layer before runs (prefetched), or kernels read them over the link (in_place)."""
    maps: bool = False
    """Whether weights on the host are mapped from their file: those that exceed its memory are read from its disk."""
    experts: Literal["used", "all"] = "used"
    """Whether the experts that are used are copied, or all of a layer."""
    caches: bool = False
    """Whether caches may lie there of layers that the device computes; they come to it for every pass."""
    reaches: Sourced | None = None
    """Share of the rate of the link to the host that its copies reach; all of it, if nothing is said."""
    crossing: Time | None = None
    """Time that handing over from one processor to the other takes beside the bytes that go along."""


class MatrixLibrary(Spec):
    """Kernels that the matrix library adds of its own accord, and what it multiplies in."""

    splits_from: PositiveInt | None = None
    """Inputs from which on a decode step splits products that have no more outputs than inputs, and sums the pieces in
    a second kernel."""
    clears_from: PositiveInt | None = None
    """Results (tokens × outputs) from which on a product of a prefill clears a buffer first."""
    clears_width: PositiveInt | None = None
    """Outputs from which on a product of a decode step does."""
    tile_rows: PositiveInt | None = None
    """Rows of a tile: products of more compute whole tiles of as many."""
    dequantises_from: PositiveInt | None = None
    """Rows from which on a product copies quantised weights to fp16 first."""
    expert_rows: PositiveInt = 8
    """Tokens up to which ggml multiplies experts by vectors, a matrix for every token and each of its experts."""
    accumulates: Literal["fp32", "fp16"] = "fp32"
    """Dtype in which products in fp16 are summed up."""
    tiles: Literal["int8", "fp16"] = "int8"
    """Dtype in which kernels for many rows multiply quantised weights."""
    converts: bool = True
    """Whether large products in fp16 have their activations converted by kernels of their own."""
    repacks: Literal["k_quants", "four_bits"] = "k_quants"
    """Weights that ggml's kernels for several rows on a processor take: k-quants too, or blocks of 32 in four bits
    alone."""
    fp32: Literal["exact", "tf32"] = "exact"
    """What products in fp32 are computed in: exactly, which takes vector units on most devices, or in tf32."""

    @property
    def rounds(self) -> bool:
        """Whether products in fp32 may be computed in tf32."""
        return self.fp32 == "tf32"


Way = Literal["ring", "tree", "nvls", "two_level", "one_shot", "two_shot", "multimem"]
Division = Literal["tp", "pp", "ep", "dp", "cp"]


class Taken(Sourced):
    """A number of units."""

    value: Annotated[float, Limit(ge=0, le=MAX_COUNT)]


class Spread(Sourced):
    """A standard deviation relative to its mean."""

    value: Annotated[float, Limit(ge=0, le=100)]


class ParallelPolicy(Spec):
    """How a model runs on several devices."""

    divides: tuple[Division, ...] = ()
    """Ways in which it can be divided (--tp, --pp, --ep, --dp, --cp); others are refused."""
    all_reduce: tuple[Way, ...] = ("ring", "tree")
    """Algorithms that add up what devices have, of which the fastest is taken: NCCL's ring, tree and reduction in the
    switch (nvls), a sum in each node before one between nodes (two_level), kernels that read the memory of their peers
    (one_shot, two_shot) or let the switch add it up (multimem)."""
    overlaps: Literal["nothing", "halves", "all"] = "nothing"
    """What devices compute while they exchange: nothing; one half of a step while they exchange the other, so that each
    half reads all weights; or all of a layer at the same time, which is a bound."""
    units: Taken | None = None
    """Units of a device that are busy with exchanging, and not there to compute meanwhile, in a prefill."""
    tokens: Literal["sent", "gathered"] = "sent"
    """How tokens get to experts on other devices: to those that have the experts which they chose (sent), or to all
    (gathered), whose results are added up."""
    expert_spread: Spread | None = None
    """Standard deviation of how often experts are chosen, beyond chance and relative to the mean, as the placement of
    experts and their copies leaves it; evenly, without it."""
    copies: Literal["kept", "shared"] = "kept"
    """What devices of a layer hold of keys of which each would have a copy: it (kept), or a share of the tokens
    (shared)."""
    stream: Literal["whole", "shared"] = "whole"
    """What they have of the stream between the parts of a layer, where norms are: all of it (whole), or that of a share
    of the tokens (shared), which sums are scattered to and inputs gathered from."""
    micro_batches: bool = False
    """Whether every stage of a pipeline has a part of the batch at the same time, or one stage all of it."""


class Runtime(Documented):
    """A software stack at one version."""

    name: str
    """What it is called in full."""
    id: str = ""
    """What it is called on the command line: its file."""
    aliases: tuple[Name, ...] = ()
    """Other names of a shipped file."""
    version: str
    """The release and the settings that are described."""
    lowering: Name
    """What turns operators into kernels, a module of `roofsim.lowering`: fused (each operator one kernel), eager
    (PyTorch, op by op), mamba_ssm (its own kernels for scans), ggml, ggml_cuda and ggml_cpu (llama.cpp), serving
    (vLLM)."""
    back_end: Name | None = None
    """Whose kernels the lowering's are, where it describes the graph of several back ends that have their own: what is
    learnt of one says little of another."""
    runs_on: tuple[str, ...] = ()
    """Devices that its kernels are written for, by kind (cpu) or vendor and kind (Apple soc), all if empty: predictions
    for others say so."""
    implementation: str | None = None
    """The library whose code runs the models, with its facts of each family (`runtimes/implementations/`)."""
    fused: tuple[Role, ...] = ()
    """Roles of operators that are one kernel which moves nothing twice, whatever the lowering makes of others
    (docs/runtimes.md lists them)."""
    call: Literal["generate", "plain"] = "generate"
    """Whether a model is called by itself (plain), or by something that hands it a cache (generate)."""
    sequences: PositiveInt | None = None
    """Most sequences that run at once; the others wait."""
    logits: Logits = "last"
    """Positions that are scored in a prefill: all takes memory and work for the vocabulary at every token."""
    cache: Literal["static", "indexed", "concat", "paged"] = "static"
    """How a cache grows: laid out beforehand and written in place (static), by indices that the device works out
    (indexed), concatenated at each step (concat), or in pages (paged)."""
    spare: Extra = 0
    """Places beyond what is held that are laid out, and attended to in a step."""
    state: Literal["fp32", "model"] = "fp32"
    """Dtype of recurrent states: fp32, or the model's."""
    experts: Literal["grouped", "loop"] = "grouped"
    """Whether all experts of a layer are one grouped product, or each that is used its own (loop)."""
    narrows: bool = False
    """Whether only scored positions go on after the mixer of the last layer."""
    attention: AttentionPolicy = field(default_factory=AttentionPolicy)
    """How attention is run."""
    host: HostPolicy = field(default_factory=HostPolicy)
    """What the host does."""
    matrix_library: MatrixLibrary = field(default_factory=MatrixLibrary)
    """Kernels that the matrix library adds of its own accord, and what it multiplies in."""
    memory: MemoryPolicy = field(default_factory=MemoryPolicy)
    """What the process holds beside its tensors, and in which pieces prompts go through."""
    parallel: ParallelPolicy = field(default_factory=ParallelPolicy)
    """How a model runs on several devices."""
    server: ServerPolicy | None = None
    """How requests that come and go are put into steps; without it, it serves no such."""
    offload: OffloadPolicy = field(default_factory=OffloadPolicy)
    """What it does with weights that do not lie on the device."""
    parameters: Stated = field(default_factory=dict)
    """Parameters that its kernels have on any device (gemm_efficiency: 0.4; docs/parameters.md lists them), over what a
    device file states for the usual ones."""
    products: Mapping[Name, tuple[Product, ...]] | None = None
    """Kernels for quantised weights by their encoding or its family (docs/weights.md), in order of preference: others
    are refused. Without it, weights of any are unpacked inside the product."""
    quantises: Literal["fused", "apart"] = "fused"
    """Whether norms and activations quantise what they hand to a product in fp8 or fp4 on their way (fused), or a
    kernel of its own does (apart)."""
    lacks: Mapping[Name, str] = field(default_factory=dict)
    """Why there are no kernels for an encoding or a family of them, and what may be asked for instead."""
    caches: tuple[Name, ...] | None = None
    """Encodings that a KV cache can have beside the dtype of activations; any, without it."""
    supports: tuple[str, ...] = ()
    """Families of models that it can run, all if empty; others are refused."""
    explains: Mapping[str, str] = field(default_factory=dict)
    """Why, field by field."""

    def __post_init__(self) -> None:
        super().__post_init__()
        stated(self.parameters)
        known = {each for name, form in ENCODINGS.items() if form.family for each in (name, form.family)}
        for name in (*(self.products or {}), *self.lacks):
            if name not in known:
                raise ValueError(
                    f"{'lacks' if name in self.lacks else 'products'}: no encoding '{name}' and no family "
                    f"of them; one of {', '.join(sorted(known))}"
                )
        for name in self.caches or ():
            if name not in CACHE_BYTES:
                raise ValueError(f"caches: {one_of('encoding of a cache', name, CACHE_BYTES)}")

    def written_for(self, vendor: str, kind: str) -> bool:
        """Whether the kernels are written for such a device."""
        return not self.runs_on or not {kind, f"{vendor} {kind}"}.isdisjoint(self.runs_on)
