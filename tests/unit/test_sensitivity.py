"""Elasticities against differences of the model itself, and changes of regime against what is equal there."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

import roofsim
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.schema import variant
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.fitted import chosen
from roofsim.prediction.intervals import intervals
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.places import placed
from roofsim.prediction.request import detailed_decode, settled
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.what_if import what_if
from roofsim.spaces.numbers import kept, quantities
from roofsim.spaces.sensitivity import Sensitivities, Sensitivity, heat_map, sensitivities
from roofsim.specs.workload import Workload, workload

STACKS = {
    "transformer": ("Qwen2.5-0.5B", "orin", "transformers-4.52-eager", {}),
    "ssm": ("mamba2-780m", "rtx-4090", "transformers-4.52-eager", {"prompt": 8192}),
    "hybrid": ("Zamba2-1.2B", "rtx-4090", "transformers-4.52-eager", {"batch": 2}),
    "moe": ("Qwen3-30B-A3B", "h100-sxm", "vllm", {"batch": 4, "generate": 16}),
    "quantised": ("Qwen2.5-0.5B", "rtx-4090", "vllm", {"weight_format": "int4-g128"}),
    "cpu": ("Llama-3.2-1B", "ryzen-9-7950x", "llama.cpp-cpu", {"dtype": "fp32"}),
}


@cache
def stack(name: str) -> tuple[Setup, Workload]:
    model, device, runtime, fields = STACKS[name]
    s = chosen(setup(model, device, runtime))
    w = settled(s, workload(**{"dtype": s.device.default_dtype, **fields}))
    return kept(s, w), w


@cache
def found(name: str, metric: str = "ttft") -> Sensitivities:
    return sensitivities(*stack(name), metric)


def by_name(result: Sensitivities) -> dict[str, Sensitivity]:
    return {row.number: row for row in result.rows}


def plain(s: Setup, w: Workload, metric: str, path: str | None = None, value: float = 0) -> float:
    """The figure of numbers, without a graph."""
    return float(figure(metric)(Evaluation(*(placed(s, w, {path: value}) if path else (s, w)))))


@pytest.mark.parametrize(
    ("name", "metric"),
    [*(("transformer", metric) for metric in METRICS), ("ssm", "ttft"), ("ssm", "energy"), ("hybrid", "ttft"),
     ("moe", "tpot"), ("moe", "energy"), ("quantised", "tpot"), ("quantised", "memory"), ("cpu", "ttft")],
)  # fmt: skip
def test_an_elasticity_is_the_difference_of_the_model_around_a_number(name: str, metric: str) -> None:
    s, w = stack(name)
    result, compared, rounded = found(name, metric), 0, []
    assert result.value == pytest.approx(plain(s, w, metric), rel=1e-9)

    @cache
    def beside(number: str, value: float) -> float:
        return plain(s, w, metric, number, value)

    def difference(row: Sensitivity, step: float) -> float:
        low, high = (beside(row.number, row.value * (1 + side * step)) for side in (-1, 1))
        return (high - low) / (2 * step * result.value)

    def one_sided(row: Sensitivity, step: float) -> float:
        return (beside(row.number, row.value * (1 + step)) - result.value) / (step * result.value)

    whole = {each.path for each in quantities(s, w) if each.whole}
    for row in result.rows:
        # large whole numbers stay whole: counts of weights are cut to whole ones
        step = 1 / row.value if row.number in whole and row.value > 500 else 1e-5
        # 1e-4: a difference over 2e-5 of numbers with 16 digits, curved by its step; at a turn one side of it is meant
        sides = (one_sided(row, -step), one_sided(row, step))
        if row.elasticity == pytest.approx(difference(row, step), abs=1e-4) or any(
            row.elasticity == pytest.approx(side, abs=max(1e-4, step)) for side in sides
        ):
            compared += row.elasticity != 0
        else:
            # sizes that are rounded to pieces: derivatives look through that, differences hang on their step
            near = difference(row, step)
            hangs = near != pytest.approx(difference(row, 3 * step), abs=1e-4)
            assert hangs or near != pytest.approx(difference(row, 0.01), abs=0.01), row.number
            rounded.append(row.number)
    assert compared >= (3 if metric == "memory" else 10)
    assert len(rounded) <= 6, rounded


@pytest.mark.parametrize(
    "path",
    ["device.memory.bandwidth", "device.clock", "device.units", "host.dispatch", "parameters.gemm_efficiency",
     "runtime.host.work", "device.power.dynamic"],
)  # fmt: skip
def test_an_elasticity_is_that_of_a_what_if(path: str) -> None:
    s, w = stack("transformer")
    row = by_name(found("transformer", "energy"))[path]
    more, less = (plain(what_if(s, [f"{path}={factor}x"]), w, "energy") for factor in (1.0001, 0.9999))
    assert row.elasticity == pytest.approx((more / less - 1) / 2e-4, abs=1e-3)
    assert abs(row.elasticity) > 0.01
    twice = plain(what_if(s, [f"{path}={row.values[1] / row.value!r}x"]), w, "energy")
    assert row.more == pytest.approx(twice, rel=1e-9)


def test_an_elasticity_by_the_prompt_is_that_over_whole_chunks() -> None:
    s, w = stack("ssm")
    chunk = s.architecture.layers["mamba2"][0].chunk
    low, high = (plain(s, variant(w, prompt=w.prompt + side * chunk), "ttft") for side in (-1, 1))
    expected = (high - low) / (2 * chunk) * w.prompt / found("ssm").value
    assert by_name(found("ssm"))["prompt"].elasticity == pytest.approx(expected, rel=1e-2)


def test_figures_at_half_and_twice_a_number_are_those_of_the_model() -> None:
    s, w = stack("transformer")
    for row in found("transformer").rows[:12]:
        for value, shown in zip(row.values, (row.less, row.more), strict=True):
            if row.number not in ("device.clock", "device.units"):
                assert shown == pytest.approx(plain(s, w, "ttft", row.number, value), rel=1e-9), row.number


def test_no_number_is_taken_beyond_what_it_can_be() -> None:
    rows = by_name(found("transformer"))
    assert rows["batch"].values == (1, 2)
    assert rows["batch"].less == found("transformer").value
    assert rows["model.layers.decoder.attention.kv_heads"].values == (1, 4)
    efficiency = rows["parameters.gemm_efficiency"]
    assert efficiency.values == (efficiency.value / 2, 1)


def test_what_moves_a_figure_most_comes_first() -> None:
    pulls = [abs(row.elasticity) for row in found("transformer").rows]
    assert pulls == sorted(pulls, reverse=True)
    assert pulls[0] > 0.5


def test_numbers_that_decide_what_is_run_are_told_and_do_not_stop_the_others() -> None:
    window = by_name(found("transformer"))["model.layers.decoder.attention.declared_window"]
    assert (window.decides, window.elasticity, window.above) == (True, 0, None)
    assert not by_name(found("transformer"))["model.d_model"].decides
    # as many heads of keys as of queries: one more or less, and keys are copied
    hybrid = found("hybrid")
    for name in ("heads", "kv_heads"):
        assert hybrid.fixed[f"model.layers.hybrid.shared_block.attention.{name}"] == "decides what is run"
    assert found("transformer").fixed["model.prefix_tokens"] == "is 0"
    assert not set(hybrid.fixed) & set(by_name(hybrid))


def test_sizes_of_a_quantised_model_move_its_memory() -> None:
    rows = by_name(found("quantised", "memory"))
    assert {"model.d_model", "model.layers.decoder.attention.heads", "model.layout.0.repeat"} <= set(rows)


def test_what_decides_has_the_slope_of_differences_where_what_is_run_stays_the_same() -> None:
    s = chosen(setup("GPT-Neo-125M", "a30", "transformers-5-static"))
    w = workload(dtype="bf16", prompt=512)
    result = by_name(sensitivities(s, w, "tpot"))
    row = result["model.layout.0.repeat"]
    assert row.decides
    one, two = (plain(s, w, "tpot", row.number, x) for x in (row.value, row.value + 1))
    assert row.elasticity == pytest.approx((two - one) * row.value / one, rel=1e-3)
    assert (row.less, row.more) == (plain(s, w, "tpot", row.number, 3), plain(s, w, "tpot", row.number, 12))
    # a width of 3,072 splits products from that on: one less, and there are fewer kernels
    assert "model.layers.global.mlp.width" not in result


def test_every_number_is_told() -> None:
    s, w = stack("moe")
    result = found("moe")
    assert {*by_name(result), *result.fixed} == {each.path for each in quantities(s, w)}
    assert {"prompt", "device.memory.bandwidth", "host.dispatch", "runtime.host.work", "model.d_model"} < {
        *by_name(result)
    }
    assert {row.group for row in result.rows} == {"workload", "device", "host", "runtime", "model", "cost"}


def test_the_memory_binds_decode_where_the_host_no_longer_does() -> None:
    s, w = stack("transformer")
    turn = by_name(found("transformer", "tpot"))["host.dispatch"].below
    assert turn is not None
    assert turn.bound == "memory"
    assert turn.gains[0] == "device.memory.bandwidth"
    assert {"host.dispatch", "runtime.host.work"} == set(turn.loses[:2])
    bounds = [detailed_decode(Evaluation(*placed(s, w, {"host.dispatch": turn.value * f}))).bound for f in (4, 1 / 4)]
    assert bounds == ["launch", "memory"]


@pytest.mark.parametrize("name", ["transformer", "ssm", "moe"])
def test_an_elasticity_changes_at_a_turn(name: str) -> None:
    s, w = stack(name)
    result, seen = found(name), 0
    whole = {each.path for each in quantities(s, w) if each.whole}

    def slope(path: str, value: float) -> float:
        low, high = (plain(s, w, "ttft", path, value * (1 + side * 1e-6)) for side in (-1, 1))
        return (high - low) / (low + high) * 1e6

    for row in result.rows[:30]:
        if row.number in whole or row.group in ("workload", "model"):
            continue
        for side, turn in ((1, row.below), (-1, row.above)):
            if turn is not None:
                seen += 1
                here, beyond = (slope(row.number, turn.value * (1 + side * each * 1e-4)) for each in (1, -1))
                assert beyond == pytest.approx(turn.elasticity, abs=3e-3), row.number
                assert abs(beyond - here) > 0.004 or not turn.gains, row.number
    assert seen > 2


def test_the_mask_is_the_next_regime_of_a_prompt_and_makes_the_figure_jump() -> None:
    s, w = stack("transformer")
    # without whole tiles, the next of which begins with the next token
    untiled = variant(s.runtime, matrix_library=variant(s.runtime.matrix_library, tile_rows=None))
    turn = by_name(sensitivities(replace(s, runtime=untiled), w, "ttft"))["prompt"].above
    assert turn is not None
    assert turn.value == 32768
    assert turn.jump > 2
    tile = by_name(found("transformer"))["prompt"].above
    assert tile is not None
    assert tile.value == 1025
    assert 1 < tile.jump < 1152 / 1024


def test_only_the_numbers_asked_for_are_told() -> None:
    s, w = stack("transformer")
    result = sensitivities(s, w, "ttft", ["device.memory", "host"])
    assert {row.number for row in result.rows} == {
        "device.memory.capacity", "device.memory.usable", "device.memory.bandwidth", "host.dispatch", "host.disk",
        "parameters.triton_dispatch", "parameters.attention_plan",
    }  # fmt: skip
    whole = by_name(found("transformer"))
    for row in result.rows:
        # sums in another order
        assert (row.elasticity, row.less, row.more) == pytest.approx(
            (whole[row.number].elasticity, whole[row.number].less, whole[row.number].more), rel=1e-9
        )


def test_an_interval_is_that_of_the_prediction() -> None:
    s, w = stack("transformer")
    expected = intervals(s, w)
    for metric, key in (("ttft", "ttft"), ("memory", "peak"), ("total", "total_time"),
                        ("throughput", "tokens_per_second")):  # fmt: skip
        assert found("transformer", metric).interval == expected[key]


def test_every_metric_has_sensitivities() -> None:
    for metric in METRICS:
        assert found("transformer", metric).rows[0].elasticity
    throughput, total = (by_name(found("transformer", metric))["host.dispatch"] for metric in ("throughput", "total"))
    assert throughput.elasticity == pytest.approx(-total.elasticity)


def test_columns_of_a_sweep_are_figures_too() -> None:
    s, w = stack("transformer")
    for column, metric in (("tokens_per_second", "throughput"), ("memory_peak", "memory")):
        mine, other = sensitivities(s, w, column), found("transformer", metric)
        assert (mine.words, mine.unit, mine.value, mine.interval) == (
            other.words,
            other.unit,
            other.value,
            other.interval,
        )
        assert [row.elasticity for row in mine.rows] == [row.elasticity for row in other.rows]
    device = sensitivities(s, w, "prefill_device_time")
    assert (device.words, device.unit) == ("prefill device time", "s")
    assert device.interval == intervals(s, w)["device_time"]
    assert "host.dispatch" not in {row.number for row in device.rows if row.elasticity}
    with pytest.raises(UnknownName, match="--figure: no 'fits'"):
        sensitivities(s, w, "fits")


def test_a_path_that_leads_nowhere_names_near_ones() -> None:
    with pytest.raises(UnknownName, match=r"--over: no 'device.memory.bandwith'; nearest: device.memory.bandwidth"):
        sensitivities(*stack("transformer"), "ttft", ["device.memory.bandwith"])
    with pytest.raises(UnknownName, match="no 'ttfd'; nearest: ttft"):
        sensitivities(*stack("transformer"), "ttfd")


def test_a_figure_that_is_not_known_is_refused() -> None:
    s, w = stack("transformer")
    unknown = variant(s.device, power=variant(s.device.power, tdp=None))
    with pytest.raises(InputError, match=r"energy of Qwen2.5-0.5B on .* is not known"):
        sensitivities(replace(s, device=unknown), w, "energy")


def test_a_heat_map_is_the_model_at_each_pair_of_numbers() -> None:
    s, w = stack("transformer")
    found = heat_map(s, w, "tpot", {"host.dispatch": "0.5x..2x", "prompt": "1k..4k"})
    down, across = found.axes
    assert (down.values[0], down.values[-1], down.now) == pytest.approx((3.6e-5, 14.4e-5, 7.2e-5))
    assert (across.values[0], across.values[-1], across.now) == (1024, 4096, 1024)
    assert all(value % 1 == 0 for value in across.values)
    steps = {round(b / a, 6) for a, b in pairwise(down.values)}
    assert len(steps) == 1
    for i, j in ((0, 0), (7, 30), (40, 40)):
        at = placed(s, w, {"host.dispatch": down.values[i], "prompt": across.values[j]})
        assert found.values[i][j] == pytest.approx(float(figure("tpot")(Evaluation(*at))), rel=1e-9)


def test_few_whole_numbers_are_each_there_once() -> None:
    s, w = stack("transformer")
    found = heat_map(s, w, "ttft", {"batch": "1..4", "device.memory.bandwidth": "50GB/s..200GB/s"})
    assert found.axes[0].values == (1, 2, 3, 4)
    assert (found.axes[1].values[0], found.axes[1].values[-1]) == pytest.approx((50e9, 200e9))


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ({"prompt": "1k..4k"}, "--heat: a heat map has two axes, not 1"),
        ({"prompt": "1k..4k", "device.clok": "1x..2x"}, "--heat: no 'device.clok'; nearest: device.clock"),
        ({"prompt": "4k..1k", "batch": "1..2"}, "--heat prompt=4k..1k: is no span"),
        ({"prompt": "4k", "batch": "1..2"}, "--heat prompt=4k: "),
        (
            {"prompt": "1k..4k", "model.layers.decoder.attention.declared_window": "1k..4k"},
            "--heat model.layers.decoder.attention.declared_window: decides what is run",
        ),
        ({"prompt": "1k..4k", "device.clock": "1..2"}, "--heat device.clock=1..2: '1' is not a quantity in Hz"),
    ],
)
def test_a_heat_map_of_what_is_no_span_is_refused(spans: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        heat_map(*stack("transformer"), "ttft", spans)


def test_python_has_the_words_of_the_command_line() -> None:
    result = roofsim.sensitivity("Qwen2.5-0.5B", "orin", figure="tpot", over=["host"], prompt=2048)
    assert (result.figure, result.workload["prompt"]) == ("tpot", 2048)
    assert result.rows[0].number == "host.dispatch"
