"""How limits are laid out: memory by part over length."""

from __future__ import annotations

from roofsim.prediction.results import Limits, columns, interval_basis
from roofsim.prediction.words import by
from roofsim.reports.heading import assumed, heading
from roofsim.reports.records import ends_of, records, with_ends
from roofsim.reports.table import ANY, Column, Table, tokens_that_fit
from roofsim.studies.limits import PARTS, LimitsResult


def limits_tables(r: LimitsResult, device: str, runtime: str) -> list[Table]:
    """The two limits, then memory by part over length."""
    named = ("weights", "state", "logits", "masks")
    rows = []
    for each in r.at:
        m = each.memory
        parts = [getattr(m, part) for part in named]
        rows.append([each.prompt, *parts, m.peak - sum(parts), m.peak, "yes" if each.fits else "no"])
    columns = [
        Column("prompt", "count"),
        *(Column(part, "B") for part in (*named, "other", "peak")),
        Column("fits", "text"),
    ]
    last = r.at[-1].memory
    notes = [
        f"Longest prompt at batch {r.workload.batch}: {longest_prompt(r.limits)}. Largest batch at "
        f"{r.workload.prompt:,} tokens: {largest_batch(r.limits, r.room.sequences)}. Memory: {r.room.words}.",
        _within(r),
        f"What binds at {r.at[-1].prompt:,} tokens: {last.binding}.",
        assumed(r.assumptions, r.cautions),
    ]
    title = f"Peak memory of a prefill: {r.model} on {device}\nwith {runtime}"
    return [Table(heading(title, r.cautions, as_if=""), columns, rows, notes)]


def limits_row(r: LimitsResult) -> Table:
    """Both limits, the factor of their intervals, and what ends them, in one line."""

    def said(name: str) -> str:
        value = getattr(r.limits, name)
        factor = f" x{r.intervals[name][1] / value:.2f}" if value and tokens_that_fit(value) != ANY else ""
        return f"{tokens_that_fit(value)}{factor}"

    columns = [Column("longest prompt", "text"), Column("ended by"), Column("largest batch", "text"),
               Column("ended by"), Column("weights", "B"), Column("memory", "B")]  # fmt: skip
    bounds = r.limits.prompt_bound, r.limits.batch_bound
    row = [said("max_prompt"), bounds[0], said("max_batch"), bounds[1], r.at[0].memory.weights, r.room.bytes]
    return Table("", columns, [row])


def limits_records(r: LimitsResult) -> Table:
    """A row for each length: memory by part, and beside it the two limits."""
    within = ("max_prompt", "max_batch")
    named = ("model", "device", "runtime", "calibration")
    units = {
        **dict.fromkeys((*named, "basis", "batch", "generate", "prompt")), **dict.fromkeys(PARTS, "B"), "peak": "B",
        "reserved": "B", "capacity": "B", "fits": None, **with_ends(dict.fromkeys(within, "")), "memory_prompt": "",
        "prompt_bound": None, "batch_bound": None,
    }  # fmt: skip
    common = {
        **columns(r), "basis": interval_basis(r.calibration), **columns(r.limits), **ends_of(r.intervals),
        "batch": r.workload.batch, "generate": r.workload.generate,
    }  # fmt: skip
    return records([{**common, **columns(each), **columns(each.memory)} for each in r.at], units)


def longest_prompt(found: Limits) -> str:
    """The longest prompt in words, with what ends it."""
    return f"{tokens_that_fit(found.max_prompt)} tokens{prompt_end(found)}"


def prompt_end(found: Limits) -> str:
    """What ends the longest prompt, set off from what stands before it, and what memory holds beyond that."""
    more = f"; memory holds {tokens_that_fit(found.memory_prompt)}" * (found.memory_prompt > found.max_prompt)
    return f"{_by(found.prompt_bound)}{more}"


def largest_batch(found: Limits, at_once: int | None) -> str:
    """The largest batch in words, with what ends it, and how many of it run at once if not all do."""
    return f"{tokens_that_fit(found.max_batch)}{batch_end(found, at_once)}"


def batch_end(found: Limits, at_once: int | None) -> str:
    """What ends the largest batch, set off from what stands before it, and how many of it run at once."""
    waiting = f", {at_once:,} of them at once" if at_once and found.max_batch > at_once else ""
    return f"{_by(found.batch_bound)}{waiting}"


def _by(reason: str) -> str:
    return "" if reason == "nothing" else f" (by {'the ' * (reason == 'context window')}{reason})"


def _within(r: LimitsResult) -> str:
    """The intervals of both limits in words."""
    ends = {name: [tokens_that_fit(int(end)) for end in ends] for name, ends in r.intervals.items()}
    prompt, batch = (" to ".join(ends[name]) for name in ("max_prompt", "max_batch"))
    return f"95 % intervals {by(r.calibration)}: longest prompt {prompt}, largest batch {batch}."
