"""Times of steps as a table, for simulators that look them up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.serving.step import StepTime

MOST = 10**6
"""Rows of a table."""


@dataclass(frozen=True, slots=True)
class Row:
    """A step: sequences that decode and tokens that each holds, pieces of prompts, new tokens of each, tokens before.

    Its time in seconds and its energy in joules.
    """

    decodes: int
    held: int
    pieces: int
    new: int
    context: int
    time: float
    energy: float


@dataclass(frozen=True, slots=True)
class StepTable:
    """Steps of a model on a device with a runtime, a row for each combination of their sizes."""

    model: str
    device: str
    runtime: str
    calibration: str | None
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        return {
            "schema": SCHEMA, "model": self.model, "device": self.device, "runtime": self.runtime,
            "calibration": self.calibration,
            "rows": [{name: getattr(row, name) for name in Row.__slots__} for row in self.rows],
        }  # fmt: skip

    def sglang(self) -> str:
        """The replay table of SGLang's simulator: seconds by the sorted pairs of new and held tokens of all sequences.

        tools/sglang-simulator of SGLang 0.5, time_predictor/replay.py; between what is in it, it takes the nearest
        (`"miss_strategy": "knn"`).
        """
        return json.dumps({_pairs(row): row.time for row in self.rows}, indent=1)


def _pairs(row: Row) -> str:
    decoding = [[1, row.held]] * row.decodes
    return json.dumps(sorted([*decoding, *([[row.new, row.context]] * row.pieces)]))


def step_table(
    t: StepTime, decodes: Sequence[int], held: Sequence[int], pieces: Sequence[int], new: Sequence[int],
    context: Sequence[int],
) -> StepTable:  # fmt: skip
    """All combinations of these sizes; what a step does not have, varies nothing. Raises InputError for too many."""
    count = len(decodes) * len(held) * len(pieces) * len(new) * len(context)
    if count > MOST:
        raise InputError(f"steps: {count:,} combinations are too many for a table; at most {MOST:,}")
    sizes = list(_sizes(decodes, held, pieces, new, context))
    if not sizes:
        raise InputError("steps: neither sequences that decode nor pieces of prompts; give --decodes or --pieces")
    import numpy as np

    columns = np.array(sizes, dtype=float).T
    times, joules = t.of(*columns)
    rows = (Row(*each, float(time), float(energy)) for each, time, energy in zip(sizes, times, joules, strict=True))
    s = t.s
    return StepTable(s.model_name, s.device.id, s.runtime.id, s.calibration_name, tuple(rows))


def _sizes(*given: Sequence[int]) -> Iterator[tuple[int, int, int, int, int]]:
    known: set[tuple[int, int, int, int, int]] = set()
    for decodes, held, pieces, new, context in product(*given):
        of_decodes = (decodes, held) if decodes else (0, 0)
        of_pieces = (pieces, new, context) if pieces and new else (0, 0, 0)
        each = (*of_decodes, *of_pieces)
        if any(each) and each not in known:
            known.add(each)
            yield each


class SGLangPredictor:
    """A time predictor of SGLang's simulator: seconds of a batch of its scheduler.

    `predict_infer_time`, `get_metrics` and `reset_metrics` are what its `InferTimePredictor` has (SGLang 0.5,
    tools/sglang-simulator, time_predictor/base.py); a batch has `reqs`, each with `extend_length` and `past_kv_length`.
    """

    def __init__(self, step: StepTime) -> None:
        self.step = step
        self.steps = 0

    def predict_infer_time(self, batch: Any) -> float:
        """Seconds of a step; 0 of an empty batch."""
        self.steps += 1
        return self.step.batch([(each.extend_length, each.past_kv_length) for each in batch.reqs])

    def get_metrics(self) -> Mapping[str, int]:
        """Steps since the last reset."""
        return {"roofsim_steps": self.steps}

    def reset_metrics(self) -> None:
        """Count anew."""
        self.steps = 0
