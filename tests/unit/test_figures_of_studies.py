"""Figures of studies draw the numbers of the result, and refuse what they cannot draw."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from seen import readable, texts

import roofsim
from roofsim import plots
from roofsim.spaces.advise import FITS
from roofsim.studies.over_length import curve

MODEL, OTHER, DEVICE = "Qwen2.5-0.5B", "mamba2-780m", "orin"


def lines(axes, colour=None):
    return [line for line in axes.lines if len(line.get_xdata()) > 1 and colour in (None, line.get_color())]


def test_bars_of_a_tornado_end_at_half_and_at_twice_each_number():
    found = roofsim.sensitivity(MODEL, DEVICE, figure="tpot", over=["device", "host"])
    figure = readable(plots.sensitivity(found))
    axes = figure.axes[0]
    rows = {label.get_text().split(" = ")[0]: place for place, label in enumerate(axes.get_yticklabels())}
    bars = [(bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    assert len(rows) >= 3
    for row in found.rows:
        if row.number in rows:
            ends = {round(end, 12) for y, *xs in bars if y == pytest.approx(rows[row.number]) for end in xs}
            assert ends == {round(x, 12) for x in (row.less, found.value, row.more)}
    assert "elasticity" in texts(figure)


def test_cells_of_a_heat_map_are_the_points_of_the_study_and_hatched_where_they_do_not_fit():
    found = roofsim.sweep(MODEL, device=DEVICE, prompt=[1024, 16384], batch=[1, 8], figures=["ttft", "fits"])
    figure = readable(plots.heat(found))
    mesh = figure.axes[0].collections[0].get_array()
    for row in found.rows():
        assert mesh[[1, 8].index(row["batch"])][[1024, 16384].index(row["prompt"])] == row["ttft"]
    hatched = [each for each in figure.axes[0].collections if each.get_hatch()]
    assert len(hatched) == sum(not row["fits"] for row in found.rows()) > 0
    for word in ("Time to first token over prompt length and batch", "does not fit", MODEL, "transformers 4.52 eager"):
        assert word in texts(figure)


def test_a_heat_map_needs_two_axes_of_numbers_and_a_figure_that_there_is():
    one = roofsim.sweep(MODEL, device=DEVICE, prompt=[1024, 2048])
    with pytest.raises(roofsim.InputError, match="two axes of numbers, and this study varies prompt"):
        plots.heat(one)
    three = roofsim.sweep(MODEL, OTHER, device=DEVICE, prompt=[1024, 2048], batch=[1, 2], figures="ttft")
    with pytest.raises(roofsim.InputError, match="varies model, prompt, batch"):
        three.plot("heat")
    two = roofsim.sweep(MODEL, device=DEVICE, prompt=[1024, 2048], batch=[1, 2], figures="ttft")
    with pytest.raises(roofsim.InputError, match="no figure 'tpot'"):
        plots.heat(two, "tpot")
    with pytest.raises(roofsim.InputError, match="kind: no 'warm'"):
        two.plot("warm")


def test_a_front_is_drawn_by_model_before_the_other_points():
    found = roofsim.pareto(MODEL, OTHER, device=DEVICE, prompt=[1024, 65536], batch=[1, 4], unfit=True,
                           objectives="ttft,tokens_per_second")  # fmt: skip
    figure = readable(plots.pareto(found))
    rows = list(found.found.rows())
    drawn = {(x, y) for line in figure.axes[0].lines if line.get_marker() not in ("None", ".")
             for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}  # fmt: skip
    assert drawn == {(row["ttft"], row["tokens_per_second"]) for row in rows}
    cloud = next(line for line in figure.axes[0].lines if line.get_marker() == ".")
    assert list(cloud.get_xdata()) == list(found.cloud[0])
    assert f"{len(rows)} of {found.feasible} points" in texts(figure)


def test_an_explanation_is_drawn_with_its_curve_its_polynomial_and_its_pulls():
    found = roofsim.explain(MODEL, "rtx-4090", prompt=16384)
    left, right = readable(plots.explain(found)).axes
    expected = curve(found.on, found.asked.single(found.on.device), "ttft")
    by_length = {len(line.get_xdata()): line for line in lines(left)}
    assert list(by_length[len(expected.lengths)].get_ydata()) == list(expected.values)
    at = np.interp(16384, by_length[200].get_xdata(), by_length[200].get_ydata())
    assert at == pytest.approx(found.value, rel=2e-3)
    widths = [bar.get_width() for bar in right.patches]
    assert widths == list(found.elasticities.values())[: len(widths)]
    assert {"launch", "compute", "memory"} & {each.get_text().split(",")[0] for each in left.texts}


def test_a_curve_has_the_values_and_the_intervals_of_predictions():
    p = roofsim.predict(MODEL, DEVICE, prompt=1024)
    for metric in ("ttft", "memory", "energy"):
        found = curve(p.on, p.asked.single(p.on.device), metric)
        at = found.lengths.index(1024)
        value = {"ttft": p.request.ttft, "memory": p.memory.peak, "energy": p.request.energy}[metric]
        assert found.values[at] == pytest.approx(value)
        assert found.intervals[at][1] == pytest.approx(p.intervals["peak" if metric == "memory" else metric][1])


def test_candidates_stand_at_their_values_over_the_budgets():
    found = roofsim.advise(MODEL, "Qwen2.5-7B", device=DEVICE, runtime="llama.cpp", weights=["bf16", "q4_k_m"],
                           tpot="20ms", min_tps=5.0)  # fmt: skip
    figure = readable(plots.advise(found))
    marks = {(line.get_xdata()[0], line.get_ydata()[0]) for line in figure.axes[0].lines if len(line.get_xdata()) == 1}
    drawn = [*found.feasible, *found.others]
    for place, each in enumerate(drawn):
        assert (each.values["tpot"] / 0.02, place) in marks
        assert (5.0 / each.values["min_tps"], place) in marks
        for miss in each.misses:
            if miss.budget == FITS:
                assert (miss.value / miss.limit, place) in marks
    assert f"{len(found.feasible)} of {len(drawn)} candidates" in texts(figure)


@pytest.mark.parametrize("budget", [None, "20s"])
def test_trials_are_drawn_over_their_number(budget):
    given = {"budget": budget} if budget else {"tokens": [256, 1024]}
    found = roofsim.sampling(MODEL, DEVICE, trials=[1, 4, 16], **given)
    axes = readable(plots.sampling(found)).axes[0]
    drawn = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
    assert drawn >= {(row.trials, row.tokens if budget else row.time) for row in found.rows if row.tokens}


def test_bars_of_models_are_their_parameters_and_lines_their_state():
    sheets = [roofsim.show(name) for name in ("Qwen3-30B-A3B", OTHER)]
    left, right = readable(plots.show(*sheets)).axes
    for place, sheet in enumerate(sheets):
        bars = [bar.get_width() for bar in left.patches if bar.get_y() <= place <= bar.get_y() + bar.get_height()]
        assert sum(bars) == sheet.spec.total_parameters
    state = sheets[0].to_dict()["state"]["at"]
    line = lines(right)[0]
    assert np.interp(32768, line.get_xdata(), line.get_ydata()) == pytest.approx(state["32768"], rel=1e-3)


def test_roofs_bend_where_peak_and_bandwidth_meet():
    device = roofsim.device("h100-sxm")
    (axes,) = readable(plots.show(roofsim.show("h100-sxm"))).axes
    peaks = {rate.value for rate in (*device.peak.matrix.values(), *device.peak.vector.values())}
    assert {max(line.get_ydata()) for line in lines(axes)} == peaks
    ridges = {line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1}
    assert ridges == {peak / device.memory.bandwidth.value for peak in peaks}


def test_only_models_or_devices_are_drawn_of_specs():
    with pytest.raises(roofsim.InputError, match="models and devices are drawn"):
        roofsim.show("ideal").plot()
    with pytest.raises(roofsim.InputError, match="drawn together"):
        plots.show(roofsim.show("orin"), roofsim.show(MODEL))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_gains_of_drafts_are_drawn_over_the_batch_and_over_acceptance(theme):
    found = roofsim.speculate(MODEL, "rtx-4090", "llama.cpp", draft="ngram", accept=0.6, draft_tokens=3)
    left, right = readable(plots.speculate(found, theme=theme)).axes
    best, drawn = (line.get_ydata() for line in lines(left)[:2])
    assert list(drawn) == [at.speedup for at in found.over_batch]
    assert list(best) == [at.best_speedup for at in found.over_batch]
    over = [list(line.get_ydata()) for line in lines(right)]
    assert all(list(gains) in over for gains in found.over_alpha.values())
    assert (0.6, found.row.speedup) in {(line.get_xdata()[0], line.get_ydata()[0]) for line in right.lines}


def test_goodputs_are_drawn_in_tokens_of_prompts_with_their_intervals():
    found = roofsim.phases(MODEL, "a100-sxm-80gb", prompt=[512], slo="itl=1s")
    left, right = readable(plots.phases(found)).axes
    (row,) = found.rows
    drawn = [line.get_ydata()[0] for line in left.lines]
    assert drawn == [512 * row.mixed, 512 * row.inside, 512 * row.apart]
    assert right.lines[0].get_ydata()[0] == row.moved
    bands = [band.get_paths()[0].vertices[:, 1] for band in left.collections]
    assert {(round(min(y)), round(max(y))) for y in bands} == {
        tuple(round(512 * end) for end in row.intervals[name]) for name in ("mixed", "inside", "apart")
    }
