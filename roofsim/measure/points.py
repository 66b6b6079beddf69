"""What is asked of software that is driven from outside, llama.cpp or vLLM: a figure, its row, how it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from roofsim.foundation.values import dataclass
from roofsim.measure.runs import Row, Runs
from roofsim.model.step import Phase
from roofsim.runs.columns import ENDS

STEPS = 32
"""Decode steps whose mean is one measurement."""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to time: a prefill of `tokens`, or decode steps on top of as many."""

    model: str
    weights: str
    phase: Phase
    batch: int
    tokens: int
    software: str = "llama.cpp"
    dtype: str = "fp16"

    def beyond(self, other: Point) -> bool:
        """Whether it needs at least the memory that the other needs."""
        same = (self.model, self.weights, self.software) == (other.model, other.weights, other.software)
        return same and self.batch >= other.batch and self.tokens >= other.tokens

    @property
    def said(self) -> str:
        """In words."""
        return f"{self.model} {self.weights} {self.phase} {self.batch} x {self.tokens:,}"

    def row(self, metric: str, value: float, note: str, steps: int = STEPS) -> Row:
        """One figure of it, as the published data have it: llama.cpp's decode step of one sequence has no prompt."""
        decode = self.phase == "decode"
        alone = decode and self.batch == 1 and self.software == "llama.cpp"
        return {
            "model": self.model, "phase": self.phase, "op": "e2e", "dtype": self.dtype, "weight_dtype": self.weights,
            "batch": str(self.batch), "prompt_len": str(0 if alone else self.tokens),
            "context_len": str(self.tokens if decode else 0), "gen_len": str(steps if decode else 0),
            "metric": metric, "value": repr(value), "note": note, "framework": self.software,
        }  # fmt: skip

    def over(self, end: str, reason: str, steps: int = STEPS) -> Row:
        """The row of a figure that there is none of, with the reason in its note."""
        return self.row(end, 1.0, re.sub("[;=]", ",", reason), steps)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a point: `done`, `oom` or `failed`, its rows and a word on it."""

    point: Point
    end: str
    rows: tuple[Row, ...]
    said: str


def points(
    model: str, formats: Sequence[str], phases: Sequence[Phase], batches: Sequence[int], prompts: Sequence[int],
    software: str = "llama.cpp", dtype: str = "fp16",
) -> list[Point]:  # fmt: skip
    """What is asked of a model, the smallest first."""
    return [
        Point(model, weights, phase, batch, tokens, software, dtype)
        for weights in formats
        for batch in sorted(set(batches))
        for tokens in sorted(set(prompts))
        for phase in phases
    ]


def known(file: Runs, software: str = "llama.cpp") -> dict[Point, str]:
    """What a file of runs has of some software on this device, and how it ended."""
    found: dict[Point, str] = {}
    for row in file.rows:
        if row["device"] == file.device and row["framework"].startswith(software) and row["op"] == "e2e":
            if row["metric"] not in ("latency_s", *ENDS):
                continue
            phase: Phase = "decode" if row["phase"] == "decode" else "prefill"
            tokens = row["context_len"] if phase == "decode" else row["prompt_len"]
            try:
                point = Point(
                    row["model"], row["weight_dtype"], phase, int(row["batch"]), int(tokens), software, row["dtype"]
                )  # fmt: skip
            except ValueError:
                continue
            found[point] = row["metric"] if row["metric"] in ENDS else found.get(point, "done")
    return found


def state(point: Point, ended: Mapping[Point, str]) -> str:
    """`to do`, how it ended, or `left out` if less than it ran out of memory."""
    if point in ended:
        return ended[point]
    return "left out" if any(end == "oom" and point.beyond(other) for other, end in ended.items()) else "to do"
