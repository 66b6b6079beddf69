"""The figures of a calibration and of a validation, in a folder."""

from __future__ import annotations

from pathlib import Path

from roofsim.fitting.run import Result
from roofsim.prediction.words import interval_label
from roofsim.report.figures.parameters import parameters
from roofsim.report.figures.points import HELD_OUT, points_of_fit, points_of_validation
from roofsim.report.figures.predicted import predicted
from roofsim.report.figures.residuals import residuals
from roofsim.report.figures.style import save
from roofsim.studies.validate import Validation


def save_all(r: Result, folder: str) -> None:
    """Write the three figures of a calibration as PNG."""
    points = points_of_fit(r)
    figures = {"predicted": predicted(points, HELD_OUT), "residuals": residuals(points, HELD_OUT)}
    for name, figure in {**figures, "parameters": parameters(r)}.items():
        save(figure, str(Path(folder) / f"{name}.png"))


def save_validation(v: Validation, folder: str) -> list[str]:
    """Write both figures of a validation as PNG and, for print, as PDF; the names of the PNGs."""
    points = points_of_validation(v)
    bars = "95 % interval" if v.calibration else interval_label(None)
    names = []
    for name in ("predicted", "residuals"):
        for ending in ("pdf", "png"):
            figure = predicted(points, bars=bars) if name == "predicted" else residuals(points)
            save(figure, str(Path(folder) / f"{name}.{ending}"))
        names.append(f"{name}.png")
    return names
