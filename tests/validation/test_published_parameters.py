"""Against the parameter counts of the checkpoints, which need no file of ours."""

from __future__ import annotations

import pytest

from roofsim import library

PUBLISHED = {
    "Falcon-H1-0.5B": 521_411_104,
    "Falcon-H1-1.5B": 1_554_863_488,
    "GPT-Neo-125M": 125_198_592,
    "Hymba-1.5B": 1_522_797_824,
    "Llama-3.1-8B": 8_030_261_248,
    "Llama-3.2-1B": 1_235_814_400,
    "Phi-3-mini": 3_821_079_552,
    "Qwen2.5-0.5B": 494_032_768,
    "Qwen2.5-1.5B": 1_543_714_304,
    "TinyLlama-1.1B": 1_100_048_384,
    "Zamba2-1.2B": 1_215_064_704,
    "mamba-130m": 129_135_360,
    "mamba-790m": 793_204_224,
    "mamba-1.4b": 1_372_178_432,
    "mamba-2.8b": 2_768_345_600,
    "mamba2-130m": 128_989_632,
    "mamba2-780m": 780_161_280,
    "mamba2-1.3b": 1_343_757_312,
    "mamba2-2.7b": 2_702_599_680,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_has_exactly_the_parameters_of_its_checkpoint(name: str) -> None:
    assert library.architecture(name).total_parameters == PUBLISHED[name]
