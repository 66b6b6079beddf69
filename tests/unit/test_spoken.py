"""Numbers are called as people call them."""

from __future__ import annotations

import pytest

from roofsim.prediction.setup import setup
from roofsim.prediction.spoken import words
from roofsim.spaces.numbers import quantities
from roofsim.specs.workload import workload


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("prompt", "prompt length"),
        ("device.memory.bandwidth", "memory bandwidth"),
        ("device.peak.matrix.fp8", "matrix peak, fp8"),
        ("parameters.gemm_efficiency", "gemm efficiency"),
        ("model.layers.mamba2.mamba2.d_state", "d state (mamba2)"),
        ("model.layers.decoder.1.width", "width (decoder, 1)"),
        ("model.layout.0.repeat", "layers, part 1"),
        ("model.vocabulary", "vocabulary"),
        ("runtime.memory.chunk", "memory chunk"),
        ("lr", "lr"),
    ],
)
def test_a_path_is_said_in_words(path: str, said: str) -> None:
    assert words(path) == said


@pytest.mark.parametrize("model", ["Qwen2.5-0.5B", "Zamba2-1.2B", "Qwen3-30B-A3B"])
def test_no_two_numbers_of_a_setup_are_called_the_same(model: str) -> None:
    found = [words(each.path) for each in quantities(setup(model, "orin"), workload())]
    assert len(set(found)) == len(found)
    assert not [each for each in found if "_" in each or "." in each]
