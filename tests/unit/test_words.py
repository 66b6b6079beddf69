"""What a prediction says that it takes for granted."""

from __future__ import annotations

import pytest

import roofsim
from roofsim import library


def said(device: str, runtime: str) -> str:
    return "; ".join(roofsim.predict("Qwen2.5-0.5B", device, runtime).assumptions)


@pytest.mark.parametrize(
    ("device", "runtime", "words"),
    [
        ("h100-sxm", "llama.cpp-cpu", "llama.cpp-cpu is written for cpu, not for NVIDIA gpu (llama.cpp"),
        ("apple-m4", "llama.cpp", "not for Apple soc (llama.cpp-"),
        ("raspberry-pi-5", "transformers-4.52-eager", "not for Raspberry Pi cpu (transformers-5-cpu is)"),
        ("tpu-v6e", "vllm", "vllm is written for NVIDIA gpu, NVIDIA soc, AMD gpu, not for Google accelerator"),
        ("tpu-v6e", "llama.cpp", "llama.cpp is written for NVIDIA gpu, NVIDIA soc, not for Google accelerator"),
        ("apple-m4", "transformers-4.52-eager", "not for Apple soc (llama.cpp-b2797-metal and llama.cpp-metal are)"),
        ("gaudi-3", "llama.cpp-vulkan", "not for Intel accelerator"),
        ("h100-sxm", "llama.cpp-b4384-cpu", "llama.cpp-b4384-cpu is written for cpu, not for NVIDIA gpu (llama.cpp"),
        ("raspberry-pi-5", "cuda-graph", "not for Raspberry Pi cpu"),
    ],
)
def test_software_on_a_device_that_it_is_not_written_for_is_told_with_what_is(device, runtime, words):
    assert words in said(device, runtime)


@pytest.mark.parametrize(("device", "runtime"), [("rtx-4090", "vllm"), ("orin", "ideal"), ("mi300x", "llama.cpp-hip")])
def test_software_on_a_device_that_it_is_written_for_is_not_remarked_on(device, runtime):
    assert "written for" not in said(device, runtime)


def test_a_changed_device_has_the_intervals_of_the_one_that_was_measured_and_says_so():
    def told(change, calibration="auto"):
        p = roofsim.predict("Llama-3.2-1B", "orin", "llama.cpp", weights="q4_k_m", set=change, calibration=calibration)
        return any("as it was measured" in words for words in p.assumptions)

    assert all(map(told, ("device.units=2x", "device.memory.bandwidth=2x", "device.clock=0.5x")))
    assert not any(map(told, ("device.power.tdp=2x", "device.memory.usable=7GiB", "parameters.kernel_time=2e-6")))
    assert not told("device.units=2x", "none")


def test_software_that_names_no_device_is_an_ideal_alone():
    assert [name for name in library.names("runtimes") if not library.runtime(name).runs_on] == ["ideal"]


@pytest.mark.parametrize(("mib", "told"), [(1800, "1.76 GiB of 1.61 GiB"), (1650.4, "1.612 GiB of 1.61 GiB")])
def test_what_does_not_fit_by_little_is_told_in_as_many_digits_as_tell(mib, told):
    fits = roofsim.predict("Qwen2.5-0.5B", "orin", "ideal")
    changes = ["device.memory.usable=1650MiB", f"runtime.memory.context={mib * 2**20 - fits.memory.reserved:.0f}B"]
    needs = roofsim.predict("Qwen2.5-0.5B", "orin", "ideal", set=changes).cautions[0]
    assert needs == f"Does not fit: needs {told} usable (8.00 GiB in all)"


def test_every_shipped_calibration_is_of_software_on_a_device_that_it_is_written_for():
    for device, runtime in library.stacks().values():
        found = library.device(device)
        assert library.runtime(runtime).written_for(found.vendor, found.kind), (device, runtime)


def test_every_device_that_a_runtime_is_written_for_is_of_a_kind_that_there_is():
    devices = [library.device(name) for name in library.names("hardware")]
    kinds = {d.kind for d in devices} | {f"{d.vendor} {d.kind}" for d in devices}
    for name in library.names("runtimes"):
        assert set(library.runtime(name).runs_on) <= kinds, name
