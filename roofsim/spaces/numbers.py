"""Every number of a setup and a workload: where it stands, what it is now, and what else it moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from roofsim.engine.derivative import evaluated, number_of
from roofsim.engine.graph import Graph, Undecided
from roofsim.foundation.errors import InputError
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.quantity import Count, Sourced
from roofsim.foundation.values import dataclass
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.places import COUNTS, PEAK, SPECS, parameter_at, placed, steps
from roofsim.prediction.setup import Setup
from roofsim.specs.device import DRIVES_PEAKS
from roofsim.specs.workload import Workload

ABOUT = ("device.year", "device.aliases", "model.published_parameters")
"""Numbers that say something about a spec and decide nothing."""

WORKLOAD = "workload"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a setup or a workload: its path, as --set has it, and its value in SI units.

    `group` says whose it is, `whole` that it counts something, `low` and `high` what it can be.
    """

    path: str
    group: str
    value: float
    unit: str = ""
    whole: bool = False
    low: float = 0.0
    high: float = float("inf")

    def times(self, factor: float) -> float:
        """So many times the number, or the nearest to it that it can be."""
        value = min(max(self.value * factor, self.low), self.high)
        return float(round(value)) if self.whole else value


def quantities(s: Setup, w: Workload) -> tuple[Quantity, ...]:
    """All numbers; one that can be calibrated stands where it is stated for this setup, with its present value."""
    parameters = s.machine(w.dtype).parameters
    of_host = s.host is not None and "dispatch" not in s.parameters
    of_host = of_host and ("dispatch" in s.fitted or "dispatch" not in s.runtime.parameters)
    found = [Quantity(name, WORKLOAD, float(getattr(w, name)), "", True, 1.0) for name in COUNTS]
    for root, part in SPECS.items():
        for path, unit, value, whole in _leaves(getattr(s, part), root):
            if path.startswith(ABOUT) or parameter_at(path) or path.startswith("runtime.parameters."):
                continue
            found.append(Quantity(path, root, float(value), unit, whole, 1.0 if whole else 0.0))
    for name, now in parameters.items():
        row = PARAMETERS[name]
        path = "host.dispatch" if name == "dispatch" and of_host else f"parameters.{name}"
        found.append(Quantity(path, row.scope, float(now), row.unit, False, row.low, row.high))
    return tuple(found)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, str, float, bool]]:
    """Path, unit and value of every number in a spec, and whether it is a whole one."""
    if isinstance(node, Sourced):
        yield path, node.unit, node.value, isinstance(node, Count)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield path, "", node, isinstance(node, int)
    elif isinstance(node, Mapping):
        for key, each in node.items():
            yield from _leaves(each, f"{path}.{key}")
    elif isinstance(node, tuple):
        for step, each in zip(steps(node), node, strict=True):
            yield from _leaves(each, f"{path}.{step}")
    elif is_dataclass(node):
        for each in fields(node):
            yield from _leaves(getattr(node, each.name), f"{path}.{each.name}")


@dataclass(frozen=True, slots=True)
class Traced:
    """A figure as a graph of numbers of a setup, and the numbers that cannot vary since they decide what is run."""

    graph: Graph
    output: Any
    numbers: tuple[Quantity, ...]
    deciding: tuple[Quantity, ...]


def traced(s: Setup, w: Workload, name: str, asked: Sequence[Quantity]) -> Traced:
    """A figure traced on all numbers that can vary; what one of them moves with it (`moved`) it moves here too."""
    now = float(figure(name)(Evaluation(s, w)))
    if now != now:
        raise InputError(f"{name} of {s.model_name} on {s.device.id} is not known: a number of it is not published")
    deciding: list[Quantity] = []
    left = list(asked)
    while True:
        try:
            graph, output = _trace(s, w, name, left)
        except Undecided as error:
            wrong = [each for each in left if each.path in error.names and each.path not in COUNTS]
            if not wrong:
                raise
        else:
            if _same(graph, output, left, now):
                return Traced(graph, output, tuple(left), tuple(deciding))
            # something was compared with a traced number, and taken for another
            wrong = [x for x in left if x.path not in COUNTS and not _same(*_trace(s, w, name, [x]), [x], now)]
            if not wrong:
                raise InputError(
                    f"{name}: the numbers of {s.model_name} cannot all vary at once; name some with --over"
                )
        deciding += wrong
        left = [each for each in left if each not in wrong]


def _trace(s: Setup, w: Workload, name: str, numbers: Sequence[Quantity]) -> tuple[Graph, Any]:
    graph = Graph()
    variables = {each.path: graph.variable(each.path, whole=each.path in COUNTS) for each in numbers}
    return graph, figure(name)(Evaluation(*placed(kept(s, w), w, moved(s, w, variables))))


def kept(s: Setup, w: Workload) -> Setup:
    """The setup with weights stored as they are now, whether or not rows of another length fill whole blocks."""
    return replace(s, stored=s.precision(w))


def moved(s: Setup, w: Workload, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables with what moves beside them where all vary at once, as it does where one alone is changed.

    Peaks go with the clock and the number of units, usable memory with all memory, what Triton takes for a launch with
    what PyTorch does; beyond that each is its own variable.
    """
    made = dict(variables)
    for name in DRIVES_PEAKS:
        path = f"device.{name}"
        if path in variables:
            factor = variables[path] * (1 / getattr(s.device, name).value)
            made |= {each: x * factor for each, x in made.items() if each.startswith(PEAK)}
    capacity, usable = "device.memory.capacity", "device.memory.usable"
    if capacity in variables and usable in variables:
        made[usable] = made[usable] * (variables[capacity] * (1 / s.device.memory.capacity.value))
    parameters = dict(s.machine(w.dtype).parameters)
    triton = "parameters.triton_dispatch"
    stated = {*s.parameters, *s.fitted, *s.runtime.parameters}
    if "host.dispatch" in variables and "triton_dispatch" not in stated:
        slower = variables["host.dispatch"] * (1 / float(parameters["dispatch"]))
        made[triton] = made.get(triton, parameters["triton_dispatch"]) * slower
    return made


def _same(graph: Graph, output: Any, numbers: Sequence[Quantity], now: float) -> bool:
    """Whether a trace is worth at the present numbers what the model itself gives."""
    at = evaluated(graph, output, {each.path: each.value for each in numbers})
    return abs(float(number_of(output, at)) - now) <= ROUNDED * abs(now)


ROUNDED = 1e-9
"""By how much sums in another order may differ."""
