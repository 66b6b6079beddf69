"""Terms of use on the command line: options are changes of a spec, and what they lead to is told."""

from __future__ import annotations

import pytest

import roofsim

LINE = "predict mamba-130m -d rtx-4090 -r ideal"


def test_options_are_short_for_changes(data):
    short = data(f"{LINE} --price 900USD --lifetime 2y --electricity 0.2USD/kWh --carbon 100g/kWh --utilisation 0.5 "
                 "--overhead 1.5")  # fmt: skip
    changes = ("price=900USD", "lifetime=2y", "electricity=0.2USD/kWh", "carbon=100g/kWh", "utilisation=0.5",
               "overhead=1.5")  # fmt: skip
    whole = data(f"{LINE} {' '.join(f'--set cost.{each}' for each in changes)}")
    assert short["cost"] == whole["cost"]
    assert short["cost"]["usd_per_device_hour"] == pytest.approx(900 / (2 * 365.25 * 24) / 0.5)
    assert (short["cost"]["usd_per_kwh"], short["cost"]["co2_per_kwh"], short["cost"]["overhead"]) == (
        pytest.approx(0.2), pytest.approx(0.1), 1.5,
    )  # fmt: skip


def test_python_has_the_same_words(data):
    short = data(f"{LINE} --price 900USD --lifetime 2y --electricity 0.2USD/kWh --carbon 100g/kWh --utilisation 0.5 "
                 "--overhead 1.5")  # fmt: skip
    p = roofsim.predict("mamba-130m", "rtx-4090", runtime="ideal", price="900USD", lifetime="2y", electricity=0.2,
                        carbon=100, utilisation=0.5, overhead=1.5)  # fmt: skip
    assert p.to_dict()["cost"] == short["cost"]
    assert roofsim.predict("mamba-130m", "rtx-4090", runtime="ideal", price=3).cost_basis.usd_per_device_hour == 3


def test_the_unit_of_a_price_says_whether_it_is_rent(data):
    rented, bought = (data(f"{LINE} --price {price}")["cost"] for price in ("2USD/h", "2000USD"))
    assert (rented["usd_per_device_hour"], rented["usd_per_kwh"]) == (2, 0)
    assert bought["usd_per_device_hour"] == pytest.approx(2000 / (3 * 365.25 * 24))
    assert bought["usd_per_kwh"] > 0


def test_a_cost_has_its_interval_and_its_words(roofsim, data):
    found = data(f"{LINE} --price 2USD/h")
    low, high = found["intervals"]["usd_per_million_output"]
    assert low < found["cost"]["usd_per_million_output"] < high
    assert found["cost"]["watt_hours_per_token"] == pytest.approx(found["cost"]["joules_per_token"] / 3600)
    text = " ".join(roofsim(f"{LINE} --price 2USD/h").split())
    assert "Cost of a million tokens" in text
    assert "Paid: 2.00 USD/h (as asked for). Drawn: devices alone; 445 g of CO2 a kWh" in text


def test_what_has_no_price_is_told(roofsim, refused):
    text = " ".join(roofsim("predict mamba-130m -d h20 -r ideal").split())
    assert "Paid: nothing says what h20 costs (--price 2.5USD/h or --price 1599USD does)" in text
    assert "nothing says what h20 costs" in refused("sampling mamba-130m -d h20 -r ideal --budget 1USD")
    assert "nothing says what h20 costs" in refused("crossover mamba-130m mamba2-130m -d h20 -r ideal -m cost")


def test_a_crossing_by_rent_is_one_by_the_time_of_the_request(data):
    line = "crossover Qwen2.5-0.5B mamba2-780m -d orin -r ideal"
    by_cost, by_time = (data(f"{line} {more}")["pairs"][0] for more in ("-m cost --price 1USD/h", "-m total"))
    assert [each["length"] for each in by_cost["crossings"]] == [each["length"] for each in by_time["crossings"]]
    assert by_cost["ratios"] == pytest.approx(by_time["ratios"])


def test_a_term_is_an_axis_of_a_sweep(roofsim):
    line = "sweep mamba-130m -d orin -r ideal --figures cost,usd_per_million_input --set cost.utilisation=0.5,1 -f csv"
    head, half, full = (each.split(",") for each in roofsim(line).strip().splitlines())
    for name in ("cost [USD]", "usd_per_million_input [USD]"):
        at = head.index(name)
        assert float(half[at]) > 1.5 * float(full[at])


def test_a_price_that_no_file_states_is_an_axis_too(roofsim):
    line = "sweep mamba-130m -d orin,h20 -r ideal --figures cost --set cost.price_per_hour=1USD/h,3USD/h -f csv"
    head, *rows = (each.split(",") for each in roofsim(line).strip().splitlines())
    assert "cost.price_per_hour [USD/h]" in head
    at = head.index("cost [USD]")
    assert [float(row[at]) for row in rows[1::2]] == pytest.approx([3 * float(row[at]) for row in rows[::2]])
    assert "'1x' is not a quantity in USD/h" not in roofsim("sweep mamba-130m -d orin -r ideal --price 1USD/h")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--price 2.5", "'2.5' cannot be read; write it like 2.5USD/h or 1599USD"),
        ("--price 2.5EUR/h", "write it like 2.5USD/h or 1599USD"),
        ("--lifetime 3", "write it like 5y"),
        ("--electricity 0.2", "write it like 0.15USD/kWh"),
        ("--carbon 400", "write it like 400g/kWh"),
        ("--utilisation 50%", "write it like 0.5"),
        ("--utilisation 2", "cost.utilisation: 2 is not plausible here"),
        ("--overhead 0.5", "cost.overhead: 0.5 is not plausible here"),
    ],
)
def test_a_term_that_cannot_be_is_told(refused, option, said):
    assert said in " ".join(refused(f"{LINE} {option}").split())
