"""What `predict --explain` suggests."""

from __future__ import annotations

import pytest

from roofsim.prediction.fitted import chosen
from roofsim.prediction.setup import setup
from roofsim.specs.workload import workload
from roofsim.studies.compare import COMPARED, _figures, remedies

GRAPHS, FUSED, MASK = "captured graphs instead of eager launches", "every operator fused", "no mask"


def suggested(model: str, device: str, runtime: str, **fields: int) -> dict[str, list[float]]:
    s = chosen(setup(model, device, runtime))
    found = remedies(s, workload(dtype=s.device.default_dtype, **fields))
    return {each.change: [getattr(each, name) for name in COMPARED] for each in found}


@pytest.mark.parametrize(
    ("model", "device", "runtime"),
    [
        ("Qwen2.5-0.5B", "orin", "transformers-4.52-eager"),
        ("mamba2-780m", "rtx-4090", "transformers-5-eager"),
        ("Zamba2-1.2B", "rtx-4090", "transformers-4.52-eager"),
        ("Qwen2.5-0.5B", "rtx-4090", "transformers-5-static"),
        ("mamba-130m", "h100-sxm", "mamba-ssm"),
        ("Qwen2.5-0.5B", "tpu-v6e", "transformers-4.52-eager"),  # whose power is not published
    ],
)
def test_every_suggestion_makes_something_better_and_nothing_worse(model, device, runtime):
    s = chosen(setup(model, device, runtime))
    now = _figures(s, workload(dtype=s.device.default_dtype))
    found = suggested(model, device, runtime)
    assert found
    for change, figures in found.items():
        known = [(a, b) for a, b in zip(now, figures, strict=True) if a == a]
        assert any(b < 0.9995 * a for a, b in known), change
        assert all(b <= 1.0011 * a for a, b in known), change


@pytest.mark.parametrize("runtime", ["vllm", "llama.cpp", "cuda-graph", "transformers-5-static", "ideal"])
def test_graphs_are_not_suggested_to_a_stack_that_has_them(runtime):
    assert GRAPHS not in suggested("mamba2-780m" if runtime != "ideal" else "Qwen2.5-0.5B", "rtx-4090", runtime)


def test_graphs_are_not_suggested_to_a_stack_that_runs_on_the_host():
    assert GRAPHS not in suggested("Qwen2.5-0.5B", "ryzen-9-7950x", "transformers-5-cpu")
    assert suggested("mamba2-780m", "ryzen-9-7950x", "llama.cpp-cpu") == {}


@pytest.mark.parametrize("model", ["mamba2-780m", "Qwen2.5-0.5B"])
@pytest.mark.parametrize("runtime", ["vllm", "llama.cpp"])
def test_fusing_is_not_suggested_to_a_stack_of_kernels_of_its_own(model, runtime):
    assert FUSED not in suggested(model, "rtx-4090", runtime)


def test_a_static_cache_is_not_told_to_do_without_its_mask():
    assert MASK not in suggested("Qwen2.5-0.5B", "rtx-4090", "transformers-5-static")
    assert MASK in suggested("Qwen2.5-0.5B", "rtx-4090", "transformers-4.52-eager", prompt=32768)


def test_what_a_stack_does_already_is_not_suggested():
    found = suggested("Qwen2.5-0.5B", "rtx-4090", "transformers-5-eager")
    assert "logits of the last position only" not in found
    assert MASK not in found
    assert GRAPHS in found
