"""The file of runs that grows while software is driven that is not ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.foundation import writing
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.measure.points import Point, known, state
from roofsim.measure.runs import Row, Runs
from roofsim.model.step import Phase


@dataclass(frozen=True)
class Asked:
    """What is to be measured, what failed before too if `again`; `until` is a reading of the monotonic clock."""

    models: Sequence[str]
    weights: Sequence[str]
    phases: Sequence[Phase]
    batches: Sequence[int]
    prompts: Sequence[int]
    repeats: int
    until: float | None
    again: bool = False


class Book:
    """A file of runs of some software, added to as rows come."""

    def __init__(self, file: Runs, path: str, software: str) -> None:
        self.file, self.path, self.software = file, path, software

    def add(self, rows: Iterable[Row], arch: str) -> None:
        """Write the file anew with more rows: all of them are in it or none is."""
        source = f"roofsim measure {date.today().isoformat()}, {self.software}, random weights, published shapes"
        self.file = self.file.plus({"source": source, "arch": arch, **row} for row in rows)
        writing.text(self.path, self.file.text, at_once=True)

    def finish(self, before: Runs, wanted: Iterable[Point], refused: Sequence[str], out: o.Output) -> None:
        """Write what is new and how much is left, then tell what was refused, to the quiet as well, and exit with 1.

        Raises InputError where all that was asked for was refused.
        """
        from roofsim.reports.measure import measured_tables
        from roofsim.reports.records import records

        now = known(self.file, self.software)
        left = sum(state(point, now) == "to do" for point in wanted)
        fresh = self.file.rows[len(before.rows) :]
        if refused and not fresh:
            raise InputError("\n".join(refused))
        summary = {"device": self.file.device, "rows": fresh, "left": left}
        columns = dict.fromkeys(self.file.columns)
        out.write(measured_tables(self.file.device, fresh, left), summary, lambda: records(fresh, columns))
        if told := [*refused, *untimed(fresh)]:
            click.echo("\n".join(told), err=True)
            click.get_current_context().exit(1)


def untimed(rows: Sequence[Row]) -> list[str]:
    """What is to be told of new rows none of which is a time, but some of which say that a pass failed."""
    failed = [row["note"] for row in rows if row["metric"] == "failed"]
    if not failed or any(row["metric"] == "latency_s" for row in rows):
        return []
    return [f"nothing was timed: {failed[-1]}; --again measures what failed once more"]


def show_plan(file: Runs, wanted: Iterable[Point], software: str, out: o.Output) -> None:
    """Write what would be measured, and of what there are rows already."""
    from roofsim.reports.measure import plan_tables

    there = known(file, software)
    cases = [{**asdict(point), "state": state(point, there)} for point in wanted]
    out.write(plan_tables(file.device, tuple(cases[0]), cases), {"device": file.device, "cases": cases})
