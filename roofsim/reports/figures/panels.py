"""Small multiples: a panel for each of several cases, all on the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from roofsim.foundation.errors import InputError
from roofsim.reports.choices import MOST_PANELS, too_many
from roofsim.reports.figures.style import Key, subplots

ACROSS = 3
"""Panels side by side."""


def across(count: int) -> int:
    """Of so many panels those that stand side by side."""
    return 2 if count == 4 else min(count, ACROSS)


def width(count: int) -> float:
    """Inches of a figure with so many."""
    return 7.2 if count == 1 else 0.8 + 3.3 * across(count)


def panels(count: int, height: float, below: float, *, together: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels that share their axes, and room for a key; raises InputError for too many.

    `height` is that of one panel alone in inches, `below` that of the key.
    """
    if count > MOST_PANELS:
        raise InputError(too_many(count))
    side = across(count)
    down = -(-count // side)
    tall = height if count == 1 else 0.8 * height
    size = width(count), 0.7 + tall * down + below
    figure, grid = subplots(down, side, figsize=size, squeeze=False, sharex=together, sharey=together)
    found: list[Axes] = list(grid.flat)
    for axes in found[count:]:
        axes.set_visible(False)
    return figure, found[:count]


def grid(count: int, height: float, entries: Sequence[tuple[Any, str]]) -> tuple[Figure, list[Axes], Key]:
    """A figure with so many panels on axes of their own, and the key that it has room for below them."""
    across = min(count, ACROSS)
    down = -(-count // across)
    size = max(0.4 + 3.3 * across, NARROWEST)
    key = Key.of(entries, size)
    figure, found = subplots(down, across, figsize=(size, 0.8 + height * down + key.height), squeeze=False)
    axes: list[Axes] = list(found.flat)
    for each in axes[count:]:
        each.set_visible(False)
    return figure, axes[:count], key


NARROWEST = 5.4
"""Inches that words above and below a figure need."""


def outer(shown: Sequence[Axes]) -> None:
    """Keep the words of axes that panels share at the left and at the bottom alone."""
    side = across(len(shown))
    for i, axes in enumerate(shown):
        last = i + side >= len(shown)
        axes.xaxis.set_tick_params(labelbottom=last)
        axes.set_xlabel(axes.get_xlabel() if last else "")
        axes.yaxis.set_tick_params(labelleft=i % side == 0)
        axes.set_ylabel(axes.get_ylabel() if i % side == 0 else "")
