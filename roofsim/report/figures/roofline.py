"""Operators on the roofline of a device."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from roofsim.engine.roofline import Machine
from roofsim.foundation import units
from roofsim.prediction.intervals import Interval
from roofsim.prediction.results import PassPrediction
from roofsim.prediction.words import interval_label
from roofsim.report.figures.style import colours, look, subplots, ticks
from roofsim.report.theme import Theme


def roofline(
    model: str, device: str, m: Machine, dtypes: Sequence[str],
    passes: Sequence[tuple[str, PassPrediction, Sequence[Interval]]], calibration: str | None,
    *, theme: Theme = "light",
) -> Figure:  # fmt: skip
    """Each operator at its arithmetic intensity and the rate it reaches with its interval, under the device's roofs.

    `dtypes` are that of the activations and those of narrower units that compute products; `passes` their names,
    their figures, and the 95 % intervals of the times of their operators, which rest on `calibration` or on priors.
    """
    with look(theme):
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
            colour = colours()[kinds.index(kind) % len(colours())]
            axes.scatter(xs, ys, s=areas, marker=markers[phase], color=colour, alpha=0.75, lw=0)
        for i, kind in enumerate(kinds):
            axes.scatter([], [], color=colours()[i % len(colours())], label=kind, s=20)
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
