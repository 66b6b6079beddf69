"""What tokens cost, counted by hand: dollars of hours, of kilowatt-hours, joules at the wall, CO2."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roofsim import library
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.model.split import Split
from roofsim.prediction.cost import Rates, cost_basis, cost_of, hourly, overhead, paid, priced, rates, steady
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.intervals import intervals
from roofsim.prediction.request import predict_request
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.what_if import what_if
from roofsim.specs.workload import workload

YEARS = 365.25 * 24


def used(device: str, *changes: str, runtime: str = "ideal") -> Setup:
    return what_if(setup("mamba-130m", device, runtime), [f"cost.{each}" for each in changes])


def test_rent_is_of_the_hours_in_which_a_device_computes() -> None:
    assert hourly(used("rtx-4090", "price_per_hour=2.5USD/h")) == 2.5
    assert hourly(used("rtx-4090", "price_per_hour=2.5USD/h", "utilisation=0.25")) == 10
    found = rates(used("rtx-4090", "price_per_hour=3.6USD/h", "utilisation=0.5"))
    assert found.second == pytest.approx(0.002)
    assert found.joule == 0  # rent contains it
    assert found.dollars(10, 1e9) == pytest.approx(0.02)
    assert found.dollars(10, float("nan")) == pytest.approx(0.02)  # whatever it draws


def test_what_is_bought_costs_its_price_over_its_lifetime_and_electricity() -> None:
    s = used("rtx-4090", "price=8766USD", "lifetime=1y", "electricity=0.36USD/kWh")
    assert hourly(s) == pytest.approx(8766 / YEARS)  # a dollar an hour
    found = rates(s)
    assert found.second == pytest.approx(1 / 3600)
    assert found.joule == pytest.approx(1e-7)
    # an hour at 500 W: a dollar, and half a kWh
    assert found.dollars(3600, 500 * 3600) == pytest.approx(1 + 0.18)


def test_idle_hours_draw_power_and_are_paid_for() -> None:
    s = used("rtx-4090", "price=8766USD", "lifetime=1y", "electricity=0.36USD/kWh", "utilisation=0.25", "overhead=1.5")
    found = rates(s)
    idle = 3 * 20  # three idle hours for each in use, at the 20 W of its file
    assert found.idle == pytest.approx(idle)
    wall = 1.5 * (400 + idle) * 3600
    assert found.wall(3600, 400 * 3600) == pytest.approx(wall)
    assert found.dollars(3600, 400 * 3600) == pytest.approx(4 + wall / 3.6e6 * 0.36)


def test_kilograms_are_those_of_what_is_drawn_at_the_wall() -> None:
    found = rates(used("rtx-4090", "carbon=500g/kWh", "overhead=2"))
    assert found.kilograms(7.0, 3.6e6) == pytest.approx(2 * 0.5)
    assert rates(used("rtx-4090", "carbon=500g/kWh")).kilograms(7.0, 3.6e6) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("device", "hour", "rented", "why"),
    [
        ("h100-sxm", 23.6 / 8, True, "a node of dgx-h100"),
        ("gb200", 326.88 / 72, True, "a node of gb200-nvl72"),
        ("rtx-4090", 1599 / (3 * YEARS), False, ""),
        ("orin", 249 / (3 * YEARS), False, "developer kit since the Super clocks of 2024; 499 USD in 2023"),
        ("a10", 3500 / (3 * YEARS), False, "not a list price"),
    ],
)
def test_the_price_is_that_of_the_cluster_else_of_the_device(device: str, hour: float, rented: bool, why: str) -> None:
    s = used(device)
    found = paid(s)
    assert found is not None
    assert (found.rented, found.why) == (rented, why)
    assert hourly(s) == pytest.approx(hour)


def test_the_price_of_the_cluster_that_is_named_counts() -> None:
    mine = variant(library.cluster("dgx-h100"), price_per_hour=None, price=variant(LIST, value=262_980.0), id="mine")
    s = replace(used("h100-sxm"), cluster=mine)
    assert hourly(s) == pytest.approx(262_980 / 8 / (3 * YEARS))
    assert priced(s).startswith("262,980 USD for 8 (a node of mine), over 3.00 y, electricity 0.1648 USD/kWh (house")
    assert hourly(what_if(s, ["cost.price=8766USD", "cost.lifetime=1y"])) == pytest.approx(1)
    assert hourly(what_if(s, ["cost.price=8766USD", "cost.price_per_hour=7USD/h"])) == 7


def test_all_devices_are_paid_for() -> None:
    one = used("h100-sxm", "price_per_hour=3.6USD/h")
    two = replace(one, split=Split(dp=2))
    assert rates(two).second == pytest.approx(2 * rates(one).second) == pytest.approx(0.002)
    assert priced(two) == "3.60 USD/h each (as asked for), 2 of them"
    assert priced(one) == "3.60 USD/h (as asked for)"
    assert priced(used("gh200-96gb")) == "1.49 USD/h (a node of gh200-node)"
    assert rates(what_if(two, ["cost.utilisation=0.5"])).idle == pytest.approx(2 * 70)


LIST: Any = library.device("rtx-4090").price


def test_a_device_without_a_price_costs_what_is_not_known() -> None:
    s = used("h20")
    assert paid(s) is None
    assert hourly(s) != hourly(s)
    p = predict_request(s, workload())
    assert p.cost.request != p.cost.request
    assert p.cost.joules_per_token > 0
    assert p.to_dict()["cost"]["usd"] is None
    assert "nothing says what h20 costs (--price 2.5USD/h" in p.to_dict()["cost"]["paid"]
    assert hourly(used("h20", "price_per_hour=1USD/h")) == 1


def test_a_node_draws_more_than_its_devices() -> None:
    assert overhead(used("h100-sxm")) == pytest.approx(10_200 / (8 * 700))
    assert overhead(used("h100-sxm", "overhead=1.2")) == 1.2
    assert overhead(used("rtx-4090")) == 1  # no file says what the computer around it draws
    assert overhead(used("a10")) == 1
    mean = variant(library.cluster("dgx-h100"), power=variant(library.cluster("dgx-h100").power, value=5000.0))
    assert overhead(replace(used("h100-sxm"), cluster=mean)) == 1  # no less than its devices
    silent = used("h100-sxm")
    silent = replace(silent, device=variant(silent.device, power=variant(silent.device.power, tdp=None)))
    assert overhead(silent) == 1


def test_tokens_share_the_seconds_and_joules_of_their_phase() -> None:
    found = Rates(second=0.01, idle=0.0, joule=1e-3, overhead=2.0, carbon=1e-6)
    c = cost_of(found, (3.0, 50.0, 1000), (0.02, 4.0, 8), 0.5)
    assert c.request == 0.5
    assert c.usd_per_million_input == pytest.approx((0.03 + 0.1) * 1000)
    assert c.usd_per_million_output == pytest.approx((0.0002 + 0.008) / 8 * 1e6)
    assert c.joules_per_input_token == pytest.approx(0.1)
    assert c.joules_per_token == pytest.approx(1.0)
    assert c.co2_per_million_input == pytest.approx(0.1)
    assert c.co2_per_million_output == pytest.approx(1.0)


def test_a_steady_state_divides_all_its_time_among_prompts_and_answers() -> None:
    found = Rates(second=0.01, idle=0.0, joule=1e-3, overhead=2.0, carbon=1e-6)
    c = steady(found, 4.0, 30.0, 0.2, 1000, 50)
    whole = 0.01 / 4 + 1e-3 * 60
    assert c.request == pytest.approx(whole)
    assert c.usd_per_million_input == pytest.approx(0.2 * whole * 1000)
    assert c.usd_per_million_output == pytest.approx(0.8 * whole / 50 * 1e6)
    assert c.joules_per_token == pytest.approx(0.8 * 60 / 50)
    assert c.joules_per_input_token == pytest.approx(0.2 * 60 / 1000)
    assert c.co2_per_million_output == pytest.approx(0.8 * 60 / 50)


def test_a_request_costs_its_input_tokens_and_its_steps() -> None:
    s = used("rtx-4090", "price=2000USD", "utilisation=0.5")
    w = workload(batch=3, prompt=500, generate=21)
    p, e = predict_request(s, w), Evaluation(s, w)
    tokens = p.cost.usd_per_million_input * 3 * 500 + p.cost.usd_per_million_output * 3 * 20
    assert p.cost.request == pytest.approx(tokens / 1e6)
    assert p.cost.request == pytest.approx(rates(s).dollars(p.request.total_time, p.request.energy))
    assert p.cost.usd_per_million_input == pytest.approx(
        1e6 * rates(s).dollars(e.prefill.time, e.prefill.energy) / 1500
    )
    assert p.cost.joules_per_token == pytest.approx(rates(s).wall(*e.step) / 3)


def test_rented_costs_are_as_sure_as_times_and_co2_as_energies() -> None:
    s, w = used("h100-sxm", runtime="vllm"), workload(prompt=2048, batch=4)
    found, p = intervals(s, w), predict_request(s, w)

    def factors(name: str, value: float) -> tuple[float, float]:
        return found[name][0] / value, found[name][1] / value

    assert factors("cost", p.cost.request) == pytest.approx(factors("total_time", p.request.total_time))
    assert factors("co2_per_million_output", p.cost.co2_per_million_output) == pytest.approx(
        factors("joules_per_token", p.cost.joules_per_token)
    )
    out, within = p.cost.usd_per_million_output, factors("tpot", p.request.tpot)
    assert factors("usd_per_million_output", out)[1] == pytest.approx(within[1], rel=0.02)
    first = factors("usd_per_million_input", p.cost.usd_per_million_input)
    assert first[1] == pytest.approx(factors("ttft", p.request.ttft)[1], rel=0.02)


def test_what_is_mostly_electricity_is_as_sure_as_energies() -> None:
    w = workload(prompt=2048)
    cheap, dear = (used("rtx-4090", "price=1600USD", f"electricity={x}USD/kWh") for x in (0, 10))
    found = intervals(dear, w)
    by_time, by_energy = intervals(cheap, w)["usd_per_million_output"], found["usd_per_million_output"]
    time, energy = found["tpot"], found["joules_per_token"]
    assert by_time[1] / by_time[0] == pytest.approx(time[1] / time[0], rel=0.02)
    assert by_energy[1] / by_energy[0] == pytest.approx(energy[1] / energy[0], rel=0.02)
    assert energy[1] / energy[0] != pytest.approx(time[1] / time[0], rel=0.03)


def test_the_basis_says_what_is_paid_and_what_is_drawn() -> None:
    found = cost_basis(used("h100-sxm"))
    assert found.usd_per_device_hour == pytest.approx(2.95)
    assert (found.usd_per_kwh, found.co2_per_kwh) == (0, pytest.approx(0.445))
    assert found.paid == "23.6 USD/h for 8 (a node of dgx-h100)"
    assert found.drawn.startswith("at the wall 1.82 times what devices draw (a node of dgx-h100 against")

    assert "(International Energy Agency, Electricity 2025, emissions)" in found.drawn
    mine = cost_basis(used("orin", "electricity=0.3USD/kWh", "carbon=20g/kWh", "utilisation=0.5", "overhead=1.1"))
    assert mine.usd_per_kwh == pytest.approx(0.3)
    assert mine.paid.endswith("over 3.00 y, electricity 0.3 USD/kWh (as asked for), 50% of the hours in use")
    assert mine.drawn == "at the wall 1.10 times what devices draw (as asked for); 20 g of CO2 a kWh (as asked for)"
    assert cost_basis(used("orin")).drawn.startswith("devices alone; 445 g of CO2 a kWh")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("utilisation=1.5", "1.5 is not plausible here"),
        ("utilisation=0", "0 is not plausible here"),
        ("overhead=0.5", "0.5 is not plausible here"),
        ("lifetime=3", "write it like"),
        ("lifetime=1h", "not plausible here"),
        ("electricity=0.15USD", "write it like '0.15 USD/kWh'"),
        ("electricity=0.15EUR/kWh", "write it like '0.15 USD/kWh'"),
        ("carbon=400g", "write it like '400 g/kWh'"),
        ("price=3EUR", "write it like '1599 USD'"),
        ("rent=3USD/h", "no 'rent'"),
    ],
)
def test_terms_that_cannot_be_are_told(change: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        used("rtx-4090", change)
