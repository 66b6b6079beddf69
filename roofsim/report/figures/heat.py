"""A figure over two numbers."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from roofsim.explore.sensitivity import HeatMap
from roofsim.report.figures.numbers import number_axis, text
from roofsim.report.figures.style import colours, look, subplots
from roofsim.report.theme import Theme


def heat(r: HeatMap, device: str, runtime: str, *, theme: Theme = "light") -> Figure:
    """A figure over two numbers, with lines of equal values and a mark where both are now."""
    down, across = r.axes
    values = np.array(r.values)
    with look(theme):
        figure, axes = subplots(figsize=(5.6, 4.2))
        logs = np.log10(values)
        mesh = axes.pcolormesh(across.values, down.values, logs, shading="gouraud", cmap="cividis", rasterized=True)
        lines = axes.contour(
            across.values, down.values, logs, levels=7, colors="white", linewidths=0.8, negative_linestyles="solid"
        )
        axes.clabel(lines, fmt=lambda level: text(10.0**level, r.unit), fontsize=6.5)
        axes.grid(visible=False)
        for axis, spread in ((axes.xaxis, across), (axes.yaxis, down)):
            number_axis(axes, axis.axis_name, spread)
        inside = all(min(axis.values) <= axis.now <= max(axis.values) for axis in r.axes)
        if inside:
            axes.plot(
                across.now,
                down.now,
                marker="o",
                ms=7,
                mfc="none",
                mec=colours()[1],
                mew=1.8,
                ls="none",
                label="now",
                clip_on=False,
                zorder=5,
            )
            axes.legend(fontsize=7, loc="upper left", frameon=True)
        bar = figure.colorbar(mesh, ax=axes, format=FuncFormatter(lambda level, _: text(10.0**level, r.unit)))
        bar.set_label(r.words)
        bar.ax.tick_params(labelsize=7)
        axes.set_title(f"{r.model} on {device}\n{runtime}", fontsize=9)
        return figure
