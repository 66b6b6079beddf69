"""The shares of power are what tools/fit_power.py finds in our own measurements."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from roofsim.foundation.parameters import PARAMETERS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fit_power():
    spec = importlib.util.spec_from_file_location("fit_power", ROOT / "tools" / "fit_power.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def passes(fit_power):
    return fit_power.Passes(str(ROOT / "data" / "h100_sxm_transformers_eager.csv"), "h100-sxm", "transformers-5-eager")


def test_priors_of_power_are_those_that_were_fitted(fit_power, passes):
    """Kernels' times beyond their fixed part are predicted ones, so that the shares move a little with other terms."""
    found = fit_power.fitted(passes, np.ones(len(passes.cases), dtype=bool))
    assert {name: PARAMETERS[name].prior for name in fit_power.NAMES} == pytest.approx(found, rel=0.1)


def test_measured_powers_of_models_that_were_left_out_are_predicted(fit_power, passes):
    """With the times as measured; every fourth model is left out at once."""
    models = sorted(set(passes.models))
    out = np.isin(passes.models, models[::4])
    errors = np.expm1(np.abs(passes.errors(fit_power.fitted(passes, ~out))[out]))
    for phase, most in (("prefill", 0.04), ("decode", 0.03)):
        mine = errors[passes.phases[out] == phase]
        assert len(mine) > 10
        assert np.median(mine) < most
