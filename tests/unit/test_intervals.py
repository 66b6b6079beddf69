"""95 % intervals: by hand where one parameter decides, by two ways of differentiating, and what widens them."""

from __future__ import annotations

from dataclasses import fields, replace
from math import exp
from unittest.mock import patch

import numpy as np
import pytest

from roofsim import library, predict
from roofsim.engine.derivative import gradient
from roofsim.engine.dual import relative
from roofsim.foundation.parameters import PARAMETERS
from roofsim.prediction.compiled import compiled
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.fitted import chosen
from roofsim.prediction.intervals import (
    FIGURES,
    intervals,
    limits_within,
    logs,
    reaching,
    scatter,
    variance,
    with_slopes,
)  # fmt: skip
from roofsim.prediction.limits import limits_of
from roofsim.prediction.request import operator_intervals, predict_request, settled
from roofsim.prediction.setup import setup
from roofsim.specs.calibration import HOST_MATTERS, NORMAL_95, TIMES, Covariance, Scatter, most_alike
from roofsim.specs.kinds import kind_named
from roofsim.specs.population import Group, Population, Typical
from roofsim.specs.workload import workload

STACKS = [
    ("Qwen2.5-0.5B", "orin", "transformers-4.52-eager"),
    ("mamba2-780m", "h100-sxm", "transformers-5-eager"),
    ("Zamba2-1.2B", "rtx-4090", "transformers-4.52-eager"),
    ("OLMoE-1B-7B", "h100-sxm", "vllm"),
    ("mamba2-130m", "h100-sxm", "llama.cpp"),
    ("Llama-3.2-1B", "apple-m2-ultra", "llama.cpp-b2797-metal"),
]
NO_TIME = ("kernel_time", "strided_kernel_time", "tensor_kernel_time", "attention_kernel_time", "tile_time")


# --- two ways of differentiating ---


@pytest.mark.parametrize("stack", STACKS, ids=str)
def test_slopes_carried_along_are_those_found_going_back_over_the_graph(stack):
    s = setup(*stack)
    w = settled(s, workload(prompt=3000, batch=2, dtype=s.device.default_dtype))
    values = {f"parameters.{name}": float(x) for name, x in s.machine(w.dtype).parameters.items()}
    e = Evaluation(with_slopes(s, w), w)
    for path, _ in FIGURES.values():
        function = compiled(s, w, (path,), tuple(values)).function
        value, by = gradient(function.graph, function.outputs[path], values)
        back = {name: by[f"parameters.{name}"] * row.stretch(values[f"parameters.{name}"]) / value
                for name, row in PARAMETERS.items()}  # fmt: skip
        carried = relative(figure(path)(e))
        assert {name: carried.get(name, 0.0) for name in back} == pytest.approx(back, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("stack", STACKS[:3], ids=str)
def test_an_array_of_prompts_has_the_slopes_of_each(stack):
    s = setup(*stack)
    w = settled(s, workload(prompt=1, dtype=s.device.default_dtype))
    prompts = np.array([100.0, 5000.0])
    values, by = logs(s, replace_prompt(w, prompts), "ttft")
    for i, n in enumerate((100, 5000)):
        one = Evaluation(with_slopes(s, w), replace_prompt(w, n)).request.ttft
        assert values[i] == pytest.approx(float(one))
        carried = relative(one)
        for name in PARAMETERS:
            slope = by.get(name, 0.0)
            assert np.broadcast_to(slope, 2)[i] == pytest.approx(carried.get(name, 0.0), rel=1e-6, abs=1e-9)


def replace_prompt(w, prompt):
    from roofsim.foundation.schema import variant

    return variant(w, prompt=prompt)


# --- by hand ---


def test_where_reading_is_all_the_interval_is_that_of_the_memory_efficiency():
    """A decode step bound by memory takes bytes / (W η); d log t / d u = −(η − low)(high − η) / ((high − low) η)."""
    s = setup("Llama-3.1-8B", "h100-sxm", "ideal")
    sure = {name: float(x) for name, x in s.machine("bf16").parameters.items()}
    sure |= dict.fromkeys(NO_TIME, 0.0) | {"gemm_fill": 0.0, "vector_efficiency": 1.0}
    eta = sure.pop("memory_efficiency")
    s = replace(s, parameters=sure)
    p = predict_request(s, workload(prompt=1024))
    row = PARAMETERS["memory_efficiency"]
    slope = (eta - row.low) * (row.high - eta) / ((row.high - row.low) * eta)
    sigma = s.priors.scatter_of("device_time_s", "decode")
    factor = exp(NORMAL_95 * ((slope * s.priors.shown * s.priors.spreads["memory_efficiency"]) ** 2 + sigma**2) ** 0.5)
    low, high = p.intervals["decode_device_time"]
    assert low == pytest.approx(p.decode.device_time / factor)
    assert high == pytest.approx(p.decode.device_time * factor)


def test_the_scatter_of_a_request_is_that_of_its_prefill_and_of_its_steps_by_their_shares_of_the_time():
    s = setup("Llama-3.1-8B", "h100-sxm", "vllm")
    s = replace(s, parameters={name: float(x) for name, x in s.machine("bf16").parameters.items()})
    p = predict_request(s, workload(prompt=16384, generate=32))
    first, step = (scatter(s, ("latency_s", phase)) for phase in ("prefill", "decode"))
    share = p.request.ttft / p.request.total_time
    assert first != step
    assert 0.1 < share < 0.9
    factor = exp(NORMAL_95 * (share * first + (1 - share) * step))
    low, high = p.intervals["total_time"]
    assert (low, high) == pytest.approx((p.request.total_time / factor, p.request.total_time * factor))
    assert p.intervals["tokens_per_second"][1] == pytest.approx(p.request.tokens_per_second * factor)


@pytest.mark.parametrize(
    "stack", [("Llama-3.1-8B", "h100-sxm", "vllm"), ("Qwen2.5-0.5B", "orin", "transformers-5-eager")]
)
def test_a_wall_clock_has_the_scatter_of_its_phase_and_of_its_host_but_shows_no_less_than_the_device(stack):
    s = setup(*stack)
    s = replace(s, parameters={name: float(x) for name, x in s.machine("bf16").parameters.items()})
    p = predict_request(s, workload(prompt=2048))
    for wall, device, phase, each in (
        ("ttft", "device_time", "prefill", p.prefill), ("tpot", "decode_device_time", "decode", p.decode)
    ):  # fmt: skip
        host = each.host_time > HOST_MATTERS * each.device_time
        clock = exp(NORMAL_95 * s.priors.scatter_of("latency_s", phase, host))
        least = each.device_time / exp(NORMAL_95 * s.priors.scatter_of("device_time_s", phase))
        shown = getattr(p.request, wall)
        assert p.intervals[device][0] == pytest.approx(least)
        assert p.intervals[wall] == pytest.approx((max(shown / clock, min(least, shown)), shown * clock))


@pytest.mark.parametrize(("share", "matters"), [(0.4, False), (0.75, True)])
def test_a_host_matters_from_half_of_what_the_device_takes(share, matters):
    s, w = setup("Qwen2.5-0.5B", "orin", "transformers-5-eager"), workload(prompt=2048)
    step = predict_request(s, w).decode
    sure = {name: float(x) for name, x in s.machine("bf16").parameters.items()}
    sure |= {name: sure[name] * share * step.device_time / step.host_time for name in ("dispatch", "triton_dispatch")}
    p = predict_request(replace(s, parameters=sure), w)
    assert p.decode.host_time / p.decode.device_time == pytest.approx(share, rel=0.05)
    sigma = s.priors.scatter_of("latency_s", "decode", matters)
    assert p.intervals["tpot"][1] == pytest.approx(p.request.tpot * exp(NORMAL_95 * sigma))


def test_limits_are_those_of_peaks_that_are_as_far_off_as_the_peak_may_be():
    s, w = setup("Llama-3.1-8B", "rtx-4090", "transformers-5-eager"), workload(prompt=256)
    p = predict_request(s, w)
    factor = p.intervals["peak"][1] / p.memory.peak
    assert factor > 1
    less, more = (limits_of(s, w, room) for room in (1 / factor, factor))
    assert less.max_prompt < p.limits.max_prompt < more.max_prompt
    assert less.max_batch < p.limits.max_batch < more.max_batch
    for found in (p.intervals, limits_within(s, w)):
        assert found["max_prompt"] == pytest.approx((less.max_prompt, more.max_prompt))
        assert found["max_batch"] == pytest.approx((less.max_batch, more.max_batch))


def test_what_is_fitted_varies_as_the_fit_says_and_the_rest_as_the_population():
    s = setup("Qwen2.5-0.5B", "h100-sxm", "transformers-5-eager")
    s = chosen(s, library.calibration("h100-sxm@transformers-5"))
    names = [name for name in s.calibration.covariance.names if name in s.fitted]
    one, other = names[:2]
    both = s.calibration.covariance.variance({one: 0.5, other: 2.0})
    assert variance(s, {one: 0.5, other: 2.0}) == pytest.approx(both)
    alone = replace(s.calibration, covariance=Covariance(names=(one,), lower=((0.04,),)))
    usual = s.priors.shown * s.priors.spreads[other]
    found = variance(replace(s, calibration=alone), {one: 0.5, other: 2.0})
    assert found == pytest.approx(0.25 * 0.04 + (2 * usual) ** 2)


def test_what_the_user_sets_has_no_slope_over_an_array_of_prompts():
    s = setup("mamba2-780m", "h100-sxm", "ideal")
    w = replace_prompt(workload(prompt=1), np.array([100.0, 5000.0]))
    (_, usual), (_, by) = (logs(each, w, "ttft") for each in (s, replace(s, parameters={"memory_efficiency": 0.9})))
    assert set(by) == set(usual) - {"memory_efficiency"}
    assert "memory_efficiency" in usual
    assert "tile_columns" not in usual  # of quantised products, of which there are none


def test_variances_of_parameters_that_are_not_fitted_add_up():
    s = setup("mamba2-780m", "h100-sxm", "transformers-5-eager")
    spreads = {name: s.priors.shown * spread for name, spread in s.priors.spreads.items()}
    found = variance(s, {"dispatch": 0.5, "gemm_fill": -2.0})
    assert found == pytest.approx((0.5 * spreads["dispatch"]) ** 2 + (2 * spreads["gemm_fill"]) ** 2)
    assert variance(s, {}) == 0


def test_a_covariance_is_a_quadratic_form_of_numbers_and_of_arrays():
    c = Covariance(names=("a", "b"), lower=((0.04,), (0.01, 0.09)))
    assert c.variance({"a": 1.0, "b": 2.0}) == pytest.approx(0.04 + 2 * 2 * 0.01 + 4 * 0.09)
    assert c.variance({"b": 1.0}) == pytest.approx(0.09)
    arrays = c.variance({"a": np.array([1.0, 0.0]), "b": np.array([2.0, 1.0])})
    assert arrays == pytest.approx([0.44, 0.09])


# --- what they hold, and what widens them ---


@pytest.mark.parametrize("stack", STACKS, ids=str)
@pytest.mark.parametrize("calibration", ["auto", "none"])
def test_every_figure_lies_in_its_interval(stack, calibration):
    s = chosen(setup(*stack), calibration)
    p = predict_request(s, workload(prompt=2048, dtype=s.device.default_dtype))
    values = {"ttft": p.request.ttft, "tpot": p.request.tpot, "energy": p.request.energy, "peak": p.memory.peak,
              "total_time": p.request.total_time, "tokens_per_second": p.request.tokens_per_second,
              "device_time": p.prefill.device_time, "decode_device_time": p.decode.device_time,
              "max_prompt": p.limits.max_prompt, "max_batch": p.limits.max_batch, "cost": p.cost.request}  # fmt: skip
    values |= {each.name: getattr(p.cost, each.name) for each in fields(p.cost) if each.name != "request"}
    assert set(p.intervals) == set(values)
    for name, value in values.items():
        if value != value:
            assert s.device.price is None
            continue
        assert p.intervals[name][0] <= value <= p.intervals[name][1], name
    assert p.intervals["ttft"][0] < p.intervals["ttft"][1]
    assert p.basis == ("calibrated" if p.calibration else "prior")


def test_what_the_user_sets_narrows_what_depends_on_it():
    s = setup("Qwen2.5-1.5B", "rtx-4090", "vllm")
    w = workload(prompt=8192)
    free = intervals(s, w)
    sure = intervals(replace(s, parameters={"gemm_efficiency": float(s.machine("bf16")["gemm_efficiency"])}), w)
    assert np.divide(*sure["ttft"][::-1]) < np.divide(*free["ttft"][::-1])
    assert sure["decode_device_time"] == pytest.approx(free["decode_device_time"], rel=1e-2)


def test_operators_have_the_intervals_of_what_decides_them():
    s = setup("Qwen2.5-0.5B", "rtx-4090", "transformers-5-eager")
    w = workload(prompt=4096)
    p, within = predict_request(s, w), operator_intervals(s, w)
    for name, each in (("prefill", p.prefill), ("decode", p.decode)):
        for row, (low, high) in zip(each.operators, within[name], strict=True):
            assert low < row.time < high
            assert row.time / low == pytest.approx(high / row.time)


def test_an_operator_scatters_as_such_operators_do_unless_a_calibration_knows_better():
    s = setup("Qwen2.5-0.5B", "h100-sxm", "transformers-5-eager")
    w = workload(prompt=4096)
    wild = [Scatter(metric="device_time_s", phase=kind, sigma=x, rows=9) for kind, x in (("norm", 3.0), ("gemm", 0.0))]
    priors = replace(s.priors, scatter=(tuple(wild), *s.priors.scatter))

    def widths(s, priors):
        with patch.object(type(s), "priors", priors):
            kinds = [row.kind for row in predict_request(s, w).prefill.operators]
            return {k: high / low for k, (low, high) in zip(kinds, operator_intervals(s, w)["prefill"], strict=True)}

    usual, more = widths(s, s.priors), widths(s, priors)
    assert more["norm"] > exp(2 * NORMAL_95 * 3.0) > usual["norm"]
    assert 1 < more["gemm"] < usual["gemm"]
    known = chosen(s)
    assert widths(known, priors) == widths(known, s.priors)


def test_arrays_have_no_intervals():
    assert predict("mamba-130m", "rtx-4090", prompt=np.array([10, 20])).intervals is None


def test_a_prediction_takes_a_calibration_as_the_command_does():
    line = {"model": "Qwen2.5-0.5B", "device": "h100-sxm", "runtime": "transformers-5-eager"}
    auto, none = predict(**line), predict(**line, calibration="none")
    assert auto.calibration == "h100-sxm@transformers-5"
    assert none.calibration is None
    assert predict(**line, calibration=None).request == none.request
    own = library.calibration("h100-sxm@transformers-5")
    assert predict(**line, calibration=own).request == auto.request != none.request
    assert predict(**line | {"device": "h200-sxm"}, transfer=True).calibration == "h100-sxm@transformers-5"


# --- the population ---


def group(devices, runtimes, mean, sigma):
    return Group(
        devices=devices, runtimes=runtimes, parameters={"gemm_efficiency": Typical(mean=mean, spread=mean)},
        scatter=(Scatter(metric="latency_s", phase="decode", sigma=sigma, rows=9),) if sigma else (),
    )  # fmt: skip


def test_the_nearest_class_that_knows_decides():
    groups = (
        group("", "", 0.1, 0.1), group("NVIDIA gpu", "", 0.2, 0.2), group("", "eager", 0.3, 0.0),
        group("NVIDIA gpu", "eager", 0.4, 0.4),
    )  # fmt: skip
    all_of_them = {"name": "p", "date": "2000-01-01", "versions": {}, "method": "", "datasets": ()}
    p = Population(**all_of_them, groups=groups)
    for classes, value, sigma in (
        (("NVIDIA gpu", "eager"), 0.4, 0.4), (("Apple soc", "eager"), 0.3, 0.1), (("NVIDIA gpu", "ggml"), 0.2, 0.2),
        (("Apple soc", "ggml"), 0.1, 0.1),
    ):  # fmt: skip
        found = p.of(*classes)
        assert found.values["gemm_efficiency"] == found.spreads["gemm_efficiency"] == value
        assert found.scatter_of("latency_s", "decode") == sigma
        assert found.values["gemm_fill"] == PARAMETERS["gemm_fill"].prior
        assert found.spreads["gemm_fill"] == PARAMETERS["gemm_fill"].free_spread
    assert Population(**all_of_them, groups=()).of("a", "b").scatter_of("latency_s", "decode") == 0


def test_figures_of_single_operators_are_not_like_those_of_passes():
    def of(metric, phase, sigma, host=False):
        return Scatter(metric=metric, phase=phase, host=host, sigma=sigma, rows=9)

    rows = [of("latency_s", "gemm", 0.9), of("latency_s", "prefill", 0.1), of("latency_s", "prefill", 0.3, host=True),
            of("energy_j", "prefill", 0.5)]  # fmt: skip
    assert most_alike(rows, "latency_s", "prefill", False).sigma == 0.1
    assert most_alike(rows, "latency_s", "prefill", True).sigma == 0.3
    assert most_alike(rows, "device_time_s", "decode", False).sigma == 0.3
    assert most_alike(rows, "latency_s", "attention", False).sigma == 0.9
    assert most_alike(rows, "peak_mem_bytes", "prefill", False) is None
    assert most_alike(rows[:1], "latency_s", "decode", False) is None


def test_the_population_knows_single_operators_by_their_kinds_and_the_time_of_the_device():
    def of(metric, phase, sigma):
        return Scatter(metric=metric, phase=phase, sigma=sigma, rows=9)

    all_of_them = {"name": "p", "date": "2000-01-01", "versions": {}, "method": "", "datasets": ()}
    rows = (of("device_time_s", "norm", 0.1), of("device_time_s", "scan", 0.2), of("device_time_s", "decode", 0.4),
            of("latency_s", "decode", 0.8))  # fmt: skip
    found = Population(**all_of_them, groups=(Group(scatter=rows),)).of("a", "b")
    for metric in TIMES:
        assert found.scatter_of(metric, "input_layernorm") == found.scatter_of(metric, "norm") == 0.1
        assert found.scatter_of(metric, "gdn:chunk_gated_delta_rule") == 0.2
        assert found.scatter_of(metric, "gemm") == 0.2, "the largest of other operators, and none of passes"
    assert [found.scatter_of(metric, "decode") for metric in TIMES] == [0.8, 0.4]
    # joules of an operator are not told by its time
    assert found.scatter_of("energy_j", "gemm") == 0


@pytest.mark.parametrize(
    ("op", "kind"),
    [
        ("op:aten::linear", "gemm"), ("op:aten::matmul", "gemm"), ("moe", "gemm"), ("add", "pointwise"),
        ("copy", "pointwise"), ("op:aten::scaled_dot_product_attention", "attention"), ("sdpa_decode", "attention"),
        ("gdn:causal_conv1d_fn", "conv"), ("mamba2:selective_state_update", "scan"), ("ssd_chunk_scan", "scan"),
        ("kda:flashkda_fwd", "scan"), ("op:mambainnerfn", "scan"), ("op:layernormfn", "norm"),
        ("attn_rope", "pointwise"),
        ("op:mambasplitconv1dscancombinedfn", "scan"),
        ("embedding", "embedding"), *((kind, kind) for kind in ("norm", "gemm", "scan", "conv", "pointwise")),
    ],
)  # fmt: skip
def test_operators_have_kinds_by_their_names(op, kind):
    assert kind_named(op) == kind


def test_a_calibration_without_data_of_a_kind_leaves_its_scatter_to_the_population():
    s = chosen(setup("Qwen2.5-0.5B", "h100-sxm", "vllm"), "h100-sxm@vllm-operators")
    assert scatter(s, ("latency_s", "decode")) == s.priors.scatter_of("latency_s", "decode")


def test_an_operator_that_takes_no_time_takes_none_for_certain() -> None:
    s = chosen(setup("Qwen3-30B-A3B", "l4", "llama.cpp-vulkan"))
    w = workload(prompt=513, weight_format="mxfp4", dtype="bf16")
    rows, within = predict_request(s, w).prefill.operators, operator_intervals(s, w)["prefill"]
    none = [ends for row, ends in zip(rows, within, strict=True) if not row.time]
    assert none
    assert set(none) == {(0.0, 0.0)}


def test_what_else_may_have_been_done_widens_an_interval_on_its_side():
    # logarithms of 2, 3 and 4 off by twos: sqrt(1 + 1) and sqrt(1 + 4 + 4) times that of 2
    low, high = reaching(8.0, (4.0, 16.0), [4.0, 32.0, 32.0, 8.0])
    assert low == pytest.approx(8 / 2 ** (2**0.5))
    assert high == pytest.approx(8 * 2**3)
    assert reaching(8.0, (4.0, 16.0), []) == pytest.approx((4, 16))
    # what has no end keeps none, and what takes no time takes none
    assert reaching(8.0, (4.0, float("inf")), [2.0]) == (4.0, float("inf"))
    assert reaching(0.0, (0.0, 0.0), [1.0]) == (0.0, 0.0)
    assert reaching(8.0, (4.0, 16.0), [0.0, float("inf")]) == pytest.approx((4, 16))
