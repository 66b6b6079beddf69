from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofsim import library
from roofsim.engine.energy import Activity, energy, units_energy, waiting_power
from roofsim.engine.passes import run_pass
from roofsim.foundation.errors import SpecError
from roofsim.foundation.schema import checked
from roofsim.prediction.setup import setup
from roofsim.prediction.steps import decode, prefill
from roofsim.specs.device import PowerDraw
from roofsim.specs.workload import workload

DEVICE = library.device("h100-sxm")
TDP, IDLE = DEVICE.power.tdp.value, DEVICE.power.idle.value
MACHINE = setup("mamba-130m", DEVICE, "ideal").machine("bf16")
SECONDS = st.floats(0, 1e3)


@given(SECONDS, SECONDS, SECONDS)
def test_no_pass_draws_more_than_the_device_may_or_less_than_it_waits_with(active, work, traffic):
    done = Activity(active, work, traffic)
    drawn = energy(DEVICE, MACHINE, 10.0, done)
    assert IDLE * 10 < waiting_power(DEVICE, MACHINE) * 10 <= drawn < TDP * 10
    assert 0 <= units_energy(DEVICE, MACHINE, 10.0, done) <= drawn


@given(SECONDS, SECONDS, st.floats(1e-3, 1e3), st.floats(1, 100))
def test_more_work_or_a_longer_wait_draws_no_less(work, traffic, time, factor):
    done = Activity(0, work, traffic)
    drawn = energy(DEVICE, MACHINE, time, done)
    more = (done * factor, Activity(time, work, traffic), Activity(0, work * factor, traffic))
    assert all(energy(DEVICE, MACHINE, time, each) >= drawn * (1 - 1e-9) for each in more)
    assert energy(DEVICE, MACHINE, time * factor, done) >= drawn * (1 - 1e-9)


def test_a_prefill_is_not_simply_the_limit_for_its_time():
    """At 700 W a large one draws nearly that, as measured ones do; a short one waits for its host."""
    powers = []
    for model, prompt in (("Qwen2.5-0.5B", 128), ("Qwen2.5-0.5B", 1024), ("Llama-3.1-8B", 8192)):
        s, w = setup(model, DEVICE, "vllm"), workload(prompt=prompt)
        first, step = (run_pass(s.stack("bf16"), p) for p in (prefill(s, w), decode(s, w)))
        powers.append(first.energy / first.time)
        assert step.energy / step.time < TDP
    assert powers[0] < powers[1] < 0.9 * powers[2] < 0.9 * TDP


def test_a_device_that_waits_for_its_host_draws_waiting_power():
    s, w = setup("Qwen2.5-0.5B", DEVICE, "transformers-5-eager"), workload(prompt=512)
    step = run_pass(s.stack("bf16"), decode(s, w))
    assert step.energy / step.time == pytest.approx(waiting_power(DEVICE, s.machine("bf16")), rel=0.1)


def test_a_power_that_the_limit_has_no_room_for_is_refused():
    power = {name: {"value": value, "source": "made up"} for name, value in
             (("tdp", "10 W"), ("idle", "2 W"), ("dynamic", "30 W"))}  # fmt: skip
    with pytest.raises((SpecError, ValueError), match="dynamic"):
        checked(PowerDraw, power)
