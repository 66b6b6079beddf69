"""Figures say what their bands and bars are, and what those rest on."""

from __future__ import annotations

from itertools import pairwise

import pytest

pytest.importorskip("matplotlib")

COMMANDS = {
    "crossover": "crossover Qwen2.5-0.5B mamba2-780m -d {device} --longest 4k",
    "roofline": "roofline Qwen2.5-0.5B -d {device}",
    "limits": "limits Qwen2.5-0.5B -d {device} -p 1k",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(
    ("device", "label"), [("rtx-4090", "95 % interval, calibrated"), ("rtx-3090", "95 % interval, prior")]
)
def test_a_figure_says_what_its_intervals_rest_on(roofsim, here, command, device, label):
    roofsim(f"{command.format(device=device)} -r transformers-4.52-eager --plot figure.svg -q")
    assert label in (here / "figure.svg").read_text()


def test_the_figure_of_a_crossover_has_a_band_over_the_interval_of_each_crossing(monkeypatch):
    from matplotlib.axes import Axes

    from roofsim import crossover
    from roofsim.reports.figures import crossover as figures

    bands = []
    monkeypatch.setattr(Axes, "axvspan", lambda self, low, high, **_: bands.append((low, high)))
    found = crossover("Qwen2.5-0.5B", "mamba2-780m", device="orin")
    figure = figures.crossover([found], "a device", "a runtime")
    ((crossing,),) = (pair.crossings for pair in found.pairs)
    assert bands == [crossing.interval]
    said = [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]
    assert said[0] == f"Qwen2.5-0.5B → mamba2-780m from {crossing.length:,} (beyond memory)"
    assert said[1:4] == [
        "95 % interval of the crossing: there the order is not certain", "end of memory; dotted: beyond it",
        "context window of the model",
    ]  # fmt: skip
    assert said[4].startswith("from 32,768 tokens on transformers-4.52-eager builds an N × N mask for Qwen2.5-0.5B")


def test_the_figure_of_what_is_alive_says_that_it_does_not_fit(roofsim, here):
    for prompt, fits in (("1k", True), ("64k", False)):
        roofsim(f"predict Qwen2.5-0.5B -d orin -p {prompt} --plot figure.svg --draw memory -q")
        said = "Does not fit: needs 25.0 GiB of 6.00 GiB usable (8.00 GiB in all)"
        assert (said in (here / "figure.svg").read_text()) is not fits


def test_the_figure_of_limits_shows_the_longest_prompt(roofsim, here):
    out = roofsim("limits Qwen2.5-0.5B -d orin --plot figure.svg -q")
    longest = out.split("Longest prompt at batch 1: ")[1].split(" ")[0]
    assert f"longest prompt: {longest}" in (here / "figure.svg").read_text()


def point(phase, measured, metric="latency_s", left_out=""):
    from roofsim.reports.figures.points import Point

    return Point(metric, metric, phase, "a model", 512, measured, measured, measured / 2, measured * 2, left_out)


def compared(*points, bars="95 % interval"):
    from roofsim.reports.figures.points import Compared

    return Compared(points, "a device", bars)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_report_says_what_its_bars_and_markers_are_and_what_is_left_out():
    from roofsim.reports.figures.predicted import predicted
    from roofsim.reports.figures.residuals import residuals

    both = [point("prefill", 1.0), point("decode", 0.1)]
    assert "95 % interval, prior" in legend(predicted(compared(*both, bars="95 % interval, prior")))
    assert legend(residuals(compared(*both)))[:3] == ["prefill", "decode", "a model"]
    assert legend(residuals(compared(both[0])))[:2] == ["prefill", "a model"]
    left = [*both, point("decode", 2.0, left_out="suspect")]
    assert legend(residuals(compared(*left)))[-1] == "rows left out of scores: suspect 1"


def test_an_axis_says_quantities_as_people_do():
    from roofsim.reports.figures.style import tick

    said = [tick(n, "s") for n in (0.001, 1, 60, 600, 36000, 864000)]
    assert said == ["1 ms", "1 s", "1 min", "10 min", "10 h", "10 d"]
    assert (tick(2**40, "B"), tick(1000, ""), tick(1.5e12, "FLOP/s")) == ("1 TiB", "1,000", "1.5 TFLOP/s")


def test_ticks_of_a_narrow_panel_do_not_run_into_each_other():
    from roofsim.reports.figures.predicted import predicted

    figure = predicted(compared(point("decode", 2_500_000.0, "kv_tokens")))
    axes = figure.axes[0]
    figure.draw_without_rendering()
    boxes = [tick.label1.get_window_extent() for tick in axes.xaxis.get_major_ticks() if tick.label1.get_text()]
    shown = sorted((box.x0, box.x1) for box in boxes)
    assert len(shown) > 1
    assert all(one[1] < other[0] for one, other in pairwise(shown))
