"""What figures and pages are drawn for."""

from __future__ import annotations

from typing import Literal, get_args

Theme = Literal["light", "dark"]
"""Paper, or a dark page."""

THEMES: tuple[Theme, ...] = get_args(Theme)
"""All, the default first."""
