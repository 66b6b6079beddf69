"""Analytic roofline and memory simulator for language-model inference.

>>> import roofsim
>>> roofsim.predict("mamba2-780m", "rtx-4090", prompt=8192).request.ttft  # seconds  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from roofsim.foundation.version import __version__

if TYPE_CHECKING:
    from roofsim.api import plots
    from roofsim.api.answers import Explanation, LimitsResult, explain, limits
    from roofsim.api.found import Advice, Comparison, Crossover, Front, Sampled, SearchResult, Sensitivities, Swept
    from roofsim.api.measured import Calibrated, Validated, calibrate, validate
    from roofsim.api.one import compile, predict
    from roofsim.api.pages import Page, Report, explore, report
    from roofsim.api.phased import Phased, phases
    from roofsim.api.questions import crossover, sampling, search, sensitivity
    from roofsim.api.reloaded import Reloaded, reload
    from roofsim.api.results import Prediction
    from roofsim.api.served import Serving, ServingFront, serve, serve_front
    from roofsim.api.serving import Simulation, simulate, step_time
    from roofsim.api.specs import (
        Sheet,
        architecture,
        calibration,
        calibrations,
        cluster,
        clusters,
        device,
        devices,
        download,
        families,
        host,
        hosts,
        models,
        runtime,
        runtimes,
        show,
    )
    from roofsim.api.speculated import Speculated, speculate
    from roofsim.api.studies import advise, compare, pareto, sweep
    from roofsim.api.traced import Traced, validate_trace
    from roofsim.foundation.errors import InputError
    from roofsim.model.architecture import Architecture
    from roofsim.prediction.compiled import Compiled
    from roofsim.serving.step import StepTime
    from roofsim.specs.calibration import Calibration
    from roofsim.specs.cluster import Cluster
    from roofsim.specs.device import Device
    from roofsim.specs.host import Host
    from roofsim.specs.runtime import Runtime
    from roofsim.specs.workload import Workload

_HOMES = {
    "roofsim.api.one": ("compile", "predict"),
    "roofsim.api.answers": ("explain", "limits", "Explanation", "LimitsResult"),
    "roofsim.api.questions": ("crossover", "sampling", "search", "sensitivity"),
    "roofsim.api.phased": ("phases", "Phased"),
    "roofsim.api.served": ("serve", "serve_front", "Serving", "ServingFront"),
    "roofsim.api.speculated": ("speculate", "Speculated"),
    "roofsim.api.studies": ("advise", "compare", "pareto", "sweep"),
    "roofsim.api.measured": ("calibrate", "validate", "Calibrated", "Validated"),
    "roofsim.api.traced": ("validate_trace", "Traced"),
    "roofsim.api.specs": (
        "architecture", "calibration", "calibrations", "cluster", "clusters", "device", "devices", "download",
        "families", "host", "hosts", "models", "runtime", "runtimes", "show", "Sheet",
    ),
    "roofsim.api.reloaded": ("reload", "Reloaded"),
    "roofsim.api.results": ("Prediction",),
    "roofsim.api.pages": ("explore", "report", "Page", "Report"),
    "roofsim.api.found": (
        "Advice", "Comparison", "Crossover", "Front", "Sampled", "SearchResult", "Sensitivities", "Swept",
    ),
    "roofsim.foundation.errors": ("InputError",),
    "roofsim.model.architecture": ("Architecture",),
    "roofsim.api.serving": ("simulate", "step_time", "Simulation"),
    "roofsim.prediction.compiled": ("Compiled",),
    "roofsim.serving.step": ("StepTime",),
    "roofsim.specs.calibration": ("Calibration",),
    "roofsim.specs.cluster": ("Cluster",),
    "roofsim.specs.device": ("Device",),
    "roofsim.specs.host": ("Host",),
    "roofsim.specs.runtime": ("Runtime",),
    "roofsim.specs.workload": ("Workload",),
}  # fmt: skip
"""Where public names come from."""

__all__ = [
    "Advice",
    "Architecture",
    "Calibrated",
    "Calibration",
    "Cluster",
    "Comparison",
    "Compiled",
    "Crossover",
    "Device",
    "Explanation",
    "Front",
    "Host",
    "InputError",
    "LimitsResult",
    "Page",
    "Phased",
    "Prediction",
    "Reloaded",
    "Report",
    "Runtime",
    "Sampled",
    "SearchResult",
    "Sensitivities",
    "Serving",
    "ServingFront",
    "Sheet",
    "Simulation",
    "Speculated",
    "StepTime",
    "Swept",
    "Traced",
    "Validated",
    "Workload",
    "__version__",
    "advise",
    "architecture",
    "calibrate",
    "calibration",
    "calibrations",
    "cluster",
    "clusters",
    "compare",
    "compile",
    "crossover",
    "device",
    "devices",
    "download",
    "explain",
    "explore",
    "families",
    "host",
    "hosts",
    "limits",
    "models",
    "pareto",
    "phases",
    "plots",
    "predict",
    "reload",
    "report",
    "runtime",
    "runtimes",
    "sampling",
    "search",
    "sensitivity",
    "serve",
    "serve_front",
    "show",
    "simulate",
    "speculate",
    "step_time",
    "sweep",
    "validate",
    "validate_trace",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: importing the package imports nothing else."""
    if name == "plots":
        return import_module("roofsim.api.plots")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'roofsim' has no attribute '{name}'")


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__
