"""Fitting the parameters of the model to measured runs. The one importer of SciPy."""

from __future__ import annotations

from importlib.util import find_spec

from roofsim.errors import InputError


def needs_scipy() -> None:
    """Raise InputError with what to install if SciPy is not there."""
    if find_spec("scipy") is None:
        raise InputError("calibrate: needs SciPy; install it with: pip install 'roofsim[calibrate]'")
