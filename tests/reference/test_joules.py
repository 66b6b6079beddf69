"""Energy of a pass, worked out by hand: 20 W idle and at most 100, rates of one per second."""

from __future__ import annotations

from typing import Any

import pytest

from roofsim import library
from roofsim.engine.energy import IDLE_SHARE, energy
from roofsim.engine.roofline import Machine
from roofsim.foundation.cost import Cost
from roofsim.foundation.schema import checked, variant
from roofsim.specs.device import Device, PowerDraw

SHARES = {"active_power": 0.1, "flop_power": 0.2, "byte_power": 0.3, "cache_share": 0, "cache_speed": 1}
M = Machine(matrix_rate=1000, vector_rate=100, bandwidth=10, cache=0, units=1, parameters=SHARES)


def drawing(**power: str) -> Device:
    stated: Any = {name: {"value": value, "source": "made up"} for name, value in power.items()}
    return variant(library.device("h100-sxm"), power=checked(PowerDraw, stated))


@pytest.mark.parametrize(
    ("cost", "busy", "time", "joules"),
    [
        (Cost(), 0, 10, 20 * 10),
        (Cost(), 5, 10, 200 + 80 * 0.1 * 5),
        (Cost(matrix=2000), 0, 10, 200 + 80 * 0.2 * 2),
        (Cost(vector=300), 0, 10, 200 + 80 * 0.2 * 3),
        (Cost(weights=10), 0, 10, 200 + 80 * 0.3 * 1),
        (Cost(activations=20), 0, 10, 200 + 80 * 0.3 * 2),
        (Cost(state=30), 0, 10, 200 + 80 * 0.3 * 3),
        (Cost(2000, 300, 10, 20, 30), 5, 10, 200 + 80 * (0.1 * 5 + 0.2 * 5 + 0.3 * 6)),
        (Cost(matrix=1e6), 5, 10, 100 * 10),  # no more than the limit for all of the time
    ],
)
def test_a_pass_draws_idle_power_and_what_activity_work_and_traffic_add(
    cost: Cost, busy: float, time: float, joules: float
) -> None:
    assert energy(drawing(tdp="100 W", idle="20 W"), M, cost, busy, time) == pytest.approx(joules)


def test_idle_power_that_nobody_states_is_a_tenth_of_the_limit() -> None:
    assert IDLE_SHARE == 1 / 10
    assert energy(drawing(tdp="100 W"), M, Cost(), 5, 10) == pytest.approx(10 * 10 + 90 * 0.1 * 5)
