"""What holds for every device, cluster and host that ships, in every mode."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from roofsim import library
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.schema import plain
from roofsim.specs.cluster import Cluster
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.workload import DTYPE_BYTES

DEVICES = list(library.all_devices())
HOSTS = [library.host(name) for name in library.names("hardware/hosts")]
CLUSTERS = [library.cluster(name) for name in library.names("hardware/clusters")]
RUNTIMES = [library.runtime(name) for name in library.names("runtimes")]
every_device = pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.id)


def sources(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "source" in value:
            yield value["source"]
        for each in value.values():
            yield from sources(each)


SHIPPED = [*DEVICES, *HOSTS, *RUNTIMES, *CLUSTERS, library.usual_terms()]


@pytest.mark.parametrize("spec", SHIPPED, ids=lambda spec: spec.id)
def test_every_number_has_a_source_that_the_file_names(spec: Any) -> None:
    assert set(sources(plain(spec))) <= set(spec.sources)


@pytest.mark.parametrize("name", library.names("hardware"))
def test_every_source_of_a_device_is_used_by_a_number_in_one_of_its_modes(name: str) -> None:
    modes = [device for device in DEVICES if device.id.partition("@")[0] == name]
    assert {source for device in modes for source in sources(plain(device))} == set(modes[0].sources)


@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda cluster: cluster.id)
def test_every_source_of_a_cluster_is_used(cluster: Cluster) -> None:
    assert set(sources(plain(cluster))) == set(cluster.sources)


@every_device
def test_the_ridge_point_is_that_of_a_processor(device: Device) -> None:
    least = 4 if device.kind == "cpu" else 10  # a processor without bf16 units multiplies in fp32
    assert least <= device.ridge_point <= 2000


@every_device
def test_a_narrower_type_is_never_slower(device: Device) -> None:
    rates = device.peak.matrix
    for order in (("fp32", "tf32", "fp16", "fp8", "fp4"), ("fp32", "tf32", "bf16", "fp8", "fp4"), ("int8", "int4")):
        values = [rates[dtype].value for dtype in order if dtype in rates]
        assert values == sorted(values)


@every_device
def test_the_matrix_unit_is_no_slower_than_the_vector_unit(device: Device) -> None:
    assert device.matrix_peak(device.default_dtype) >= device.peak.vector["fp32"].value


@every_device
def test_power_and_memory_are_plausible(device: Device) -> None:
    tdp = device.power.tdp.value if device.power.tdp else float("inf")
    assert device.power.idle is None or 0 < device.power.idle.value < tdp
    assert device.cache.last_level.value < device.capacity <= device.memory.capacity.value
    assert device.default_dtype in DTYPE_BYTES


@every_device
def test_less_than_all_of_shared_memory_and_of_a_card_with_a_display_or_check_bits_is_usable(device: Device) -> None:
    gddr = ("rtx", "a10", "a40", "l4", "t4")
    if device.memory.unified or device.id.startswith(gddr):
        assert 0.6 <= device.capacity / device.memory.capacity.value < 1 or device.id in HALF


HALF = ("snapdragon-x-elite",)
"""Devices whose system gives no more than half of its memory to the GPU."""


@every_device
def test_what_a_device_states_of_itself_is_a_known_parameter_within_its_limits(device: Device) -> None:
    for name, stated in device.parameters.items():
        assert PARAMETERS[name].scope == "device"
        assert PARAMETERS[name].low <= stated.value <= PARAMETERS[name].high


@every_device
def test_the_host_of_a_device_ships(device: Device) -> None:
    assert device.host is None or device.host in library.names("hardware/hosts")


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.id)
def test_the_dispatch_of_a_host_is_within_its_limits(host: Host) -> None:
    assert PARAMETERS["dispatch"].low <= host.dispatch.value <= PARAMETERS["dispatch"].high


@pytest.mark.parametrize("device", DEVICES, ids=lambda d: d.id)
def test_what_a_device_has_of_another_is_of_the_same_vendor_and_plainly_stated(device: Device) -> None:
    found = library.stated(device)
    assert found.keys() >= device.parameters.keys()
    if device.like:
        other = library.device(device.like)
        assert (other.id, other.vendor) == (device.like, device.vendor)
        assert other.parameters
        assert not {n for n, x in device.parameters.items() if other.parameters.get(n) == x}, "stated twice"


@pytest.mark.parametrize("device", DEVICES, ids=lambda d: d.id)
def test_every_device_multiplies_fp32_and_no_slower_where_the_library_rounds(device: Device) -> None:
    exact, rounded = device.matrix_peak("fp32"), device.matrix_peak("fp32", rounds=True)
    assert exact <= rounded
    assert exact in {device.peak.vector["fp32"].value, *(x.value for d, x in device.peak.matrix.items() if d == "fp32")}


FOR_ITS_CPU = ("jetson-orin-nx-16gb@25w",)
"""Modes that give their power to CPU cores, at a lower clock of the GPU than modes with less have."""


@pytest.mark.parametrize("name", [name for name in library.names("hardware") if library.modes(name)])
def test_a_mode_with_more_power_is_no_slower(name: str) -> None:
    modes = [d for d in DEVICES if (d.id.startswith(f"{name}@") or d.id == name) and d.id not in FOR_ITS_CPU]
    for less, more in product(modes, modes):
        if less.power.tdp.value >= more.power.tdp.value:
            continue
        assert less.memory.bandwidth.value <= more.memory.bandwidth.value
        assert less.matrix_peak("bf16") <= more.matrix_peak("bf16")
