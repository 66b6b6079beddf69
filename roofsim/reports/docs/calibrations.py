"""The page of the shipped calibrations: what each was fitted to, and its errors on rows held out."""

from __future__ import annotations

from collections.abc import Iterator

from roofsim import library
from roofsim.reports.calibrated import calibration_tables
from roofsim.reports.docs.console import listed
from roofsim.reports.docs.markdown import untitled


def calibrations() -> Iterator[str]:
    """Every calibration: its data, its parameters with their intervals, its errors."""
    yield "# Calibrations"
    yield (
        "Fitted by `tools/calibrate_shipped.py`; [calibration.md](calibration.md) says how, and what the errors mean. "
        "Use one with `--calibration NAME`."
    )
    yield listed("calibrations")
    for name in library.names("hardware/calibrated"):
        c = library.calibration(name)
        yield f"## {name}"
        yield untitled(calibration_tables(c)[0])
