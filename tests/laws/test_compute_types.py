"""What is true of quantised products, whatever the model."""

from __future__ import annotations

import numpy as np
import pytest

from roofsim import library, predict
from roofsim.foundation.errors import Unsupported
from roofsim.model.weights import WEIGHT_FORMATS
from roofsim.prediction.setup import setup
from roofsim.prediction.steps import decode
from roofsim.specs.workload import workload

MODELS = ("Llama-3.1-8B", "Qwen3-30B-A3B", "mamba2-780m", "gpt-oss-20b")
LONG = {"prompt": 8192, "generate": 2, "logits": "last"}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("wide", "narrow"), [("fp8", "fp4"), ("int8", "int4"), ("fp32", "fp16")])
def test_half_the_bits_are_half_the_bytes_of_what_is_quantised(model: str, wide: str, narrow: str) -> None:
    s = setup(model, "b200", "ideal")
    one, other = (s.precision(workload(weight_format=each)) for each in (wide, narrow))
    for matrix in s.architecture.inventory.matrices:
        if one.of(matrix.operator) != s.precision(workload()).of(matrix.operator):
            assert other.of(matrix.operator) == one.of(matrix.operator) / 2


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("fmt", "device"), [("fp8", "h100"), ("int8-channel", "a100-sxm-80gb"), ("nvfp4", "b200")])
@pytest.mark.parametrize("runtime", ["vllm", "ideal"])
def test_a_long_prefill_on_narrower_units_takes_less_time_and_not_less_than_their_share(
    model: str, fmt: str, device: str, runtime: str
) -> None:
    plain, narrow = (predict(model, device, runtime, weight_format=each, **LONG) for each in ("bf16", fmt))
    peaks = library.device(device).peak.matrix
    most = {"fp8": "fp8", "int8-channel": "int8", "nvfp4": "fp4"}[fmt]
    ratio = float(peaks[most].value / peaks["bf16"].value)
    assert plain.prefill.device_time / ratio < narrow.prefill.device_time < plain.prefill.device_time
    assert narrow.prefill.matrix_flops == plain.prefill.matrix_flops


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fmt", ["fp8", "int4-g128", "nvfp4", "mxfp4"])
def test_without_such_a_unit_weights_save_traffic_but_no_work(model: str, fmt: str) -> None:
    plain, narrow = (predict(model, "a100-sxm-80gb", "vllm", weight_format=each, **LONG) for each in ("bf16", fmt))
    assert narrow.decode.device_time < plain.decode.device_time
    assert narrow.memory.weights < plain.memory.weights
    for one, other in zip(plain.prefill.operators, narrow.prefill.operators, strict=True):
        assert (other.matrix_flops, other.kernels) == (one.matrix_flops, one.kernels)
        assert other.time == pytest.approx(one.time) or other.time < one.time or other.bound == "memory"


FORMATS = {
    "vllm": ("fp8", "int8-channel", "int4-g128", "nvfp4", "nf4"),
    "transformers-5-eager": ("fp8-block128", "nf4", "nvfp4"),
    "transformers-4.52-eager": ("nf4", "awq"), "ideal": ("fp8", "mxfp4", "q4_k_m"),
}  # fmt: skip


EXPERTS = [("Qwen3-30B-A3B", name, each) for name, formats in FORMATS.items() for each in formats]
HYBRID = [("Falcon-H1-0.5B", name, formats[0]) for name, formats in FORMATS.items()]


@pytest.mark.parametrize(("model", "runtime", "fmt"), [*EXPERTS, *HYBRID])
def test_a_prediction_of_arrays_is_that_of_each_number(model: str, runtime: str, fmt: str) -> None:
    batch, prompt = np.array([1, 1, 3]), np.array([1, 2, 513])
    found = predict(model, "b200", runtime, weight_format=fmt, batch=batch, prompt=prompt)
    for i in range(3):
        one = predict(model, "b200", runtime, weight_format=fmt, batch=int(batch[i]), prompt=int(prompt[i]))
        for name in ("ttft", "tpot", "energy"):
            assert getattr(found.request, name)[i] == pytest.approx(getattr(one.request, name), rel=1e-9)
        assert found.memory.peak[i] == pytest.approx(one.memory.peak, rel=1e-9)


@pytest.mark.parametrize("fmt", WEIGHT_FORMATS)
def test_every_format_has_a_stack_that_runs_it(fmt: str) -> None:
    assert decode(setup("Llama-3.1-8B", "b200", "ideal"), workload(weight_format=fmt)).precision.weights <= 4


@pytest.mark.parametrize(
    ("device", "runtime", "fmt", "told"),
    [
        ("h100", "vllm", "fp8", "multiplied on fp8 units)"),
        ("h100", "vllm", "awq", "unpacked to bf16)"),
        ("a100", "vllm", "fp8", "unpacked to bf16)"),
        ("h100", "llama.cpp", "q4_k_m", "multiplied as int8)"),
        ("apple-m4", "llama.cpp-metal", "q8_0", "multiplied as fp16)"),
        ("raspberry-pi-5", "llama.cpp-cpu", "q8_0", "multiplied as int8)"),
        ("rtx-4090", "llama.cpp-b2824", "q4_k_m", "unpacked to bf16)"),
        ("b200", "vllm", "nvfp4", "multiplied on fp4 units)"),
        ("mi355x", "vllm", "nvfp4", "unpacked to bf16)"),
        ("mi355x", "ideal", "mxfp4", "multiplied on fp4 units)"),
        ("h100", "llama.cpp", "fp16", "(16 bits each in Llama-3.1-8B)"),
    ],
)
def test_a_prediction_says_what_weights_are_multiplied_as(device: str, runtime: str, fmt: str, told: str) -> None:
    assert any(told in words for words in predict("Llama-3.1-8B", device, runtime, weight_format=fmt).assumptions)


def test_units_that_do_not_take_nvfp4_are_no_units_for_it() -> None:
    with pytest.raises(
        Unsupported, match="weights in nvfp4 on fp4 units, of which mi355x has none that take it; there"
    ):
        predict("Llama-3.1-8B", "mi355x", "sglang", weight_format="nvfp4")
