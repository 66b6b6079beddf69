"""How loading against computing again is laid out."""

from __future__ import annotations

from collections.abc import Sequence

from roofsim.prediction.results import columns, interval_basis
from roofsim.reports.crossover import BEYOND
from roofsim.reports.heading import assumed, heading
from roofsim.reports.records import ends_of, records, with_ends
from roofsim.reports.table import Column, Figure, Table
from roofsim.studies.reload import Reload, Turn


def reload_tables(r: Reload, device: str, runtime: str) -> list[Table]:
    """From which length on each memory is the faster, then seconds and bytes at single lengths."""
    turns = Table(
        heading(f"Loading {r.model} against computing it again on {device}\nwith {runtime}", r.cautions),
        [Column("from"), Column("rate", "B/s"), Column("loading is faster", "text"), Column("uncertain", "text"),
         *(Column(f"gain {Figure(each.prompt, 'count')}", "ratio") for each in r.at)],
        [[t.tier, t.rate, _ahead(r, t), _uncertain(r, t), *(each.recomputed / each.reloaded[t.tier] for each in r.at)]
         for t in r.turns],
        ["Gain: the time to the first token with all computed over that with all loaded. Uncertain: at these lengths "
         "the order is not certain at 95 %.", *_remarks(r)],
    )  # fmt: skip
    at = Table(
        "Times to the first token",
        [Column("length", "count"), Column("held", "B"), Column("computed", "s"),
         *(Column(t.tier, "s") for t in r.turns), Column("pays from", "B/s"), *_keeps(r)],
        [[each.prompt, each.bytes, each.recomputed, *(each.reloaded[t.tier] for t in r.turns), each.needed,
          *([each.kept] if _keeps(r) else [])]
         for each in r.at],
        ["Pays from: the rate from which loading is faster at that length: bytes held over the time that computing "
         "takes longer than the step after loading."
         + (" Host keeps: sequences of that length that its memory has room for." if _keeps(r) else ""),
         assumed(r.assumptions, r.cautions)],
    )  # fmt: skip
    reasons = [f"{t.tier}: {t.closed_form}" for t in r.turns if t.closed_form]
    return [turns, *([Table("Why", (), (), reasons)] if reasons else []), at]


def _keeps(r: Reload) -> list[Column]:
    """A column for the sequences that the memory of the host has room for, where it is known."""
    return [Column("host keeps", "count")] if any(each.kept is not None for each in r.at) else []


def _ahead(r: Reload, t: Turn) -> str:
    """From where on loading is faster, in words."""
    if t.length is None:
        return f"never up to {r.lengths[-1]:,}"
    beyond = BEYOND if r.context_window and t.length > r.context_window else ""
    return "always" if t.length <= r.lengths[0] else f"from {t.length:,}{beyond}"


def _uncertain(r: Reload, t: Turn) -> str:
    """The lengths between which the order is not certain."""
    if t.interval is None or t.interval[0] == t.interval[1]:
        return ""
    low, high = t.interval
    return f"{low:,} to {high:,}"


def _remarks(r: Reload) -> list[str]:
    """What lies beyond the context window, and what follows from how what is held grows."""
    found = []
    if r.context_window and any(t.length and t.length > r.context_window for t in r.turns):
        found.append(f"{BEYOND}: beyond the context window of {r.model}, {r.context_window:,} tokens.")
    if not r.grows:
        found.append(
            f"{r.model} holds the same at any length: loading takes the same time however long the prompt, so that it "
            "is the faster from some length on whatever the rate."
        )
    elif r.constant:
        found.append(
            f"{Figure(r.constant, 'B')} of what is held are states, the same at any length; the rest grows with it."
        )
    if r.devices > 1:
        found.append(f"Rates are those of all {r.devices} devices together, each of which loads its part.")
    return found


def reload_row(r: Reload) -> Table:
    """From which length on each memory is faster, in one line."""
    heads = [*(Column(f"from {t.tier}", "text") for t in r.turns), Column("held", "B"), Column("pays from", "B/s")]
    last = r.at[-1]
    return Table("", heads, [[*(_ahead(r, t) for t in r.turns), last.bytes, last.needed]])


def row_notes(found: Sequence[Reload]) -> list[str]:
    """What the columns and marks of such rows mean."""
    beyond = {each.model: each for each in found if any(BEYOND in _ahead(each, t) for t in each.turns)}
    windows = ", ".join(f"{name} ({each.context_window:,})" for name, each in beyond.items())
    lengths = sorted({each.at[-1].prompt for each in found})
    return (
        [
            f"Held, and the rate from which loading pays: at {' or '.join(f'{n:,}' for n in lengths)} tokens.",
            *([f"{BEYOND}: beyond the context window of {windows}."] if beyond else []),
        ]
        if found
        else []
    )


def reload_records(r: Reload) -> Table:
    """A row for each memory and length."""
    named = ("model", "device", "runtime", "calibration")
    units = {
        **dict.fromkeys((*named, "basis", "batch", "tier")), "rate": "B/s", **with_ends({"faster_from": ""}),
        "prompt": "", "bytes": "B", "recomputed": "s", "reloaded": "s", "needed": "B/s", "kept": "",
    }  # fmt: skip
    common = {**columns(r), "basis": interval_basis(r.calibration), "batch": r.workload.batch}
    rows = []
    for t in r.turns:
        ends = ends_of({"faster_from": t.interval}) if t.interval else {}
        turn = {**dict.fromkeys(units), **common, "tier": t.tier, "rate": t.rate, "faster_from": t.length, **ends}
        rows += [{**turn, **columns(each), "reloaded": each.reloaded[t.tier]} for each in r.at]
    return records(rows, units)
