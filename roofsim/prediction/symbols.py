"""The numbers of a machine as symbols: what formulas call them, where they stand and what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from roofsim.engine.derivative import gradient
from roofsim.engine.graph import Graph
from roofsim.engine.regime import LENGTH
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.values import dataclass
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.metrics import Metric
from roofsim.prediction.places import number_at, placed
from roofsim.prediction.setup import Setup
from roofsim.specs.device import VECTOR_PATH
from roofsim.specs.workload import Workload


@dataclass(frozen=True, slots=True)
class Symbols:
    """The symbols of one setup: the path of each, and its value."""

    paths: Mapping[str, str]
    values: Mapping[str, float]


def symbols_of(s: Setup, w: Workload, suffix: str = "") -> Symbols:
    """Every number that decides time: of the device, of the host, of the parameters; those that are nought are not."""
    library = s.runtime.matrix_library
    unit = s.device.matrix_path(w.dtype, library.accumulates, library.rounds, s.device.id in library.by_vectors)
    fields = {
        **({"matrix_rate": f"device.{unit}"} if unit != VECTOR_PATH else {}),
        "vector_rate": f"device.{VECTOR_PATH}",
        "bandwidth": "device.memory.bandwidth",
        "cache": "device.cache.last_level",
        "units": "device.units",
        "clock": "device.clock",
    }
    m = s.machine(w.dtype)
    links = {} if s.split.alone else links_of(s)
    paths = {SYMBOLS[name][0] + suffix: path for name, path in fields.items()}
    values = {SYMBOLS[name][0] + suffix: float(getattr(m, name)) for name in fields}
    for name, path in links.items():
        paths[SYMBOLS[name][0] + suffix] = path
        values[SYMBOLS[name][0] + suffix] = number_at(s, path)[0]
    for name, value in m.parameters.items():
        if value:
            paths[PARAMETERS[name].symbol + suffix] = f"parameters.{name}"
            values[PARAMETERS[name].symbol + suffix] = float(value)
    return Symbols(paths, values)


LINKS = {
    "link_rate": "node.bandwidth", "link_latency": "node.latency",
    "far_rate": "between.bandwidth", "far_latency": "between.latency",
}  # fmt: skip
"""Symbols of the numbers of links, and where these stand in a cluster."""


def links_of(s: Setup) -> dict[str, str]:
    """The symbols of the links that a cluster has, and their paths."""
    levels = s.cluster.links if s.cluster else None
    return {name: f"cluster.links.{path}" for name, path in LINKS.items() if getattr(levels, path.partition(".")[0])}


def at_symbols(s: Setup, w: Workload, symbols: Symbols, metric: Metric, variables: Mapping[str, Any]) -> Any:
    """A metric with variables in the place of the numbers that these symbols stand for, and of the prompt."""
    found = {path: variables[name] for name, path in symbols.paths.items()}
    return figure(metric.name)(Evaluation(*placed(s, w, {**found, "prompt": variables[LENGTH]})))


def slopes(figure: Callable[[Mapping[str, Any]], Any], values: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """A figure of variables at their values, and its derivative by each."""
    graph = Graph()
    made = figure({name: graph.variable(name, whole=name == LENGTH) for name in values})
    value, by = gradient(graph, made, values)
    return float(value), {name: float(slope) for name, slope in by.items()}
