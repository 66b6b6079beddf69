"""How what drafts gain is laid out: by their length, and by the number of sequences."""

from __future__ import annotations

from roofsim.foundation.units import show
from roofsim.prediction.results import columns, interval_basis
from roofsim.prediction.words import by
from roofsim.reports.heading import assumed, heading
from roofsim.reports.records import ends_of, records, with_ends
from roofsim.reports.table import Column, Table
from roofsim.serving.drafts import CALLED
from roofsim.serving.speculation import Speculation

PARTS = {"target": "model", "draft_weights": "weights of the draft", "draft_cache": "its cache",
         "states": "states taken back"}  # fmt: skip
"""What memory holds, in words."""


def speculation_tables(r: Speculation, device: str, runtime: str) -> list[Table]:
    """A row for each length of a draft, then one for each number of sequences."""
    states = r.recurrent > 0
    named = [
        Column("drafted", "count"), Column("tokens a round", ""), Column("draft", "s"), Column("verify", "s"),
        *([Column("states", "s")] if states else []), Column("TPOT", "s"), Column("speedup", ""),
        Column("pays from", "%"),
    ]  # fmt: skip
    rows = [
        [row.tokens, row.made, row.draft_time, row.verify_time, *([row.state_time] if states else []), row.tpot,
         row.speedup, row.break_even]
        for row in r.rows
    ]  # fmt: skip
    title = f"Drafts by {CALLED.get(r.draft, r.draft)} for {r.model} on {device}\nwith {runtime}"
    one = Table(heading(title, r.cautions), named, rows, _notes(r))
    over = [Column("batch", "count"), Column("TPOT without", "s"), Column("TPOT", "s"), Column("speedup", ""),
            Column("best drafted", "count"), Column("speedup", "")]  # fmt: skip
    more = [[at.batch, at.without, at.tpot, at.speedup, at.best, at.best_speedup] for at in r.over_batch]
    return [one, Table(f"The same with {r.chosen} drafted, over the batch", over, more)]


def _notes(r: Speculation) -> list[str]:
    row, within = r.row, {name: " to ".join(show(end, "s") for end in ends) for name, ends in r.intervals.items()}
    low, high = r.intervals["speedup"]
    batch = f"batch {r.workload.batch}" + (", where most is gained" if r.chosen == r.best else "")
    memory = ", ".join(f"{PARTS[name]} {show(size, 'B')}" for name, size in r.memory.items() if size)
    return [
        f"With {r.chosen} drafted at {batch}: {show(row.tpot, 's')} a token, {within['tpot']}, where it is "
        f"{show(r.without, 's')} without, {within['tpot_without']}; speedup {row.speedup:.2f}, {low:.2f} to {high:.2f} "
        f"(95 % intervals {by(r.calibration)}). {pays(r)}",
        f"Time to first token {show(r.ttft, 's')}, with what drafts need of the prompt. Memory: {memory}; "
        f"{show(r.capacity, 'B')} can be had.",
        assumed(r.assumptions, r.cautions),
    ]


def pays(r: Speculation) -> str:
    """Up to which batch drafts pay, in a sentence."""
    low, high = r.pays_within
    within = f"{low:,} to {high:,}" if low < high else f"{high:,}"
    if r.pays_until is None:
        return f"They do not pay at any batch (95 % interval: up to {within})."
    but = f", but not at {', '.join(f'{each:,}' for each in r.dips)}" if r.dips else ""
    if r.pays_until >= r.most:
        return f"They pay at every batch that runs at once ({r.most:,}){but}; by the interval up to {within}."
    return f"They pay up to batch {r.pays_until:,} (95 % interval {within}), of {r.most:,} that run at once{but}."


def speculation_row(r: Speculation) -> Table:
    """The chosen drafts in one line."""
    row, (low, high) = r.row, r.intervals["speedup"]
    named = [Column("drafted", "count"), Column("TPOT without", "s"), Column("TPOT", "s"),
             Column("speedup", ""), Column("from", ""), Column("to", ""), Column("pays to batch", "count")]  # fmt: skip
    return Table("", named, [[row.tokens, r.without, row.tpot, row.speedup, low, high, r.pays_until or 0]])


def speculation_records(r: Speculation) -> Table:
    """A row for each length of a draft, with what all of them share."""
    units = {
        **dict.fromkeys(("model", "device", "runtime", "calibration", "basis", "draft", "rollback")),
        **dict.fromkeys(("batch", "prompt", "generate"), ""), "tokens": "", "made": "", "draft_time": "s",
        "verify_time": "s", "state_time": "s", "tpot": "s", "speedup": "", "energy": "J", "break_even": "",
        "chosen": None, "best": None, "pays_until": "", "pays_low": "", "pays_high": "", "ttft": "s",
        **dict.fromkeys(PARTS, "B"),
        **with_ends({"tpot_without": "s"}),
    }  # fmt: skip
    ends = ends_of({"tpot_without": r.intervals["tpot_without"]})
    common = {
        "pays_low": r.pays_within[0], "pays_high": r.pays_within[1],
        **columns(r), "basis": interval_basis(r.calibration), "tpot_without": r.without, **ends,
        "batch": r.workload.batch, "prompt": r.workload.prompt, "generate": r.workload.generate, **r.memory,
        "model": r.model,
    }  # fmt: skip
    rows = [
        {**common, **columns(row), "chosen": row.tokens == r.chosen, "best": row.tokens == r.best} for row in r.rows
    ]
    return records(rows, units)
