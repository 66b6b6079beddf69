"""The JSON of the commands: the keys, types and units that design.md, section 6, promises."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

import roofsim as package

NUMBER = "number"
COUNT = "whole number"
KINDS = {"gemm", "attention", "scan", "conv", "norm", "pointwise", "routing", "embedding", "collective"}
BOUNDS = {"compute", "memory", "launch", "network"}

OPERATOR = {
    "layer": str, "operator": str, "kind": KINDS, "count": COUNT, "kernels": NUMBER, "matrix_flops": NUMBER,
    "vector_flops": NUMBER, "bytes_weights": NUMBER, "bytes_activations": NUMBER, "bytes_state": NUMBER,
    "time": NUMBER, "host_time": NUMBER, "launch_bound_time": NUMBER, "bound": BOUNDS,
}  # fmt: skip
PASS = {
    "time": NUMBER, "device_time": NUMBER, "host_time": NUMBER, "kernels": NUMBER, "matrix_flops": NUMBER,
    "vector_flops": NUMBER, "bytes": NUMBER, "bound": BOUNDS, "mfu": NUMBER, "mbu": NUMBER, "energy": NUMBER,
    "operators": [OPERATOR],
}  # fmt: skip
LIMITED = ("max_prompt", "max_batch")
REASONS = {"memory", "context window", "nothing"}
BOUNDS = {
    "max_prompt": COUNT, "max_batch": COUNT, "prompt_bound": REASONS, "batch_bound": REASONS, "memory_prompt": COUNT,
}  # fmt: skip
PREDICTION = {
    "schema": {1}, "model": str, "device": str, "runtime": str, "calibration": (str, None),
    "workload": {
        "batch": COUNT, "prompt": COUNT, "generate": COUNT, "dtype": str, "cache_dtype": str, "weight_format": str,
        "logits": {"all", "last"},
    },
    "prefill": PASS,
    "decode": PASS,
    "request": {"ttft": NUMBER, "tpot": NUMBER, "total_time": NUMBER, "tokens_per_second": NUMBER, "energy": NUMBER},
    "memory": {
        "capacity": NUMBER, "weights": NUMBER, "state": NUMBER, "activations": NUMBER, "logits": NUMBER,
        "masks": NUMBER, "workspace": NUMBER, "peak": NUMBER, "reserved": NUMBER, "fits": bool,
    },
    "limits": BOUNDS,
    "intervals": {
        name: [NUMBER] for name in ("ttft", "tpot", "total_time", "tokens_per_second", "energy", "peak", *LIMITED)
    },
    "basis": {"prior", "calibrated"},
}  # fmt: skip
WORK = {"matrix": NUMBER, "vector": NUMBER, "by_kind": dict.fromkeys(("gemm", "attention", "scan", "conv"), NUMBER)}
LENGTHS = ("128", "1024", "4096", "32768")
MODEL = {
    "schema": {1},
    "model": str,
    "parameters": {
        "total": COUNT, "active": COUNT, "embedding": COUNT,
        "by_kind": dict.fromkeys(("attention", "mlp", "ssm", "moe", "norm", "embedding", "lm_head"), COUNT),
    },
    "state": {"bytes_per_token": NUMBER, "constant_bytes": NUMBER, "at": dict.fromkeys(LENGTHS, NUMBER)},
    "flops": {"prefill": dict.fromkeys(LENGTHS, WORK), "decode": dict.fromkeys(LENGTHS, WORK)},
}  # fmt: skip
COMPARISON = {
    "schema": {1}, "device": str, "runtime": str,
    "pairs": [
        {
            "a": str, "b": str, "metric": {"ttft", "tpot", "memory", "energy", "throughput", "total"},
            "crossings": [
                {
                    "length": COUNT, "interval": [COUNT], "faster_before": str, "faster_after": str, "regime": str,
                    "closed_form": (str, None),
                }
            ],
            "ratios": dict.fromkeys(("1024", "8192", "57344"), NUMBER),
            "max_prompt": {"a": COUNT, "b": COUNT},
            "bands": {"a": [[NUMBER]], "b": [[NUMBER]]},
        }
    ],
    "calibration": (str, None), "basis": {"prior", "calibrated"},
}  # fmt: skip
LIMITS = {
    "schema": {1}, "model": str, "device": str, "runtime": str, "capacity": NUMBER,
    "limits": BOUNDS,
    "intervals": {name: [NUMBER] for name in LIMITED},
    "calibration": (str, None), "basis": {"prior", "calibrated"},
}  # fmt: skip
ROOFLINE = {
    "schema": {1}, "model": str, "device": str, "runtime": str, "calibration": (str, None),
    "basis": {"prior", "calibrated"}, "ridge_point": NUMBER,
    "operators": [{"time": NUMBER, "flop_rate": NUMBER, "basis": {"prior", "calibrated"},
                   "intervals": {"time": [NUMBER], "flop_rate": [NUMBER]}}],
}  # fmt: skip


def problems(value, contract, path="$"):
    """Where a value is not what the contract says; keys beyond the contract are free."""
    if isinstance(contract, Mapping):
        if not isinstance(value, Mapping):
            return [f"{path}: no mapping"]
        missing = [f"{path}.{key}: missing" for key in contract if key not in value]
        present = [key for key in contract if key in value]
        return missing + [p for key in present for p in problems(value[key], contract[key], f"{path}.{key}")]
    if isinstance(contract, list):
        if not isinstance(value, list) or not value:
            return [f"{path}: no list with something in it"]
        return [p for i, each in enumerate(value) for p in problems(each, contract[0], f"{path}[{i}]")]
    if isinstance(contract, set):
        return [] if value in contract else [f"{path}: {value!r} is none of {contract}"]
    if isinstance(contract, tuple):
        fits = any(value is None if each is None else isinstance(value, each) for each in contract)
        return [] if fits else [f"{path}: {value!r}"]
    if contract in (NUMBER, COUNT):
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
        return [] if number and (contract == NUMBER or isinstance(value, int)) else [f"{path}: {value!r} no {contract}"]
    return [] if isinstance(value, contract) else [f"{path}: {value!r} is no {contract.__name__}"]


@pytest.mark.parametrize("model", ["Qwen2.5-0.5B", "mamba2-780m", "Zamba2-1.2B", "Hymba-1.5B"])
@pytest.mark.parametrize("device", ["rtx-4090", "orin", "t4"])
def test_predict_keeps_the_contract(data, model, device):
    assert problems(data(f"predict {model} -d {device}"), PREDICTION) == []


@pytest.mark.parametrize("model", ["Qwen2.5-0.5B", "mamba-790m", "Zamba2-1.2B", "Falcon-H1-0.5B", "GPT-Neo-125M"])
def test_show_keeps_the_contract_for_a_model(data, model):
    assert problems(data(f"show {model}"), MODEL) == []


@pytest.mark.parametrize("metric", ["ttft", "memory"])
def test_crossover_keeps_the_contract(data, metric):
    pair = data(f"crossover Qwen2.5-0.5B mamba2-780m -d rtx-4090 -m {metric}")
    assert problems(pair, COMPARISON) == []


def test_roofline_keeps_the_contract(data):
    assert problems(data("roofline Qwen2.5-0.5B -d t4"), ROOFLINE) == []


def test_limits_keeps_the_contract(data):
    assert problems(data("limits Qwen2.5-0.5B -d orin"), LIMITS) == []


@pytest.mark.parametrize("name", ["orin", "orin@7w", "rtx-4090", "transformers-4.52-eager", "ideal", "desktop"])
def test_show_gives_a_spec_that_reads_back_as_the_same_spec(data, name):
    from roofsim.reports.sheet import find

    _, spec = find(name)
    written = data(f"show {name}")
    fields = {key: value for key, value in written.items() if hasattr(spec, key)}
    assert written["schema"] == 1
    assert type(spec)(**fields) == spec


def test_show_tells_what_is_known_of_the_code_that_a_runtime_runs(data, roofsim):
    facts = data("show transformers-4.52-eager")["facts"]
    assert facts["families"]["gpt_neo"]["activation_kernels"]["value"] == 8
    named = {fact["source"] for each in (facts["every"], *facts["families"].values()) for fact in each.values()}
    assert named <= set(facts["sources"])
    assert "GELU by its tanh formula" in roofsim("show transformers-4.52-eager", "--format", "csv")
    assert "facts" not in data("show ideal")


def test_orin_is_named_in_full_and_in_the_mode_of_the_papers_clocks(data, roofsim):
    assert data("predict mamba2-780m -d orin")["device"] == "jetson-orin-nano-8gb@maxn"
    assert "NVIDIA Jetson Orin Nano 8GB (MAXN" in roofsim("predict mamba2-780m -d orin")


def test_figures_are_in_si_units(data):
    p = data("predict Qwen2.5-0.5B -d rtx-4090")
    assert p["memory"]["capacity"] == 23.5 * 2**30, "what can be had of 24 GiB"
    assert p["memory"]["weights"] == pytest.approx(2 * 494_032_768, rel=0.001), "bf16 weights in bytes"
    assert p["request"]["tpot"] == pytest.approx(12.4e-3, rel=0.15), "SSM-Scope measured 12.4 ms"


def test_the_parts_of_a_prediction_add_up(data):
    p = data("predict Zamba2-1.2B -d rtx-4090 --prompt 8k --generate 64")
    for name in ("prefill", "decode"):
        one = p[name]
        sums = {
            "device_time": ["time"], "kernels": ["kernels"], "matrix_flops": ["matrix_flops"],
            "vector_flops": ["vector_flops"], "bytes": ["bytes_weights", "bytes_activations", "bytes_state"],
        }  # fmt: skip
        for total, parts in sums.items():
            assert sum(o[part] for o in one["operators"] for part in parts) == pytest.approx(one[total]), (name, total)
        assert one["time"] >= max(one["device_time"], one["host_time"]) * (1 - 1e-12)
    request, memory = p["request"], p["memory"]
    assert request["ttft"] == p["prefill"]["time"]
    assert request["total_time"] == pytest.approx(request["ttft"] + 63 * request["tpot"])
    assert request["tokens_per_second"] == pytest.approx(64 / request["total_time"])
    parts = ("weights", "state", "activations", "logits", "masks", "workspace")
    assert sum(memory[part] for part in parts) == pytest.approx(memory["peak"])
    assert memory["reserved"] >= memory["peak"]


def test_the_parameters_of_a_model_add_up_and_are_the_published_number(data):
    for model, published in (
        ("Qwen2.5-0.5B", 494_032_768),
        ("mamba2-780m", 780_143_616),
        ("Zamba2-1.2B", 1_215_064_704),
    ):
        parameters = data(f"show {model}")["parameters"]
        assert sum(parameters["by_kind"].values()) == parameters["total"]
        assert parameters["total"] == pytest.approx(published, rel=0.001)


def test_matrix_work_by_kind_adds_up_to_the_matrix_work(data):
    for phase in data("show Falcon-H1-0.5B")["flops"].values():
        for work in phase.values():
            assert sum(work["by_kind"].values()) == pytest.approx(work["matrix"])


def test_the_command_line_says_what_the_library_says(data):
    told = data("predict mamba2-780m -d rtx-4090 -r ideal -p 8k -b 4 --generate 16 --weights q8_0 --logits last")
    asked = package.predict(
        "mamba2-780m", "rtx-4090", "ideal", prompt=8192, batch=4, generate=16, weight_format="q8_0", logits="last"
    )
    assert told == asked.to_dict()


def test_limits_are_the_last_prompt_and_batch_that_fit(data):
    found = data("limits Qwen2.5-0.5B -d orin -p 2k")["limits"]
    for option, most in (("prompt", found["max_prompt"]), ("batch", found["max_batch"])):
        other = "" if option == "prompt" else " --prompt 2k"
        for n, fits in ((most, True), (most + 1, False)):
            assert data(f"predict Qwen2.5-0.5B -d orin --{option} {n}{other}")["memory"]["fits"] is fits
    assert data("predict Qwen2.5-0.5B -d orin -p 2k")["limits"] == found


def test_limits_of_a_model_that_never_fits_are_nought(data):
    found = data("limits Llama-3.1-8B -d orin")
    assert found["limits"] == {
        "max_prompt": 0, "max_batch": 0, "prompt_bound": "memory", "batch_bound": "memory", "memory_prompt": 0,
    }  # fmt: skip
    assert data("predict Llama-3.1-8B -d orin")["memory"]["fits"] is False


def test_lengths_of_limits_are_those_asked_for_in_order(data):
    found = data("limits mamba2-780m -d orin --lengths 4k,1k,1k..2k+512")
    assert [each["prompt"] for each in found["memory"]] == [1024, 1536, 2048, 4096]


@pytest.mark.parametrize("name", ["devices", "models", "runtimes", "clusters"])
def test_a_list_holds_every_shipped_spec(data, name):
    from roofsim import library

    kind = {"devices": "hardware", "clusters": "hardware/clusters"}.get(name, name)
    listed = {each["id"] for each in data(name)[name]}
    assert {each.partition("@")[0] for each in listed} == set(library.names(kind))
    for each in listed:
        assert data(f"show {each}")


def test_an_explanation_says_what_its_figure_rests_on(data):
    line = "explain Qwen2.5-0.5B -d rtx-4090"
    assert [data(line)[name] for name in ("calibration", "basis")] == ["rtx-4090@ssm-scope", "calibrated"]
    found = data(f"{line} --calibration none")
    assert [found[name] for name in ("calibration", "basis")] == [None, "prior"]


def test_formulas_are_text_or_latex(data):
    text, latex = (data(f"explain mamba-130m -d orin {form}")["formulas"][0] for form in ("--formulas", "--latex"))
    assert (text["operator"], text["weights"], latex["weights"]) == ("embedding", "beta_w*n*w", r"\beta_{w} n w")
