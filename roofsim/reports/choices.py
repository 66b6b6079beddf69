"""Which figures there are of results that can be drawn in several ways; the first is drawn unless another is named."""

from __future__ import annotations

from typing import Literal, get_args

OfPrediction = Literal["breakdown", "memory", "roofline", "energy", "tiers"]
OF_PREDICTION: tuple[OfPrediction, ...] = get_args(OfPrediction)
"""Where the time goes over length, memory over operators, operators on the roofline, energy of a token over length, and
where it goes over what lies on the device."""

OfSweep = Literal["lines", "heat"]
OF_SWEEP: tuple[OfSweep, ...] = get_args(OfSweep)
"""A line for each combination over the longest axis, or the first figure over two axes."""

MOST_PANELS = 12
"""Cases that one figure can show side by side."""


def too_many(cases: int) -> str:
    """What is said of more."""
    return f"a figure has room for {MOST_PANELS} cases, not for {cases:,}; ask for fewer"


OfFit = Literal["predicted", "residuals", "parameters"]
OF_FIT: tuple[OfFit, ...] = get_args(OfFit)
"""Predicted against measured, errors over length, and what was fitted."""

OfValidation = Literal["predicted", "residuals"]
OF_VALIDATION: tuple[OfValidation, ...] = get_args(OfValidation)
"""The same of runs that nothing was fitted to."""
