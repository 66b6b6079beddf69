"""Where the time goes over prompt length: by kind of operator, on the device and on the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import log
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from roofsim.prediction.setup import Setup
from roofsim.reports.figures.about import case
from roofsim.reports.figures.areas import name_areas, stacked
from roofsim.reports.figures.scales import over_lengths, widened
from roofsim.reports.figures.style import colours, heading, ink, look, quantities, subplots
from roofsim.reports.theme import Theme
from roofsim.specs.workload import Workload
from roofsim.studies.breakdown import Breakdown, OfKind, PassAt

KINDS: Mapping[str, tuple[str, int, float]] = {
    "gemm": ("matrix products", 0, 0), "attention": ("attention", 1, 0), "scan": ("scan", 2, 0),
    "conv": ("convolution", 5, 0), "norm": ("norms", 3, 0), "pointwise": ("element-wise", 4, 0),
    "routing": ("routing", 3, 0.5), "embedding": ("embedding", 6, 0), "collective": ("collectives", 2, 0.5),
}  # fmt: skip
"""Kinds of operators: what they are called, their colour in every figure, and how much lighter it is."""

START = "start"
STARTS = "before the first kernel"
WIDTH = 2.75
"""Inches of the inside of a panel, about."""

PASSES = {"prefill": "prefill", "decode": "decode step"}


def kind_colours() -> dict[str, str]:
    """The colour of each kind of operator in this theme."""
    palette, ground = colours(), ink(0)
    found = {}
    for kind, (_, place, lighter) in KINDS.items():
        mixed = [a + lighter * (b - a) for a, b in zip(to_rgb(palette[place]), to_rgb(ground), strict=True)]
        found[kind] = to_hex((mixed[0], mixed[1], mixed[2]))
    return {**found, START: ink(0.3)}


def breakdown(b: Breakdown, s: Setup, w: Workload, *, theme: Theme = "light") -> Figure:
    """A row for each pass: its times, the shares of kinds of operators in the device's time, and in both times.

    On the left the ground is shaded where the host takes longer than the device: there launches bound the pass. In the
    middle that part is hatched which launches bound kernel by kernel, on the right that of the host.
    """
    with look(theme):
        launched = any(at.host_time > SEEN * at.device_time for each in b.passes.values() for at in each)
        across = 3 if launched else 2
        figure, grid = subplots(len(b.passes), across, figsize=(3.45 * across, 5.6), squeeze=False)
        palette = kind_colours()
        words = {**{kind: each[0] for kind, each in KINDS.items()}, START: STARTS}
        order = [*b.kinds, START]
        named: set[str] = set()
        largest: dict[str, float] = {}
        for row, (name, passed) in zip(grid, b.passes.items(), strict=True):
            _times(row[0], passed, PASSES[name])
            panels = [_device(passed, b.kinds), _both(passed, b.kinds)][: across - 1]
            for axes, (title, parts, hatched, hatch) in zip(row[1:], panels, strict=True):
                for kind, values in parts.items():
                    largest[kind] = max(largest.get(kind, 0.0), *values)
                shown = {kind: parts[kind] for kind in order if kind in parts and any(parts[kind])}
                stacked(axes, b.lengths, shown, palette, hatched, hatch)
                over_lengths(axes, b.lengths)
                axes.set_ylim(0, 1)
                axes.yaxis.set_major_formatter(PercentFormatter(1))
                axes.set_title(f"{PASSES[name]}: share of {title}")
                named |= name_areas(axes, b.lengths, shown, palette, words, WIDTH)
        seen = [kind for kind in order if kind in largest and largest[kind] > SEEN]
        _key(figure, [kind for kind in seen if kind not in named], palette, words, launched)
        heading(figure, "Where the time goes", *case(s, w, "prompt", "generate"), _waits(b))
        return figure


Shares = Mapping[str, Sequence[float]]


def _device(passed: Sequence[PassAt], kinds: Sequence[str]) -> tuple[str, Shares, Shares, str]:
    """Shares of kinds in the time of the device, and of what launches bound of them."""
    parts = {kind: [_of(at, kind).device / at.device_time for at in passed] for kind in kinds}
    bound = {kind: [_of(at, kind).launch_bound / at.device_time for at in passed] for kind in kinds}
    return "device time", parts, bound, "//////"


def _both(passed: Sequence[PassAt], kinds: Sequence[str]) -> tuple[str, Shares, Shares, str]:
    """Shares in the time of the device and that of the host, added up, and of the host of them."""
    whole = [at.device_time + at.host_time for at in passed]

    def shares(kind: str, device: bool) -> list[float]:
        found = [(_of(at, kind), total) for at, total in zip(passed, whole, strict=True)]
        return [(of.host + (of.device if device else 0)) / total for of, total in found]

    start = [at.start / total for at, total in zip(passed, whole, strict=True)]
    parts, host = ({kind: shares(kind, device) for kind in kinds} for device in (True, False))
    return "host and device time", {**parts, START: start}, {**host, START: start}, "|||||"


SEEN = 0.003
"""Shares of less are not seen, and not named."""


def _of(at: PassAt, kind: str) -> OfKind:
    return at.kinds.get(kind, OfKind(0.0, 0.0, 0.0))


def _times(axes: Axes, passed: Sequence[PassAt], name: str) -> None:
    """Times on the clock with their interval, of the device and of the host."""
    lengths = [at.prompt for at in passed]
    low, high = zip(*(at.interval for at in passed), strict=True)
    xs, below = widened(lengths, low)
    axes.fill_between(xs, below, widened(lengths, high)[1], color=ink(0.16), lw=0)
    axes.plot(*widened(lengths, [at.time for at in passed]), color=ink(), lw=1.8, label="on the clock")
    device = [at.device_time for at in passed]
    axes.plot(*widened(lengths, device), color=colours()[0], lw=1.3, ls=(0, (5, 1.6)), label="device busy")
    if all(at.host_time for at in passed):
        host = [at.host_time for at in passed]
        axes.plot(*widened(lengths, host), color=colours()[1], lw=1.3, ls=(0, (1.2, 1.2)), label="host busy")
        for i, (first, last) in enumerate(_behind(lengths, device, host)):
            axes.axvspan(first, last, color=colours()[1], alpha=0.1, lw=0, label="launch-bound" if not i else "")
    over_lengths(axes, lengths)
    least = min(*low, *device, *(at.host_time for at in passed if at.host_time))
    quantities(axes, "y", "s", least / MARGIN, MARGIN * max(high), log=True)
    axes.set_title(f"{name}: time")


MARGIN = 1.2
"""By what factor an axis of times goes on beyond them."""


def _waits(b: Breakdown) -> str:
    """At which lengths the device waits for the host, in words."""
    said = []
    for name, passed in b.passes.items():
        lengths = [at.prompt for at in passed]
        if not all(at.host_time for at in passed):
            continue
        for first, last in _behind(lengths, [at.device_time for at in passed], [at.host_time for at in passed]):
            low, high = first <= lengths[0], last >= lengths[-1]
            where = f"from about {_about(first)} to {_about(last)} tokens"
            if low or high:
                end = f"up to about {_about(last)} tokens" if low else f"from about {_about(first)} tokens on"
                where = "throughout" if low and high else end
            said.append(f"{PASSES[name]} {where}")
    return f"launch-bound: {', '.join(said)}" if said else ""


def _about(tokens: float) -> str:
    """A length with two digits: it is read off between lengths."""
    return f"{float(f'{tokens:.2g}'):,.0f}"


def _behind(lengths: Sequence[int], device: Sequence[float], host: Sequence[float]) -> Iterator[tuple[float, float]]:
    """The stretches of length in which the host takes longer, each from where both take the same."""
    xs, ahead = widened(lengths, [h / d for h, d in zip(host, device, strict=True)])
    start = xs[0] if ahead[0] > 1 else None
    for (a, x), (b, y) in pairwise(zip(ahead, xs, strict=True)):
        if (a > 1) != (b > 1):
            at = x * (y / x) ** (log(a) / log(a / b))
            if start is not None:
                yield start, at
            start = at if start is None else None
    if start is not None:
        yield start, xs[-1]


def _key(
    figure: Figure, rest: Sequence[str], palette: Mapping[str, str], words: Mapping[str, str], launched: bool
) -> None:
    """What areas that have no name in them are, and what hatches say."""
    times: dict[str, Any] = {}
    for axes in figure.axes[:: 3 if launched else 2]:
        times |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    handles: list[Any] = [*times.values(), *(Patch(color=palette[kind], label=words[kind]) for kind in rest)]
    grey: Any = {"facecolor": ink(0.12), "edgecolor": ink(0.7), "lw": 0}
    handles.append(Patch(hatch="//////", label="bound by launches", **grey))
    if launched:
        handles.append(Patch(hatch="|||||", label="host, launching them", **grey))
    columns = -(-len(handles) // 2) if len(handles) > COLUMNS else COLUMNS
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


COLUMNS = 6
"""Entries of a key side by side."""
