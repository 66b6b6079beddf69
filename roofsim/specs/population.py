"""What parameters and figures are like before anything is known of a machine: a population of devices and runtimes.

`tools/learn_priors.py` learns it from all shared measurements. What it does not know of is as the table of parameters
has it, which holds what was read by hand before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Literal

from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.quantity import Name
from roofsim.foundation.schema import Limit, Spec
from roofsim.foundation.values import dataclass
from roofsim.specs.calibration import PHASES, TIMES, Dataset, Scatter, most_alike
from roofsim.specs.device import Device
from roofsim.specs.kinds import kind_named
from roofsim.specs.runtime import Runtime

OF_OPERATORS = "device_time_s"
"""The metric under which the scatter of single operators stands, whichever of both times was measured."""


class Typical(Spec):
    """A parameter in a class: `mean`, and the standard deviation of another member's on the scale without limits.

    `fits` is how many calibrations say so, made on how many `devices`.
    """

    mean: float
    spread: Annotated[float, Limit(gt=0)]
    fits: Annotated[int, Limit(ge=0)] = 0
    devices: Annotated[int, Limit(ge=0)] = 0


class LeftOut(Spec):
    """Rows predicted from all other devices (`of: device`) or classes of runtimes (`of: runtime`).

    `phase` is that of whole models, or the kind of single operators.

    `bias` is the median relative error, `coverage` the share of measurements in their 95 % intervals, `width` the
    median of an interval's upper end over its lower; a device counts as the root of its rows.
    """

    of: Literal["device", "runtime"]
    metric: str
    phase: str
    rows: Annotated[int, Limit(ge=1)]
    devices: Annotated[int, Limit(ge=1)]
    bias: float
    median_error: float
    coverage: float
    width: float


class Group(Spec):
    """A class of devices (vendor and kind) with a class of runtimes (their back end, or lowering); empty for any.

    `scatter` is what is left between predictions by these means and measurements, of whole models and of single
    operators, whose kind is in the place of a phase.
    """

    devices: str = ""
    runtimes: str = ""
    parameters: Mapping[str, Typical] = field(default_factory=dict)
    scatter: tuple[Scatter, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        for name, each in self.parameters.items():
            row = PARAMETERS.get(name)
            if row is None:
                raise ValueError(f"parameters: no '{name}' in roofsim.foundation.parameters")
            if not row.low <= each.mean <= row.high:
                raise ValueError(f"parameters.{name}: {each.mean:g} is not from {row.low:g} to {row.high:g}")


@dataclass(frozen=True, slots=True)
class Priors:
    """What is expected of one device with one runtime: values, standard deviations (free scale), scatter of figures.

    `shown` is the share of the deviations that figures show (`Population`).
    """

    values: Mapping[str, float]
    spreads: Mapping[str, float]
    scatter: tuple[tuple[Scatter, ...], ...]
    shown: float

    def scatter_of(self, metric: str, phase: str, host: bool = False) -> float:
        """The scatter of a kind of figure in the nearest class that has such, or else alike ones; 0 if none has.

        Single operators, which have their names for a phase, are known by their kinds, and by the time of the device.
        """
        if phase not in PHASES:
            metric, phase = OF_OPERATORS if metric in TIMES else metric, kind_named(phase)
        same = (tuple(s for s in each if (s.metric, s.phase) == (metric, phase)) for each in self.scatter)
        found = (most_alike(each, metric, phase, host) for each in (*same, *self.scatter))
        return next((each.sigma for each in found if each), 0.0)


class Population(Spec):
    """All classes, and the data that they were learnt from; `where` is which of the rows.

    Parameters stand for each other: where one is higher another is lower, and figures differ less than if each went
    its own way. `shown` is the share of such a standard deviation that figures of whole passes show.
    """

    name: str
    id: str = ""
    aliases: tuple[Name, ...] = ()
    date: str
    versions: Mapping[str, str]
    method: str
    where: str = ""
    datasets: tuple[Dataset, ...]
    shown: Annotated[float, Limit(gt=0, le=1)] = 1.0
    groups: tuple[Group, ...]

    def of(self, devices: str, runtimes: str) -> Priors:
        """What is expected of a class of devices with a class of runtimes, from the nearest class that knows."""
        near = list(self._near(devices, runtimes))
        values = {row.name: row.prior for row in PARAMETERS.values()}
        spreads = {row.name: row.free_spread for row in PARAMETERS.values()}
        for group in reversed(near):
            values |= {name: each.mean for name, each in group.parameters.items()}
            spreads |= {name: each.spread for name, each in group.parameters.items()}
        return Priors(values, spreads, tuple(group.scatter for group in near), self.shown)

    def _near(self, devices: str, runtimes: str) -> Iterator[Group]:
        """The classes that these belong to, the nearest first."""
        for key in ((devices, runtimes), ("", runtimes), (devices, ""), ("", "")):
            yield from (group for group in self.groups if (group.devices, group.runtimes) == key)


def device_class(device: Device) -> str:
    """The class of a device: who makes it, and of what kind it is."""
    return f"{device.vendor} {device.kind}"


def runtime_class(runtime: Runtime | None) -> str:
    """The class of a runtime: what turns operators into kernels, or the back end whose kernels they are."""
    return (runtime.back_end or runtime.lowering) if runtime else ""
