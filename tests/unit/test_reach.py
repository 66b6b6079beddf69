"""How sure a calibration is of what its data did not reach: other formats, batches, lengths, kinds of operator."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import numpy as np
import pytest

from roofsim.engine.roofline import OF_PRODUCTS
from roofsim.fitting.run import several
from roofsim.foundation.schema import variant
from roofsim.model.weights import read_as
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import chosen, doubt, doubted, outside, reach, unsure
from roofsim.prediction.intervals import intervals, scatter, variance
from roofsim.prediction.request import operator_intervals, predict_request, settled
from roofsim.prediction.setup import Setup, setup
from roofsim.runs.cases import Reader
from roofsim.specs.calibration import NORMAL_95, SEVERAL, Covariance, Covered, Reach
from roofsim.specs.workload import workload
from roofsim.studies.crossover import compare
from roofsim.studies.validate import validate_runs
from tests.unit.test_calibrate import runs_of
from tests.unit.test_runs import run

COVERED = Covered(
    batch=(1, 8), tokens=(128, 2048), models=("a", "b"), kinds=("attention", "gemm"), weights=("q4_k_m", "fp16"),
    caches=("bf16",),
)  # fmt: skip
INSIDE = Reach(8, 128, "a", frozenset({"gemm"}), "q4_k_s", "fp16")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, []),
        ({"weights": "bf16"}, []),
        ({"weights": "", "cache": ""}, []),
        ({"batch": 9}, ["batch 9 is outside the 1 to 8 that were measured"]),
        ({"prompt": 127}, ["prompt 127 is outside the 128 to 2,048 tokens that were measured"]),
        ({"prompt": 2049}, ["prompt 2,049 is outside the 128 to 2,048 tokens that were measured"]),
        ({"prompt": np.array([1, 4096])}, []),
        ({"model": "d"}, ["d was not measured, but a and b alone"]),
        ({"model": ""}, []),
        ({"kinds": frozenset({"scan", "conv"})}, ["operators that were not measured: conv, scan"]),
        ({"weights": "q8_0"}, ["weights in q8_0 were not measured (q4_k_m, fp16 were)"]),
        ({"cache": "q8_0"}, ["attention on a cache in q8_0 was not measured (bf16 was)"]),
    ],
)
def test_what_lies_outside_the_data_is_said_one_by_one(asked, said):
    assert list(COVERED.lacks(replace(INSIDE, **asked))) == said


def test_of_a_file_that_does_not_tell_formats_nothing_is_said_and_of_one_without_any_all_are():
    silent = variant(COVERED, weights=None, caches=None)
    asked = replace(INSIDE, weights="q8_0", cache="q8_0")
    assert list(silent.lacks(asked)) == []
    none = variant(COVERED, weights=(), caches=())
    said = ["weights in q8_0 were not measured", "attention on a cache in q8_0 was not measured"]
    assert list(none.lacks(asked)) == said


def test_three_models_tell_of_others_and_single_operators_of_any():
    other = replace(INSIDE, model="d")
    assert not COVERED.tells_rates(other)
    for models in (("a", "b", "c"), ()):
        assert variant(COVERED, models=models).tells_rates(other)
        assert list(variant(COVERED, models=models).lacks(other)) == []


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("bf16", "16 bits"), ("fp16", "16 bits"), ("fp32", "fp32"), ("fp8", "fp8"), ("q4_k_m", "q4_k"),
        ("q4_k_s", "q4_k"), ("q8_0", "q8_0"), ("gptq-int4", "int4-g128"), ("ggml", "ggml"),
    ],
)  # fmt: skip
def test_formats_are_alike_if_most_of_their_matrices_are(name, read):
    assert read_as(name) == read


def test_a_format_was_measured_if_three_configurations_were():
    seen = [("q4_k_m", "a"), ("q4_k_m", "b"), ("q4_k_m", "c"), ("q8_0", "a"), ("q8_0", "a"), ("q8_0", "b"), ("", "d")]
    assert SEVERAL == 3
    assert several(seen) == ("q4_k_m",)
    assert several([*seen, ("q8_0", "c"), ("", "e"), ("", "f")]) == ("q4_k_m", "q8_0")


def test_a_covariance_without_a_parameter_has_the_rows_and_columns_of_the_others():
    c = Covariance(names=("a", "b", "c"), lower=((1.0,), (2.0, 3.0), (4.0, 5.0, 6.0)))
    assert c.without(("b",)) == Covariance(names=("a", "c"), lower=((1.0,), (4.0, 6.0)))


def test_a_format_decides_the_rates_of_all_products_by_weights_and_of_reading_them():
    assert {
        "gemm_efficiency", "gemm_fill", "vector_product_efficiency", "quantised_efficiency", "unpacked_bytes",
        "row_bytes", "tile_flops", "tile_columns", "block_efficiency", "dot_efficiency", "repacked_efficiency",
        "unpacked_per_flop", "memory_efficiency",
    } == OF_PRODUCTS  # fmt: skip


# --- on a device that was measured in q4_k_m alone, but for one configuration in q8_0 ---


@pytest.fixture(scope="module")
def orin() -> Setup:
    return chosen(setup("Llama-3.2-1B", "orin", "llama.cpp"))


def asked(s: Setup, **fields):
    return settled(s, workload(**{"prompt": 1024, "dtype": "fp16", **fields}))


def test_how_far_data_fall_short_is_told_apart(orin):
    for fields, far in (
        ({"weight_format": "q4_k_m"}, ""), ({"weight_format": "q4_k_m", "prompt": 4096}, "scatter"),
        ({"weight_format": "q4_k_m", "cache_dtype": "q8_0"}, "scatter"), ({"weight_format": "q8_0"}, "rates"),
        ({"weight_format": "q8_0", "prompt": 4096}, "rates"), ({}, "rates"),
    ):  # fmt: skip
        assert doubt(orin, reach(orin, asked(orin, **fields))) == far, fields
    assert doubt(replace(orin, calibration=None), reach(orin, asked(orin))) == ""
    other = chosen(setup("SmolLM2-360M", "orin", "llama.cpp"))
    assert doubt(other, reach(other, asked(other, weight_format="q4_k_m"))) == "rates"


def test_a_model_without_attention_has_no_cache_that_was_or_was_not_measured(orin):
    s = chosen(setup("mamba2-780m", "orin", "llama.cpp"))
    assert reach(s, asked(s, weight_format="q4_k_m")).cache == ""
    assert reach(orin, asked(orin, weight_format="q4_k_m")).cache == "fp16"


def test_outside_the_data_a_figure_scatters_as_the_population_if_that_is_more(orin):
    far, kind = doubted(orin, "scatter"), ("latency_s", "decode")
    own, others = scatter(orin, kind), orin.priors.scatter_of(*kind)
    assert own < others
    assert scatter(far, kind) == others
    wild = variant(orin.calibration, scatter=(variant(orin.calibration.scatter_of(*kind), sigma=2 * others),))
    assert scatter(doubted(replace(orin, calibration=wild), "scatter"), kind) == 2 * others
    slopes = {"unpacked_bytes": 1.0, "kernel_time": 1.0}
    assert variance(far, slopes) == variance(orin, slopes)


def test_of_a_format_that_was_not_measured_rates_are_as_uncertain_as_in_the_population_and_stay_as_fitted(orin):
    far, before = doubted(orin, "rates"), orin.priors
    assert far.fitted == orin.fitted
    assert variance(orin, {"unpacked_bytes": 1.0}) < 1e-3
    assert variance(far, {"unpacked_bytes": 2.0}) == (2 * before.shown * before.spreads["unpacked_bytes"]) ** 2
    assert variance(far, {"kernel_time": 1.0}) == variance(orin, {"kernel_time": 1.0}) > 0


def test_what_a_fit_knew_only_together_with_rates_is_no_less_certain_than_in_the_population():
    s = chosen(setup("Llama-3.2-1B", "a100-pcie-80gb", "llama.cpp-b2824"))
    spread, own = s.priors.spreads["kernel_time"], variance(s, {"kernel_time": 1.0})
    assert own > spread**2
    assert variance(doubted(s, "rates"), {"kernel_time": 1.0}) == (s.priors.shown * spread) ** 2
    assert variance(doubted(s, "scatter"), {"kernel_time": 1.0}) == own


def test_the_interval_of_a_format_that_was_not_measured_by_hand(orin):
    """All but the rate at which weights are taken in is known, and a step takes a share of its time for that."""
    w = asked(orin, weight_format="q8_0")
    sure = {name: x for name, x in orin.fitted.items() if name != "unpacked_bytes"}
    s = replace(orin, parameters=sure)
    p = predict_request(s, w)
    low, more = (1 / x for x in p.intervals["tpot"])
    now = s.fitted["unpacked_bytes"]
    step = 1e-4
    other = Evaluation(replace(orin, parameters={**sure, "unpacked_bytes": now * (1 + step)}), w).request.tpot
    slope = (float(other) / p.request.tpot - 1) / step * (now - 1) * (64 - now) / (63 * now)
    off = slope * s.priors.shown * s.priors.spreads["unpacked_bytes"]
    factor = exp(NORMAL_95 * (off**2 + s.priors.scatter_of("latency_s", "decode") ** 2) ** 0.5)
    assert low * more == pytest.approx(1 / p.request.tpot**2)
    assert (low / more) ** 0.5 == pytest.approx(factor, rel=1e-3)
    assert factor > 1.4


def test_a_prediction_says_so_and_all_of_its_intervals_are_wider(orin):
    known, other = asked(orin, weight_format="q4_k_m"), asked(orin, weight_format="q8_0")
    assert list(outside(orin, known)) == []
    assert "weights in q8_0 were not measured (q4_k_m was)" in predict_request(orin, other).assumptions
    narrow, wide = (intervals(orin, w) for w in (known, other))
    for name in ("ttft", "tpot", "total_time", "energy"):
        assert wide[name][1] / wide[name][0] > narrow[name][1] / narrow[name][0], name
    (mine, *_), (others, *_) = (operator_intervals(orin, w)["decode"][4:] for w in (known, other))
    assert others[1] / others[0] > mine[1] / mine[0]


def test_a_curve_is_wider_at_lengths_that_were_not_measured(orin):
    other = chosen(setup("SmolLM2-360M", "orin", "llama.cpp"))
    pair = compare(orin, other, asked(orin, weight_format="q4_k_m"), "tpot", longest=8192)
    width = {n: high / low for n, (low, high) in zip(pair.lengths, pair.bands["a"], strict=True)}
    inside, long, short = (max(w for n, w in width.items() if low <= n <= high)
                           for low, high in ((128, 2048), (2049, 8192), (16, 127)))  # fmt: skip
    least = exp(2 * NORMAL_95 * orin.priors.scatter_of("latency_s", "decode"))
    assert inside < least < min(long, short)


def test_a_crossing_is_as_uncertain_whichever_model_is_named_first(orin):
    other = chosen(setup("mamba2-1.3b", "orin", "llama.cpp"))
    w = asked(orin, weight_format="q4_k_m")
    one, back = (compare(*pair, w, "tpot", longest=65536).crossings for pair in ((orin, other), (other, orin)))
    assert [x.interval for x in one] == [x.interval for x in back] != []


# --- what rows tell ---


def test_rows_that_take_time_tell_the_formats_that_they_read():
    reader = Reader("vllm", "h100-sxm")
    product = {"op": "gemm", "model": "", "device": "", "phase": "op", "note": "m=64;n=4096;k=4096"}
    attention = {**product, "op": "attention_decode", "phase": "decode", "prompt": None, "context": 4096}
    heads = "heads=32;kv_heads=8;head_dim=128"
    for fields, told in (
        ({}, ("bf16", "bf16")), ({"weight_dtype": "fp8", "note": "kv_dtype=fp8"}, ("fp8", "fp8")),
        ({"model": "mamba2-780m"}, ("bf16", "")), ({"metric": "peak_mem_bytes", "value": 2e9}, ("", "")),
        (product, ("bf16", "")), ({**product, "weight_dtype": "fp8"}, ("fp8", "")),
        ({**attention, "note": heads}, ("", "bf16")), ({**attention, "note": f"{heads};kv_dtype=fp8"}, ("", "fp8")),
    ):  # fmt: skip
        case = reader.case(run(**{"device": "", "dtype": "bf16", **fields}))
        assert (case.weights, case.cache) == told, fields
        assert case.reach.model == ("" if fields.get("op") else case.model), fields


def test_a_row_in_another_format_is_scored_by_a_wider_interval(orin):
    rows = [run(device="Jetson Orin Nano 8GB", model="Llama-3.2-1B", phase="decode", weight_dtype=name, dtype="f16")
            for name in ("q4_k_m", "q8_0", "q4_k_m")]  # fmt: skip
    found = validate_runs(runs_of(rows, (0.02, 0.03, 0.02)), "llama.cpp", orin.calibration)
    widths = [row.interval[1] / row.interval[0] for row in found.rows]
    assert widths[0] == widths[2]
    assert widths[1] > 2 * widths[0]
    for row, name in zip(found.rows, ("q4_k_m", "q8_0", "q4_k_m"), strict=True):
        known = unsure(orin, reach(orin, asked(orin, weight_format=name)))
        assert row.interval[1] / row.predicted > exp(NORMAL_95 * scatter(known, ("latency_s", "decode")))
