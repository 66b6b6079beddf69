"""Reading files of measured runs: forgiving about names and units, strict about numbers.

The schema is a line per figure (`metric`, `value`); files with a column per figure (`ttft_ms`, `peak_memory_gib`)
are read as well. Columns that are not known are ignored, the file is never changed.
"""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from sys import intern
from types import MappingProxyType
from typing import NamedTuple

from roofsim.foundation.errors import InputError
from roofsim.foundation.units import parse_count
from roofsim.runs.columns import METRICS, Measured, column, measured


class Run(NamedTuple):
    """One measured figure in SI units; `line` is where it stands in its file. Sizes not stated are None."""

    line: int
    source: str
    device: str
    framework: str
    model: str
    arch: str
    phase: str
    op: str
    dtype: str
    weight_dtype: str
    batch: int | None
    prompt: int | None
    context: int | None
    generated: int | None
    metric: str
    value: float
    note: str

    @property
    def notes(self) -> Mapping[str, str]:
        """The `key=value` pairs of the note."""
        return notes(self.note)

    def stated(self, key: str) -> bool:
        """Whether the note says `key=1`, with or without a reason after it."""
        return self.notes.get(key, "").split()[:1] == ["1"]


@lru_cache(maxsize=2**16)
def notes(text: str) -> Mapping[str, str]:
    """The `key=value` pairs of a note that are set off by semicolons."""
    pairs = (part.partition("=") for part in text.split(";"))
    return MappingProxyType({key.strip(): value.strip() for key, equals, value in pairs if equals})


class Bad(NamedTuple):
    """A line that cannot be used, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Runs:
    """The figures of a file, with its name and the SHA-256 of its bytes; `bad` lines were left out."""

    file: str
    digest: str
    runs: tuple[Run, ...]
    bad: tuple[Bad, ...] = ()


SHOWN = 10
"""How many wrong lines a message lists."""

_MISSING = ("", "-", "–", "na", "n/a", "nan", "none", "null")
"""Cells that state nothing."""


def read_csv(path: str, *, skip_bad_rows: bool = False, keep: Callable[[Run], bool] | None = None) -> Runs:
    """The runs of a CSV file.

    Raises InputError if it is no such file, lacks a column, or has wrong rows: each is named by its line, unless
    they are to be skipped. `keep` drops runs as they are read, which saves memory for large files.
    """
    bad: list[Bad] = []
    kept: list[Run] = []
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as raw:
            for block in iter(lambda: raw.read(2**20), b""):
                digest.update(block)
        with open(path, newline="", encoding="utf-8-sig") as file:
            for found in _rows(path, file):
                if isinstance(found, Bad):
                    bad.append(found)
                elif keep is None or keep(found):
                    kept.append(found)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file: {error}") from None
    if bad and not skip_bad_rows:
        raise InputError(refusal(path, bad))
    return Runs(Path(path).name, digest.hexdigest(), tuple(kept), tuple(bad))


def refusal(path: str, bad: Sequence[Bad]) -> str:
    """The message that names wrong lines."""
    lines = [f"{path}: line {each.line}: {each.reason}" for each in bad[:SHOWN]]
    more = f"{len(bad) - SHOWN:,} more wrong rows; " if len(bad) > SHOWN else ""
    return "\n".join([*lines, f"{path}: {more}correct them, or leave them out with --skip-bad-rows"])


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the columns of a file are: by name, and those that hold a figure each."""

    at: Mapping[str, int]
    figures: Mapping[int, Measured]


def _rows(path: str, file: Iterator[str]) -> Iterator[Run | Bad]:
    reader = csv.reader(file)
    header = next((cells for cells in reader if any(cell.strip() for cell in cells)), None)
    if header is None:
        raise InputError(f"{path}: is empty; a header and rows are expected, such as: device,model,phase,metric,value")
    layout = _layout(path, header)
    any_row = False
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        any_row = True
        line = reader.line_num
        if len(cells) != len(header):
            yield Bad(line, f"{len(cells)} cells under {len(header)} columns")
            continue
        try:
            yield from _runs(line, cells, layout)
        except ValueError as error:
            yield Bad(line, str(error))
    if not any_row:
        raise InputError(f"{path}: has a header but no rows")


def _layout(path: str, header: Sequence[str]) -> _Layout:
    at: dict[str, int] = {}
    figures: dict[int, Measured] = {}
    unit_of_value = ""
    others: list[int] = []
    for index, words in enumerate(header):
        name = column(words)
        if name is None and (match := re.fullmatch(r"\s*value[\s_(\[]+(.+?)[)\]]?\s*", words, re.IGNORECASE)):
            name, unit_of_value = "value", match[1]
        if name is not None:
            if name in at:
                raise InputError(f"{path}: columns '{header[at[name]]}' and '{words}' both mean {name}; leave one out")
            at[name] = index
        else:
            others.append(index)
    long = {"metric", "value"} & set(at)
    for index in [] if long else others:
        try:
            if figure := measured(header[index]):
                figures[index] = figure
        except ValueError as error:
            raise InputError(f"{path}: column {error}") from None
    missing = sorted({"metric", "value"} - set(at)) if long or not figures else []
    missing += [] if "model" in at or "op" in at else ["model"]
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(map(repr, missing))}; needed: model (or op), phase, and metric with value "
            "or a column per figure such as ttft_ms; there are " + ", ".join(map(repr, header[:SHOWN]))
        )
    if unit_of_value:
        at["value unit " + unit_of_value] = at["value"]
    return _Layout(at, figures)


def _runs(line: int, cells: Sequence[str], layout: _Layout) -> Iterator[Run]:
    at = layout.at

    def cell(name: str) -> str:
        return intern(cells[at[name]].strip()) if name in at else ""

    batch, prompt, context, generated = (
        _size(name, cell(name)) for name in ("batch", "prompt_len", "context_len", "gen_len")
    )
    phase, op = cell("phase").lower(), cell("op") or "e2e"
    if layout.figures:
        found = [(each, cells[index].strip()) for index, each in layout.figures.items()]
        found = [(each, text) for each, text in found if text.lower() not in _MISSING]
    else:
        unit = cell("unit") or next((k[len("value unit ") :] for k in at if k.startswith("value unit ")), "")
        found = [(_metric(cell("metric"), unit), cell("value"))]
    for each, text in found:
        value = _value(each, text)
        told = phase or each.phase or ""
        if each.metric in ("latency_s", "throughput_tok_s") and op == "e2e" and not told:
            raise ValueError("the phase is missing; prefill or decode is expected")
        yield Run(
            line, cell("source"), cell("device"), cell("framework"), cell("model"), cell("arch"), told, op,
            cell("dtype"), cell("weight_dtype"), batch, prompt, context, generated, each.metric, value, cell("note"),
        )  # fmt: skip


@lru_cache
def _metric(words: str, unit: str) -> Measured:
    try:
        found = measured(words, unit or None)
    except ValueError as error:
        raise ValueError(f"metric {error}") from None
    if found is None:
        raise ValueError(f"metric '{words}' is not known; one of {', '.join(METRICS)}")
    return found


def _size(name: str, text: str) -> int | None:
    if text.lower() in _MISSING:
        return None
    if text.isdecimal():
        return int(text)
    try:
        number = float(text)
        if number == int(number) and number >= 0:
            return int(number)
    except (ValueError, OverflowError):
        try:
            return parse_count(text)
        except ValueError:
            pass
    raise ValueError(f"{name}: '{text}' is not a whole number")


def _value(each: Measured, text: str) -> float:
    try:
        number = float(text.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d*)?", text) else text)
    except ValueError:
        raise ValueError(f"{each.metric}: '{text}' is not a number") from None
    if not math.isfinite(number) or number <= 0:
        raise ValueError(f"{each.metric}: {text} is not a positive number")
    value = number * each.factor
    row = METRICS[each.metric]
    if not row.low <= value <= row.high:
        raise ValueError(f"{each.metric}: {value:g} {row.unit} is not plausible; is the unit right?")
    return value
