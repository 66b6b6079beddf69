from __future__ import annotations

from dataclasses import replace

import pytest

from roofsim import library
from roofsim.engine.energy import IDLE_SHARE, energy
from roofsim.engine.roofline import Machine
from roofsim.foundation.cost import Cost
from roofsim.foundation.schema import variant
from roofsim.prediction.setup import setup

DEVICE = library.device("h100-sxm")
TDP, IDLE = DEVICE.power.tdp.value, DEVICE.power.idle.value
MACHINE = setup("mamba-130m", DEVICE, "ideal").machine("bf16")
NOTHING = {"active_power": 0.0, "flop_power": 0.0, "byte_power": 0.0}


def drawing(**shares: float) -> Machine:
    return replace(MACHINE, parameters={**MACHINE.parameters, **NOTHING, **shares})


@pytest.mark.parametrize(
    ("cost", "busy", "shares", "seconds"),
    [
        (Cost(), 0.0, {"active_power": 1, "flop_power": 1, "byte_power": 1}, 0),
        (Cost(), 2.0, {"active_power": 0.25}, 0.5),
        (Cost(matrix=MACHINE.matrix_rate), 2.0, {"flop_power": 0.5}, 0.5),
        (Cost(vector=MACHINE.vector_rate), 2.0, {"flop_power": 0.5}, 0.5),
        (Cost(weights=MACHINE.bandwidth, state=MACHINE.bandwidth), 2.0, {"byte_power": 0.5}, 1),
        (
            Cost(matrix=MACHINE.matrix_rate, activations=MACHINE.bandwidth),
            0.0,
            {"flop_power": 0.5, "byte_power": 0.25},
            0.75,
        ),
    ],
)
def test_activity_work_and_traffic_each_draw_their_share_of_the_power_above_idle(
    cost: Cost, busy: float, shares: dict[str, float], seconds: float
) -> None:
    joules = energy(DEVICE, drawing(**shares), cost, busy, 10.0)
    assert joules == pytest.approx(IDLE * 10 + (TDP - IDLE) * seconds)


def test_no_pass_draws_more_than_the_device_may() -> None:
    cost = Cost(matrix=10 * MACHINE.matrix_rate, weights=10 * MACHINE.bandwidth)
    assert energy(DEVICE, drawing(flop_power=1, byte_power=1), cost, 10.0, 10.0) == TDP * 10


def test_a_device_of_unknown_idle_power_idles_at_a_share_of_its_limit() -> None:
    silent = variant(DEVICE, power=variant(DEVICE.power, idle=None))
    assert energy(silent, drawing(), Cost(), 0.0, 10.0) == pytest.approx(IDLE_SHARE * TDP * 10)
