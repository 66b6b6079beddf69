"""What a model does with a runtime on a device, as JavaScript of counts and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType

from roofsim.engine.compiled import Function
from roofsim.engine.graph import Graph
from roofsim.engine.memory import Memory
from roofsim.foundation.arith import Number
from roofsim.foundation.schema import variant
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.places import COUNTS
from roofsim.prediction.setup import Setup
from roofsim.specs.workload import Workload
from roofsim.web.numbers import VARIABLES, varying

PASS = ("time", "device_time", "host_time", "kernels", "matrix_flops", "vector_flops", "bytes", "energy", "bound")
FIGURES: tuple[str, ...] = (
    "ttft", "tpot", "total_time", "tokens_per_second", "energy",
    *(f"memory.{each.name}" for each in fields(Memory) if each.name != "binding"), "memory.held",
    "memory.grown", "fits",
    *(f"{part}.{name}" for part in ("prefill", "decode") for name in PASS),
)  # fmt: skip
MORE: Mapping[str, Callable[[Evaluation], Number]] = MappingProxyType({
    "room": lambda e: e.s.device.share(e.s.runtime.memory.reserve or 1),
})  # fmt: skip
"""What the page needs beside the figures that have a name."""


def function(s: Setup, w: Workload) -> Function:
    """All figures of a request over its counts and the numbers of its setup."""
    graph = Graph()
    x = {name: graph.variable(name, whole=name in COUNTS) for name in VARIABLES}
    w = variant(w, **{name: x[name] for name in COUNTS})
    e = Evaluation(varying(s, w.dtype, x), w)
    outputs = {name: figure(name)(e) for name in FIGURES} | {name: read(e) for name, read in MORE.items()}
    return Function(graph, outputs, VARIABLES)
