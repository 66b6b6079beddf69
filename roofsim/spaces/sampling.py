"""Repeated sampling: what several trials that share a prompt cost, and how a budget is split between them.

After Kinetics (Sadhukhan et al. 2025, arXiv 2506.05333, section 3): beside the work of N trials of G tokens, which goes
with N·G and in attention with N·G², counts what is read, the cache above all; bytes become equivalent FLOP (eFLOP) at
the device's peak over its bandwidth. That paper leaves the weights out, since batches from elsewhere share them; here
one prompt's trials are the whole batch, so that weights are read once a step and count beside the cache. Time and
energy are those of the runtime, as in every prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from math import inf, log
from typing import Any, Literal

from roofsim.engine.compiled import Function
from roofsim.engine.graph import Graph
from roofsim.engine.passes import run_pass
from roofsim.foundation.arith import Number
from roofsim.foundation.cost import Cost
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.units import MAX_COUNT, finite, parse, show, whole
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.lowering.kernels import Kernel
from roofsim.lowering.step import LoweredRow, lower
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass
from roofsim.ops.base import Role
from roofsim.prediction.cost import paid, priced
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.limits import largest
from roofsim.prediction.places import placed
from roofsim.prediction.request import settled
from roofsim.prediction.results import plain
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, pieces, samples
from roofsim.specs.runtime import Runtime
from roofsim.specs.text import read_text
from roofsim.specs.workload import Workload

Shared = Literal["copied", "held", "read"]

SAID: Mapping[Shared, str] = {
    "copied": "the prompt runs once, then every trial holds a copy of its cache (making it is not timed)",
    "held": "the prompt runs once, its cache is held once, and every trial reads it",
    "read": "the prompt runs once, its cache is held once, and a step reads it once for all trials",
}
"""What trials have of their prompt in common, and what that means."""

READS_CACHE = (Role.ATTENTION, Role.INDEX)
"""Operators that read what the cache holds of the prompt."""

VARIABLES = ("trials", "prompt", "done")
"""What a step depends on: sequences, tokens of the prompt that they share, tokens that each has made."""


def usual(runtime: Runtime) -> Shared:
    """What a runtime does: pages of one prompt are held once, other caches are copied."""
    return "held" if runtime.cache == "paged" else "copied"


Left = Sequence[Sequence[Number]]
"""The part of its state that each operator of each row reads."""


def own_cost(architecture: Architecture, p: Pass, left: Left | None = None) -> Cost:
    """The model's own work and traffic in a pass, whatever software adds."""
    rows = architecture.rows(p)
    parts = left or [[1] * len(row.operators) for row in rows]
    return Cost.total([
        (row.count * o.often, _thinned(o.cost, part))
        for row, of_row in zip(rows, parts, strict=True)
        for o, part in zip(row.operators, of_row, strict=True)
    ])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trials:
    """What `trials` answers of `tokens` each to one prompt cost, in SI units.

    `matrix_flops` to `bytes_state` are the model's own; `eflops` are its work and, at the arithmetic intensity of the
    device, what it reads of weights (`eflops_weights`) and of cache and states (`eflops_state`). `memory` is what
    weights and state take at the end. Where a budget decides the tokens, `bound` says why there are no more: budget,
    memory, window of the context, or tokens that were asked for. `coverage` is how likely one trial at least is right,
    where it is known how likely each is.
    """

    trials: int
    tokens: int
    time: float
    energy: float
    cost: float
    tokens_per_second: float
    memory: float
    fits: bool
    matrix_flops: float
    vector_flops: float
    bytes_weights: float
    bytes_state: float
    eflops_weights: float
    eflops_state: float
    eflops: float
    bound: str = ""
    coverage: float | None = None


FIGURES = ("time", "energy", "matrix", "vector", "weights", "state")
"""What a step gives: seconds, joules, and the columns of the model's own cost."""


@dataclass(frozen=True)
class Sampling:
    """Trials of one prompt on a setup; the batch of the workload, and what it generates, are not looked at."""

    s: Setup
    w: Workload
    shared: Shared

    @cached_property
    def intensity(self) -> float:
        """Arithmetic intensity of the device, FLOP per byte: what a byte counts for in equivalent FLOP."""
        m = self.s.machine(self.w.dtype)
        return float(m.matrix_rate) / float(m.bandwidth)

    @cached_property
    def _first(self) -> tuple[float, ...]:
        """The prefill, which gives the first token of every trial."""
        e = Evaluation(self.s, self.w)
        cost = Cost.total([(often, own_cost(self.s.architecture, p)) for often, p in pieces(self.s, self.w)])
        found = (e.prefill.time, e.prefill.energy, cost.matrix, cost.vector, cost.weights, cost.state)
        return tuple(map(float, found))

    @cached_property
    def _step(self) -> Callable[..., tuple[float, ...]]:
        """A step of all trials, as a function of `VARIABLES`."""
        graph = Graph()
        n, prompt, done = (graph.variable(name, whole=True) for name in VARIABLES)
        s, w = placed(self.s, self.w, {"batch": n, "prompt": prompt})
        p = decode(s, w, done)
        rows, cost = lower(s.architecture, s.runtime, p, s.device), own_cost(s.architecture, p)
        if self.shared == "read":
            left = _left(s.architecture, p, replace(p, context=done))
            rows = tuple(_read_once(row, each) for row, each in zip(rows, left, strict=True))
            cost = own_cost(s.architecture, p, left)
        passed = run_pass(s.stack(w.dtype), p, rows)
        made = (passed.time, passed.energy, cost.matrix, cost.vector, cost.weights, cost.state)
        return Function(graph, dict(zip(FIGURES, made, strict=True)), VARIABLES).at

    def _later(self, trials: int, steps: int) -> tuple[float, ...]:
        """All steps after the first token, of so many trials at once."""
        done = [(float(share), float(made)) for share, made in samples(steps)]
        each = [(share, self._step(float(trials), float(self.w.prompt), made)) for share, made in done]
        return tuple(steps * sum(share * found[i] for share, found in each) for i in range(len(FIGURES)))

    def _turns(self, trials: int) -> tuple[tuple[int, int], ...]:
        """How many trials go through at once, and how often, where a runtime runs only so many."""
        most = self._together(trials)
        rest = trials % most
        return ((most, trials // most), *(((rest, 1),) if rest else ()))

    def _together(self, trials: int) -> int:
        return min(trials, self.s.runtime.sequences or trials)

    def held(self, trials: int, tokens: int) -> float:
        """Bytes of weights and of state after the last token of those that run at once.

        What is held once is one whole sequence, and of the others what their own tokens take.
        """
        precision = decode(self.s, self.w).precision
        state, network = self.s.architecture.state_bytes, self.s.architecture
        whole, own = state(self.w.prompt + tokens, precision), state(tokens, precision)
        beside = whole if self.shared == "copied" else own
        return float(network.weight_bytes(precision) + whole + (self._together(trials) - 1) * beside)

    @cached_property
    def _room(self) -> tuple[float, float]:
        """Bytes that there are, and those that the prefill needs."""
        prefill = Evaluation(self.s, self.w).held.reserved
        return float(self.s.device.share(self.s.runtime.memory.reserve or 1)), float(prefill)

    def fits(self, trials: int, tokens: int) -> bool:
        """Whether memory holds the prefill, and all trials at their end."""
        room, prefill = self._room
        return prefill <= room and self.held(trials, tokens) <= room

    @property
    def longest(self) -> int:
        """The most tokens that a trial can have within the context window."""
        window = self.s.architecture.window
        return window - self.w.prompt + 1 if window else MAX_COUNT

    def at(self, trials: int, tokens: int) -> Trials:
        """The cost of so many trials of so many tokens each."""
        total = list(self._first)
        for together, times in self._turns(trials):
            for i, each in enumerate(self._later(together, tokens - 1)):
                total[i] += times * each
        time, energy, matrix, vector, weights, state = total
        per_byte = self.intensity
        return Trials(
            trials, tokens, time, energy, float(self.s.rates.dollars(time, energy)), trials * tokens / time,
            self.held(trials, tokens),
            self.fits(trials, tokens) and tokens <= self.longest, matrix, vector, weights, state,
            per_byte * weights, per_byte * state, matrix + vector + per_byte * (weights + state),
        )  # fmt: skip


def _left(architecture: Architecture, p: Pass, alone: Pass) -> Left:
    """What is left to read of its state for each operator of a step, if the prompt's part is read once for all.

    The prompt's part is what the same step without a prompt, `alone`, does not read.
    """
    return [
        [
            1 - (1 - own.cost.state / o.cost.state) * (1 - 1 / p.batch) if o.is_one_of(READS_CACHE) else 1
            for o, own in zip(row.operators, without.operators, strict=True)
        ]
        for row, without in zip(architecture.rows(p), architecture.rows(alone), strict=True)
    ]


def _read_once(row: LoweredRow, left: Sequence[Number]) -> LoweredRow:
    """Kernels that read of their state what is left to read, and do all else as before."""
    made = [
        replace(each, kernels=tuple(_lighter(kernel, part) for kernel in each.kernels))
        for each, part in zip(row.lowered, left, strict=True)
    ]
    return replace(row, lowered=tuple(made))


def _thinned(cost: Cost, part: Number) -> Cost:
    return replace(cost, state=cost.state * part)


def _lighter(kernel: Kernel, part: Number) -> Kernel:
    beneath = kernel.beneath and _lighter(kernel.beneath, part)
    instead = tuple(_lighter(each, part) for each in kernel.instead)
    return replace(kernel, cost=_thinned(kernel.cost, part), beneath=beneath, instead=instead)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How likely one trial of at most so many tokens is right: points of a curve, straight over the logarithm."""

    tokens: tuple[int, ...]
    chances: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.tokens, self.tokens[1:], strict=False))
        if not self.tokens or len(self.tokens) != len(self.chances) or not rising or self.tokens[0] < 1:
            raise InputError("accuracy: counts of tokens that grow are expected, a chance for each")
        if any(not 0 <= each <= 1 for each in self.chances):
            raise InputError("accuracy: a chance is from 0 to 1")

    def at(self, tokens: int) -> float:
        """The chance of one trial; beyond the ends that of the nearest end."""
        if tokens <= self.tokens[0]:
            return self.chances[0]
        for low, high, a, b in zip(self.tokens, self.tokens[1:], self.chances, self.chances[1:], strict=False):
            if tokens <= high:
                return a + (b - a) * log(tokens / low) / log(high / low)
        return self.chances[-1]

    def coverage(self, trials: int, tokens: int) -> float:
        """The chance that one trial at least is right, if they are right independently of one another."""
        return 1 - (1 - self.at(tokens)) ** trials


BUDGETS: Mapping[str, str] = {"s": "time", "J": "energy", "USD": "cost", "FLOP": "eflops"}
"""What a budget may be of, by its unit: the field of `Trials` that must stay within it."""


@dataclass(frozen=True, slots=True)
class SamplingResult:
    """Trials of one prompt, each row another number of them or of tokens; `best` is a place in `rows`.

    With a budget a row has as many tokens as it allows, and the best has the largest coverage, or the most tokens in
    all if it is not known how likely a trial is right.
    """

    model: str
    device: str
    runtime: str
    calibration: str | None
    prompt: int
    dtype: str
    shared: Shared
    intensity: float
    rows: tuple[Trials, ...]
    budget: float | None = None
    unit: str = ""
    best: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        found: dict[str, Any] = plain({"schema": SCHEMA, **told, "assumed": SAID[self.shared]})
        return found


def sampling(
    s: Setup, w: Workload, trials: Sequence[int], tokens: Sequence[int], *, shared: Shared | None = None,
    budget: tuple[float, str] | None = None, accuracy: Accuracy | None = None,
) -> SamplingResult:  # fmt: skip
    """What trials of a prompt cost.

    `budget` is a value and its unit (s, J, USD, or FLOP for equivalent FLOP): then every number of trials has as many
    tokens as it allows, at most the largest of `tokens`. Raises Unsupported where a runtime cannot share what is asked
    for, or nothing says what a device costs, InputError for an empty list or a budget that allows nothing.
    """
    if not trials or not tokens:
        raise InputError("sampling: at least one number of trials, and one of tokens, is needed")
    shared = shared or usual(s.runtime)
    if shared != "copied" and s.runtime.cache == "concat":
        raise Unsupported(
            f"{s.runtime.id or s.runtime.name} has a cache for each sequence: its prompt can be copied only"
        )
    if budget is not None and budget[1] == "USD" and paid(s) is None:
        raise Unsupported(f"budget: {priced(s)}")
    found = Sampling(s, settled(s, variant(w, batch=1, generate=1)), shared)
    if budget is None:
        rows = tuple(found.at(n, each) for n in trials for each in tokens)
    else:
        rows = tuple(_most(found, n, max(tokens), *budget) for n in trials)
        if not any(row.tokens for row in rows):
            raise InputError(f"budget: not even one trial of one token can be had for {show(*budget)}")
    if accuracy:
        rows = tuple(replace(row, coverage=accuracy.coverage(row.trials, row.tokens)) for row in rows)
    best = None if budget is None else max(range(len(rows)), key=lambda i: _worth(rows[i]))
    return SamplingResult(
        s.model_name, s.device.id, s.runtime.id, s.calibration_name, w.prompt, w.dtype, shared, found.intensity, rows,
        None if budget is None else budget[0], "" if budget is None else budget[1], best,
    )  # fmt: skip


def budget_of(text: str) -> tuple[float, str]:
    """A budget and its unit; raises InputError."""
    for unit in BUDGETS:
        try:
            value = parse(text, unit)
        except ValueError:
            continue
        if value > 0:
            return value, unit
        raise InputError(f"--budget {text}: more than nothing is expected")
    raise InputError(
        f"--budget {text}: seconds, joules, dollars or FLOP are expected, written like 10s, 500J, 0.01USD or 2 PFLOP"
    )


def accuracy_in(path: str) -> Accuracy:
    """The curve in a CSV; raises InputError that says which line is wrong."""
    import csv

    tokens, chances = [], []
    for number, row in enumerate(csv.DictReader(read_text(path, what="a curve").splitlines()), 2):
        try:
            tokens.append(whole(row["tokens"], 1, MAX_COUNT))
            chances.append(finite(row["accuracy"]))
        except (KeyError, ValueError):
            raise InputError(
                f"--accuracy {path}, line {number}: a count under `tokens` and a chance under `accuracy` are expected"
            ) from None
    try:
        return Accuracy(tuple(tokens), tuple(chances))
    except InputError as error:
        raise InputError(f"--accuracy {path}: {error}") from None


def _most(found: Sampling, trials: int, ceiling: int, budget: float, unit: str) -> Trials:
    """So many trials with as many tokens as there may be, none if not even one, and what there may not be more of."""
    ends: Mapping[str, Callable[[int], bool]] = {
        "budget": lambda g: getattr(found.at(trials, g), BUDGETS[unit]) <= budget,
        "memory": lambda g: found.fits(trials, g),
        "window": lambda g: g <= found.longest,
        "tokens": lambda g: g <= ceiling,
    }
    tokens = largest(lambda g: all(holds(g) for holds in ends.values()), ceiling)
    bound = next(name for name, holds in ends.items() if not holds(tokens + 1))
    if not tokens:
        nothing: dict[str, Any] = dict.fromkeys((f.name for f in fields(Trials)), 0.0)
        return Trials(**{**nothing, "trials": trials, "tokens": 0, "fits": bound != "memory", "bound": bound,
                         "coverage": None})  # fmt: skip
    return replace(found.at(trials, tokens), bound=bound)


def _worth(row: Trials) -> tuple[float, float]:
    """What a split is judged by: coverage if it is known, then tokens in all."""
    if not row.tokens:
        return (-inf, -inf)
    return (row.coverage if row.coverage is not None else 0.0, row.trials * row.tokens)
