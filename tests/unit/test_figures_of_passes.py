"""Figures of passes draw the numbers of the result, whole, and say of what."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from seen import readable, texts

import roofsim
from roofsim import plots
from roofsim.prediction.evaluation import Evaluation
from roofsim.studies.breakdown import breakdown
from roofsim.studies.energies import PARTS, energies

LENGTHS = [512, 2048, 8192]


@pytest.fixture(scope="module")
def prediction():
    return roofsim.predict("Zamba2-1.2B", "rtx-4090", prompt=2048)


def areas(axes):
    """The heights of the areas of axes at the lengths, by their names."""
    found = {}
    for each in axes.collections:
        (path,), name = each.get_paths(), each.get_label()
        if not name.startswith("_"):
            points = {x: sorted(y for a, y in path.vertices if a == x) for x in LENGTHS}
            found[name] = [ys[-1] - ys[0] for ys in points.values()]
    return found


def test_areas_of_time_are_the_shares_of_the_breakdown_and_fill_the_axes(prediction):
    figure = readable(plots.breakdown(prediction, lengths=LENGTHS))
    b = breakdown(prediction.on, prediction.workload, LENGTHS)
    for row, name in enumerate(("prefill", "decode")):
        times, device, both = figure.axes[3 * row : 3 * row + 3]
        drawn = {line.get_label(): list(line.get_ydata()) for line in times.lines}
        assert drawn["on the clock"] == [at.time for at in b.passes[name]]
        assert drawn["host busy"] == [at.host_time for at in b.passes[name]]
        for kind, heights in areas(device).items():
            assert heights == pytest.approx([at.kinds[kind].device / at.device_time for at in b.passes[name]])
        for axes in (device, both):
            assert np.sum(list(areas(axes).values()), axis=0) == pytest.approx(np.ones(3))


def test_the_ground_is_shaded_where_the_host_takes_longer(prediction):
    figure = plots.breakdown(prediction, lengths=LENGTHS)
    b = breakdown(prediction.on, prediction.workload, LENGTHS)
    for axes, name in ((figure.axes[0], "prefill"), (figure.axes[3], "decode")):
        spans = [patch.get_extents().transformed(axes.transData.inverted()) for patch in axes.patches]
        for at in b.passes[name]:
            inside = any(span.x0 - 1e-6 <= at.prompt <= span.x1 + 1e-6 for span in spans)
            assert inside is (at.host_time > at.device_time)
    before, after = (at.host_time / at.device_time for at in b.passes["prefill"][:2])
    assert before > 1 > after
    even = 512 * 4 ** (np.log(before) / np.log(before / after))  # on a straight line between two lengths
    said = f"launch-bound: prefill up to about {float(f'{even:.2g}'):,.0f} tokens, decode step throughout"
    assert said in texts(figure)


def test_areas_of_energy_are_its_parts_and_the_line_is_their_sum(prediction):
    figure = readable(plots.energy(prediction, lengths=LENGTHS))
    e = energies(prediction.on, prediction.workload, LENGTHS)
    for axes, found in zip(figure.axes, e.passes.values(), strict=True):
        drawn = areas(axes)
        for part in PARTS:
            assert drawn[part] == pytest.approx([at.parts[part] for at in found])
        *ends, line = [list(each.get_ydata()) for each in axes.lines if len(each.get_ydata()) == len(LENGTHS)]
        assert line == [at.energy for at in found]
        assert ends == [[at.interval[side] for at in found] for side in (0, 1)]


def test_one_length_fills_the_axes_and_several_prompts_are_the_lengths(prediction):
    figure = readable(plots.breakdown(prediction, lengths=[1024]))
    low, high = figure.axes[1].get_xlim()
    assert low < 1024 < high
    figure = plots.energy(roofsim.predict("mamba2-780m", "orin", prompt=[512, 1024]))
    assert figure.axes[0].get_xlim() == (512, 1024)
    with pytest.raises(roofsim.InputError, match="batch: a figure over prompt length is of one"):
        plots.energy(roofsim.predict("mamba2-780m", "orin", batch=[1, 2]))


def test_steps_of_memory_are_what_is_held_at_each_operator():
    p = roofsim.predict("Qwen2.5-0.5B", "orin", prompt=32768)
    figure = readable(plots.memory(p))
    steps = Evaluation(p.on, p.workload).timeline
    tops = np.max([each.get_data().values for each in figure.axes[0].patches], axis=0)
    assert tops == pytest.approx([step.state + step.activations + step.logits + step.masks for step in steps])
    assert max(tops) == pytest.approx(p.memory.peak - p.memory.weights - p.memory.workspace)
    said = texts(figure)
    for word in ("decoder ×24", "peak 10.6 GiB", "Does not fit", "room beside the weights", "building the mask"):
        assert word in said


def test_bars_of_an_attribution_lead_from_one_figure_to_the_other():
    one, other = (roofsim.predict("Qwen2.5-0.5B", "orin", each, prompt=32768) for each in ("ssm-scope", "ideal"))
    figure = readable(plots.attribution(one, other))
    for axes, name in zip(figure.axes, ("ttft", "tpot"), strict=False):
        bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
        assert bars[0] == (0, pytest.approx(getattr(one.request, name)))
        assert bars[-1] == (0, pytest.approx(getattr(other.request, name)))
        for before, after in pairwise(bars[:-1]):
            assert max(before[0], after[0]) <= min(before[1], after[1]) * (1 + 1e-9)  # one begins where another ends
    assert "declared window → never" in texts(figure)


def test_an_attribution_is_of_one_model_device_and_request():
    one = roofsim.predict("Qwen2.5-0.5B", "orin")
    for other in (one.with_(device="rtx-4090"), one.with_(prompt=2048), one.with_(model="mamba2-780m")):
        with pytest.raises(roofsim.InputError, match="same model, device and request"):
            plots.attribution(one, other)
    with pytest.raises(roofsim.InputError, match="at least one"):
        plots.attribution(one)


@pytest.mark.parametrize(("kind", "theme"), [("breakdown", "dark"), ("memory", "light"), ("energy", "dark")])
def test_every_figure_says_of_what_it_is(prediction, kind, theme):
    over = {} if kind == "memory" else {"lengths": LENGTHS}
    said = texts(getattr(plots, kind)(prediction, theme=theme, **over))
    for word in ("Zamba2-1.2B", "NVIDIA GeForce RTX 4090", "transformers 4.52", "bf16 weights", "batch 1"):
        assert word in said
