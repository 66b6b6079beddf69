"""The figures of a calibration and of a validation, in a folder."""

from __future__ import annotations

from pathlib import Path

from roofsim.fitting.run import Result
from roofsim.report.figures.parameters import parameters
from roofsim.report.figures.points import of_fit, of_validation
from roofsim.report.figures.predicted import predicted
from roofsim.report.figures.residuals import residuals
from roofsim.report.figures.style import save
from roofsim.report.theme import Theme
from roofsim.studies.validate import Validation


def save_all(r: Result, folder: str, theme: Theme = "light") -> None:
    """Write the three figures of a calibration as PNG."""
    compared = of_fit(r)
    figures = {"predicted": predicted(compared, theme=theme), "residuals": residuals(compared, theme=theme)}
    for name, figure in {**figures, "parameters": parameters(r, theme=theme)}.items():
        save(figure, str(Path(folder) / f"{name}.png"))


def save_validation(v: Validation, folder: str, theme: Theme = "light") -> list[str]:
    """Write both figures of a validation as PNG and, for print, as PDF; the names of the PNGs."""
    compared = of_validation(v)
    names = []
    for name, made in (("predicted", predicted), ("residuals", residuals)):
        figure = made(compared, theme=theme)
        for ending in ("pdf", "png"):
            save(figure, str(Path(folder) / f"{name}.{ending}"))
        names.append(f"{name}.png")
    return names
