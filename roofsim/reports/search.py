"""How a search over a family is laid out: the front, what the budgets allow, what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roofsim import library
from roofsim.prediction.words import by
from roofsim.reports.records import records
from roofsim.reports.table import Column, Figure, Table
from roofsim.spaces.search import Member, SearchResult
from roofsim.spaces.share import Binding

UNITS = {"ttft": "s", "tpot": "s", "total_time": "s", "memory_peak": "B", "energy": "J"}
LOSS_DIGITS = 3
MOST_SHOWN = 20
"""Rows of a table that people read."""

HEADS = {"ttft": "TTFT", "tpot": "TPOT", "total_time": "total", "memory_peak": "peak", "parameters": "parameters"}


def search_tables(
    r: SearchResult, device: str, runtime: str, *, every: bool = False, most: int | None = None
) -> list[Table]:
    """The front in order of its first objective, or every member that is kept; at most so many, evenly picked."""
    shown = sorted(r.kept if every else r.front, key=lambda i: r.members[i].column(r.objectives[0]))
    if cut := most is not None and len(shown) > most > 1:
        shown = [shown[round(k * (len(shown) - 1) / (most - 1))] for k in range(most)]
    columns = ["parameters", *dict.fromkeys((*r.objectives, "ttft", "tpot", "memory_peak"))]
    columns = list(dict.fromkeys(columns))
    w = r.workload
    title = (
        f"{'Members' if every else 'Front'} of {r.family} on {device}\nwith {runtime}, batch {w.batch}, {w.prompt:,} "
        f"tokens, {w.generate:,} generated"
    )
    chosen = [name for name in r.axes if name != "parameters"]
    rows = [
        [*(r.members[i].values[name] for name in chosen), *(r.members[i].column(name) for name in columns)]
        for i in shown
    ]
    heads = [*(Column(name, "count") for name in chosen), *map(_column, columns)]
    said = [f"{len(shown)} of them are shown; --format csv or json gives all."] if cut else []
    return [Table(title, heads, rows, [*said, *_notes(r)])]


def search_records(r: SearchResult) -> Table:
    """Every member, whether it is kept and on the front, and those that cannot be with the reason."""
    rows = [{**row, "refused": None} for row in r.rows()]
    empty = dict.fromkeys(("member", *r.columns))
    for name, reason in r.refused:
        given = library.split_member(name)[1]
        rows.append({**empty, "member": name, **{each: given[each] for each in r.axes}, "refused": reason})
    return records(rows, {name: UNITS.get(name) for name in ("member", *r.columns, "refused")})


def _column(name: str) -> Column:
    unit = {"parameters": "short", "active_parameters": "short", **UNITS}.get(name, "")
    return Column(HEADS.get(name, name.replace("_", " ")), unit)


def _notes(r: SearchResult) -> Iterator[str]:
    looked = f"{r.sample:,} of {r.total:,} drawn with seed {r.seed}" if r.sample else f"all {r.total:,} combinations"
    yield (
        f"Looked at {looked}: {len(r.members):,} members can be run, {len(r.kept):,} fit and meet the conditions, "
        f"{len(r.front):,} are on the front of {', '.join(name.replace('_', ' ') for name in r.objectives)}."
    )
    if r.refused:
        name, reason = r.refused[0]
        yield f"{len(r.refused):,} cannot be, {name} for one: {reason.removeprefix(f'{name}: ')}."
    if r.against:
        yield _against(r, r.against)
    for each in r.bindings:
        yield binding_words(each, r.bound)
    yield from r.notes
    yield f"Figures {by(r.calibration)}."


def _against(r: SearchResult, other: Member) -> str:
    """The best member at the latency of a model, beside that model."""
    latency = r.objectives[1]
    first = r.objectives[0]

    def said(m: Member) -> str:
        return ", ".join([m.name, *(f"{_head(name)} {_text(name, m.column(name))}" for name in (first, latency))])

    better = r.better()
    return f"{said(other)}. " + ("No member is as fast." if better is None else f"As fast and best: {said(better)}.")


def _head(name: str) -> str:
    return HEADS.get(name, name.replace("_", " "))


def _text(name: str, value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:.{LOSS_DIGITS}f}" if name == "loss" else str(Figure(value, UNITS.get(name, "")))


def binding_words(b: Binding, member: str) -> str:
    """Where a budget binds, in words, with the line that it follows from."""
    unit = UNITS[b.figure]
    low, high = (Figure(end, unit) for end in b.ends)
    said = (
        f"{_head(b.figure)} below {Figure(b.budget, unit)}: {_allowed(b)}, from {low} with no layer of {b.kind} to "
        f"{high} with all {b.depth} ({member}, {b.instead} for the rest)."
    )
    for each in b.meetings:
        said += f" The budget is met at {each.layers:.2f} layers, {each.layers / b.depth:.1%}"
        if each.line is None:
            said += "."
            continue
        line = each.line
        said += (
            f": there it is {Figure(line.base, unit)} {'+' if line.slope >= 0 else '-'} n · "
            f"{Figure(abs(line.slope), unit)}, so that n = (budget - base) / slope = {line.root:.2f}"
        )
        said += f", with base = {line.texts[0]}; slope = {line.texts[1]}." if line.texts else "."
    return said


def _allowed(b: Binding) -> str:
    """The numbers of layers that keep a budget."""
    if b.allowed == ((0, b.depth),):
        return f"with any number of layers of {b.kind}"
    spans = [
        f"at most {high}" if low == 0 else f"at least {low}" if high == b.depth else f"{low} to {high}"
        for low, high in b.allowed
    ]
    return f"with {' or '.join(spans)} of {b.depth} layers of {b.kind}" if spans else "with no number of layers"
