from __future__ import annotations

import pytest

from roofsim import library
from roofsim.foundation.errors import SpecError, Unsupported
from roofsim.prediction.setup import setup
from roofsim.specs.device import Device
from roofsim.specs.files import build
from roofsim.specs.override import written

RTX = library.device("rtx-4090")


def changed(**groups: object) -> Device:
    return build(Device, {**written(RTX), **groups}, "device.yaml")


def rate(value: str) -> dict[str, str]:
    return {"value": value, "source": "techpowerup"}


@pytest.mark.parametrize(
    ("peak", "said"),
    [
        ({"matrix": {}, "vector": {"fp32": rate("82 TFLOP/s")}}, "matrix is empty"),
        ({"matrix": {"bf16": rate("165 TFLOP/s")}, "vector": {"fp16": rate("82 TFLOP/s")}}, "vector.fp32 is missing"),
        (
            {
                "matrix": {"bf16": rate("165 TFLOP/s"), "fp8": rate("100 TFLOP/s")},
                "vector": {"fp32": rate("82 TFLOP/s")},
            },
            "matrix.fp8 is below matrix.bf16",
        ),
        (
            {"matrix": {"bf16": rate("1 GFLOP/s")}, "vector": {"fp32": rate("1 GFLOP/s")}},
            "ridge point is 0.000992 FLOP/B",
        ),
        ({"matrix": {"bf16": rate("1 EFLOP/s")}, "vector": {"fp32": rate("1 EFLOP/s")}}, "between 0.1 and 10000"),
    ],
)
def test_peaks_that_cannot_be_true_are_refused(peak: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        changed(peak=peak)


def test_the_ridge_point_is_the_peak_of_the_default_dtype_over_the_bandwidth() -> None:
    assert RTX.ridge_point == pytest.approx(165.2e12 / 1008e9, rel=1e-3)


def test_a_device_of_which_less_than_all_can_be_had_has_that_capacity() -> None:
    device = library.device("apple-m1")
    assert device.memory.usable
    assert device.capacity == device.memory.usable.value < device.memory.capacity.value
    card = library.device("mi325x")
    assert card.capacity == card.memory.capacity.value


@pytest.mark.parametrize(
    ("name", "half", "gib"),
    [
        ("mi325x", 0.5, 128),  # all of it is usable
        ("h100-sxm", 0.5, 39.59),  # half of the 79.18 GiB that the driver counts
        ("orin", 0.5, 4.0),  # half of the 8 GiB that are shown
        ("orin", 0.9, 6.0),  # more than can be had
        ("orin", 1, 6.0),
    ],
)
def test_a_share_is_of_what_a_program_is_shown_and_no_more_than_it_can_have(name: str, half: float, gib: float) -> None:
    assert library.device(name).share(half) == pytest.approx(gib * 2**30)


@pytest.mark.parametrize(("name", "dtype"), [("rtx-4090", "bf16"), ("t4", "fp16"), ("apple-m1", "fp16")])
def test_the_default_dtype_is_bf16_where_there_is_a_unit_for_it(name: str, dtype: str) -> None:
    assert library.device(name).default_dtype == dtype


def test_without_two_byte_units_the_default_dtype_is_fp32() -> None:
    device = changed(peak={"matrix": {"fp32": rate("82 TFLOP/s")}, "vector": {"fp32": rate("82 TFLOP/s")}})
    assert device.default_dtype == "fp32"


def test_fp32_runs_on_the_tf32_unit_only_where_the_library_rounds() -> None:
    tesla, instinct = library.device("t4"), library.device("mi210")
    assert RTX.matrix_peak("fp32") == RTX.peak.vector["fp32"].value
    assert RTX.matrix_path("fp32") == "peak.vector.fp32"
    assert RTX.matrix_peak("fp32", rounds=True) == RTX.peak.matrix["tf32"].value
    assert tesla.matrix_peak("fp32", rounds=True) == tesla.peak.vector["fp32"].value
    # units of its own are exact
    for rounds in (False, True):
        assert instinct.matrix_peak("fp32", rounds=rounds) == instinct.peak.matrix["fp32"].value
        assert RTX.matrix_peak("bf16", rounds=rounds) == RTX.peak.matrix["bf16"].value


def test_a_dtype_without_a_unit_is_told_which_there_are() -> None:
    with pytest.raises(
        Unsupported, match=r"rtx-4090: no matrix peak for fp4; it has .*bf16.* \(choose one with --dtype\)"
    ):
        RTX.matrix_peak("fp4")


def test_products_summed_up_in_fp16_have_their_own_peak_where_there_is_one():
    card, server = library.device("rtx-3090"), library.device("a100-pcie-80gb")
    assert card.matrix_peak("fp16", "fp16") == pytest.approx(2 * card.matrix_peak("fp16"), rel=0.01)
    assert card.matrix_peak("bf16", "fp16") == card.matrix_peak("bf16")
    assert server.matrix_peak("fp16", "fp16") == server.matrix_peak("fp16")
    new, old = (setup("Llama-3.2-1B", card, name).machine("fp16") for name in ("llama.cpp", "llama.cpp-b2824"))
    assert old.matrix_rate == pytest.approx(2 * new.matrix_rate, rel=0.01)


@pytest.mark.parametrize(
    "name", ["jetson-orin-nano-8gb", "jetson-orin-nx-16gb", "jetson-agx-orin-32gb", "jetson-agx-orin-64gb"]
)
def test_a_mode_of_fewer_units_and_lower_clocks_draws_as_much_less(name: str) -> None:
    full = library.device(name)
    whole = full.power.dynamic.value if full.power.dynamic else full.power.tdp.value * 0.9
    for mode in library.modes(name):
        d = library.device(f"{name}@{mode}")
        if d.id != full.id:
            part = d.units.value * d.clock.value / (full.units.value * full.clock.value)
            assert d.power.dynamic.value == pytest.approx(whole * part, rel=0.03), d.id
