"""What is true of every figure: nothing outside its axes, no words over words, numbers of the result, colours kept."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb
from matplotlib.text import Text
from seen import words

import roofsim
from roofsim import plots
from roofsim.reports.figures import captions
from roofsim.reports.figures import crossover as crossovers
from roofsim.reports.figures.labels import apart
from roofsim.reports.figures.panels import panels
from roofsim.reports.figures.points import Compared, Point
from roofsim.reports.figures.predicted import predicted
from roofsim.reports.figures.residuals import residuals
from roofsim.reports.figures.style import (
    DARK,
    DARK_GROUND,
    GROUND,
    LIGHT,
    look,
    looks,
    quantities,
    subplots,
    tick,
    tokens,
    wrapped,
)
from roofsim.studies.crossover import across_runtimes
from roofsim.studies.limits import PARTS

MODELS, DEVICE = ("Qwen2.5-0.5B", "mamba2-780m", "Falcon-H1-0.5B"), "orin"


@pytest.fixture(scope="module")
def crossing():
    return roofsim.crossover(*MODELS, device=DEVICE)


@pytest.fixture(scope="module")
def prediction():
    return roofsim.predict("Falcon-H1-0.5B", DEVICE)


@pytest.fixture(scope="module")
def held():
    return roofsim.limits("Qwen2.5-0.5B", "rtx-4090")


@pytest.fixture(scope="module")
def study():
    return roofsim.sweep(
        "Qwen2.5-0.5B", "mamba2-780m", device=DEVICE, prompt="1k..64k*4", batch=[1, 4],
        figures=["ttft", "memory_peak", "fits"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def table():
    return roofsim.compare("Qwen2.5-0.5B", "mamba2-780m", device=[DEVICE, "rtx-4090"], prompt=[1024, 32768])


def compared():
    points = [
        Point(metric, metric, phase, model, n, x, x * 1.2, x, x * 1.5, left)
        for metric, scale in (("latency_s", 1e-5), ("peak_mem_bytes", 1e6), ("kv_tokens", 1e3))
        for model, n in zip(MODELS, (512, 4096, 32768), strict=True)
        for phase, x in (("prefill", n * scale), ("decode", n * scale / 100), ("op:linear", n * scale / 10))
        for left in ("", "suspect")
    ]
    return Compared(points, "a device with a runtime, runs.csv", "95 % interval", unseen=3)


@pytest.fixture(scope="module")
def drawn(crossing, prediction, held, study, table):
    """Every figure once."""
    made = {
        "crossover": plots.crossover(crossing), "roofline": plots.roofline(prediction), "limits": plots.limits(held),
        "sweep": plots.sweep(study), "compare": plots.compare(table, theme="dark"), "predicted": predicted(compared()),
        "residuals": residuals(compared(), theme="dark"),
    }  # fmt: skip
    for each in made.values():
        each.draw_without_rendering()
    return made


@pytest.fixture(params=["crossover", "roofline", "limits", "sweep", "compare", "predicted", "residuals"])
def figure(request, drawn):
    return drawn[request.param]


def test_no_words_cover_others(figure):
    seen = [each for each in words(figure) if not each[0].endswith("\n ")]  # the title, behind its own captions
    assert len(seen) > 10
    over = [(one, other) for (one, a), (other, b) in combinations(seen, 2) if a.width > 0 and a.overlaps(b)]
    assert over == []


def test_all_words_lie_on_the_page(figure):
    page = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    width = figure.bbox.width
    for text, box in words(figure):
        assert page.x0 - 1 <= box.x0, text
        assert box.x1 <= min(page.x1, width) + 1, text


def test_a_caption_as_wide_as_the_figure_is_not_cut_beside_a_panel_that_is_narrower():
    points = [Point("time", "latency_s", "prefill", "m", 512, 1.0, 1.1, 0.9, 1.3, "")]
    source = "Two cores of a processor (virtual machine) with a runtime of some name, runs.csv"
    made = predicted(Compared(points, source, "95 % interval"))
    made.draw_without_rendering()
    test_all_words_lie_on_the_page(made)


def test_every_mark_lies_within_its_axes(figure):
    marks = 0
    for axes in figure.axes:
        (left, right), (bottom, top) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        near = (1e-9 * abs(right - left), 1e-9 * abs(top - bottom))
        places = [np.column_stack(line.get_data()).astype(float) for line in axes.lines if line.get_marker() != "None"]
        places += [np.asarray(each.get_offsets(), dtype=float) for each in axes.collections if len(each.get_offsets())]
        for x, y in (pair for each in places for pair in each if np.isfinite(pair).all()):
            if axes.get_visible() and (x, y) != (0, 0):
                marks += 1
                assert left - near[0] <= x <= right + near[0], (x, y)
                assert bottom - near[1] <= y <= top + near[1], (x, y)
    assert marks or figure.axes[0].get_ylabel() == "peak memory"  # which is areas


def test_a_figure_says_of_what_it_is(drawn):
    for made, model in ((drawn["roofline"], "Falcon-H1-0.5B"), (drawn["limits"], "Qwen2.5-0.5B")):
        said = " ".join(each.get_text() for each in made.findobj(Text))
        for word in (model, "transformers 4.52 eager", "bf16 weights", "batch 1"):
            assert word in said
    said = " ".join(each.get_text() for each in drawn["crossover"].findobj(Text))
    for word in ("NVIDIA Jetson Orin Nano 8GB", "transformers 4.52 eager", "bf16 weights", "batch 1", *MODELS):
        assert word in said


def test_curves_and_crossings_are_those_of_the_result_and_none_is_left_out(crossing, drawn):
    axes = drawn["crossover"].axes[0]
    values = {value for pair in crossing.pairs for side in "ab" for value in pair.values[side]}
    curves = [line for line in axes.lines if len(line.get_xdata()) > 10]
    assert {float(y) for line in curves for y in line.get_ydata()} <= values
    rings = sorted(float(line.get_xdata()[0]) for line in axes.lines if line.get_markerfacecolor() == "none")
    assert rings == sorted(each.length for pair in crossing.pairs for each in pair.crossings)
    assert len(rings) > 1


def test_operators_stand_at_their_intensity_and_rate_and_say_which_have_none(prediction, drawn):
    figure = drawn["roofline"]
    points = {tuple(map(float, at)) for each in figure.axes[0].collections for at in each.get_offsets()} - {(0.0, 0.0)}
    wanted, idle = set(), set()
    for p in (prediction.prefill, prediction.decode):
        for o in p.operators:
            work, moved = o.matrix_flops + o.vector_flops, o.bytes_weights + o.bytes_activations + o.bytes_state
            if work:
                wanted.add((float(work / moved), float(work / o.time)))
            else:
                idle.add(o.operator)
    assert points == wanted
    said = [each.get_text().replace("\n", " ") for each in figure.legends[0].get_texts()]
    assert any(each.startswith("without FLOP") and all(name in each for name in idle) for each in said)
    assert min(x for x, _ in points) < 0.2


def test_areas_of_memory_are_its_parts_and_go_beyond_the_longest_prompt(drawn):
    held = roofsim.limits("Qwen2.5-0.5B", "rtx-4090", lengths=[512, 2048])
    axes, top = plots.limits(held).axes[0], dict.fromkeys((512, 2048), 0.0)
    for each in axes.collections:
        for x, y in (vertex for path in each.get_paths() for vertex in path.vertices):
            top[x] = max(top.get(x, 0.0), y)
    for each in held.at:
        seen = [float(getattr(each.memory, part)) for part in PARTS]
        assert top[each.prompt] == pytest.approx(sum(seen), rel=0.02)  # parts too thin to be seen are left out
    assert drawn["limits"].axes[0].get_xlim()[1] > roofsim.limits("Qwen2.5-0.5B", "rtx-4090").limits.memory_prompt


def test_lines_of_a_study_are_its_rows(study, drawn):
    axes = drawn["sweep"].axes[0]
    rows = {(float(row["prompt"]), row["ttft"]) for row in study.rows()}
    points = {(float(x), float(y)) for line in axes.lines for x, y in zip(*line.get_data(), strict=True)}
    assert points == rows
    open_marks = {
        (float(x), float(y)) for line in axes.lines if line.get_markerfacecolor() == GROUND.lower()
        for x, y in zip(*line.get_data(), strict=True)
    }  # fmt: skip
    assert open_marks == {(float(row["prompt"]), row["ttft"]) for row in study.rows() if not row["fits"]}


def test_predictions_and_errors_are_those_of_the_rows_also_of_those_left_out(drawn):
    for name, place in (
        ("predicted", lambda p: (p.measured, p.predicted)),
        ("residuals", lambda p: (p.tokens, 100 * (p.predicted / p.measured - 1))),
    ):
        for axes, metric in zip(drawn[name].axes, ("latency_s", "peak_mem_bytes", "kv_tokens"), strict=True):
            marks = [line for line in axes.lines if line.get_marker() not in ("None", "")]
            seen = {(round(float(x), 9), round(float(y), 9)) for line in marks for x, y in line.get_xydata()}
            wanted = [place(p) for p in compared().points if p.metric == metric]
            assert seen == {(round(x, 9), round(y, 9)) for x, y in wanted}
            assert sum(len(line.get_xdata()) for line in marks if line.get_marker() == "x") == len(wanted) / 2


def test_a_model_keeps_its_colour_in_every_panel(crossing):
    both = across_runtimes([crossing, roofsim.crossover(*MODELS, device=DEVICE, runtime="cuda-graph")]).comparisons
    figure = crossovers.crossover(both, *crossing.names)
    one, two = ([line.get_color() for line in axes.lines if len(line.get_xdata()) > 10] for axes in figure.axes)
    assert list(dict.fromkeys(one)) == list(dict.fromkeys(two)) == list(LIGHT[:3])
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    said = " ".join(each.get_text() for each in figure.legends[0].get_texts()).replace("\n", " ")
    assert "from 32,768 tokens on transformers-4.52-eager builds an N × N mask for Qwen2.5-0.5B" in said


def test_several_results_are_panels_called_by_what_tells_them_apart(prediction, held, crossing):
    other = roofsim.predict("Falcon-H1-0.5B", DEVICE, prompt=2048)
    made = plots.roofline(prediction, other)
    assert [axes.get_title(loc="left") for axes in made.axes] == ["prompt 1,024", "prompt 2,048"]
    one, two, three = (roofsim.limits(model, DEVICE, lengths=[512]) for model in ("mamba-130m", *MODELS[:2]))
    titles = [axes.get_title(loc="left") for axes in plots.limits(one, two, three, three).axes]
    assert titles == ["mamba-130m (1)", "Qwen2.5-0.5B (2)", "mamba2-780m (3)", "mamba2-780m (4)"]
    memory = roofsim.crossover(*MODELS[:2], device=DEVICE, metric="memory", longest=4096)
    with pytest.raises(roofsim.InputError, match="others: crossovers of the same metric"):
        plots.crossover(crossing, memory)
    both = plots.crossover(memory, roofsim.crossover(*MODELS[:2], device="rtx-4090", metric="memory", longest=4096))
    assert [axes.get_title(loc="left") for axes in both.axes] == ["jetson-orin-nano-8gb@maxn", "rtx-4090"]
    with pytest.raises(roofsim.InputError, match="room for 12 cases, not for 13"):
        panels(13, 3.0, 0.0)


MACHADO = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""What eyes that lack a kind of cones make of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1)."""


def linear(colour):
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    """Ottosson 2020."""
    cones = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
             [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
    mixed = [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
             [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    return np.array(mixed) @ np.cbrt(np.array(cones) @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize(("palette", "ground"), [(LIGHT, GROUND), (DARK, DARK_GROUND)], ids=["light", "dark"])
def test_colours_can_be_told_apart_by_everyone_and_from_the_ground(palette, ground):
    for matrix in (np.eye(3), *map(np.array, MACHADO.values())):
        seen = [oklab(matrix @ linear(colour)) for colour in palette]
        # 0.02 is what can just be noticed
        assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 0.07
    light = np.array([0.2126, 0.7152, 0.0722])
    for colour in palette:
        low, high = sorted(float(light @ linear(each)) for each in (colour, ground))
        assert (high + 0.05) / (low + 0.05) > 2.2


def test_looks_differ_for_more_names_than_there_are_colours():
    with look("light"):
        found = looks(str(i) for i in range(28))
    assert len({(each.colour, each.dashes) for each in found.values()}) == 28


@pytest.mark.parametrize(
    ("unit", "low", "high"),
    [("s", 1e-6, 1e7), ("s", 0.03, 0.07), ("B", 1, 2**50), ("B", 2**30, 1.9 * 2**30), ("FLOP/s", 1e8, 1e15), ("", 3, 4),
     ("J", 0.9, 12), ("", 1, 1e6)],
)  # fmt: skip
@pytest.mark.parametrize("log", [True, False])
def test_an_axis_has_round_labels_that_do_not_touch(unit, low, high, log):
    with look("light"):
        figure, axes = subplots(figsize=(3.0, 2.5))
        for which in ("x", "y"):
            quantities(axes, which, unit, low, high, log=log)
    figure.draw_without_rendering()
    labels = [(text, box) for text, box in words(figure) if not text.isspace()]
    assert len(labels) >= 2
    assert not any(a.overlaps(b) for (_, a), (_, b) in combinations(labels, 2) if a.width > 0)


def test_labels_are_parted_by_as_little_as_that_takes():
    assert list(apart(np.array([0.0, 50.0]), 10, 0, 100)) == [0, 50]
    assert list(apart(np.array([40.0, 40.0, 40.0]), 10, 0, 100)) == [30, 40, 50]
    assert list(apart(np.array([98.0, 99.0]), 10, 0, 100)) == [90, 100]
    assert list(apart(np.array([0.0, 1.0]), 10, 0, 100)) == [0, 10]


def test_lines_break_at_blanks():
    assert wrapped("a long line of words", 8, 1e6) == ["a long line of words"]
    assert wrapped("a long line of words", 8, 40) == ["a long", "line of", "words"]
    assert wrapped("unbreakable", 8, 1) == ["unbreakable"]


def test_ticks_say_minutes_hours_and_days():
    assert [tick(n, "s") for n in (0.5, 60, 7200, 90)] == ["500 ms", "1 min", "2 h", "90 s"]


def test_a_number_of_tokens_is_said_short_where_that_is_all_of_it():
    said = [tokens(n) for n in (16, 1000, 1024, 1280, 3000, 65536, 2**20, 1.5 * 2**20)]
    assert said == ["16", "1,000", "1k", "1.25k", "3,000", "64k", "1M", "1536k"]


def test_a_length_alone_has_a_width():
    axes = plots.limits(roofsim.limits("mamba-130m", DEVICE, lengths=[1024])).axes[0]
    assert axes.get_xlim() == (pytest.approx(1024 / 2**0.5), pytest.approx(1024 * 2**0.5))
    assert list(axes.get_xticks()) == [1024]
    assert all(np.ptp(path.vertices[:, 0]) > 0 for each in axes.collections for path in each.get_paths())


def test_words_stay_words_in_a_file_and_the_same_figure_gives_the_same_bytes(drawn, tmp_path):
    for name in ("one", "two"):
        plots.save(drawn["roofline"], tmp_path / f"{name}.svg")
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    for word in ("ssm.scan", "Operators on the roofline", "1% of device time"):
        assert f">{word}</text>" in text


def test_a_device_of_ones_own_is_called_as_its_rows_call_it():
    assert captions.called("device", "my-box") == "my-box"
    assert captions.called("device", "rtx-4090") == "NVIDIA GeForce RTX 4090"
