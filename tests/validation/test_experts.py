"""Fused layers of experts as aiconfigurator measured them, whose tiles load their inputs from the last-level cache.

Nothing is fitted to these rows.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from roofsim.studies.validate import Validation, validate

FILE = Path(__file__).resolve().parents[2] / "data" / "published" / "experts.csv"


@pytest.fixture(scope="module")
def found() -> Validation:
    return validate(str(FILE), runtime="vllm", calibration="none")


def test_every_row_is_predicted(found: Validation) -> None:
    assert found.scored == found.figures == len(found.rows) == 144


@pytest.mark.parametrize("device", ["h100-sxm", "h200-sxm", "b200-sxm"])
def test_layers_are_within_12_percent_in_the_median_and_none_off_by_75(found: Validation, device: str) -> None:
    rows = [r for r in found.rows if r.device == device]
    assert median(abs(r.error) for r in rows) <= 0.12
    assert max(abs(r.error) for r in rows) <= 0.75
    assert sum(r.covered for r in rows) >= 0.85 * len(rows)
