"""Against the parameter counts of the checkpoints, which need no file of ours."""

from __future__ import annotations

import pytest

from roofsim import library

PUBLISHED = {
    "DeepSeek-R1-Distill-Qwen-7B": 7_615_616_512,
    "DeepSeek-R1-Distill-Qwen-14B": 14_770_033_664,
    "DeepSeek-R1-Distill-Qwen-32B": 32_763_876_352,
    "Falcon-H1-0.5B": 521_411_104,
    "Falcon-H1-1.5B": 1_554_863_488,
    "GPT-J-6B": 6_050_882_784,
    "GPT-Neo-125M": 125_198_592,
    "GPT2-Large": 774_030_080,
    "Gemma-3-4B": 3_880_099_328 + 64 * 2560,
    "Gemma-3-12B": 11_765_788_416 + 64 * 3840,
    "Gemma-3-27B": 27_009_002_240 + 64 * 5376,
    "Hymba-1.5B": 1_522_797_824,
    "LFM2-350M": 354_483_968,
    "Llama-2-7B": 6_738_415_616,
    "Llama-2-13B": 13_015_864_320,
    "Llama-2-70B": 68_976_648_192,
    "Llama-3-70B": 70_553_706_496,
    "Llama-3.1-8B": 8_030_261_248,
    "Llama-3.2-1B": 1_235_814_400,
    "Llama-3.2-3B": 3_212_749_824,
    "Phi-3-mini": 3_821_079_552,
    "Phi-4-mini": 3_836_021_760,
    "Qwen2.5-0.5B": 494_032_768,
    "Qwen2.5-1.5B": 1_543_714_304,
    "Qwen2.5-3B": 3_085_938_688,
    "Qwen2.5-7B": 7_615_616_512,
    "Qwen2.5-14B": 14_770_033_664,
    "Qwen2.5-32B": 32_763_876_352,
    "Qwen2.5-72B": 72_706_203_648,
    "Qwen3-4B": 4_022_468_096,
    "Qwen3-14B": 14_768_307_200,
    "Qwen3-32B": 32_762_123_264,
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
"""Parameters of the checkpoints; of Gemma 3 those of its text presets, and 64 rows of the table that they lack."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_has_exactly_the_parameters_of_its_checkpoint(name: str) -> None:
    assert library.architecture(name).total_parameters == PUBLISHED[name]
