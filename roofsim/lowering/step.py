"""A whole pass as a runtime runs it: its rows of operators, each with the kernels it becomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from roofsim import library
from roofsim.foundation.arith import Number, at_least, ceil, single
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.values import dataclass
from roofsim.lowering import collective, fused
from roofsim.lowering.kernels import Kernel, Lowered, Situation, tiny
from roofsim.model.architecture import Architecture, Row
from roofsim.model.step import Pass
from roofsim.ops.base import Operator, Role
from roofsim.specs.device import Device
from roofsim.specs.implementation import Facts
from roofsim.specs.runtime import Runtime

NEVER = 10**15
"""A length that no sequence reaches."""


@dataclass(frozen=True, slots=True)
class LoweredRow:
    """Equal layers and, for each operator of one, what the runtime makes of it."""

    row: Row
    lowered: tuple[Lowered, ...]

    def __iter__(self) -> Iterator[tuple[Operator, Lowered]]:
        """The operators with their kernels."""
        return iter(zip(self.row.operators, self.lowered, strict=True))


@lru_cache
def module(name: str) -> ModuleType:
    """The module of a lowering; raises Unsupported if there is none."""
    known = sorted(path.stem for path in Path(__file__).parent.glob("*.py"))
    lowerings = [
        each for each in known if each not in ("__init__", "collective", "kernels", "masked", "step", "recurrent")
    ]
    if name not in lowerings:
        raise Unsupported(f"no lowering '{name}'; there are {', '.join(lowerings)}")
    return import_module(f"roofsim.lowering.{name}")


def lower(
    architecture: Architecture, runtime: Runtime, p: Pass, device: Device | None = None
) -> tuple[LoweredRow, ...]:
    """The rows of a pass with their kernels, as software chooses them for a device or for any."""
    known = facts(architecture, runtime)
    how = module(known.lowering or runtime.lowering)
    cudnn = runtime.attention.cudnn and device is not None and device.plans_attention
    inside = captured(runtime, p)
    p = laid_out(runtime, padded(p, inside))
    by_head = runtime.attention.each_head and device is not None and "fp8" in device.peak.matrix
    masked, units = is_masked(architecture, runtime, p), common_tiles(runtime, device)
    one_call = runtime.attention.one_call and device is not None and device.vendor == "NVIDIA"
    s = Situation(runtime, p, known, masked, cudnn, inside, by_head, units, one_call)
    alone = p.groups if p.beside else ()
    groups = [replace(s, p=each, masked=is_masked(architecture, runtime, each), step=p.phase) for each in alone]
    return tuple(_row(row, how, s, groups) for row in architecture.rows(p))


def common_tiles(runtime: Runtime, device: Device | None) -> Number | None:
    """Units of a device without tiles of its own, where a runtime's attention has those of the device; else None."""
    if device is None or device.attention_rows is not None or runtime.attention.tiles != "device":
        return None
    return device.units.value


def captured(runtime: Runtime, p: Pass) -> Number:
    """1 where there are graphs of so many tokens as a pass has, else 0."""
    most = runtime.host.captured
    return 0 if most is None else 1 - at_least(p.tokens, most + 1)


def padded(p: Pass, inside: Number) -> Pass:
    """The pass with as many tokens as the smallest graph that holds it, where there is one."""
    if single(inside) and not inside:
        return p
    return replace(p, padding=p.padding + inside * (graph_size(p.tokens) - p.tokens))


def graph_size(tokens: Number) -> Number:
    """Tokens of the smallest graph for so many: 1, 2, 4, a multiple of 8, or from 256 on of 16.

    As `_set_cudagraph_sizes` of vLLM 0.23 lays them out.
    """
    few = 1 + at_least(tokens, 2) + 2 * at_least(tokens, 3)
    eights, sixteens = 8 * ceil(tokens / 8), 16 * ceil(tokens / 16)
    return few + at_least(tokens, 5) * (eights - 4) + at_least(tokens, 257) * (sixteens - eights)


def laid_out(runtime: Runtime, p: Pass) -> Pass:
    """The pass with all places of its caches held, as a decode step sees a cache that is longer than what it holds."""
    if not runtime.spare:
        return p
    p = replace(p, beside=tuple(laid_out(runtime, each) for each in p.beside))
    return replace(p, context=p.context + runtime.spare) if p.phase == "decode" else p


def _row(row: Row, how: ModuleType, s: Situation, groups: Sequence[Situation]) -> LoweredRow:
    """A row by its lowering, but for what the runtime fuses, and with what the code does once in a pass or layer."""
    lowered = [
        _often(_way(o, how, s).lower(o, s), o.often)
        if o.group is None
        else _of_group(_way(o, how, s).lower(o, groups[o.group]), o, how, groups)
        for o in row.operators
    ]
    roles = {o.role for o in row.operators}
    if Role.EMBEDDING in roles:
        lowered[0] = _with(lowered[0], tiny("positions", s.facts.once_kernels.get(s.p.phase, 0)))
        lowered[0] = _with(lowered[0], tiny("mask", s.runtime.attention.mask_kernels * s.masked))
    if Role.RESIDUAL in roles:
        lowered[0] = _with(lowered[0], tiny("layer", s.facts.layer_kernels.get(s.p.phase, 0)))
    return LoweredRow(row, tuple(lowered))


def _way(o: Operator, how: ModuleType, s: Situation) -> ModuleType:
    """What lowers an operator: what devices do together is the same whatever runs on each."""
    if o.is_one_of((Role.COLLECTIVE,)):
        return collective
    return fused if o.is_one_of(s.runtime.fused) else how


def _of_group(lowered: Lowered, o: Operator, how: ModuleType, groups: Sequence[Situation]) -> Lowered:
    """The kernels of an operator for one group of a step; the launches of an earlier group take along what they can.

    Sequences of a phase, whatever their lengths, are one launch each; those of all phases where the lowering says so.
    """
    earlier = groups[: o.group]
    same = any(each.p.phase == groups[o.group or 0].p.phase for each in earlier)
    shared = bool(earlier) and hasattr(how, "takes_all") and how.takes_all(o)
    if not (same or shared):
        return lowered
    return replace(lowered, kernels=tuple(replace(each, joined=True) for each in lowered.kernels))


def _often(lowered: Lowered, share: Number) -> Lowered:
    """The kernels of an operator that a share of the passes run."""
    if single(share) and float(share) == 1:
        return lowered
    return replace(lowered, kernels=tuple(replace(k, count=k.count * share) for k in lowered.kernels))


def _with(lowered: Lowered, more: Kernel) -> Lowered:
    nothing = single(more.count) and not more.count
    return lowered if nothing else replace(lowered, kernels=(*lowered.kernels, more))


def facts(architecture: Architecture, runtime: Runtime) -> Facts:
    """What the code that runs this model does, by the implementation that the runtime names."""
    return library.facts(runtime.implementation, architecture.family)


def keeps(architecture: Architecture, runtime: Runtime) -> int | None:
    """How many copies of the embeddings live through all layers; None if the code holds nothing it need not."""
    return facts(architecture, runtime).kept_embeddings


def drops_cache(architecture: Architecture, runtime: Runtime) -> bool:
    """Whether a call returns no cache, so that nothing is held of it."""
    return runtime.call == "plain" and facts(architecture, runtime).drops_cache


def mask_from(architecture: Architecture, runtime: Runtime) -> int:
    """The sequence length from which this runtime builds an N × N mask for this model."""
    if runtime.attention.mask == "never":
        return NEVER
    if facts(architecture, runtime).always_masked:
        return 1
    if runtime.attention.mask == "declared_window":
        return architecture.declared_window() or NEVER
    return 1 if architecture.attends else NEVER


def is_masked(architecture: Architecture, runtime: Runtime, p: Pass) -> Number:
    """1 where the pass builds a mask, else 0."""
    start = mask_from(architecture, runtime)
    if runtime.attention.mask == "steps" and p.phase == "prefill":
        return 0
    return 0 if start == NEVER else at_least(p.context + p.new, start)


def mask_bytes(architecture: Architecture, runtime: Runtime, p: Pass) -> tuple[Number, Number]:
    """Bytes of the mask that a pass keeps, and of all its copies while it is built."""
    cells = is_masked(architecture, runtime, p) * p.batch * p.new * (p.context + p.new)
    return cells * runtime.attention.mask_bytes, cells * runtime.attention.mask_build_bytes


def plans(architecture: Architecture, runtime: Runtime, device: Device, p: Pass) -> int:
    """How many plans of attention the host makes in a pass: one for each shape of a decode step, where they are made.

    A prefill needs them as well, but only the first of its length in a process.
    """
    if not (runtime.attention.plans and device.plans_attention and p.phase == "decode"):
        return 0
    shapes = ("heads", "kv_heads", "qk_dim", "v_dim")
    scores = (each for row in architecture.rows(p) for each in row.operators if "pair_flops" in each.sizes)
    return len({tuple(each.sizes.get(name) for name in shapes) for each in scores})
