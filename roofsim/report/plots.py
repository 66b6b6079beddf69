"""Figures, as a paper could print them. The one importer of matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, MultipleLocator, NullFormatter

from roofsim.engine.roofline import Machine
from roofsim.foundation import units, writing
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.intervals import Interval
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.results import PassPrediction
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import MISFIT, beyond, interval_label
from roofsim.specs.workload import Workload
from roofsim.studies.crossover import Comparison, Pair
from roofsim.studies.limits import PARTS, LimitsResult

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito's palette: told apart by people with any colour vision."""

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "roofsim",
    "pdf.fonttype": 42,
}
GIB = 2**30


class Drawn(Figure):
    """A figure that a notebook shows as it is. It is no part of pyplot, whose windows and backend stay the user's."""

    def _repr_png_(self) -> bytes:
        stream = BytesIO()
        with rc_context(STYLE):
            self.savefig(stream, format="png", dpi=SCREEN, bbox_inches="tight")
        return stream.getvalue()


SCREEN = 110
"""Dots per inch of a figure in a notebook."""


def subplots(
    down: int = 1, across: int = 1, *, figsize: tuple[float, float], layout: Literal["constrained"] | None = None,
    **options: Any,
) -> tuple[Drawn, Any]:  # fmt: skip
    """A figure of so many inches, and its axes; `options` are those of matplotlib's `Figure.subplots`."""
    figure = Drawn(figsize=figsize, layout=layout)
    return figure, figure.subplots(down, across, **options)


def save(figure: Figure, path: str) -> None:
    """Write a figure in the format of the path's ending; the file appears whole or not at all."""
    ending = Path(path).suffix.lower().removeprefix(".")
    # no date in the file: the same input gives the same bytes
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with writing.whole(path) as partial, rc_context(STYLE):
        figure.savefig(partial, format=ending, dpi=200, bbox_inches="tight", metadata=undated.get(ending))


def tick(value: float, unit: str) -> str:
    """A quantity on an axis: as elsewhere, but that long times stay seconds, of which the powers of ten are round."""
    long = unit in units.SPOKEN and abs(value) >= 1000
    return units.show(value, unit) if unit and not long else f"{units.significant(value)} {unit}".rstrip()


def ticks(axis: Any, unit: str) -> None:
    """Label an axis with quantities in a unit."""
    axis.set_major_formatter(FuncFormatter(lambda v, _: tick(v, unit)))
    axis.set_minor_formatter(NullFormatter())


def _lengths(axes: Axes, low: float, high: float) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    axes.set_xlabel("prompt length (tokens)")
    axes.xaxis.set_major_formatter(FuncFormatter(tokens))


def tokens(value: float, _: object = None) -> str:
    """A number of tokens as an axis says it: 64k."""
    return f"{value / 1024:g}k" if value >= 1024 else f"{value:g}"


def crossover(comparisons: Sequence[Comparison], device: str, runtime: str) -> Figure:
    """One panel per pair (and runtime): the metric over length, crossings marked, curves dashed where memory ends."""
    with rc_context(STYLE):
        several = len(comparisons) > 1
        panels = [
            (pair, c.runtime if several else "", interval_label(c.calibration))
            for group in zip(*(c.pairs for c in comparisons), strict=True)
            for pair, c in zip(group, comparisons, strict=True)
        ]
        pairs = [pair for pair, *_ in panels]
        across = min(len(pairs), 2)
        down = -(-len(pairs) // across)
        figure, grid = subplots(
            down, across, figsize=(3.6 * across if across > 1 else 4.8, 2.7 * down + 0.4), squeeze=False
        )
        for axes, (pair, title, label) in zip(grid.flat, panels, strict=False):
            _pair(axes, pair, label)
            axes.set_title(title, fontsize=8, pad=8 + 7 * min(max(len(pair.crossings), 1), 3))
        for axes in list(grid.flat)[len(pairs) :]:
            axes.set_visible(False)
        what = METRICS[pairs[0].metric].words
        figure.suptitle(f"{what.capitalize()} on {device}\n{runtime}", fontsize=9.5)
        figure.tight_layout(rect=(0, 0.3 / figure.get_figheight(), 1, 1))
        _marks(figure, pairs)
        return figure


def _marks(figure: Figure, pairs: Sequence[Pair]) -> None:
    """What the marks of all panels mean, below them."""
    grey: Any = {"color": "0.3", "mew": 1.5}
    drawn: list[Any] = [Line2D([], [], marker="x", ms=5, ls=(0, (1, 2)), label="out of memory", **grey)]
    if any(window for pair in pairs for window in pair.context_window.values()):
        drawn.append(Line2D([], [], marker="|", ms=9, ls="none", label="context window", **grey))
    if any(pair.crossings for pair in pairs):
        drawn.append(Patch(color=COLOURS[4], alpha=0.35, lw=0, label="95 % interval of the crossing"))
    figure.legend(handles=drawn, loc="lower center", ncols=len(drawn), fontsize=7)


def _pair(axes: Axes, pair: Pair, band: str) -> None:
    lengths = pair.lengths
    last = max(min(max(pair.max_prompt.values()), lengths[-1]), lengths[0] * 4)
    shown = [i for i, n in enumerate(lengths) if SHORTEST_SHOWN <= n <= last * 2]
    if len(shown) < 2:
        shown = list(range(len(lengths)))
    low, high = lengths[shown[0]], lengths[shown[-1]]
    for side, name, colour in (("a", pair.a, COLOURS[0]), ("b", pair.b, COLOURS[1])):
        end, values = pair.max_prompt[side], pair.values[side]
        inside = [i for i in shown if lengths[i] <= end]
        low_end, high_end = zip(*(pair.bands[side][i] for i in shown), strict=True)
        axes.fill_between([lengths[i] for i in shown], low_end, high_end, color=colour, alpha=0.12, lw=0)
        outside = [i for i in shown if lengths[i] >= (lengths[inside[-1]] if inside else 0)]
        axes.plot([lengths[i] for i in inside], [values[i] for i in inside], color=colour, lw=1.6, label=name)
        axes.plot([lengths[i] for i in outside], [values[i] for i in outside], color=colour, lw=1, ls=(0, (1, 2)))
        if inside and end < high:
            axes.plot(lengths[inside[-1]], values[inside[-1]], marker="x", color=colour, ms=6, mew=1.6)
    axes.fill_between([], [], [], color="0.5", alpha=0.25, lw=0, label=band)
    drawn = [c for c in pair.crossings if low <= c.length <= high]
    for first, last in dict.fromkeys(c.interval for c in drawn):
        axes.axvspan(max(first, low), min(last, high), color=COLOURS[4], alpha=0.22, lw=0, zorder=0)
    for side, colour in (("a", COLOURS[0]), ("b", COLOURS[1])):
        window = pair.context_window[side]
        if window and low < window < high:
            height = float(np.interp(window, lengths, pair.values[side]))
            axes.plot(window, height, marker="|", color=colour, ms=10, mew=1.6, ls="none")
    for number, crossing in enumerate(drawn):
        axes.axvline(crossing.length, color="0.35", lw=0.8, ls="--")
        axes.annotate(f"{crossing.length:,}", (crossing.length, 1.0), xycoords=("data", "axes fraction"),
                      fontsize=6.5, xytext=(0, 2 + 7 * (number % 3)), textcoords="offset points", color="0.25",
                      ha="center", annotation_clip=False)  # fmt: skip
    _lengths(axes, low, high)
    row = METRICS[pair.metric]
    name, unit = row.words, row.unit
    axes.set_yscale("log", base=2 if unit == "B" else 10)
    axes.set_ylabel(name)
    ticks(axes.yaxis, unit)
    bottom, top = axes.get_ylim()
    if unit != "B" and top / bottom < 30:
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.legend(fontsize=7, loc="best", frameon=True, framealpha=0.9, edgecolor="none")


SHORTEST_SHOWN = 256
"""Shorter prompts are left out of a figure: every curve is flat there."""


def roofline(
    model: str, device: str, m: Machine, dtypes: Sequence[str],
    passes: Sequence[tuple[str, PassPrediction, Sequence[Interval]]], calibration: str | None,
) -> Figure:  # fmt: skip
    """Each operator at its arithmetic intensity and the rate it reaches with its interval, under the device's roofs.

    `dtypes` are that of the activations and those of narrower units that compute products; `passes` their names,
    their figures, and the 95 % intervals of the times of their operators, which rest on `calibration` or on priors.
    """
    with rc_context(STYLE):
        figure, axes = subplots(figsize=(6.2, 4.2))
        low, high = 0.1, 1e4
        intensity = [low * (high / low) ** (i / 200) for i in range(201)]
        peaks = [float(m.matrix_rate), *(float(m.rate(unit)) for unit in dtypes[1:])]
        peak, vector, bandwidth = max(peaks), float(m.vector_rate), float(m.bandwidth)
        roofs = [(rate, f"{dtype} matrix peak") for rate, dtype in zip(peaks, dtypes, strict=True)]
        for rate, label in (*roofs, (vector, "fp32 vector peak")):
            axes.plot(intensity, [min(rate, bandwidth * x) for x in intensity], color="0.2", lw=1.2)
            axes.annotate(f"{label}, {units.show(rate, 'FLOP/s')}", (high, rate), fontsize=7, ha="right", va="bottom")
        fastest = bandwidth * float(m["cache_speed"])
        axes.plot(intensity, [min(peak, fastest * x) for x in intensity], color="0.5", lw=0.9, ls="--")
        axes.plot([], [], color="0.2", lw=1.2, label=f"memory, {units.show(bandwidth, 'B/s')}")
        axes.plot([], [], color="0.5", lw=0.9, ls="--", label=f"cache, {units.show(fastest, 'B/s')}")
        markers = {"prefill": "o", "decode": "^"}
        points: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        for phase, p, within in passes:
            for o, (quick, slow) in zip(p.operators, within, strict=True):
                moved = o.bytes_weights + o.bytes_activations + o.bytes_state
                work = o.matrix_flops + o.vector_flops
                if moved and work and o.time:
                    point = work / moved, work / o.time, 12 + 400 * o.time / p.device_time
                    x, y, area = map(float, point)
                    axes.plot([x, x], [float(work) / slow, float(work) / quick], color="0.3", lw=0.8, zorder=3)
                    points.setdefault((o.kind, phase), []).append((x, y, area))
        kinds = sorted({kind for kind, _ in points})
        for (kind, phase), found in points.items():
            xs, ys, areas = zip(*found, strict=True)
            colour = COLOURS[kinds.index(kind) % len(COLOURS)]
            axes.scatter(xs, ys, s=areas, marker=markers[phase], color=colour, alpha=0.75, lw=0)
        for i, kind in enumerate(kinds):
            axes.scatter([], [], color=COLOURS[i % len(COLOURS)], label=kind, s=20)
        for phase, _, _ in passes:
            axes.scatter([], [], color="0.5", marker=markers[phase], label=phase, s=20)
        axes.plot([], [], color="0.3", mew=0.8, marker="|", ms=7, ls="none", label=interval_label(calibration))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(low, high)
        slowest = min(rate for found in points.values() for _, rate, _ in found)
        axes.set_ylim(min(peak / 1e5, slowest / 2), peak * 2)
        ticks(axes.yaxis, "FLOP/s")
        axes.set_xlabel("arithmetic intensity (FLOP/B of the model's traffic)")
        axes.set_ylabel("rate reached")
        axes.set_title(f"{model} on {device}\narea: share of device time", fontsize=9)
        axes.legend(fontsize=7, loc="lower right", ncols=2)
        return figure


def timeline(s: Setup, w: Workload) -> Figure:
    """What is alive over the operators of a prefill; equal layers are drawn once."""
    with rc_context(STYLE):
        e = Evaluation(s, w)
        building, *others = e.timeline
        steps = [building, *others] if building.masks else others
        figure, axes = subplots(figsize=(max(5.4, 0.17 * len(steps)), 3.6))
        scores = [float(step.logits) / GIB for step in steps]
        masks = [float(step.masks) / GIB for step in steps]
        live = [float(step.activations) / GIB for step in steps]
        places = range(len(steps))
        axes.bar(places, live, color=COLOURS[0], width=0.85, label="activations")
        if any(scores):
            axes.bar(places, scores, bottom=live, color=COLOURS[3], width=0.85, label="logits")
        if any(masks):
            axes.bar(places, masks, bottom=live, color=COLOURS[4], width=0.85, label="masks")
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


def memory(r: LimitsResult, device: str, runtime: str) -> Figure:
    """Peak memory by part over prompt length, with what the device has and the longest prompt that fits."""
    with rc_context(STYLE):
        figure, axes = subplots(figsize=(5.4, 3.4))
        lengths = [each.prompt for each in r.at]
        parts = {part: [getattr(each.memory, part) for each in r.at] for part in PARTS}
        shown = {part: values for part, values in parts.items() if any(values)}
        axes.stackplot(
            lengths,
            [[v / GIB for v in values] for values in shown.values()],
            labels=list(shown),
            colors=COLOURS,
            alpha=0.85,
        )
        axes.axhline(r.room.bytes / GIB, color="0.2", lw=1, ls="--")
        axes.annotate(f"memory: {r.room.words}", (lengths[-1], r.room.bytes / GIB), fontsize=7,
                      va="bottom", ha="right")  # fmt: skip
        longest, (fewest, most) = r.limits.max_prompt, r.intervals["max_prompt"]
        end: float = max(lengths[-1], lengths[0] + 1)
        if lengths[0] <= longest <= end:
            axes.axvline(longest, color="0.2", lw=1, ls=":", label=f"longest prompt, {longest:,}")
            axes.axvspan(fewest, most, color="0.2", alpha=0.3, lw=0.5, label=interval_label(r.calibration))
            end = max(end, most)
        axes.set_xlim(lengths[0], end)
        axes.set_xlabel("prompt length (tokens)")
        axes.xaxis.set_major_formatter(FuncFormatter(tokens))
        axes.xaxis.set_major_locator(MultipleLocator(2 ** max(round(math.log2(lengths[-1] / 6)), 7)))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 4, 8]))
        axes.set_ylim(0, max(r.room.bytes, max(float(each.memory.peak) for each in r.at)) * 1.1 / GIB)
        axes.set_ylabel("peak memory of a prefill (GiB)")
        axes.set_title(f"{r.model} on {device}\n{runtime}", fontsize=9)
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0.01, 0.88), reverse=True, frameon=True)
        return figure
