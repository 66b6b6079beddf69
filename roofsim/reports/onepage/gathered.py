"""All that a page says of one prediction, asked of the engine once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.values import dataclass
from roofsim.prediction.intervals import Interval
from roofsim.prediction.request import operator_intervals, predict_request
from roofsim.prediction.results import Intervals, Limits, Prediction, plain
from roofsim.prediction.setup import Setup
from roofsim.spaces.advise import Advice, advise
from roofsim.spaces.sensitivity import Sensitivities, sensitivities
from roofsim.specs.workload import Workload
from roofsim.studies.breakdown import Breakdown, breakdown
from roofsim.studies.compare import Remedy, remedies
from roofsim.studies.crossover import Comparison, compare_setups
from roofsim.studies.energies import Energies, energies
from roofsim.studies.limits import LimitsResult, limits, spread

METRICS = ("ttft", "tpot", "memory")
"""What two models are compared by."""


@dataclass(frozen=True)
class Gathered:
    """A prediction, and what other commands say of the same request; each is found when it is asked for.

    `words` are what it was asked by, as the options of the command have them, None if no command could ask for it.
    """

    s: Setup
    w: Workload
    against: tuple[Setup, ...] = ()
    words: Mapping[str, Any] | None = None

    @cached_property
    def prediction(self) -> Prediction:
        """What `roofsim predict` says."""
        return predict_request(self.s, self.w)

    @cached_property
    def limits(self) -> LimitsResult:
        """What `roofsim limits` says."""
        return limits(self.s, self.w)

    @cached_property
    def memory(self) -> LimitsResult:
        """The same at the lengths of its figure, which reaches the prompt too where that does not fit."""
        first, *_, last = (each.prompt for each in self.limits.at)
        ends = limits(self.s, self.w, [first, max(last, self.w.prompt)])
        return limits(self.s, self.w, spread(ends))

    @cached_property
    def within(self) -> Mapping[str, tuple[Interval, ...]]:
        """The intervals of the times of the operators of each pass, as `roofsim roofline` has them."""
        return operator_intervals(self.s, self.w)

    @cached_property
    def times(self) -> Breakdown:
        """Where the time of both passes goes over length."""
        return breakdown(self.s, self.w)

    @cached_property
    def energies(self) -> Energies | None:
        """What the energy of a token is spent on over length; None where the power of the device is not published."""
        return None if self.s.device.power.tdp is None else energies(self.s, self.w)

    @cached_property
    def moves(self) -> tuple[Sensitivities, ...]:
        """What `roofsim sensitivity` says of both times."""
        return tuple(sensitivities(self.s, self.w, figure) for figure in ("ttft", "tpot"))

    @cached_property
    def remedies(self) -> Sequence[Remedy]:
        """What `roofsim predict --explain` says would help."""
        return remedies(self.s, self.w)

    @cached_property
    def advice(self) -> Advice | None:
        """Of a request that does not fit, what `roofsim advise` says of other software and weights on this device.

        None of one that fits, and where no usual software is written for the device.
        """
        if self.prediction.fits:
            return None
        counts = {name: getattr(self.w, name) for name in ("batch", "prompt", "generate")}
        budgets = {"max_memory": self.prediction.capacity}
        try:
            return advise(self.s.architecture, device=self.s.device, budgets=budgets, **counts)
        except InputError:
            return None

    @cached_property
    def crossings(self) -> tuple[Comparison, ...]:
        """What `roofsim crossover` says of the model and each of the others, by each metric; raises Unsupported."""
        setups = dict(enumerate((self.s, *self.against)))
        pairs = [(0, i) for i in setups if i]
        fields = {name: getattr(self.w, name) for name in self.w.__dataclass_fields__ if name != "prompt"}
        return tuple(compare_setups(setups, pairs, metric, **fields) for metric in METRICS) if pairs else ()

    @property
    def known(self) -> tuple[Limits, Intervals]:
        """The limits and the intervals of the prediction, which one of numbers has."""
        p = self.prediction
        if p.limits is None or p.intervals is None:
            raise InputError("a page is of one request, and several are asked for")
        return p.limits, p.intervals

    def to_dict(self) -> dict[str, Any]:
        """The record of the prediction, with what other commands say beside it."""
        return {
            **self.prediction.to_dict(),
            "memory_at": self.limits.to_dict()["memory"],
            "remedies": plain(self.remedies),
            "advice": None if self.advice is None else self.advice.to_dict(),
            "moves": [each.to_dict() for each in self.moves],
            "against": [each.to_dict() for each in self.crossings],
        }


def gathered(s: Setup, w: Workload, against: Sequence[Setup] = (), words: Mapping[str, Any] | None = None) -> Gathered:
    """All about a request; raises InputError for another model that is named twice, or is the same."""
    if any(other.architecture == s.architecture for other in against):
        raise InputError(f"against: {s.model_name} is the model of the page itself; name another")
    if len({other.model_name for other in against}) < len(against):
        raise InputError("against: a model is named twice")
    found = Gathered(s, w, tuple(against), words)
    try:
        found.crossings  # noqa: B018 (asked for now, to refuse before anything is written)
    except Unsupported as error:
        raise Unsupported(f"against: {error}") from None
    return found
