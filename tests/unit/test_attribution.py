"""What choices of software cost: parts that lead from one runtime's figures to another's."""

from __future__ import annotations

from itertools import chain

import pytest

import roofsim
from roofsim.prediction.metrics import METRICS
from roofsim.studies.compare import CALIBRATION, COMPARED, OTHER, STEPS, compare_runtimes

CASES = [
    ("Qwen2.5-0.5B", "orin", ("transformers-4.52-eager", "cuda-graph", "ideal", "llama.cpp"), 32768),
    ("Qwen2.5-0.5B", "h100-sxm", ("transformers-5-eager", "transformers-5-static", "vllm"), 4096),
    ("mamba2-780m", "rtx-4090", ("vllm", "transformers-4.52-eager", "mamba-ssm"), 1024),
]


def value(prediction, metric):
    return prediction.memory.peak if metric == "memory" else getattr(prediction.request, METRICS[metric].figure)


@pytest.mark.parametrize(("model", "device", "runtimes", "prompt"), CASES)
def test_parts_lead_from_one_runtime_to_another_whatever_their_calibrations(model, device, runtimes, prompt):
    predictions = [roofsim.predict(model, device, each, prompt=prompt) for each in runtimes]
    found = compare_runtimes([p.on for p in predictions], predictions[0].asked.single(predictions[0].on.device))
    assert found.sides[0].contributions == ()
    for side, p in zip(found.sides[1:], predictions[1:], strict=True):
        for metric in COMPARED:
            moved = sum(getattr(part, metric) for part in side.contributions)
            whole = value(p, metric) - value(predictions[0], metric)
            assert moved == pytest.approx(whole, abs=1e-9 * value(p, metric))


def test_a_calibration_of_its_own_is_a_part_of_its_own():
    a, b = (roofsim.predict("Qwen2.5-0.5B", "h100-sxm", "vllm", calibration=each) for each in ("auto", "none"))
    found = compare_runtimes([a.on, b.on], a.asked.single(a.on.device))
    assert [part.step for part in found.sides[1].contributions] == [CALIBRATION]


def test_no_field_of_a_runtime_is_in_two_steps():
    fields = list(chain.from_iterable(paths for _, paths in STEPS))
    assert len(fields) == len(set(fields))
    runtime = roofsim.runtime("vllm")
    for path in fields:
        group, _, name = path.partition(".")
        assert hasattr(getattr(runtime, group), name) if name else hasattr(runtime, group)
    assert {OTHER, CALIBRATION}.isdisjoint(step for step, _ in STEPS)
