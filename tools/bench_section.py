"""A part of docs/published.md: rows that llama-bench made on devices of others, beside our predictions.

`tools/published_page.py` calls it for each of its files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from roofsim import library
from roofsim.runs.importers import read_runs
from roofsim.runs.reading import Run
from roofsim.studies.validate import Row, validate

SHOWN = 4
"""Rows of a phase that are listed of each device with each back end, evenly over those there are."""


@dataclass(frozen=True)
class Part:
    """One file: the heading, what stands before its tables, and why what is missed is missed (by device)."""

    title: str
    file: Path
    before: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """A predicted row and the run that it is of."""

    row: Row
    run: Run

    @property
    def place(self) -> tuple[str, str]:
        """Runtime and device."""
        return self.row.runtime, self.row.device


def section(part: Part) -> str:
    """The part as Markdown: how well each device is met, and some of its rows."""
    found = validate(str(part.file), None, "none")
    runs = {run.line: run for run in read_runs(str(part.file)).runs}
    pairs = [Pair(row, runs[row.line]) for row in found.rows if not row.flags]
    places = list(dict.fromkeys(sorted(pair.place for pair in pairs)))
    left = f"{len(pairs)} of {len(runs)} rows are scored" + "".join(
        f"; {times} are not: {reason}" for reason, times in found.skipped.items()
    )
    sources = dict.fromkeys(run.source.partition(", read")[0] for run in runs.values())
    return "\n".join([
        f"## {part.title}\n", f"{part.before}\n",
        "Errors are of times (negative: predicted too fast); *covered* is the share inside the 95 % interval.\n",
        *_summary(pairs, places), "", f"{left}.\n",
        *(f"- {reason}." for reason in part.reasons), "",
        "### Row by row\n",
        f"Of each device at most {SHOWN} rows of prompts and as many of steps, evenly over all; a star marks those "
        "outside the interval.\n",
        *_rows(pairs, places), "", f"Sources: {'; '.join(sources)}.\n",
    ])  # fmt: skip


def _summary(pairs: Sequence[Pair], places: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "| back end | device | prompts | error | bias | covered | steps | error | bias | covered |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for place in places:
        cells = [place[0], library.device(place[1]).name]
        for phase in ("prefill", "decode"):
            mine = [pair for pair in pairs if pair.place == place and pair.row.phase == phase]
            errors = [pair.row.error for pair in mine]
            inside = sum(pair.row.covered for pair in mine)
            cells += [str(len(mine)) if mine else "–"]
            if mine:
                cells += [f"{median(map(abs, errors)):.0%}", f"{median(errors):+.0%}", f"{inside / len(mine):.0%}"]
            else:
                cells += ["–"] * 3
        yield f"| {' | '.join(cells)} |"


def _rows(pairs: Sequence[Pair], places: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "| back end | device | model | test | measured, tokens/s | predicted | 95 % interval | error of the time |"
    yield "|---|---|---|---|---:|---:|---:|---:|"
    for place in places:
        for phase in ("prefill", "decode"):
            mine = [pair for pair in pairs if pair.place == place and pair.row.phase == phase]
            for pair in mine[:: max(-(-len(mine) // SHOWN), 1)]:
                yield _row(pair)


def _row(pair: Pair) -> str:
    row, run = pair.row, pair.run
    low, high = row.interval
    new = row.batch * (row.prompt if row.phase == "prefill" else 1)
    rates = [f"{new / x:,.{0 if new / x >= 100 else 1}f}" for x in (row.measured, row.predicted, high, low)]
    cells = [
        row.runtime, library.device(row.device).name, f"{row.model} {run.weight_dtype.lower()}", test(run),
        rates[0], rates[1], f"{rates[2]} to {rates[3]}", f"{row.error:+.0%}" + ("" if pair.row.covered else " *"),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def test(run: Run) -> str:
    """A test as llama-bench names it, with what is not usual of it."""
    words = f"pp{run.prompt}" if run.phase == "prefill" else f"tg{run.generated}"
    words += f" @ d{run.context}" if run.context else ""
    words += f", {run.batch} sequences" if (run.batch or 1) > 1 else ""
    pieces = run.notes.get("n_ubatch", "512")
    return words + (f", -ub {pieces}" if pieces != "512" else "")
