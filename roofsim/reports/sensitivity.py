"""How sensitivities and heat maps are laid out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roofsim.foundation import units
from roofsim.prediction.words import by
from roofsim.reports.heading import assumed, heading
from roofsim.reports.table import TOGETHER, Column, Figure, Table
from roofsim.spaces.sensitivity import HeatMap, Sensitivities, Sensitivity, Turn

SMALL = 0.005
"""Elasticities below this are left out of the table for people."""

SIDES = ("below", "above")


def sensitivity_tables(r: Sensitivities, device: str, runtime: str) -> list[Table]:
    """What moves the figure, one number a row, and how far each is from another regime."""
    title = f"What moves the {r.words} of {r.model} on {device}\nwith {runtime}: {Figure(r.value, r.unit)}"
    if r.interval:
        low, high = (Figure(end, r.unit) for end in r.interval)
        title += f", 95 % interval {low} to {high} {by(r.calibration)}"
    shown = [row for row in r.rows if abs(row.elasticity) >= SMALL]
    rows = [[row.number, _value(row, row.value), f"{row.elasticity:+.2f}", _regimes(row)] for row in shown]
    heads = [Column("number"), Column("value", "text"), Column("moves", "text")]
    notes = [
        "moves: per cent of change for one per cent more of the number. next regime: the factor of the number at which "
        "that changes, how much it moves then, and what bounds what changes there.",
        *_left_out(r, len(r.rows) - len(shown)),
        assumed(r.assumptions, r.cautions),
    ]
    return [Table(heading(title, r.cautions), [*heads, Column("next regime", "text")], rows, notes)]


FEW = 4
"""So many numbers are named in a row."""
ROW_NOTE = "moves it most: per cent of change for one per cent more of that number."


def sensitivity_row(r: Sensitivities) -> Table:
    """The figure and what moves it most, in one line."""
    most = sorted(r.rows, key=lambda row: -abs(row.elasticity))[:FEW]
    said = ", ".join(f"{row.number}{TOGETHER}{row.elasticity:+.2f}" for row in most if abs(row.elasticity) >= SMALL)
    return Table("", [Column("figure", "text"), Column("moves it most")], [[Figure(r.value, r.unit), said]])


def _value(row: Sensitivity, value: float) -> str:
    return str(Figure(value, row.unit)) if row.unit else units.significant(value) if value % 1 else f"{value:,.0f}"


def _regimes(row: Sensitivity) -> str:
    if row.decides:
        return "decides what is run"
    return "; ".join(_regime(turn) for turn in (row.below, row.above) if turn) or "–"


def _regime(turn: Turn) -> str:
    bound = f" {turn.bound}" if turn.bound else ""
    jump = f", where it jumps x{units.significant(turn.jump)}" if abs(turn.jump - 1) >= SMALL else ""
    return f"x{units.significant(turn.factor)}: {turn.elasticity:+.2f}{bound}{jump}"


def _left_out(r: Sensitivities, small: int) -> list[str]:
    """What the table does not show, and why."""
    said = [f"{small} numbers that move it by less than {SMALL} % are in -f csv and -f json."] if small else []
    for reason in dict.fromkeys(r.fixed.values()):
        names = [name for name, why in r.fixed.items() if why == reason]
        many = len(names) > 1
        words = {"decides what is run": "decide what is run, and have no elasticity", "is 0": "are 0"}[reason]
        said.append(f"{', '.join(names)} {words if many else reason}.")
    return said


def sensitivity_records(r: Sensitivities) -> Table:
    """The same as data: a row for every number that can vary."""
    unit = r.unit
    heads = [
        Column("number"), Column("group"), Column("unit"), Column("value", "ratio"), Column("elasticity", "ratio"),
        Column("decides"),
        Column("half", "ratio"), Column("twice", "ratio"), Column(f"{r.figure}_at_half", unit),
        Column(f"{r.figure}_at_twice", unit),
        *(Column(f"{side}_{name}", "ratio") for side in SIDES for name in ("factor", "value", "elasticity", "bound",
                                                                          "gains", "loses", "jump")),
    ]  # fmt: skip
    rows = [
        [row.number, row.group, row.unit, row.value, row.elasticity, row.decides, *row.values, row.less, row.more,
         *_cells(row.below), *_cells(row.above)]
        for row in r.rows
    ]  # fmt: skip
    return Table("", heads, rows)


def _cells(turn: Turn | None) -> Sequence[Any]:
    if turn is None:
        return [None] * 7
    lists = (" ".join(names) for names in (turn.gains, turn.loses))
    return [turn.factor, turn.value, turn.elasticity, turn.bound, *lists, turn.jump]


def heat_tables(r: HeatMap, device: str, runtime: str) -> list[Table]:
    """The figure at some values of both numbers: a row for each of the first."""
    down, across = r.axes
    rows, columns = (_some(len(axis.values)) for axis in r.axes)
    heads = [
        Column(down.number, down.unit or "count"),
        *(Column(_at(across.values[i], across.unit), r.unit) for i in columns),
    ]
    cells = [[down.values[i], *(r.values[i][j] for j in columns)] for i in rows]
    title = f"{r.words.capitalize()} of {r.model} on {device}\nwith {runtime}, over {down.number} and {across.number}"
    return [Table(title, heads, cells, ["-f csv and -f json have all values."])]


def _some(count: int) -> list[int]:
    """Up to five places in a list, spread evenly."""
    return sorted({round(i * (count - 1) / 4) for i in range(5)})


def _at(value: float, unit: str) -> str:
    return (
        str(Figure(value, unit))
        if unit
        else f"{value:,.0f}"
        if value >= 1 and value % 1 == 0
        else units.significant(value)
    )


def heat_records(r: HeatMap) -> Table:
    """The same as data: a row for each pair of values."""
    down, across = r.axes
    heads = [*(Column(axis.number, axis.unit or "ratio") for axis in r.axes), Column(r.figure, r.unit)]
    rows = [[y, x, r.values[i][j]] for i, y in enumerate(down.values) for j, x in enumerate(across.values)]
    return Table("", heads, rows)
