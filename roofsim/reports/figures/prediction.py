"""The figures of one predicted request."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from roofsim.prediction.request import operator_intervals, predict_request
from roofsim.prediction.setup import Setup
from roofsim.reports.choices import OfPrediction
from roofsim.reports.theme import Theme
from roofsim.specs.workload import Workload
from roofsim.studies.breakdown import breakdown
from roofsim.studies.energies import energies
from roofsim.studies.tiers import divisions


def prediction(
    kind: OfPrediction, s: Setup, w: Workload, lengths: Sequence[int] | None = None, *, theme: Theme = "light"
) -> Figure:
    """One of the figures of a request; those over length at `lengths`, or up to the longest prompt."""
    if kind == "breakdown":
        from roofsim.reports.figures import breakdown as broken

        return broken.breakdown(breakdown(s, w, lengths), s, w, theme=theme)
    if kind == "energy":
        from roofsim.reports.figures import energy

        return energy.energy(energies(s, w, lengths), s, w, theme=theme)
    if kind == "memory":
        from roofsim.reports.figures.timeline import timeline

        return timeline(s, w, theme=theme)
    if kind == "tiers":
        from roofsim.reports.figures.tiers import tiers

        return tiers(divisions(s, w), s, w, theme=theme)
    return _roofline(s, w, theme)


def _roofline(s: Setup, w: Workload, theme: Theme) -> Figure:
    from roofsim.reports.figures.roofline import Placed, roofline

    return roofline([Placed(predict_request(s, w), s, operator_intervals(s, w))], theme=theme)
