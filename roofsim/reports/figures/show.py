"""What a model is made of and what it holds; how fast devices compute and move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from roofsim.foundation import units
from roofsim.foundation.errors import InputError
from roofsim.model.architecture import Architecture
from roofsim.reports.figures.labels import Label, among, at_ends, settle, spread
from roofsim.reports.figures.style import colours, heading, ink, look, looks, quantities, subplots
from roofsim.reports.figures.style import lengths as length_axis
from roofsim.reports.theme import Theme
from roofsim.specs.device import Device
from roofsim.specs.workload import workload

PARTS: Mapping[str, tuple[str, int]] = {
    "attention": ("attention", 1), "ssm": ("state-space layers", 2), "mlp": ("dense layers", 0), "moe": ("experts", 3),
    "norm": ("norms", 4), "embedding": ("embedding", 5), "lm_head": ("output", 6),
}  # fmt: skip
"""Kinds of parameters: what they are called, and their colour."""

SHORTEST, LONGEST = 128, 2**17
"""Tokens that a sequence holds, over which the state is drawn."""

INTENSITY = (0.25, 4096.0)
"""FLOP/B over which roofs are drawn."""


def show(kind: str, specs: Sequence[Any], dtype: str, *, theme: Theme = "light") -> Figure:
    """The figure of models or of devices by their kind in the library; raises InputError for other specs."""
    if kind == "models":
        return models(specs, dtype, theme=theme)
    if kind == "hardware":
        return devices(specs, theme=theme)
    raise InputError("--plot: models and devices are drawn, no clusters, runtimes, hosts and calibrations")


def models(found: Sequence[Architecture], dtype: str, *, theme: Theme = "light") -> Figure:
    """Parameters of models by kind, and the bytes of state that a sequence of theirs holds over its tokens."""
    precision = workload(dtype=dtype).precision()
    with look(theme):
        figure, (left, right) = subplots(1, 2, figsize=(8.6, max(2.9, 0.34 * len(found) + 2.2)))
        _parameters(left, found)
        kept = looks([each.id or each.name for each in found])
        along = np.unique(np.geomspace(SHORTEST, LONGEST, 61).round())
        labels, every = [], []
        for each in found:
            name = each.id or each.name
            held = [float(each.state_bytes(n, precision)) for n in along]
            every += held
            right.plot(along, held, color=kept[name].colour, ls=kept[name].dashes, label=name)
            labels.append(Label(float(along[40]), held[40], name, kept[name].colour))
        length_axis(right, SHORTEST, LONGEST, "tokens that a sequence holds")
        quantities(right, "y", "B", min(every) / ROOM, max(every) * ROOM, log=True)
        right.set_title(f"state of a sequence, {dtype}")
        handles, _ = left.get_legend_handles_labels()
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
        what = ", ".join(each.name for each in found) if len(found) < 4 else f"{len(found)} models"
        heading(figure, "What a model is made of, and what it holds" if len(found) == 1 else
                "What models are made of, and what they hold", what)  # fmt: skip
        settle(figure)
        if len(found) > 1:
            places = np.column_stack([np.tile(along, len(found)), every])
            among(right, labels, places, must=False)
        return figure


def _parameters(axes: Axes, found: Sequence[Architecture]) -> None:
    """Parameters of each model, a bar of its kinds, and how many a token uses where those are fewer."""
    names = [each.id or each.name for each in found]
    left = np.zeros(len(found))
    by_kind = [each.parameters for each in found]
    for kind, (words, place) in PARTS.items():
        values = np.array([float(each.get(kind, 0)) for each in by_kind])
        if values.any():
            axes.barh(names, values, left=left, height=0.6, color=colours()[place], label=words)
        left = left + values
    for place, each in enumerate(found):
        active = each.active_parameters
        said = units.short_count(each.total_parameters)
        if active != each.total_parameters:
            axes.plot([active, active], [place - 0.38, place + 0.38], color=ink(), lw=1.6)
            said += f", {units.short_count(active)} a token"
        axes.annotate(said, (left[place], place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7.5)
    axes.set_xlim(0, 1.35 * left.max())
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: units.short_count(x)))
    axes.xaxis.set_major_locator(_few())
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title("parameters")


ROOM = 3
"""By what factor the axis of states goes on beyond them: many are constant."""


def _few() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def devices(found: Sequence[Device], *, theme: Theme = "light") -> Figure:
    """The roofs of devices: of one every peak that it states, of several that of the dtype they compute in."""
    with look(theme):
        figure, axes = subplots(figsize=(7.6, 4.2))
        along = np.geomspace(*INTENSITY, 200)
        roofs = _roofs(found)
        bandwidths = [float(device.memory.bandwidth.value) for device, _, _ in roofs]
        peaks = [peak for _, _, peak in roofs]
        palette = looks([name for _, name, _ in roofs])
        quantities(axes, "y", "FLOP/s", min(bandwidths) * INTENSITY[0], 3 * max(peaks), log=True)
        labels = []
        for (_, name, peak), bandwidth in zip(roofs, bandwidths, strict=True):
            each = palette[name]
            axes.plot(along, np.minimum(peak, bandwidth * along), color=each.colour, ls=each.dashes, lw=1.6)
            ridge = peak / bandwidth
            axes.plot([ridge], [peak], marker="o", ms=4, color=each.colour, ls="none")
            labels.append(Label(INTENSITY[1], peak, f"{name}, {units.show(peak, 'FLOP/s')}", each.colour))
        axes.set_xscale("log", base=2)
        axes.set_xlim(*INTENSITY)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.set_xlabel("arithmetic intensity (FLOP/B)")
        axes.set_ylabel("rate at most")
        ends = at_ends(axes, labels)
        memory = ", ".join(f"{d.name}: {units.show(float(d.capacity), 'B')} at {units.show(float(b), 'B/s')}"
                           for d, b in {d.id: (d, d.memory.bandwidth.value) for d in found}.values())  # fmt: skip
        heading(figure, "Roofs of a device" if len(found) == 1 else "Roofs of devices", memory)
        settle(figure)
        spread(axes, ends)
        return figure


def _roofs(found: Sequence[Device]) -> list[tuple[Device, str, float]]:
    """Each device with what a roof of it is called, and its height."""
    if len(found) > 1:
        return [(each, f"{each.name}\n{each.default_dtype}", float(each.matrix_peak(each.default_dtype)))
                for each in found]  # fmt: skip
    (device,) = found
    alike: dict[tuple[str, float], list[str]] = {}
    for unit in ("matrix", "vector"):
        for dtype, rate in getattr(device.peak, unit).items():
            alike.setdefault((unit, float(rate.value)), []).append(dtype)
    return [(device, f"{', '.join(dtypes)} {unit} unit", peak) for (unit, peak), dtypes in alike.items()]
