"""Functions of the page: kernels that are alike are one, and equal texts are there once."""

from __future__ import annotations

import zlib
from base64 import b85decode
from dataclasses import replace

import pytest

from roofsim import library
from roofsim.engine.graph import Graph
from roofsim.foundation.cost import Cost
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.lowering.kernels import Kernel
from roofsim.prediction.setup import setup
from roofsim.web.cases import request_of
from roofsim.web.choices import MODELS, chosen, combined, on
from roofsim.web.data import page_data
from roofsim.web.functions import Functions
from roofsim.web.kernels import Kernels
from roofsim.web.numbers import NUMBERS, VARIABLES, machine_of, numbers, structure
from roofsim.web.pack import BETWEEN, packed


def machine_of_variables():
    graph = Graph()
    x = {name: graph.variable(name) for name in VARIABLES}
    return graph, machine_of(setup("mamba-130m", "rtx-4090").machine("bf16"), x)


def test_kernels_of_other_sizes_are_calls_of_one_function():
    kernels, (graph, m) = Kernels(), machine_of_variables()
    n = graph.variable("n")
    one = Kernel("one", "gemm", Cost(matrix=8 * n, weights=64.0), fill=128.0)
    times = [kernels.terms(each, m).time for each in (one, replace(one, name="two", cost=Cost(2 * n, weights=32.0)))]
    assert list(kernels.texts.values()) == ["k0"]
    assert times[0] - times[1] != 0
    kernels.terms(replace(one, fill=0), m)
    kernels.terms(replace(one, like="stream"), m)
    assert list(kernels.texts.values()) == ["k0", "k1", "k2"]


def test_devices_of_a_structure_share_their_functions_and_others_do_not():
    functions = Functions()
    made = [
        functions.of(s := combined(*specs), request_of(s))
        for specs in (
            (library.architecture("Qwen2.5-0.5B"), library.device(device), library.runtime("transformers-4.52-eager"))
            for device in ("rtx-4090", "rtx-4080", "raspberry-pi-5")
        )
    ]
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(("tp", "least"), [(1, 4), (2, 1)])
def test_devices_that_share_would_each_have_the_same_functions(tp, least):
    model, runtime = library.architecture("Qwen2.5-0.5B"), library.runtime("vllm")
    groups = {}
    for device in map(library.device, library.names("hardware")):
        if runtime.written_for(device.vendor, device.kind) and device.host and (tp == 1 or library.standing(device)):
            s = combined(model, device, runtime, tp)
            groups.setdefault(structure(s, device.default_dtype), []).append(s)
    several = [group for group in groups.values() if len(group) > 1]
    assert len(several) >= least
    for first, *_, last in several:
        functions = Functions()
        one, other = (functions.made(s, request_of(s)) for s in (first, last))
        assert one == other


def test_links_that_exchange_in_another_way_have_functions_of_their_own():
    model, runtime = library.architecture("Qwen2.5-0.5B"), library.runtime("vllm")
    found = [structure(combined(model, library.device(name), runtime, 2), "bf16")[-1]
             for name in ("h100-sxm", "h200-sxm", "h100-pcie")]  # fmt: skip
    assert found[0] == found[1] != found[2]


def test_every_number_of_a_machine_has_a_name():
    s = setup("mamba-130m", "jetson-orin-nano-8gb")
    found = numbers(s, "bf16")
    assert tuple(found) == NUMBERS
    assert found["bandwidth"] == 102e9
    assert found["usable"] == float(s.device.capacity) < found["capacity"]
    assert found["parameters.gemm_efficiency"] == s.machine("bf16")["gemm_efficiency"]
    assert found["tile_rows"] == 64


def test_functions_that_others_made_are_taken_over_under_numbers_of_their_own():
    one, two = Functions(), Functions()
    for functions, models in ((one, ["mamba-130m"]), (two, ["Qwen2.5-0.5B", "mamba-130m"])):
        for model in models:
            s = setup(model, "rtx-4090", "ideal")
            functions.of(s, request_of(s))
    whole = Functions()
    assert whole.add(one) == [0]
    assert whole.add(two) == [1, 0]
    assert len(whole.requests) == 2
    assert set(whole.kernels.texts) == set(one.kernels.texts) | set(two.kernels.texts)
    for text in whole.passes:
        names = {f"k{number}" for number in range(len(whole.kernels.texts))}
        assert {each.partition("(")[0] for each in text.split() if each.startswith("k")} <= names


def test_a_pack_holds_the_texts_each_once_with_their_numbers_apart():
    data, functions = page_data(chosen(["mamba-130m", "mamba-790m"], ["rtx-4090"], ["ideal"], tp=[1]), lambda *x: None)
    text = packed(data, functions)
    assert not set(text) & set("<&/\"'")
    parts = zlib.decompress(b85decode(text.replace(".", "<").replace(",", "&"))).decode().split(BETWEEN)
    assert len(parts) == 10
    forms, which, values = (part.split(mark) for part, mark in zip(parts[4:7], ("\f", " ", "\f"), strict=True))
    assert (len(forms), len(which), len(values)) == (2, 4, 4)  # of prefill and of a step, of two models
    assert "24.0" not in values[0].split()


def test_what_is_not_named_is_the_usual_and_a_runtime_is_the_one_that_a_device_has():
    usual = chosen()
    assert [each.id for each in usual.models] == list(MODELS)
    assert (len(usual.models), len(usual.devices), len(usual.runtimes)) == (20, 8, 4)
    mac, llama = library.device("apple-m4-max"), library.runtime("llama.cpp")
    assert on(llama, mac).id == "llama.cpp-metal"
    assert on(llama, library.device("rtx-4090")) == llama
    assert chosen(["qwen2.5-0.5b"], ["4090"]).command == "roofsim explore --models qwen2.5-0.5b --devices 4090"
    assert chosen([usual.models[0]]).command == ""


def test_what_python_refuses_for_want_of_a_host_the_page_refuses_too():
    device = variant(library.device("rtx-4090"), host=None)
    with pytest.raises(InputError, match=r"names no host, and transformers-4\.52-eager launches from one"):
        page_data(chosen(["mamba-130m"], [device], ["transformers-4.52-eager"]), lambda *x: None)


def test_nothing_that_can_be_run_is_an_error():
    with pytest.raises(InputError, match=r"none of these can be run: llama\.cpp does not run zamba2"):
        page_data(chosen(["Zamba2-1.2B"], ["rtx-4090"], ["llama.cpp"]), lambda *x: None)
