"""From which length one model overtakes another, why, and with what it moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from roofsim.engine.passes import pass_bound
from roofsim.engine.regime import LENGTH, Expansion, expand
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.lowering.step import NEVER, mask_from
from roofsim.prediction.compiled import Compiled, compiled
from roofsim.prediction.cost import paid, priced
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import doubt, doubted, reach, unsure
from roofsim.prediction.intervals import logs, scatter, variance
from roofsim.prediction.limits import longest_prompt
from roofsim.prediction.metrics import METRICS, Metric, metric_named
from roofsim.prediction.request import decode_operators, prefill_operators
from roofsim.prediction.results import columns, interval_basis, parallel, plain
from roofsim.prediction.setup import ALONE, Setup
from roofsim.prediction.symbols import Symbols, at_symbols, slopes, symbols_of
from roofsim.prediction.words import assumptions, cautions
from roofsim.specs.calibration import HOST_MATTERS, NORMAL_95, interval
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
"""Lengths that are looked at, fifteen per doubling."""

RATIO_LENGTHS = (1024, 8192, 57344)


@dataclass(frozen=True, slots=True)
class Crossing:
    """The first length at which the order is the other way round.

    `interval` holds the lengths at which the order is not certain at 95 %; it may end with the lengths looked at.
    `regime` says what bounds both sides there, `closed_form` gives the difference of both sides in that regime (None
    if it is no polynomial of degree one or two), `elasticities` the per cent that the length moves for one per cent
    more of a parameter. `switch` is what software does from exactly that length on, if the order is turned by a jump.
    `within_memory` says whether both models fit there.
    """

    length: int
    interval: tuple[int, int]
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

    `max_prompt` is the longest prompt that can be run, `context_window` what a model's config states, None if nothing.
    `values` holds the metric of both at `lengths`, `bands` its 95 % intervals there; `ratios` is a's over b's, so above
    1 means that b is faster (uses less memory, less energy); for throughput above 1 means that a is better.
    `mask_from` is the prompt from which on the runtime builds an N × N mask for a model, None if it never does.
    """

    a: str
    b: str
    metric: str
    crossings: tuple[Crossing, ...]
    ratios: Mapping[str, float]
    max_prompt: Mapping[str, int]
    context_window: Mapping[str, int | None]
    lengths: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    bands: Mapping[str, tuple[tuple[float, float], ...]]
    mask_from: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Two models that were not compared, and why not."""

    a: str
    b: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All pairs on one device with one runtime; `skipped` are those of which it cannot run a model.

    `workload` holds what was asked for beside the prompt.
    """

    device: str
    runtime: str
    pairs: tuple[Pair, ...]
    skipped: tuple[Skipped, ...]
    cautions: tuple[str, ...]
    assumptions: tuple[str, ...]
    workload: Mapping[str, object]
    calibration: str | None = None
    parallel: Mapping[str, int] = field(default_factory=lambda: parallel(ALONE))
    cluster: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the design, section 6, with the curves beside it."""
        return {"schema": SCHEMA, **plain(self), "basis": interval_basis(self.calibration)}


def set_up(make: Callable[[], Setup]) -> Setup | Unsupported:
    """A setup, or why there is none: a runtime that does not run a model takes no other pair away."""
    try:
        return make()
    except Unsupported as error:
        return error


def compare_setups(
    setups: Mapping[Any, Setup | Unsupported],
    pairs: Sequence[tuple[Any, Any]],
    metric: str,
    longest: int = LONGEST,
    **fields: Any,
) -> Comparison:
    """Compare pairs of setups over prompt length; `pairs` name two of `setups` each, `fields` are of a workload.

    Pairs that cannot be run are skipped. Raises Unsupported if none can.
    """
    metric_named(metric)
    able = {name: s for name, s in setups.items() if isinstance(s, Setup)}
    if not able:
        raise _nothing_runs(str(each) for each in setups.values())
    first = next(iter(able.values()))
    if metric == "energy" and first.device.power.tdp is None:
        raise Unsupported(f"{first.device.id}: its file states no power.tdp, so there is no energy to compare")
    if metric == "cost" and paid(first) is None:
        raise Unsupported(f"{first.device.id}: {priced(first)}")
    fields.setdefault("dtype", first.device.default_dtype)
    w = workload(prompt=1, **fields)
    found: list[Pair] = []
    skipped: list[Skipped] = []
    for a, b in pairs:
        try:
            found.append(compare(_able(setups[a]), _able(setups[b]), w, metric, longest))
        except Unsupported as error:
            left, right = (able[name].architecture.id if name in able else str(name) for name in (a, b))
            skipped.append(Skipped(left, right, str(error)))
    if not found:
        raise _nothing_runs(each.reason for each in skipped)
    compared = {name for pair in found for name in (pair.a, pair.b)}
    used = [s for s in able.values() if s.architecture.id in compared]
    return Comparison(
        first.device.id,
        first.runtime.id,
        tuple(found),
        tuple(skipped),
        tuple(dict.fromkeys(each for s in used for each in cautions(s, w, one_length=False))),
        _shared_first([assumptions(s, w, one_length=False) for s in used]),
        {name: value for name, value in columns(w).items() if name != "prompt"},
        first.calibration_name,
        parallel(first.split),
        first.cluster_name,
    )


def _shared_first(said: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What is said of all, then what is said of some."""
    every = dict.fromkeys(each for one in said for each in one)
    return tuple(sorted(every, key=lambda each: not all(each in one for one in said)))


def _able(s: Setup | Unsupported) -> Setup:
    if isinstance(s, Unsupported):
        raise s
    return s


def _nothing_runs(reasons: Iterable[str]) -> Unsupported:
    return Unsupported("\n".join(dict.fromkeys(reasons)))


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
    """Say of every pair whether its crossing is a property of the runtime.

    Pairs that one of the runtimes cannot run are left out of all. Raises Unsupported if no pair is left.
    """
    common = set.intersection(*({(pair.a, pair.b) for pair in each.pairs} for each in comparisons))
    if not common:
        raise _nothing_runs(each.reason for comparison in comparisons for each in comparison.skipped)
    comparisons = [
        replace(each, pairs=tuple(pair for pair in each.pairs if (pair.a, pair.b) in common)) for each in comparisons
    ]
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


def curve(s: Setup, w: Workload, metric: str) -> Compiled:
    """A metric over prompt length, and the times of host and device in the pass that it is of."""
    passed = "decode" if METRICS[metric].measured[1] == "decode" else "prefill"
    figures = metric, f"{passed}.host_time", f"{passed}.device_time"
    return compiled(s, variant(w, prompt=1), figures, ("prompt",))


def compare(a: Setup, b: Setup, w: Workload, metric: str, longest: int = LONGEST) -> Pair:
    """All lengths up to `longest` at which the order of two models changes."""
    import numpy as np

    if longest <= SHORTEST:
        raise InputError(f"longest: {longest:,} is not above {SHORTEST}, the shortest prompt compared")
    if a.architecture == b.architecture:
        raise InputError(f"crossover: {a.architecture.id} is given twice")
    longest = min([longest, *(s.architecture.positions for s in (a, b) if s.architecture.positions)])
    ends = {side: longest_prompt(s, w) for side, s in (("a", a), ("b", b))}
    # both sides of every switch and every end of memory, so that no curve is drawn across them
    starts = [mask_from(s.architecture, s.runtime) - s.architecture.prefix_tokens for s in (a, b)]
    marks = [n for start in starts for n in (start - 1, start)] + list(ends.values())
    lengths = {*np.geomspace(SHORTEST, longest, POINTS).round().tolist(), *(n for n in marks if SHORTEST < n < longest)}
    grid = np.array(sorted(lengths), dtype=float)
    curves = {side: curve(s, w, metric) for side, s in (("a", a), ("b", b))}
    found = {side: f(prompt=grid) for side, f in curves.items()}
    values = {side: each[metric] for side, each in found.items()}
    sides = {side: _Side.of(s, w, METRICS[metric], grid, found[side]) for side, s in (("a", a), ("b", b))}
    doubts = {side: doubt(s, replace(reach(s, w), prompt=grid)) for side, s in (("a", a), ("b", b))}
    known = {side: doubted(s, doubts[side]) for side, s in (("a", a), ("b", b))}
    bands = {side: each.band(known[side]) for side, each in sides.items()}
    uncertain = sides["a"].near(sides["b"], known["b" if doubts["b"] == "rates" else "a"])
    ahead = values["a"] <= values["b"]
    crossings = []
    for i in np.flatnonzero(ahead[1:] != ahead[:-1]):
        one = _crossing(a, b, w, metric, int(grid[i]), int(grid[i + 1]), min(ends.values()))
        crossings.append(replace(one, interval=_span(one.length, int(i), grid, uncertain)))
    ratios = {str(n): curves["a"].at(n)[0] / curves["b"].at(n)[0] for n in RATIO_LENGTHS if n <= longest}
    names = {"a": a.architecture.id, "b": b.architecture.id}
    return Pair(
        names["a"], names["b"], metric, tuple(crossings), ratios, ends,
        {"a": a.architecture.window or None, "b": b.architecture.window or None},
        tuple(int(n) for n in grid), {side: tuple(v.tolist()) for side, v in values.items()}, bands,
        {side: _masked_from(s) for side, s in (("a", a), ("b", b))},
    )  # fmt: skip


def _masked_from(s: Setup) -> int | None:
    """The prompt from which on a mask is built for it, None for never."""
    start = mask_from(s.architecture, s.runtime)
    if start == NEVER or s.runtime.attention.mask == "steps":  # that is no mask of a prompt
        return None
    return max(start - s.architecture.prefix_tokens, 1)


@dataclass(frozen=True, slots=True)
class _Side:
    """A metric of one model over lengths (arrays): its values, what moves their logarithms, its variance beyond that.

    `slopes` are by the parameters on their scale without limits, `scatter` is that of such a figure.
    """

    values: Any
    slopes: Mapping[str, Any]
    scatter: Any

    @classmethod
    def of(cls, s: Setup, w: Workload, row: Metric, lengths: Any, curve: Mapping[str, Any]) -> _Side:
        """At these lengths, with what `curve` gives there."""
        import numpy as np

        values, slopes = logs(s, variant(w, prompt=lengths), row.figure)
        _, host, device = curve.values()
        low, high = s.calibration.covered.tokens if s.calibration else (0, np.inf)
        known = unsure(s, replace(reach(s, w), prompt=lengths))
        far = doubted(known, "scatter")
        sigma = [
            np.where((lengths < low) | (lengths > high), *(scatter(x, row.measured, matters) for x in (far, known)))
            for matters in (False, True)
        ]
        shape = np.shape(lengths)
        return cls(
            np.broadcast_to(values, shape), {name: np.broadcast_to(x, shape) for name, x in slopes.items()},
            np.where(host > HOST_MATTERS * device, sigma[1], sigma[0]),
        )  # fmt: skip

    def band(self, s: Setup) -> tuple[tuple[float, float], ...]:
        """The 95 % interval at each length."""
        spread = variance(s, self.slopes) + self.scatter**2
        return tuple(interval(float(x), float(v)) for x, v in zip(self.values, spread, strict=True))

    def near(self, other: _Side, s: Setup) -> Any:
        """Whether the order of both is not certain, at each length.

        There the difference of both logarithms is within its own interval (Fieller's argument for a ratio of one).
        """
        import numpy as np

        names = [name for name in PARAMETERS if name in self.slopes or name in other.slopes]
        apart = {name: self.slopes.get(name, 0.0) - other.slopes.get(name, 0.0) for name in names}
        spread: Any = variance(s, apart) + self.scatter**2 + other.scatter**2
        return np.abs(np.log(self.values / other.values)) <= NORMAL_95 * np.sqrt(spread)


def _span(at: int, before: int, lengths: Any, uncertain: Any) -> tuple[int, int]:
    """The lengths around a crossing (which lies behind that number `before`) at which the order is not certain."""
    low = high = at
    for i in range(before, -1, -1):
        if not uncertain[i]:
            break
        low = int(lengths[i])
    for i in range(before + 1, len(lengths)):
        if not uncertain[i]:
            break
        high = int(lengths[i])
    return low, max(high, at)


def _crossing(a: Setup, b: Setup, w: Workload, metric: str, low: int, high: int, both_fit: int) -> Crossing:
    """Bisect over whole lengths, then explain what is found."""

    sides = curve(a, w, metric).at, curve(b, w, metric).at

    def difference(n: int) -> float:
        return float(sides[0](n)[0] - sides[1](n)[0])

    before = difference(low) <= 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if (difference(middle) <= 0) == before else (low, middle)
    winner, loser = (a, b) if before != METRICS[metric].higher else (b, a)
    switch = next((text for s in (a, b) if (text := _switch(s, low, high))), None)
    text = root = None
    pulls: Mapping[str, float] = {}
    if not switch:
        gap = _Gap.of(a, b, w, metric)
        pulls = gap.pulls(high)
        form = gap.form(high)
        found = form.root(high) if form else None
        # a regime may end before its own root; then the formula explains, but does not place, the crossing
        if form and found and abs(found / high - 1) < ROOT_TOLERANCE:
            root = found
            powers = [f"c{k} = {term}" for k, term in enumerate(form.texts)]
            text = f"{form.formula} = {root:,.0f} with " + "; ".join(powers)
    return Crossing(
        high, (high, high), winner.architecture.id, loser.architecture.id,
        "; ".join(_regime(s, w, metric, high) for s in (a, b)),
        text, root, pulls, switch, high <= both_fit,
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


def _regime(s: Setup, w: Workload, metric: str, n: int) -> str:
    """What bounds one side at a length, in a few words."""
    e = Evaluation(s, variant(w, prompt=n))
    if metric == "memory":
        return f"{s.architecture.id}: {e.memory.binding}"
    shown, rows = (e.decode, decode_operators(e)) if METRICS[metric].decoding else (e.prefill, prefill_operators(e))
    kinds: dict[str, float] = {}
    for row in rows:
        kinds[row.kind] = kinds.get(row.kind, 0) + float(row.time)
    top = sorted(kinds.items(), key=lambda item: -item[1])[:2]
    share = ", ".join(f"{kind} {time / shown.device_time:.0%}" for kind, time in top)
    return f"{s.architecture.id}: {pass_bound(shown)}-bound ({share} of device time)"


@dataclass(frozen=True, slots=True)
class _Gap:
    """The difference of a metric between two setups, as a figure of the numbers of both machines and the prompt.

    Sides with the same machine share its symbols; else those of the second carry its name. Of a metric that is a
    constant over another, the other is taken: tokens per second cross where the times do.
    """

    sides: tuple[tuple[Setup, Symbols], tuple[Setup, Symbols]]
    w: Workload
    metric: Metric

    @classmethod
    def of(cls, a: Setup, b: Setup, w: Workload, metric: str) -> _Gap:
        """The difference of a from b."""
        row = METRICS[metric]
        same = a.machine(w.dtype) == b.machine(w.dtype)
        sides = (a, symbols_of(a, w)), (b, symbols_of(b, w, "" if same else "_b"))
        return cls(sides, w, METRICS[row.inverse] if row.inverse else row)

    @property
    def values(self) -> dict[str, float]:
        """The value of every symbol."""
        (_, first), (_, second) = self.sides
        return {**first.values, **second.values}

    def figure(self, variables: Mapping[str, Any]) -> Any:
        """The difference for these numbers."""
        a, b = (at_symbols(s, self.w, symbols, self.metric, variables) for s, symbols in self.sides)
        return a - b

    def form(self, length: int) -> Expansion | None:
        """It as a polynomial of the length, in the regime around one."""
        return expand(self.figure, self.values, length)

    def pulls(self, length: int) -> dict[str, float]:
        """The per cent by which the length of no difference moves for one per cent more of each symbol."""
        values = {**self.values, LENGTH: float(length)}
        _, by = slopes(self.figure, values)
        along = by.pop(LENGTH) * length
        moves = {name: -slope * values[name] / along for name, slope in by.items() if slope and along}
        return dict(sorted(moves.items(), key=lambda item: -abs(item[1])))
