"""How advice is laid out: what meets the budgets, what misses them and by how much, what cannot be run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from roofsim.foundation import units
from roofsim.reports.comparison import comparison_records
from roofsim.reports.table import TOGETHER, Column, Figure, Table
from roofsim.spaces.advise import BUDGETS, FITS, Advice, Candidate, Miss
from roofsim.spaces.combinations import Labels
from roofsim.spaces.compare import Comparison

MOST = 20
"""Rows of a table that people are shown; files hold them all."""

OPTIONS: Mapping[str, str] = {name: name.replace("_", "-") for name in BUDGETS}
"""What budgets are called on the command line."""


def advice_tables(a: Advice) -> list[Table]:
    """The feasible candidates, the others by how little they miss, and why some cannot be run."""
    names = varied(a)
    title = f"{len(a.feasible):,} of {len(a.candidates):,} candidates meet the budgets: {limits_in_words(a)}"
    tables = [Table(f"{title}\n{', '.join(common(a))}".strip(), *_feasible(a, names), _cut(len(a.feasible)))]
    if a.others:
        rows = [[*_labels(each, names), _missed(each.misses)] for each in a.others[:MOST]]
        heads = [*_heads(names), Column("misses")]
        tables.append(Table("Beyond the budgets, the nearest first", heads, rows, _cut(len(a.others))))
    return [*tables, Table("", (), (), [*_refused(a.refused), NOTE])]


def limits_in_words(a: Advice) -> str:
    """The budgets, as the command line calls them."""
    return ", ".join(
        f"{OPTIONS[name]} {'at least' if BUDGETS[name].least else 'at most'} {_shown(name, limit)}"
        for name, limit in a.budgets.items()
    )


NOTE = (
    "room: the factor by which the tightest budget could be smaller; certain: all are met at the far ends of the 95 % "
    "intervals, too."
)


def varied(a: Advice) -> list[str]:
    """The choices in which candidates differ, and always the model."""
    chosen = [each.row.chosen for each in a.candidates]
    names = chosen[0] if chosen else {}
    return [n for n in names if n == "model" or len({str(each[n]) for each in chosen if each[n] is not None}) > 1]


def common(a: Advice) -> list[str]:
    """The device and the runtime that all candidates share, and their lengths."""
    if not a.candidates:
        return []
    chosen, apart = a.candidates[0].row.chosen, varied(a)
    specs = [a.names.get(chosen[name], chosen[name]) for name in ("device", "runtime") if name not in apart]
    counts = [f"{name} {chosen[name]:,}" for name in ("batch", "prompt", "generate") if name not in apart]
    return [each for each in (*specs, *counts) if each]


def _heads(names: Sequence[str]) -> list[Column]:
    return [Column(name.rpartition(".")[2]) for name in names]


def _labels(candidate: Candidate, names: Sequence[str]) -> list[Any]:
    return [candidate.row.chosen[name] for name in names]


def _feasible(a: Advice, names: Sequence[str]) -> tuple[list[Column], list[list[Any]]]:
    sized = [Column("size", "short")] if a.rank == "parameters" else []
    limited = [Column(OPTIONS[name].removeprefix("max-"), "text") for name in a.budgets]
    rows = []
    for each in a.feasible[:MOST]:
        shown = [_shown(name, each.values[name] or 0).replace(" ", TOGETHER) for name in a.budgets]
        room = f"x{units.significant(each.headroom)} {OPTIONS[each.tightest]}{', certain' if each.certain else ''}"
        rows.append([*_labels(each, names), *([each.parameters] if sized else []), *shown, room])
    return [*_heads(names), *sized, *limited, Column("room", "text")], rows


def _shown(budget: str, value: float) -> str:
    unit = "B" if budget == FITS else BUDGETS[budget].unit
    return str(Figure(value, unit)) if unit else f"{value:,.0f}" if value % 1 == 0 else units.significant(value)


def _missed(misses: Sequence[Miss]) -> str:
    """What binds in words, `tpot 71.0 ms, 1.42x the budget`, and by how much other budgets are missed."""
    worst, *others = misses
    also = ", ".join(f"{OPTIONS.get(each.budget, each.budget)} {_factor(each)}".strip() for each in others)
    return f"{_miss(worst)}{f'; also {also}' if also else ''}"


def _miss(miss: Miss) -> str:
    if miss.budget == FITS:
        held = f": {_shown(FITS, miss.value or 0)}, {_factor(miss)} what it has" if miss.factor != inf else ""
        return f"does not fit the memory{held}"
    name = OPTIONS[miss.budget]
    if miss.value is None:
        return f"{name} is not known"
    return f"{name} {_shown(miss.budget, miss.value)}, {_factor(miss)} the budget".replace(",  ", ", ")


def _factor(miss: Miss) -> str:
    """How many times the budget a value is; nothing where no factor says it."""
    if miss.factor == inf:
        return ""
    least = miss.budget != FITS and BUDGETS[miss.budget].least
    return f"{units.significant(1 / miss.factor if least else miss.factor)}x"


def _cut(count: int) -> list[str]:
    return [f"{MOST} of {count:,}; -f csv has all."] if count > MOST else []


def _refused(refused: Sequence[Candidate]) -> list[str]:
    """Why candidates cannot be run, each reason once."""
    reasons: dict[str, int] = {}
    for each in refused:
        reason = each.row.reason or ""
        reasons[reason] = reasons.get(reason, 0) + 1
    if len(reasons) > FEW:
        return [f"{len(refused):,} candidates cannot be run; -f csv says of each why."]
    return [f"Cannot be run{f' ({count:,})' if count > 1 else ''}: {reason}." for reason, count in reasons.items()]


FEW = 4
"""Reasons that are told one by one."""


def advice_records(a: Advice) -> Table:
    """Every candidate with what `compare` says of it, its rank, and what it misses worst."""
    rows = [each.row for each in a.candidates]
    base = comparison_records(Comparison(tuple(rows), Labels(a.names)))
    heads = [
        Column("parameters"), Column("feasible"), Column("headroom"), Column("tightest"), Column("certain"),
        Column("binds"), Column("binds_factor"), Column("misses"),
    ]  # fmt: skip
    cells = []
    for each, row in zip(a.candidates, base.rows, strict=True):
        worst = each.misses[0] if each.misses else None
        within = each.feasible
        cells.append([
            *row, each.parameters, within, each.headroom if within else None, each.tightest or None,
            each.certain if within else None, worst and worst.budget,
            worst.factor if worst and worst.factor != inf else None, " ".join(m.budget for m in each.misses) or None,
        ])  # fmt: skip
    return Table("", [*base.columns, *heads], cells)
