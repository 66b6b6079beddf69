"""From which length one model overtakes another, why, and with what it moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

from roofsim.engine.regime import close
from roofsim.engine.roofline import Machine
from roofsim.foundation.arith import Number
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.lowering.step import NEVER, mask_from
from roofsim.model.architecture import Architecture
from roofsim.prediction.request import (
    DEFAULT_RUNTIME,
    SCHEMA,
    Metric,
    PassPrediction,
    Setup,
    assumptions,
    fits,
    largest,
    metric_value,
    plain,
    predict_request,
    setup,
)
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import Workload, workload

PAPER_PAIRS = (
    ("Qwen2.5-0.5B", "mamba2-780m"),
    ("Qwen2.5-0.5B", "Falcon-H1-0.5B"),
    ("Qwen2.5-1.5B", "mamba2-1.3b"),
    ("Llama-3.2-1B", "mamba-1.4b"),
    ("Llama-3.2-1B", "Zamba2-1.2B"),
    ("Qwen2.5-1.5B", "Falcon-H1-1.5B"),
    ("Qwen2.5-1.5B", "Hymba-1.5B"),
    ("Phi-3-mini", "mamba2-2.7b"),
)
"""Models of arXiv 2507.12442 paired by size: a Transformer, and a state-space model or hybrid."""

SHORTEST, LONGEST = 16, 2**20
POINTS = 240
SPAN_POINTS = 97
"""Lengths at which the certainty of an order is looked at: six per doubling."""

RATIO_LENGTHS = (1024, 8192, 57344)
HIGHER_IS_BETTER = ("throughput",)


@dataclass(frozen=True, slots=True)
class Crossing:
    """The first length at which the order is the other way round.

    `interval` holds the lengths at which the order is not certain at 95 %, with a calibration; it may end with the
    lengths looked at. `regime` says what bounds both sides there, `closed_form` gives the difference of both sides
    in that regime (None if it is no polynomial of degree one or two), `elasticities` the per cent that the length
    moves for one per cent more of a parameter. `switch` is what software does from exactly that length on,
    if the order is turned by a jump. `within_memory` says whether both models fit there.
    """

    length: int
    interval: tuple[int, int] | None
    faster_before: str
    faster_after: str
    regime: str
    closed_form: str | None
    root: float | None
    elasticities: Mapping[str, float]
    switch: str | None
    within_memory: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models compared by one metric over length.

    `values` holds the metric of both at `lengths`; `ratios` is a's over b's, so above 1 means that b is
    faster (uses less memory, less energy); for throughput above 1 means that a is better.
    """

    a: str
    b: str
    metric: Metric
    crossings: tuple[Crossing, ...]
    ratios: Mapping[str, float]
    max_prompt: Mapping[str, int]
    lengths: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All pairs on one device with one runtime."""

    device: str
    runtime: str
    pairs: tuple[Pair, ...]
    assumptions: tuple[str, ...]
    calibration: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the design, section 6, with the curves beside it."""
        return {"schema": SCHEMA, **plain(self)}


def crossover(
    *models: str | Architecture,
    device: str | Device,
    runtime: str | Runtime = DEFAULT_RUNTIME,
    metric: Metric = "ttft",
    host: str | Host | None = None,
    longest: int = LONGEST,
    **fields: Any,
) -> Comparison:
    """Compare models in pairs; without models, the paper's pairs of similar size.

    `fields` are those of `Workload` but for the prompt. Raises InputError for what cannot be used.
    """
    names = [each.id or each.name if isinstance(each, Architecture) else each for each in models]
    given = dict(zip(names, models, strict=True))
    pairs = pairs_of(names)
    setups = {
        name: setup(given.get(name, name), device, runtime, host)
        for name in dict.fromkeys(name for pair in pairs for name in pair)
    }
    return compare_setups(setups, pairs, metric, longest, **fields)


def compare_setups(
    setups: Mapping[Any, Setup],
    pairs: Sequence[tuple[Any, Any]],
    metric: Metric,
    longest: int = LONGEST,
    **fields: Any,
) -> Comparison:
    """As `crossover`, for specs that were looked up before; `pairs` name two of `setups` each."""
    if metric not in get_args(Metric):
        raise InputError(f"metric: no '{metric}'; one of {', '.join(get_args(Metric))}")
    first = next(iter(setups.values()))
    fields.setdefault("dtype", first.device.default_dtype)
    w = workload(prompt=1, **fields)
    return Comparison(
        first.device.id,
        first.runtime.id,
        tuple(compare(setups[a], setups[b], w, metric, longest) for a, b in pairs),
        assumptions(first, w),
        first.calibration.id or first.calibration.name if first.calibration else None,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where the last crossing of a pair lies with each runtime, None for never, and whether the runtime decides it."""

    a: str
    b: str
    last: Mapping[str, int | None]
    property_of_runtime: bool


@dataclass(frozen=True, slots=True)
class AcrossRuntimes:
    """The same comparison with several runtimes."""

    comparisons: tuple[Comparison, ...]
    verdicts: tuple[Verdict, ...]

    def to_dict(self) -> dict[str, Any]:
        """One comparison per runtime, and the verdicts."""
        return {
            "schema": SCHEMA,
            "runtimes": [comparison.to_dict() for comparison in self.comparisons],
            "verdicts": plain(self.verdicts),
        }


MOVES = 1.25
"""Crossings further apart than by this factor are put down to the runtime; model errors are about half of it."""


def across_runtimes(comparisons: Sequence[Comparison]) -> AcrossRuntimes:
    """Say of every pair whether its crossing is a property of the runtime."""
    verdicts = []
    for pairs in zip(*(comparison.pairs for comparison in comparisons), strict=True):
        last = {
            comparison.runtime: pair.crossings[-1].length if pair.crossings else None
            for comparison, pair in zip(comparisons, pairs, strict=True)
        }
        found = [n for n in last.values() if n is not None]
        moved = len(found) not in (0, len(last)) or (bool(found) and max(found) > MOVES * min(found))
        verdicts.append(Verdict(pairs[0].a, pairs[0].b, last, moved))
    return AcrossRuntimes(tuple(comparisons), tuple(verdicts))


def pairs_of(models: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Every pair of the models given; the paper's if there are none. Raises InputError for just one."""
    if not models:
        return list(PAPER_PAIRS)
    if len(models) == 1:
        raise InputError("crossover: one model cannot cross itself; give two or more, or none for the paper's pairs")
    return [(a, b) for i, a in enumerate(models) for b in models[i + 1 :]]


def at_length(w: Workload, n: Number) -> Workload:
    """The same workload with another prompt, which may be an array or a traced number."""
    return variant(w, prompt=n)


def curve(s: Setup, w: Workload, metric: Metric, n: Number) -> Number:
    """The metric over prompt length."""
    return metric_value(s, at_length(w, n), metric)


def _fits_at(s: Setup, w: Workload, n: int) -> bool:
    return fits(s, at_length(w, n))


def compare(a: Setup, b: Setup, w: Workload, metric: Metric, longest: int = LONGEST) -> Pair:
    """All lengths up to `longest` at which the order of two models changes."""
    import numpy as np

    if longest <= SHORTEST:
        raise InputError(f"longest: {longest:,} is not above {SHORTEST}, the shortest prompt compared")
    if a.architecture == b.architecture:
        raise InputError(f"crossover: {a.architecture.id} is given twice")
    longest = min([longest, *(s.architecture.positions for s in (a, b) if s.architecture.positions)])
    ends = {side: largest(partial(_fits_at, s, w)) for side, s in (("a", a), ("b", b))}
    # both sides of every switch and every end of memory, so that no curve is drawn across them
    starts = [mask_from(s.architecture, s.runtime) - s.architecture.prefix_tokens for s in (a, b)]
    marks = [n for start in starts for n in (start - 1, start)] + list(ends.values())
    grid = np.unique([*np.geomspace(SHORTEST, longest, POINTS).round(), *(n for n in marks if SHORTEST < n < longest)])
    # a metric that does not depend on length comes back as one number
    values = {side: np.broadcast_to(curve(s, w, metric, grid), grid.shape) for side, s in (("a", a), ("b", b))}
    ahead = values["a"] <= values["b"]
    crossings = []
    for i in np.flatnonzero(ahead[1:] != ahead[:-1]):
        found = _crossing(a, b, w, metric, int(grid[i]), int(grid[i + 1]), min(ends.values()))
        if a.calibration and b.calibration:
            lengths = [int(n) for n in np.unique(np.geomspace(SHORTEST, longest, SPAN_POINTS).round())]
            # brings readers of measured runs along, which a comparison without a calibration does not need
            from roofsim.studies.uncertainty import span_of_crossing

            found = replace(found, interval=span_of_crossing(a, b, w, metric, found.length, lengths))
        crossings.append(found)
    ratios = {str(n): float(curve(a, w, metric, n) / curve(b, w, metric, n)) for n in RATIO_LENGTHS if n <= longest}
    names = {"a": a.architecture.id, "b": b.architecture.id}
    return Pair(
        names["a"], names["b"], metric, tuple(crossings), ratios, ends,
        tuple(int(n) for n in grid), {side: tuple(v.tolist()) for side, v in values.items()},
    )  # fmt: skip


def _crossing(a: Setup, b: Setup, w: Workload, metric: Metric, low: int, high: int, both_fit: int) -> Crossing:
    """Bisect over whole lengths, then explain what is found."""

    def difference(n: int) -> float:
        return float(curve(a, w, metric, n) - curve(b, w, metric, n))

    before = difference(low) <= 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if (difference(middle) <= 0) == before else (low, middle)
    winner, loser = (a, b) if before != (metric in HIGHER_IS_BETTER) else (b, a)
    switch = next((text for s in (a, b) if (text := _switch(s, low, high))), None)
    form = None if switch else _close(a, b, w, metric, high)
    text = root = None
    elasticities: Mapping[str, float] = {}
    if form:
        elasticities = dict(sorted(form.elasticities.items(), key=lambda item: -abs(item[1])))
        # a regime may end before its own root; then the formula explains, but does not place, the crossing
        if form.formula and form.root and abs(form.root / high - 1) < ROOT_TOLERANCE:
            root = form.root
            powers = [f"c{k} = {term}" for k, term in enumerate(form.terms)]
            text = f"{form.formula} = {form.root:,.0f} with " + "; ".join(powers)
    return Crossing(
        high, None, winner.architecture.id, loser.architecture.id,
        "; ".join(_regime(s, w, metric, high) for s in (a, b)),
        text, root, elasticities, switch, high <= both_fit,
    )  # fmt: skip


ROOT_TOLERANCE = 0.02
"""How far the closed form, which leaves out rounding to whole chunks, may be from the crossing found."""


def _switch(s: Setup, low: int, high: int) -> str | None:
    """What the runtime starts to do between two lengths, if anything."""
    start = mask_from(s.architecture, s.runtime) - s.architecture.prefix_tokens
    if start < NEVER and low < start <= high:
        return (
            f"{s.runtime.id} builds an N × N mask for {s.architecture.id} from {start:,} tokens on, and attention "
            "leaves the flash kernel"
        )
    return None


def _regime(s: Setup, w: Workload, metric: Metric, n: int) -> str:
    """What bounds one side at a length, in a few words."""
    p = predict_request(s, variant(at_length(w, n), generate=min(w.generate, 2)))
    if metric == "memory":
        return f"{s.architecture.id}: {p.memory.binding}"
    shown: PassPrediction = p.decode if metric in ("tpot", "throughput") else p.prefill
    kinds: dict[str, float] = {}
    for row in shown.operators:
        kinds[row.kind] = kinds.get(row.kind, 0) + float(row.time)
    top = sorted(kinds.items(), key=lambda item: -item[1])[:2]
    share = ", ".join(f"{kind} {time / shown.device_time:.0%}" for kind, time in top)
    return f"{s.architecture.id}: {shown.bound}-bound ({share} of device time)"


def _close(a: Setup, b: Setup, w: Workload, metric: Metric, at: int) -> Any:
    def side(s: Setup, m: Machine, n: Any) -> Any:
        return curve(_given(s, m), w, metric, n)

    def difference(n: Any, machines: Mapping[str, Machine]) -> Any:
        return side(a, machines["a"], n) - side(b, machines["b"], n)

    if metric == "throughput":  # tokens over time: the times are equal where the rates are
        difference = partial(_reciprocal, a, b, w)
    return close(difference, at, {"a": a.machine(w.dtype), "b": b.machine(w.dtype)})


def _reciprocal(a: Setup, b: Setup, w: Workload, n: Any, machines: Mapping[str, Machine]) -> Any:
    return curve(_given(a, machines["a"]), w, "total", n) - curve(_given(b, machines["b"]), w, "total", n)


def _given(s: Setup, m: Machine) -> Setup:
    return replace(s, given_machine=m)
