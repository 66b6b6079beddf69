"""Many figures predicted at once: kernels that are alike become one kernel whose sizes are arrays.

The formulas are those of `engine.roofline` and `engine.energy`; here is only the bookkeeping that calls each of
them once per class of kernel instead of once per kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from roofsim import library
from roofsim.engine.energy import Activity, activity, energy, units_energy
from roofsim.engine.passes import starting_time
from roofsim.engine.roofline import Machine, gap_time, graphs, launch_time, machine, terms
from roofsim.engine.schedule import Stretch, Times, times
from roofsim.foundation.arith import Number, maximum
from roofsim.foundation.cost import COLUMNS, Cost
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.values import dataclass
from roofsim.lowering.kernels import Kernel
from roofsim.model.step import Phase
from roofsim.runs.targets import Job, Target
from roofsim.specs.calibration import HOST_MATTERS
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime

Array = Any
"""A NumPy array of float64 (ints where it indexes)."""

STEP = 1e-4
"""Step of the derivatives, on the scale of parameters without limits."""

KEPT = 8
"""Values of the parameters that a class reads for which its times are kept: as they are, and moved one by one."""


@dataclass(frozen=True, slots=True)
class _Alike:
    """Kernels of one class in all jobs: one kernel with arrays, and their place in the list of all."""

    dtype: str
    phase: Phase
    kernel: Kernel
    place: slice


@dataclass(frozen=True, slots=True)
class _Taken:
    """What kernels of a class take: seconds of the device and of the host, and what draws power if that is asked."""

    busy: Array
    host: Array
    done: Activity | None


class _Read(dict[str, Number]):
    """Parameters that say which of them have been read."""

    def __init__(self, values: Mapping[str, Number]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Number:
        self.read.add(name)
        return super().__getitem__(name)


class Program:
    """Targets on one device, one host and one runtime, ready to be predicted for any values of the parameters.

    Several devices that exchange anything stand in the device's usual cluster.
    """

    def __init__(
        self, targets: Sequence[Target], jobs: Mapping[str, Job], device: Device, host: Host | None, runtime: Runtime
    ) -> None:
        self.targets = tuple(targets)
        self._device, self._host, self._runtime = device, host, runtime
        used = list(dict.fromkeys(key for each in targets for _, key in each.parts))
        self._jobs = [jobs[key] for key in used]
        place = {key: i for i, key in enumerate(used)}
        links = [(row, place[key], share) for row, each in enumerate(targets) for share, key in each.parts]
        self._rows = np.array([row for row, _, _ in links], dtype=int)
        self._of = np.array([job for _, job, _ in links], dtype=int)
        self._shares = np.array([share for _, _, share in links], dtype=float)
        self._idle = np.array([each.idle for each in targets], dtype=float)
        self._constants = np.array([each.constant for each in targets], dtype=float)
        names = [each.figure for each in targets]
        self._is = {name: np.array([each == name for each in names], dtype=bool) for name in set(names)}
        self._draws = bool({"energy", "rail"} & set(self._is))
        self._dtypes = sorted({job.dtype for job in self._jobs})
        kernels = (k for job in self._jobs for group in job.groups for k in group.kernels)
        self._cluster = library.cluster_of(device) if any(k.exchange for k in kernels) else None
        self._lay_out()

    def _lay_out(self) -> None:
        """Give every piece of every job a slot (its position in the job, the job), and sort kernels by class."""
        deepest = max((len(job.groups) for job in self._jobs), default=0)
        self._shape = (deepest, len(self._jobs))
        self._counts = np.ones(self._shape)
        found: dict[tuple[Any, ...], list[tuple[int, Kernel]]] = {}
        for j, job in enumerate(self._jobs):
            for g, group in enumerate(job.groups):
                self._counts[g, j] = group.count
                slot = g * len(self._jobs) + j
                for k in group.kernels:
                    key = (job.dtype, job.phase, k.joined, k.triton, _class(k))
                    found.setdefault(key, []).append((slot, k))
        self._alike, filled = [], 0
        for (dtype, phase, *_), each in found.items():
            place = slice(filled, filled := filled + len(each))
            self._alike.append(_Alike(dtype, phase, _joined([k for _, k in each]), place))
        self._reads: dict[int, tuple[str, ...]] = {}
        self._late: list[dict[tuple[Any, ...], _Taken]] = [{} for _ in self._alike]
        self._slots = np.array([slot for each in found.values() for slot, _ in each], dtype=int)
        self._alone = np.array([job.alone for job in self._jobs], dtype=bool)
        self._plans = np.array([job.plans for job in self._jobs], dtype=float)
        self._work_of_host = np.array([job.work for job in self._jobs], dtype=float)
        self._prepared = np.array([job.ahead is not None for job in self._jobs], dtype=bool)
        self._ahead = np.array([job.ahead or 0 for job in self._jobs], dtype=float)
        gaps = [0.0 if job.alone else job.launches * gap_time(self._runtime, job.phase) for job in self._jobs]
        self._gaps = np.array(gaps, dtype=float)
        self._graphs = np.array([graphs(self._runtime, job.phase) for job in self._jobs], dtype=float)

    def machines(self, values: Mapping[str, float]) -> dict[str, Machine]:
        """The machine of each dtype under these values of parameters."""
        return {
            dtype: machine(self._device, self._host, dtype, values, self._runtime, self._cluster)
            for dtype in self._dtypes
        }

    def predict(self, values: Mapping[str, float]) -> Array:
        """The predicted figure of every target; what `values` leaves out is as the device and the priors have it."""
        result = self._constants.copy()
        m: Machine | None = None
        if self._jobs:
            machines = self.machines(values)
            m = machines[self._dtypes[0]]
            taken = self._taken(machines, power=self._draws)
            t = self._times(m, taken)
            # an operator that is called again and again hides whichever of host and device is the faster
            longer: Array = maximum(t.host, t.device)
            queued: Array = t.wall
            wall: Array = np.where(self._alone, longer, queued)
            found: dict[str, Array] = {"wall": wall, "device": t.device}
            if self._draws:
                done = self._activity(taken)
                found["energy"] = energy(self._device, m, wall, done)
                found["rail"] = units_energy(self._device, m, wall, done)
            for name, figures in found.items():
                if name in self._is:
                    result = np.where(self._is[name], self._summed(figures), result)
            if "rail" in self._is:
                result = result + self._idle * self._summed(wall)
        if "memory" in self._is and self._runtime.memory.workspace:
            m = m or machine(self._device, self._host, self._device.default_dtype, values, self._runtime)
            result = np.where(self._is["memory"], result + m["workspace"], result)
        return result

    def _summed(self, figures: Array) -> Array:
        """A figure of every job, as the weighted sum that each target is."""
        summed: Array = np.bincount(self._rows, self._shares * figures[self._of], len(self.targets))
        return summed

    def activity(self, values: Mapping[str, float]) -> Activity:
        """What draws power in every target that sums up passes."""
        done = self._activity(self._taken(self.machines(values), power=True))
        return Activity(self._summed(done.active), self._summed(done.work), self._summed(done.traffic))

    def _taken(self, machines: Mapping[str, Machine], *, power: bool = False) -> list[_Taken]:
        """What the kernels of each class take; a fit moves one parameter at a time, and most classes read few."""
        return [self._kept(i, machines[each.dtype], power) for i, each in enumerate(self._alike)]

    def _kept(self, i: int, m: Machine, power: bool) -> _Taken:
        """The same of one class, computed again where a parameter that it reads is not as it was of late."""
        if i not in self._reads:
            watched = _Read(m.parameters)
            self._take(self._alike[i], replace(m, parameters=watched), power=True)
            self._reads[i] = tuple(watched.read)
        key = (power, *(m.parameters[name] for name in self._reads[i]))
        late = self._late[i]
        if key not in late:
            if len(late) == KEPT:
                del late[next(iter(late))]
            late[key] = self._take(self._alike[i], m, power)
        return late[key]

    def _take(self, each: _Alike, m: Machine, power: bool) -> _Taken:
        k = each.kernel
        own = terms(k, m)
        host = k.count * launch_time(k, self._runtime, m, each.phase)
        return _Taken(k.count * own.time, host, activity(k, own, m) * k.count if power else None)

    def _activity(self, taken: Sequence[_Taken]) -> Activity:
        """What draws power in every job."""
        found = (self._gathered([getattr(own.done, name) for own in taken]) for name in ("active", "work", "traffic"))
        return Activity(*((x * self._counts).sum(axis=0) for x in found))

    def _gathered(self, parts: Sequence[Any]) -> Array:
        """The sum, in each slot, of what the kernels of each class have: an array or one number for all of them."""
        weights = np.empty(len(self._slots))
        for each, part in zip(self._alike, parts, strict=True):
            weights[each.place] = part
        return np.bincount(self._slots, weights, self._counts.size).reshape(self._shape)

    def host_bound(self, values: Mapping[str, float]) -> Array:
        """Whether each target is a wall time in which the host matters."""
        if not self._jobs or "wall" not in self._is:
            return np.zeros(len(self.targets), dtype=bool)
        machines = self.machines(values)
        t = self._times(machines[self._dtypes[0]], self._taken(machines))
        host, device = self._summed(t.host), self._summed(t.device)
        bound: Array = self._is["wall"] & (host > HOST_MATTERS * device)
        return bound

    def slopes(self, values: Mapping[str, float], names: Sequence[str]) -> Array:
        """Derivatives of the logarithm of every target by these parameters, each on its scale without limits."""
        columns = []
        here = np.log(self.predict(values))
        for name in names:
            row = PARAMETERS[name]
            nudged = row.bounded(row.free(values[name]) + STEP)
            columns.append((np.log(self.predict({**values, name: nudged})) - here) / STEP)
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.targets), 0))

    def _times(self, m: Machine, taken: Sequence[_Taken]) -> Times:
        """Seconds of every job on the clock, of the device and of the host."""
        host, busy = (self._gathered([getattr(own, name) for own in taken]) for name in ("host", "busy"))
        stretches = [Stretch(h, d, n) for h, d, n in zip(host, busy, self._counts, strict=True)]
        first: Array = starting_time(self._runtime, m, self._plans, self._work_of_host)
        start = np.where(self._alone, 0.0, first)
        gaps: Array = np.where(self._alone, 0.0, self._gaps + self._graphs * m["replay_time"])
        queued = times(stretches, start, self._runtime.host.mode == "inline", gaps)
        if not self._prepared.any():
            return queued
        behind = times(stretches, start, gaps=gaps, ahead=self._ahead * m["dispatch"])

        def either(a: Any, b: Any) -> Array:
            return np.where(self._prepared, a, b)

        return Times(either(behind.wall, queued.wall), queued.device, either(behind.host, queued.host))


APART = ("name", "like", "cost", "beneath", "instead", "exchange", "unit", "triton", "joined")
SIZES = tuple(each.name for each in fields(Kernel) if each.name not in APART)
"""Fields of a kernel that hold a number, or None where it has no such size."""


def _class(kernel: Kernel) -> tuple[Any, ...]:
    """What kernels have in common whose sizes can be arrays of one: their class, and those of their limits."""
    beneath = _class(kernel.beneath) if kernel.beneath else ()
    absent = tuple(getattr(kernel, name) is None for name in SIZES)
    x = kernel.exchange
    exchanged = (x.what, x.ranks, x.stride, x.ways) if x else ()
    return kernel.like, kernel.unit, absent, beneath, tuple(_class(each) for each in kernel.instead), exchanged


def _joined(kernels: Sequence[Kernel]) -> Kernel:
    """One kernel that holds the sizes of all as arrays."""

    def array(values: Sequence[Any]) -> Array:
        return np.array(values, dtype=float)

    costs = [k.cost for k in kernels]
    first = kernels[0]
    held = [name for name in SIZES if getattr(first, name) is not None]
    return replace(
        first,
        cost=Cost(*(array([getattr(c, name) for c in costs]) for name in COLUMNS)),
        **{name: array([getattr(k, name) for k in kernels]) for name in held},
        beneath=_joined([k.beneath for k in kernels if k.beneath]) if first.beneath else None,
        instead=tuple(_joined(each) for each in zip(*(k.instead for k in kernels), strict=True)),
        exchange=replace(first.exchange, payload=array([k.exchange.payload for k in kernels if k.exchange]))
        if first.exchange
        else None,
    )
