"""Against the forms that the peaks measured by SSM-Scope follow (arXiv 2507.12442; design, section 4.4).

Measured on an RTX 4090 with transformers 4.52 and logits at all positions. W weights, N prompt, V vocabulary,
d width, two bytes per element. The measurements lie within 8 to 23 MiB of the forms.
"""

from __future__ import annotations

import pytest

from roofsim.model.architecture import Architecture
from roofsim.model.step import Precision
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.limits import limits_of
from roofsim.prediction.setup import setup
from roofsim.specs.workload import workload

TOLERANCE = 24 * 2**20


def above_weights(model: str, prompt: int) -> tuple[Architecture, float]:
    s = setup(model, "rtx-4090", "transformers-4.52-eager")
    memory = Evaluation(s, workload(prompt=prompt)).memory
    return s.architecture, memory.peak - memory.weights


def cache(a: Architecture, n: int) -> float:
    return a.state_bytes(n, Precision())


@pytest.mark.parametrize("n", [1024, 8192, 16384, 32768, 57344])
@pytest.mark.parametrize("model", ["Llama-3.2-1B", "Qwen2.5-0.5B", "Qwen2.5-1.5B"])
def test_a_transformer_holds_its_logits_and_its_cache_or_a_mask_being_built(model: str, n: int) -> None:
    a, peak = above_weights(model, n)
    form = 2 * n * (a.vocab + a.d_model) + cache(a, n)
    if a.family == "qwen2" and n >= 32768:
        form = max(form, 6 * n**2 + 2 * n * a.d_model)
    assert peak == pytest.approx(form, abs=TOLERANCE)


@pytest.mark.parametrize("n", [1024, 8192, 32768, 131072, 220_000])
@pytest.mark.parametrize("model", ["mamba-130m", "mamba-790m", "mamba2-780m", "mamba2-1.3b"])
def test_a_state_space_model_holds_its_logits(model: str, n: int) -> None:
    a, peak = above_weights(model, n)
    assert peak == pytest.approx(2 * n * (a.vocab + a.d_model), abs=TOLERANCE)


@pytest.mark.parametrize("n", [1024, 8192, 16384])
def test_falcon_h1_holds_two_copies_of_its_logits_and_no_cache(n: int) -> None:
    a, peak = above_weights("Falcon-H1-0.5B", n)
    assert peak == pytest.approx(2 * n * (2 * a.vocab + a.d_model), abs=2 * TOLERANCE)


def test_the_mask_of_qwen_appears_at_its_declared_window() -> None:
    shorter, at, later = (above_weights("Qwen2.5-0.5B", n)[1] for n in (32767, 32768, 57344))
    assert at - shorter < TOLERANCE
    assert later > 6 * 57344**2


@pytest.mark.parametrize(("model", "longest"), [("mamba2-780m", 220_000), ("Qwen2.5-0.5B", 57_344)])
def test_the_longest_prompts_in_24_gb_are_those_of_the_paper(model: str, longest: int) -> None:
    s = setup(model, "rtx-4090", "transformers-4.52-eager")
    assert Evaluation(s, workload(prompt=longest)).memory.peak < s.device.capacity
    assert Evaluation(s, workload(prompt=int(1.2 * longest))).memory.peak > s.device.capacity


@pytest.mark.parametrize(
    ("model", "longest"),
    [("Qwen2.5-0.5B", 16_384), ("Llama-3.2-1B", 8_192), ("Zamba2-1.2B", 8_192), ("mamba-790m", 32_768)],
)
def test_the_longest_power_of_two_that_fits_an_orin_nano_is_the_one_that_ran_there(model: str, longest: int) -> None:
    s = setup(model, "orin", "transformers-4.52-eager")
    found = limits_of(s, workload(prompt=longest, generate=1)).memory_prompt
    assert longest <= found < 2 * longest
