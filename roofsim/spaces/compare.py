"""Combinations side by side: a row each, with every figure and its 95 % interval, or why it cannot be run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, Self

from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.intervals import Interval
from roofsim.prediction.request import predict_request
from roofsim.prediction.results import Prediction, columns, interval_basis, plain
from roofsim.prediction.setup import Setup
from roofsim.spaces.cases import Case, Choices
from roofsim.spaces.combinations import Answers, Labels, Refusable, Step, combinations, described, unseen
from roofsim.specs.workload import Workload


@dataclass(frozen=True, slots=True)
class Figure:
    """One column of figures: its unit, what it is called, the figure of a prediction whose interval it shares.

    `higher` says that more is better; None, that there is no better and worse.
    """

    unit: str
    words: str
    interval: str = ""
    higher: bool | None = False


FIGURES: Mapping[str, Figure] = MappingProxyType({
    "ttft": Figure("s", "time to first token", "ttft"),
    "tpot": Figure("s", "time per output token", "tpot"),
    "total_time": Figure("s", "time of the whole request", "total_time"),
    "tokens_per_second": Figure("", "end-to-end output tokens per second, of all sequences", "tokens_per_second", True),
    "memory_peak": Figure("B", "peak memory", "peak"),
    "energy": Figure("J", "energy per request", "energy"),
    "joules_per_million": Figure("J", "energy per million output tokens", "energy"),
    "cost": Figure("USD", "cost of the request", "cost"),
    "usd_per_million": Figure("USD", "cost of the request per million output tokens", "cost"),
    "usd_per_million_input": Figure("USD", "cost per million input tokens", "usd_per_million_input"),
    "usd_per_million_output": Figure("USD", "cost per million output tokens", "usd_per_million_output"),
    "joules_per_token": Figure("J", "energy per output token, at the wall", "joules_per_token"),
    "co2_per_million_output": Figure("kg", "CO2 per million output tokens", "co2_per_million_output"),
    "max_prompt": Figure("", "longest prompt", "max_prompt", True),
    "max_batch": Figure("", "largest batch", "max_batch", True),
    "fits": Figure("", "whether it fits", higher=True),
    "bound_prefill": Figure("", "what bounds the prefill", higher=None),
    "bound_decode": Figure("", "what bounds the decode", higher=None),
})  # fmt: skip
"""What is said of every combination, by its name in JSON and CSV, SI units."""

MILLION = 1e6

FEW = 16
"""So many are predicted before other processes are started for them."""


@dataclass(frozen=True, slots=True)
class Row(Refusable):
    """A combination: what was chosen, its figures and their intervals by the names of `FIGURES`.

    `refused` says why it cannot be run; then there are no figures. `cautions` say what must be known before the figures
    are used.
    """

    chosen: Mapping[str, Any]
    figures: Mapping[str, Any]
    intervals: Mapping[str, Interval]
    calibration: str | None
    refused: str | None = None
    cautions: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether it can be run on the device as it is."""
        return bool(self.figures.get("fits"))

    def value(self, name: str) -> Any:
        """A figure or a choice by its name; None if there is none."""
        return self.figures.get(name, self.chosen.get(name))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units; the figures of a row that is refused are None."""
        result: dict[str, Any] = plain({
            **self.chosen,
            **{name: self.figures.get(name) for name in FIGURES},
            "intervals": self.intervals,
            "calibration": self.calibration,
            "basis": None if self.refused else interval_basis(self.calibration),
            "refused": self.refused,
            "cautions": self.cautions,
        })  # fmt: skip
        return result


@dataclass(frozen=True, slots=True)
class Comparison:
    """Combinations in their order, but those that do not fit after those that do, and those that are refused last.

    `left_out` counts the rows that filters took out, by the names of `FILTERS`.
    """

    rows: tuple[Row, ...]
    labels: Labels
    left_out: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the design, section 6."""
        return {"schema": SCHEMA, "rows": [row.to_dict() for row in self.rows], "left_out": dict(self.left_out)}

    def where(
        self, *, fits: bool = False, min_tps: float | None = None, context: int | None = None,
        max_memory: float | None = None, max_ttft: float | None = None, max_tpot: float | None = None,
    ) -> Self:  # fmt: skip
        """Only rows that pass: tokens a second, tokens that a sequence may hold, bytes, seconds.

        Whichever is asked for, what cannot be run and what does not fit does not pass.
        """
        asked: dict[str, tuple[Any, Callable[[Row], bool]]] = {
            "min_tps": (min_tps, lambda row: row.figures["tokens_per_second"] >= min_tps),
            "context": (context, lambda row: room(row) >= (context or 0)),
            "max_memory": (max_memory, lambda row: row.figures["memory_peak"] <= max_memory),
            "max_ttft": (max_ttft, lambda row: row.figures["ttft"] <= max_ttft),
            "max_tpot": (max_tpot, lambda row: row.figures["tpot"] <= max_tpot),
        }
        tests = {name: passes for name, (bound, passes) in asked.items() if bound is not None}
        if not tests and not fits:
            return self
        kept, left = [], dict(self.left_out)
        for row in self.rows:
            why = "refused" if row.refused else None if row.fits else "fits"
            why = why or next((name for name, passes in tests.items() if not passes(row)), None)
            if why:
                left[why] = left.get(why, 0) + 1
            else:
                kept.append(row)
        return replace(self, rows=tuple(kept), left_out={name: left[name] for name in FILTERS if name in left})

    def sorted_by(self, name: str) -> Self:
        """Rows by a column, the best first, names in their order; raises UnknownName."""
        known = [*(self.rows[0].chosen if self.rows else ()), *FIGURES]
        if self.rows and name not in known:
            raise UnknownName("--sort", name, known)
        best_last = name in FIGURES and bool(FIGURES[name].higher)
        numbers = [row.value(name) for row in self.rows if row.value(name) is not None]
        as_words = any(isinstance(each, str) for each in numbers)

        def place(row: Row) -> tuple[int, bool, Any]:
            value = row.value(name)
            missing = value is None or value != value
            if missing:
                return _rank(row), True, "" if as_words else 0
            return _rank(row), False, str(value).lower() if as_words else -value if best_last else value

        return replace(self, rows=tuple(sorted(self.rows, key=place)))


FILTERS: Mapping[str, str] = MappingProxyType(
    {
        "refused": "that cannot be run",
        "fits": "that do not fit",
        "min_tps": "with fewer tokens a second",
        "context": "that hold fewer tokens",
        "max_memory": "with a higher peak of memory",
        "max_ttft": "with a later first token",
        "max_tpot": "with more time per token",
    }
)
"""What takes rows out, and which."""


def room(row: Row) -> int:
    """Tokens that a sequence of this batch may hold: the longest prompt, and what is generated after it."""
    return int(row.figures["max_prompt"] + row.chosen["generate"]) if row.figures["max_prompt"] else 0


def _rank(row: Row) -> int:
    return 2 if row.refused else 0 if row.fits else 1


def compare_choices(choices: Choices, processes: int = 1, step: Step = unseen, transfer: bool = False) -> Comparison:
    """Predict every combination of choices, each a list of values; what cannot be run is a row that says why.

    `step` is told how many are done of how many; with `transfer` calibrations may be of other devices and runtimes.
    Raises InputError for what is wrong whatever it is combined with.
    """
    every, labels = combinations(choices, transfer=transfer)
    rows = sorted(_rows(every, processes, step), key=_rank)
    return Comparison(tuple(rows), labels)


def compared(found: Answers[Prediction]) -> Comparison:
    """Predictions as such rows."""
    rows = []
    for each in found.rows:
        p = each.found
        figures = figures_of(p) if p else {}
        within = intervals_of(p, figures) if p else {}
        rows.append(
            Row(each.chosen, figures, within, p.calibration if p else None, each.refused, p.cautions if p else ())
        )
    return Comparison(tuple(sorted(rows, key=_rank)), found.labels)


def _rows(every: Sequence[Case], processes: int, step: Step) -> Iterator[Row]:
    """The row of every case, in order."""
    runs = [(each.setup, each.workload) for each in every if each.setup and each.workload and not each.refused]
    answers = _answers(runs, processes)
    for done, each in enumerate(every, 1):
        answer = each.refused or next(answers)
        chosen = described(each)
        yield (
            Row(chosen, {}, {}, None, answer) if isinstance(answer, str) else Row(chosen, *answer[:3], None, answer[3])
        )
        step(done, len(every))


Answer = tuple[dict[str, Any], dict[str, Interval], str | None, tuple[str, ...]]
"""Figures, intervals, the name of the calibration, and the cautions."""


def _answers(runs: Sequence[tuple[Setup, Workload]], processes: int) -> Iterator[Answer | str]:
    """The answer to each request in order, by several processes where there are many."""
    if processes == 1 or len(runs) <= FEW:
        yield from map(_answer, runs)
        return
    from concurrent.futures import ProcessPoolExecutor

    from roofsim.spaces.executors import left_to_the_first  # a prediction starts without it

    pool = ProcessPoolExecutor(processes, initializer=left_to_the_first)
    try:
        # small pieces, so that processes end together; what a piece holds twice is sent once
        yield from pool.map(_answer, runs, chunksize=max(min(len(runs) // (8 * processes), FEW), 1))
    finally:
        pool.shutdown(cancel_futures=True)


def _answer(run: tuple[Setup, Workload]) -> Answer | str:
    """What is said of one request, or why it cannot be run."""
    try:
        p = predict_request(*run)
    except InputError as error:
        return str(error)
    values = figures_of(p)
    return values, intervals_of(p, values), p.calibration, p.cautions


def figures_of(p: Prediction) -> dict[str, Any]:
    """Every figure of a prediction by its name in `FIGURES`; none where it is not known."""
    r = p.request
    tokens = p.workload.batch * max(p.workload.generate, 1)
    found = {
        **columns(r),
        "memory_peak": p.memory.peak,
        "joules_per_million": r.energy / tokens * MILLION,
        **{name: None if x != x else x for name, x in columns(p.cost).items()},
        "cost": None if p.cost.request != p.cost.request else p.cost.request,
        "usd_per_million": None if p.cost.request != p.cost.request else p.cost.request / tokens * MILLION,
        "max_prompt": p.limits.max_prompt if p.limits else None,
        "max_batch": p.limits.max_batch if p.limits else None,
        "fits": bool(p.fits),
        "bound_prefill": p.prefill.bound,
        "bound_decode": p.decode.bound,
    }
    return {name: found[name] for name in FIGURES}


def intervals_of(p: Prediction, values: Mapping[str, Any]) -> dict[str, Interval]:
    """The 95 % intervals of those figures: what is a constant times another has its interval times that constant."""
    known = {**(p.intervals or {})}
    own = {**columns(p.request), **columns(p.cost), "cost": p.cost.request, "peak": p.memory.peak, "max_prompt": 1,
           "max_batch": 1}  # fmt: skip
    found: dict[str, Interval] = {}
    for name, figure in FIGURES.items():
        value = values[name]
        if figure.interval not in known or value is None:
            continue
        low, high = known[figure.interval]
        times = value / own[figure.interval] if name not in (*own, "memory_peak") else 1
        found[name] = (low * times, high * times)
    return found
