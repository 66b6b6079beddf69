"""Predictions beside measured runs, row by row."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from roofsim.errors import InputError, RoofsimError, UnknownName
from roofsim.prediction import DEFAULT_RUNTIME, SCHEMA, Prediction, Setup, plain, predict_request, setup
from roofsim.specs import library
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import workload

COLUMNS = ("device", "model", "phase", "op", "batch", "prompt_len", "metric", "value")
"""Columns that a file of runs must have; all others may be missing."""

WHOLE_PASS = {"e2e": None, "forward_gpu_busy": "device_time_s"}
"""Values of `op` that mean a whole pass, and the metric that they stand for if not the row's own."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure and its prediction. `flags` say why a row is left out of summaries."""

    line: int
    device: str
    model: str
    phase: str
    batch: int
    prompt: int
    metric: str
    measured: float
    predicted: float
    flags: tuple[str, ...]

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True, slots=True)
class Score:
    """How well one kind of figure is predicted: sizes of relative errors over `rows` rows, and their median sign."""

    device: str
    phase: str
    metric: str
    rows: int
    median_error: float
    worst_error: float
    bias: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Every row of a file that could be predicted, the scores, and why other rows were not."""

    file: str
    runtime: str
    rows: tuple[Row, ...]
    scores: tuple[Score, ...]
    skipped: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        data: dict[str, Any] = plain(self)
        for row, each in zip(data["rows"], self.rows, strict=True):
            row["error"] = each.error
        return {"schema": SCHEMA, **data}


def validate(path: str, runtime: str | Runtime = DEFAULT_RUNTIME) -> Validation:
    """Predict the whole-pass rows of a CSV in the schema of the README's data.

    Raises InputError if the file cannot be read, lacks a column or has no row that can be predicted.
    """
    skipped: dict[str, int] = {}
    known: dict[Any, Any] = {}
    rows = []
    for line, record in _records(path):
        try:
            rows.append(_predicted(line, record, runtime, known))
        except _Skip as reason:
            skipped[str(reason)] = skipped.get(str(reason), 0) + 1
    if not rows:
        why = "; ".join(f"{reason} ({n})" for reason, n in sorted(skipped.items(), key=lambda item: -item[1])[:4])
        raise InputError(f"{path}: no row can be predicted: {why or 'the file has none'}")
    name = runtime if isinstance(runtime, str) else runtime.id
    return Validation(Path(path).name, name, tuple(rows), tuple(scores(rows)), skipped)


def scores(rows: Sequence[Row]) -> Iterator[Score]:
    """One score per device, phase and metric, without flagged rows."""
    groups: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        if not row.flags:
            groups.setdefault((row.device, row.phase, row.metric), []).append(row.error)
    for key, errors in sorted(groups.items()):
        sizes = [abs(e) for e in errors]
        yield Score(*key, len(errors), median(sizes), max(sizes), median(errors))


class _Skip(Exception):
    """A row that is no whole pass, or that cannot be predicted."""


def _records(path: str) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path}: no column {', '.join(map(repr, missing))}; needed: {', '.join(COLUMNS)}")
            for record in reader:
                yield reader.line_num, {name: value or "" for name, value in record.items() if name}
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file: {error}") from None


def _predicted(line: int, record: Mapping[str, str], runtime: str | Runtime, known: dict[Any, Any]) -> Row:
    op, phase, note = record["op"], record["phase"], record.get("note", "")
    if op not in WHOLE_PASS or phase not in ("prefill", "decode") or not record["model"]:
        raise _Skip(f"op {op} of phase {phase} is no whole pass of a model")
    metric = WHOLE_PASS[op] or record["metric"]
    try:
        measured, batch = float(record["value"]), int(record["batch"])
        prompt, generated = int(record["prompt_len"] or 0), int(record.get("gen_len") or 0)
    except ValueError as error:
        raise _Skip(f"not a number: {error}") from None
    if not (math.isfinite(measured) and measured > 0 and batch > 0 and prompt > 0):
        raise _Skip("a figure is not positive")
    logits = next((kind for kind in ("all", "last") if re.search(rf"logits={kind}\b", note)), None)
    key = (record["device"], record["model"], batch, prompt, generated, logits)
    if key not in known:
        known[key] = _prediction(*key, runtime)
    s, p = known[key]
    value = figure(p, phase, metric)
    flags = tuple(f for f in ("suspect", "host_contended") if f"{f}=1" in note)
    if metric not in ("latency_s", "energy_j"):
        flags = tuple(f for f in flags if f != "host_contended")
    return Row(line, s.device.id, s.architecture.id, phase, batch, prompt, metric, measured, value, flags)


def _prediction(
    device: str, model: str, batch: int, prompt: int, generated: int, logits: Any, runtime: str | Runtime
) -> tuple[Setup, Prediction]:
    try:
        s = setup(model, device_named(device), runtime)
        w = workload(
            batch=batch, prompt=prompt, generate=max(generated, 1), dtype=s.device.default_dtype, logits=logits
        )
    except RoofsimError as error:
        raise _Skip(str(error).split(";")[0]) from None
    return s, predict_request(s, w, detail=False)


def device_named(words: str) -> str:
    """The device that free text such as `RTX 4090 24GB` means; raises UnknownName."""
    parts = re.sub(r"[^a-z0-9.]+", "-", words.lower()).strip("-").split("-")
    for end in range(len(parts), 0, -1):
        name = "-".join(parts[:end])
        if name in library.names("hardware") or name in library.aliases("hardware"):
            return name
    raise UnknownName("devices", words, library.names("hardware"))


def figure(p: Prediction, phase: str, metric: str) -> float:
    """The predicted figure that a measured metric names."""
    one = p.prefill if phase == "prefill" else p.decode
    if metric == "latency_s":
        return float(p.request.ttft if phase == "prefill" else p.request.tpot)
    if metric == "peak_mem_bytes" and phase == "prefill":
        return float(p.memory.peak)
    fields = {"device_time_s": one.device_time, "kernel_count": one.kernels, "energy_j": one.energy}
    if metric not in fields:
        raise _Skip(f"{metric} of {phase} is not predicted")
    return float(fields[metric])
