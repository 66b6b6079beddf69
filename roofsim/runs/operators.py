"""Rows that measured one operator: the kernels that its name and the sizes in its note stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from roofsim.foundation.arith import Number, ceil
from roofsim.foundation.cost import Cost
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.lowering import eager, fused, masked, recurrent, serving
from roofsim.lowering.kernels import JOINED, Kernel, Situation, piece
from roofsim.lowering.step import common_tiles
from roofsim.model.architecture import Architecture
from roofsim.model.ffn.moe import Moe
from roofsim.model.mixers.attention import SOFTMAX_FLOPS
from roofsim.model.step import Pass, Phase, Precision
from roofsim.ops import attention, conv, gemm, pointwise, recurrence, scan
from roofsim.ops.base import CostFunction, Kind, Operator, Role
from roofsim.runs.reading import Run, size
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime

PAGE = 64
"""Tokens of a page in aiconfigurator's tables of vLLM (`block_size` in collector/vllm/collect_attn.py)."""


class Sizes:
    """The sizes of a run, from its columns or from its note whatever the case of the key; raises KeyError."""

    def __init__(
        self, run: Run, named: Callable[[str], Architecture] | None = None, device: Device | None = None
    ) -> None:
        self._run, self._named, self.device = run, named, device
        self._notes = {key.lower(): text for key, text in run.notes.items()}

    def __getitem__(self, keys: str) -> int:
        """The first of several keys (`heads|h`) that is there; raises ValueError if it is no number from 1 on."""
        found = self.get(keys, 0, least=1)
        if not found:
            raise KeyError(keys.split("|")[0])
        return found

    def get(self, keys: str, default: int, least: int = 0) -> int:
        """As `self[keys]`, which may be nought, or `default`."""
        for key in keys.split("|"):
            if key in self._notes:
                try:
                    return size(self._notes[key], least)
                except ValueError as error:
                    raise ValueError(f"{key}: {error}") from None
        return default

    @property
    def batch(self) -> int:
        """Sequences, one if not stated."""
        return self._run.batch or 1

    @property
    def network(self) -> Architecture:
        """The model that the row is about; raises KeyError if it names none."""
        if not (self._run.model and self._named):
            raise KeyError("model")
        return self._named(self._run.model)

    @property
    def prompt(self) -> int:
        """New tokens of each sequence."""
        return self._run.prompt or self["l"]

    @property
    def cached(self) -> int:
        """Tokens whose keys and values were there before a prefill."""
        return self._run.context or 0

    @property
    def replayed(self) -> bool:
        """Whether the figure is of a captured graph of one call, replayed again and again: aiconfigurator's are."""
        return self._run.source.startswith("ai-dynamo/aiconfigurator")

    @property
    def repeated(self) -> bool:
        """Whether the figure is of calls on the same tensors, which find in the cache what the call before left there.

        So `roofsim measure` times operators, and aiconfigurator state-space layers (`repeat_n` in collect_gdn.py).
        """
        alone = self._run.op.startswith(("gdn:", "kda:", "mamba2:")) and self.replayed
        return alone or "timed" in self._notes or self._run.source.startswith("own measurement")

    @property
    def held(self) -> int:
        """Tokens whose keys and values a decode step sees."""
        return self._run.context or self["l"]


Builder = Callable[[Sizes, Precision, Runtime], tuple[Kernel, ...]]


def kernels_of(op: str, z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    """The kernels of an operator; raises KeyError, ValueError or Unsupported for a note that does not say it."""
    found = BUILDERS[op](z, p, r)
    return tuple(map(_warm, found)) if z.repeated else found


def _warm(k: Kernel) -> Kernel:
    """A kernel that finds weights and states in the last-level cache as it does activations.

    Attention of a step takes in keys no faster from there (sdpa_decode in data/h100_sxm_transformers_eager.csv).
    """
    c = k.cost
    if k.like == "attention":
        return k
    return replace(k, cost=replace(c, weights=0, state=0, activations=c.activations + c.weights + c.state))


def _fused(function: CostFunction, sizes: Mapping[str, Number]) -> tuple[Kernel, ...]:
    return (fused.kernel(Operator("op", function, sizes)),)


def _linear(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    sizes = {"tokens": z["m"], "d_in": z["k"], "d_out": z["n"], "bias": 0, "weight_bytes": p.weights,
             "act_bytes": p.activations}  # fmt: skip
    return fused.products(Operator("op", gemm.linear, sizes), Pass(1, z["m"], 0, p), z["m"])[0]


def _attention(z: Sizes, p: Precision, new: int, context: int) -> Operator:
    heads, width = z["heads|h"], z["head_dim|d"]
    sizes = {
        "batch": z.batch,
        "new": new,
        "context": context,
        "heads": heads,
        "kv_heads": z.get("kv_heads|kv", heads),
        "qk_dim": width,
        "v_dim": width,
        "window": context + new,
        "pair_flops": SOFTMAX_FLOPS,
        "act_bytes": p.activations,
        "cache_bytes": p.cache,
    }
    return Operator("attention", attention.causal_attention, sizes)


def _attention_prefill(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    if not z.get("causal", 1):
        raise KeyError("causal=1")
    return (*_replay(z), *_served(_attention(z, p, z.prompt, z.cached), p, _paged(z, r), "prefill", z.device))


def _attention_decode(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    return (*_replay(z), *_served(_attention(z, p, 1, max(z.held - 1, 0)), p, _paged(z, r), "decode", z.device))


def _sdpa_prefill(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    return (fused.kernel(_attention(z, p, z.prompt, z.cached)),)


def _sdpa_decode(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    return (fused.kernel(_attention(z, p, 1, max(z.held - 1, 0))),)


def _served(
    operator: Operator, p: Precision, r: Runtime, phase: Phase, device: Device | None = None
) -> tuple[Kernel, ...]:
    """The kernels of an operator in a serving engine, whose tables these rows come from."""
    sizes = operator.sizes
    step = Pass(sizes["batch"], sizes["new"], sizes.get("context", 0), p, phase=phase)
    return serving.lower(operator, Situation(r, step, units=common_tiles(r, device))).kernels


def _paged(z: Sizes, r: Runtime) -> Runtime:
    """The runtime with the pages that a row was measured with."""
    return variant(r, memory=variant(r.memory, block=PAGE)) if z.replayed else r


def _replay(z: Sizes) -> tuple[Kernel, ...]:
    """What passes between two graphs of one call."""
    return (Kernel("replay", "replay", Cost()),) if z.replayed else ()


def _copy(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    sizes = {"tokens": 1, "width": z["bytes_read_plus_written"] / 2 / p.activations, "act_bytes": p.activations}
    return _fused(pointwise.scale, sizes)


def _pointwise(function: CostFunction, *, written_out: bool = False, weights: bool = False) -> Builder:
    def build(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
        tokens, width = z["tokens|l"], z["hidden|d|width"]
        sizes = {"tokens": tokens, "width": width, "act_bytes": p.activations}
        if weights:
            sizes["weight_bytes"] = p.weights
        operator = Operator("op", function, sizes)
        if written_out:
            situation = Situation(r, Pass(1, tokens, 0, p))
            return eager.lower(operator, situation).kernels
        return (fused.kernel(operator),)

    return build


def _one_by_one(build: Builder, elements: Callable[[Sizes, Kernel, Precision], Number]) -> Builder:
    """As sarathi's kernels do it, which were vLLM's of 2023: a block for each token, so many `elements` one by one.

    Each is loaded by itself, of two bytes, from a place that is worked out for it (csrc/*.cu of
    microsoft/sarathi-serve); Vidur times these.
    """

    def built(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
        (kernel,) = build(z, p, r)
        return (replace(kernel, blocks=z["tokens"], indexed=elements(z, kernel, p)),)

    return built


def _results(z: Sizes, k: Kernel, p: Precision) -> Number:
    """Results of a gated activation, for each of which two inputs are read."""
    return k.cost.activations / p.activations / 3


def _normed(z: Sizes, k: Kernel, p: Precision) -> Number:
    """Elements of a norm."""
    return k.cost.activations / p.activations / 2


def _rotated(z: Sizes, k: Kernel, p: Precision) -> Number:
    """Pairs that are rotated, whose places are found by plain divisions."""
    return JOINED * k.cost.activations / p.activations / 2 / 2


CONVOLVED = 1024
"""Tokens that a block of causal_conv1d's CUDA kernel takes at once: 128 threads with 8 elements each."""
CONVOLUTION_STEPS = 3
"""Times that it waits for memory: the filter, the inputs, its results."""


def _convolution_in_cuda(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    """As causal_conv1d does it: a block for every channel of every sequence, whose tokens lie side by side."""
    steps = CONVOLUTION_STEPS * ceil(z.prompt / CONVOLVED)
    kernel = fused.kernel(_convolved(z, p, z.prompt))
    return (replace(kernel, blocks=z.batch * _channels(z), steps=steps),)


def _convolution_in_tensorrt(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    """The same by TensorRT-LLM, which reads across rows of time."""
    return tuple(replace(kernel, like="strided") for kernel in _convolution_in_cuda(z, p, r))


def _convolution_in_triton(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    """As vLLM does it."""
    return (serving.convolution(_convolved(z, p, z.prompt), "prefill"),)


def _convolution_step(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    return (serving.convolution(_convolved(z, p, 1), "decode"),)


def _convolved(z: Sizes, p: Precision, new: int) -> Operator:
    sizes = {
        "batch": z.batch,
        "new": new,
        "channels": _channels(z),
        "width": z.get("d_conv", 4),
        "bias": 1,
        "weight_bytes": p.weights,
        "act_bytes": p.activations,
    }
    return Operator("conv", conv.causal_conv1d, sizes)


def _channels(z: Sizes) -> int:
    """Channels of the convolution: stated, of Mamba-2 (x, B, C) or of a gated delta rule (q, k, v)."""
    if z.get("nheads", 0):
        return z["nheads"] * z["head_dim"] + 2 * z["n_groups"] * z["d_state"]
    if z.get("num_v_heads", 0):
        return 2 * z["num_k_heads"] * z["head_k_dim"] + z["num_v_heads"] * z["head_v_dim"]
    return z["d"]


def _selective_scan(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    sizes = {
        "batch": z.batch,
        "new": z.prompt,
        "d_inner": z["d"],
        "d_state": z["n"],
        "groups": 1,
        "weight_bytes": p.weights,
        "act_bytes": p.activations,
        "state_bytes": p.state,
    }
    return _fused(scan.selective_scan, sizes)


def _ssd(z: Sizes, p: Precision, new: int) -> Operator:
    sizes = {
        "batch": z.batch,
        "new": new,
        "heads": z["nheads|h|effective_batch"],  # the last is batch times heads, of one sequence then
        "head_dim": z["head_dim|p"],
        "d_state": z["d_state|n"],
        "groups": z.get("n_groups", 1),
        "chunk": z.get("chunk_size|chunk", 256),
        "weight_bytes": p.weights,
        "act_bytes": p.activations,
        "state_bytes": p.state,
    }
    return Operator("scan", scan.ssd_scan, sizes)


def _state_update(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    return _served(_ssd(z, p, 1), p, r, "decode")


def _delta(z: Sizes, p: Precision, new: int, channels: bool) -> Operator:
    """A gated delta rule; with a decay for every channel, as in KDA, or for every head."""
    sizes = {
        "batch": z.batch,
        "new": new,
        "key_heads": z["num_k_heads"],
        "heads": z["num_v_heads"],
        "qk_dim": z["head_k_dim"],
        "v_dim": z["head_v_dim"],
        "keys": 1,
        "gates": 1 + (z["head_k_dim"] if channels else 1),
        "chunk": 64,
        "weight_bytes": p.weights,
        "act_bytes": p.activations,
        "state_bytes": p.state,
    }
    return Operator("scan", recurrence.delta_rule, sizes)


def _delta_rule(phase: Phase, *, channels: bool = False) -> Builder:
    def build(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
        new = 1 if phase == "decode" else z.prompt
        return _served(_delta(z, p, new, channels), p, r, phase)

    return build


def _chunks_in_flashinfer(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    """As vLLM calls FlashInfer's kernel, for keys that are normalised already (collect_gdn.py of aiconfigurator)."""
    kernels = _served(_delta(z, p, z.prompt, channels=False), p, r, "prefill")
    return tuple(kernel for kernel in kernels if kernel.name != "normalise")


def _delta_in_triton(*, channels: bool) -> Builder:
    def build(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
        return recurrent.chunked_kernels(_delta(z, p, z.prompt, channels), channels)

    return build


def _experts(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    """Experts of a layer from chosen scores to the sum of what they made, as aiconfigurator times a fused layer.

    `moe_tp` devices that share each expert have its width in parts.
    """
    if z.get("moe_ep_size|moe_ep|ep", 1) > 1:
        raise Unsupported("experts that are divided among devices: how many of the tokens are theirs is not known")
    width = -(-z["inter_size|inter|width"] // z.get("moe_tp_size|moe_tp|tp", 1))
    layer = Moe(kind="moe", experts=z["num_experts|experts"], top_k=z["topk|top_k"], width=width)
    step = Pass(1, z["num_tokens|tokens|m"], 0, p)
    situation = Situation(r, step, units=common_tiles(r, z.device))
    operators = (o for o in layer.operators(step, z["hidden_size|hidden"]) if o.name != "router")
    return tuple(kernel for o in operators for kernel in serving.lower(o, situation).kernels)


def _of_model(role: Role, *, cut: bool = False) -> Builder:
    """The first operator of a role in the model of a row, for so many tokens, as a serving engine runs it.

    One that is `cut` over the `tp` devices that share the model does its part.
    """

    def build(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
        step, network = Pass(1, z["tokens"], 0, p), z.network
        operators = (o for row in network.rows(step) for o in row.operators if o.role is role)
        operator = next(operators, None)
        if operator is None:
            raise Unsupported(f"{network.id} does not have {role.meaning}")
        part = 1 / z.get("tp", 1) if cut else 1
        return tuple(replace(k, cost=k.cost * part) for k in serving.lower(operator, Situation(r, step)).kernels)

    return build


def _embedding(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    """One row from the cache, since LLMServingSim's prompts repeat one token (profiler/core/hooks/batch.py)."""
    (kernel,) = _of_model(Role.EMBEDDING)(z, p, r)
    return (replace(_warm(kernel), uses=2),)


def _first_order(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    """x ← a x + b of every channel: two inputs and a result."""
    elements = z.batch * z.prompt * z["channels"]
    return (piece("scan", "stream", elements, 3 * p.activations, 2),)


def _ssd_prefill(z: Sizes, p: Precision, r: Runtime) -> tuple[Kernel, ...]:
    return eager.ssd_kernels(_ssd(z, p, z.prompt))


BUILDERS: Mapping[str, Builder] = MappingProxyType(
    {
        "gemm": _linear,
        "linear": _linear,
        "attention_prefill": _attention_prefill,
        "sdpa_causal": _sdpa_prefill,
        "sdpa_causal_gqa": _sdpa_prefill,
        "attention_decode": _attention_decode,
        "sdpa_decode": _sdpa_decode,
        "sdpa_decode_gqa": _sdpa_decode,
        "copy": _copy,
        "add": _pointwise(pointwise.add),
        "silu_mul": _pointwise(pointwise.gated_activation, written_out=True),
        "rmsnorm_eager": _pointwise(pointwise.rms_norm, written_out=True, weights=True),
        "rmsnorm_fused": _pointwise(pointwise.rms_norm, weights=True),
        "input_layernorm": _one_by_one(_pointwise(pointwise.rms_norm, weights=True), _normed),
        "act_fn": _of_model(Role.GATE, cut=True),
        "mlp_act": _one_by_one(_of_model(Role.GATE, cut=True), _results),
        "rotary_emb": _of_model(Role.ROTARY, cut=True),
        "attn_rope": _one_by_one(_of_model(Role.ROTARY, cut=True), _rotated),
        "embedding": _embedding,
        "layernorm": _of_model(Role.PART_NORM),
        "final_layernorm": _of_model(Role.NORM),
        "causal_conv1d": _convolution_in_cuda,
        "mamba2:causal_conv1d_fn": _convolution_in_tensorrt,
        "mamba2:causal_conv1d_update": _convolution_step,
        "mamba2:selective_state_update": _state_update,
        "gdn:chunk_gated_delta_rule": _delta_in_triton(channels=False),
        "gdn:chunk_gated_delta_rule_flashinfer": _chunks_in_flashinfer,
        "gdn:fused_recurrent_gated_delta_rule": _delta_rule("decode"),
        "gdn:fused_recurrent_gated_delta_rule_packed_decode": _delta_rule("decode"),
        "kda:chunk_kda_with_fused_gate": _delta_in_triton(channels=True),
        "kda:flashkda_fwd": _delta_rule("prefill", channels=True),
        "kda:fused_recurrent_kda_packed_decode": _delta_rule("decode", channels=True),
        "linear_recurrence_scan": _first_order,
        "moe": _experts,
        "gdn:causal_conv1d_fn": _convolution_in_triton,
        "gdn:causal_conv1d_update": _convolution_step,
        "selective_scan": _selective_scan,
        "ssd_chunk_scan": _ssd_prefill,
        "mamba2:mamba_chunk_scan_combined": _ssd_prefill,
        "mamba2:ssd_prefill_triton_5kernels": _ssd_prefill,
    }
)
"""Names of operators in files of runs, and what builds their kernels."""


BY_NAME: tuple[tuple[str, CostFunction], ...] = (
    (r"^selective_scan", scan.selective_scan),
    (r"ssd_|^mamba2:(selective_state|mamba_chunk)", scan.ssd_scan),
    (r"^(gdn|kda):(?!causal_conv)", recurrence.delta_rule),
    (r"causal_conv1d", conv.causal_conv1d),
)
"""What operators of some names compute, which not every network does."""


def lacks(network: Architecture, op: str, kind: Kind) -> bool:
    """Whether no operator of a network computes what a name stands for, or none is of its kind."""
    held = [operator for row in network.rows(Pass(1, 2, 0)) for operator in row.operators]
    function = next((function for pattern, function in BY_NAME if re.search(pattern, op)), None)
    if function is not None:
        return all(operator.function is not function for operator in held)
    return all(operator.kind != kind for operator in held)


@dataclass(frozen=True, slots=True)
class Part:
    """Operators of a pass whose device time was summed: those with one of these functions and of these roles.

    An empty tuple leaves out the condition. `families` limits it to models that call the library this way. Kernels
    named in `apart` are launched by calls that have another name.
    """

    functions: tuple[CostFunction, ...] = ()
    roles: tuple[Role, ...] = ()
    families: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    def __contains__(self, operator: Operator) -> bool:
        """Whether an operator is summed."""
        named = not self.functions or operator.function in self.functions
        return named and (not self.roles or operator.role in self.roles)

    def kernels(self, operator: Operator, launched: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
        """Those of an operator's kernels that are summed."""
        return tuple(each for each in launched if each.name not in self.apart) if operator in self else ()


_NORMS = (pointwise.rms_norm, pointwise.layer_norm)
_INNER = (Role.CONVOLUTION, Role.STATE_PARAMETERS, Role.RECURRENCE, Role.SCAN_OUT)
_COMBINED = (Role.CONVOLUTION, Role.RECURRENCE, Role.STATE_GATE, Role.STATE_OUT)
PARTS: Mapping[str, tuple[Part, ...]] = MappingProxyType(
    {
        "op:aten::linear": (
            Part(roles=(Role.LOGITS,), families=("mamba",)),
            Part(roles=(Role.STATE_IN, Role.LOGITS), families=("mamba2",)),
            Part((gemm.linear,)),
        ),
        "op:aten::matmul": (Part(roles=(Role.SCAN_IN,), families=("mamba",)),),
        "op:aten::scaled_dot_product_attention": (Part((attention.causal_attention,), apart=masked.COPIES),),
        "op:mambainnerfn": (Part(roles=_INNER, families=("mamba",)),),
        "op:mambasplitconv1dscancombinedfn": (Part(roles=_COMBINED, families=("mamba2",)),),
        "op:mambachunkscancombinedfn": (Part((scan.ssd_scan,)),),
        "op:causalconv1dfn": (Part((conv.causal_conv1d,)),),
        "op:layernormfn": (Part(_NORMS),),
        "op:zamba2rmsnorm_prof": (Part(_NORMS),),
        "op:zamba2rmsnormgated_prof": (Part((pointwise.gated_rms_norm,)),),
        "op:llamarmsnorm_prof": (Part(_NORMS),),
    }
)
"""Names under which a profiler sums device time over a pass (torch's and SSM-Scope's), and the operators they sum."""


def part_of(op: str, family: str) -> Part | None:
    """The operators that a profiler's name sums for a family of models, None if they are not known."""
    return next((part for part in PARTS.get(op, ()) if not part.families or family in part.families), None)
