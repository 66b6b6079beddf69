from __future__ import annotations

from typing import Any

import pytest

from roofsim import compile, library
from roofsim.foundation.errors import InputError, SpecError, UnknownName
from roofsim.foundation.schema import Spec, variant
from roofsim.specs.files import build
from roofsim.specs.override import changed, written

DEVICE = library.device("orin")
MODEL = library.architecture("Zamba2-1.2B")
SHIPPED: list[Spec] = [
    *library.all_devices(),
    *map(library.architecture, library.names("models")),
    *map(library.runtime, library.names("runtimes")),
    *map(library.host, library.names("hardware/hosts")),
    *map(library.cluster, library.names("hardware/clusters")),
]


def at(spec: Any, path: str) -> Any:
    for step in path.split("."):
        spec = (
            spec[int(step)] if isinstance(spec, tuple) else spec[step] if hasattr(spec, "keys") else getattr(spec, step)
        )
    return getattr(spec, "value", spec)


@pytest.mark.parametrize("spec", SHIPPED, ids=lambda spec: spec.id)
def test_what_is_written_reads_back_as_an_equal_spec(spec: Spec) -> None:
    assert build(type(spec), written(spec), "written") == spec


@pytest.mark.parametrize(
    ("path", "value", "number"),
    [
        ("memory.bandwidth", "2x", 204e9),
        ("memory.bandwidth", "0.5x", 51e9),
        ("memory.bandwidth", "200 GB/s", 200e9),
        ("memory.bandwidth.value", "200 GB/s", 200e9),
        ("peak.matrix.bf16", "2x", 33.4e12),
        ("units", "16", 16),
        ("parameters.gemm_efficiency", "0.9", 0.9),
        ("memory.usable", "4 GB", 4e9),
        ("links.host", "8 GB/s", 8e9),
    ],
)
def test_a_quantity_of_a_device_can_be_set_or_scaled(path: str, value: str, number: float) -> None:
    device = changed(DEVICE, "device", [(path, value)])
    assert at(device, path.removesuffix(".value")) == pytest.approx(number)


@pytest.mark.parametrize(
    ("path", "value", "result"),
    [
        ("d_model", "4096", 4096),
        ("d_model", "2x", 4096),
        ("layers.mamba.0.heads", "1.5x", 96),
        ("layout.0.repeat", "3", 3),
        ("tied_embeddings", "false", False),
        ("norm", "layer", "layer"),
        ("family", "mine", "mine"),
        ("layers.hybrid.0.attention.window", "100", 100),
    ],
)
def test_a_plain_field_of_a_model_can_be_set_or_scaled(path: str, value: str, result: Any) -> None:
    assert at(changed(MODEL, "model", [(path, value)]), path) == result


def test_a_parameter_that_the_device_does_not_state_can_be_set() -> None:
    device = changed(DEVICE, "device", [("parameters.ssd_efficiency", "0.5")])
    assert device.parameters["ssd_efficiency"].value == 0.5


def test_a_change_leaves_the_original_and_all_other_fields_alone() -> None:
    before = written(DEVICE)
    device = changed(DEVICE, "device", [("memory.bandwidth", "2x")])
    assert written(DEVICE) == before
    assert device.peak == DEVICE.peak
    assert device.memory.capacity == DEVICE.memory.capacity


def test_changes_apply_one_after_the_other() -> None:
    device = changed(DEVICE, "device", [("memory.bandwidth", "2x"), ("memory.bandwidth", "3x")])
    assert device.memory.bandwidth.value == pytest.approx(612e9)


def test_no_change_is_the_same_spec() -> None:
    assert changed(DEVICE, "device", []) is DEVICE


def test_a_changed_number_says_that_it_was_set() -> None:
    assert "2x" in changed(DEVICE, "device", [("memory.bandwidth", "2x")]).memory.bandwidth.note


@pytest.mark.parametrize(
    ("spec", "root", "path", "message"),
    [
        (DEVICE, "device", "memory.bandwith", "--set device.memory: no 'bandwith'; nearest: bandwidth"),
        (DEVICE, "device", "memry.bandwidth", "--set device: no 'memry'; nearest: memory"),
        (DEVICE, "device", "memory..bandwidth", "--set device.memory: no ''"),
        (DEVICE, "device", "", "--set device: no ''"),
        (DEVICE, "device", "name.first", "--set device.name: no 'first'"),
        (MODEL, "model", "layers.mamba.3.heads", "--set model.layers.mamba: no '3'; known: mamba2"),
        (MODEL, "model", "layers.mamba.heads", "--set model.layers.mamba: no 'heads'; known: mamba2"),
    ],
)
def test_an_unknown_path_is_told_what_is_near(spec: Spec, root: str, path: str, message: str) -> None:
    with pytest.raises(UnknownName) as error:
        changed(spec, root, [(path, "2x")])
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("path", ["memory", "peak.matrix", "aliases", "links", "sources"])
def test_a_group_cannot_be_set(path: str) -> None:
    with pytest.raises(InputError, match=f"--set device.{path}: is a group; name a field of it"):
        changed(DEVICE, "device", [(path, "2x")])


NO_FACTORS = ["0x", "-2x", "x", ".x", "1.2.3x", "1e99x", "infx", "nanx", "9" * 400 + "x"]


@pytest.mark.parametrize("value", ["", "2", "fast", "200 GB", "-1 GB/s", "1e999 GB/s", *NO_FACTORS])
def test_a_bandwidth_that_cannot_be_is_an_input_error(value: str) -> None:
    with pytest.raises(InputError, match="--set"):
        changed(DEVICE, "device", [("memory.bandwidth", value)])


@pytest.mark.parametrize(
    ("spec", "path", "value"),
    [
        (DEVICE, "memory.bandwidth.source", "hearsay"),
        (DEVICE, "memory.unified", "maybe"),
        (DEVICE, "memory.unified", "2x"),
        (DEVICE, "kind", "tpu"),
        (DEVICE, "host", "a b"),
        (DEVICE, "parameters.gemm_efficiency", "900x"),
        (DEVICE, "parameters.nope", "1"),
        (DEVICE, "memory.usable", "lots"),
        (MODEL, "d_model", "0"),
        (MODEL, "d_model", "-1"),
        (MODEL, "d_model", "4096.7"),
        (MODEL, "d_model", "nan"),
        (MODEL, "d_model", "1e400"),
        (MODEL, "d_model", "1e300x"),
        (MODEL, "d_model", "wide"),
        (MODEL, "layers.mamba.0.kind", "mamba1"),
        (MODEL, "norm", "batch"),
        (MODEL, "layout.0.of.0", "nowhere"),
    ],
)
def test_a_value_that_cannot_be_is_an_input_error(spec: Spec, path: str, value: str) -> None:
    with pytest.raises(InputError, match="--set"):
        changed(spec, "spec", [(path, value)])


def test_all_values_that_cannot_be_are_told_at_once() -> None:
    with pytest.raises(SpecError) as error:
        changed(DEVICE, "device", [("memory.bandwidth", "fast"), ("power.tdp", "-1 W")])
    assert len(error.value.problems) == 2


@pytest.mark.parametrize("path", ["memory.capacity", "memory.capacity.value"])
def test_the_same_share_of_another_capacity_is_usable(path: str) -> None:
    larger = changed(DEVICE, "device", [(path, "16 GiB")])
    assert larger.memory.capacity.value == 16 * 2**30
    assert larger.capacity == pytest.approx(12 * 2**30)
    assert changed(DEVICE, "device", [(path, "4 GiB")]).capacity == pytest.approx(3 * 2**30)


def test_usable_memory_that_is_set_does_not_follow() -> None:
    both = [("memory.capacity", "16 GiB"), ("memory.usable", "14 GiB")]
    for changes in (both, both[::-1]):
        assert changed(DEVICE, "device", changes).capacity == 14 * 2**30
    whole = changed(library.device("mi325x"), "device", [("memory.capacity", "2x")])
    assert whole.memory.usable is None
    assert whole.capacity == 512 * 2**30


def test_more_usable_memory_than_there_is_is_refused() -> None:
    with pytest.raises(SpecError, match="usable is more than capacity"):
        changed(DEVICE, "device", [("memory.usable", "9 GiB")])


@pytest.mark.parametrize(("gib", "taken"), [(8.0, 6.0), (16.0, 12.0), (4.0, 3.0)])
def test_usable_memory_follows_a_capacity_that_varies(gib: float, taken: float) -> None:
    f = compile("mamba-130m", "orin", "vllm", figures=["memory.reserved"], over=["device.memory.capacity"])
    assert f(**{"device.memory.capacity": gib * 2**30})["memory.reserved"] == pytest.approx(taken * 2**30)


@pytest.mark.parametrize("field", ["clock", "units"])
def test_peaks_follow_clock_and_units(field: str) -> None:
    old = library.device("rtx-4090")
    new = changed(old, "device", [(field, "2x")])
    assert getattr(new, field).value == 2 * getattr(old, field).value
    assert {d: r.value for d, r in new.peak.matrix.items()} == {d: 2 * r.value for d, r in old.peak.matrix.items()}
    assert new.peak.vector["fp32"].value == 2 * old.peak.vector["fp32"].value
    assert new.memory == old.memory


def test_a_peak_that_is_set_does_not_follow() -> None:
    old = library.device("rtx-4090")
    new = changed(old, "device", [("clock", "2x"), ("peak.matrix.bf16", "100 TFLOP/s"), ("units", "0.5x")])
    assert new.peak.matrix["bf16"].value == 1e14
    assert new.peak.matrix["fp16"].value == old.peak.matrix["fp16"].value
    faster = changed(old, "device", [("clock", "2x"), ("peak.matrix.bf16", "100 TFLOP/s")])
    assert (faster.peak.matrix["bf16"].value, faster.peak.matrix["fp16"].value) == (
        1e14,
        2 * old.peak.matrix["fp16"].value,
    )


def test_without_a_clock_peaks_cannot_follow_it() -> None:
    bare = variant(library.device("rtx-4090"), clock=None)
    with pytest.raises(InputError, match=r"states none.*device\.peak\.matrix\.bf16"):
        changed(bare, "device", [("clock", "3 GHz")])


def test_a_compiled_clock_moves_the_peaks() -> None:
    f = compile("Llama-3.1-8B", "h100-sxm", "ideal", figures=["ttft"], over=["device.clock"], prompt=4096)
    clock = library.device("h100-sxm").clock.value
    # at twice the clock memory would bound a part of it
    slow, fast = (f(**{"device.clock": clock * k})["ttft"] for k in (1 / 2, 1))
    assert fast == pytest.approx(slow / 2, rel=0.1)
