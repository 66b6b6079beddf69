"""Reading files of measured runs: forgiving about names and units, strict about numbers.

The schema is a line per figure (`metric`, `value`); files with a column per figure (`ttft_ms`, `peak_memory_gib`)
are read as well. Columns that are not known are ignored, the file is never changed.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from sys import intern
from types import MappingProxyType
from typing import Any, NamedTuple

from roofsim.foundation.errors import InputError, shortened
from roofsim.foundation.units import MAX_COUNT, finite, parse, parse_count, whole
from roofsim.foundation.values import dataclass
from roofsim.runs.columns import METRICS, Measured, column, measured
from roofsim.specs.text import text_file


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


def _completed(run: Run, given: Mapping[str, Any]) -> Run:
    missing = {name: value for name, value in given.items() if getattr(run, name) in (None, "")}
    if "prompt" in missing and run.phase == "decode" and run.context is None:
        missing["context"] = missing["prompt"]
    return run._replace(**missing)


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

    def stating(self, **sizes: object) -> Runs:
        """The same where rows that do not state `batch`, `prompt`, `generated` or `weight_dtype` have these.

        A step without a stated context holds the prompt.
        """
        given = {name: value for name, value in sizes.items() if value is not None}
        return replace(self, runs=tuple(_completed(run, given) for run in self.runs)) if given else self


FLAGS = ("suspect", "host_contended")
"""Keys of a note that say a figure should not be scored."""

DELIMITERS = ",;\t"
"""What may stand between cells: spreadsheets write semicolons where a comma is the decimal sign."""

SHOWN = 10
"""How many wrong lines a message lists."""

_MISSING = ("", "-", "–", "na", "n/a", "nan", "none", "null")
"""Cells that state nothing."""


def read_csv(path: str, *, skip_bad_rows: bool = False) -> Runs:
    """The runs of a CSV file.

    Raises InputError if it is no such file, lacks a column, or has wrong rows: each is named by its line, unless
    they are to be skipped.
    """
    bad: list[Bad] = []
    kept: list[Run] = []
    with text_file(path) as file:
        for found in _rows(path, file):
            if isinstance(found, Bad):
                bad.append(found)
            else:
                kept.append(found)
    if bad and not skip_bad_rows:
        raise InputError(refusal(path, bad))
    return Runs(Path(path).name, digest(path), tuple(kept), tuple(bad))


def digest(path: str) -> str:
    """The SHA-256 of the bytes of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    before, first = next(((i, line) for i, line in enumerate(file) if line.strip(" \t\r\n,;")), (0, ""))
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(chain([first], file), delimiter=delimiter)
    header = next(reader, None) if first else None
    if header is None:
        raise InputError(f"{path}: is empty; a header and rows are expected, such as: device,model,phase,metric,value")
    layout = _layout(path, header)
    any_row = False
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        any_row = True
        line = before + reader.line_num
        if len(cells) != len(header):
            yield Bad(line, f"{len(cells)} cells under {len(header)} columns")
            continue
        if delimiter == ";":
            cells = [cell.replace(",", ".") if re.fullmatch(r"\s*\d+,\d+\s*", cell) else cell for cell in cells]
        try:
            yield from _runs(line, cells, layout)
        except ValueError as error:
            yield Bad(line, shortened(str(error)))
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
    if note := cell("note"):
        _check(note, op)
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


SIZES = frozenset(
    {
        "m", "n", "k", "l", "h", "d", "kv", "p", "heads", "kv_heads", "head_dim", "hidden", "width", "tokens", "tp",
        "bytes_read_plus_written", "nheads", "n_groups", "d_state", "d_conv", "num_k_heads", "num_v_heads",
        "head_k_dim", "head_v_dim", "effective_batch", "chunk", "chunk_size", "channels", "causal",
    }
)  # fmt: skip
"""Keys of the note of one operator that hold a whole number."""

SIZES_OF_PASSES = frozenset({"max_num_seqs"})
"""Those of the note of a whole pass."""

QUANTITIES: Mapping[str, str] = MappingProxyType({"model_bytes": "B"})
"""Keys of any note that hold a quantity, and its unit."""


@lru_cache(maxsize=2**16)
def _check(note: str, op: str) -> None:
    """Raises ValueError for a number of a note that is none."""
    for key, text in notes(note).items():
        try:
            if key.lower() in (SIZES if op != "e2e" else SIZES_OF_PASSES):
                size(text, 0)
            elif key in QUANTITIES:
                parse(text if re.search(r"[A-Za-z]", text) else f"{text} {QUANTITIES[key]}", QUANTITIES[key])
        except ValueError as error:
            raise ValueError(f"note: {key}: {error}") from None


def size(text: str, least: int) -> int:
    """The whole number that a note begins with; raises ValueError."""
    return whole(text.split()[0] if text.strip() else text, least, MAX_COUNT)


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
    try:
        return whole(text, 0, MAX_COUNT)
    except ValueError as error:
        try:
            return parse_count(text)
        except ValueError:
            raise ValueError(f"{name}: {error}") from None


def _value(each: Measured, text: str) -> float:
    try:
        number = finite(text.replace(",", "") if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d*)?", text) else text)
    except ValueError as error:
        raise ValueError(f"{each.metric}: {error}") from None
    if number <= 0:
        raise ValueError(f"{each.metric}: {text} is not a positive number")
    value = number * each.factor
    row = METRICS[each.metric]
    if not row.low <= value <= row.high:
        raise ValueError(f"{each.metric}: {value:g} {row.unit} is not plausible; is the unit right?")
    return value
