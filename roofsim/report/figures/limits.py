"""Memory over the length of the prompt."""

from __future__ import annotations

import math

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from roofsim.prediction.words import interval_label
from roofsim.report.figures.style import colours, look, subplots, tokens
from roofsim.report.theme import Theme
from roofsim.studies.limits import PARTS, LimitsResult

GIB = 2**30


def limits(r: LimitsResult, device: str, runtime: str, *, theme: Theme = "light") -> Figure:
    """Peak memory by part over prompt length, with what the device has and the longest prompt that fits."""
    with look(theme):
        figure, axes = subplots(figsize=(5.4, 3.4))
        lengths = [each.prompt for each in r.at]
        parts = {part: [getattr(each.memory, part) for each in r.at] for part in PARTS}
        shown = {part: values for part, values in parts.items() if any(values)}
        axes.stackplot(
            lengths,
            [[v / GIB for v in values] for values in shown.values()],
            labels=list(shown),
            colors=colours(),
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
