"""Runtimes side by side, and which of their choices makes the difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from roofsim import library
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.ops.base import Role
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.request import predict_request, settled
from roofsim.prediction.results import Prediction, plain
from roofsim.prediction.setup import Setup
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import Workload

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("logits", ("logits", "narrows")),
    ("mask", ("attention.mask", "attention.mask_bytes", "attention.mask_build_bytes", "attention.mask_padded",
              "attention.mask_kernels")),
    ("cache copies", ("cache", "spare", "attention.copies_first_cache", "attention.converts_cache", "call")),
    ("repeated heads", ("attention.kv_heads", "attention.copies_queries", "attention.splits_decode",
                        "attention.each_head")),
    ("plans", ("attention.plans",)),
    ("fusion", ("lowering", "implementation", "fused", "matrix_library", "state", "experts", "products", "parameters",
                "attention.kernel", "attention.cudnn", "attention.splits_blocks", "attention.tiles",
                "attention.latents")),
    ("launch", ("host",)),
    ("reserve", ("memory",)),
)  # fmt: skip
"""What two runtimes can differ in, in the order in which the differences are made."""

OTHER, CALIBRATION = "other choices", "calibration"
"""What is left after them: fields that are in none, and the calibration or the priors of the other stack."""

COMPARED = ("ttft", "tpot", "memory", "energy")
"""Metrics that are taken apart."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one kind of choice adds to each figure on the way from the first runtime to this one."""

    step: str
    ttft: float
    tpot: float
    memory: float
    energy: float


@dataclass(frozen=True, slots=True)
class Side:
    """One runtime: its prediction, and the contributions that lead from the first runtime's figures to its own."""

    prediction: Prediction
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class RuntimeComparison:
    """One model on one device with several runtimes; the first is what the others are compared with."""

    sides: tuple[Side, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units; contributions add up to the difference from the first runtime."""
        return {
            "schema": SCHEMA,
            "runtimes": [
                {**side.prediction.to_dict(), "contributions": plain(side.contributions)} for side in self.sides
            ],
        }


def compare_runtimes(setups: Sequence[Setup], w: Workload) -> RuntimeComparison:
    """Predict with every setup, and take the difference from the first apart."""
    first = setups[0]
    sides = [Side(predict_request(s, w), contributions(first, s, w) if s is not first else ()) for s in setups]
    return RuntimeComparison(tuple(sides))


def contributions(start: Setup, end: Setup, w: Workload) -> tuple[Contribution, ...]:
    """Change one kind of choice after the other; the parts add up to the whole difference."""
    before = _figures(start, w)
    found = []
    for step, now in _towards(start, end):
        after = _figures(now, w)
        change = [b - a for a, b in zip(before, after, strict=True)]
        if any(abs(each) > NOTHING * a for each, a in zip(change, before, strict=True)):
            found.append(Contribution(step, *change))
        before = after
    return tuple(found)


NOTHING = 1e-12
"""Changes by less than this share of a figure are those of rounding."""


def _towards(start: Setup, end: Setup) -> Iterator[tuple[str, Setup]]:
    """Setups on the way from one to another, each with the kind of choice that it has made beyond the one before."""
    now = start
    for step, fields in STEPS:
        now = replace(now, runtime=_adopt(now.runtime, end.runtime, fields))
        yield step, now
    yield OTHER, replace(now, runtime=end.runtime)
    yield CALIBRATION, end


def _figures(s: Setup, w: Workload) -> list[float]:
    e = Evaluation(s, settled(s, w))
    return [float(figure(metric)(e)) for metric in COMPARED]


def _adopt(runtime: Runtime, other: Runtime, fields: Sequence[str]) -> Runtime:
    """`runtime` with these fields of the other."""
    changes: dict[str, Any] = {}
    for path in fields:
        group, _, name = path.partition(".")
        if name:
            inner = changes.get(group, getattr(runtime, group))
            changes[group] = variant(inner, **{name: getattr(getattr(other, group), name)})
        else:
            changes[group] = getattr(other, group)
    return variant(runtime, **changes)


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change of the stack or the machine, and what each figure would be with it."""

    change: str
    ttft: float
    tpot: float
    memory: float
    energy: float


def remedies(s: Setup, w: Workload) -> list[Remedy]:
    """What other choices would give, alone: those that the stack can make and that help.

    A choice helps if some figure gets better by it and none worse, as predicted.
    """
    now = _figures(s, w)
    found = []
    for change, other, work in _open(s, w):
        figures = _figures(other, work)
        ratios = [b / a for a, b in zip(now, figures, strict=True) if a and a == a and b == b]
        if min(ratios) < 1 - SLIGHT and max(ratios) <= 1 + SLIGHT:
            found.append(Remedy(change, *figures))
    return found


SLIGHT = 1e-3
"""Changes by less than this share of a figure are none."""


def _open(s: Setup, w: Workload) -> Iterator[tuple[str, Setup, Workload]]:
    """The choices that are open to a stack."""
    r = s.runtime
    yield "logits of the last position only", s, variant(w, logits="last")
    if r.cache != "indexed":  # places that are not filled yet have to be masked
        yield "no mask", _with(s, attention=variant(r.attention, mask="never")), w
    if r.host.mode == "eager":  # others have graphs, or nothing that could be captured
        yield "captured graphs instead of eager launches", _with(s, host=library.runtime("cuda-graph").host), w
    if r.cache == "concat":
        yield "no copies of keys and values", _with(s, cache="static", attention=_plain(r.attention)), w
    if r.lowering in PYTORCH:
        yield "every operator fused", _with(s, fused=tuple(Role)), w


PYTORCH = ("eager", "mamba_ssm")
"""Lowerings of models that a user can compile; kernels of others are what they are."""


def _plain(attention: Any) -> Any:
    return variant(attention, kv_heads="grouped", copies_queries=False, copies_first_cache=False)


def _with(s: Setup, **changes: Any) -> Setup:
    return replace(s, runtime=variant(s.runtime, **changes))
