"""What stands above a figure of one case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from roofsim.model.split import RANKS
from roofsim.prediction.places import COUNTS
from roofsim.prediction.setup import DEFAULT_RUNTIME, Setup
from roofsim.prediction.spoken import words
from roofsim.reports.figures.captions import asked, called, on, rests_on
from roofsim.reports.figures.numbers import number
from roofsim.reports.figures.style import tokens
from roofsim.spaces.sweep import Swept
from roofsim.specs.workload import Workload


def case(s: Setup, w: Workload, *without: str, mark: str = "band") -> tuple[str, str]:
    """Two lines: where it runs, and what is asked for but for what the figure varies, with what its band is, or
    whatever `mark` the interval has; none if that is empty."""
    host = f", host {s.host.id}" if s.host and s.runtime.host.mode in ("eager", "inline") else ""
    said = [asked(w, *without), *s.changes]
    if mark:
        said.append(f"{mark}: {rests_on([s.calibration_name])}")
    return on(s.device_name, s.runtime.name, s.model_name) + host, ", ".join(filter(None, said))


def devices_of(setups: Iterable[Setup]) -> list[str]:
    """What cases run on: with how the model is divided, if that is the same in all."""
    every = list(setups)
    named = [s.device_name for s in every]
    return named if len(set(named)) == 1 else [s.device.name for s in every]


def study(found: Swept) -> str:
    """What all points of a study share, as it was asked for or by default."""
    space, units = found.study.space, found.units()
    first: Mapping[str, Any] = next(iter(found.rows()), {})
    usual = {each.name: each.default for each in fields(Workload) if each.name in COUNTS}
    shared: dict[str, Any] = {"model": None, "device": None, "runtime": DEFAULT_RUNTIME, **usual}
    shared |= {axis.name: first.get(axis.name, axis.values[0]) for axis in space.axes}
    varied = {axis.name for axis in space.axes if len(axis) > 1}
    return ", ".join(
        said(name, value, units.get(name, "")) for name, value in shared.items() if value is not None and
        name not in varied
    )  # fmt: skip


def said(name: str, value: Any, unit: str) -> str:
    """A value with what it is of."""
    if name in RANKS:
        return f"{name.upper()} {value}"
    if not isinstance(value, int | float):
        return called(name, str(value))
    shown = tokens(value) if name in COUNTS else number(float(value), unit)
    return f"{shown} generated" if name == "generate" else f"{name if name in COUNTS else words(name)} {shown}"
