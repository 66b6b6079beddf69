"""How the steady state of a serving engine is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roofsim.prediction.results import interval_basis
from roofsim.prediction.words import by
from roofsim.reports.heading import assumed, heading
from roofsim.reports.records import ends_of, records, with_ends
from roofsim.reports.table import Column, Figure, Table
from roofsim.serving.slo import Largest, Promise, broken
from roofsim.serving.steady import FIGURES, Served

BOUND = {
    "kv": "room for what sequences hold", "sequences": "how many sequences the server takes", "compute": "computing",
    "memory": "memory", "launch": "the host", "network": "the network",
}  # fmt: skip
"""What binds, in words."""


def served_tables(
    rows: Sequence[Served], device: str, runtime: str, slo: Sequence[Promise] = (), found: Largest | None = None
) -> list[Table]:
    """A row for each load; what was found of it stands first."""
    first = rows[0]
    columns = [
        Column("users", "short"), Column("rate [1/s]", "rate"), Column("ITL", "s"), Column("p95", "s"),
        Column("TTFT", "s"), Column("p95", "s"), Column("tok/s a user", "rate"), Column("a device", "rate"),
        Column("J/token", "ratio"), Column("cache", "%"), Column("binds", "text"),
        *([Column("holds", "text")] if slo else []),
    ]  # fmt: skip
    lines = [
        [
            r.concurrency, r.rate, r.itl["mean"], r.itl["p95"], r.ttft["mean"], r.ttft["p95"],
            r.tokens_per_second.user, r.tokens_per_second.device, r.joules_per_token,
            r.kv.used / r.kv.capacity if r.kv.capacity > 0 else None, r.binds, *([holds(r, slo)] if slo else []),
        ]
        for r in rows
    ]  # fmt: skip
    notes = [*([sentence(found)] if found else []), *([_within(first)] if len(rows) == 1 else []), _full(first)]
    notes += [
        f"At {r.concurrency:,.4g} users sequences outgrow their room: some are put back and computed again, which is "
        "not counted."
        for r in rows
        if r.kv.preempts
    ][:1]
    w = first.workload
    title = f"{first.model} serving requests of {w.prompt:,} + {w.generate:,} tokens on {device}\nwith {runtime}"
    notes.append(assumed(first.assumptions, first.cautions))
    return [Table(heading(title, first.cautions), columns, lines, notes)]


def holds(r: Served, slo: Sequence[Promise]) -> str:
    """Whether promises are kept, and which is not."""
    first = broken(slo, {"itl": r.itl, "ttft": r.ttft})
    return "yes" if first is None else f"no: {first.time}"


def sentence(found: Largest) -> str:
    """What was found, with its interval and what ends it."""
    promised = ", ".join(map(str, found.slo))
    low, high = found.interval
    if found.what == "rate":
        size, ends = f"{found.value:.4g} requests a second", f"{low:.3g} to {high:.3g}"
    else:
        called = {"concurrency": "users", "batch": "sequences at once", "devices": "devices"}[found.what]
        size, ends = f"{found.value:,.0f} {called}", f"{low:,.0f} to {high:,.0f}"
    how = "The fewest that keep" if found.what == "devices" else "The most that keep"
    return f"{how} {promised}: {size} (95 % interval {ends}), ended by {BOUND.get(found.binds, found.binds)}."


def _within(r: Served) -> str:
    """The intervals of both times in words."""
    said = ", ".join(
        f"{words} {Figure(r.intervals[name][0], 's')} to {Figure(r.intervals[name][1], 's')}"
        for name, words in (("itl", "ITL"), ("ttft", "TTFT"))
    )
    return f"95 % intervals {by(r.calibration)}: {said}."


def _full(r: Served) -> str:
    """What a full engine answers."""
    return (
        f"At most {r.capacity:.4g} requests a second are answered; there is room for what {r.kv.sequences:,} sequences "
        f"hold ({Figure(r.kv.capacity, 'B')})."
    )


def served_records(rows: Sequence[Served], found: Largest | None = None) -> Table:
    """A row for each load, as data."""
    times = {f"{name}_{each}": "s" for name in ("itl", "ttft") for each in FIGURES[1:]}
    units: Mapping[str, str | None] = {
        **dict.fromkeys(("model", "device", "runtime", "calibration", "basis")),
        **dict.fromkeys(("prompt", "generate", "devices", "concurrency", "running", "capacity"), ""),
        **with_ends({"rate": "", "itl": "s", "ttft": "s", "tokens_per_second": ""}), **times,
        "tokens_per_second_user": "", "tokens_per_second_device": "", "joules_per_token": "J", "kv_capacity": "B",
        "kv_used": "B", "sequences": "", "binds": None,
        **({"found": None, "found_value": "", "found_low": "", "found_high": "", "ended_by": None} if found else {}),
    }  # fmt: skip
    return records([_record(each, found) for each in rows], units)


def _record(r: Served, found: Largest | None) -> dict[str, Any]:
    w, speed = r.workload, r.tokens_per_second
    more = {}
    if found:
        more = {"found": found.what, "found_value": found.value, "found_low": found.interval[0],
                "found_high": found.interval[1], "ended_by": found.binds}  # fmt: skip
    return {
        "model": r.model, "device": r.device, "runtime": r.runtime, "calibration": r.calibration,
        "basis": interval_basis(r.calibration), "prompt": w.prompt, "generate": w.generate, "devices": r.devices,
        "concurrency": r.concurrency, "running": r.running, "capacity": r.capacity, "rate": r.rate,
        "itl": r.itl["mean"], "ttft": r.ttft["mean"], "tokens_per_second": speed.total, **ends_of(r.intervals),
        **{f"{name}_{each}": getattr(r, name)[each] for name in ("itl", "ttft") for each in FIGURES[1:]},
        "tokens_per_second_user": speed.user, "tokens_per_second_device": speed.device,
        "joules_per_token": r.joules_per_token, "kv_capacity": r.kv.capacity, "kv_used": r.kv.used,
        "sequences": r.kv.sequences, "binds": r.binds, **more,
    }  # fmt: skip
