"""Figures of results, as a paper could print them: each is matplotlib's, and shows itself in a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from roofsim.api import checked
from roofsim.api.words import AnyPath
from roofsim.foundation.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.api.answers import LimitsResult
    from roofsim.api.found import Comparison, Crossover, Front, SearchResult, Sensitivities, Swept
    from roofsim.api.measured import Calibrated, Validated
    from roofsim.api.results import Prediction


def _is(found: object, kind: str) -> None:
    """Raises InputError for what is no such result."""
    if kind not in (each.__name__ for each in type(found).__mro__):
        raise InputError(f"found: {checked.shown(found)} is no {kind}")


def save(figure: Figure, path: AnyPath) -> None:
    """Write a figure as PNG, SVG or PDF, by the ending of the path; the file appears whole or not at all."""
    from roofsim.report import plots

    _is(figure, "Figure")
    target = checked.path("path", path)
    if Path(target).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"path: '{target}' should end in .png, .svg or .pdf")
    plots.save(figure, target)


def roofline(found: Prediction) -> Figure:
    """The operators of a prediction of numbers on the roofline of its device."""
    _is(found, "Prediction")
    from roofsim.prediction.request import operator_intervals
    from roofsim.report import plots

    found._of_numbers("a roofline")
    s, w = found.on, found.workload
    within = operator_intervals(s, w)
    passes = [("prefill", found.prefill, within["prefill"]), ("decode", found.decode, within["decode"])]
    dtypes = [w.dtype, *s.precision(w).units]
    return plots.roofline(found.model, s.device.name, s.machine(w.dtype), dtypes, passes, found.calibration)


def memory(found: Prediction) -> Figure:
    """What is alive over the operators of the prefill."""
    _is(found, "Prediction")
    from roofsim.report import plots

    found._of_numbers("memory over operators")
    return plots.timeline(found.on, found.workload)


def limits(found: LimitsResult) -> Figure:
    """Memory by part over the length of the prompt."""
    _is(found, "LimitsResult")
    from roofsim.report import plots
    from roofsim.studies.limits import limits, spread

    s = found.on
    return plots.memory(limits(s, found.workload, spread(found)), s.device.name, s.runtime.name)


def crossover(found: Crossover) -> Figure:
    """A metric of both models of every pair over length, with the crossings."""
    _is(found, "Crossover")
    from roofsim.report import plots

    return plots.crossover([found], *found.names)


def compare(found: Comparison) -> Figure:
    """Bars for each combination that can be run."""
    _is(found, "Comparison")
    from roofsim.report.plot_of_comparison import comparison

    return comparison(found)


def sweep(found: Swept) -> Figure:
    """Figures over the axes of a study."""
    _is(found, "Swept")
    from roofsim.report import plots_of_sweep

    return plots_of_sweep.sweep(found)


def pareto(found: Front) -> Figure:
    """A front over its first two objectives."""
    _is(found, "Front")
    from roofsim.report import plots_of_studies

    return plots_of_studies.front(found)


def sensitivity(found: Sensitivities) -> Figure:
    """A tornado: the figure at half and at twice each number."""
    _is(found, "Sensitivities")
    from roofsim.report import plots_of_studies

    return plots_of_studies.tornado(found, found.on.device.name, found.on.runtime.name)


def search(found: SearchResult) -> Figure:
    """The front of loss and latency of a family."""
    _is(found, "SearchResult")
    from roofsim.report import plots_of_search

    return plots_of_search.front(found, *found.names)


def calibrate(found: Calibrated) -> Figure:
    """Predictions of rows that were held out over what was measured."""
    _is(found, "Calibrated")
    from roofsim.report import plots_of_fit

    return plots_of_fit.predicted(plots_of_fit.points_of_fit(found), plots_of_fit.HELD_OUT)


def validate(found: Validated) -> Figure:
    """Predictions over what was measured, with their intervals."""
    _is(found, "Validated")
    from roofsim.report import plots_of_fit

    return plots_of_fit.predicted(plots_of_fit.points_of_validation(found))
