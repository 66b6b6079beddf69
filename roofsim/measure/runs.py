"""Rows of a CSV of runs: what is in it already, and what is added."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, get_args

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.model.step import Logits, Phase
from roofsim.runs.columns import ENDS

COLUMNS = (
    "source", "device", "framework", "model", "arch", "phase", "op", "dtype", "weight_dtype", "batch", "prompt_len",
    "context_len", "gen_len", "metric", "value", "note",
)  # fmt: skip
"""Columns of a file of runs, in the order of a new one."""

Mode = Literal["", "eager", "graph", "compile"]
"""How transformers runs a pass: as it comes, with a cache that grows; else with a static cache, launched kernel by
kernel, as a captured graph or compiled."""

MODES: tuple[Mode, ...] = get_args(Mode)[1:]

SAID: Mapping[Mode, str] = MappingProxyType(
    {mode: f"transformers static cache, {words}" for mode, words in zip(
        MODES, ("eager", "captured graph", "torch.compile"), strict=True
    )}
)  # fmt: skip
"""The column `framework` of what ran with a static cache."""

ROOM = 64
"""Tokens that a static cache has room for behind the context."""

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One phase of one workload of one model: what is measured at once, and written at once."""

    model: str
    phase: Phase
    dtype: str
    batch: int
    tokens: int
    logits: Logits = "last"
    mode: Mode = ""

    def beyond(self, other: Case) -> bool:
        """Whether it needs at least the memory that the other needs."""
        same = (self.model, self.phase, self.dtype, self.mode) == (other.model, other.phase, other.dtype, other.mode)
        grown = self.batch >= other.batch and self.tokens >= other.tokens
        return same and grown and (self.logits == other.logits or self.logits == "all")

    def row(self, metric: str, value: float, note: str = "") -> Row:
        """One figure of it."""
        framework = {"framework": SAID[self.mode]} if self.mode else {}
        return {
            **framework,
            "model": self.model, "phase": self.phase, "op": "e2e", "dtype": self.dtype, "weight_dtype": self.dtype,
            "batch": str(self.batch), "prompt_len": str(self.tokens),
            "context_len": str(self.tokens if self.phase == "decode" else 0), "gen_len": "0",
            "metric": metric, "value": repr(value), "note": note,
        }  # fmt: skip


@dataclass(frozen=True)
class Runs:
    """The rows of a file of one device; adding some makes another value, whose `text` is the whole file."""

    device: str
    text: str
    columns: Sequence[str]
    rows: tuple[Row, ...]

    @property
    def cases(self) -> Mapping[Case, str]:
        """What was measured on this device, and how it ended: `done`, `oom` or `failed`."""
        found: dict[Case, str] = {}
        for row in self.rows:
            case = _case(row, self.device)
            if case is not None:
                found[case] = row["metric"] if row["metric"] in ENDS else found.get(case, "done")
        return found

    @property
    def operators(self) -> frozenset[tuple[str, str, str]]:
        """Microbenchmarks that were run on this device: operator, dtype and sizes."""
        return frozenset(
            (row["op"], row["dtype"], sizes(row["note"]))
            for row in self.rows
            if row["device"] == self.device and row["phase"] == "op"
        )

    def again(self) -> Runs:
        """Without what failed on this device, so that it is tried again."""
        kept = tuple(row for row in self.rows if (row["device"], row["metric"]) != (self.device, "failed"))
        return replace(self, text=_written(kept, self.columns, head=True), rows=kept)

    def plus(self, rows: Iterable[Row]) -> Runs:
        """With more rows of this device at the end."""
        empty = dict.fromkeys(self.columns, "")
        added = tuple({**empty, "device": self.device, **row} for row in rows)
        return replace(self, text=self.text + _written(added, self.columns), rows=self.rows + added)


def runs(device: str, text: str = "", where: str = "", *, again: bool = False) -> Runs:
    """The runs in the text of a file, with `again` without what failed; raises InputError for one that is none.

    A last line without an end is one that was cut off: it is left out.
    """
    if not text.strip():
        return Runs(device, _written((), COLUMNS, head=True), COLUMNS, ())
    text = text[: text.rfind("\n") + 1]
    try:
        reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
        rows = tuple({name: value or "" for name, value in row.items() if name} for row in reader)
    except csv.Error as error:
        raise InputError(f"{where}: not a CSV file: {error}") from None
    columns = tuple(reader.fieldnames or ())
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise InputError(
            f"{where}: no file of runs to go on with: no column {', '.join(map(repr, missing))}; name another file, "
            "or one that measure has written"
        )
    found = Runs(device, text, columns, rows)
    return found.again() if again else found


def _written(rows: Iterable[Row], columns: Sequence[str], head: bool = False) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    if head:
        writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _case(row: Row, device: str) -> Case | None:
    phase, note = row["phase"], row["note"].split(";")
    if row["device"] != device or row["op"] != "e2e" or re.match(r"llama\.cpp|vllm", row["framework"]):
        return None
    mode: Mode = next((mode for mode, said in SAID.items() if row["framework"] == said), "")
    logits: Logits = "all" if "logits=all" in note else "last"
    try:
        batch, tokens = int(row["batch"]), int(row["prompt_len"])
    except ValueError:
        return None
    if phase == "prefill":
        return Case(row["model"], "prefill", row["dtype"], batch, tokens, logits, mode)
    return Case(row["model"], "decode", row["dtype"], batch, tokens, mode=mode) if phase == "decode" else None


MEASURED = ("std", "min", "n", "timed")
"""Keys of a note that say how a figure was measured, not of what."""


def sizes(note: str) -> str:
    """The part of a note that says what was measured."""
    return ";".join(each for each in note.split(";") if each.partition("=")[0] not in MEASURED)
