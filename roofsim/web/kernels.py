"""Times of kernels as functions of their own: kernels that are alike share one, whichever model they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from roofsim.engine import roofline
from roofsim.engine.emit import javascript_list
from roofsim.engine.energy import Activity, activity
from roofsim.engine.graph import Graph
from roofsim.engine.roofline import Bound, Machine, Terms
from roofsim.foundation.arith import Number, single
from roofsim.foundation.cost import Cost
from roofsim.foundation.values import dataclass
from roofsim.lowering.kernels import Kernel
from roofsim.web.numbers import PLACES, VARIABLES, joined, machine_of

SIZES = tuple(
    each.name for each in fields(Kernel)
    if each.name not in ("name", "like", "cost", "count", "beneath", "instead", "unit", "triton", "joined", "replayed",
                         "exchange")
)  # fmt: skip
"""Fields of a kernel that are numbers and decide its time."""
COSTS = tuple(each.name for each in fields(Cost))
FIXED = (0, 1)
"""Sizes that leave something out of a formula stay as they are."""


@dataclass(frozen=True, slots=True)
class Called(Terms):
    """What a call gives: the time of a launch, what bounds it, what draws power."""

    results: tuple[Number, ...] = ()

    @property
    def time(self) -> Number:
        """Seconds that the launch keeps the device busy."""
        return self.results[0]

    @property
    def bound_times(self) -> Mapping[Bound, Number]:
        """The time if computing or memory decides it; what is left is the launch."""
        found: dict[Bound, Number] = {"compute": self.results[1], "memory": self.results[2]}
        return {**found, "network": self.results[RESULTS]} if len(self.results) > RESULTS else found

    @property
    def activity(self) -> Activity:
        """What it does that draws power."""
        return Activity(*self.results[3:RESULTS])


class Kernels:
    """The functions of kernels by their texts, each with its name."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._known: dict[Any, str] = {}

    def terms(self, kernel: Kernel, m: Machine) -> Called:
        """The call of the function of such a kernel on a machine of variables."""
        sizes: list[Number] = []
        shape = _shape(kernel, sizes.append)
        known = (shape, m.by_vectors, joined(m) if kernel.exchange else None)
        if known not in self._known:
            self._known[known] = self.named(_text(kernel, m))
        machine: Any = m.bandwidth
        graph: Graph = machine.graph
        results = graph.called(self._known[known], tuple(sizes), RESULTS + bool(kernel.exchange))
        return Called(0, 0, 0, results=tuple(results))

    def forget(self) -> None:
        """Keeps the texts alone."""
        self._known.clear()

    def named(self, text: str) -> str:
        """The name of the function with this text."""
        return self.texts.setdefault(text, f"k{len(self.texts)}")


RESULTS = 6
"""What all give; what devices do together also says how long links bound it."""


def called_activity(kernel: Kernel, t: Terms, m: Machine) -> Activity:
    """What the call of a kernel says that it does."""
    return t.activity if isinstance(t, Called) else activity(kernel, t, m)


def _stays(x: Number | None) -> bool:
    return x is None or (single(x) and float(x) in FIXED)


def _shape(kernel: Kernel, size: Callable[[Number], None]) -> tuple[Any, ...]:
    """What of a kernel decides its formula; `size` is told every number that the formula is of, in order."""
    found: list[Any] = [kernel.like, kernel.unit, kernel.joined]
    for x in (*(getattr(kernel.cost, name) for name in COSTS), *(getattr(kernel, name) for name in SIZES)):
        if _stays(x):
            found.append(None if x is None else float(x))
        else:
            found.append("size")
            size(x)
    x = kernel.exchange
    found.append(x and (replace(x, payload=0), _size(x.payload, size)))
    found.append(_shape(kernel.beneath, size) if kernel.beneath else None)
    for each in kernel.instead:
        found += [_shape(each, size), _size(each.count, size)]
    return tuple(found)


def _size(x: Number, size: Callable[[Number], None]) -> Any:
    if _stays(x):
        return float(x)
    size(x)
    return "size"


def _opened(kernel: Kernel, made: Callable[[], Any]) -> Kernel:
    """The kernel with new variables in the place of its sizes, in the order of `_shape`."""

    def opened(x: Any) -> Any:
        return x if _stays(x) else made()

    cost = Cost(**{name: opened(getattr(kernel.cost, name)) for name in COSTS})
    sizes = {name: opened(getattr(kernel, name)) for name in SIZES}
    exchange = kernel.exchange and replace(kernel.exchange, payload=opened(kernel.exchange.payload))
    beneath = _opened(kernel.beneath, made) if kernel.beneath else None
    instead = []
    for each in kernel.instead:
        one = _opened(each, made)
        instead.append(replace(one, count=opened(each.count)))
    return replace(kernel, cost=cost, **sizes, exchange=exchange, beneath=beneath, instead=tuple(instead))


def _text(kernel: Kernel, m: Machine) -> str:
    """The function of such kernels, of the numbers of a machine and of their sizes."""
    graph = Graph()
    names: list[str] = []

    def made() -> Any:
        names.append(f"a{len(names)}")
        return graph.variable(names[-1])

    opened = _opened(kernel, made)
    machine = machine_of(m, {name: graph.variable(name) for name in VARIABLES})
    t = roofline.terms(opened, machine)
    done = activity(opened, t, machine)
    outputs = [t.time, t.bound_times["compute"], t.bound_times["memory"], done.active, done.work, done.traffic]
    outputs += [t.bound_times["network"]] if kernel.exchange else []
    return javascript_list(graph, outputs, {**PLACES, **{name: name for name in names}}, names)
