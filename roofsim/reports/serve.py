"""How the steady state of a serving engine is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from roofsim.model.split import Split
from roofsim.prediction.results import interval_basis, plain
from roofsim.prediction.words import by
from roofsim.reports.heading import assumed, heading
from roofsim.reports.records import ends_of, records, with_ends
from roofsim.reports.table import Column, Figure, Table
from roofsim.serving.front import OBJECTIVES, PRICES, Front, Point, evenly, in_common
from roofsim.serving.quantiles import FIGURES
from roofsim.serving.served import Served
from roofsim.serving.slo import Largest, Promise, broken

WAYS = tuple(each.name for each in fields(Split))
"""How a model is divided, by name."""

BOUND = {
    "kv": "room for what sequences hold", "sequences": "how many sequences the server takes", "compute": "computing",
    "memory": "memory", "launch": "the host", "network": "the network",
}  # fmt: skip
"""What binds, in words."""


def served_tables(rows: Sequence[Served], device: str, runtime: str, slo: Sequence[Promise] = ()) -> list[Table]:
    """A row for each load."""
    first = rows[0]
    notes = [*([_within(first)] if len(rows) == 1 else []), *_drafted(rows), *_full(rows), *_paid(rows)]
    columns, lines = _lines(rows, slo)
    return [Table(_titled(first, device, runtime), columns, lines, [*notes, _assumed(rows)])]


def found_tables(
    found: Sequence[Largest], device: str, runtime: str, refused: Mapping[str, str] = MappingProxyType({})
) -> list[Table]:
    """What was found first, then the steady state there; `refused` are choices that keep nothing, and why."""
    rows = [each.served for each in found]
    more = [*_drafted(rows), *_full(rows), *_paid(rows), *_left_out(refused)]
    notes = [*([_within(rows[0])] if len(rows) == 1 else []), *more]
    said = [f"{whose}{sentence(one)}" for one, whose in zip(found, _whose(rows), strict=True)]
    columns, lines = _lines(rows, found[0].slo)
    return [Table(_titled(rows[0], device, runtime), columns, lines, [*said, *notes, _assumed(rows)])]


def _titled(first: Served, device: str, runtime: str) -> str:
    w = first.workload
    title = f"{first.model} serving requests of {w.prompt:,} + {w.generate:,} tokens on {device}\nwith {runtime}"
    return heading(title, first.cautions)


def _paid(rows: Sequence[Served]) -> list[str]:
    """What tokens are paid with, if a device has a price."""
    found = {r.device: r.paid for r in rows if r.cost["usd_per_million_output"] is not None}
    each = [f"{name}: {why}" if len(found) > 1 else why for name, why in found.items()]
    return [f"Paid: {'; '.join(each)}."] if each else []


def _assumed(rows: Sequence[Served]) -> str:
    return assumed(in_common({r.device: r.assumptions for r in rows}), rows[0].cautions)


def _differ(rows: Sequence[Served]) -> list[tuple[str, list[str]]]:
    """In what ways of dividing the model and in which formats rows differ: the name, and that of each row."""
    every = [("device", [r.device for r in rows])]
    every += [(way, [str(r.parallel[way]) for r in rows]) for way in WAYS]
    every += [
        (name, [str(getattr(r.workload, field) or r.workload.dtype) for r in rows])
        for name, field in (("weights", "weight_format"), ("cache", "cache_dtype"))
    ]
    return [(name, values) for name, values in every if len(set(values)) > 1]


def _whose(rows: Sequence[Served]) -> list[str]:
    """What tells rows apart beside their load, before what is said of one."""
    differ = _differ(rows)
    told = [
        ", ".join(f"{name} {values[i]}" if name in WAYS else values[i] for name, values in differ)
        for i in range(len(rows))
    ]
    return [f"{each}: " if each else "" for each in told]


def _lines(rows: Sequence[Served], slo: Sequence[Promise]) -> tuple[list[Column], list[list[Any]]]:
    """The columns of a steady state, and a line of each; formats where they differ."""
    differ = _differ(rows)
    priced = any(r.cost["usd_per_million_output"] is not None for r in rows)
    whole = all(float(r.concurrency).is_integer() for r in rows)
    columns = [
        *(Column(name, "text") for name, _ in differ),
        Column("users", "count" if whole else "rate"), Column("req/s", "rate"), Column("ITL", "s"),
        Column("ITL p95", "s"), Column("TTFT", "s"), Column("TTFT p95", "s"), Column("tok/s/user", "rate"),
        Column("tok/s/device", "rate"),
        Column("energy/token", "J"), *([Column("USD/M out", "ratio")] if priced else []), Column("KV", "%"),
        Column("binds", "text"),
        *([Column("gain", "")] if rows[0].drafts else []),
        *([Column("holds", "text")] if slo else []),
    ]  # fmt: skip
    lines = [
        [
            *(values[i] for _, values in differ), r.concurrency, r.rate, r.itl["mean"], r.itl["p95"], r.ttft["mean"],
            r.ttft["p95"], r.tokens_per_second.user, r.tokens_per_second.device, r.energy_per_token,
            *([r.cost["usd_per_million_output"]] if priced else []),
            r.kv.used / r.kv.capacity if r.kv.capacity > 0 else None, r.binds, *([r.drafts.gain] if r.drafts else []),
            *([holds(r, slo)] if slo else []),
        ]
        for i, r in enumerate(rows)
    ]  # fmt: skip
    return columns, lines


def simulated_table(rows: Sequence[Served], events: Sequence[Mapping[str, Mapping[str, float] | None]]) -> Table:
    """What requests saw that were served event by event, beside the closed form."""
    columns = [Column("users", "rate"), Column("req/s", "rate")]
    columns += [Column(f"{words}{of}", "s") for words in ("ITL", "TTFT") for of in ("", " p95", " p99")]
    lines = [
        [r.concurrency, r.rate, *((seen[name] or {}).get(each) for name in ("itl", "ttft")
                                  for each in ("mean", "p95", "p99"))]
        for r, seen in zip(rows, events, strict=True)
    ]  # fmt: skip
    return Table("The same, simulated event by event from an empty engine on", columns, lines, keys=2)


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
    """The intervals of both times in words, in the mean and at the percentile that is shown."""
    said = ", ".join(
        f"{words} {_ends(r, name)} (p95 {_ends(r, f'{name}_p95')})"
        for name, words in (("itl", "ITL"), ("ttft", "TTFT"))
    )
    return f"95 % intervals {by(r.calibration)}: {said}."


def _drafted(rows: Sequence[Served]) -> list[str]:
    """What drafts gain, and up to how many users they pay."""
    said = []
    for whose, r in dict(zip(_whose(rows), rows, strict=True)).items():
        d = r.drafts
        if d is None:
            continue
        gain = ""
        if len(rows) == 1 and d.gain:
            gain = f"They gain {d.gain:.2f} over none, {d.interval[0]:.2f} to {d.interval[1]:.2f} (95 %). "
        low, high = d.pays_within
        between = f"{low:,} to {high:,}" if low < high else f"{low:,}"
        ends = f"They pay for as many users as are served at once ({d.users:,}); by the interval up to {between}."
        if d.pays_until is None:
            ends = f"They pay for no number of users{f'; by the interval up to {between}' if high else ''}."
        elif d.pays_until < d.users:
            ends = f"They pay up to {d.pays_until:,} users (95 % interval {between}), of {d.users:,} served at once."
        said.append(f"{whose}{d.tokens} drafted, {d.made:.2f} tokens a step. {gain}{ends}")
    return said


def _ends(r: Served, name: str) -> str:
    return " to ".join(str(Figure(end, "s")) if end < float("inf") else "any" for end in r.intervals[name])


def _full(rows: Sequence[Served]) -> list[str]:
    """What a full engine answers, and where sequences outgrow it."""
    said, every = [], [*zip(_whose(rows), rows, strict=True)]
    for whose, r in dict(every).items():
        most = max(each.rate for of, each in every if of == whose)
        fewer = f", one that these users do not fill {most:.4g}" if most > r.capacity else ""
        said.append(
            f"{whose}A full engine answers {r.capacity:.4g} requests a second{fewer}; "
            f"there is room for what {r.kv.sequences:,} sequences hold ({Figure(r.kv.capacity, 'B')})."
        )
    for r in rows:
        if r.kv.preempts:
            often = f"{r.kv.preemptions:.2g} times each in the mean" if r.kv.preemptions else "which is not counted"
            return [
                *said,
                f"With {r.concurrency:,.4g} users sequences outgrow their room: some are put back and computed again, "
                f"{often}.",
            ]
    return said


JOULES = ("energy_per_token", "joules_per_token", "joules_per_input_token")
"""Joules of a token, as data: all that devices draw over tokens of answers, and those at the wall of either kind."""


def served_records(rows: Sequence[Served], found: Sequence[Largest] = ()) -> Table:
    """A row for each load, as data."""
    times = {f"{name}_{each}": "s" for name in ("itl", "ttft") for each in FIGURES[1:]}
    units: Mapping[str, str | None] = {
        **dict.fromkeys(("model", "device", "runtime", "calibration", "basis")),
        **dict.fromkeys(("cluster", "weights", "cache")), **dict.fromkeys(WAYS, ""),
        **dict.fromkeys(("prompt", "generate", "devices", "concurrency", "running", "capacity"), ""),
        **with_ends({"rate": "", "itl": "s", "ttft": "s", "tokens_per_second": ""}), **with_ends(times),
        "tokens_per_second_user": "", "tokens_per_second_device": "", **with_ends(dict.fromkeys(JOULES, "J")),
        **dict.fromkeys(("usd_per_million_output", "usd_per_million_input"), "USD"),
        **dict.fromkeys(("co2_per_million_output", "co2_per_million_input"), "kg"), "kv_capacity": "B", "kv_used": "B",
        "sequences": "", "binds": None,
        **(dict.fromkeys(DRAFTED, "") if rows[0].drafts else {}),
        **({"found": None, "found_value": "", "found_low": "", "found_high": "", "ended_by": None} if found else {}),
    }  # fmt: skip
    return records([_record(each, found[i] if found else None) for i, each in enumerate(rows)], units)


def _record(r: Served, found: Largest | None) -> dict[str, Any]:
    w, speed = r.workload, r.tokens_per_second
    more = {}
    if found:
        more = {"found": found.what, "found_value": found.value, "found_low": found.interval[0],
                "found_high": found.interval[1], "ended_by": found.binds}  # fmt: skip
    return {
        "model": r.model, "device": r.device, "runtime": r.runtime, "calibration": r.calibration,
        "basis": interval_basis(r.calibration), "cluster": r.cluster, **r.parallel,
        "weights": w.weight_format or w.dtype,
        "cache": w.cache_dtype or w.dtype, "prompt": w.prompt, "generate": w.generate, "devices": r.devices,
        "concurrency": r.concurrency, "running": r.running, "capacity": r.capacity, "rate": r.rate,
        "itl": r.itl["mean"], "ttft": r.ttft["mean"], "tokens_per_second": speed.total, **ends_of(r.intervals),
        **{f"{name}_{each}": getattr(r, name)[each] for name in ("itl", "ttft") for each in FIGURES[1:]},
        "tokens_per_second_user": speed.user, "tokens_per_second_device": speed.device,
        "energy_per_token": r.energy_per_token, **r.cost, "kv_capacity": r.kv.capacity, "kv_used": r.kv.used,
        "sequences": r.kv.sequences, "binds": r.binds, **_of_drafts(r), **more,
    }  # fmt: skip


DRAFTED = ("drafted", "made", "gain", "gain_low", "gain_high", "pays_until")
"""What is said of drafts, as data."""


def _of_drafts(r: Served) -> dict[str, Any]:
    d = r.drafts
    if d is None:
        return {}
    low, high = d.interval or (None, None)
    return dict(zip(DRAFTED, (d.tokens, d.made, d.gain, low, high, d.pays_until), strict=True))


def _left_out(refused: Mapping[str, str]) -> list[str]:
    """What cannot be, by its reason."""
    reasons: dict[str, list[str]] = {}
    for name, why in refused.items():
        reasons.setdefault(why, []).append(name)
    return [f"Left out: {'; '.join(filter(None, those)) or 'the model'}: {why}." for why, those in reasons.items()]


SHOWN = 16
"""Points of a front that a table shows: evenly spread over it."""


def front_tables(f: Front, device: str, runtime: str) -> list[Table]:
    """Points of the front, from the best in the first objective on."""
    names = list(dict.fromkeys(name for p in f.points for name in p.choice))
    shown = tuple(f.points[i] for i in evenly(len(f.points), SHOWN))
    columns = [
        *(Column(name, "text") for name in names), Column("users", "count"), Column("at once", "count"),
        Column("tok/s/user", "rate"), Column("tok/s/device", "rate"), Column("ITL", "s"), Column("TTFT", "s"),
        Column("energy/token", "J"),
    ]  # fmt: skip
    rows = [
        [*(str(p.choice.get(name)) for name in names), p.concurrency, min(p.sequences, p.concurrency), p.user, p.device,
         p.itl, p.ttft, p.energy_per_token]
        for p in shown
    ]  # fmt: skip
    more = {
        "devices": (Column("devices", "count"), any(p.devices > 1 for p in f.points)),
        "usd_per_million": (Column("USD/M", "ratio"), any(_costs(p) for p in f.points)),
    }
    for name, (column, there) in more.items():
        if there:
            columns.append(column)
            for row, p in zip(rows, shown, strict=True):
                row.append(getattr(p, name))
    title = f"{f.model} serving requests of {f.prompt:,} + {f.generate:,} tokens on {device}\nwith {runtime}: the front"
    kept = f", of which {f.kept:,} keep {', '.join(map(str, f.slo))}" if f.slo else ""
    some = f"; {len(shown)} of {len(f.points):,} are shown" if len(shown) < len(f.points) else ""
    what = "is the best in" if len(f.objectives) == 1 else "are beaten by none in"
    notes = [f"{f.looked_at:,} choices were looked at{kept}; {len(f.points):,} {what} {' and '.join(better(f))}{some}."]
    notes += [_sure(p) for p in f.points] if len(f.points) == 1 else []
    if any(_costs(p) for p in f.points):
        each = [f"{name}: {why}" if len(f.paid) > 1 else why for name, why in f.paid.items()]
        notes.append(f"energy/token and USD/M: of output tokens, with their prompts. Paid: {'; '.join(each)}.")
    return [Table(title, columns, rows, [*notes, *_left_out(f.refused), assumed(f.assumptions)], keys=len(names) + 1)]


def better(f: Front) -> list[str]:
    """What the points of a front are good in, in words."""
    return [OBJECTIVES[name].words for name in f.objectives]


def _sure(p: Point) -> str:
    """The intervals of a point in words."""
    ends = {
        OBJECTIVES[name].words: [str(Figure(each, OBJECTIVES[name].unit)) for each in p.intervals[name]]
        for name in ("itl", "ttft", "usd_per_million") if name in p.intervals
    }  # fmt: skip
    return f"95 % intervals: {', '.join(f'{words} {low} to {high}' for words, (low, high) in ends.items())}."


def _costs(p: Point) -> bool:
    return p.usd_per_million == p.usd_per_million


SURE = {
    "user": "user", "per_device": "device", "itl": "itl", "ttft": "ttft", "energy_per_token": "energy_per_token",
    "usd_per_million": "usd_per_million",
}  # fmt: skip
"""What has an interval, by its column."""


def _ends_named() -> dict[str, str]:
    """Columns of the ends of intervals, with their units."""
    return {f"{column}_{end}": OBJECTIVES[name].unit for column, name in SURE.items() for end in ("low", "high")}


def front_records(f: Front) -> Table:
    """A row for each point of the front, as data."""
    names = list(dict.fromkeys(name for p in f.points for name in p.choice))
    units: dict[str, str | None] = {
        **dict.fromkeys(("model", "device", "runtime", *names)),
        **dict.fromkeys(("devices", "concurrency", "sequences", "user", "per_device"), ""), "itl": "s", "ttft": "s",
        "energy_per_token": "J", **dict.fromkeys(PRICES, "USD"),
        **_ends_named(),
    }  # fmt: skip
    common = {"model": f.model, "device": f.device, "runtime": f.runtime}
    return records(
        [
            {**common, **{name: p.choice.get(name) for name in names}, "devices": p.devices,
             "concurrency": p.concurrency, "sequences": p.sequences, "user": p.user, "per_device": p.device,
             "itl": p.itl, "ttft": p.ttft, "energy_per_token": p.energy_per_token,
             **{name: plain(getattr(p, name)) for name in PRICES},
             **dict.fromkeys(_ends_named()),
             **ends_of({column: p.intervals[x] for column, x in SURE.items() if x in p.intervals})}
            for p in f.points
        ],
        units,
    )  # fmt: skip
