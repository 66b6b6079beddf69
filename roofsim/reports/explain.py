"""How explanations and formulas are laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roofsim.engine.regime import LENGTH
from roofsim.foundation.cost import COLUMNS
from roofsim.foundation.nomenclature import SYMBOLS, unit_of
from roofsim.foundation.parameters import PARAMETERS
from roofsim.ops.base import CostFunction
from roofsim.prediction.metrics import METRICS
from roofsim.reports.heading import assumed, heading
from roofsim.reports.limits import longest_prompt
from roofsim.reports.records import records
from roofsim.reports.table import TOGETHER, Column, Figure, Table
from roofsim.studies.explain import Explanation

UNITS = {name: "FLOP" if name in ("matrix", "vector") else "B" for name in COLUMNS}


def explain_tables(e: Explanation, device: str, runtime: str) -> list[Table]:
    """The polynomial, its symbols with their pull, and the regimes."""
    row, shown = METRICS[e.metric], METRICS[e.form_of]
    title = heading(
        f"{row.words.capitalize()} of {e.model} on {device}\n"
        f"with {runtime}, {e.length:,} tokens: {Figure(e.value, row.unit)}",
        e.cautions,
    )
    total = sum(c * e.length**k for k, c in enumerate(e.coefficients))
    notes = [] if e.terms else ["This figure is no polynomial in N: something below the line is a sum."]
    if e.terms and shown is not row:
        notes = [f"The terms are those of the {shown.words}, {Figure(total, shown.unit)}, which is below the line."]
    power = ["1", "N", *(f"N^{k}" for k in range(2, len(e.terms)))][: len(e.terms)]
    formula = Table(
        title,
        [Column("times"), Column("coefficient", "text"), Column("at this length", "text")],
        [
            [name, term, f"{Figure(c * e.length**k, shown.unit)} ({c * e.length**k / total:.1%})"]
            for k, (name, term, c) in enumerate(zip(power, e.terms, e.coefficients, strict=True))
        ],
        notes,
    )
    meanings, unit = meanings_of(), units_of()
    values = {**e.symbols, LENGTH: e.length}
    rows = [
        [name, Column("", unit[name]).text(values[name]), f"{pull:+.2f} %", meanings[name]]
        for name, pull in e.elasticities.items()
        if abs(pull) >= SMALL
    ]
    symbols = Table(
        "What moves it: per cent of change for one per cent more",
        [Column("symbol"), Column("value", "text"), Column("moves", "text"), Column("meaning")],
        rows,
    )
    spans = [[f"{r.first:,} to {r.last:,}", str(r.bound), "yes" if r.masked else "no"] for r in e.regimes]
    regimes = Table("Regimes of the prefill", [Column("tokens"), Column("bound by"), Column("mask built")], spans,
                    [f"Longest prompt at this batch: {longest_prompt(e.limits)}."])  # fmt: skip
    return [formula, symbols, regimes, Table("", (), (), [assumed(e.assumptions, e.cautions)])]


def meanings_of() -> dict[str, str]:
    """What each symbol means."""
    return {symbol: meaning for symbol, meaning in SYMBOLS.values()} | {
        p.symbol: p.meaning for p in PARAMETERS.values()
    }


def units_of() -> dict[str, str]:
    """The unit of each symbol."""
    found = {symbol: unit_of(meaning) for symbol, meaning in SYMBOLS.values()}
    return found | {p.symbol: p.unit for p in PARAMETERS.values()}


SMALL = 0.005
FEW = 4
"""So many symbols are named in a row."""


def explain_row(e: Explanation) -> Table:
    """The figure, what bounds the prefill at this length, and what moves the figure most, in one line."""
    here = next((r for r in reversed(e.regimes) if r.first <= e.length), e.regimes[0])
    pulls = [f"{name}{TOGETHER}{pull:+.2f}" for name, pull in list(e.elasticities.items())[:FEW] if abs(pull) >= SMALL]
    columns = [
        Column("figure", METRICS[e.metric].unit),
        Column("bound by"),
        Column("1 % more of it moves by %", "text"),
    ]
    return Table("", columns, [[e.value, str(here.bound), ", ".join(pulls)]])


def explain_records(e: Explanation) -> Table:
    """A row for each symbol: its value in SI units, and the per cent that one per cent more of it moves the figure."""
    values = {**e.symbols, **({LENGTH: e.length} if LENGTH in e.elasticities else {})}
    named = {"model": e.model, "device": e.device, "runtime": e.runtime, "metric": e.metric, "prompt": e.length}
    rows = [
        {**named, "symbol": name, "value": value, "elasticity": e.elasticities.get(name, 0.0)}
        for name, value in values.items()
    ]
    return records(rows, dict.fromkeys((*named, "symbol", "value", "elasticity")))


def formula_records(data: Sequence[Mapping[str, Any]]) -> Table:
    """A row for each operator with its formulas, from their plain data: FLOP and bytes, a cell is empty for none."""
    rows = [{**each, **{c: each[c] if each[c] != "0" else None for c in COLUMNS}} for each in data]
    return records(rows, {"operator": None, **dict.fromkeys(COLUMNS)})


def formula_data(functions: Sequence[CostFunction], *, latex: bool) -> list[dict[str, Any]]:
    """The cost of each function by column, as text or LaTeX."""
    from roofsim.engine import symbolic

    show = symbolic.latex if latex else str
    data = []
    for function in functions:
        columns = symbolic.cost_expressions(function)
        doc = (function.__doc__ or "").strip().splitlines()[0]
        data.append({"operator": function.__name__, "meaning": doc, **{c: show(columns[c]) for c in COLUMNS}})
    return data


def formula_tables(functions: Sequence[CostFunction], *, latex: bool) -> list[Table]:
    """One table per operator: FLOP and bytes in the symbols of the nomenclature."""
    tables = []
    for each in formula_data(functions, latex=latex):
        rows = [[f"{c} ({UNITS[c]})", each[c]] for c in COLUMNS if each[c] != "0"]
        tables.append(Table(f"{each['operator']}: {each['meaning']}", [Column("part"), Column("formula")], rows))
    used = [[symbol, meaning] for symbol, meaning in SYMBOLS.values()]
    return [*tables, Table("Symbols", [Column("symbol"), Column("meaning")], used)]
