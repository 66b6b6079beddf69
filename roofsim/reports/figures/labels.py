"""Words in a figure, placed where they cover neither each other nor what is drawn.

Places are only known once a figure is laid out: words that need room of their own are made before `settle`, those that
stand among points after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from roofsim.foundation.values import dataclass
from roofsim.reports.figures.style import LINE, between, width_of

SIZE = 7.5
"""Points of a label."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place of the data, whose mark reaches so many points from there."""

    x: float
    y: float
    text: str
    colour: str
    radius: float = 3.0


def readable(colour: str) -> str:
    """A colour of lines, nearer to that of text."""
    return between(to_hex(colour), to_hex(rcParams["text.color"]), 0.3)


def settle(figure: Figure) -> None:
    """Lay the figure out, and keep it so: what is placed by it later must not move it again."""
    engine = figure.get_layout_engine()
    if engine is not None:
        with rc_context(getattr(figure, "kept", {})):
            engine.execute(figure)
    figure.set_layout_engine("none")


def at_ends(axes: Axes, labels: Iterable[Label], size: float = SIZE) -> list[Any]:
    """Names of lines right of the axes, each at the height where its line ends; `spread` parts them."""
    return [
        axes.annotate(
            each.text, (1, each.y), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
            fontsize=size, color=readable(each.colour), va="center", ha="left", annotation_clip=False,
        )
        for each in labels
    ]  # fmt: skip


def spread(axes: Axes, texts: Sequence[Any]) -> None:
    """Part names of lines that would cover each other, as little as that takes, and point from lines to theirs."""
    if not texts:
        return
    scale = 72 / axes.figure.dpi
    order = sorted(texts, key=lambda each: _height(axes, each))
    wanted = np.array([_height(axes, each) for each in order])
    step = max(LINE * each.get_fontsize() * (1 + each.get_text().count("\n")) for each in texts) / scale
    box = axes.get_window_extent()
    for each, now, then in zip(order, wanted, apart(wanted, step, box.y0, box.y1), strict=True):
        moved = (then - now) * scale
        each.set_position((6, moved))
        if abs(moved) > 1:
            axes.annotate(
                "", (1, each.xy[1]), xycoords=("axes fraction", "data"), xytext=(5, moved), textcoords="offset points",
                arrowprops={"arrowstyle": "-", "lw": 0.6, "color": each.get_color(), "shrinkA": 0, "shrinkB": 0},
                annotation_clip=False,
            )  # fmt: skip


def _height(axes: Axes, text: Any) -> float:
    return float(axes.transData.transform((axes.get_xlim()[0], text.xy[1]))[1])


def apart(wanted: Any, step: float, low: float, high: float) -> Any:
    """Rising places nearest to the wanted ones (least squares) that are a step apart, between two ends if they can."""
    shift = step * np.arange(len(wanted))
    blocks: list[list[float]] = []  # mean and number of places that have been pooled
    for each in wanted - shift:
        blocks.append([float(each), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (one, m), (other, n) = blocks[-2:]
            blocks[-2:] = [[(one * m + other * n) / (m + n), m + n]]
    found = np.concatenate([np.full(int(n), mean) for mean, n in blocks]) + shift
    return np.maximum(np.minimum(found, high - shift[::-1]), low + shift)


DIRECTIONS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
DISC = np.array([[r * np.cos(a), r * np.sin(a)] for r in (0, 0.5, 1) for a in np.arange(8) * np.pi / 4])
"""Places in a mark of radius 1: covering one counts as much as covering a good piece of a line."""

FAR = (4.0, 9.0, 15.0, 22.0, 30.0)
"""Points from what is named to its name."""


HINTED = 1.06
"""By how much letters are wider on a grid of pixels than their outlines."""

PLACES = np.array([(far, across, up) for far in FAR for across, up in DIRECTIONS])
"""Where a name may stand from its point, the nearest first."""


def among(axes: Axes, labels: Sequence[Label], avoid: Any = (), size: float = SIZE, *, must: bool = True) -> None:
    """Name points, inside the axes and clear of each other; of free places the one that covers least of `avoid`.

    `avoid` are places of the data (n, 2) such as those of lines. A name that finds no place is left out where it need
    not be there.
    """
    scale = axes.figure.dpi / 72
    inside = axes.get_window_extent().extents
    to_pixels = axes.transData.transform
    points = [np.asarray(to_pixels((each.x, each.y))) for each in labels]
    lines = np.reshape(to_pixels(avoid), (-1, 2)) if len(avoid) else np.empty((0, 2))
    marks = [at + DISC * each.radius * scale for at, each in zip(points, labels, strict=True)]
    drawn = np.vstack([lines, *marks])
    taken = [each.get_window_extent().extents for each in axes.texts if each.get_text() and each.get_visible()]
    for each, point in zip(labels, points, strict=True):
        extent = np.array([HINTED * width_of(each.text, size), LINE * size]) * scale
        boxes = _boxes(point, extent, each.radius - 3, scale)
        free = (boxes[:, :2] >= inside[:2]).all(axis=1) & (boxes[:, 2:] <= inside[2:]).all(axis=1)
        for other in taken:
            free &= (boxes[:, :2] >= other[2:]).any(axis=1) | (boxes[:, 2:] <= other[:2]).any(axis=1)
        if not free.any() and not must:
            continue
        covers = ((drawn > boxes[:, None, :2]) & (drawn < boxes[:, None, 2:])).all(axis=2).sum(axis=1)
        best = int(np.argmin(np.where(free, covers + PLACES[:, 0] / 10, np.inf)))
        taken.append(boxes[best])
        _write(axes, each, boxes[best], point, size, scale, leader=PLACES[best, 0] > FAR[0])


def _boxes(point: Any, extent: Any, own: float, scale: float) -> Any:
    """The boxes (n, 4) of a name of that extent in all places; `own` points lie under the mark."""
    middles = point + PLACES[:, 1:] * ((PLACES[:, :1] + own) * scale + extent / 2)
    return np.hstack([middles - extent / 2, middles + extent / 2])


def _write(axes: Axes, label: Label, box: Any, point: Any, size: float, scale: float, *, leader: bool) -> None:
    offset = ((box[:2] + box[2:]) / 2 - point) / scale
    arrow = {"arrowstyle": "-", "lw": 0.5, "color": readable(label.colour), "shrinkA": 0, "shrinkB": 3}
    text = axes.annotate(
        label.text, (label.x, label.y), xytext=(float(offset[0]), float(offset[1])), textcoords="offset points",
        fontsize=size, color=readable(label.colour), ha="center", va="center", arrowprops=arrow if leader else None,
        zorder=6,
    )  # fmt: skip
    outlined(text)


def outlined(text: Any) -> None:
    """Part a text from what it stands on: by a ground of its own, since outlines would make paths of its letters."""
    ground = to_hex(rcParams["axes.facecolor"])
    text.set_bbox({"boxstyle": "square,pad=0.06", "facecolor": ground, "edgecolor": "none", "alpha": 0.75})
