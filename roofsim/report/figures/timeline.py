"""What is alive over the operators of a prefill."""

from __future__ import annotations

from matplotlib.figure import Figure

from roofsim.foundation import units
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import MISFIT, beyond
from roofsim.report.figures.style import colours, look, subplots
from roofsim.report.theme import Theme
from roofsim.specs.workload import Workload

GIB = 2**30


def timeline(s: Setup, w: Workload, *, theme: Theme = "light") -> Figure:
    """What is alive over the operators of a prefill; equal layers are drawn once."""
    with look(theme):
        e = Evaluation(s, w)
        building, *others = e.timeline
        steps = [building, *others] if building.masks else others
        figure, axes = subplots(figsize=(max(5.4, 0.17 * len(steps)), 3.6))
        scores = [float(step.logits) / GIB for step in steps]
        masks = [float(step.masks) / GIB for step in steps]
        live = [float(step.activations) / GIB for step in steps]
        places = range(len(steps))
        axes.bar(places, live, color=colours()[0], width=0.85, label="activations")
        if any(scores):
            axes.bar(places, scores, bottom=live, color=colours()[3], width=0.85, label="logits")
        if any(masks):
            axes.bar(places, masks, bottom=live, color=colours()[4], width=0.85, label="masks")
        axes.legend(fontsize=7, loc="upper center", frameon=True, edgecolor="none")
        axes.set_xticks(range(len(steps)), [step.operator for step in steps], rotation=90, fontsize=6)
        for i, step in enumerate(steps):
            if i == 0 or step.layer != steps[i - 1].layer:
                axes.axvline(i - 0.5, color="0.6", lw=0.7)
                if step.layer in ("", "embedding"):
                    continue
                axes.annotate(step.layer, (i - 0.4, 1.01), xycoords=("data", "axes fraction"), fontsize=7)
        axes.set_ylabel("alive beside weights and state (GiB)")
        axes.set_xlim(-0.6, len(steps) - 0.4)
        base = units.show(float(e.memory.weights + steps[-1].state), "B")
        misfit = [each for each in beyond(e) if each.startswith(MISFIT)]
        held = f"{w.prompt:,} tokens; peak {units.show(float(e.memory.peak), 'B')} with {base} of weights and state"
        axes.set_title(
            "\n".join([*misfit, f"{s.architecture.id} on {s.device.id}, {held}"]),
            fontsize=8, pad=16,
        )  # fmt: skip
        return figure
