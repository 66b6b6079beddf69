"""Energy of a pass, worked out by hand: 20 W idle and at most 100, rates of one per second."""

from __future__ import annotations

from typing import Any

import pytest

from roofsim import library
from roofsim.engine.energy import (
    GIVES_WAY,
    IDLE_SHARE,
    Activity,
    Joules,
    activity,
    energy,
    joules,
    units_energy,
    waiting_power,
)
from roofsim.engine.roofline import Machine, Terms
from roofsim.foundation.cost import Cost
from roofsim.foundation.schema import checked, variant
from roofsim.lowering.kernels import Kernel
from roofsim.specs.device import Device, PowerDraw

SHARES = {"waiting_power": 0.05, "active_power": 0.1, "flop_power": 0.2, "byte_power": 0.3, "cache_share": 0,
          "cache_speed": 1}  # fmt: skip
M = Machine(matrix_rate=1000, vector_rate=100, bandwidth=10, cache=0, units=1, parameters=SHARES, peaks={"fp8": 4000})
LIMITED = {"tdp": "100 W", "idle": "20 W"}


def drawing(**power: str) -> Device:
    stated: Any = {name: {"value": value, "source": "made up"} for name, value in power.items()}
    return variant(library.device("h100-sxm"), power=checked(PowerDraw, stated))


@pytest.mark.parametrize(
    ("done", "joules"),
    [
        (Activity(), 24 * 10),
        (Activity(active=5), 240 + 80 * 0.1 * 5),
        (Activity(work=2), 240 + 80 * 0.2 * 2),
        (Activity(traffic=3), 240 + 80 * 0.3 * 3),
        (Activity(5, 2, 3), 240 + 40 + 32 + 72),
        # above waiting the limit leaves 76 W, 760 J in ten seconds; clocks begin to give way at 684 of them
        (Activity(work=684 / 16), 240 + 684),
        (Activity(traffic=760 / 24), 240 + 684 + 76 * 76 / (76 + 76)),
        (Activity(active=684 / 8, work=76 / 16), 240 + 684 + 38),
        (Activity(work=1444 / 16), 240 + 684 + 760 * 76 / (760 + 76)),
    ],
)
def test_a_pass_draws_waiting_power_and_what_activity_work_and_traffic_add(done: Activity, joules: float) -> None:
    assert GIVES_WAY == 0.9
    assert energy(drawing(**LIMITED), M, 10, done) == pytest.approx(joules)


@pytest.mark.parametrize(
    ("done", "joules"),
    [
        (Activity(5, 2, 3), 40 + 32),
        (Activity(traffic=3), 0),
        # 1,520 J are asked for, twice what there is: 684 + 836 · 76 / (836 + 76) are drawn, half by the units
        (Activity(active=45, work=25, traffic=760 / 24), 0.5 * (684 + 836 * 76 / 912)),
    ],
)
def test_a_supply_of_the_units_sees_neither_what_waits_nor_memory(done: Activity, joules: float) -> None:
    assert units_energy(drawing(**LIMITED), M, 10, done) == pytest.approx(joules)


@pytest.mark.parametrize(
    ("done", "parts"),
    [
        (Activity(), (200, 40, 0, 0, 0)),
        (Activity(5, 2, 3), (200, 40, 80 * 0.1 * 5, 80 * 0.2 * 2, 80 * 0.3 * 3)),
        # 1,520 J are asked for, half by memory; 684 + 836 · 76 / (836 + 76) are drawn
        (Activity(active=45, work=25, traffic=760 / 24), (200, 40, *(753.6667 * x for x in (9 / 38, 10 / 38, 1 / 2)))),
    ],
)
def test_the_parts_of_the_energy_are_what_each_draws_and_share_what_the_limit_denies(
    done: Activity, parts: tuple[float, ...]
) -> None:
    found = joules(drawing(**LIMITED), M, 10, done)
    assert (found.idle, found.waiting, found.active, found.work, found.traffic) == pytest.approx(parts)
    assert sum(parts) == pytest.approx(energy(drawing(**LIMITED), M, 10, done))


def test_parts_are_known_where_the_limit_alone_is_stated() -> None:
    found = joules(drawing(tdp="100 W"), M, 10, Activity(5))
    assert (found.idle, found.waiting, found.active) == pytest.approx((100, 45, 90 * 0.1 * 5))


def test_of_a_device_whose_power_nobody_states_no_part_is_known() -> None:
    found = joules(drawing(), M, 10, Activity(1, 2, 3))
    assert all(getattr(found, part) != getattr(found, part) for part in Joules.__dataclass_fields__)


def test_a_device_that_is_held_below_its_limit_draws_shares_of_what_it_can_draw_there() -> None:
    device = drawing(**LIMITED, dynamic="40 W")
    assert waiting_power(device, M) == pytest.approx(20 + 0.05 * 40)
    assert energy(device, M, 10, Activity(5, 2, 3)) == pytest.approx(220 + 40 * (0.1 * 5 + 0.2 * 2 + 0.3 * 3))


def test_idle_power_that_nobody_states_is_a_tenth_of_the_limit() -> None:
    assert IDLE_SHARE == 1 / 10
    assert energy(drawing(tdp="100 W"), M, 10, Activity(5)) == pytest.approx((10 + 4.5) * 10 + 90 * 0.1 * 5)


@pytest.mark.parametrize(
    ("cost", "unit", "seconds"),
    [
        (Cost(matrix=2000), None, (3, 2, 0)),
        (Cost(matrix=2000), "fp8", (3, 0.5, 0)),
        (Cost(matrix=2000), "int4", (3, 2, 0)),
        (Cost(vector=300), None, (3, 3, 0)),
        (Cost(weights=10, activations=20, state=30), None, (3, 0, 6)),
        (Cost(2000, 300, 10, 20, 30), None, (3, 5, 6)),
    ],
)
def test_a_launch_works_at_peaks_and_not_while_it_is_launched(
    cost: Cost, unit: str | None, seconds: tuple[float, ...]
) -> None:
    done = activity(Kernel("k", "gemm", cost, unit=unit), Terms(fixed=4, compute=2, memory=3, filling=0.5), M)
    assert (done.active, done.work, done.traffic) == pytest.approx(seconds)


def test_what_the_last_level_cache_serves_is_no_traffic() -> None:
    cached = Machine(1000, 100, 10, 8, 1, {**SHARES, "cache_share": 0.5, "cache_speed": 2})
    done = activity(Kernel("k", "gemm", Cost(activations=20)), Terms(0, 0, 3), cached)
    assert done.traffic == pytest.approx((20 / 2 + (20 - 0.5 * 8) * (1 - 1 / 2)) / 10)


@pytest.mark.parametrize(("t", "seconds"), [
    (Terms(fixed=4, compute=2, memory=3), 3),
    (Terms(fixed=4, compute=2, memory=3, least=10), 6),
    (Terms(fixed=4, compute=2, memory=3, most=6), 2),
    (Terms(fixed=4, compute=2, memory=3, most=1), 0),
    (Terms(fixed=4, compute=2, memory=3, most=6, busy=1.5), 1.5),
])  # fmt: skip
def test_units_are_at_work_beyond_the_fixed_time(t: Terms, seconds: float) -> None:
    assert t.working == seconds


def test_activities_add_up_and_repeat() -> None:
    total = (Activity(1, 2, 3) + Activity(10, 20, 30)) * 2
    assert (total.active, total.work, total.traffic) == (22, 44, 66)
