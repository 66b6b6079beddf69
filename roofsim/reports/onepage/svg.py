"""Figures inside a page: drawn for both themes, kept once, with colours that the page decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from io import StringIO
from typing import TYPE_CHECKING

from roofsim.foundation.values import dataclass
from roofsim.reports.theme import THEMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
IDENTITY = re.compile(r' id="([^"]+)"')
USED = re.compile(r'(href="#|url\(#)([^")]+)')
SHORT = re.compile(r"font: (?:(\w+) )?([\d.]+px) '[^;\"]*")
FAMILY = re.compile(r" *font-family: [^;\"]*;?")
WIDTH = re.compile(r'<svg [^>]*?\bwidth="([\d.]+)pt"')
PIXELS = 4 / 3
"""Pixels of CSS in a point."""
DIGITS = re.compile(r"(\d+\.\d\d)\d+")


@dataclass(frozen=True, slots=True)
class Drawing:
    """One SVG in which colours are names of variables, and what each is in the light and in the dark.

    Or one for each theme, without variables. `width` is in pixels of CSS, with text as large as it was drawn.
    """

    texts: tuple[str, ...]
    colours: Mapping[str, tuple[str, str]]
    width: float


def drawing(draw: Callable[..., Figure], prefix: str) -> Drawing:
    """A figure for both themes. Identities begin with `prefix`, since several figures stand in one page."""
    drawn = [_svg(draw(theme=theme)) for theme in THEMES]
    light, dark = (_tidy(each, prefix) for each in drawn)
    width = float(WIDTH.search(light)[1]) * PIXELS  # type: ignore[index]  # matplotlib states it
    if COLOUR.sub("", light) != COLOUR.sub("", dark):  # matplotlib shares what has the same colours in one theme alone
        return Drawing(
            tuple(_tidy(each, f"{prefix}{theme}-") for each, theme in zip(drawn, THEMES, strict=True)), {}, width
        )
    pairs = list(zip(COLOUR.findall(light), COLOUR.findall(dark), strict=True))
    found = iter(pairs)
    text = COLOUR.sub(lambda _: f"var({variable(*next(found))})", light)
    return Drawing((text,), {variable(*p): p for p in pairs}, width)


def variable(light: str, dark: str) -> str:
    """What a pair of colours is called."""
    return f"--c{light[1:]}{dark[1:]}".lower()


HALO = "halo"
"""The class of texts with a border in the colour of the ground. Matplotlib would make outlines of their letters, which
are ten times as large and no text."""


def _svg(figure: Figure) -> str:
    for each in figure.findobj(lambda artist: bool(artist.get_path_effects())):
        each.set_path_effects([])
        each.set_gid(HALO)
    stream = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(stream, format="svg", bbox_inches="tight", metadata=nothing)
    text = stream.getvalue()
    return text[text.index("<svg") :].strip()


def _tidy(text: str, prefix: str) -> str:
    """Without what a page has itself or has no use for: style, metadata, fonts by name, digits beyond a hundredth."""
    text = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*</defs>", "", text)
    text = SHORT.sub(lambda m: f"font-size: {m[2]}" + (f"; font-weight: {m[1]}" if m[1] else ""), text)
    text = FAMILY.sub("", text)
    used = {name: f"{prefix}{i}" for i, name in enumerate(dict.fromkeys(name for _, name in USED.findall(text)))}
    text = text.replace(f' id="{HALO}"', f' class="{HALO}"')
    text = IDENTITY.sub(lambda m: f' id="{used[m[1]]}"' if m[1] in used else "", text)
    text = USED.sub(lambda m: m[1] + used[m[2]], text)
    text = DIGITS.sub(r"\1", text)
    return re.sub(r"\n\s*", "\n", text)
