"""What all figures share: their look, light or dark, their colours, their headings, and how they are written.

A figure is drawn under `look(theme)`. Its colours are then read from here: `colours` and `looks` for what is told
apart, `ink` for text and lines; both follow the theme.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
from matplotlib import colormaps, rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.rcsetup import cycler
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)
from matplotlib.transforms import Bbox

from roofsim.foundation import units, writing
from roofsim.foundation.values import dataclass
from roofsim.reports.theme import Theme

LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5A5A5A")
"""Okabe and Ito's palette, told apart with any colour vision; without its yellow, which is lost on white."""

DARK = ("#1F9DF9", "#F96114", "#4DE4A4", "#D583A7", "#EABF20", "#C3F0FD", "#707070")
"""The same hues, light enough for a dark ground."""

GROUND, DARK_GROUND = "#FFFFFF", "#15181D"
TEXT, DARK_TEXT = "#1B1F24", "#E4E7EB"

_SHARED: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "roofsim",
    "pdf.fonttype": 42,
}


def _style(ground: str, text: str, palette: Sequence[str]) -> dict[str, Any]:
    faint = between(ground, text, 0.16)
    return {
        **_SHARED,
        "figure.facecolor": ground, "axes.facecolor": ground, "savefig.facecolor": "auto", "legend.facecolor": ground,
        "text.color": text, "axes.labelcolor": text, "axes.titlecolor": text, "axes.edgecolor": text,
        "xtick.color": text, "ytick.color": text, "grid.color": faint, "axes.prop_cycle": cycler(color=list(palette)),
    }  # fmt: skip


def between(one: str, other: str, share: float) -> str:
    """A colour on the way from one to another."""
    red, green, blue = (a + share * (b - a) for a, b in zip(to_rgb(one), to_rgb(other), strict=True))
    return to_hex((red, green, blue))


STYLES: Mapping[Theme, Any] = MappingProxyType({
    "light": _style(GROUND, TEXT, LIGHT), "dark": _style(DARK_GROUND, DARK_TEXT, DARK),
})  # fmt: skip
"""What each theme sets of matplotlib."""


@contextmanager
def look(theme: Theme) -> Iterator[None]:
    """Draw in a theme; what the user has set of matplotlib otherwise is left alone, and back after it."""
    with rc_context(STYLES[theme]):
        yield


def colours() -> list[str]:
    """The palette of the theme that is drawn in."""
    return list(rcParams["axes.prop_cycle"].by_key()["color"])


def ink(strength: float = 1.0) -> str:
    """A grey of the theme that is drawn in: 1 is text, 0 the ground."""
    return between(to_hex(rcParams["figure.facecolor"]), to_hex(rcParams["text.color"]), strength)


def ramp() -> Colormap:
    """Colours from little to much, all of which can be told from the ground of the theme that is drawn in."""
    dark = sum(to_rgb(rcParams["figure.facecolor"])) < 1.5
    return ListedColormap(colormaps["viridis"](np.linspace(0.3 if dark else 0.0, 1.0 if dark else 0.93, 256)))


Dashes: TypeAlias = "str | tuple[float, tuple[float, ...]]"

DASHES: tuple[Dashes, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
"""What tells apart what shares a colour."""

MARKERS = "osD^vP"


@dataclass(frozen=True, slots=True)
class Look:
    """How one of several is drawn wherever it is drawn: a colour, and what tells it from others of that colour."""

    colour: str
    dashes: Dashes
    marker: str


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each name, in their order: first by colour, then by dashes and markers."""
    palette = colours()
    return {
        name: Look(
            palette[i % len(palette)],
            DASHES[i // len(palette) % len(DASHES)],
            MARKERS[i // len(palette) % len(MARKERS)],
        )
        for i, name in enumerate(dict.fromkeys(names))
    }


class Drawn(Figure):
    """A figure that keeps the style it was made in, whenever and wherever it is drawn or saved.

    It is no part of pyplot, whose windows and backend stay the user's; a notebook shows it as it is.
    """

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.kept: Any = {name: rcParams[name] for name in STYLES["light"]}

    def draw(self, renderer: Any) -> None:
        """Ticks are made while drawing, in the style of that moment."""
        with rc_context(self.kept):
            super().draw(renderer)

    def savefig(self, *words: Any, **options: Any) -> None:
        """Write it, fonts and ground as they were chosen."""
        with rc_context(self.kept):
            super().savefig(*words, **options)

    def get_tightbbox(self, renderer: Any = None, *, bbox_extra_artists: Any = None) -> Bbox:
        """All that is drawn, in inches; captions too, which no layout makes room for."""
        notes = [each.get_window_extent(renderer) for each in self.artists if isinstance(each, Text)]
        inches = self.dpi_scale_trans.inverted()
        drawn = super().get_tightbbox(renderer, bbox_extra_artists=bbox_extra_artists)
        return Bbox.union([drawn, *(note.transformed(inches) for note in notes)])

    def _repr_png_(self) -> bytes:
        stream = BytesIO()
        self.savefig(stream, format="png", dpi=SCREEN, bbox_inches="tight")
        return stream.getvalue()


SCREEN = 110
"""Dots per inch of a figure in a notebook."""


def subplots(
    down: int = 1, across: int = 1, *, figsize: tuple[float, float], layout: Literal["constrained"] = "constrained",
    **options: Any,
) -> tuple[Drawn, Any]:  # fmt: skip
    """A figure of so many inches, and its axes; `options` are those of matplotlib's `Figure.subplots`."""
    figure = Drawn(figsize=figsize, layout=layout)
    return figure, figure.subplots(down, across, **options)


TITLE, CAPTION = 10.0, 8.0
"""Points of what heads a figure: what is drawn, and below it for which model, device, stack and workload."""

LINE = 1.25
"""Height of a line of text, in its size."""


def heading(figure: Figure, title: str, *captions: str) -> None:
    """Say above a figure what is drawn, and in smaller lines of what; lines break where the figure ends."""
    room = 72 * figure.get_figwidth() - 12
    above = wrapped(title, TITLE, room, bold=True)
    below = [line for caption in captions if caption for line in wrapped(caption, CAPTION, room)]
    blank = -(-len(below) * CAPTION // TITLE)  # lines of the title's size that the captions take
    head = figure.suptitle(
        "\n".join([*above, *[" "] * int(blank)]), x=6 / (72 * figure.get_figwidth()), ha="left", fontsize=TITLE,
        fontweight="bold", linespacing=LINE,
    )  # fmt: skip
    figure.add_artist(_below(figure, head, len(above), below))


def _below(figure: Figure, head: Any, lines: int, captions: Sequence[str]) -> Any:
    from matplotlib.text import Annotation

    note = Annotation(
        "\n".join(captions), (0, 1), xycoords=head, xytext=(0, -TITLE * LINE * lines - 2),
        textcoords="offset points", fontsize=CAPTION, color=ink(0.72), va="top", ha="left", linespacing=LINE,
        annotation_clip=False,
    )  # fmt: skip
    note.set_in_layout(False)
    note.set_figure(figure)
    return note


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a line of text is, in points."""
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def wrapped(text: str, size: float, room: float, *, bold: bool = False) -> list[str]:
    """The lines of a text, broken at blanks so that each is at most `room` points wide, if its words are."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and width_of(longer, size, bold=bold) > room:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return lines


KEY = 7.5
"""Points of the words of a key."""

MARK = 34.0
"""Points that a mark of a key takes, with what parts it from its words and these from the next column."""


NARROWEST = 200.0
"""Points of a column of a key that is not too narrow to read."""


def _in_columns(entries: Sequence[tuple[Any, str]], columns: int, room: float) -> tuple[float, list[tuple[Any, str]]]:
    """The lines of the tallest of so many columns, and the entries, their lines broken where that is needed."""
    per, more = divmod(len(entries), columns)
    ends = [per * (i + 1) + min(more, i + 1) for i in range(columns)]  # the first take one more, as matplotlib has it
    spans = list(zip([0, *ends], ends, strict=False))
    widths = [max(width_of(text, KEY) for _, text in entries[start:end]) + MARK for start, end in spans]
    if sum(widths) <= room:
        lines = [[text] for _, text in entries]
    elif room / columns >= NARROWEST or columns == 1:
        lines = [wrapped(text, KEY, room / columns - MARK) for _, text in entries]
    else:
        return math.inf, []
    tallest = max(sum(len(each) + 0.35 for each in lines[start:end]) for start, end in spans)
    return tallest, [(mark, "\n".join(each)) for (mark, _), each in zip(entries, lines, strict=True)]


@dataclass(frozen=True, slots=True)
class Key:
    """What marks mean, below a figure, in as many columns as there is room for; `height` is in inches."""

    entries: Sequence[tuple[Any, str]]
    columns: int
    height: float

    @classmethod
    def of(cls, entries: Sequence[tuple[Any, str]], width: float) -> Key:
        """The key of a figure that is so many inches wide."""
        if not entries:
            return cls((), 1, 0.0)
        found = [_in_columns(entries, columns, 72 * width - 16) for columns in range(1, len(entries) + 1)]
        tallest, texts = min(found, key=lambda each: each[0])
        return cls(texts, found.index((tallest, texts)) + 1, (tallest * KEY * LINE + 8) / 72)

    def draw(self, figure: Figure) -> None:
        """Put it there."""
        if self.entries:
            marks, texts = zip(*self.entries, strict=True)
            figure.legend(marks, texts, loc="outside lower left", ncols=self.columns, fontsize=KEY, handlelength=1.7)


def save(figure: Figure, path: str) -> None:
    """Write a figure in the format of the path's ending; the file appears whole or not at all."""
    ending = Path(path).suffix.lower().removeprefix(".")
    # no date in the file: the same input gives the same bytes
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with writing.whole(path) as partial:
        figure.savefig(partial, format=ending, dpi=200, bbox_inches="tight", metadata=undated.get(ending))


def tick(value: float, unit: str) -> str:
    """A quantity on an axis, without the noughts behind its point; whole minutes, hours and days as such."""
    spoken = [(name, size) for name, size in units.SPOKEN.get(unit, {}).items() if value >= size and not value % size]
    text = f"{value / spoken[-1][1]:,.0f} {spoken[-1][0]}" if spoken else units.show(value, unit)
    number, blank, name = text.partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{blank}{name}"


def ticks(axis: Any, unit: str) -> None:
    """Label an axis with quantities in a unit."""
    axis.set_major_formatter(FuncFormatter(lambda v, _: tick(v, unit)))
    axis.set_minor_formatter(NullFormatter())


LONG = 300.0
"""Seconds from which on a logarithmic axis has minutes, hours and days."""

MOST_TICKS = 6
"""Labels of an axis, or a few more."""


def quantities(
    axes: Axes, which: Literal["x", "y"], unit: str, low: float, high: float, *, log: bool, most: int = MOST_TICKS
) -> None:
    """An axis from `low` to `high` in quantities of a unit, at round places: powers of two for bytes.

    It has as many labels as there is room for; a linear one `most`, or a few more.
    """
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log" if log else "linear")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    box = axes.get_window_extent()
    room = SHRINKS * 72 * (box.width if which == "x" else box.height) / axes.figure.dpi
    along = math.log10 if log else float
    scale = room / (along(high) - along(low))
    shown: list[float] = []
    for shown in _places(unit, low, high, most, log=log):
        ends = [(scale * along(each), tick(each, unit)) for each in shown]
        if all(b - a > _needed(which, one, other) for (a, one), (b, other) in pairwise(ends)):
            break
    axis.set_major_locator(FixedLocator(shown))
    if not log or unit == "B" or high > MINOR * low:
        axis.set_minor_locator(NullLocator())
    ticks(axis, unit)


MINOR = 2e3
"""Axes that span more have no minor ticks: they would be a comb."""

SHRINKS = 0.8
"""What is left of axes at least when words around them have got their room."""


def _needed(which: Literal["x", "y"], one: str, other: str) -> float:
    """Points from one label to the next."""
    size = float(rcParams["xtick.labelsize"] if which == "x" else rcParams["ytick.labelsize"])
    return (width_of(one, size) + width_of(other, size)) / 2 + size / 2 if which == "x" else LINE * size


def _places(unit: str, low: float, high: float, most: int, *, log: bool) -> Iterator[list[float]]:
    """Round places within two ends, fewer and fewer."""

    def within(found: Iterable[float]) -> list[float]:
        return [float(each) for each in found if low <= each <= high]

    def linear() -> Iterator[list[float]]:
        for count in range(most, 0, -1):
            if unit == "B":
                step = 2.0 ** math.ceil(math.log2((high - low) / count))
                yield within(step * k for k in range(math.floor(low / step), math.ceil(high / step) + 1))
            else:
                yield within(MaxNLocator(count).tick_values(low, high))

    if not log or (unit != "B" and high < 2.5 * low):
        yield from linear()
        return
    if unit == "B":
        powers = [2.0**k for k in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
    elif unit in units.SPOKEN and high > LONG:
        days = max(units.SPOKEN[unit].values())
        powers = [10.0**k for k in range(math.floor(math.log10(low)), 2)]
        powers += [step * size for size in units.SPOKEN[unit].values() for step in (1, 10)]
        powers += [10.0**k * days for k in range(2, 20)]
    else:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        powers = [10.0**k for k in decades]
        for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3)):
            found = within(step * 10.0**k for k in decades for step in steps)
            if len(found) <= (most if len(steps) > 3 else most + 3):  # more steps for what is less than a decade
                yield found
    if len(within(powers)) < 2:
        yield from linear()
    for every in range(1, len(powers) + 1):
        if len(found := within(powers[::every])) <= most + 2:
            yield found


def lengths(
    axes: Axes, low: float, high: float, words: str = "prompt length (tokens)", at: Sequence[float] = ()
) -> None:
    """A logarithmic axis of tokens, at these if there is room for all of them, else at as many powers of two."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    axes.set_xlabel(words)
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    width = 72 * axes.get_window_extent().width / axes.figure.dpi
    most = max(int(width // ROOM_OF_TOKENS), 2)
    step = max(-(-(last - first + 1) // most), 1)
    scale = SHRINKS * width / math.log(high / low)
    apart = [scale * math.log(b / a) > ROOM_OF_TOKENS for a, b in pairwise(at)]
    axes.xaxis.set_major_locator(
        FixedLocator(list(at) if at and all(apart) else [2.0**k for k in range(first, last + 1, step)])
    )
    axes.xaxis.set_major_formatter(FuncFormatter(tokens))
    axes.xaxis.set_minor_locator(NullLocator())


ROOM_OF_TOKENS = 32
"""Points that the label of a number of tokens takes, with what parts it from the next."""


def tokens(value: float, _: object = None) -> str:
    """A number of tokens as an axis says it: 64k, 1M."""
    if value >= 2**20 and value % 2**20 == 0:
        return f"{value / 2**20:g}M"
    if value >= 1024 and value * 4 % 1024 == 0:
        return f"{value / 1024:g}k"
    return f"{value:,.0f}" if value % 1 == 0 else f"{value:g}"
