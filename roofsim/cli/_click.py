"""click, with coloured help where someone sees the colours."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

# what is imported stays; to look through it for garbage again and again takes 7 % of a command's time
gc.set_threshold(100_000)

HELP = len(sys.argv) < 2 or "--help" in sys.argv or "-h" in sys.argv

if TYPE_CHECKING or not HELP or sys.stdout is None or not sys.stdout.isatty():
    import click as click
    from click import Group as Group
else:
    # the same library with another look, 10 ms slower to load
    import rich_click as click
    from rich_click import RichGroup as Group

__all__ = ["Group", "click"]
