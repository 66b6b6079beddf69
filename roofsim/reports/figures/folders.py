"""The figures of a calibration and of a validation, one or all in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from roofsim.fitting.run import Result
from roofsim.reports.choices import OF_FIT, OF_VALIDATION, OfFit, OfValidation
from roofsim.reports.figures import points
from roofsim.reports.figures.parameters import parameters
from roofsim.reports.figures.predicted import predicted
from roofsim.reports.figures.residuals import residuals
from roofsim.reports.figures.style import save
from roofsim.reports.theme import Theme
from roofsim.studies.validate import Validation


def of_fit(kind: OfFit, r: Result, *, theme: Theme = "light") -> Figure:
    """One of the figures of a calibration."""
    if kind == "parameters":
        return parameters(r, theme=theme)
    return MADE[kind](points.of_fit(r), theme=theme)


def of_validation(kind: OfValidation, v: Validation, *, theme: Theme = "light") -> Figure:
    """One of the figures of a validation."""
    return MADE[kind](points.of_validation(v), theme=theme)


MADE: Mapping[str, Callable[..., Figure]] = {"predicted": predicted, "residuals": residuals}


def save_all(r: Result, folder: str, theme: Theme = "light") -> None:
    """Write the three figures of a calibration as PNG."""
    for kind in OF_FIT:
        save(of_fit(kind, r, theme=theme), str(Path(folder) / f"{kind}.png"))


def save_validation(v: Validation, folder: str, theme: Theme = "light") -> list[str]:
    """Write both figures of a validation as PNG and, for print, as PDF; the names of the PNGs."""
    for kind in OF_VALIDATION:
        figure = of_validation(kind, v, theme=theme)
        for ending in ("pdf", "png"):
            save(figure, str(Path(folder) / f"{kind}.{ending}"))
    return [f"{kind}.png" for kind in OF_VALIDATION]
