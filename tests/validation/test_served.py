"""Bursts of requests that vLLM served on an A100, as published; nothing is fitted to them."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from roofsim.studies.validate import Validation, validate

FILE = Path(__file__).resolve().parents[2] / "data" / "published" / "served.csv"


@pytest.fixture(scope="module")
def found() -> Validation:
    return validate(str(FILE), runtime="vllm", calibration="none")


def test_every_row_is_predicted(found: Validation) -> None:
    assert found.scored == found.figures == len(found.rows) == 24


def test_tokens_of_a_dense_model_beside_prompts_of_2000_and_more_are_within_10_percent(found: Validation) -> None:
    """Single tokens have whole tiles of attention for each head: without them these are 14 to 20 % too fast."""
    rows = [r for r in found.rows if r.model.endswith("14B") and r.prompt > 1000]
    assert len(rows) == 6
    steps = [r.error for r in rows if r.phase == "decode"]
    assert max(abs(error) for error in steps) <= 0.1
    assert max(abs(r.error) for r in rows) <= 0.2


def test_first_tokens_of_a_burst_are_within_a_fifth_in_the_median(found: Validation) -> None:
    assert median(abs(r.error) for r in found.rows if r.phase == "prefill") <= 1 / 5


def test_sglang_on_two_to_eight_devices_has_its_prompts_in_steps_of_their_own() -> None:
    """Shared steps would leave first tokens 70 % too early, a gap behind each token's page steps 100 % too slow."""
    found = validate(str(FILE.with_name("sglang.csv")), calibration="none")
    assert found.scored == 156
    of = {phase: [r.error for r in found.rows if r.phase == phase] for phase in ("prefill", "decode")}
    assert median(abs(e) for e in of["decode"]) <= 0.1
    assert median(abs(e) for e in of["prefill"]) <= 0.2
    assert abs(median(of["decode"])) <= 0.1
    assert abs(median(of["prefill"])) <= 0.1
