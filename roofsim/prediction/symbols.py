"""The numbers of a machine as symbols: what formulas call them, where they stand and what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from roofsim.engine.derivative import gradient
from roofsim.engine.graph import Graph
from roofsim.engine.regime import LENGTH
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.foundation.parameters import PARAMETERS
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.metrics import Metric
from roofsim.prediction.places import placed
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
    unit = s.device.matrix_path(w.dtype, library.accumulates, library.rounds)
    fields = {
        **({"matrix_rate": f"device.{unit}"} if unit != VECTOR_PATH else {}),
        "vector_rate": f"device.{VECTOR_PATH}",
        "bandwidth": "device.memory.bandwidth",
        "cache": "device.cache.last_level",
        "units": "device.units",
        "clock": "device.clock",
    }
    m = s.machine(w.dtype)
    paths = {SYMBOLS[name][0] + suffix: path for name, path in fields.items()}
    values = {SYMBOLS[name][0] + suffix: float(getattr(m, name)) for name in fields}
    for name, value in m.parameters.items():
        if value:
            paths[PARAMETERS[name].symbol + suffix] = f"parameters.{name}"
            values[PARAMETERS[name].symbol + suffix] = float(value)
    return Symbols(paths, values)


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
