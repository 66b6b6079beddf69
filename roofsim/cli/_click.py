"""click, with coloured help where someone sees the colours."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or not sys.stdout.isatty():
    import click as click
else:
    # the same library with another look; it takes twice as long to load
    import rich_click as click

__all__ = ["click"]
