"""Files of one's own: numbers alone, sources and families that may be left out, and what is then said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from roofsim import library
from roofsim.adapters.gguf.contents import contents
from roofsim.foundation.errors import SpecError, Unsupported
from roofsim.measure.configs import config_fields
from roofsim.model.architecture import Architecture
from roofsim.prediction.request import predict_request
from roofsim.prediction.setup import setup
from roofsim.specs.files import build, read_mapping
from roofsim.specs.override import written
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import workload

Write = Callable[[str, str, Mapping[str, Any]], Path]

QUANTITIES = [
    ("hardware", "rtx-4090", "memory.capacity", "24 GiB"),
    ("hardware", "rtx-4090", "cache.last_level", "72 MiB"),
    ("hardware", "rtx-4090", "memory.bandwidth", "1008 GB/s"),
    ("hardware", "rtx-4090", "peak.matrix.bf16", "165.2 TFLOP/s"),
    ("hardware", "rtx-4090", "peak.vector.fp32", "82.6 TFLOP/s"),
    ("hardware", "rtx-4090", "units", 128),
    ("hardware", "rtx-4090", "year", 2022),
    ("hardware", "rtx-4090", "clock", "2520 MHz"),
    ("hardware", "rtx-4090", "power.tdp", "450 W"),
    ("hardware", "rtx-4090", "price", "1599 USD"),
    ("hardware", "h100-sxm", "parameters.gemm_efficiency", 0.5),
    ("hardware/hosts", "desktop", "dispatch", "12 us"),
    ("hardware/clusters", "dgx-h100", "links.node.bandwidth", "450 GB/s"),
    ("hardware/clusters", "dgx-h100", "links.between.efficiency", 0.9),
    ("hardware/clusters", "dgx-h100", "price_per_hour", "20 USD/h"),
    ("runtimes", "cuda-graph", "host.launch", "20 us"),
    ("runtimes", "llama.cpp", "memory.context", "300 MB"),
]
LOAD: Mapping[str, Callable[[str], Any]] = {
    "hardware": library.device, "hardware/hosts": library.host, "runtimes": library.runtime,
    "models": library.architecture, "hardware/clusters": library.cluster,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "field", "value"), QUANTITIES)
def test_a_quantity_may_stand_alone_or_beside_its_source(
    spec_file: Write, kind: str, name: str, field: str, value: Any
) -> None:
    read = []
    for given in (value, {"value": value, "source": ""}):
        found: Any = LOAD[kind](str(spec_file(kind, name, {field: given})))
        read.append(found)
        assert found.unsourced == (field,)
    assert read[0] == read[1]


def test_a_number_alone_is_one_of_si(spec_file: Write) -> None:
    device = library.device(str(spec_file("hardware", "rtx-4090", {"memory.bandwidth": "1.5 TB/s"})))
    assert device.memory.bandwidth.value == 1.5e12


def without_sources(value: Any) -> Any:
    """What a file holds, each quantity as its number alone."""
    if isinstance(value, dict):
        inside = {key: without_sources(each) for key, each in value.items() if key != "sources"}
        return inside["value"] if "value" in inside and "source" in inside else inside
    return [without_sources(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("hardware", "rtx-4090"),
        ("hardware/hosts", "desktop"),
        ("runtimes", "cuda-graph"),
        ("hardware/clusters", "dgx-h100"),
    ],
)
def test_a_file_without_any_source_is_the_same_spec_and_says_so(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(without_sources(read_mapping(library.names(kind)[name]))), encoding="utf-8")
    found = LOAD[kind](str(path))
    assert found.unsourced == ("",)
    assert numbers(found) == numbers(LOAD[kind](name))


def numbers(spec: Any) -> Any:
    return without_sources({**written(spec), "source": ""})


@pytest.mark.parametrize(
    ("kind", "name", "changes", "said"),
    [
        ("hardware", "rtx-4090", {"memory.bandwidth": "1 TB/s"}, "memory.bandwidth: says not where it is from"),
        ("hardware/hosts", "epyc-genoa", {"dispatch": "1 us", "sources": {}}, "sources: says not where it is from"),
        ("models", "Qwen2.5-0.5B", {"published_parameters": {"value": 494032768}}, "published_parameters: says not"),
        ("runtimes", "cuda-graph", {"host.launch": "1 us"}, "host.launch: says not where it is from"),
    ],
)
def test_a_shipped_file_says_where_every_number_is_from(
    spec_file: Write, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, changes: Mapping[str, Any], said: str
) -> None:
    path = spec_file(kind, name, changes)
    LOAD[kind](str(path))
    monkeypatch.setenv("ROOFSIM_CACHE", "off")
    monkeypatch.setattr(library, "folder", lambda kind: path.parent)
    with pytest.raises(SpecError, match=said):
        LOAD[kind](str(path))


def assumed(model: str | Architecture, device: str, runtime: str = "ideal") -> str:
    return "; ".join(predict_request(setup(model, device, runtime), workload()).assumptions)


def test_what_is_unsourced_is_among_the_assumptions(spec_file: Write) -> None:
    assert "unsourced" not in assumed("mamba-130m", "rtx-4090")
    assert "unsourced: cache.last_level of spec" in assumed(
        "mamba-130m", str(spec_file("hardware", "rtx-4090", {"cache.last_level": "72 MiB"}))
    )
    many = {"cache.last_level": "72 MiB", "units": 128, "year": 2022, "price": "1599 USD"}
    said = assumed("mamba-130m", str(spec_file("hardware", "rtx-4090", many)))
    assert "unsourced: year, cache.last_level, units, ... of spec" in said


def model(**changes: Any) -> Architecture:
    values = read_mapping(library.names("models")["Llama-3.2-1B"])
    del values["family"]
    return build(Architecture, {**values, "id": "mine", **changes}, "mine.yaml")


def test_a_model_without_sources_is_unsourced() -> None:
    assert "unsourced: all of mine" in assumed(model(sources={}, published_parameters=None), "rtx-4090")


def test_a_model_needs_no_family_where_the_runtime_asks_for_none() -> None:
    mine = model()
    assert (
        predict_request(setup(mine, "rtx-4090", "ideal"), workload()).request
        == predict_request(setup(model(family="llama"), "rtx-4090", "ideal"), workload()).request
    )
    assert "no family" not in assumed(mine, "rtx-4090", "ideal")
    assert "mine has no family" in assumed(mine, "rtx-4090", "transformers-5-eager")


def test_a_runtime_that_goes_by_families_asks_for_one() -> None:
    with pytest.raises(Unsupported, match=r"llama.cpp .* mine states none.*`family: llama`"):
        setup(model(), "rtx-4090", "llama.cpp")
    with pytest.raises(Unsupported, match=r"llama.cpp does not run weird"):
        setup(model(family="weird"), "rtx-4090", "llama.cpp")


@pytest.mark.parametrize("ask", [config_fields, contents])
def test_what_builds_models_by_their_family_asks_for_one(ask: Callable[[Architecture], Any]) -> None:
    with pytest.raises(Unsupported, match=r"mine: .*`family: llama`"):
        ask(model())
    assert ask(model(family="llama"))


def test_a_parameter_has_its_unit_or_is_a_number_of_si(spec_file: Write) -> None:
    given = {"kernel_time": "2 us", "tile_time": "3e-6", "gemm_efficiency": 0.7,
             "strided_kernel_time": {"value": "4 us", "source": "msrp"}}  # fmt: skip
    device = library.device(str(spec_file("hardware", "rtx-4090", {"parameters": given})))
    assert {name: each.value for name, each in device.parameters.items()} == {
        "kernel_time": 2e-6, "tile_time": 3e-6, "gemm_efficiency": 0.7, "strided_kernel_time": 4e-6,
    }  # fmt: skip
    assert device.parameters["strided_kernel_time"].source == "msrp"
    runtime = library.runtime(str(spec_file("runtimes", "llama.cpp", {"parameters": {"kernel_time": "2 us"}})))
    assert runtime.parameters["kernel_time"].value == 2e-6


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kernel_time": "2 GB"}, "parameters: kernel_time: '2 GB' is not a quantity in s; write it like '12 us'"),
        ({"gemm_efficiency": "70 %"}, "parameters: gemm_efficiency: '70 %' is not a quantity in plain numbers"),
        ({"kernel_tim": 1}, "no 'kernel_tim'; nearest: kernel_time"),
        ([1], "a group of fields"),
    ],
)
def test_a_parameter_in_another_unit_is_told(spec_file: Write, given: Any, said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(said)):
        library.device(str(spec_file("hardware", "rtx-4090", {"parameters": given})))


def test_a_device_without_a_host_is_told_which_there_are(spec_file: Write) -> None:
    device = str(spec_file("hardware", "rtx-4090", {"host": None}))
    with pytest.raises(Unsupported, match=r"use --host, or say `host: desktop` in its file: .*grace"):
        assumed("mamba-130m", device, "transformers-5-eager")


@pytest.mark.parametrize("count", ["9" * 400, 10**13, 0])
def test_a_count_of_a_runtime_is_one_that_there_can_be(count: object) -> None:
    path = library.locate("runtimes", "runtimes", "vllm")
    values = read_mapping(path)
    values["host"]["captured"] = count
    with pytest.raises(SpecError, match=r"host.captured: "):
        build(Runtime, values, str(path))
