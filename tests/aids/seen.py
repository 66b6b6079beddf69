"""What can be seen of a figure: its words and where they are."""

from __future__ import annotations

from itertools import combinations

from matplotlib.text import Text
from matplotlib.transforms import Bbox


def words(figure):
    """Every text that can be seen, with its box; texts along slopes are left to the eye."""
    found = []
    for axes in figure.axes:
        for which in (axes.xaxis, axes.yaxis):
            low, high = sorted(which.get_view_interval())
            for each in which.get_major_ticks():
                if not low <= each.get_loc() <= high:
                    each.label1.set_visible(False)
    for each in figure.findobj(Text):
        seen = each.get_visible() and (each.axes is None or each.axes.get_visible())
        if seen and each.get_text().strip() and each.get_rotation() % 90 == 0:
            each.get_window_extent()  # puts a note where it belongs
            box = Text.get_window_extent(each)  # without the line that leads from the note to its place
            found.append((each.get_text(), Bbox.from_extents(box.x0 + 1, box.y0 + 1, box.x1 - 1, box.y1 - 1)))
    return found


def texts(figure):
    """All that is written in a figure, seen or not, in one line."""
    return " ".join(each.get_text() for each in figure.findobj(lambda one: hasattr(one, "get_text")))


def readable(figure):
    """Whether no words cover others and all lie on the page; the figure."""
    figure.draw_without_rendering()
    seen = [each for each in words(figure) if not each[0].endswith("\n ")]  # the title, behind its own captions
    assert [(a, b) for (a, x), (b, y) in combinations(seen, 2) if x.width > 0 and x.overlaps(y)] == []
    page = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert [a for a, x in seen if x.x0 < page.x0 - 1 or x.x1 > min(page.x1, figure.bbox.width) + 1] == []
    return figure
