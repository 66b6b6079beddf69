from __future__ import annotations

import json
from itertools import pairwise

import pytest

from roofsim import crossover, library, predict
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.prediction.fitted import chosen
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.request import predict_request
from roofsim.prediction.setup import setup
from roofsim.specs.workload import workload
from roofsim.studies.crossover import PAPER_PAIRS

MODELS = ("Qwen2.5-0.5B", "mamba2-780m", "Llama-3.2-1B")
METRICS = list(METRICS)


def figure(model: str, device: str, runtime: str, metric: str, prompt: int) -> float:
    p = predict_request(chosen(setup(model, device, runtime)), workload(prompt=prompt))
    return {
        "ttft": p.request.ttft,
        "tpot": p.request.tpot,
        "memory": p.memory.peak,
        "energy": p.request.energy,
        "throughput": -p.request.tokens_per_second,
        "total": p.request.total_time,
        "cost": p.cost.request,
    }[metric]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("runtime", ["transformers-4.52-eager", "transformers-5-eager", "ideal"])
def test_a_crossing_is_the_first_length_with_the_other_order(metric: str, runtime: str) -> None:
    for pair in crossover(*MODELS, device="orin", runtime=runtime, metric=metric).pairs:
        for crossing in pair.crossings:
            for prompt, ahead in (
                (crossing.length - 1, crossing.faster_before),
                (crossing.length, crossing.faster_after),
            ):
                a, b = (figure(model, "orin", runtime, metric, prompt) for model in (pair.a, pair.b))
                assert (a < b) == (ahead == pair.a), (pair.a, pair.b, crossing)


@pytest.mark.parametrize("metric", METRICS)
def test_between_crossings_the_order_stays(metric: str) -> None:
    for pair in crossover(*MODELS, device="orin", metric=metric).pairs:
        order = [a <= b for a, b in zip(pair.values["a"], pair.values["b"], strict=True)]
        changes = [
            (low, high) for (low, high), (x, y) in zip(pairwise(pair.lengths), pairwise(order), strict=True) if x != y
        ]
        assert len(changes) == len(pair.crossings)
        assert all(low < crossing.length <= high for (low, high), crossing in zip(changes, pair.crossings, strict=True))
        assert all(x.faster_after == y.faster_before for x, y in pairwise(pair.crossings))


def test_a_model_never_crosses_its_twin() -> None:
    twins = [variant(library.architecture("mamba-130m"), id=name) for name in ("castor", "pollux")]
    (pair,) = crossover(*twins, device="rtx-4090").pairs
    assert pair.crossings == ()
    assert set(pair.ratios.values()) == {1.0}


def test_a_model_never_overtakes_a_larger_one_of_its_kind() -> None:
    (pair,) = crossover("Llama-3.1-8B", "Llama-3.2-1B", device="h100-sxm", runtime="ideal").pairs
    assert pair.crossings == ()
    assert min(pair.ratios.values()) > 2


@pytest.mark.parametrize("metric", METRICS)
def test_the_ratio_is_the_figure_of_the_first_over_that_of_the_second(metric: str) -> None:
    (pair,) = crossover("Qwen2.5-0.5B", "mamba2-780m", device="orin", metric=metric).pairs
    assert list(pair.ratios) == ["1024", "8192", "57344"]
    for prompt, ratio in pair.ratios.items():
        a, b = (figure(model, "orin", "transformers-4.52-eager", metric, int(prompt)) for model in (pair.a, pair.b))
        assert ratio == pytest.approx(a / b)


def test_a_jump_of_the_software_is_named_at_its_exact_length() -> None:
    pair = crossover("Qwen2.5-0.5B", "Llama-3.2-1B", device="orin", metric="ttft").pairs[0]
    jumps = {crossing.length: crossing.switch for crossing in pair.crossings if crossing.switch}
    assert list(jumps) == [32768]
    assert "mask for Qwen2.5-0.5B from 32,768 tokens" in jumps[32768]
    other = crossover("Qwen2.5-0.5B", "Llama-3.2-1B", device="orin", runtime="transformers-5-eager").pairs[0]
    assert all(crossing.switch is None for crossing in other.crossings)


def test_a_crossing_says_whether_both_models_fit_there() -> None:
    pair = crossover("Qwen2.5-0.5B", "mamba2-780m", device="orin", metric="ttft").pairs[0]
    for crossing in pair.crossings:
        assert crossing.within_memory == (crossing.length <= min(pair.max_prompt.values()))
    assert pair.max_prompt["a"] == predict(pair.a, "orin").limits.max_prompt


def test_a_closed_form_gives_the_length_that_was_found() -> None:
    comparison = crossover(*MODELS, device="orin", metric="ttft")
    roots = [
        (crossing.root, crossing.length) for pair in comparison.pairs for crossing in pair.crossings if crossing.root
    ]
    assert roots
    for root, length in roots:
        assert root == pytest.approx(length, rel=0.02)


def test_without_models_the_pairs_of_the_paper_are_compared() -> None:
    comparison = crossover(device="orin", longest=4096)
    assert tuple((pair.a, pair.b) for pair in comparison.pairs) == PAPER_PAIRS
    assert comparison.device == "jetson-orin-nano-8gb@maxn"


def test_the_positions_of_a_model_bound_the_lengths() -> None:
    (pair,) = crossover("GPT-Neo-125M", "mamba-130m", device="orin").pairs
    assert pair.lengths[-1] == 2048
    assert list(pair.ratios) == ["1024"]


@pytest.mark.parametrize("models", [("mamba-130m",), ("mamba-130m", "mamba-130m"), ("mamba-130m", "mamba-130m-hf")])
def test_one_model_alone_is_an_input_error(models: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="crossover: "):
        crossover(*models, device="orin")


@pytest.mark.parametrize("wrong", [{"metric": "speed"}, {"longest": 0}, {"longest": -5}, {"batch": 0}])
def test_what_cannot_be_compared_is_an_input_error(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        crossover(*MODELS, device="orin", **wrong)


def test_the_json_has_the_fields_of_the_contract() -> None:
    result = json.loads(json.dumps(crossover(*MODELS, device="orin").to_dict()))
    assert {"schema", "device", "runtime", "pairs"} <= set(result)
    assert all({"a", "b", "metric", "crossings", "ratios", "max_prompt"} <= set(pair) for pair in result["pairs"])
    crossings = [crossing for pair in result["pairs"] for crossing in pair["crossings"]]
    fields = {"length", "interval", "faster_before", "faster_after", "regime", "closed_form"}
    assert crossings
    assert all(fields <= set(crossing) for crossing in crossings)
