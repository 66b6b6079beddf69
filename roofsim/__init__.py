"""Analytic roofline and memory simulator for language-model inference.

>>> import roofsim
>>> roofsim.predict("mamba2-780m", "rtx-4090", prompt=8192).request.ttft  # seconds  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from roofsim.foundation.version import __version__

if TYPE_CHECKING:
    from roofsim.adapters.hub import download
    from roofsim.explore.advise import advise
    from roofsim.explore.compare import compare
    from roofsim.explore.fronts import pareto
    from roofsim.explore.search import SearchResult, search
    from roofsim.explore.sensitivity import sensitivity
    from roofsim.explore.sweep import Swept, sweep
    from roofsim.model.architecture import Architecture
    from roofsim.prediction.compiled import Compiled
    from roofsim.prediction.request import compile, predict
    from roofsim.prediction.results import Prediction
    from roofsim.specs.device import Device
    from roofsim.specs.host import Host
    from roofsim.specs.runtime import Runtime
    from roofsim.specs.workload import Workload
    from roofsim.studies.crossover import Comparison, crossover


_HOMES = {
    "compile": "roofsim.prediction.request",
    "download": "roofsim.adapters.hub",
    "Compiled": "roofsim.prediction.compiled",
    "predict": "roofsim.prediction.request",
    "Prediction": "roofsim.prediction.results",
    "crossover": "roofsim.studies.crossover",
    "advise": "roofsim.explore.advise",
    "pareto": "roofsim.explore.fronts",
    "sensitivity": "roofsim.explore.sensitivity",
    "sweep": "roofsim.explore.sweep",
    "Swept": "roofsim.explore.sweep",
    "Comparison": "roofsim.studies.crossover",
    "search": "roofsim.explore.search",
    "SearchResult": "roofsim.explore.search",
    "compare": "roofsim.explore.compare",
    "Architecture": "roofsim.model.architecture",
    "Device": "roofsim.specs.device",
    "Host": "roofsim.specs.host",
    "Runtime": "roofsim.specs.runtime",
    "Workload": "roofsim.specs.workload",
}

__all__ = [
    "Architecture",
    "Comparison",
    "Compiled",
    "Device",
    "Host",
    "Prediction",
    "Runtime",
    "SearchResult",
    "Swept",
    "Workload",
    "__version__",
    "advise",
    "compare",
    "compile",
    "crossover",
    "download",
    "pareto",
    "predict",
    "search",
    "sensitivity",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: importing the package imports nothing else."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'roofsim' has no attribute '{name}'")
