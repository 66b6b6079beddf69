"""Predicting a request: prefill, decode, memory and energy of one model on one device with one runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from functools import partial
from math import isclose
from typing import Any

from roofsim.engine.memory import Memory
from roofsim.engine.passes import OperatorRow, PassFigures, operators, pass_bound, weighted_operators
from roofsim.foundation.arith import Number, single
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.model.step import Pass
from roofsim.ops.base import Kind
from roofsim.prediction.compiled import Compiled, compiled
from roofsim.prediction.cost import Cost, cost_basis
from roofsim.prediction.evaluation import FIGURES, Evaluation, Request, figure
from roofsim.prediction.fitted import reach, unsure
from roofsim.prediction.intervals import Interval, intervals, scatter, with_slopes, within
from roofsim.prediction.limits import limits_of
from roofsim.prediction.places import COUNTS, number_at
from roofsim.prediction.results import PassPrediction, Prediction, columns
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, half, halves, in_flight, pieces
from roofsim.prediction.words import assumptions, beyond, cautions, room
from roofsim.specs.workload import STORED, Workload


def compile_request(
    s: Setup, w: Workload, figures: Sequence[str], over: Sequence[str], *, numba: bool = False
) -> Compiled:
    """Figures of a request as one function of the numbers named in `over`; raises InputError."""
    w = settled(s, w)
    made = compiled(s, w, tuple(figures), tuple(over), numba=numba)
    if any(path.startswith("model.") for path in over):
        _as_it_is(s, w, made, figures, over)
    return made


def _as_it_is(s: Setup, w: Workload, made: Compiled, figures: Sequence[str], over: Sequence[str]) -> None:
    """Raises InputError if the function does not give what the model as it is takes: a branch went by a variable."""
    now = [float(getattr(w, path)) if path in COUNTS else number_at(s, path)[0] for path in over]
    e = Evaluation(s, w)
    for name, value in zip(figures, made.at(*now), strict=True):
        if not isclose(value, float(figure(name)(e)), rel_tol=1e-9):
            raise InputError(f"over: one of {', '.join(over)} equals another size of the model now, and cannot vary")


def settled(s: Setup, w: Workload) -> Workload:
    """The workload with what the runtime and the model's file decide where nothing was asked for."""
    kept = STORED if s.architecture.stored else None
    return variant(w, logits=w.logits or s.runtime.logits, weight_format=w.weight_format or kept)


def predict_request(s: Setup, w: Workload) -> Prediction:
    """Predict a request of numbers."""
    w = settled(s, w)
    e = Evaluation(s, w)
    found = _prediction(
        s, w, beyond(e), e.grown, detailed_prefill(e), detailed_decode(e), e.request, e.memory, e.cost
    )  # fmt: skip
    if s.offload:
        from roofsim.prediction.offload_report import report

        found = replace(found, offload=report(e))
    return replace(found, _limits=partial(limits_of, s, w), _intervals=partial(intervals, s, w, e))


def _prediction(
    s: Setup, w: Workload, known: tuple[str, ...], grown: Number, prefill: PassPrediction, decode: PassPrediction,
    request: Request, memory: Memory, cost: Cost,
) -> Prediction:  # fmt: skip
    """Figures beside what they are of, with what must be `known` before they are used."""
    return Prediction(
        s.model_name, s.device.id, s.runtime.id, s.host.id if s.host else None, w, float(s.device.capacity),
        room(s), s.architecture.positions or None, grown, prefill, decode, request, memory, assumptions(s, w),
        known, s.calibration_name, s.split, s.cluster_name, cost, cost_basis(s),
    )  # fmt: skip


def detailed_prefill(e: Evaluation) -> PassPrediction:
    """The prefill, with its operators when asked for."""
    return PassPrediction(
        **columns(e.prefill), _table=partial(prefill_operators, e), _bound=partial(pass_bound, e.prefill)
    )


def detailed_decode(e: Evaluation) -> PassPrediction:
    """The first step after the prompt, with its operators when asked for."""
    return PassPrediction(
        **columns(e.decode), _table=partial(decode_operators, e), _bound=partial(pass_bound, e.decode)
    )


def prefill_operators(e: Evaluation) -> tuple[OperatorRow, ...]:
    """The operators of the prefill, for numbers."""
    return _operators(e, pieces(e.s, e.w))


def decode_operators(e: Evaluation) -> tuple[OperatorRow, ...]:
    """The operators of the first step after the prompt, for numbers."""
    return _operators(e, ((1, decode(e.s, e.w)),))


def operator_intervals(s: Setup, w: Workload) -> dict[str, tuple[Interval, ...]]:
    """The 95 % intervals of the times of the operators of each pass, in their order.

    Beyond its parameters the time of an operator is taken to be off as the device time of such a pass is, without a
    calibration no less than single operators of its kind are on devices left out.
    """
    w = settled(s, w)
    s = unsure(s, reach(s, w))
    e = Evaluation(with_slopes(s, w), w)
    found = {}
    for name, each in (("prefill", detailed_prefill(e)), ("decode", detailed_decode(e))):
        passes = scatter(s, ("device_time_s", name))
        found[name] = tuple(within(s, row.time, max(passes, _alone(s, row.kind))) for row in each.operators)
    return found


def _alone(s: Setup, kind: Kind) -> float:
    """The scatter of single operators of a kind where nothing was measured."""
    return 0.0 if s.calibration else s.priors.scatter_of("device_time_s", kind)


def _operators(e: Evaluation, passes: Sequence[tuple[Number, Pass]]) -> tuple[OperatorRow, ...]:
    """The operators of passes that are each done so often, added up."""
    each = in_flight(e.s, e.w) / e.s.split.pp if e.s.split.pp > 1 else 1
    done = [(times * each * halves(e.s, p), tuple(_of_pass(e, half(e.s, p)))) for times, p in passes]
    (times, only), *more = done
    return tuple(weighted_operators(done)) if more or times != 1 else only


def _of_pass(e: Evaluation, p: Pass) -> Iterable[OperatorRow]:
    """The operators of one pass."""
    if e.tiers is None:
        return operators(e.stack, p, e.s.basis)
    from roofsim.engine.tiers import tier_operators

    beside = e.s.offload.beside if e.s.offload else None
    return tier_operators(e.tiers, p, *e.rows(p), e.s.basis, (beside or e.s).basis)


def predict_arrays(s: Setup, w: Workload) -> Prediction:
    """As `predict_request`, for arrays of batches, prompts and what is generated: compiled, all figures are arrays.

    Raises InputError for shapes that do not broadcast.
    """
    import numpy as np

    w = settled(s, w)
    varied = [name for name in COUNTS if name != "generate" or not single(w.generate)]
    given = [getattr(w, name) for name in varied]
    try:
        arrays = dict(zip(varied, np.broadcast_arrays(*given), strict=True))
    except ValueError:
        shapes = ", ".join(f"{name} {np.shape(x)}" for name, x in zip(varied, given, strict=True))
        raise InputError(f"shapes that do not broadcast: {shapes}") from None
    one = variant(w, **dict.fromkeys(varied, 1))
    found = compiled(s, one, tuple(FIGURES), tuple(varied))(**arrays)

    def part(name: str, made: type) -> dict[str, Any]:
        return {f.name: found[f"{name}.{f.name}"] for f in fields(made) if f"{name}.{f.name}" in found}

    return _prediction(
        s, w, cautions(s, w), found["memory.grown"],
        PassPrediction(**part("prefill", PassFigures)), PassPrediction(**part("decode", PassFigures)),
        Request(*(found[f.name] for f in fields(Request))), Memory(**part("memory", Memory), binding=""),
        Cost(found["cost"], *(found[f.name] for f in fields(Cost) if f.name != "request")),
    )  # fmt: skip
