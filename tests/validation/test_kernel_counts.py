"""Against the kernels that the libraries launch per forward pass, batch 1."""

from __future__ import annotations

import pytest

from roofsim import library
from roofsim.engine.passes import run_pass
from roofsim.foundation.schema import variant
from roofsim.prediction.setup import setup
from roofsim.prediction.steps import decode, prefill
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import workload

TOLERANCE = 0.03

# Traced from the modelling code: every operator that launches work, without what cuBLAS and cuDNN add.
TRACED = {
    # transformers 5.17.0
    "transformers-5-eager": {
        "Qwen2.5-0.5B": (981, 981),
        "mamba2-780m": (1738, 1354),
        "mamba-790m": (1450, 970),
        "Llama-3.1-8B": (1301, 1301),
        "Llama-3.2-1B": (661, 661),
        "Phi-3-mini": (1301, 1269),
        "GPT-Neo-125M": (377, 365),
        "Falcon-H1-0.5B": (2399, 2039),
        "Zamba2-1.2B": (1664, 1360),
    },
    # transformers 4.52.3, Falcon-H1 4.53.0; Mamba and Mamba-2 by mamba_ssm 2.2.4; Phi-3 runs its published code instead
    "transformers-4.52-eager": {
        "Qwen2.5-0.5B": (1004, 1028),
        "Llama-3.1-8B": (1332, 1364),
        "Llama-3.2-1B": (676, 692),
        "GPT-Neo-125M": (347, 358),
        "Falcon-H1-0.5B": (2364, 2183),
        "Zamba2-1.2B": (1715, 1377),
        "mamba2-780m": (627, 435),
        "mamba-790m": (579, 435),
    },
}

# Measured on an H100 with transformers 5.17 and PyTorch 2.11: (prompt, prefill), decode.
MEASURED = {
    "Qwen2.5-0.5B": ({1024: 1006, 16384: 1126}, 1029),
    "mamba2-780m": ({1024: 1738, 16384: 1834}, 1402),
    "mamba-790m": ({1024: 1450, 16384: 1594}, 1066),
    "Llama-3.1-8B": ({}, 1494),
    "Granite-4.0-H-Tiny": ({512: 3462, 4096: 4178, 32768: 4310}, 3210),
}


def kernels(model: str, runtime: Runtime, prompt: int = 1024) -> tuple[float, float]:
    s, w = setup(model, "rtx-4090", runtime), workload(prompt=prompt)
    first, step = (run_pass(s.stack("bf16"), p).kernels for p in (prefill(s, w), decode(s, w)))
    return first, step


@pytest.mark.parametrize(("runtime", "model"), [(runtime, model) for runtime in TRACED for model in TRACED[runtime]])
def test_the_kernels_of_a_pass_are_those_traced(runtime: str, model: str) -> None:
    stack = library.runtime(runtime)
    bare = {
        "matrix_library": type(stack.matrix_library)(),
        "attention": variant(stack.attention, splits_decode=False, plans=False),
    }
    assert kernels(model, variant(stack, **bare)) == pytest.approx(TRACED[runtime][model], rel=TOLERANCE)


@pytest.mark.parametrize("model", MEASURED)
def test_the_kernels_of_a_pass_with_those_of_the_libraries_are_those_measured(model: str) -> None:
    stack = library.runtime("transformers-5-eager")
    prefills, decode = MEASURED[model]
    assert {prompt: kernels(model, stack, prompt)[0] for prompt in prefills} == pytest.approx(prefills, rel=TOLERANCE)
    assert kernels(model, stack)[1] == pytest.approx(decode, rel=TOLERANCE)
