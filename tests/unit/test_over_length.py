"""Time and energy taken apart over length: parts of what a prediction says at each."""

from __future__ import annotations

import pytest

import roofsim
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.prediction.setup import setup
from roofsim.specs.workload import workload
from roofsim.studies.breakdown import breakdown
from roofsim.studies.energies import energies
from roofsim.studies.over_length import LONGEST, MOST, SHORTEST, lengths_of

STACKS = [
    ("Qwen2.5-0.5B", "orin", "transformers-4.52-eager", 1024),
    ("Zamba2-1.2B", "rtx-4090", "transformers-4.52-eager", 40_000),
    ("mamba2-780m", "h100-sxm", "vllm", 9000),
    ("Qwen2.5-0.5B", "raspberry-pi-5", "llama.cpp-cpu", 700),
]


@pytest.fixture(params=STACKS, ids=lambda case: f"{case[0]} {case[1]}")
def prediction(request):
    model, device, runtime, prompt = request.param
    return roofsim.predict(model, device, runtime, prompt=prompt, batch=2)


def test_kinds_of_operators_add_up_to_the_times_of_the_passes(prediction):
    found = breakdown(prediction.on, prediction.workload, [prediction.workload.prompt])
    for name in ("prefill", "decode"):
        (at,), passed = found.passes[name], getattr(prediction, name)
        assert (at.prompt, at.time, at.device_time, at.host_time) == (
            prediction.workload.prompt, passed.time, passed.device_time, passed.host_time,
        )  # fmt: skip
        assert sum(of.device for of in at.kinds.values()) == pytest.approx(passed.device_time)
        assert at.start + sum(of.host for of in at.kinds.values()) == pytest.approx(passed.host_time)
        assert at.start >= 0
        assert all(0 <= of.launch_bound <= of.device * (1 + 1e-12) for of in at.kinds.values())
        assert at.idle_time == pytest.approx(passed.idle_time)
        assert set(found.kinds) >= at.kinds.keys() == {row.kind for row in passed.operators}


def test_the_time_of_a_prefill_has_the_interval_of_the_time_to_first_token(prediction):
    found = breakdown(prediction.on, prediction.workload, [prediction.workload.prompt])
    low, high = found.passes["prefill"][0].interval
    assert high == pytest.approx(prediction.intervals["ttft"][1])
    assert low <= prediction.intervals["ttft"][0] * (1 + 1e-9)


def test_kinds_stand_in_the_order_of_what_they_take_of_the_device():
    found = breakdown(setup("Qwen2.5-0.5B", "orin", "ideal"), workload(prompt=1024), [1024])
    shares = [sum(p[0].kinds[kind].device / p[0].device_time for p in found.passes.values()) for kind in found.kinds]
    assert shares == sorted(shares, reverse=True)


def test_parts_of_the_energy_of_a_token_add_up_to_it(prediction):
    w = prediction.workload
    found = energies(prediction.on, w, [w.prompt])
    for name, tokens in (("prefill", w.batch * w.prompt), ("decode", w.batch)):
        (at,) = found.passes[name]
        assert at.energy * tokens == pytest.approx(getattr(prediction, name).energy)
        assert sum(at.parts.values()) == pytest.approx(at.energy)
        assert at.interval[0] < at.energy < at.interval[1]
        assert min(at.parts.values()) > 0


def test_no_energy_is_taken_apart_where_nobody_says_what_a_device_draws():
    with pytest.raises(Unsupported, match=r"tpu-v6e: its file states no power\.tdp"):
        energies(setup("Qwen2.5-0.5B", "tpu-v6e", "ideal"), workload(prompt=1024))


def test_lengths_go_from_the_shortest_to_the_longest_that_can_be_run_and_around_where_a_mask_is_built():
    p = roofsim.predict("Qwen2.5-0.5B", "rtx-4090")
    found = lengths_of(p.on, p.workload)
    assert found[0] == SHORTEST
    assert found[-1] == p.limits.memory_prompt
    assert {32767, 32768} <= set(found)
    assert list(found) == sorted(set(found))
    assert lengths_of(setup("mamba2-780m", "h100-sxm", "vllm"), workload(prompt=1024))[-1] == LONGEST


def test_a_prompt_that_is_longer_or_shorter_than_usual_is_looked_at_too():
    s = setup("Llama-3.1-8B", "orin", "ideal")
    assert lengths_of(s, workload(prompt=4096))[-1] == 4096
    assert lengths_of(s, workload(prompt=16)) == (16,)


def test_lengths_that_are_asked_for_are_taken_in_order_once_each():
    s = setup("mamba2-780m", "orin", "ideal")
    assert lengths_of(s, workload(prompt=1), [2048, 512, 512]) == (512, 2048)
    for wrong in ([], range(1, MOST + 2)):
        with pytest.raises(InputError, match="lengths: 1 to 200"):
            lengths_of(s, workload(prompt=1), wrong)
