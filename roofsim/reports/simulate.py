"""How a simulation of serving is laid out."""

from __future__ import annotations

from dataclasses import fields

from roofsim.prediction.words import by
from roofsim.reports.heading import heading
from roofsim.reports.table import Column, Figure, Table
from roofsim.serving.outcome import Spread
from roofsim.serving.simulation import Simulation

TIMES = {"ttft": "TTFT", "itl": "ITL", "tpot": "TPOT", "e2e": "answered"}
COLUMNS = [Column("time", "text"), *(Column(f.name, "s") for f in fields(Spread))]
OF_REQUESTS = [Column(name, "s") for name in ("arrived", "ttft", "tpot", "e2e")] + [
    Column(name, "count") for name in ("prompt", "generate", "preempted")
]


def simulation_tables(found: Simulation, device: str, runtime: str) -> list[Table]:
    """Times of requests, and below them what went on in the engine."""
    r = found.result
    rows = [
        [said, *(getattr(spread, f.name) for f in fields(Spread))]
        for name, said in TIMES.items()
        if (spread := getattr(r, name)) is not None
    ]
    return [Table(heading(f"{found.said} on {device}\nwith {runtime}", found.cautions), COLUMNS, rows, _notes(found))]


def _notes(found: Simulation) -> list[str]:
    r = found.result
    n = found.groups
    rate = f"{Figure(r.requests_per_second * n, '')} requests/s"
    of = "" if r.capacity is None else f" of {Figure(r.capacity * n, '')} that the engine can keep"
    notes = [] if n == 1 else [f"One of {n:,} groups of devices is simulated, to which one of {n:,} requests goes."]
    notes += [
        f"{len(r.requests):,} requests in {Figure(r.duration, 's')} and {r.steps:,} steps: {rate}{of}, "
        f"{found.tokens_per_second:,.0f} tokens/s of answers, {Figure(found.energy_per_token, 'J')} each.",
        f"In the mean {r.mean['running']:.3g} requests ran (at most {r.most['running']:,.0f}) and "
        f"{r.mean['waiting']:.3g} waited (at most {r.most['waiting']:,.0f}); {r.mean['cache']:.1%} of the cache was in "
        f"use (at most {r.most['cache']:.1%}).",
    ]
    if r.preemptions:
        notes.append(f"Preempted for want of blocks: {r.preemptions:,} times; what was lost was computed again.")
    said = ", ".join(
        f"{TIMES[name]} {Figure(low, 's')} to {Figure(high, 's')}"
        for name, (low, high) in found.intervals.items()
        if name in ("ttft", "itl")
    )
    if found.drafts:
        notes.append(f"Drafts: {'; '.join(found.drafts)}.")
    notes.append(f"95 % intervals of the means {by(found.calibration)}: {said}. Another --seed draws other requests.")
    return notes


def simulation_records(found: Simulation) -> Table:
    """A row for each request, in the order in which they were answered."""
    rows = [[getattr(each, column.name) for column in OF_REQUESTS] for each in found.result.requests]
    return Table("", OF_REQUESTS, rows)
