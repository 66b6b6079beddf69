"""Fitting the parameters of the model to measured runs. The one importer of SciPy."""

from __future__ import annotations

from roofsim.errors import InputError


def needs_scipy() -> None:
    """Raise InputError with what to install if SciPy is not there."""
    try:
        import scipy.optimize  # noqa: F401
    except ImportError:
        raise InputError("calibrate: needs SciPy; install it with: pip install 'roofsim[calibrate]'") from None
